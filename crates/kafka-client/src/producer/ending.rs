//! How batches end: told about, forgotten; written, refused, out of time, given up.
//!
//! Lives here: [`Acknowledged`], `delivery.timeout.ms`, failing what is queued, giving up on all.
//! Lives elsewhere: what a broker's answer means (`answer`), everything before the end (`state`).
//! Never here: I/O.

use std::sync::Arc;

use kafka_wire::BatchBuilder;
use tokio::time::Instant;

use super::batch::{BatchId, Body, Runs};
use super::state::{State, earliest};
use crate::error::{ClientError, KafkaErrorCode};

/// What became of a batch; each record that was appended is told about exactly once.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub topic: Arc<str>,
    pub partition: i32,
    pub records: u32,
    /// The tokens of its records, in their order.
    pub runs: Runs,
    pub result: Result<Written, ClientError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Of the first record; the others follow. `None`: the broker did not say (`acks=0`, or it had
    /// the batch already and no longer knows where).
    pub base_offset: Option<i64>,
    /// Set when the topic has `message.timestamp.type=LogAppendTime`.
    pub log_append_time_ms: Option<i64>,
}

/// Counts against `buffer.memory` until the caller has taken an acknowledgement, so that their
/// queue is bounded too.
const ACKNOWLEDGED_BYTES: usize = 256;
impl State {
    pub fn has_acknowledged(&self) -> bool {
        !self.acknowledged.is_empty()
    }

    /// Hands over what was acknowledged, by exchanging the list for an empty one.
    pub fn take_acknowledged(&mut self, into: &mut Vec<Acknowledged>) {
        self.release(self.acknowledged.len() * ACKNOWLEDGED_BYTES);
        into.append(&mut self.acknowledged);
    }

    /// Tells about every batch that is older than `delivery.timeout.ms`, wherever it is.
    ///
    /// Cost: O(expired + on the wire): a queue is in the order of the records, so in that of age.
    pub(super) fn expire(&mut self, index: u32, now: Instant) {
        let timeout = self.config.delivery_timeout;
        let deadline = |state: &State, id: BatchId| state.batches[id].created + timeout;
        if let Some(open) = &self.partitions[index as usize].open {
            let deadline = open.created + timeout;
            self.wake = earliest(self.wake, deadline);
            if deadline <= now {
                self.close_open(index);
            }
        }
        let mut at = 0;
        while let Some(&id) = self.partitions[index as usize].queue.get(at) {
            if self.batches[id].expired {
                at += 1;
            } else if deadline(self, id) <= now {
                // It leaves the queue, or stays there as expired.
                self.expire_batch(id, now);
            } else {
                self.wake = earliest(self.wake, deadline(self, id));
                break;
            }
        }
        for at in 0..self.partitions[index as usize].on_wire.len() {
            let id = self.partitions[index as usize].on_wire[at];
            if self.batches[id].expired {
            } else if deadline(self, id) <= now {
                self.expire_batch(id, now);
            } else {
                self.wake = earliest(self.wake, deadline(self, id));
            }
        }
    }

    fn expire_batch(&mut self, id: BatchId, now: Instant) {
        let batch = &self.batches[id];
        let partition = &self.partitions[batch.partition as usize];
        let error = ClientError::retriable(format!(
            "Expiring {} record(s) for {}-{}:{} ms has passed since batch creation",
            batch.records,
            self.topics[partition.topic as usize].name,
            partition.number,
            (now - batch.created).as_millis(),
        ))
        .with_code(KafkaErrorCode::REQUEST_TIMED_OUT);
        if matches!(batch.body, Body::Lent) {
            // Whoever has it gives it back, and only then it can go.
            self.acknowledge(id, Err(error));
            self.batches[id].expired = true;
        } else {
            self.fail_queued_batch(id, error);
        }
    }

    /// Tells the caller about a batch. The batch stays where it is.
    pub(super) fn acknowledge(&mut self, id: BatchId, result: Result<Written, ClientError>) {
        let batch = &mut self.batches[id];
        let partition = &self.partitions[batch.partition as usize];
        let topic = &self.topics[partition.topic as usize].name;
        self.acknowledged.push(Acknowledged {
            topic: topic.clone(),
            partition: partition.number,
            records: batch.records,
            runs: std::mem::take(&mut batch.runs),
            result,
        });
        self.used_bytes += ACKNOWLEDGED_BYTES;
        if let Some(left) = self.outstanding.get_mut(&batch.serial) {
            *left -= 1;
            if *left == 0 {
                self.outstanding.remove(&batch.serial);
            }
        }
    }

    /// The end of a batch that is not queued and not on the wire any more.
    pub(super) fn forget(&mut self, id: BatchId) {
        let batch = self.batches.remove(id);
        self.release(batch.reserved_bytes);
        if let Body::Sealed(bytes, _) = batch.body
            && let Some(buffer) = BatchBuilder::recycle(bytes)
        {
            self.keep_buffer(buffer);
        }
    }

    /// Fails a batch that is queued and that nobody has; its sequence numbers become a hole.
    pub(super) fn fail_queued_batch(&mut self, id: BatchId, error: ClientError) {
        if !self.batches[id].expired {
            self.acknowledge(id, Err(error));
        }
        self.remove_queued(id);
    }

    /// Takes a batch out of its queue whose caller has been told.
    pub(super) fn remove_queued(&mut self, id: BatchId) {
        let batch = &self.batches[id];
        let (base, end) = (
            batch.producer.map(|producer| producer.base_sequence),
            batch.end_sequence(),
        );
        let partition = &mut self.partitions[batch.partition as usize];
        partition.queue.retain(|queued| *queued != id);
        self.to_compress.retain(|other| *other != id);
        if let (Some(base), Some(end), Some(sequences)) = (base, end, &mut partition.sequences) {
            sequences.failed(base, end, false);
        }
        self.forget(id);
    }

    pub(super) fn fail_queued(&mut self, index: u32, error: &ClientError) {
        self.close_open(index);
        let queue: Vec<_> = self.partitions[index as usize]
            .queue
            .iter()
            .copied()
            .collect();
        for id in queue {
            if !matches!(self.batches[id].body, Body::Lent) {
                self.fail_queued_batch(id, error.clone());
            } else if !self.batches[id].expired {
                self.acknowledge(id, Err(error.clone()));
                self.batches[id].expired = true;
            }
        }
    }

    /// Nothing more is appended or sent; every record is told about.
    pub(super) fn abort(&mut self, error: ClientError) {
        for index in self.active.clone() {
            self.fail_queued(index, &error);
            for id in self.partitions[index as usize].on_wire.clone() {
                if !self.batches[id].expired {
                    self.acknowledge(id, Err(error.clone()));
                    self.batches[id].expired = true;
                }
            }
        }
        self.refusal = Some(error);
    }
}
