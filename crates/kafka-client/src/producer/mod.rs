//! The producer: records in, one acknowledgement per batch out.
//!
//! Lives here: [`Producer`], its [`Appender`] and [`Acknowledgements`], and what they share.
//! Lives elsewhere: records into batches (`accumulate`), decisions (`state`, `answer`, `ending`,
//! `partition`, `sequence`), requests (`sender`).
//! Never here: a converter, a source partition, an offset; a record is bytes and a [`Token`].
//!
//! One task feeds a producer. It takes an [`Appender`] for the records that it has, which locks the
//! producer's state once, and gives it back before it waits for anything. Batches are sent by a task
//! of the producer's own; what became of them comes as [`Acknowledged`], which names the records by
//! their tokens, so that nothing is kept, allocated or woken per record.

mod accumulate;
mod answer;
mod batch;
mod ending;
mod messages;
mod partition;
mod sender;
mod sequence;
#[cfg(test)]
mod simulation;
mod state;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_wire::{Codec, Compressor};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use accumulate::{AppendError, Record, Topic};
pub use batch::{Run, Runs, Token};
pub use ending::{Acknowledged, Written};

use messages::{Action, Config, Event};
use sender::{Sender, leaders_of};
use state::State;

use crate::client::{Client, Refresh};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::ClusterMetadata;
use crate::settings::{Compression, ProducerSettings};

/// How often a full producer looks for a little room while there is not plenty.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Sends records to one cluster. Owned by the task that feeds it.
///
/// Dropped without [`close`](Self::close), it gives up on what is not acknowledged yet.
pub struct Producer {
    shared: Arc<Shared>,
    client: Client,
    max_block: Duration,
    sender: Option<JoinHandle<()>>,
}

/// What happened to batches. May live in another task than the producer.
pub struct Acknowledgements(Arc<Shared>);

/// Takes records while it lives. The producer's sender waits meanwhile, so it is not for keeping;
/// it is not `Send`, so that it cannot be held across an `.await`.
pub struct Appender<'a> {
    /// `None` only while it is dropped.
    state: Option<MutexGuard<'a, State>>,
    shared: &'a Shared,
    now: Instant,
}

/// What the producer, its sender and the acknowledgements see.
struct Shared {
    state: Mutex<State>,
    /// For the sender: look again.
    wake: Notify,
    /// For `ready`: there is plenty of room again.
    room: Notify,
    /// For `flush` and `close`: batches were acknowledged.
    progress: Notify,
    acknowledged: Notify,
    phase: Mutex<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// As soon as everything is acknowledged.
    Closing,
    /// No acknowledgement comes any more.
    Ended,
}

