//! A connection with the requests that most checks make, a call each.
//!
//! Lives here: [`Client`], in the newest versions that the list of facts names; batches to produce;
//! records read back as a consumer would.
//! Lives elsewhere: members of groups (`member`), transactional producers (`producer`).
//! Never here: what is right.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DescribeGroupsRequest, FetchRequest,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, ListOffsetsRequest, MetadataRequest,
    MetadataResponse, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::Request;
pub use kafka_wire::batch::ProducerState;
use kafka_wire::{
    BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ControlType, Decompressor,
    RecordBatches,
};

use super::wire::{Connection, text};
use super::{Target, same, unique, until};

/// Errors of a coordinator that is not ready yet: loading, not available, not the coordinator.
pub const COORDINATOR_ERRORS: [i16; 3] = [14, 15, 16];

/// The version that [`Client::ask`] sends: the end of the range that the list of facts names, so
/// that a broker may stop there.
pub fn version_of(api_key: i16) -> i16 {
    match api_key {
        0 => 9,  // Produce
        1 => 11, // Fetch
        2 => 7,  // ListOffsets
        3 => 12, // Metadata
        8 => 8,  // OffsetCommit
        9 => 8,  // OffsetFetch
        10 => 4, // FindCoordinator
        11 => 9, // JoinGroup
        12 => 4, // Heartbeat
        13 => 5, // LeaveGroup
        14 => 5, // SyncGroup
        15 => 6, // DescribeGroups
        16 => 5, // ListGroups
        18 => 4, // ApiVersions
        19 => 7, // CreateTopics
        20 => 6, // DeleteTopics
        21 => 2, // DeleteRecords
        22 => 4, // InitProducerId
        24 => 3, // AddPartitionsToTxn
        25 => 3, // AddOffsetsToTxn
        26 => 3, // EndTxn
        28 => 3, // TxnOffsetCommit
        29 => 3, // DescribeAcls
        32 => 4, // DescribeConfigs
        35 => 4, // DescribeLogDirs
        37 => 3, // CreatePartitions
        42 => 2, // DeleteGroups
        44 => 1, // IncrementalAlterConfigs
        60 => 1, // DescribeCluster
        66 => 1, // ListTransactions
        74 => 1, // ListConfigResources
        _ => 0,  // OffsetDelete, DescribeProducers, DescribeTransactions
    }
}

/// What a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    Uncommitted = 0,
    Committed = 1,
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

