//! What the transaction coordinator and the partitions refuse.

use anyhow::Result;

use super::client::Client;
use super::member::{committed, nothing_committed};
use super::producer::{
    End, Producer, add_partitions, end_transaction, init, init_as, init_request,
};
use super::wire::text;
use super::{Part, Target, one_of, same, unique};

pub fn part() -> Part {
    Part::new("transaction errors")
        .check(
            "InitProducerId: a timeout over 900000 or 0 is 50",
            bad_timeouts,
        )
        .check("InitProducerId: an empty id is 42", empty_id)
        .check(
            "InitProducerId: a stale epoch is 47 up to version 3, 90 from 4",
            stale_init,
        )
        .check("InitProducerId: a foreign producer id is 90", foreign_init)
        .check(
            "AddPartitionsToTxn with one unknown topic: it 3, the others 55, nothing added",
            unknown_topic,
        )
        .check(
            "AddPartitionsToTxn: an unknown transactional id or a wrong producer id is 49",
            add_with_wrong_id,
        )
        .check(
            "AddPartitionsToTxn: a wrong epoch is 90 (47 before version 2)",
            add_with_wrong_epoch,
        )
        .check("Produce to a partition that was not added: 48", not_added)
        .check("Produce right after the commit: 48", after_commit)
        .check("Produce with an old epoch: 47", old_epoch)
        .check("EndTxn with nothing begun: 48", nothing_begun)
        .check(
            "EndTxn: commit again after commit OK, abort after commit 48",
            end_again,
        )
        .check("EndTxn: an unknown id 49", end_unknown)
        .check(
            "EndTxn: a wrong epoch is 47 in version 1, 90 from 2",
            end_wrong_epoch,
        )
        .check(
            "TxnOffsetCommit without AddOffsetsToTxn: 48",
            offsets_not_added,
        )
        .check(
            "TxnOffsetCommit of an unknown member: 25",
            offsets_of_unknown_member,
        )
        .check(
            "TxnOffsetCommit for an unknown topic: 3",
            offsets_of_unknown_topic,
        )
        .check(
            "AddOffsetsToTxn: a wrong id is 49, a wrong epoch 90",
            add_offsets_errors,
        )
        .check(
            "a zombie is fenced: Produce 47, EndTxn 90, its records unseen",
            zombie,
        )
}

async fn bad_timeouts(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    for timeout_ms in [900_001, 0] {
        let id = client.transactional_id().await?;
        let answer = init(&mut client, &init_request(&id, timeout_ms)).await?;
        same(format!("error of {timeout_ms} ms"), answer.error_code, 50)?;
    }
    Ok(())
}

async fn empty_id(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "error",
        init(&mut client, &init_request("", 60_000))
            .await?
            .error_code,
        42,
    )
}

async fn stale_init(target: Target) -> Result<()> {
    let old = Producer::open(&target).await?;
    // Two epochs later: the one before the last is taken for a retry.
    Producer::open_as(&target, &old.transactional_id, 60_000).await?;
    let mut new = Producer::open_as(&target, &old.transactional_id, 60_000).await?;
    let request = init_request(&old.transactional_id, 60_000)
        .with_producer_id(old.id.into())
        .with_producer_epoch(old.epoch);
    for (version, error) in [(3, 47), (4, 90)] {
        let answer = init_as(&mut new.client, version, &request).await?;
        same(
            format!("error in version {version}"),
            answer.error_code,
            error,
        )?;
    }
    Ok(())
}

async fn foreign_init(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let request = init_request(&producer.transactional_id, 60_000)
        .with_producer_id((producer.id + 1_000_000).into())
        .with_producer_epoch(producer.epoch);
    same(
        "error",
        init(&mut producer.client, &request).await?.error_code,
        90,
    )
}

async fn unknown_topic(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    let unknown = unique("unknown");
    // Names of topics sort before those of unknown ones.
    let errors = producer.add(&[(&topic, 0), (&unknown, 0)]).await?;
    same("errors of the known and the unknown", errors, vec![55, 3])?;
    same(
        "produce to the known one",
        producer.produce(&topic, 0, &["v"]).await?.0,
        48,
    )
}

async fn add_with_wrong_id(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    let (id, transactional_id) = (producer.id, producer.transactional_id.clone());
    producer.id += 1_000_000;
    same(
        "errors of a wrong producer id",
        producer.add(&[(&topic, 0)]).await?,
        vec![49],
    )?;
    producer.id = id;
    producer.transactional_id = producer.client.transactional_id().await?;
    same(
        "errors of an unknown transactional id",
        producer.add(&[(&topic, 0)]).await?,
        vec![49],
    )?;
    producer.transactional_id = transactional_id;
    producer.begin(&topic, 0).await
}

async fn add_with_wrong_epoch(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.epoch += 1;
    let request = producer.add_request(&[(&topic, 0)]);
    for (version, error) in [(0, 47), (1, 47), (2, 90), (3, 90)] {
        let errors = add_partitions(&mut producer.client, version, &request).await?;
        same(format!("errors in version {version}"), errors, vec![error])?;
    }
    Ok(())
}