impl Producer {
    /// Starts the sender. Must be called inside a Tokio runtime.
    ///
    /// Fails: when the settings ask for what this producer cannot do.
    pub fn new(
        client: Client,
        settings: &ProducerSettings,
    ) -> Result<(Producer, Acknowledgements), ClientError> {
        let (codec, level) = match settings.compression {
            Compression::None => (Codec::None, None),
            Compression::Gzip { level } => (
                Codec::Gzip,
                level.and_then(|level| i32::try_from(level).ok()),
            ),
            Compression::Snappy => (Codec::Snappy, None),
            Compression::Lz4 => (Codec::Lz4, None),
            Compression::Zstd { level } => (Codec::Zstd, Some(level)),
        };
        let compressor = Compressor::new(codec, level)
            .map_err(|error| ClientError::config(error.to_string()))?;
        let config = Config {
            codec,
            idempotent: settings.enable_idempotence,
            // As in Java, 0 makes a batch of every record.
            batch_size_bytes: settings.batch_size_bytes.max(1),
            buffer_memory_bytes: settings.buffer_memory_bytes,
            max_request_bytes: settings.max_request_size_bytes,
            linger: settings.linger,
            delivery_timeout: settings.delivery_timeout,
            retries: settings.retries,
            max_in_flight: settings.max_in_flight_requests_per_connection.max(1),
            partitioner: settings.partitioner,
            backoff: client.retry_backoff(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(config, seed())),
            wake: Notify::new(),
            room: Notify::new(),
            progress: Notify::new(),
            acknowledged: Notify::new(),
            phase: Mutex::new(Phase::Running),
        });
        let sender = Sender {
            shared: shared.clone(),
            client: client.clone(),
            acks: settings.acks,
            request_timeout: settings.connection.request_timeout,
            compressor,
        };
        let producer = Producer {
            shared: shared.clone(),
            client,
            max_block: settings.max_block,
            sender: Some(tokio::spawn(sender.run())),
        };
        Ok((producer, Acknowledgements(shared)))
    }

    /// Looks a topic up, once; waits at most `max.block.ms` until it is in the metadata. Where the
    /// broker allows it, asking creates the topic.
    pub async fn topic(&self, name: &str) -> Result<Topic, ClientError> {
        let topic = self.shared.state().add_topic(name);
        self.client.track_topics([name]);
        self.await_metadata(
            name,
            |shared| shared.state().partition_count(topic) > 0,
            || {
                format!(
                    "Topic {name} not present in metadata after {} ms.",
                    self.max_block.as_millis()
                )
            },
        )
        .await?;
        Ok(topic)
    }

    /// After [`AppendError::UnknownPartition`]: waits at most `max.block.ms` until the topic has it.
    pub async fn await_partition(&self, topic: Topic, partition: i32) -> Result<(), ClientError> {
        let name = self.shared.state().topics[topic.0 as usize].name.clone();
        let wanted = usize::try_from(partition).map_err(|_| {
            ClientError::fatal(format!("Invalid partition: {partition}. Partition number should always be non-negative or null."))
        })?;
        self.await_metadata(&name, |shared| shared.state().partition_count(topic) > wanted, || {
            format!(
                "Partition {partition} of topic {name} with partition count {} is not present in metadata after {} ms.",
                self.partition_count(topic),
                self.max_block.as_millis()
            )
        })
        .await
    }

    /// Partitions of the topic, as far as the metadata knows. Java's `partitionsFor`.
    pub fn partition_count(&self, topic: Topic) -> usize {
        self.shared.state().partition_count(topic)
    }

    async fn await_metadata(
        &self,
        name: &str,
        is_there: impl Fn(&Shared) -> bool,
        too_late: impl Fn() -> String,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.max_block;
        let backoff = self.client.retry_backoff();
        let mut last = None;
        for attempt in 0.. {
            self.shared.learn(&self.client.metadata());
            if is_there(&self.shared) {
                return Ok(());
            }
            let names = [name];
            let refresh = self.client.refresh_metadata(Refresh::Topics(&names));
            match tokio::time::timeout_at(deadline, refresh).await {
                Err(_) => break,
                Ok(Err(error)) if !error.is_retriable() => return Err(error),
                Ok(Err(error)) => last = Some(error),
                Ok(Ok(metadata)) => match metadata.topic_error(name) {
                    // `UNKNOWN_TOPIC_OR_PARTITION` is retriable: it may be created meanwhile.
                    Some(code) if !code.is_retriable() => {
                        return Err(ClientError::from_code(code).with("topic", name));
                    }
                    code => last = code.map(ClientError::from_code),
                },
            }
            self.shared.learn(&self.client.metadata());
            if is_there(&self.shared) {
                return Ok(());
            }
            let next = Instant::now() + backoff.hasty_delay(attempt);
            if next >= deadline {
                break;
            }
            tokio::time::sleep_until(next).await;
        }
        let error = ClientError::retriable(too_late()).with_code(KafkaErrorCode::REQUEST_TIMED_OUT);
        Err(match last {
            Some(last) => error.caused_by(last),
            None => error,
        })
    }

    /// Takes records until it is dropped.
    pub fn appender(&mut self) -> Appender<'_> {
        Appender {
            state: Some(self.shared.state()),
            shared: &self.shared,
            now: Instant::now(),
        }
    }

    /// After [`AppendError::Full`]: waits at most `max.block.ms` until the record finds room.
    ///
    /// Room comes from acknowledged batches, and from acknowledgements that are taken; somebody must
    /// take them meanwhile. Cancel safe.
    pub async fn ready(&mut self) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.max_block;
        loop {
            let plenty = self.shared.room.notified();
            let wanted = {
                let state = self.shared.state();
                if let Some(error) = &state.refusal {
                    return Err(error.clone());
                }
                if state.has_room() {
                    return Ok(());
                }
                state.wanted_bytes.unwrap_or(0)
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(ClientError::retriable(format!(
                    "Failed to allocate {wanted} bytes within the configured max blocking time {} ms.",
                    self.max_block.as_millis()
                ))
                .with_code(KafkaErrorCode::REQUEST_TIMED_OUT));
            }
            // Plenty may not come while one partition is stuck; then a little will do.
            _ = tokio::time::timeout_at(deadline.min(now + ROOM_CHECK_INTERVAL), plenty).await;
        }
    }

    /// As [`ready`](Self::ready), for whoever takes the acknowledgements too: what is not taken counts
    /// against `buffer.memory`, and without anybody to take it the room may never come. Cancel safe.
    pub async fn ready_and_take(
        &mut self,
        acknowledgements: &mut Acknowledgements,
        into: &mut Vec<Acknowledged>,
    ) -> Result<(), ClientError> {
        let mut ready = pin!(self.ready());
        loop {
            match tokio::time::timeout(ROOM_CHECK_INTERVAL, &mut ready).await {
                Ok(ready) => return ready,
                Err(_) => _ = acknowledgements.try_recv(into),
            }
        }
    }

    /// Sends what there is without lingering, and waits until every record appended before this
    /// call is acknowledged, well or badly; see [`Acknowledgements`] for which. Cancel safe.
    pub async fn flush(&self) {
        let before = self.shared.state().flush();
        self.shared.wake.notify_one();
        self.shared
            .until(|state| state.is_done_before(before))
            .await;
    }

    /// Sends what there is and waits for it, at most so long; then gives up on the rest, which is
    /// acknowledged with an error. A timeout of zero abandons at once.
    pub async fn close(mut self, timeout: Duration) {
        if !timeout.is_zero() {
            self.shared.close(Event::Close);
            let all_done = self.shared.until(State::is_idle);
            // Late is not an error of close: the acknowledgements tell which records are lost.
            _ = tokio::time::timeout(timeout, all_done).await;
        }
        self.shared.close(Event::Abort(ClientError::fatal(
            "Producer is closed forcefully.",
        )));
        if let Some(sender) = self.sender.take() {
            // A panic of the sender is reported by the runtime, and by the acknowledgements.
            _ = sender.await;
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.shared.close(Event::Abort(ClientError::fatal(
                "the producer was dropped before it was closed",
            )));
        }
    }
}

