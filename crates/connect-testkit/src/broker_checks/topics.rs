//! Topics: created, described, grown, cut, deleted; the cluster and its coordinators.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, FindCoordinatorRequest, MetadataRequest,
};
use uuid::Uuid;

use super::client::{Client, Isolation, creatable, topic_name};
use super::configs::topic_configs;
use super::member::{committed, nothing_committed, simple_commit};
use super::wire::text;
use super::{Part, Target, one_of, same, unique, until};

pub fn part() -> Part {
    Part::new("topics")
        .check("create with config", create_with_config)
        .check("create one that exists: 36", create_existing)
        .check(
            "the same name twice in one request: 42 for both",
            create_twice_at_once,
        )
        .check("create with 0 partitions: 37", |target| {
            create_refused(target, 0, 1, 37)
        })
        .check("create with replication factor 0: 38", |target| {
            create_refused(target, 1, 0, 38)
        })
        .check("create with replication factor 3: 38", |target| {
            create_refused(target, 1, 3, 38)
        })
        .check("create with a bad name: 17", create_bad_name)
        .check("create with a bad config: 40", create_bad_config)
        .check(
            "create with -1 partitions and replicas: the broker's defaults",
            create_defaults,
        )
        .check("validate_only creates nothing", validate_only)
        .check("metadata of all topics", metadata_of_all)
        .check("metadata of an empty list: none", metadata_of_none)
        .check(
            "metadata of an unknown topic without auto-create: 3",
            metadata_of_unknown,
        )
        .check(
            "metadata with auto-create: 3, 5 or 0 first, then there",
            auto_create,
        )
        .check("metadata of a bad name: 17", metadata_of_bad_name)
        .check("metadata by id", metadata_by_id)
        .check(
            "metadata of an unknown id: 100, and the id again",
            metadata_of_unknown_id,
        )
        .check(
            "create partitions, the same number or fewer: 37",
            fewer_partitions,
        )
        .check(
            "create partitions of an unknown topic: 3",
            partitions_of_unknown,
        )
        .check("create partitions, 1 to 3", more_partitions)
        .check(
            "delete records: the low watermark is returned",
            delete_records,
        )
        .check(
            "delete records up to -1: the end",
            delete_records_to_the_end,
        )
        .check(
            "delete records beyond the end: 1 with low watermark -1",
            delete_records_beyond,
        )
        .check(
            "delete records below the start: OK with the start",
            delete_records_below,
        )
        .check(
            "delete records of an unknown topic: 3 with -1",
            delete_records_of_unknown,
        )
        .check(
            "delete records of a compact-only topic: 44",
            delete_records_of_compacted,
        )
        .check(
            "after delete records ListOffsets -2 and Fetch agree",
            after_delete_records,
        )
        .check("delete a topic by name; again: 3", delete_by_name)
        .check("delete a topic by id; again: 100", delete_by_id)
        .check(
            "committed offsets of a deleted topic are gone",
            offsets_of_deleted,
        )
        .check(
            "a topic created again is empty and has another id",
            created_again,
        )
        .check(
            "DescribeCluster: id, controller, one broker",
            describe_cluster,
        )
        .check(
            "FindCoordinator with two keys, both types",
            two_coordinators,
        )
        .check("FindCoordinator with a bad type: 42", bad_coordinator_type)
}

async fn create_with_config(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic_with(2, &[("retention.ms", "12345")]).await?;
    let found = topic_configs(&mut client, &topic, Some(&["retention.ms"])).await?;
    same(
        "retention.ms",
        found.get("retention.ms").map(|(value, _)| value.as_str()),
        Some("12345"),
    )
}

async fn create_existing(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    same("error", client.create(&topic, 1, &[]).await?.error_code, 36)
}

async fn create_twice_at_once(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("twice");
    let request = CreateTopicsRequest::default()
        .with_topics(vec![creatable(&name, 1, &[]), creatable(&name, 1, &[])]);
    let answer = client.ask(&request).await?;
    ensure!(!answer.topics.is_empty(), "no topic in the answer");
    for topic in &answer.topics {
        same("error", topic.error_code, 42)?;
    }
    absent(&mut client, &name).await
}

/// The topic does not come into being.
async fn absent(client: &mut Client, name: &str) -> Result<()> {
    let described = described(client, name).await?;
    same(format!("metadata of {name}"), described.error_code, 3)
}

async fn described(client: &mut Client, name: &str) -> Result<MetadataResponseTopic> {
    let answer = client.metadata(&[name]).await?;
    answer
        .topics
        .into_iter()
        .next()
        .context("no topic in the metadata")
}

