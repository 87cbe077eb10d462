//! The work with rdkafka, as its documentation advises for throughput: `BaseProducer` and
//! `BaseConsumer`, no future and no owned copy per record.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::payload::Payloads;
use crate::work::{Clock, Cost, Tally, Work};

/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Records between two looks at delivery reports.
const POLL_EVERY: u64 = 2_000;

/// Of this crate's dependency and of the C library in it.
pub fn version() -> String {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    format!("rdkafka 0.39.0 with librdkafka {librdkafka}")
}

pub fn produce(work: &Work) -> Result<Cost> {
    ensure!(work.keys == 0, "rdkafka's records have no keys here");
    let payloads = Payloads::new();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &work.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", work.idempotence.name())
        .set("compression.type", work.compression.name())
        .set("batch.size", work.batch_bytes.to_string())
        // By default 10000, which would end batches of small records before `batch.size` does.
        .set("batch.num.messages", "1000000")
        .set("linger.ms", "5")
        .create()
        .context("rdkafka refused the settings of the producer")?;
    let send = |from: u64, to: u64| -> Result<()> {
        for number in from..to {
            let mut record = BaseRecord::<(), [u8]>::to(&work.topic)
                .partition(0)
                .payload(payloads.get(number));
            while let Err((error, refused)) = producer.send(record) {
                ensure!(
                    error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                    "rdkafka did not take a record: {error}"
                );
                producer.poll(Duration::from_millis(10));
                record = refused;
            }
            if number.is_multiple_of(POLL_EVERY) {
                producer.poll(Duration::ZERO);
            }
        }
        producer
            .flush(WAIT_MAX)
            .context("rdkafka did not deliver all")
    };
    send(0, work.warm_up())?;
    let clock = Clock::start();
    send(work.warm_up(), work.records)?;
    Ok(clock.per(work.records - work.warm_up()))
}

pub fn consume(work: &Work) -> Result<Cost> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &work.bootstrap)
        .set("group.id", "client-cost")
        .set("enable.auto.commit", "false")
        // As Java's consumer does, and ours.
        .set("check.crcs", "true")
        .create()
        .context("rdkafka refused the settings of the consumer")?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(&work.topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    let mut tally = Tally::default();
    let mut take_until = |records: u64| -> Result<()> {
        while tally.records < records {
            let message = consumer
                .poll(WAIT_MAX)
                .with_context(|| format!("{} records arrived, and then none", tally.records))?;
            tally.add(message?.payload());
        }
        Ok(())
    };
    take_until(work.warm_up())?;
    let clock = Clock::start();
    take_until(work.records)?;
    let cost = clock.per(work.records - work.warm_up());
    tally.check(work.records)?;
    Ok(cost)
}

/// Topics of one partition, for either client.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Topics {
    pub fn new(bootstrap: &str) -> Result<Self> {
        let admin = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .create()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self { admin, runtime })
    }

    pub fn create(&self, name: &str) -> Result<()> {
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let created = self.admin.create_topics([&topic], &AdminOptions::new());
        for result in self.runtime.block_on(created)? {
            result.map_err(|(topic, code)| anyhow::anyhow!("could not create {topic}: {code}"))?;
        }
        Ok(())
    }

    pub fn delete(&self, name: &str) -> Result<()> {
        let deleted = self.admin.delete_topics(&[name], &AdminOptions::new());
        for result in self.runtime.block_on(deleted)? {
            result.map_err(|(topic, code)| anyhow::anyhow!("could not delete {topic}: {code}"))?;
        }
        Ok(())
    }
}
