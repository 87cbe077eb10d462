//! The topic for records that could not be processed.
//!
//! Lives here: making the topic, sending letters, waiting until Kafka has them.
//! Lives elsewhere: which records become letters (`tolerance`), what is in one (`letter`).
//! Source: `DeadLetterQueueReporter` of Apache Kafka 4.3.

use super::{ErrorCounts, Letter, Tolerance, of_client};
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
use kafka_client::{Admin, ClientError, KafkaErrorCode};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info};

/// Longest that the end of a task waits for letters.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Sends a task's letters, if its connector has a dead letter queue. As in Java a letter that Kafka does not take is
/// logged and counted, and harms nothing else.
pub struct DeadLetters(Option<Queue>);

struct Queue {
    name: String,
    topic: Topic,
    producer: Producer,
    acknowledgements: Acknowledgements,
    arrived: Vec<Acknowledged>,
    sent: u64,
    /// By the numbers of their tokens, what Kafka has not answered yet.
    waiting: HashMap<u64, Waiting>,
    /// What was too large for the topic, to be sent once more.
    again: Vec<Waiting>,
    tolerance: Arc<Tolerance>,
}

struct Waiting {
    letter: Letter,
    /// Whether it is the only one of its batch: then it is the one that was too large.
    is_alone: bool,
}

impl DeadLetters {
    /// The queue of a task, if its connector has one. Its topic is made unless it is there.
    ///
    /// Fails: with Java's message when the topic can neither be found nor made.
    pub async fn open(
        id: &ConnectorTaskId,
        config: &ConnectorConfig,
        worker: &WorkerParts,
        tolerance: Arc<Tolerance>,
    ) -> Result<Self> {
        Ok(match &config.dead_letter_topic {
            Some(name) => {
                let queue = Queue::open(name.clone(), id, config, worker, tolerance);
                Self(Some(queue.await?))
            }
            None => Self(None),
        })
    }

    #[cfg(test)]
    pub fn none() -> Self {
        Self(None)
    }

    /// Hands what was written since the last call to the producer; waits only while that has no room.
    pub async fn send(&mut self) {
        if let Some(queue) = &mut self.0 {
            let letters = queue.tolerance.take_letters();
            if !letters.is_empty() {
                queue.send(letters).await;
            }
        }
    }

    /// Sends, and waits until Kafka has answered for all letters: before offsets are committed past their records.
    pub async fn settle(&mut self) {
        self.send().await;
        if let Some(queue) = &mut self.0 {
            queue.settle().await;
        }
    }

    /// Settles within bounds, and ends.
    pub async fn close(&mut self) {
        self.send().await;
        if let Some(queue) = self.0.take() {
            queue.close().await;
        }
    }
}

impl Queue {
    async fn open(
        name: String,
        id: &ConnectorTaskId,
        config: &ConnectorConfig,
        worker: &WorkerParts,
        tolerance: Arc<Tolerance>,
    ) -> Result<Self> {
        let cannot = |cause: ConnectError| {
            // What may pass, such as brokers that are away, is worth another start.
            let kind = cause.kind();
            let message = format!("Could not initialize dead letter queue with topic={name}");
            ConnectError::new(kind, message).caused_by(cause)
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
        let topic = producer.topic(&name).await;
        let topic = topic.map_err(|cause| cannot(of_client("it cannot be written to", cause)))?;
        Ok(Self {
            name,
            topic,
            producer,
            acknowledgements,
            arrived: Vec::new(),
            sent: 0,
            waiting: HashMap::new(),
            again: Vec::new(),
            tolerance,
        })
    }

    async fn send(&mut self, letters: Vec<Letter>) {
        for letter in letters {
            ErrorCounts::count(&self.tolerance.counts().letters_sent);
            let is_alone = false;
            self.send_one(Waiting { letter, is_alone }).await;
        }
        self.take_answers();
    }

    async fn send_one(&mut self, mut waiting: Waiting) {
        loop {
            match self.append(&waiting.letter) {
                Ok(_) => {
                    self.waiting.insert(self.sent, waiting);
                    self.sent += 1;
                    return;
                }
                Err(AppendError::Full) => {
                    let ready = self
                        .producer
                        .ready_and_take(&mut self.acknowledgements, &mut self.arrived)
                        .await;
                    self.take_answers();
                    if let Err(cause) = ready {
                        return self.lost(1, &cause);
                    }
                }
                Err(AppendError::RecordTooLarge(_)) if waiting.letter.value.is_some() => {
                    waiting.letter.leave_value_out();
                }
                Err(cause) => return self.lost(1, &cause),
            }
        }
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

    async fn settle(&mut self) {
        while !self.waiting.is_empty() || !self.again.is_empty() {
            self.producer.flush().await;
            while !self.waiting.is_empty() {
                if !self.acknowledgements.recv(&mut self.arrived).await {
                    return self.lost(self.waiting.len() as u64, &"its producer has ended");
                }
                self.note_arrived();
            }
            // One at a time: which of a batch was too large is not said.
            let Some(waiting) = self.again.pop() else {
                return;
            };
            self.send_one(waiting).await;
        }
    }

    fn take_answers(&mut self) {
        self.acknowledgements.try_recv(&mut self.arrived);
        self.note_arrived();
    }

    fn note_arrived(&mut self) {
        for acknowledged in std::mem::take(&mut self.arrived) {
            let tokens = acknowledged.runs.tokens();
            let answered = tokens.filter_map(|token| self.waiting.remove(&token.number));
            let answered: Vec<Waiting> = answered.collect();
            match &acknowledged.result {
                Ok(_) => {}
                Err(cause) if is_too_large(cause) => {
                    for mut waiting in answered {
                        if waiting.is_alone || acknowledged.records == 1 {
                            if waiting.letter.value.is_none() {
                                self.lost(1, cause);
                                continue;
                            }
                            waiting.letter.leave_value_out();
                        }
                        waiting.is_alone = true;
                        self.again.push(waiting);
                    }
                }
                Err(cause) => self.lost(answered.len() as u64, cause),
            }
        }
    }

    fn lost(&self, letters: u64, cause: &dyn std::fmt::Display) {
        let topic = &self.name;
        error!(letters, %cause, "Could not produce message to dead letter queue. topic={topic}");
        for _ in 0..letters {
            ErrorCounts::count(&self.tolerance.counts().letters_lost);
        }
    }

    async fn close(mut self) {
        let deadline = Instant::now() + CLOSE_MAX;
        if timeout_at(deadline, self.settle()).await.is_err() {
            let left = self.waiting.len() + self.again.len();
            self.lost(left as u64, &"the task has ended before Kafka has answered");
        }
        self.producer.close(Duration::ZERO).await;
    }
}

fn is_too_large(error: &ClientError) -> bool {
    error.is(KafkaErrorCode::MESSAGE_TOO_LARGE) || error.is(KafkaErrorCode::RECORD_LIST_TOO_LARGE)
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
    let topics = topics.map_err(|cause| of_client("topics cannot be listed", cause))?;
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
                return Err(of_client("it cannot be created", cause));
            }
        }
    }
    Ok(())
}
