//! What the tests need of a broker beside the consumer: topics, records, transactions.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kafka_client::client::Refresh;
use kafka_client::consumer::{Consumer, Polled, TopicPartition};
use kafka_client::settings::ConsumerSettings;
use kafka_client::{Client, ClientError, CoordinatorKind, KafkaErrorCode, Target};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ProducerState};
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Longer than any step of a test takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct Broker {
    pub servers: String,
    pub client: Client,
}

/// The broker to test against. Says why a test is skipped without one.
pub fn broker() -> Option<Broker> {
    let Ok(servers) = std::env::var("KAFKA_BOOTSTRAP") else {
        eprintln!("skipped: set KAFKA_BOOTSTRAP=host:port to run this test against a broker");
        return None;
    };
    let client = Client::connect(settings(&servers, &[]).connection);
    Some(Broker { servers, client })
}

fn settings(servers: &str, properties: &[(&str, &str)]) -> ConsumerSettings {
    let fixed = [
        ("bootstrap.servers", servers),
        ("allow.auto.create.topics", "false"),
    ];
    let properties = fixed.iter().chain(properties).copied();
    ConsumerSettings::parse(properties)
        .expect("settings")
        .settings
}

/// A name that no other test or run uses.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    format!("{what}-{now}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

pub fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn check(code: i16) -> Result<(), ClientError> {
    KafkaErrorCode::check(code).map_err(ClientError::from_code)
}

impl Broker {
    pub fn consumer(&self, properties: &[(&str, &str)]) -> Consumer {
        Consumer::new(settings(&self.servers, properties), Handle::current())
    }

    /// With `auto.offset.reset=earliest` and quick rebalances.
    pub fn member(&self, group: &str, more: &[(&str, &str)]) -> Consumer {
        self.member_on(group, more, &Handle::current())
    }

    pub fn member_on(&self, group: &str, more: &[(&str, &str)], control: &Handle) -> Consumer {
        let mut properties = vec![
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("heartbeat.interval.ms", "300"),
            ("session.timeout.ms", "6000"),
        ];
        properties.extend_from_slice(more);
        Consumer::new(settings(&self.servers, &properties), control.clone())
    }

    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let creatable = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![creatable])
            .with_timeout_ms(30_000);
        let response = self
            .client
            .request(Target::Controller, &request)
            .await
            .expect("an answer");
        check(response.topics[0].error_code).expect("created");
        let there = |_| async {
            let metadata = self
                .client
                .refresh_metadata(Refresh::Topics(&[topic]))
                .await?;
            match metadata.leader(topic, partitions - 1) {
                Some(_) => Ok(()),
                None => Err(ClientError::retriable("no leader yet")),
            }
        };
        self.client
            .retry("waiting for the topic", PATIENCE, there)
            .await
            .expect("the topic is there");
    }

    pub async fn delete_topic(&self, topic: &str) {
        let topic = DeleteTopicState::default().with_name(Some(topic_name(topic)));
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let response = self
            .client
            .request(Target::Controller, &request)
            .await
            .expect("an answer");
        check(response.responses[0].error_code).expect("deleted");
    }

    pub async fn add_partitions(&self, topic: &str, count: i32) {
        let topic =
            kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic::default()
                .with_name(topic_name(topic))
                .with_count(count)
                .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let response = self
            .client
            .request(Target::Controller, &request)
            .await
            .expect("an answer");
        check(response.results[0].error_code).expect("added");
    }

    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        use kafka_protocol::messages::delete_records_request::{
            DeleteRecordsPartition, DeleteRecordsTopic,
        };
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(before);
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let response = self
            .client
            .request(Target::Any, &request)
            .await
            .expect("an answer");
        check(response.topics[0].partitions[0].error_code).expect("deleted");
    }

    /// One batch with these values.
    pub async fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        self.produce_batch(
            topic,
            partition,
            batch(values, Codec::None, ProducerState::NONE, BatchKind::Plain),
            None,
        )
        .await;
    }

    pub async fn produce_with(&self, topic: &str, partition: i32, values: &[&str], codec: Codec) {
        self.produce_batch(
            topic,
            partition,
            batch(values, codec, ProducerState::NONE, BatchKind::Plain),
            None,
        )
        .await;
    }

    pub async fn produce_batch(
        &self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        transactional_id: Option<&str>,
    ) {
        let send = |_| self.produce_once(topic, partition, batch.clone(), transactional_id);
        self.client
            .retry("producing", PATIENCE, send)
            .await
            .expect("produced");
    }

    async fn produce_once(
        &self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        transactional_id: Option<&str>,
    ) -> Result<(), ClientError> {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch));
        let data = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id.map(transactional))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        let metadata = self
            .client
            .refresh_metadata(Refresh::Topics(&[topic]))
            .await?;
        let (leader, _) = metadata
            .leader(topic, partition)
            .ok_or_else(|| ClientError::retriable("no leader"))?;
        let response = self
            .client
            .request(Target::Broker(leader), &request)
            .await?;
        check(response.responses[0].partition_responses[0].error_code)
    }
}

