//! One partition's batches: open, queued, on the wire.
//!
//! Lives here: their order, and which of them may be sent next.
//! Lives elsewhere: the sequence rules themselves (`sequence`), brokers and requests (`state`).
//! Never here: I/O, other partitions.

use std::collections::VecDeque;

use kafka_wire::BatchBuilder;
use tokio::time::Instant;

use super::batch::{BatchId, Batches, Runs};
use super::sequence::{ProducerId, Sequences, is_before};

#[derive(Debug)]
pub(super) struct Partition {
    /// Index of its topic in the state.
    pub topic: u32,
    pub number: i32,
    /// `None`: an election is under way, or the topic is gone.
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub open: Option<OpenBatch>,
    /// Closed batches in the order of their records. Those with sequence numbers, which were sent
    /// before, come first.
    pub queue: VecDeque<BatchId>,
    /// In no particular order.
    pub on_wire: Vec<BatchId>,
    /// Records of all batches closed so far: the place of the next batch in the order.
    pub closed_records: u64,
    /// `None` without idempotence, and before the first batch.
    pub sequences: Option<Sequences>,
    /// Whether the state's list of partitions with work holds it.
    pub is_active: bool,
}

/// The batch that records are being added to.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub builder: BatchBuilder,
    pub runs: Runs,
    pub created: Instant,
    pub serial: u64,
    /// Uncompressed size beyond which nothing is added.
    pub limit_bytes: usize,
    pub reserved_bytes: usize,
}

impl OpenBatch {
    #[inline]
    pub fn has_room(&self, record_bytes: usize) -> bool {
        self.builder.size_bytes() + record_bytes <= self.limit_bytes
    }
}

/// What stands between a partition's first queued batch and the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing is queued.
    Empty,
    Ready(BatchId),
    /// Until then.
    BackingOff(Instant),
    /// Until something happens: an answer, a compressed batch, a producer id.
    Waiting,
}

/// What the order of a partition's batches rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ordering {
    /// Sequence numbers of this producer.
    Sequenced(ProducerId),
    /// As `Sequenced`, and the id is not known yet.
    AwaitingProducerId,
    /// One batch at a time.
    OneInFlight,
    /// A retry may overtake or be overtaken, as in Java.
    None,
}

impl Partition {
    pub fn new(topic: u32, number: i32) -> Partition {
        Partition {
            topic,
            number,
            leader: None,
            leader_epoch: -1,
            open: None,
            queue: VecDeque::new(),
            on_wire: Vec::new(),
            closed_records: 0,
            sequences: None,
            is_active: false,
        }
    }

    pub fn has_work(&self) -> bool {
        self.open.is_some() || !self.queue.is_empty() || !self.on_wire.is_empty()
    }

    pub fn head(&self, batches: &Batches, ordering: Ordering, now: Instant) -> Head {
        let Some(&id) = self.queue.front() else {
            return Head::Empty;
        };
        let batch = &batches[id];
        if let Some(retry_at) = batch.retry_at
            && retry_at > now
        {
            return Head::BackingOff(retry_at);
        }
        let may_go = batch.size_bytes().is_some()
            && match ordering {
                Ordering::None => true,
                Ordering::OneInFlight => self.on_wire.is_empty(),
                Ordering::AwaitingProducerId => false,
                Ordering::Sequenced(current) => self.sequence_allows(batches, id, current),
            };
        if may_go {
            Head::Ready(id)
        } else {
            Head::Waiting
        }
    }

    fn sequence_allows(&self, batches: &Batches, id: BatchId, current: ProducerId) -> bool {
        let Some(sequences) = &self.sequences else {
            return false;
        };
        if sequences.wants_new_epoch()
            || (!sequences.is_known_to_broker() && !self.on_wire.is_empty())
        {
            return false;
        }
        match batches[id].producer {
            // The broker remembers the last five batches, to know a duplicate again. A retry, or a
            // batch under way to a former leader, may be in the log already; five later ones would
            // make the broker forget it. On one connection answers come in order, so those that are
            // sent for the first time cannot run ahead of each other.
            None => {
                sequences.is_settled()
                    && sequences.producer().id == current.id
                    && self.on_wire.iter().all(|other| {
                        let other = &batches[*other];
                        other.attempts == 1 && other.sent_to == self.leader
                    })
            }
            // A retry goes after everything before it is answered.
            Some(producer) => !self.on_wire.iter().any(|other| {
                let other = batches[*other].producer;
                other.is_some_and(|other| is_before(other.base_sequence, producer.base_sequence))
            }),
        }
    }

    /// Whether a batch with sequence numbers is queued.
    pub fn has_sequenced_queued(&self, batches: &Batches) -> bool {
        self.queue
            .front()
            .is_some_and(|id| batches[*id].producer.is_some())
    }

    /// Whether a batch with earlier sequence numbers is on the wire or waits to be sent again.
    pub fn has_unanswered_before(&self, batches: &Batches, base_sequence: i32) -> bool {
        self.queue.iter().chain(&self.on_wire).any(|other| {
            let other = batches[*other].producer;
            other.is_some_and(|other| is_before(other.base_sequence, base_sequence))
        })
    }

    /// Puts a batch back among the others, in the order of their records.
    pub fn requeue(&mut self, batches: &Batches, id: BatchId) {
        let order = batches[id].order;
        let at = self
            .queue
            .iter()
            .position(|other| batches[*other].order > order);
        self.queue.insert(at.unwrap_or(self.queue.len()), id);
    }

    pub fn take_from_wire(&mut self, id: BatchId) {
        self.on_wire.retain(|other| *other != id);
    }

    /// Starts the next epoch, when one is wanted and nothing is on the wire; queued batches that had
    /// numbers get new ones. Gives whether a new producer id is needed for that.
    pub fn settle_sequences(
        &mut self,
        batches: &mut Batches,
        current: ProducerId,
    ) -> NeedsProducerId {
        let has_sequenced_queued = self.has_sequenced_queued(batches);
        let on_wire = !self.on_wire.is_empty();
        let sequences = self
            .sequences
            .get_or_insert_with(|| Sequences::new(current));
        if !on_wire && !has_sequenced_queued {
            sequences.idle();
            if sequences.producer().id != current.id {
                *sequences = Sequences::new(current);
            }
        }
        if !sequences.wants_new_epoch() || on_wire {
            return NeedsProducerId::No;
        }
        if sequences.start_new_epoch().is_err() {
            if sequences.producer().id == current.id {
                return NeedsProducerId::Yes;
            }
            *sequences = Sequences::new(current);
        }
        for id in &self.queue {
            let batch = &mut batches[*id];
            if batch.producer.is_some() {
                batch.producer = Some(sequences.assign(batch.records));
            }
        }
        NeedsProducerId::No
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NeedsProducerId {
    Yes,
    No,
}
