//! The work with kafka-client, as the worker uses it: records in chunks of one poll, a batch per
//! acknowledgement, values as slices of the fetched buffer.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use kafka_client::Client;
use kafka_client::consumer::{Consumer, Polled, TopicPartition};
use kafka_client::producer::{
    Acknowledged, Acknowledgements, AppendError, Producer, Record, Token, Topic,
};
use kafka_client::settings::{ConsumerSettings, ProducerSettings};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::payload::Payloads;
use crate::work::{Clock, Cost, Tally, Work};

/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Records that a source hands over at once; `batch.size` of Kafka Connect's file source.
const CHUNK: u64 = 2_000;

pub fn produce(work: &Work) -> Result<Cost> {
    let payloads = Payloads::new();
    runtime()?.block_on(async {
        let batch_bytes = work.batch_bytes.to_string();
        let parsed = ProducerSettings::parse([
            ("bootstrap.servers", work.bootstrap.as_str()),
            ("acks", "all"),
            ("enable.idempotence", work.idempotence.name()),
            ("compression.type", work.compression.name()),
            ("batch.size", &batch_bytes),
            ("linger.ms", "5"),
        ])
        .context("kafka-client refused the settings of the producer")?;
        let client = Client::connect(parsed.settings.connection.clone());
        let (producer, acknowledgements) = Producer::new(client, &parsed.settings)?;
        let mut sending = Sending {
            topic: producer.topic(&work.topic).await?,
            producer,
            acknowledgements,
            keys: work.keys,
            arrived: Vec::new(),
            acknowledged: 0,
        };
        sending.send(&payloads, 0, work.warm_up()).await?;
        let clock = Clock::start();
        sending
            .send(&payloads, work.warm_up(), work.records)
            .await?;
        Ok(clock.per(work.records - work.warm_up()))
    })
}

struct Sending {
    producer: Producer,
    acknowledgements: Acknowledgements,
    topic: Topic,
    /// Different keys, in turn; 0: none.
    keys: u64,
    arrived: Vec<Acknowledged>,
    /// Records that the broker has.
    acknowledged: u64,
}

impl Sending {
    /// Sends the values `from..to` and waits until the broker has them all.
    async fn send(&mut self, payloads: &Payloads, from: u64, to: u64) -> Result<()> {
        let mut next = from;
        while next < to {
            match self.append(payloads, next, to.min(next + CHUNK))? {
                // As a source that polls: others of the runtime have their turn.
                Appended::All(end) => {
                    next = end;
                    self.take_arrived()?;
                    tokio::task::yield_now().await;
                }
                Appended::Full(end) => {
                    next = end;
                    self.wait_for_room().await?;
                }
            }
        }
        let (producer, acknowledgements) = (&self.producer, &mut self.acknowledgements);
        tokio::time::timeout(WAIT_MAX, producer.flush())
            .await
            .context("kafka-client did not deliver all")?;
        acknowledgements.try_recv(&mut self.arrived);
        self.count_arrived()?;
        ensure!(
            self.acknowledged == to,
            "{} records are acknowledged, expected {to}",
            self.acknowledged
        );
        Ok(())
    }

    /// Appends `from..to` as far as there is room.
    fn append(&mut self, payloads: &Payloads, from: u64, to: u64) -> Result<Appended> {
        let timestamp_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        let mut appender = self.producer.appender();
        let mut key = Vec::new();
        for number in from..to {
            if self.keys > 0 {
                key.clear();
                write!(key, "key-{:010}", number % self.keys)?;
            }
            let record = Record {
                topic: self.topic,
                partition: Some(0),
                timestamp_ms,
                key: (self.keys > 0).then_some(key.as_slice()),
                value: Some(payloads.get(number)),
            };
            let token = Token { stream: 0, number };
            match appender.append(&record, token) {
                Ok(_) => (),
                Err(AppendError::Full) => return Ok(Appended::Full(number)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Appended::All(to))
    }

    /// Acknowledgements hold memory until they are taken, so both are waited for.
    async fn wait_for_room(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                ready = self.producer.ready() => return Ok(ready?),
                more = self.acknowledgements.recv(&mut self.arrived) => {
                    ensure!(more, "the producer has ended");
                }
            }
            self.count_arrived()?;
        }
    }

    fn take_arrived(&mut self) -> Result<()> {
        self.acknowledgements.try_recv(&mut self.arrived);
        self.count_arrived()
    }

    fn count_arrived(&mut self) -> Result<()> {
        for batch in self.arrived.drain(..) {
            batch.result?;
            self.acknowledged += u64::from(batch.records);
        }
        Ok(())
    }
}

/// The number behind the last record that was taken.
enum Appended {
    All(u64),
    Full(u64),
}

pub fn consume(work: &Work) -> Result<Cost> {
    runtime()?.block_on(async {
        let parsed = ConsumerSettings::parse([
            ("bootstrap.servers", work.bootstrap.as_str()),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("check.crcs", "true"),
        ])
        .context("kafka-client refused the settings of the consumer")?;
        let mut consumer = Consumer::new(parsed.settings, Handle::current());
        consumer.assign([TopicPartition::new(work.topic.as_str(), 0)])?;
        let mut tally = Tally::default();
        take_until(&mut consumer, &mut tally, work.warm_up()).await?;
        let (warm, clock) = (tally.records, Clock::start());
        take_until(&mut consumer, &mut tally, work.records).await?;
        let cost = clock.per(tally.records - warm);
        tally.check(work.records)?;
        Ok(cost)
    })
}

async fn take_until(consumer: &mut Consumer, tally: &mut Tally, records: u64) -> Result<()> {
    while tally.records < records {
        match consumer.poll(WAIT_MAX).await? {
            Polled::Records(partitions) => {
                for partition in &partitions {
                    for record in partition.iter() {
                        tally.add(record?.value);
                    }
                }
            }
            Polled::Nothing => (),
            other => anyhow::bail!("a consumer without a group was told {other:?}"),
        }
    }
    Ok(())
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}
