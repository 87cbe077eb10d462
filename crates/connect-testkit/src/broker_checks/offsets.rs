//! Committed offsets of groups: kept, asked for, deleted.

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::{DeleteGroupsRequest, OffsetDeleteRequest, OffsetFetchRequest};
use kafka_protocol::protocol::Encodable;

use super::client::{Client, Isolation, group_id, topic_name};
use super::member::{
    Member, commit, commit_request, committed, committed_request, form, nothing_committed,
    simple_commit,
};
use super::wire::text;
use super::{Part, Target, same, unique};

pub fn part() -> Part {
    Part::new("offsets")
        .check("consume, commit, resume", resume)
        .check("commit metadata is kept", metadata_kept)
        .check("nothing committed: -1 with metadata \"\"", nothing)
        .check("an unknown group: the same, error 0", unknown_group)
        .check("two groups in one OffsetFetch 8", two_groups)
        .check("all topics of a group in one OffsetFetch", all_topics)
        .check("commit for an unknown topic: 3", commit_unknown_topic)
        .check("metadata of 4097 bytes: 12", long_metadata)
        .check(
            "commit with a generation to an unknown group: 22",
            generation_of_unknown_group,
        )
        .check("an empty group id is accepted", empty_group_id)
        .check(
            "a simple commit to an active group 25, to an emptied one OK",
            simple_commits,
        )
        .check("OffsetDelete of an unknown group: 69", delete_unknown_group)
        .check(
            "OffsetDelete of an active group that is no consumer's: 68",
            delete_active_worker_group,
        )
        .check(
            "OffsetDelete of an active consumer group: subscribed topic 86, other topic OK",
            delete_active_consumer_group,
        )
        .check("OffsetDelete where nothing is: OK", delete_nothing)
        .check(
            "OffsetDelete of an empty group: the offset is gone",
            delete_offset,
        )
        .check("DeleteGroups, unknown: 69", delete_groups_unknown)
        .check("DeleteGroups, active: 68", delete_groups_active)
        .check(
            "DeleteGroups, empty: OK, and its offsets are gone",
            delete_groups_empty,
        )
}

async fn resume(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    client.append(&topic, 0, &["a", "b", "c"]).await?;
    let mut first = [consumer(&target, &group, &[&topic]).await?];
    form(&mut first).await?;
    same("commit", first[0].commit(&topic, 2).await?, 0)?;
    first[0].leave_well().await?;
    let mut second = [consumer(&target, &group, &[&topic]).await?];
    form(&mut second).await?;
    let (offset, _, error) = committed(&mut second[0].client, &group, &topic).await?;
    same("committed offset and error", (offset, error), (2, 0))?;
    let rest = client
        .read_from(&topic, 0, offset, Isolation::Uncommitted)
        .await?;
    same("what is read from there", rest, vec![(2, "c".to_owned())])
}

/// What a Java consumer says when it joins.
pub fn subscription(topics: &[&str]) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&1i16.to_be_bytes());
    ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(|topic| text(*topic)).collect())
        .with_user_data(None)
        .encode(&mut bytes, 1)?;
    Ok(bytes.freeze())
}

/// A consumer that offers `range`.
pub async fn consumer(target: &Target, group: &str, topics: &[&str]) -> Result<Member> {
    Member::new(
        target,
        group,
        "consumer",
        &[("range", &subscription(topics)?)],
    )
    .await
}

async fn metadata_kept(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let request = commit_request(&group, &topic, 7, "said ümlaut");
    same("commit", commit(&mut client, &request).await?, 0)?;
    same(
        "committed",
        committed(&mut client, &group, &topic).await?,
        (7, Some("said ümlaut".to_owned()), 0),
    )
}

async fn nothing(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, other, group) = (
        client.topic(1).await?,
        client.topic(1).await?,
        client.group().await?,
    );
    same(
        "commit",
        simple_commit(&mut client, &group, &topic, 1).await?,
        0,
    )?;
    same(
        "committed",
        committed(&mut client, &group, &other).await?,
        nothing_committed(),
    )
}

async fn unknown_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    same(
        "committed",
        committed(&mut client, &group, &topic).await?,
        nothing_committed(),
    )
}

async fn two_groups(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let groups = [client.group().await?, client.group().await?];
    for (offset, group) in (5..).zip(&groups) {
        same(
            "commit",
            simple_commit(&mut client, group, &topic, offset).await?,
            0,
        )?;
    }
    let request = committed_request(&[&groups[0], &groups[1]], &topic);
    let answer = client.ask(&request).await?;
    let found: Vec<_> = answer
        .groups
        .iter()
        .map(|group| {
            let partition = group
                .topics
                .first()
                .and_then(|topic| topic.partitions.first());
            (
                group.group_id.to_string(),
                group.error_code,
                partition.map(|partition| partition.committed_offset),
            )
        })
        .collect();
    let [one, other] = groups;
    same(
        "groups",
        found,
        vec![(one, 0, Some(5)), (other, 0, Some(6))],
    )
}

async fn all_topics(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (group, mut topics) = (
        client.group().await?,
        vec![client.topic(1).await?, client.topic(1).await?],
    );
    for topic in &topics {
        same(
            "commit",
            simple_commit(&mut client, &group, topic, 3).await?,
            0,
        )?;
    }
    let mut request = committed_request(&[&group], "any");
    for wanted in &mut request.groups {
        wanted.topics = None;
    }
    let answer = client.ask(&request).await?;
    let answer = answer.groups.first().context("no group in the answer")?;
    same("error", answer.error_code, 0)?;
    let mut found: Vec<_> = answer
        .topics
        .iter()
        .map(|topic| topic.name.to_string())
        .collect();
    found.sort();
    topics.sort();
    same("topics", found, topics)?;
    // As librdkafka asks: one group, in versions before 8.
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id(&group))
        .with_topics(None);
    let answer = client.connection.ask(7, &request).await?;
    same(
        "error and topics in version 7",
        (answer.error_code, answer.topics.len()),
        (0, 2),
    )
}