pub fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// A record to produce: time in ms, key, value, headers.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// One batch as a producer sends it.
pub fn batch_of(
    records: &[Record<'_>],
    codec: Codec,
    producer: ProducerState,
    kind: BatchKind,
) -> Result<Bytes> {
    let mut builder = BatchBuilder::new(1024);
    for record in records {
        builder.append_with_headers(
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers.iter().copied(),
        )?;
    }
    let header = BatchHeader::produced(producer, kind);
    let mut compressor = Compressor::new(codec, None)?;
    Ok(builder.finish(&header, &mut compressor)?.bytes)
}

/// A batch of values with keys `k`, of now, from this producer.
pub fn values_from(producer: ProducerState, kind: BatchKind, values: &[&str]) -> Result<Bytes> {
    let records: Vec<Record<'_>> = values
        .iter()
        .map(|value| Record {
            timestamp_ms: now_ms(),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            headers: Vec::new(),
        })
        .collect();
    batch_of(&records, Codec::None, producer, kind)
}

/// A batch of values from a producer without idempotence.
pub fn values(values: &[&str]) -> Result<Bytes> {
    values_from(ProducerState::NONE, BatchKind::Plain, values)
}

/// A batch of one value with this time.
pub fn one_value_at(timestamp_ms: i64, value: &str) -> Result<Bytes> {
    let record = Record {
        timestamp_ms,
        key: Some(b"k"),
        value: Some(value.as_bytes()),
        headers: Vec::new(),
    };
    batch_of(
        &[record],
        Codec::None,
        ProducerState::NONE,
        BatchKind::Plain,
    )
}

/// A broker that has its coordinators, and the keys of the APIs that it advertises.
pub async fn warmed_up(target: &Target) -> Result<HashSet<i16>> {
    let mut client = Client::open(target).await?;
    let versions = client
        .ask(
            &ApiVersionsRequest::default()
                .with_client_software_name(text("checks"))
                .with_client_software_version(text("1")),
        )
        .await?;
    same("ApiVersions", versions.error_code, 0)?;
    // The topics behind the coordinators come into being with the first question for them.
    client.group().await?;
    client.transactional_id().await?;
    until("an idempotent producer's id", async || {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = client.ask(&request).await?;
        Ok(match answer.error_code {
            0 => Ok(()),
            error => Err(format!("error {error}")),
        })
    })
    .await?;
    Ok(versions.api_keys.iter().map(|api| api.api_key).collect())
}

/// A connection and what checks usually ask over it.
#[derive(Debug)]
pub struct Client {
    pub connection: Connection,
}

impl Client {
    pub async fn open(target: &Target) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(&target.bootstrap).await?,
        })
    }

    pub async fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response> {
        self.connection.ask(version_of(R::KEY), request).await
    }

    pub async fn send<R: Request>(&mut self, request: &R) -> Result<()> {
        self.connection.send(version_of(R::KEY), request).await
    }

    pub async fn answer<R: Request>(&mut self) -> Result<R::Response> {
        self.connection.answer::<R>(version_of(R::KEY)).await
    }

    /// A group's name whose coordinator is ready.
    pub async fn group(&mut self) -> Result<String> {
        let group = unique("group");
        self.wait_for_coordinator(0, &group).await?;
        until(format!("the coordinator of {group}"), async || {
            let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&group)]);
            let answer = self.connection.ask(5, &request).await?;
            let error = answer
                .groups
                .first()
                .context("no group in the answer")?
                .error_code;
            Ok(match COORDINATOR_ERRORS.contains(&error) {
                true => Err(format!("error {error}")),
                false => Ok(()),
            })
        })
        .await?;
        Ok(group)
    }

    /// A transactional id whose coordinator is known; it may still load.
    pub async fn transactional_id(&mut self) -> Result<String> {
        let id = unique("transaction");
        self.wait_for_coordinator(1, &id).await?;
        Ok(id)
    }

    async fn wait_for_coordinator(&mut self, key_type: i8, key: &str) -> Result<()> {
        until(format!("a coordinator for {key}"), async || {
            let request = FindCoordinatorRequest::default()
                .with_key_type(key_type)
                .with_coordinator_keys(vec![text(key)]);
            let answer = self.ask(&request).await?;
            let coordinator = answer
                .coordinators
                .first()
                .context("no coordinator in the answer")?;
            Ok(match coordinator.error_code {
                0 => Ok(()),
                error => Err(format!("error {error}")),
            })
        })
        .await
    }

    /// A new topic that can be written and read.
    pub async fn topic(&mut self, partitions: i32) -> Result<String> {
        self.topic_with(partitions, &[]).await
    }

    pub async fn topic_with(
        &mut self,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<String> {
        let name = unique("topic");
        let created = self.create(&name, partitions, configs).await?;
        same(format!("create topic {name}"), created.error_code, 0)?;
        self.wait_until_usable(&name, partitions).await?;
        Ok(name)
    }

    /// A broker may answer CreateTopics some milliseconds before the partitions are there.
    pub async fn wait_until_usable(&mut self, name: &str, partitions: i32) -> Result<()> {
        until(format!("partitions of {name}"), async || {
            for partition in 0..partitions {
                let offset = self.offset(name, partition, -1).await?;
                if offset.error_code != 0 {
                    return Ok(Err(format!("error {}", offset.error_code)));
                }
            }
            let described = self.metadata(&[name]).await?;
            let topic = described
                .topics
                .first()
                .context("no topic in the metadata")?;
            Ok(
                match topic.error_code == 0 && topic.partitions.len() == partitions as usize {
                    true => Ok(()),
                    false => Err(format!("{topic:?}")),
                },
            )
        })
        .await
    }

    pub async fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<CreatableTopicResult> {
        let request =
            CreateTopicsRequest::default().with_topics(vec![creatable(name, partitions, configs)]);
        let answer = self.ask(&request).await?;
        answer
            .topics
            .into_iter()
            .next()
            .context("no topic in the answer")
    }

    pub async fn metadata(&mut self, topics: &[&str]) -> Result<MetadataResponse> {
        let topics = topics
            .iter()
            .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.collect()))
            .with_allow_auto_topic_creation(false);
        self.ask(&request).await
    }

    /// Produces a batch as given, with acks -1.
    pub async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> Result<PartitionProduceResponse> {
        self.ask_produce(produce_request(topic, partition, batch))
            .await
    }

    /// Produces in a transaction.
    pub async fn produce_in(
        &mut self,
        transactional_id: &str,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> Result<PartitionProduceResponse> {
        let request = produce_request(topic, partition, batch)
            .with_transactional_id(Some(TransactionalId(text(transactional_id))));
        self.ask_produce(request).await
    }

    pub async fn ask_produce(
        &mut self,
        request: ProduceRequest,
    ) -> Result<PartitionProduceResponse> {
        let answer = self.ask(&request).await?;
        let topic = answer.responses.into_iter().next();
        let partition = topic.and_then(|topic| topic.partition_responses.into_iter().next());
        partition.context("no partition in the answer")
    }

    /// Appends values in one batch; the offset of the first.
    pub async fn append(&mut self, topic: &str, partition: i32, batch: &[&str]) -> Result<i64> {
        let produced = self.produce(topic, partition, values(batch)?).await?;
        same(format!("produce to {topic}"), produced.error_code, 0)?;
        Ok(produced.base_offset)
    }

    /// Asks for what is there now.
    pub async fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        isolation: Isolation,
    ) -> Result<PartitionData> {
        let request = fetch_request(topic, partition, offset)
            .with_isolation_level(isolation as i8)
            .with_max_wait_ms(0);
        self.ask_fetch(&request).await
    }

    pub async fn ask_fetch(&mut self, request: &FetchRequest) -> Result<PartitionData> {
        let answer = self.ask(request).await?;
        same("Fetch", answer.error_code, 0)?;
        let topic = answer.responses.into_iter().next();
        let partition = topic.and_then(|topic| topic.partitions.into_iter().next());
        partition.context("no partition in the answer")
    }

    /// ListOffsets of one partition, uncommitted.
    pub async fn offset(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<ListOffsetsPartitionResponse> {
        self.offset_seen(topic, partition, timestamp, Isolation::Uncommitted)
            .await
    }

    pub async fn offset_seen(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
        isolation: Isolation,
    ) -> Result<ListOffsetsPartitionResponse> {
        let answer = self
            .ask(&offsets_request(topic, partition, timestamp, isolation))
            .await?;
        let topic = answer.topics.into_iter().next();
        let partition = topic.and_then(|topic| topic.partitions.into_iter().next());
        partition.context("no partition in the answer")
    }

    /// Offsets and values of a partition from `offset` to its end, as a consumer gives them:
    /// without markers, and without aborted records when it reads committed ones. A null value is
    /// `<null>`.
    pub async fn read_from(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        isolation: Isolation,
    ) -> Result<Vec<(i64, String)>> {
        let mut read = Vec::new();
        let mut next = offset;
        loop {
            let data = self.fetch(topic, partition, next, isolation).await?;
            same(format!("fetch {topic} from {next}"), data.error_code, 0)?;
            let before = next;
            let mut aborted = data.aborted_transactions.unwrap_or_default();
            let mut skipped = HashSet::new();
            for batch in RecordBatches::new(data.records.unwrap_or_default()) {
                let batch = batch?;
                aborted.retain(|entry| {
                    let begun = entry.first_offset <= batch.last_offset();
                    if begun {
                        skipped.insert(entry.producer_id.0);
                    }
                    !begun
                });
                next = batch.last_offset() + 1;
                let (control, producer) = (batch.is_control(), batch.producer().id);
                let hidden = batch.is_transactional() && skipped.contains(&producer);
                let decoded = batch.decode(&mut Decompressor::new(64 << 20))?;
                if control {
                    if decoded.control_type()? == Some(ControlType::Abort) {
                        skipped.remove(&producer);
                    }
                    continue;
                }
                if hidden {
                    continue;
                }
                for record in decoded.records() {
                    let record = record?;
                    let value = record
                        .value
                        .map_or("<null>".into(), String::from_utf8_lossy);
                    if record.offset >= before {
                        read.push((record.offset, value.into_owned()));
                    }
                }
            }
            if next == before {
                return Ok(read);
            }
        }
    }

    /// The values that a consumer would read.
    pub async fn read(
        &mut self,
        topic: &str,
        partition: i32,
        isolation: Isolation,
    ) -> Result<Vec<String>> {
        let read = self.read_from(topic, partition, 0, isolation).await?;
        Ok(read.into_iter().map(|(_, value)| value).collect())
    }

    /// Waits until no transaction is open on a partition: markers may follow the answer to EndTxn.
    /// The offset behind the last record.
    pub async fn settled(&mut self, topic: &str, partition: i32) -> Result<i64> {
        until(format!("no open transaction on {topic}"), async || {
            let data = self
                .fetch(topic, partition, 0, Isolation::Uncommitted)
                .await?;
            Ok(match data.last_stable_offset == data.high_watermark {
                true => Ok(data.high_watermark),
                false => Err(format!(
                    "last stable offset {}, high watermark {}",
                    data.last_stable_offset, data.high_watermark
                )),
            })
        })
        .await
    }
}

pub fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(*name))
            .with_value(Some(text(*value)))
    });
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect())
}

pub fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch));
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![
            TopicProduceData::default()
                .with_name(topic_name(topic))
                .with_partition_data(vec![data]),
        ])
}

/// Waits at most half a second for one byte; at most 50 MB.
pub fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let wanted = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(50 << 20);
    FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_topics(vec![
            FetchTopic::default()
                .with_topic(topic_name(topic))
                .with_partitions(vec![wanted]),
        ])
}

pub fn offsets_request(
    topic: &str,
    partition: i32,
    timestamp: i64,
    isolation: Isolation,
) -> ListOffsetsRequest {
    let wanted = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(timestamp);
    ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation as i8)
        .with_topics(vec![
            ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![wanted]),
        ])
}