async fn not_added(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(2).await?;
    same("error", producer.produce(&topic, 0, &["v"]).await?.0, 48)?;
    producer.begin(&topic, 1).await?;
    same(
        "error while another partition is added",
        producer.produce(&topic, 0, &["v"]).await?.0,
        48,
    )?;
    same(
        "ListOffsets -1",
        producer.client.offset(&topic, 0, -1).await?.offset,
        0,
    )
}

async fn after_commit(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["v"]).await?;
    producer.finish(End::Commit).await?;
    // Before the marker is there, Kafka takes the batch for one of the transaction before.
    producer.client.settled(&topic, 0).await?;
    same("error", producer.produce(&topic, 0, &["w"]).await?.0, 48)
}

async fn old_epoch(target: Target) -> Result<()> {
    let mut old = Producer::open(&target).await?;
    let topic = old.client.topic(1).await?;
    old.write(&topic, 0, &["v"]).await?;
    old.finish(End::Commit).await?;
    let mut new = Producer::open_as(&target, &old.transactional_id, 60_000).await?;
    new.write(&topic, 0, &["w"]).await?;
    let error = old.produce(&topic, 0, &["x"]).await?.0;
    same("error", error, 47)
}

async fn nothing_begun(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    for end in [End::Commit, End::Abort] {
        same(format!("error of {end:?}"), producer.end(end).await?, 48)?;
    }
    Ok(())
}

async fn end_again(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["v"]).await?;
    same("commit", producer.end(End::Commit).await?, 0)?;
    same("commit again", producer.end(End::Commit).await?, 0)?;
    same("abort after commit", producer.end(End::Abort).await?, 48)
}

async fn end_unknown(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    producer.transactional_id = producer.client.transactional_id().await?;
    same("error", producer.end(End::Commit).await?, 49)
}

async fn end_wrong_epoch(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["v"]).await?;
    producer.epoch += 1;
    let request = producer.end_request(End::Commit);
    for (version, error) in [(1, 47), (2, 90), (3, 90)] {
        let found = end_transaction(&mut producer.client, version, &request).await?;
        same(format!("error in version {version}"), found, error)?;
    }
    Ok(())
}

async fn offsets_not_added(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let (topic, group) = (
        producer.client.topic(1).await?,
        producer.client.group().await?,
    );
    same(
        "error",
        producer.commit_offset(&group, &topic, 1).await?,
        48,
    )?;
    same(
        "committed",
        committed(&mut producer.client, &group, &topic).await?,
        nothing_committed(),
    )
}

async fn offsets_of_unknown_member(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let (topic, group) = (
        producer.client.topic(1).await?,
        producer.client.group().await?,
    );
    same("AddOffsetsToTxn", producer.add_offsets(&group).await?, 0)?;
    let request = producer
        .offsets_request(&group, &topic, 1)
        .with_member_id(text("somebody"))
        .with_generation_id(1);
    // Kafka: 25 from a group with members, 22 from one that has none.
    one_of("error", producer.ask_offsets(&request).await?, &[25, 22])?;
    let mut members = [super::member::Member::worker(&target, &group).await?];
    super::member::form(&mut members).await?;
    let request = request.with_generation_id(members[0].generation);
    same(
        "error with members",
        producer.ask_offsets(&request).await?,
        25,
    )
}

async fn offsets_of_unknown_topic(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let group = producer.client.group().await?;
    same("AddOffsetsToTxn", producer.add_offsets(&group).await?, 0)?;
    same(
        "error",
        producer
            .commit_offset(&group, &unique("unknown"), 1)
            .await?,
        3,
    )
}

async fn add_offsets_errors(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let group = producer.client.group().await?;
    producer.epoch += 1;
    same(
        "error of a wrong epoch",
        producer.add_offsets(&group).await?,
        90,
    )?;
    producer.epoch -= 1;
    producer.id += 1_000_000;
    same(
        "error of a wrong producer id",
        producer.add_offsets(&group).await?,
        49,
    )?;
    producer.transactional_id = producer.client.transactional_id().await?;
    same(
        "error of an unknown transactional id",
        producer.add_offsets(&group).await?,
        49,
    )
}

async fn zombie(target: Target) -> Result<()> {
    let mut old = Producer::open(&target).await?;
    let topic = old.client.topic(1).await?;
    old.write(&topic, 0, &["zombie"]).await?;
    let mut new = Producer::open_as(&target, &old.transactional_id, 60_000).await?;
    new.write(&topic, 0, &["new"]).await?;
    same("Produce", old.produce(&topic, 0, &["late"]).await?.0, 47)?;
    same("EndTxn", old.end(End::Commit).await?, 90)?;
    new.finish(End::Commit).await?;
    new.client.settled(&topic, 0).await?;
    let read = new
        .client
        .read(&topic, 0, super::client::Isolation::Committed)
        .await?;
    same("committed values", read, vec!["new".to_owned()])
}
