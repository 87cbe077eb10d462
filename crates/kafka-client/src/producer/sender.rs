//! The task that carries out what the producer's state decides.
//!
//! Lives here: produce requests and their answers, compression, connections, the producer id.
//! Lives elsewhere: every decision (`state`).
//! Never here: a record. The lock on the state is held for a step, never across an `.await`.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::batch::{split_in_two, with_producer};
use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Compressor, Decompressor, ProducerState};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Shared;
use super::answer::Outcome;
use super::batch::{BatchId, Body};
use super::ending::Written;
use super::messages::{Action, Event, Leader, Outgoing, Produced, ProducedBatch};
use super::sequence::ProducerId;
use crate::client::{Client, Target};
use crate::connection::{Connection, Pending};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::{ClusterMetadata, LeaderHint};
use crate::settings::{Acks, HostPort};

/// Uncompressed bytes that are compressed before answers are looked at again.
const COMPRESS_BYTES_PER_TURN: usize = 128 * 1024;
/// A batch of our own that the broker refused; it was in memory before, so it may be again.
const SPLIT_BYTES_MAX: usize = i32::MAX as usize;

pub(super) struct Sender {
    pub shared: Arc<Shared>,
    pub client: Client,
    pub acks: Acks,
    pub request_timeout: Duration,
    pub compressor: Compressor,
}

/// Work of the processor that batches wait for.
enum Job {
    Compress {
        batch: BatchId,
        records: BatchBuilder,
    },
    Split {
        batch: BatchId,
        bytes: Bytes,
    },
}

/// A produce request under way.
struct Asked {
    sent: Vec<Sent>,
    answer: Pending<ProduceResponse>,
}

/// What a task of the sender has to tell.
enum Done {
    Connected {
        broker: i32,
        result: Result<Connection, ClientError>,
    },
    ProducerId(Result<ProducerId, ClientError>),
    Produced {
        broker: i32,
        sent: Vec<Sent>,
        result: Result<ProduceResponse, ClientError>,
    },
}

/// A batch of a request, kept for its answer.
struct Sent {
    id: BatchId,
    topic: Arc<str>,
    partition: i32,
    bytes: Bytes,
    producer: ProducerState,
}

/// Tells everybody who waits for this producer, also when the task panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end(ClientError::fatal("the producer has stopped"));
    }
}

/// Connections, and what is asked on them.
#[derive(Default)]
struct Links {
    connections: HashMap<i32, Connection>,
    /// Per broker in the order of the requests. Answers are taken in that order, so that batches are
    /// acknowledged in it.
    asked: HashMap<i32, VecDeque<Asked>>,
}