async fn create_refused(target: Target, partitions: i32, replicas: i16, error: i16) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("refused");
    let topic = creatable(&name, partitions, &[]).with_replication_factor(replicas);
    same("error", create_one(&mut client, topic).await?, error)?;
    absent(&mut client, &name).await
}

async fn create_one(client: &mut Client, topic: CreatableTopic) -> Result<i16> {
    let answer = client
        .ask(&CreateTopicsRequest::default().with_topics(vec![topic]))
        .await?;
    Ok(answer
        .topics
        .first()
        .context("no topic in the answer")?
        .error_code)
}

async fn create_bad_name(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    for name in ["", ".", "..", "a b", "slash/ed", "ümlaut", &"x".repeat(250)] {
        same(
            format!("error for {name:?}"),
            client.create(name, 1, &[]).await?.error_code,
            17,
        )?;
    }
    Ok(())
}

async fn create_bad_config(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    for config in [
        ("retention.ms", "soon"),
        ("cleanup.policy", "shred"),
        ("no.such.key", "1"),
    ] {
        let created = client.create(&unique("bad"), 1, &[config]).await?;
        same(format!("error for {config:?}"), created.error_code, 40)?;
    }
    Ok(())
}

async fn create_defaults(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("defaults");
    let topic = creatable(&name, -1, &[]).with_replication_factor(-1);
    let answer = client
        .ask(&CreateTopicsRequest::default().with_topics(vec![topic]))
        .await?;
    let created = answer.topics.first().context("no topic in the answer")?;
    same("error", created.error_code, 0)?;
    ensure!(
        created.num_partitions >= 1,
        "found {} partitions, expected at least 1",
        created.num_partitions
    );
    same("replication factor", created.replication_factor, 1)?;
    ensure!(!created.topic_id.is_nil(), "the new topic has no id");
    client
        .wait_until_usable(&name, created.num_partitions)
        .await
}

async fn validate_only(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("validated");
    let request = CreateTopicsRequest::default()
        .with_topics(vec![creatable(&name, 1, &[])])
        .with_validate_only(true);
    let answer = client.ask(&request).await?;
    same(
        "error",
        answer.topics.first().map(|topic| topic.error_code),
        Some(0),
    )?;
    absent(&mut client, &name).await
}

async fn metadata_of_all(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let ours = BTreeSet::from([client.topic(1).await?, client.topic(2).await?]);
    let answer = client
        .ask(&MetadataRequest::default().with_topics(None))
        .await?;
    let found: BTreeSet<String> = answer
        .topics
        .iter()
        .filter_map(|topic| topic.name.as_ref().map(|name| name.to_string()))
        .filter(|name| ours.contains(name))
        .collect();
    same("topics that were just created", found, ours)?;
    same("brokers", answer.brokers.len(), 1)?;
    ensure!(answer.cluster_id.is_some(), "the cluster has no id");
    same(
        "controller",
        answer.controller_id,
        answer.brokers[0].node_id,
    )
}

async fn metadata_of_none(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let answer = client
        .ask(&MetadataRequest::default().with_topics(Some(Vec::new())))
        .await?;
    same("topics", answer.topics.len(), 0)?;
    same("brokers", answer.brokers.len(), 1)
}

async fn metadata_of_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("unknown");
    absent(&mut client, &name).await?;
    absent(&mut client, &name).await
}

async fn auto_create(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let name = unique("auto");
    let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(&name)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(true);
    let first = client.ask(&request).await?;
    let first = first.topics.first().context("no topic in the metadata")?;
    one_of("the first error", first.error_code, &[3, 5, 0])?;
    until(format!("{name} comes into being"), async || {
        let topic = described(&mut client, &name).await?;
        Ok(match topic.error_code {
            0 if !topic.partitions.is_empty() => Ok(()),
            error => Err(format!("error {error}")),
        })
    })
    .await
}

async fn metadata_of_bad_name(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    for name in ["a b", ".", "slash/ed"] {
        same(
            format!("error for {name:?}"),
            described(&mut client, name).await?.error_code,
            17,
        )?;
    }
    Ok(())
}

async fn by_id(client: &mut Client, id: Uuid) -> Result<MetadataResponseTopic> {
    // As the Java admin client does: an empty name, which is not null.
    let wanted = MetadataRequestTopic::default()
        .with_topic_id(id)
        .with_name(Some(topic_name("")));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    let answer = client.ask(&request).await?;
    answer
        .topics
        .into_iter()
        .next()
        .context("no topic in the metadata")
}

