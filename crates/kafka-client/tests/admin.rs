//! Administration of a real broker. Needs `KAFKA_BOOTSTRAP=host:port`; says so and passes without.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_client::admin::{
    AlterConfig, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic,
    OffsetAndMetadata, OffsetSpec, Validate,
};
use kafka_client::client::Refresh;
use kafka_client::settings::{AdminSettings, IsolationLevel};
use kafka_client::{Admin, KafkaErrorCode, TopicPartition};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

/// An admin client with a name of its own for topics and groups.
fn admin(test: &str) -> Option<(Admin, String)> {
    let Ok(servers) = std::env::var("KAFKA_BOOTSTRAP") else {
        eprintln!("skipped: set KAFKA_BOOTSTRAP=host:port to run this test against a broker");
        return None;
    };
    let parsed = AdminSettings::parse([("bootstrap.servers", servers)]).expect("settings");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    Some((
        Admin::connect(parsed.settings),
        format!("{test}-{}", now.as_nanos()),
    ))
}

async fn create(admin: &Admin, name: &str, partitions: i32) {
    let topic = NewTopic::new(name, Some(partitions), Some(1));
    let created = admin.create_topics(&[topic], Validate::AndApply).await;
    assert_eq!(
        created[name].as_ref().expect("created").partitions,
        partitions
    );
}

