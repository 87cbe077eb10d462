//! Transactions that work: committed, aborted, timed out, with offsets, seen by readers.

use anyhow::{Context as _, Result, ensure};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::{
    ApiKey, DescribeProducersRequest, DescribeTransactionsRequest, InitProducerIdRequest,
    ListTransactionsRequest, TransactionalId,
};

use super::client::{Client, Isolation, topic_name};
use super::member::{committed, committed_request, nothing_committed};
use super::producer::{End, Producer, init, init_request};
use super::wire::text;
use super::{Part, Target, same, until};

pub fn part() -> Part {
    use ApiKey::{DescribeProducers, DescribeTransactions, ListTransactions};
    Part::new("transactions")
        .check("commit: records are seen", commit)
        .check("abort: records are not seen", abort)
        .check("interleaved transactions of two producers", interleaved)
        .check("several topics in one transaction", several_topics)
        .check("sequences go on across transactions", sequences_go_on)
        .check("the last stable offset holds readers back", held_back)
        .check(
            "ListOffsets -1 committed is the last stable offset",
            stable_end,
        )
        .check("the end offset counts markers", markers_count)
        .check(
            "aborted list: producer id and first offset of what overlaps",
            aborted_list,
        )
        .check(
            "aborted list: null or empty for read_uncommitted",
            aborted_list_uncommitted,
        )
        .check(
            "offsets in a transaction: invisible until commit, require_stable 88 meanwhile",
            offsets_commit,
        )
        .check("offsets in a transaction: gone after abort", offsets_abort)
        .check("InitProducerId with own id and epoch: + 1", own_epoch)
        .check(
            "InitProducerId over an open transaction aborts it",
            init_aborts,
        )
        .waiting("the transaction timeout aborts", timeout_aborts)
        .optional(
            &[DescribeTransactions],
            "DescribeTransactions: Ongoing; unknown id 105",
            describe_transactions,
        )
        .optional(
            &[ListTransactions],
            "ListTransactions: Ongoing",
            list_transactions,
        )
        .optional(
            &[DescribeProducers],
            "DescribeProducers: start offset, last sequence",
            describe_producers,
        )
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Both sights of partition 0, once no transaction is open.
async fn expect_values(
    client: &mut Client,
    topic: &str,
    seen: &[&str],
    all: &[&str],
) -> Result<()> {
    client.settled(topic, 0).await?;
    same(
        "committed values",
        client.read(topic, 0, Isolation::Committed).await?,
        texts(seen),
    )?;
    same(
        "all values",
        client.read(topic, 0, Isolation::Uncommitted).await?,
        texts(all),
    )
}

async fn commit(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["a", "b"]).await?;
    producer.finish(End::Commit).await?;
    expect_values(&mut producer.client, &topic, &["a", "b"], &["a", "b"]).await
}

async fn abort(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["a", "b"]).await?;
    producer.finish(End::Abort).await?;
    producer.write(&topic, 0, &["c"]).await?;
    producer.finish(End::Commit).await?;
    expect_values(&mut producer.client, &topic, &["c"], &["a", "b", "c"]).await
}

async fn interleaved(target: Target) -> Result<()> {
    let (mut one, mut other) = (
        Producer::open(&target).await?,
        Producer::open(&target).await?,
    );
    let topic = one.client.topic(1).await?;
    one.write(&topic, 0, &["1a"]).await?;
    other.write(&topic, 0, &["2a"]).await?;
    one.client.append(&topic, 0, &["plain"]).await?;
    same("produce", one.produce(&topic, 0, &["1b"]).await?.0, 0)?;
    other.finish(End::Abort).await?;
    one.finish(End::Commit).await?;
    expect_values(
        &mut one.client,
        &topic,
        &["1a", "plain", "1b"],
        &["1a", "2a", "plain", "1b"],
    )
    .await
}

async fn several_topics(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topics = [
        producer.client.topic(1).await?,
        producer.client.topic(2).await?,
    ];
    let errors = producer.add(&[(&topics[0], 0), (&topics[1], 1)]).await?;
    same("AddPartitionsToTxn", errors, vec![0, 0])?;
    same(
        "produce",
        producer.produce(&topics[0], 0, &["a"]).await?.0,
        0,
    )?;
    same(
        "produce",
        producer.produce(&topics[1], 1, &["b"]).await?.0,
        0,
    )?;
    producer.finish(End::Commit).await?;
    for (topic, partition, value) in [(&topics[0], 0, "a"), (&topics[1], 1, "b")] {
        producer.client.settled(topic, partition).await?;
        let read = producer
            .client
            .read(topic, partition, Isolation::Committed)
            .await?;
        same("values", read, texts(&[value]))?;
    }
    Ok(())
}

async fn sequences_go_on(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    for (value, end) in [("a", End::Commit), ("b", End::Abort), ("c", End::Commit)] {
        producer.write(&topic, 0, &[value]).await?;
        producer.finish(end).await?;
    }
    expect_values(&mut producer.client, &topic, &["a", "c"], &["a", "b", "c"]).await
}