async fn metadata_by_id(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let id = described(&mut client, &topic).await?.topic_id;
    ensure!(!id.is_nil(), "{topic} has no id");
    let found = by_id(&mut client, id).await?;
    same("error", found.error_code, 0)?;
    same("name", found.name, Some(topic_name(&topic)))?;
    same("id", found.topic_id, id)
}

async fn metadata_of_unknown_id(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    let found = by_id(&mut client, id).await?;
    same("error", found.error_code, 100)?;
    same("id", found.topic_id, id)
}

async fn grow(client: &mut Client, topic: &str, count: i32) -> Result<i16> {
    let wanted = CreatePartitionsTopic::default()
        .with_name(topic_name(topic))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(30_000);
    let answer = client.ask(&request).await?;
    Ok(answer
        .results
        .first()
        .context("no topic in the answer")?
        .error_code)
}

async fn fewer_partitions(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(2).await?;
    for count in [2, 1, 0] {
        same(
            format!("error for {count} instead of 2"),
            grow(&mut client, &topic, count).await?,
            37,
        )?;
    }
    Ok(())
}

async fn partitions_of_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same("error", grow(&mut client, &unique("unknown"), 3).await?, 3)
}

async fn more_partitions(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    client.append(&topic, 0, &["old"]).await?;
    same("error", grow(&mut client, &topic, 3).await?, 0)?;
    client.wait_until_usable(&topic, 3).await?;
    client.append(&topic, 2, &["new"]).await?;
    same(
        "partition 0",
        client.read(&topic, 0, Isolation::Uncommitted).await?,
        vec!["old".to_owned()],
    )?;
    same(
        "partition 2",
        client.read(&topic, 2, Isolation::Uncommitted).await?,
        vec!["new".to_owned()],
    )
}

/// Low watermark and error.
async fn cut(client: &mut Client, topic: &str, offset: i64) -> Result<(i64, i16)> {
    let partition = DeleteRecordsPartition::default()
        .with_partition_index(0)
        .with_offset(offset);
    let wanted = DeleteRecordsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(30_000);
    let answer = client.ask(&request).await?;
    let topic = answer.topics.first().context("no topic in the answer")?;
    let partition = topic
        .partitions
        .first()
        .context("no partition in the answer")?;
    Ok((partition.low_watermark, partition.error_code))
}

/// A topic with five records.
async fn five(client: &mut Client) -> Result<String> {
    let topic = client.topic(1).await?;
    for value in ["a", "b", "c", "d", "e"] {
        client.append(&topic, 0, &[value]).await?;
    }
    Ok(topic)
}

async fn delete_records(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    same(
        "low watermark and error",
        cut(&mut client, &topic, 3).await?,
        (3, 0),
    )
}

async fn delete_records_to_the_end(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    same(
        "low watermark and error",
        cut(&mut client, &topic, -1).await?,
        (5, 0),
    )?;
    same(
        "the next offset",
        client.append(&topic, 0, &["f"]).await?,
        5,
    )
}

async fn delete_records_beyond(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    same(
        "low watermark and error",
        cut(&mut client, &topic, 6).await?,
        (-1, 1),
    )
}

async fn delete_records_below(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    same("the first cut", cut(&mut client, &topic, 3).await?, (3, 0))?;
    same(
        "low watermark and error",
        cut(&mut client, &topic, 1).await?,
        (3, 0),
    )
}

async fn delete_records_of_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "low watermark and error",
        cut(&mut client, &unique("unknown"), 0).await?,
        (-1, 3),
    )
}

async fn delete_records_of_compacted(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client
        .topic_with(1, &[("cleanup.policy", "compact")])
        .await?;
    client.append(&topic, 0, &["a", "b"]).await?;
    same("error", cut(&mut client, &topic, 1).await?.1, 44)
}

async fn after_delete_records(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    same("the cut", cut(&mut client, &topic, 3).await?, (3, 0))?;
    same(
        "ListOffsets -2",
        client.offset(&topic, 0, -2).await?.offset,
        3,
    )?;
    let below = client.fetch(&topic, 0, 2, Isolation::Uncommitted).await?;
    same("Fetch below the start", below.error_code, 1)?;
    let read = client
        .read_from(&topic, 0, 3, Isolation::Uncommitted)
        .await?;
    same(
        "what is left",
        read,
        vec![(3, "d".to_owned()), (4, "e".to_owned())],
    )
}

async fn delete(client: &mut Client, topic: DeleteTopicState) -> Result<DeletableTopicResult> {
    let answer = client
        .ask(
            &DeleteTopicsRequest::default()
                .with_topics(vec![topic])
                .with_timeout_ms(30_000),
        )
        .await?;
    answer
        .responses
        .into_iter()
        .next()
        .context("no topic in the answer")
}

