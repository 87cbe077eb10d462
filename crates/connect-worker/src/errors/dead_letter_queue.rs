//! The topic for records that could not be processed.
//!
//! Lives here: making the topic, sending letters, waiting until Kafka has them.
//! Lives elsewhere: which records become letters (`tolerance`), what is in one (`letter`).
//! Source: `DeadLetterQueueReporter` of Apache Kafka 4.3.

use super::{ErrorCounts, Letter, Tolerance};
use crate::client_config;
use crate::connector_config::ConnectorConfig;
use crate::source_task::producer_settings;
use crate::status::ConnectorTaskId;
use crate::worker::WorkerParts;
use connect_api::{ConnectError, Result};
use kafka_client::admin::{NewTopic, Validate};
use kafka_client::producer::{
    Acknowledged, Acknowledgements, AppendError, Producer, Record, Token, Topic,
};
use kafka_client::settings::AdminSettings;
use kafka_client::{Admin, KafkaErrorCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};

/// Longest that the end of a task waits for letters.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Sends a task's letters. As in Java a letter that Kafka does not take is logged and counted, and harms nothing else.
pub struct DeadLetterQueue {
    name: String,
    topic: Topic,
    producer: Producer,
    acknowledgements: Acknowledgements,
    arrived: Vec<Acknowledged>,
    sent: u64,
    /// Letters that Kafka has not answered yet.
    waiting: u64,
    tolerance: Arc<Tolerance>,
}

impl DeadLetterQueue {
    /// The queue of a task, if its connector has one. Its topic is made unless it is there.
    ///
    /// Fails: with Java's message when the topic can neither be found nor made.
    pub async fn open(
        id: &ConnectorTaskId,
        config: &ConnectorConfig,
        worker: &WorkerParts,
        tolerance: Arc<Tolerance>,
    ) -> Result<Option<Self>> {
        let Some(name) = config.dead_letter_topic.clone() else {
            return Ok(None);
        };
        let cannot = |cause: ConnectError| {
            ConnectError::fatal(format!(
                "Could not initialize dead letter queue with topic={name}"
            ))
            .caused_by(cause)
        };
        create_topic(&name, id, config, worker)
            .await
            .map_err(cannot)?;
        let mut properties = client_config::source_task_producer(
            &worker.config.originals,
            &config.originals,
            &id.connector,
            id.task,
        );
        let client_id = format!("connector-dlq-producer-{}-{}", id.connector, id.task);
        properties.set("client.id", client_id);
        let settings = producer_settings(properties)?.settings;
        let client = (worker.connect)(settings.connection.clone());
        let (producer, acknowledgements) = Producer::new(client, &settings)
            .map_err(|cause| cannot(ConnectError::fatal("no producer").caused_by(cause)))?;
        let topic = producer.topic(&name).await.map_err(|cause| {
            cannot(ConnectError::fatal("it cannot be written to").caused_by(cause))
        })?;
        Ok(Some(Self {
            name,
            topic,
            producer,
            acknowledgements,
            arrived: Vec::new(),
            sent: 0,
            waiting: 0,
            tolerance,
        }))
    }

    /// Hands letters to the producer; waits only while it has no room.
    pub async fn send(&mut self, letters: Vec<Letter>) {
        for letter in &letters {
            loop {
                match self.append(letter) {
                    Err(AppendError::Full) => {
                        if let Err(cause) = self.producer.ready().await {
                            self.lost(1, &cause);
                            break;
                        }
                        self.take_answers();
                    }
                    Err(cause) => {
                        self.lost(1, &cause);
                        break;
                    }
                    Ok(_) => {
                        self.sent += 1;
                        self.waiting += 1;
                        ErrorCounts::count(&self.tolerance.counts().letters_sent);
                        break;
                    }
                }
            }
        }
        self.take_answers();
    }

    fn append(&mut self, letter: &Letter) -> Result<i32, AppendError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let record = Record {
            topic: self.topic,
            partition: None,
            timestamp_ms: letter.timestamp_ms.unwrap_or(now.as_millis() as i64),
            key: letter.key.as_deref(),
            value: letter.value.as_deref(),
        };
        let headers = letter
            .headers
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()));
        let token = Token {
            stream: 0,
            number: self.sent,
        };
        self.producer
            .appender()
            .append_with_headers(&record, headers, token)
    }

    /// Waits until Kafka has answered for all letters: before offsets are committed past their records.
    pub async fn settle(&mut self) {
        self.producer.flush().await;
        while self.waiting > 0 {
            if !self.acknowledgements.recv(&mut self.arrived).await {
                break;
            }
            self.note_arrived();
        }
    }

    fn take_answers(&mut self) {
        self.acknowledgements.try_recv(&mut self.arrived);
        self.note_arrived();
    }

    fn note_arrived(&mut self) {
        for acknowledged in std::mem::take(&mut self.arrived) {
            let records = u64::from(acknowledged.records);
            self.waiting = self.waiting.saturating_sub(records);
            if let Err(cause) = &acknowledged.result {
                self.lost(records, cause);
            }
        }
    }

    fn lost(&self, letters: u64, cause: &dyn std::fmt::Display) {
        error!(topic = self.name, letters, %cause, "Could not produce message to dead letter queue");
        for _ in 0..letters {
            ErrorCounts::count(&self.tolerance.counts().letters_lost);
        }
    }

    /// Waits for what is under way, within bounds.
    pub async fn close(mut self) {
        let deadline = Instant::now() + CLOSE_MAX;
        if timeout_at(deadline, self.settle()).await.is_err() {
            self.lost(
                self.waiting,
                &"the task has ended before Kafka has answered",
            );
        }
        self.producer.close(Duration::ZERO).await;
    }
}

async fn create_topic(
    name: &str,
    id: &ConnectorTaskId,
    config: &ConnectorConfig,
    worker: &WorkerParts,
) -> Result<()> {
    let client_id = format!("connector-dlq-adminclient-{}-{}", id.connector, id.task);
    let properties = client_config::admin(&worker.config.originals, &config.originals, &client_id);
    let known = properties.iter().filter(|(key, _)| {
        kafka_client::settings::knows(kafka_client::settings::ClientKind::Admin, key)
    });
    let known = known.filter_map(|(key, value)| Some((key.to_string(), value?.to_string())));
    let settings = AdminSettings::parse(known)
        .map_err(|errors| {
            ConnectError::from(crate::worker::client_errors("admin.override.", errors))
        })?
        .settings;
    let timeout = settings.default_api_timeout;
    let client = (worker.connect)(settings.connection.clone());
    let admin = Admin::with_client(client, timeout);
    let topics = admin.list_topics().await;
    let topics =
        topics.map_err(|cause| ConnectError::fatal("topics cannot be listed").caused_by(cause))?;
    if topics.iter().any(|topic| *topic.name == *name) {
        return Ok(());
    }
    let topic = NewTopic::new(name, Some(1), Some(config.dead_letter_replication_factor));
    let created = admin.create_topics(&[topic], Validate::AndApply).await;
    for created in created.into_values() {
        match created {
            Ok(_) => info!(topic = name, "created the dead letter queue's topic"),
            Err(cause) if cause.code() == Some(KafkaErrorCode::TOPIC_ALREADY_EXISTS) => {}
            Err(cause) => {
                return Err(ConnectError::fatal("it cannot be created").caused_by(cause));
            }
        }
    }
    Ok(())
}