fn transactional(id: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(id.to_owned()))
}

pub fn batch(values: &[&str], codec: Codec, producer: ProducerState, kind: BatchKind) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    for value in values {
        builder
            .append(1_700_000_000_000, None, Some(value.as_bytes()))
            .expect("small");
    }
    let mut compressor = Compressor::new(codec, None).expect("a codec");
    builder
        .finish(&BatchHeader::produced(producer, kind), &mut compressor)
        .expect("a batch")
        .bytes
}

/// A producer of transactions in one partition.
pub struct Transactions<'a> {
    broker: &'a Broker,
    id: String,
    topic: String,
    producer: ProducerState,
}

impl<'a> Transactions<'a> {
    pub async fn start(broker: &'a Broker, topic: &str) -> Self {
        let id = unique("txn");
        let init = |_| async {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(Some(transactional(&id)))
                .with_transaction_timeout_ms(60_000);
            let target = Target::Coordinator(CoordinatorKind::Transaction, &id);
            let response = broker.client.request(target, &request).await?;
            check(response.error_code)?;
            Ok(ProducerState {
                id: response.producer_id.0,
                epoch: response.producer_epoch,
                base_sequence: 0,
            })
        };
        let producer = broker
            .client
            .retry("starting a producer", PATIENCE, init)
            .await
            .expect("a producer id");
        Self {
            broker,
            id: id.clone(),
            topic: topic.to_owned(),
            producer,
        }
    }

    pub async fn send(&mut self, values: &[&str]) {
        let add = |_| async {
            let topic = AddPartitionsToTxnTopic::default()
                .with_name(topic_name(&self.topic))
                .with_partitions(vec![0]);
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(transactional(&self.id))
                .with_v3_and_below_producer_id(self.producer.id.into())
                .with_v3_and_below_producer_epoch(self.producer.epoch)
                .with_v3_and_below_topics(vec![topic]);
            let target = Target::Coordinator(CoordinatorKind::Transaction, &self.id);
            let response = self.broker.client.request(target, &request).await?;
            check(
                response.results_by_topic_v3_and_below[0].results_by_partition[0]
                    .partition_error_code,
            )
        };
        self.broker
            .client
            .retry("adding a partition", PATIENCE, add)
            .await
            .expect("added");
        let batch = batch(values, Codec::None, self.producer, BatchKind::Transactional);
        self.producer.base_sequence += values.len() as i32;
        self.broker
            .produce_batch(&self.topic, 0, batch, Some(&self.id))
            .await;
    }

    pub async fn end(&self, commit: bool) {
        let end = |_| async {
            let request = EndTxnRequest::default()
                .with_transactional_id(transactional(&self.id))
                .with_producer_id(self.producer.id.into())
                .with_producer_epoch(self.producer.epoch)
                .with_committed(commit);
            let target = Target::Coordinator(CoordinatorKind::Transaction, &self.id);
            check(
                self.broker
                    .client
                    .request(target, &request)
                    .await?
                    .error_code,
            )
        };
        self.broker
            .client
            .retry("ending the transaction", PATIENCE, end)
            .await
            .expect("ended");
    }
}

/// Polls until `done` says so; what it saw is in the argument. Panics when it takes too long.
pub async fn poll_until(
    consumer: &mut Consumer,
    mut done: impl FnMut(&mut Consumer, Polled) -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(
            Instant::now() < deadline,
            "too long: {consumer:?} has {:?}",
            consumer.assignment()
        );
        let polled = consumer
            .poll(Duration::from_millis(200))
            .await
            .expect("poll");
        if done(consumer, polled) {
            return;
        }
    }
}

/// The values of the next `count` records.
pub async fn read(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    poll_until(consumer, |_, polled| {
        seen.extend(values(&polled));
        seen.len() >= count
    })
    .await;
    seen
}

pub fn values(polled: &Polled) -> Vec<String> {
    let Polled::Records(records) = polled else {
        return Vec::new();
    };
    let value =
        |value: Option<&[u8]>| String::from_utf8(value.expect("a value").to_vec()).expect("text");
    let records = records.iter().flat_map(|records| records.iter());
    records
        .map(|record| value(record.expect("a record").value))
        .collect()
}
