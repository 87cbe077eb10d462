//! Records into open batches: the only code of the producer that runs per record.
//!
//! Lives here: `append`, the choice of a partition, the size at which a batch closes.
//! Lives elsewhere: what happens to a closed batch (`state`).
//! Never here: an allocation, a hash of a name, a clock, for a record that fits the open batch.

use std::sync::Arc;

use kafka_wire::batch::{BATCH_OVERHEAD, record_bytes_upper_bound};
use kafka_wire::murmur2::{partition_for_key, to_positive};
use kafka_wire::{BatchBuilder, Codec};
use tokio::time::Instant;

use super::batch::{Runs, Token};
use super::partition::OpenBatch;
use super::state::State;
use crate::error::{ClientError, KafkaErrorCode};
use crate::settings::Partitioner;

/// A topic of one producer, looked up once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(pub(super) u32);

/// A record without its headers.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: Topic,
    /// `None`: by the key's hash; without a key one partition at a time.
    pub partition: Option<i32>,
    /// Since the epoch. The caller asks the clock; Java's producer does it for a record without.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Why a record was not taken. It is not in any batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// `buffer.memory` is used up. Wait for [`ready`](super::Producer::ready), then append the same
    /// record again.
    #[error("buffer.memory is used up")]
    Full,
    /// The topic has no such partition, as far as the metadata knows.
    /// [`await_partition`](super::Producer::await_partition) waits for it.
    #[error("{0}")]
    UnknownPartition(ClientError),
    /// Larger than `max.request.size` or `buffer.memory`. Java's words.
    #[error("{0}")]
    RecordTooLarge(ClientError),
    /// The producer is closed, or cannot go on.
    #[error("{0}")]
    Closed(ClientError),
}

#[derive(Debug)]
pub(super) struct TopicState {
    pub name: Arc<str>,
    /// Index in the state of each partition.
    pub partitions: Vec<u32>,
    sticky: Sticky,
    round_robin: u32,
    /// Compressed size by uncompressed size, as learned so far.
    ratio: f32,
}

/// Where records without a key go now, and how many bytes went there.
#[derive(Debug, Clone, Copy)]
struct Sticky {
    partition: Option<u32>,
    bytes: usize,
}

/// Java's `CompressionRatioEstimator`: slow to believe in a better ratio, quick in a worse one.
const RATIO_IMPROVING_STEP: f32 = 0.005;
const RATIO_DETERIORATE_STEP: f32 = 0.05;
/// Java adds this to what the ratio predicts.
const RATIO_MARGIN: f32 = 1.05;
/// Whatever the ratio, a batch stays below this many times `batch.size` uncompressed.
const UNCOMPRESSED_FACTOR_MAX: f32 = 32.0;

impl State {
    /// Takes up a topic. Its partitions come with `Event::Leaders`.
    pub fn add_topic(&mut self, name: &str) -> Topic {
        if let Some(known) = self.topic_index.get(name) {
            return Topic(*known);
        }
        let index = self.topics.len() as u32;
        let name: Arc<str> = name.into();
        self.topic_index.insert(name.clone(), index);
        self.topics.push(TopicState {
            name,
            partitions: Vec::new(),
            sticky: Sticky {
                partition: None,
                bytes: 0,
            },
            round_robin: 0,
            ratio: 1.0,
        });
        Topic(index)
    }

    pub fn partition_count(&self, topic: Topic) -> usize {
        self.topics[topic.0 as usize].partitions.len()
    }