impl Links {
    /// The next answer of any broker; pending while nothing is asked.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        for (broker, asked) in &mut self.asked {
            if let Some(first) = asked.front_mut()
                && let Poll::Ready(result) = Pin::new(&mut first.answer).poll(cx)
                && let Some(Asked { sent, .. }) = asked.pop_front()
            {
                return Poll::Ready(Done::Produced {
                    broker: *broker,
                    sent,
                    result,
                });
            }
        }
        Poll::Pending
    }

    /// The answers that are there already.
    async fn take_answers(&mut self, done: &mut Vec<Done>) {
        poll_fn(|cx| {
            while let Poll::Ready(answer) = self.poll_answer(cx) {
                done.push(answer);
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// A task that panicked had something to tell; without it the producer must not go on.
fn rethrow(error: JoinError) -> Done {
    std::panic::resume_unwind(error.into_panic())
}

impl Sender {
    /// Runs until the producer is closed and every batch is acknowledged.
    pub async fn run(mut self) {
        let _ending = Ending(self.shared.clone());
        let mut metadata = self.client.watch_metadata();
        let mut links = Links::default();
        // Connecting, and asking for a producer id.
        let mut tasks: JoinSet<Done> = JoinSet::new();
        let mut jobs: VecDeque<Job> = VecDeque::new();
        let mut events = Vec::new();
        let mut done = Vec::new();
        loop {
            if metadata.has_changed().unwrap_or(false) {
                let snapshot = metadata.borrow_and_update().clone();
                self.shared.learn(&snapshot);
            }
            let (actions, wake) = self.shared.step(events.drain(..));
            if self.shared.is_finished() {
                return;
            }
            for action in actions {
                match action {
                    Action::Send { broker, batches } => {
                        events.extend(self.send(broker, batches, &mut links));
                    }
                    Action::Connect { broker } => {
                        let client = self.client.clone();
                        tasks.spawn(async move {
                            Done::Connected {
                                broker,
                                result: client.connection(broker).await,
                            }
                        });
                    }
                    Action::InitProducerId => {
                        _ = tasks.spawn(init_producer_id(self.client.clone()))
                    }
                    Action::RefreshMetadata => self.client.request_metadata_refresh(),
                    Action::Compress { batch, records } => {
                        jobs.push_back(Job::Compress { batch, records })
                    }
                    Action::Split { batch, bytes } => jobs.push_back(Job::Split { batch, bytes }),
                }
            }
            if !jobs.is_empty() {
                self.work(&mut jobs, &mut events);
                // Others on this thread, the connection among them, get their turn.
                tokio::task::yield_now().await;
            } else if events.is_empty() {
                tokio::select! {
                    answer = poll_fn(|cx| links.poll_answer(cx)) => done.push(answer),
                    Some(finished) = tasks.join_next() => {
                        done.push(finished.unwrap_or_else(rethrow));
                    }
                    () = self.shared.wake.notified() => {}
                    // The loop looks at it first.
                    _ = metadata.changed() => metadata.mark_changed(),
                    () = sleep_until(wake) => {}
                }
            }
            links.take_answers(&mut done).await;
            while let Some(finished) = tasks.try_join_next() {
                done.push(finished.unwrap_or_else(rethrow));
            }
            events.extend(
                done.drain(..)
                    .map(|done| self.done(done, &mut links.connections)),
            );
        }
    }

    fn work(&mut self, jobs: &mut VecDeque<Job>, events: &mut Vec<Event>) {
        let mut done_bytes = 0;
        while done_bytes < COMPRESS_BYTES_PER_TURN
            && let Some(job) = jobs.pop_front()
        {
            match job {
                Job::Compress { batch, records } => {
                    done_bytes += records.size_bytes();
                    let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
                    let (result, buffer) = match records.compress(&header, &mut self.compressor) {
                        Ok((unsealed, buffer)) => (Ok(unsealed), buffer),
                        Err(error) => (Err(error), None),
                    };
                    events.push(Event::Compressed {
                        batch,
                        result,
                        buffer,
                    });
                }
                Job::Split { batch, bytes } => {
                    done_bytes += bytes.len();
                    let mut decompressor = Decompressor::new(SPLIT_BYTES_MAX);
                    let result = split_in_two(bytes, &mut self.compressor, &mut decompressor);
                    events.push(Event::Split { batch, result });
                }
            }
        }
    }

    /// Gives an event when the request could not even be queued.
    fn send(&self, broker: i32, batches: Vec<Outgoing>, links: &mut Links) -> Option<Event> {
        let sent: Vec<Sent> = batches.into_iter().map(seal).collect();
        let enqueued = match links.connections.get(&broker) {
            Some(connection) => {
                let request = produce_request(&sent, self.acks, self.request_timeout);
                connection.enqueue(&request, self.request_timeout)
            }
            None => Err(ClientError::retriable(format!(
                "there is no connection to broker {broker}"
            ))
            .with_code(KafkaErrorCode::NETWORK_EXCEPTION)),
        };
        match enqueued {
            Ok(answer) => {
                links
                    .asked
                    .entry(broker)
                    .or_default()
                    .push_back(Asked { sent, answer });
                None
            }
            Err(error) => {
                debug!(broker, %error, "could not queue a produce request");
                let outcome = |_: &Sent| Outcome::NotSent(error.clone());
                Some(Event::Produced(produced(
                    broker,
                    Duration::ZERO,
                    sent,
                    outcome,
                )))
            }
        }
    }

    fn done(&self, done: Done, connections: &mut HashMap<i32, Connection>) -> Event {
        match done {
            Done::Connected {
                broker,
                result: Ok(connection),
            } => {
                connections.insert(broker, connection);
                Event::Connected { broker }
            }
            Done::Connected {
                broker,
                result: Err(error),
            } => {
                warn!(broker, %error, "the producer cannot connect");
                Event::ConnectFailed { broker, error }
            }
            Done::ProducerId(result) => {
                match &result {
                    Ok(id) => debug!(producer_id = id.id, epoch = id.epoch, "got a producer id"),
                    Err(error) => warn!(%error, "the producer got no producer id"),
                }
                Event::ProducerId(result)
            }
            Done::Produced {
                broker,
                sent,
                result: Err(error),
            } => {
                warn!(broker, %error, "a produce request ended without an answer");
                if connections.get(&broker).is_some_and(Connection::is_closed) {
                    connections.remove(&broker);
                }
                Event::Produced(produced(broker, Duration::ZERO, sent, |_| {
                    Outcome::Lost(error.clone())
                }))
            }
            Done::Produced {
                broker,
                sent,
                result: Ok(response),
            } => Event::Produced(self.answered(broker, sent, &response)),
        }
    }

    fn answered(&self, broker: i32, sent: Vec<Sent>, response: &ProduceResponse) -> Produced {
        let throttle = Duration::from_millis(u64::try_from(response.throttle_time_ms).unwrap_or(0));
        if self.acks == Acks::None {
            let unknown = Written {
                base_offset: None,
                log_append_time_ms: None,
            };
            return produced(broker, throttle, sent, |_| Outcome::Written(unknown));
        }
        let answers: HashMap<(&str, i32), &PartitionProduceResponse> = response
            .responses
            .iter()
            .flat_map(|topic| {
                topic
                    .partition_responses
                    .iter()
                    .map(|partition| ((topic.name.0.as_str(), partition.index), partition))
            })
            .collect();
        self.learn_leaders(response, &answers);
        produced(broker, throttle, sent, |batch| {
            match answers.get(&(&*batch.topic, batch.partition)) {
                Some(answer) => outcome_of(answer),
                None => Outcome::Lost(ClientError::retriable(format!(
                    "the answer of broker {broker} to a produce request leaves out the partition"
                ))),
            }
        })
    }

    /// Newer leaders that the broker named, and where they are.
    fn learn_leaders(
        &self,
        response: &ProduceResponse,
        answers: &HashMap<(&str, i32), &PartitionProduceResponse>,
    ) {
        for node in &response.node_endpoints {
            if let Ok(port) = u16::try_from(node.port) {
                self.client
                    .learn_broker(node.node_id.0, HostPort::new(node.host.as_str(), port));
            }
        }
        let hints: Vec<LeaderHint<'_>> = answers
            .iter()
            .filter_map(|((topic, partition), answer)| {
                let leader = leader_of(answer)?;
                Some(LeaderHint {
                    topic,
                    partition: *partition,
                    leader: leader.broker?,
                    leader_epoch: leader.epoch,
                })
            })
            .collect();
        if !hints.is_empty() {
            self.client.learn_leaders(&hints);
        }
    }
}

/// What the metadata says about a topic, as the state wants it.
pub(super) fn leaders_of(metadata: &ClusterMetadata, topic: &str) -> Option<Vec<Leader>> {
    let topic = metadata.topic(topic)?;
    let leader = |partition: &crate::metadata::PartitionMetadata| Leader {
        broker: partition.leader,
        epoch: partition.leader_epoch,
    };
    Some(topic.partitions.iter().map(leader).collect())
}

fn seal(outgoing: Outgoing) -> Sent {
    let Outgoing {
        id,
        topic,
        partition,
        body,
        producer,
    } = outgoing;
    let bytes = match body {
        Body::Unsealed(batch) => batch.seal(producer),
        Body::Sealed(bytes, sealed_as) if sealed_as == producer => bytes,
        Body::Sealed(bytes, _) => with_producer(bytes, producer),
        Body::Records(_) | Body::Lent => unreachable!("a batch is sent with its bytes"),
    };
    Sent {
        id,
        topic,
        partition,
        bytes,
        producer,
    }
}

fn produce_request(sent: &[Sent], acks: Acks, timeout: Duration) -> ProduceRequest {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for batch in sent {
        let at = *index.entry(&batch.topic).or_insert_with(|| {
            let name = TopicName(StrBytes::from_string(batch.topic.to_string()));
            topics.push(TopicProduceData::default().with_name(name));
            topics.len() - 1
        });
        let data = PartitionProduceData::default()
            .with_index(batch.partition)
            .with_records(Some(batch.bytes.clone()));
        topics[at].partition_data.push(data);
    }
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks.code())
        .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics)
}

fn produced(
    broker: i32,
    throttle: Duration,
    sent: Vec<Sent>,
    outcome: impl Fn(&Sent) -> Outcome,
) -> Produced {
    let batches = sent
        .into_iter()
        .map(|batch| ProducedBatch {
            outcome: outcome(&batch),
            id: batch.id,
            bytes: batch.bytes,
            producer: batch.producer,
        })
        .collect();
    Produced {
        broker,
        throttle,
        batches,
    }
}

fn outcome_of(answer: &PartitionProduceResponse) -> Outcome {
    match KafkaErrorCode::check(answer.error_code) {
        Ok(()) => Outcome::Written(Written {
            base_offset: Some(answer.base_offset).filter(|offset| *offset >= 0),
            log_append_time_ms: Some(answer.log_append_time_ms).filter(|time| *time >= 0),
        }),
        Err(code) => Outcome::Refused {
            code,
            message: message_of(answer),
            leader: leader_of(answer),
        },
    }
}

/// The broker's own sentences, those about single records included.
fn message_of(answer: &PartitionProduceResponse) -> Option<String> {
    let mut message = answer
        .error_message
        .as_ref()
        .map(|message| message.to_string());
    for record in &answer.record_errors {
        if let Some(text) = &record.batch_index_error_message {
            let known = message.get_or_insert_default();
            let separator = if known.is_empty() { "" } else { "; " };
            *known = format!("{known}{separator}record {}: {text}", record.batch_index);
        }
    }
    message
}

fn leader_of(answer: &PartitionProduceResponse) -> Option<Leader> {
    let leader = &answer.current_leader;
    (leader.leader_id.0 >= 0 && leader.leader_epoch >= 0).then_some(Leader {
        broker: Some(leader.leader_id.0),
        epoch: leader.leader_epoch,
    })
}

async fn init_producer_id(client: Client) -> Done {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX);
    let answer = client.request(Target::Any, &request).await;
    Done::ProducerId(
        answer.and_then(|answer| match KafkaErrorCode::check(answer.error_code) {
            Ok(()) => Ok(ProducerId {
                id: answer.producer_id.0,
                epoch: answer.producer_epoch,
            }),
            Err(code) => Err(ClientError::from_code(code).with("api", "InitProducerId")),
        }),
    )
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => pending().await,
    }
}