async fn held_back(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    let client = &mut Client::open(&target).await?;
    client.append(&topic, 0, &["before"]).await?;
    producer.write(&topic, 0, &["open"]).await?;
    client.append(&topic, 0, &["after"]).await?;
    let data = client.fetch(&topic, 0, 0, Isolation::Committed).await?;
    same(
        "last stable offset and high watermark",
        (data.last_stable_offset, data.high_watermark),
        (1, 3),
    )?;
    same(
        "committed values",
        client.read(&topic, 0, Isolation::Committed).await?,
        texts(&["before"]),
    )?;
    producer.finish(End::Commit).await?;
    expect_values(
        client,
        &topic,
        &["before", "open", "after"],
        &["before", "open", "after"],
    )
    .await
}

async fn stable_end(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.client.append(&topic, 0, &["before"]).await?;
    producer.write(&topic, 0, &["open"]).await?;
    let client = &mut producer.client;
    same(
        "committed",
        client
            .offset_seen(&topic, 0, -1, Isolation::Committed)
            .await?
            .offset,
        1,
    )?;
    same(
        "uncommitted",
        client
            .offset_seen(&topic, 0, -1, Isolation::Uncommitted)
            .await?
            .offset,
        2,
    )
}

async fn markers_count(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["a", "b"]).await?;
    producer.finish(End::Commit).await?;
    same(
        "high watermark",
        producer.client.settled(&topic, 0).await?,
        3,
    )?;
    same(
        "ListOffsets -1",
        producer.client.offset(&topic, 0, -1).await?.offset,
        3,
    )?;
    same(
        "the next offset",
        producer.client.append(&topic, 0, &["c"]).await?,
        3,
    )
}

async fn aborted_list(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    // Offsets: 0 a, 1 marker, 2 b, 3 marker, 4 c, 5 marker.
    for (value, end) in [("a", End::Abort), ("b", End::Commit), ("c", End::Abort)] {
        producer.write(&topic, 0, &[value]).await?;
        producer.finish(end).await?;
        producer.client.settled(&topic, 0).await?;
    }
    for (from, expected) in [(0, vec![0, 4]), (2, vec![4]), (5, vec![4])] {
        let data = producer
            .client
            .fetch(&topic, 0, from, Isolation::Committed)
            .await?;
        let mut found: Vec<_> = data
            .aborted_transactions
            .unwrap_or_default()
            .iter()
            .map(|entry| (entry.producer_id.0, entry.first_offset))
            .collect();
        found.sort_unstable();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|offset| (producer.id, offset))
            .collect();
        same(format!("aborted list from {from}"), found, expected)?;
    }
    Ok(())
}

async fn aborted_list_uncommitted(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["a"]).await?;
    producer.finish(End::Abort).await?;
    producer.client.settled(&topic, 0).await?;
    let data = producer
        .client
        .fetch(&topic, 0, 0, Isolation::Uncommitted)
        .await?;
    same(
        "entries",
        data.aborted_transactions.unwrap_or_default().len(),
        0,
    )
}

/// A producer with an offset in its open transaction, the group and the topic.
async fn with_offset(target: &Target) -> Result<(Producer, String, String)> {
    let mut producer = Producer::open(target).await?;
    let (topic, group) = (
        producer.client.topic(1).await?,
        producer.client.group().await?,
    );
    same("AddOffsetsToTxn", producer.add_offsets(&group).await?, 0)?;
    same(
        "TxnOffsetCommit",
        producer.commit_offset(&group, &topic, 5).await?,
        0,
    )?;
    Ok((producer, group, topic))
}

async fn stable_error(client: &mut Client, group: &str, topic: &str) -> Result<i16> {
    let request = committed_request(&[group], topic).with_require_stable(true);
    let answer = client.ask(&request).await?;
    let group = answer.groups.first().context("no group in the answer")?;
    let topic = group.topics.first().context("no topic in the answer")?;
    Ok(topic
        .partitions
        .first()
        .context("no partition in the answer")?
        .error_code)
}

/// Waits until no offset of the group is open: markers may follow the answer to EndTxn.
async fn offsets_settled(client: &mut Client, group: &str, topic: &str) -> Result<()> {
    until(format!("offsets of {group} are stable"), async || {
        Ok(match stable_error(client, group, topic).await? {
            88 => Err("error 88".to_owned()),
            _ => Ok(()),
        })
    })
    .await
}

async fn offsets_commit(target: Target) -> Result<()> {
    let (mut producer, group, topic) = with_offset(&target).await?;
    let client = &mut Client::open(&target).await?;
    same(
        "committed meanwhile",
        committed(client, &group, &topic).await?,
        nothing_committed(),
    )?;
    same(
        "error with require_stable meanwhile",
        stable_error(client, &group, &topic).await?,
        88,
    )?;
    producer.finish(End::Commit).await?;
    offsets_settled(client, &group, &topic).await?;
    same("committed", committed(client, &group, &topic).await?.0, 5)
}