/// A batch of `count` records without keys, values `x`, timestamps 1000, 1001, …
fn batch(count: i32) -> Bytes {
    let mut records = Vec::new();
    for index in 0..count {
        // Length, attributes, timestamp delta, offset delta, null key, value of one byte, no headers.
        let zigzag = (index * 2) as u8;
        records.extend_from_slice(&[14, 0, zigzag, zigzag, 1, 2, b'x', 0]);
        assert!(index < 64, "deltas fit into a byte");
    }
    // From the attributes on, which is what the checksum covers.
    let mut tail = Vec::new();
    tail.extend_from_slice(&0_i16.to_be_bytes());
    tail.extend_from_slice(&(count - 1).to_be_bytes());
    tail.extend_from_slice(&1000_i64.to_be_bytes());
    tail.extend_from_slice(&(1000 + i64::from(count) - 1).to_be_bytes());
    tail.extend_from_slice(&(-1_i64).to_be_bytes());
    tail.extend_from_slice(&(-1_i16).to_be_bytes());
    tail.extend_from_slice(&(-1_i32).to_be_bytes());
    tail.extend_from_slice(&count.to_be_bytes());
    tail.extend_from_slice(&records);
    let mut batch = Vec::new();
    batch.extend_from_slice(&0_i64.to_be_bytes());
    batch.extend_from_slice(&(tail.len() as i32 + 9).to_be_bytes());
    batch.extend_from_slice(&(-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend_from_slice(&crc32c(&tail).to_be_bytes());
    batch.extend_from_slice(&tail);
    batch.into()
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

async fn produce(admin: &Admin, topic: &str, count: i32) {
    let client = admin.client();
    let partition = PartitionProduceData::default().with_records(Some(batch(count)));
    let data = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![data]);
    // A leader is named before it leads.
    let send = |_| async {
        let metadata = client.refresh_metadata(Refresh::Topics(&[topic])).await?;
        let Some((leader, _)) = metadata.leader(topic, 0) else {
            let code = KafkaErrorCode::LEADER_NOT_AVAILABLE;
            return Err(kafka_client::ClientError::from_code(code));
        };
        let connection = client.connection(leader).await?;
        let answer = connection
            .enqueue(&request, Duration::from_secs(30))?
            .await?;
        let code = answer.responses[0].partition_responses[0].error_code;
        KafkaErrorCode::check(code).map_err(kafka_client::ClientError::from_code)
    };
    client
        .retry("producing", Duration::from_secs(30), send)
        .await
        .expect("written");
}

fn code<T: std::fmt::Debug>(outcome: &Result<T, kafka_client::ClientError>) -> KafkaErrorCode {
    outcome
        .as_ref()
        .expect_err("an error")
        .code()
        .expect("a code")
}

#[tokio::test]
async fn cluster() {
    let Some((admin, _)) = admin("cluster") else {
        return;
    };
    let cluster = admin.describe_cluster().await.expect("described");
    assert!(!cluster.cluster_id.is_empty() && !cluster.brokers.is_empty());
    // Operations can be spawned.
    let spawned = tokio::spawn(async move { admin.list_topics().await.map(|topics| topics.len()) });
    spawned.await.expect("joined").expect("listed");
}

#[tokio::test]
async fn topics() {
    let Some((admin, name)) = admin("topics") else {
        return;
    };
    let topic = NewTopic::new(&name, Some(2), Some(1)).with_config("cleanup.policy", "compact");
    let only = admin
        .create_topics(std::slice::from_ref(&topic), Validate::Only)
        .await;
    assert!(only[&name].is_ok(), "{only:?}");
    let many = [
        topic.clone(),
        NewTopic::new("bad name", None, None),
        NewTopic::new(format!("{name}-x"), Some(1), Some(99)),
    ];
    let created = admin.create_topics(&many, Validate::AndApply).await;
    assert_eq!(created[&name].as_ref().expect("created").partitions, 2);
    assert_eq!(
        code(&created["bad name"]),
        KafkaErrorCode::INVALID_TOPIC_EXCEPTION
    );
    assert_eq!(
        code(&created[&format!("{name}-x")]),
        KafkaErrorCode::INVALID_REPLICATION_FACTOR
    );
    let again = admin.create_topics(&[topic], Validate::AndApply).await;
    assert_eq!(code(&again[&name]), KafkaErrorCode::TOPIC_ALREADY_EXISTS);
    let error = again[&name].as_ref().expect_err("exists").to_string();
    assert_eq!(
        error,
        format!(
            "TOPIC_ALREADY_EXISTS: Topic '{name}' already exists (api=CreateTopics topic={name})"
        )
    );

    let more = BTreeMap::from([(
        name.clone(),
        NewPartitions {
            total: 3,
            assignments: None,
        },
    )]);
    assert!(admin.create_partitions(&more, Validate::AndApply).await[&name].is_ok());
    let same = admin.create_partitions(&more, Validate::AndApply).await;
    assert_eq!(code(&same[&name]), KafkaErrorCode::INVALID_PARTITIONS);

    // A broker may hear of a new topic and of its partitions a moment later.
    let mut described = admin.describe_topics(&[&name, "no-such-topic"]).await;
    while described[&name]
        .as_ref()
        .map_or(0, |topic| topic.partitions.len())
        < 3
    {
        described = admin.describe_topics(&[&name, "no-such-topic"]).await;
    }
    assert_eq!(
        code(&described["no-such-topic"]),
        KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let described = described[&name].as_ref().expect("described");
    assert!(
        described
            .partitions
            .iter()
            .all(|partition| partition.replicas.len() == 1)
    );
    assert!(
        admin
            .list_topics()
            .await
            .expect("listed")
            .iter()
            .any(|topic| *topic.name == *name)
    );

    let deleted = admin.delete_topics(&[&name, "no-such-topic"]).await;
    assert!(deleted[&name].is_ok());
    assert_eq!(
        code(&deleted["no-such-topic"]),
        KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[tokio::test]
async fn configs() {
    let Some((admin, name)) = admin("configs") else {
        return;
    };
    create(&admin, &name, 1).await;
    let topic = ConfigResource::topic(&name);
    let change = |configs| BTreeMap::from([(topic.clone(), configs)]);
    let good = change(vec![AlterConfig::set("retention.ms", "1234")]);
    assert!(
        admin
            .incremental_alter_configs(&good, Validate::AndApply)
            .await[&topic]
            .is_ok()
    );
    let bad = change(vec![AlterConfig::set("retention.ms", "soon")]);
    let refused = admin
        .incremental_alter_configs(&bad, Validate::AndApply)
        .await;
    assert_eq!(code(&refused[&topic]), KafkaErrorCode::INVALID_CONFIG);

    let missing = ConfigResource::topic("no-such-topic");
    let both = [topic.clone(), missing.clone()];
    let mut described = admin.describe_configs(&both).await;
    let is_set = |configs: &BTreeMap<String, ConfigEntry>| {
        configs["retention.ms"].source == ConfigSource::DynamicTopic
    };
    while !described[&topic].as_ref().is_ok_and(is_set) {
        described = admin.describe_configs(&both).await;
    }
    assert_eq!(
        code(&described[&missing]),
        KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let described = described[&topic].as_ref().expect("described");
    assert_eq!(described["retention.ms"].value.as_deref(), Some("1234"));
    assert!(described["cleanup.policy"].is_default());

    let cluster = admin.describe_cluster().await.expect("described");
    let broker = ConfigResource {
        kind: kafka_client::admin::ResourceType::Broker,
        name: cluster.brokers[0].id.to_string(),
    };
    let described = admin.describe_configs(std::slice::from_ref(&broker)).await;
    assert!(
        described[&broker]
            .as_ref()
            .expect("described")
            .contains_key("log.dirs")
    );
}

#[tokio::test]
async fn offsets_of_partitions() {
    let Some((admin, name)) = admin("offsets") else {
        return;
    };
    create(&admin, &name, 1).await;
    produce(&admin, &name, 10).await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let rows = [
        (OffsetSpec::Earliest, 0, -1),
        (OffsetSpec::Latest, 10, -1),
        (OffsetSpec::MaxTimestamp, 9, 1009),
        (OffsetSpec::TimestampMs(1004), 4, 1004),
        (OffsetSpec::TimestampMs(9999), -1, -1),
    ];
    for (spec, offset, timestamp_ms) in rows {
        for isolation in [
            IsolationLevel::ReadUncommitted,
            IsolationLevel::ReadCommitted,
        ] {
            let wanted = BTreeMap::from([(partition.clone(), spec)]);
            let listed = admin.list_offsets(&wanted, isolation).await;
            let listed = listed[&partition].as_ref().expect("listed");
            assert_eq!(
                (listed.offset, listed.timestamp_ms),
                (offset, timestamp_ms),
                "{spec:?}"
            );
        }
    }
    let deleted = admin
        .delete_records(&BTreeMap::from([(partition.clone(), 6)]))
        .await;
    assert_eq!(*deleted[&partition].as_ref().expect("deleted"), 6);
    let beyond = admin
        .delete_records(&BTreeMap::from([(partition.clone(), 600)]))
        .await;
    assert_eq!(
        code(&beyond[&partition]),
        KafkaErrorCode::OFFSET_OUT_OF_RANGE
    );

    let missing = TopicPartition::new("no-such-topic", 0);
    let impatient = admin.with_api_timeout(Duration::from_millis(500));
    let wanted = BTreeMap::from([(missing.clone(), OffsetSpec::Latest)]);
    let listed = impatient
        .list_offsets(&wanted, IsolationLevel::ReadUncommitted)
        .await;
    let error = listed[&missing]
        .as_ref()
        .expect_err("there is no such topic")
        .to_string();
    assert_eq!(
        error,
        "list offsets timed out after 500 ms: UNKNOWN_TOPIC_OR_PARTITION: This server does not host this \
         topic-partition (api=Metadata topic=no-such-topic partition=0)"
    );
}

#[tokio::test]
async fn groups_and_their_offsets() {
    let Some((admin, name)) = admin("groups") else {
        return;
    };
    create(&admin, &name, 2).await;
    let (first, second) = (
        TopicPartition::new(name.as_str(), 0),
        TopicPartition::new(name.as_str(), 1),
    );
    let offset = |offset| OffsetAndMetadata {
        offset,
        leader_epoch: None,
        metadata: "note".to_owned(),
    };
    let offsets = BTreeMap::from([(first.clone(), offset(5)), (second.clone(), offset(6))]);
    let altered = admin.alter_group_offsets(&name, &offsets).await;
    assert!(altered.values().all(Result::is_ok), "{altered:?}");
    assert_eq!(
        admin
            .list_group_offsets(&name, None, true)
            .await
            .expect("listed"),
        offsets
    );
    let one = admin
        .list_group_offsets(&name, Some(std::slice::from_ref(&second)), true)
        .await
        .expect("listed");
    assert_eq!(one, BTreeMap::from([(second.clone(), offset(6))]));

    let listed = admin.list_groups(&[], &[]).await.expect("listed");
    assert!(listed.iter().any(|group| group.group_id == name));
    let described = admin.describe_groups(&[&name, "no-such-group"]).await;
    assert_eq!(described[&name].as_ref().expect("described").state, "Empty");
    assert_eq!(
        code(&described["no-such-group"]),
        KafkaErrorCode::GROUP_ID_NOT_FOUND
    );

    let deleted = admin
        .delete_group_offsets(&name, std::slice::from_ref(&first))
        .await;
    assert!(deleted[&first].is_ok(), "{deleted:?}");
    assert_eq!(
        admin
            .list_group_offsets(&name, None, true)
            .await
            .expect("listed")
            .len(),
        1
    );
    let deleted = admin.delete_groups(&[&name, "no-such-group"]).await;
    assert!(deleted[&name].is_ok(), "{deleted:?}");
    assert_eq!(
        code(&deleted["no-such-group"]),
        KafkaErrorCode::GROUP_ID_NOT_FOUND
    );
    assert!(
        admin
            .list_group_offsets(&name, None, true)
            .await
            .expect("listed")
            .is_empty()
    );
}

#[tokio::test]
async fn producers_are_fenced() {
    let Some((admin, name)) = admin("fence") else {
        return;
    };
    let fenced = admin.fence_producers(&[&name]).await;
    let (id, epoch) = *fenced[&name].as_ref().expect("fenced");
    assert!(id >= 0 && epoch >= 0);
    let again = admin.fence_producers(&[&name]).await;
    assert_eq!(*again[&name].as_ref().expect("fenced"), (id, epoch + 1));
}
