//! One batch on its way: what it holds, who waits for it, where it is.
//!
//! Lives here: [`Batch`], the run-length list of what its records are to the caller ([`Runs`]), and
//! the slab that owns all batches.
//! Never here: when a batch is sent (`state`), sequence numbers (`sequence`).

use bytes::Bytes;
use kafka_wire::batch::UnsealedBatch;
use kafka_wire::{BatchBuilder, ProducerState};
use tokio::time::Instant;

/// What a record is to the caller: a number in one of its streams. The client never looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub stream: u32,
    pub number: u64,
}

/// Consecutive records of one stream: `first`, `first + 1`, … `first + count - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub stream: u32,
    pub first: u64,
    pub count: u64,
}

/// The tokens of a batch's records, in the order of the records.
///
/// Cost: nothing per record while a stream's numbers follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs(Vec<Run>);

impl Runs {
    pub fn as_slice(&self) -> &[Run] {
        &self.0
    }

    /// One token per record of the batch, in order.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.0.iter().flat_map(|run| {
            (run.first..run.first + run.count).map(|number| Token {
                stream: run.stream,
                number,
            })
        })
    }

    #[inline]
    pub(super) fn push(&mut self, token: Token) {
        match self.0.last_mut() {
            Some(run) if run.stream == token.stream && run.first + run.count == token.number => {
                run.count += 1;
            }
            _ => self.0.push(Run {
                stream: token.stream,
                first: token.number,
                count: 1,
            }),
        }
    }

    /// Keeps the first `records`; gives the others.
    pub(super) fn split_off(&mut self, records: u64) -> Runs {
        let mut left = records;
        let mut at = 0;
        while let Some(run) = self.0.get(at)
            && run.count <= left
        {
            left -= run.count;
            at += 1;
        }
        let mut rest = self.0.split_off(at);
        if left > 0
            && let Some(run) = rest.first_mut()
        {
            self.0.push(Run {
                count: left,
                ..*run
            });
            run.first += left;
            run.count -= left;
        }
        Runs(rest)
    }
}

/// Index into [`Batches`]. Stays valid until the batch is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BatchId(u32);

/// A closed batch: no record is added any more.
#[derive(Debug)]
pub(super) struct Batch {
    /// Index of its partition in the state.
    pub partition: u32,
    pub runs: Runs,
    pub records: u32,
    pub created: Instant,
    /// Counts batches in the order they were opened; both parts of a split batch keep it.
    pub serial: u64,
    /// Place of its first record among all records of the partition.
    pub order: u64,
    pub body: Body,
    /// Set when it is sent for the first time by an idempotent producer.
    pub producer: Option<ProducerState>,
    /// Times that it was given to a connection.
    pub attempts: u32,
    /// The broker of the last attempt.
    pub sent_to: Option<i32>,
    /// A request with it ended without an answer: it may be in the log.
    pub maybe_written: bool,
    /// Not before this; `None`: at once.
    pub retry_at: Option<Instant>,
    /// What the caller has been told already: it ran out of time while on the wire.
    pub expired: bool,
    /// Counts against `buffer.memory`.
    pub reserved_bytes: usize,
    /// Uncompressed size, to learn the compression ratio from.
    pub uncompressed_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Body {
    /// Waits to be compressed.
    Records(BatchBuilder),
    /// Lacks its producer and CRC.
    Unsealed(UnsealedBatch),
    /// As it was sent, with the producer state in its bytes.
    Sealed(Bytes, ProducerState),
    /// The sender has it: to compress, to split or to send.
    Lent,
}

impl Batch {
    /// Bytes on the wire; `None` while they are not known.
    pub fn size_bytes(&self) -> Option<usize> {
        match &self.body {
            Body::Unsealed(batch) => Some(batch.size_bytes()),
            Body::Sealed(bytes, _) => Some(bytes.len()),
            Body::Records(_) | Body::Lent => None,
        }
    }

    /// The sequence number behind its last record.
    pub fn end_sequence(&self) -> Option<i32> {
        self.producer
            .map(|producer| add_sequence(producer.base_sequence, self.records))
    }
}

/// Sequence numbers wrap from `i32::MAX` to 0.
pub(super) fn add_sequence(sequence: i32, records: u32) -> i32 {
    sequence.wrapping_add(records as i32) & i32::MAX
}

/// All closed batches that are not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Batches {
    slots: Vec<Option<Batch>>,
    free: Vec<u32>,
}

impl Batches {
    pub fn insert(&mut self, batch: Batch) -> BatchId {
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(batch);
                BatchId(slot)
            }
            None => {
                self.slots.push(Some(batch));
                BatchId(self.slots.len() as u32 - 1)
            }
        }
    }

    pub fn remove(&mut self, id: BatchId) -> Batch {
        let batch = self.slots[id.0 as usize]
            .take()
            .expect("an id is removed once");
        self.free.push(id.0);
        batch
    }
}

impl std::ops::Index<BatchId> for Batches {
    type Output = Batch;

    fn index(&self, id: BatchId) -> &Batch {
        self.slots[id.0 as usize]
            .as_ref()
            .expect("an id is used until it is removed")
    }
}

impl std::ops::IndexMut<BatchId> for Batches {
    fn index_mut(&mut self, id: BatchId) -> &mut Batch {
        self.slots[id.0 as usize]
            .as_mut()
            .expect("an id is used until it is removed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(tokens: &[(u32, u64)]) -> Runs {
        let mut runs = Runs::default();
        for &(stream, number) in tokens {
            runs.push(Token { stream, number });
        }
        runs
    }

    #[test]
    fn consecutive_tokens_are_one_run() {
        let tokens = [(1, 5), (1, 6), (1, 7), (2, 8), (1, 8), (1, 10), (1, 11)];
        let runs = runs(&tokens);
        let counts: Vec<_> = runs.as_slice().iter().map(|run| run.count).collect();
        assert_eq!(counts, [3, 1, 1, 2]);
        let back: Vec<_> = runs
            .tokens()
            .map(|token| (token.stream, token.number))
            .collect();
        assert_eq!(back, tokens);
    }

    #[test]
    fn runs_split_anywhere() {
        let tokens = [(1, 5), (1, 6), (1, 7), (2, 8), (1, 8)];
        for records in 0..=tokens.len() {
            let mut first = runs(&tokens);
            let second = first.split_off(records as u64);
            assert_eq!(first, runs(&tokens[..records]), "first {records}");
            assert_eq!(second, runs(&tokens[records..]), "behind {records}");
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        for (sequence, records, expect) in [
            (0, 1, 1),
            (i32::MAX, 1, 0),
            (i32::MAX - 1, 5, 3),
            (i32::MAX, 0, i32::MAX),
        ] {
            assert_eq!(add_sequence(sequence, records), expect);
        }
    }
}