async fn offsets_abort(target: Target) -> Result<()> {
    let (mut producer, group, topic) = with_offset(&target).await?;
    producer.finish(End::Abort).await?;
    let client = &mut producer.client;
    offsets_settled(client, &group, &topic).await?;
    same(
        "committed",
        committed(client, &group, &topic).await?,
        nothing_committed(),
    )
}

async fn own_epoch(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let request: InitProducerIdRequest = init_request(&producer.transactional_id, 60_000)
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch);
    let answer = init(&mut producer.client, &request).await?;
    let found = (
        answer.error_code,
        answer.producer_id.0,
        answer.producer_epoch,
    );
    same(
        "error, id and epoch",
        found,
        (0, producer.id, producer.epoch + 1),
    )
}

async fn init_aborts(target: Target) -> Result<()> {
    let mut old = Producer::open(&target).await?;
    let topic = old.client.topic(1).await?;
    old.write(&topic, 0, &["lost"]).await?;
    let mut new = Producer::open_as(&target, &old.transactional_id, 60_000).await?;
    same("producer id", new.id, old.id)?;
    ensure!(
        new.epoch > old.epoch,
        "epoch: found {}, expected more than {}",
        new.epoch,
        old.epoch
    );
    new.write(&topic, 0, &["kept"]).await?;
    new.finish(End::Commit).await?;
    expect_values(&mut new.client, &topic, &["kept"], &["lost", "kept"]).await
}

async fn timeout_aborts(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, id) = (client.topic(1).await?, client.transactional_id().await?);
    let mut producer = Producer::open_as(&target, &id, 1_000).await?;
    producer.write(&topic, 0, &["late"]).await?;
    client.settled(&topic, 0).await?;
    same(
        "committed values",
        client.read(&topic, 0, Isolation::Committed).await?,
        texts(&[]),
    )?;
    let error = producer.end_as(3, End::Commit).await?;
    super::one_of("EndTxn afterwards", error, &[90, 48])
}

async fn describe_transactions(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["open"]).await?;
    let ids = [producer.transactional_id.clone(), super::unique("unknown")];
    let request = DescribeTransactionsRequest::default()
        .with_transactional_ids(ids.iter().map(|id| TransactionalId(text(id))).collect());
    let answer = producer.client.ask(&request).await?;
    same("transactions", answer.transaction_states.len(), 2)?;
    for state in &answer.transaction_states {
        if state.transactional_id.as_str() != ids[0] {
            same("error of the unknown id", state.error_code, 105)?;
            continue;
        }
        let found = (
            state.error_code,
            state.transaction_state.as_str(),
            state.producer_id.0,
            state.producer_epoch,
            state.transaction_timeout_ms,
        );
        same(
            "error, state, id, epoch, timeout",
            found,
            (0, "Ongoing", producer.id, producer.epoch, 60_000),
        )?;
        let topics: Vec<_> = state
            .topics
            .iter()
            .map(|topic| (topic.topic.to_string(), topic.partitions.clone()))
            .collect();
        same("partitions", topics, vec![(topic.clone(), vec![0])])?;
    }
    Ok(())
}

async fn list_transactions(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.write(&topic, 0, &["open"]).await?;
    for (state, expected) in [("Ongoing", true), ("Empty", false)] {
        let request = ListTransactionsRequest::default()
            .with_state_filters(vec![text(state)])
            .with_duration_filter(-1)
            .with_transactional_id_pattern(None);
        let answer = producer.client.ask(&request).await?;
        same("error", answer.error_code, 0)?;
        let found = answer
            .transaction_states
            .iter()
            .find(|found| found.transactional_id.as_str() == producer.transactional_id);
        same(format!("listed as {state}"), found.is_some(), expected)?;
        if let Some(found) = found {
            same(
                "producer id and state",
                (found.producer_id.0, found.transaction_state.as_str()),
                (producer.id, "Ongoing"),
            )?;
        }
    }
    Ok(())
}

async fn describe_producers(target: Target) -> Result<()> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.client.append(&topic, 0, &["before"]).await?;
    producer.write(&topic, 0, &["a", "b"]).await?;
    let wanted = TopicRequest::default()
        .with_name(topic_name(&topic))
        .with_partition_indexes(vec![0]);
    let answer = producer
        .client
        .ask(&DescribeProducersRequest::default().with_topics(vec![wanted]))
        .await?;
    let partition = &answer
        .topics
        .first()
        .context("no topic in the answer")?
        .partitions[0];
    same("error", partition.error_code, 0)?;
    let found: Vec<_> = partition
        .active_producers
        .iter()
        .map(|state| {
            (
                state.producer_id.0,
                state.producer_epoch,
                state.last_sequence,
                state.current_txn_start_offset,
            )
        })
        .collect();
    same(
        "id, epoch, last sequence, start offset",
        found,
        vec![(producer.id, i32::from(producer.epoch), 1, 1)],
    )
}