async fn commit_unknown_topic(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    same(
        "error",
        simple_commit(&mut client, &group, &unique("unknown"), 1).await?,
        3,
    )
}

async fn long_metadata(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let request = commit_request(&group, &topic, 1, &"m".repeat(4097));
    same("error", commit(&mut client, &request).await?, 12)?;
    let request = commit_request(&group, &topic, 1, &"m".repeat(4096));
    same(
        "error of 4096 bytes",
        commit(&mut client, &request).await?,
        0,
    )
}

async fn generation_of_unknown_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let request = commit_request(&group, &topic, 1, "")
        .with_generation_id_or_member_epoch(1)
        .with_member_id(text("somebody"));
    same("error", commit(&mut client, &request).await?, 22)
}

async fn empty_group_id(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    same(
        "commit",
        simple_commit(&mut client, "", &topic, 4).await?,
        0,
    )?;
    same(
        "committed",
        committed(&mut client, "", &topic).await?,
        (4, Some(String::new()), 0),
    )
}

async fn simple_commits(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let mut members = [Member::worker(&target, &group).await?];
    form(&mut members).await?;
    same(
        "error while it is active",
        simple_commit(&mut client, &group, &topic, 1).await?,
        25,
    )?;
    members[0].leave_well().await?;
    same(
        "error when it is empty",
        simple_commit(&mut client, &group, &topic, 2).await?,
        0,
    )?;
    same(
        "committed",
        committed(&mut client, &group, &topic).await?.0,
        2,
    )
}

/// The error at the top, and of the partition if there is one.
async fn delete(client: &mut Client, group: &str, topic: &str) -> Result<(i16, Option<i16>)> {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
    let wanted = OffsetDeleteRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default()
        .with_group_id(group_id(group))
        .with_topics(vec![wanted]);
    let answer = client.ask(&request).await?;
    let partition = answer
        .topics
        .first()
        .and_then(|topic| topic.partitions.first());
    Ok((
        answer.error_code,
        partition.map(|partition| partition.error_code),
    ))
}

async fn delete_unknown_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    same("error", delete(&mut client, &group, &topic).await?.0, 69)
}

async fn delete_active_worker_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let mut members = [Member::worker(&target, &group).await?];
    form(&mut members).await?;
    same("commit", members[0].commit(&topic, 1).await?, 0)?;
    same("error", delete(&mut client, &group, &topic).await?.0, 68)?;
    same(
        "committed",
        committed(&mut client, &group, &topic).await?.0,
        1,
    )
}

async fn delete_active_consumer_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, other, group) = (
        client.topic(1).await?,
        client.topic(1).await?,
        client.group().await?,
    );
    let mut members = [consumer(&target, &group, &[&topic]).await?];
    form(&mut members).await?;
    for topic in [&topic, &other] {
        same("commit", members[0].commit(topic, 1).await?, 0)?;
    }
    same(
        "errors for the subscribed topic",
        delete(&mut client, &group, &topic).await?,
        (0, Some(86)),
    )?;
    same(
        "errors for the other topic",
        delete(&mut client, &group, &other).await?,
        (0, Some(0)),
    )?;
    same(
        "committed of the subscribed topic",
        committed(&mut client, &group, &topic).await?.0,
        1,
    )?;
    same(
        "committed of the other topic",
        committed(&mut client, &group, &other).await?,
        nothing_committed(),
    )
}

async fn delete_nothing(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, other, group) = (
        client.topic(1).await?,
        client.topic(1).await?,
        client.group().await?,
    );
    same(
        "commit",
        simple_commit(&mut client, &group, &topic, 1).await?,
        0,
    )?;
    same(
        "errors",
        delete(&mut client, &group, &other).await?,
        (0, Some(0)),
    )
}

async fn delete_offset(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, other, group) = (
        client.topic(1).await?,
        client.topic(1).await?,
        client.group().await?,
    );
    for topic in [&topic, &other] {
        same(
            "commit",
            simple_commit(&mut client, &group, topic, 1).await?,
            0,
        )?;
    }
    same(
        "errors",
        delete(&mut client, &group, &topic).await?,
        (0, Some(0)),
    )?;
    same(
        "committed",
        committed(&mut client, &group, &topic).await?,
        nothing_committed(),
    )?;
    same(
        "committed of the other topic",
        committed(&mut client, &group, &other).await?.0,
        1,
    )
}

async fn delete_group(client: &mut Client, group: &str) -> Result<i16> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
    let answer = client.ask(&request).await?;
    Ok(answer
        .results
        .first()
        .context("no group in the answer")?
        .error_code)
}

async fn delete_groups_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    same("error", delete_group(&mut client, &group).await?, 69)
}

async fn delete_groups_active(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut members = [Member::worker(&target, &group).await?];
    form(&mut members).await?;
    same("error", delete_group(&mut client, &group).await?, 68)?;
    same("heartbeat", members[0].heartbeat().await?, 0)
}

async fn delete_groups_empty(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    same(
        "commit",
        simple_commit(&mut client, &group, &topic, 9).await?,
        0,
    )?;
    same("error", delete_group(&mut client, &group).await?, 0)?;
    same(
        "committed",
        committed(&mut client, &group, &topic).await?,
        nothing_committed(),
    )?;
    same(
        "error of the second",
        delete_group(&mut client, &group).await?,
        69,
    )
}