async fn delete_named(client: &mut Client, name: &str) -> Result<i16> {
    let topic = DeleteTopicState::default().with_name(Some(topic_name(name)));
    Ok(delete(client, topic).await?.error_code)
}

/// Metadata no longer knows it.
async fn wait_until_gone(client: &mut Client, name: &str) -> Result<()> {
    until(format!("{name} is gone"), async || {
        Ok(match described(client, name).await?.error_code {
            3 => Ok(()),
            error => Err(format!("error {error}")),
        })
    })
    .await
}

async fn delete_by_name(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    same("error", delete_named(&mut client, &topic).await?, 0)?;
    same(
        "error of the second",
        delete_named(&mut client, &topic).await?,
        3,
    )?;
    wait_until_gone(&mut client, &topic).await
}

async fn delete_by_id(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let id = described(&mut client, &topic).await?.topic_id;
    let by_id = DeleteTopicState::default()
        .with_name(None)
        .with_topic_id(id);
    let deleted = delete(&mut client, by_id.clone()).await?;
    same("error", deleted.error_code, 0)?;
    same("name", deleted.name, Some(topic_name(&topic)))?;
    same("id", deleted.topic_id, id)?;
    let again = delete(&mut client, by_id).await?;
    same("error of the second", again.error_code, 100)?;
    same("id of the second", again.topic_id, id)?;
    wait_until_gone(&mut client, &topic).await
}

async fn offsets_of_deleted(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    client.append(&topic, 0, &["a"]).await?;
    same(
        "commit",
        simple_commit(&mut client, &group, &topic, 1).await?,
        0,
    )?;
    same("delete", delete_named(&mut client, &topic).await?, 0)?;
    until(format!("committed offset of {topic} is gone"), async || {
        let found = committed(&mut client, &group, &topic).await?;
        Ok(match found == nothing_committed() {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        })
    })
    .await
}

async fn created_again(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = five(&mut client).await?;
    let id = described(&mut client, &topic).await?.topic_id;
    same("delete", delete_named(&mut client, &topic).await?, 0)?;
    wait_until_gone(&mut client, &topic).await?;
    same("create", client.create(&topic, 1, &[]).await?.error_code, 0)?;
    client.wait_until_usable(&topic, 1).await?;
    ensure!(
        described(&mut client, &topic).await?.topic_id != id,
        "the new topic has the old id {id}"
    );
    same(
        "ListOffsets -1",
        client.offset(&topic, 0, -1).await?.offset,
        0,
    )?;
    same(
        "the first offset",
        client.append(&topic, 0, &["new"]).await?,
        0,
    )?;
    same(
        "values",
        client.read(&topic, 0, Isolation::Uncommitted).await?,
        vec!["new".to_owned()],
    )
}

async fn describe_cluster(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let answer = client.ask(&DescribeClusterRequest::default()).await?;
    same("error", answer.error_code, 0)?;
    ensure!(!answer.cluster_id.is_empty(), "the cluster has no id");
    let metadata = client.metadata(&[]).await?;
    same(
        "id in the metadata",
        metadata.cluster_id,
        Some(answer.cluster_id),
    )?;
    same("brokers", answer.brokers.len(), 1)?;
    same(
        "controller",
        answer.controller_id,
        answer.brokers[0].broker_id,
    )?;
    let address = format!("{}:{}", answer.brokers[0].host, answer.brokers[0].port);
    same("address", address, target.bootstrap)
}

async fn two_coordinators(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    for key_type in [0, 1] {
        let keys = [unique("key"), unique("key")];
        let request = FindCoordinatorRequest::default()
            .with_key_type(key_type)
            .with_coordinator_keys(keys.iter().map(text).collect());
        let answer = client.ask(&request).await?;
        let found: Vec<_> = answer
            .coordinators
            .iter()
            .map(|found| {
                (
                    found.key.to_string(),
                    found.error_code,
                    format!("{}:{}", found.host, found.port),
                )
            })
            .collect();
        let expected: Vec<_> = keys
            .into_iter()
            .map(|key| (key, 0, target.bootstrap.clone()))
            .collect();
        same(format!("coordinators of type {key_type}"), found, expected)?;
    }
    Ok(())
}

async fn bad_coordinator_type(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let request = FindCoordinatorRequest::default()
        .with_key_type(7)
        .with_coordinator_keys(vec![text("any")]);
    let answer = client.ask(&request).await?;
    let error = match answer.coordinators.first() {
        Some(coordinator) => coordinator.error_code,
        None => answer.error_code,
    };
    same("error", error, 42)
}