    /// Adds a record to the open batch of its partition. Gives the partition.
    #[inline]
    pub fn append<'h>(
        &mut self,
        record: &Record<'_>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> + Clone,
        token: Token,
        now: Instant,
    ) -> Result<i32, AppendError> {
        let bytes = record_bytes_upper_bound(record.key, record.value, headers.clone());
        let index = match (record.partition, record.key, self.config.partitioner) {
            (Some(partition), _, _) => self.partition(record.topic, partition)?,
            (None, Some(key), Partitioner::Default) => {
                let count = self.partition_count(record.topic) as i32;
                if count == 0 {
                    return Err(self.unknown_partition(record.topic, 0));
                }
                self.partition(record.topic, partition_for_key(key, count))?
            }
            (None, _, Partitioner::RoundRobin) => self.next_in_turn(record.topic)?,
            (None, ..) => self.sticky(record.topic, bytes)?,
        };
        let fits = self.partitions[index as usize]
            .open
            .as_ref()
            .is_some_and(|open| open.has_room(bytes));
        if !fits {
            self.open_batch(index, bytes, now)?;
        }
        let partition = &mut self.partitions[index as usize];
        let open = partition.open.as_mut().expect("it had room or was opened");
        open.builder
            .append_with_headers(record.timestamp_ms, record.key, record.value, headers)
            .map_err(|error| AppendError::RecordTooLarge(ClientError::fatal(error.to_string())))?;
        open.runs.push(token);
        if open.builder.size_bytes() > open.reserved_bytes {
            // Only before compression: the batch may grow beyond `batch.size`, and so its buffer.
            self.used_bytes += open.reserved_bytes;
            open.reserved_bytes *= 2;
        }
        Ok(partition.number)
    }

    #[inline]
    fn partition(&self, topic: Topic, partition: i32) -> Result<u32, AppendError> {
        let partitions = &self.topics[topic.0 as usize].partitions;
        match usize::try_from(partition)
            .ok()
            .and_then(|at| partitions.get(at))
        {
            Some(index) => Ok(*index),
            None => Err(self.unknown_partition(topic, partition)),
        }
    }

    #[cold]
    fn unknown_partition(&self, topic: Topic, partition: i32) -> AppendError {
        let topic = &self.topics[topic.0 as usize];
        AppendError::UnknownPartition(
            ClientError::retriable(format!(
                "partition {partition} of topic {} with partition count {} is not present in metadata",
                topic.name,
                topic.partitions.len()
            ))
            .with_code(KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        )
    }

    /// One partition until `batch.size` bytes went there and its batch is full, then another at
    /// random (KIP-794). Twice as many at most: a batch that is sent early is never full.
    #[inline]
    fn sticky(&mut self, topic: Topic, bytes: usize) -> Result<u32, AppendError> {
        let batch_size = self.config.batch_size_bytes;
        let sticky = &mut self.topics[topic.0 as usize].sticky;
        if let Some(index) = sticky.partition {
            let enough = sticky.bytes >= batch_size;
            let keep = !enough
                || (sticky.bytes < 2 * batch_size
                    && self.partitions[index as usize]
                        .open
                        .as_ref()
                        .is_some_and(|open| open.has_room(bytes)));
            if keep {
                sticky.bytes += bytes;
                return Ok(index);
            }
        }
        let index = self.at_random(topic)?;
        self.topics[topic.0 as usize].sticky = Sticky {
            partition: Some(index),
            bytes,
        };
        Ok(index)
    }

    /// Among the partitions that have a leader, or all when none has.
    #[cold]
    fn at_random(&mut self, topic: Topic) -> Result<u32, AppendError> {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.available(topic, (self.random >> 32) as usize)
    }

    #[cold]
    fn available(&self, topic: Topic, choice: usize) -> Result<u32, AppendError> {
        let all = &self.topics[topic.0 as usize].partitions;
        let led = |index: &&u32| self.partitions[**index as usize].leader.is_some();
        let count = all.iter().filter(led).count();
        let chosen = match count {
            0 if all.is_empty() => None,
            0 => all.get(choice % all.len()),
            count => all.iter().filter(led).nth(choice % count),
        };
        chosen
            .copied()
            .ok_or_else(|| self.unknown_partition(topic, 0))
    }

    fn next_in_turn(&mut self, topic: Topic) -> Result<u32, AppendError> {
        let state = &mut self.topics[topic.0 as usize];
        state.round_robin = state.round_robin.wrapping_add(1);
        let turn = to_positive(state.round_robin as i32) as usize;
        self.available(topic, turn)
    }

    /// A batch with room for the record; the one before is closed.
    #[cold]
    fn open_batch(
        &mut self,
        index: u32,
        record_bytes: usize,
        now: Instant,
    ) -> Result<(), AppendError> {
        if let Some(error) = &self.refusal {
            return Err(AppendError::Closed(error.clone()));
        }
        self.check_size(BATCH_OVERHEAD + record_bytes)?;
        if self.partitions[index as usize].open.is_some() {
            self.close_open(index);
            self.has_news |= self.is_news(index);
        }
        let topic = self.partitions[index as usize].topic;
        let capacity = self
            .config
            .batch_size_bytes
            .max(BATCH_OVERHEAD + record_bytes);
        if self.used_bytes > 0 && self.used_bytes + capacity > self.config.buffer_memory_bytes {
            self.wanted_bytes = Some(capacity);
            self.has_news |= self.is_news(index);
            return Err(AppendError::Full);
        }
        self.wanted_bytes = None;
        self.used_bytes += capacity;
        let serial = self.next_serial;
        self.next_serial += 1;
        self.outstanding.insert(serial, 1);
        let buffer = self.spare_buffers.pop().unwrap_or_default();
        let open = OpenBatch {
            builder: BatchBuilder::with_buffer(buffer, capacity),
            runs: Runs::default(),
            created: now,
            serial,
            limit_bytes: self.uncompressed_limit(topic),
            reserved_bytes: capacity,
        };
        let partition = &mut self.partitions[index as usize];
        partition.open = Some(open);
        if !partition.is_active {
            partition.is_active = true;
            self.active.push(index);
        }
        self.has_news |= self.is_news(index);
        Ok(())
    }

    /// `KafkaProducer.ensureValidRecordSize`. Whatever fits an open batch passed it already: a batch
    /// is checked when it opens, and `uncompressed_limit` keeps later records below the same bound.
    fn check_size(&self, bytes: usize) -> Result<(), AppendError> {
        let refuse = |what: String| {
            let message =
                format!("The message is {bytes} bytes when serialized which is larger than {what}");
            let error = ClientError::fatal(message).with_code(KafkaErrorCode::MESSAGE_TOO_LARGE);
            Err(AppendError::RecordTooLarge(error))
        };
        let config = &self.config;
        if bytes > config.max_request_bytes {
            let limit = config.max_request_bytes;
            refuse(format!(
                "{limit}, which is the value of the max.request.size configuration."
            ))
        } else if bytes > config.buffer_memory_bytes {
            refuse(
                "the total memory buffer you have configured with the buffer.memory configuration."
                    .to_owned(),
            )
        } else {
            Ok(())
        }
    }

    /// Uncompressed bytes that make a batch of about `batch.size` on the wire.
    fn uncompressed_limit(&self, topic: u32) -> usize {
        let batch_size = self.config.batch_size_bytes;
        let limit = match self.config.codec {
            Codec::None => batch_size,
            _ => {
                let ratio = self.topics[topic as usize].ratio * RATIO_MARGIN;
                (batch_size as f32 * (1.0 / ratio).min(UNCOMPRESSED_FACTOR_MAX)) as usize
            }
        };
        limit
            .min(self.config.max_request_bytes)
            .min(self.config.buffer_memory_bytes)
    }

    pub(super) fn learn_ratio(&mut self, partition: u32, observed: f32) {
        let topic = self.partitions[partition as usize].topic;
        let ratio = &mut self.topics[topic as usize].ratio;
        *ratio = if observed > *ratio {
            (*ratio + RATIO_DETERIORATE_STEP).max(observed)
        } else {
            (*ratio - RATIO_IMPROVING_STEP).max(observed)
        };
    }

    /// A batch became larger than predicted: begin again from no compression.
    pub(super) fn forget_ratio(&mut self, partition: u32) {
        let topic = self.partitions[partition as usize].topic;
        self.topics[topic as usize].ratio = 1.0;
    }
}
