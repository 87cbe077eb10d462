//! What a test writes to a topic with all that a record has, and reads from one.

use super::{Bench, PATIENCE, now};
use kafka_client::consumer::{Consumer, Polled};
use kafka_client::producer::{Producer, Record, Token};
use kafka_client::settings::{ConsumerSettings, ProducerSettings};
use kafka_client::{Client, TopicPartition};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A record as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plain {
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
    pub timestamp_ms: i64,
}

impl Plain {
    pub fn value(value: impl Into<String>) -> Self {
        Self {
            value: Some(value.into()),
            timestamp_ms: now().as_millis() as i64,
            ..Self::default()
        }
    }

    /// The last header of this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().rev();
        let found = found.find(|(key, _)| key == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.as_deref()
    }
}

impl Bench {
    /// Writes records to partition 0, and waits until the broker has them.
    pub async fn produce_plain(&self, topic: &str, records: &[Plain]) {
        let settings = [
            ("bootstrap.servers", self.servers.as_str()),
            ("key.serializer", "b"),
            ("value.serializer", "b"),
        ];
        let settings = ProducerSettings::parse(settings)
            .expect("settings")
            .settings;
        let client = Client::connect(settings.connection.clone());
        let (mut producer, mut acknowledgements) =
            Producer::new(client, &settings).expect("a producer");
        let topic = producer.topic(topic).await.expect("a topic");
        for (number, plain) in records.iter().enumerate() {
            let record = Record {
                topic,
                partition: Some(0),
                timestamp_ms: plain.timestamp_ms,
                key: plain.key.as_deref().map(str::as_bytes),
                value: plain.value.as_deref().map(str::as_bytes),
            };
            let token = Token {
                stream: 0,
                number: number as u64,
            };
            let headers = plain.headers.iter();
            let headers =
                headers.map(|(key, value)| (key.as_bytes(), value.as_deref().map(str::as_bytes)));
            let mut appender = producer.appender();
            appender
                .append_with_headers(&record, headers, token)
                .expect("room");
        }
        producer.flush().await;
        let mut acknowledged = Vec::new();
        acknowledgements.try_recv(&mut acknowledged);
        acknowledged
            .iter()
            .for_each(|batch| assert!(batch.result.is_ok(), "{batch:?}"));
    }

    /// The records of partition 0 of a topic that is there, at least so many.
    pub async fn read(&self, topic: &str, count: usize) -> Vec<Plain> {
        let settings = [
            ("bootstrap.servers", self.servers.as_str()),
            ("key.deserializer", "b"),
            ("value.deserializer", "b"),
            ("auto.offset.reset", "earliest"),
        ];
        let settings = ConsumerSettings::parse(settings)
            .expect("settings")
            .settings;
        let mut consumer = Consumer::new(settings, Handle::current());
        let partition = TopicPartition {
            topic: topic.into(),
            partition: 0,
        };
        consumer.assign([partition]).expect("assigned");
        let mut found = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while found.len() < count {
            assert!(Instant::now() < deadline, "{count} of {topic}: {found:?}");
            let polled = consumer.poll(Duration::from_secs(1)).await.expect("polled");
            let Polled::Records(records) = polled else {
                continue;
            };
            for view in records.iter().flat_map(|it| it.iter()) {
                let view = view.expect("a sound record");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = view.headers().map(|it| it.expect("a sound header"));
                found.push(Plain {
                    key: view.key.map(text),
                    value: view.value.map(text),
                    headers: headers
                        .map(|it| (text(it.key), it.value.map(text)))
                        .collect(),
                    timestamp_ms: view.timestamp_ms,
                });
            }
        }
        let closed = consumer.close(Duration::ZERO).await;
        closed.expect("a consumer without a group has nothing to leave");
        found
    }
}