impl Appender<'_> {
    /// Adds a record without headers. Gives the partition that it goes to.
    ///
    /// Cost: about the copy of the record. Fails: see [`AppendError`]; the record is then nowhere.
    #[inline]
    pub fn append(&mut self, record: &Record<'_>, token: Token) -> Result<i32, AppendError> {
        self.append_with_headers(record, std::iter::empty(), token)
    }

    /// Adds a record. Header keys are UTF-8; order and duplicates are kept.
    #[inline]
    pub fn append_with_headers<'h>(
        &mut self,
        record: &Record<'_>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> + Clone,
        token: Token,
    ) -> Result<i32, AppendError> {
        let state = self.state.as_mut().expect("held until it is dropped");
        state.append(record, headers, token, self.now)
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        let state = self.state.take();
        let has_news = state.as_ref().is_some_and(|state| state.has_news);
        drop(state);
        if has_news {
            self.shared.wake.notify_one();
        }
    }
}

impl Acknowledgements {
    /// Waits for acknowledgements and appends all there are, in the order they came. `false`: the
    /// producer has ended and no more will come. Cancel safe.
    pub async fn recv(&mut self, into: &mut Vec<Acknowledged>) -> bool {
        loop {
            // Looked at before the queue: what comes before the end is taken.
            let ended = self.0.phase() == Phase::Ended;
            if self.try_recv(into) {
                return true;
            }
            if ended {
                return false;
            }
            // `notify_one` leaves a permit, so nothing between the look and here is missed.
            self.0.acknowledged.notified().await;
        }
    }

    /// Appends all there are now. Gives whether there were any.
    pub fn try_recv(&mut self, into: &mut Vec<Acknowledged>) -> bool {
        let mut state = self.0.state();
        if !state.has_acknowledged() {
            return false;
        }
        let was_full = state.wanted_bytes.is_some();
        state.take_acknowledged(into);
        let has_room = was_full && state.wanted_bytes.is_none();
        drop(state);
        if has_room {
            self.0.room.notify_waiters();
        }
        true
    }
}

impl Shared {
    /// A panic while the lock was held leaves batches behind that are never acknowledged, and the
    /// end of the sender tells so; nothing is gained by a second panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, events: impl IntoIterator<Item = Event>) -> (Vec<Action>, Option<Instant>) {
        let mut state = self.state();
        let was_full = state.wanted_bytes.is_some();
        let actions = state.step(events, Instant::now());
        let wake = state.wake();
        self.tell(state, was_full);
        (actions, wake)
    }

    /// Wakes those for whom something changed.
    fn tell(&self, state: MutexGuard<'_, State>, was_full: bool) {
        let has_acknowledged = state.has_acknowledged();
        let has_room = was_full && state.wanted_bytes.is_none();
        let has_ended = state.refusal.is_some();
        drop(state);
        if has_acknowledged || has_ended {
            self.acknowledged.notify_one();
            self.progress.notify_waiters();
        }
        if has_room || has_ended {
            self.room.notify_waiters();
        }
    }

    /// What the metadata says about the topics of this producer.
    fn learn(&self, metadata: &ClusterMetadata) {
        let mut state = self.state();
        for topic in 0..state.topics.len() {
            let partitions = leaders_of(metadata, &state.topics[topic].name);
            state.apply(
                Event::Leaders {
                    topic: topic as u32,
                    partitions,
                },
                Instant::now(),
            );
        }
        drop(state);
        self.wake.notify_one();
    }

    fn close(&self, event: Event) {
        {
            let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
            if *phase == Phase::Running {
                *phase = Phase::Closing;
            }
        }
        let mut state = self.state();
        state.apply(event, Instant::now());
        self.tell(state, true);
        self.wake.notify_one();
    }

    /// Whether the sender has nothing left to do.
    fn is_finished(&self) -> bool {
        self.phase() != Phase::Running && self.state().is_idle()
    }

    /// The end of the sender.
    fn end(&self, error: ClientError) {
        self.state().apply(Event::Abort(error), Instant::now());
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Phase::Ended;
        self.tell(self.state(), true);
    }

    async fn until(&self, is_true: impl Fn(&State) -> bool) {
        loop {
            let progress = self.progress.notified();
            if is_true(&self.state()) {
                return;
            }
            progress.await;
        }
    }
}

/// Spreads the first choice of partitions over processes and producers.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
