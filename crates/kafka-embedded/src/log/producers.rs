//! What a partition remembers of the producers that wrote to it: sequences, and open transactions.
//!
//! Lives here: whether a batch is the next one, a repeat or a gap; the last stable offset; which
//! aborted transactions overlap a read.
//! Lives elsewhere: producer ids and transactions across partitions (`crate::transaction`).
//! Never here: I/O. The same state comes out of a scan of the log.
//! Source: `ProducerStateManager` and `ProducerAppendInfo` in apache/kafka, storage.

use std::collections::{BTreeSet, HashMap};

use bytes::{Buf, BufMut};
use kafka_wire::HeaderFields;

/// Batches per producer that a repeat is recognised among.
const REMEMBERED_BATCHES: usize = 5;

/// A batch that a producer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) timestamp_ms: i64,
}

/// One producer on one partition.
#[derive(Debug, Clone)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// Of the last marker; -1: none yet.
    pub(crate) coordinator_epoch: i32,
    /// The newest is last.
    written: Vec<Written>,
    /// When it last wrote, by the log's clock.
    pub(crate) last_seen_ms: i64,
    /// Where its newest batch of any kind begins.
    pub(super) last_batch_offset: i64,
    /// First offset of its open transaction.
    pub(crate) transaction_start: Option<i64>,
}

impl Producer {
    pub(crate) fn last_sequence(&self) -> i32 {
        self.written.last().map_or(-1, |batch| batch.last_sequence)
    }
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Next,
    /// It is in the log already.
    Repeat(Written),
    OutOfOrder {
        expected: i32,
    },
    OldEpoch {
        current: i16,
    },
}

/// A transaction that was aborted: its records are between the two offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The marker's offset.
    pub(crate) last_offset: i64,
    /// No transaction that ended later begins below.
    stable_offset: i64,
}

/// All producers of a partition.
#[derive(Debug, Default, Clone)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// First offsets of the open transactions.
    open: BTreeSet<i64>,
    /// In the order of their markers.
    aborted: Vec<Aborted>,
}

impl Producers {
    /// Whether a producer's batch may be appended. Batches without a producer id always may.
    pub(crate) fn check(&self, header: &HeaderFields) -> Sequence {
        let producer = header.producer;
        let Some(known) = self.by_id.get(&producer.id) else {
            // An id without state may begin anywhere: its state may have expired.
            return Sequence::Next;
        };
        if producer.epoch < known.epoch {
            return Sequence::OldEpoch {
                current: known.epoch,
            };
        }
        let (first, last) = (producer.base_sequence, header.last_sequence());
        let expected = if producer.epoch > known.epoch {
            0
        } else {
            let repeat = known
                .written
                .iter()
                .find(|batch| (batch.first_sequence, batch.last_sequence) == (first, last));
            if let Some(batch) = repeat {
                return Sequence::Repeat(*batch);
            }
            known.last_sequence().wrapping_add(1) & i32::MAX
        };
        if first == expected {
            Sequence::Next
        } else {
            Sequence::OutOfOrder { expected }
        }
    }

    /// A batch of records was appended, or was met by a scan.
    pub(crate) fn appended(&mut self, header: &HeaderFields, now_ms: i64) {
        let producer = header.producer;
        if producer.id < 0 {
            return;
        }
        let known = self.entry(producer.id, producer.epoch, now_ms);
        known.last_batch_offset = header.base_offset;
        if producer.base_sequence >= 0 {
            if known.written.len() == REMEMBERED_BATCHES {
                known.written.remove(0);
            }
            known.written.push(Written {
                first_sequence: producer.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                timestamp_ms: header.max_timestamp_ms,
            });
        }
        // Compaction leaves headers of transactions that were aborted long ago.
        if header.is_transactional() && header.record_count > 0 && known.transaction_start.is_none()
        {
            known.transaction_start = Some(header.base_offset);
            self.open.insert(header.base_offset);
        }
    }

    /// A marker was appended, or was met by a scan.
    pub(crate) fn ended(
        &mut self,
        header: &HeaderFields,
        committed: bool,
        coordinator_epoch: i32,
        now_ms: i64,
    ) {
        let producer = header.producer;
        let known = self.entry(producer.id, producer.epoch, now_ms);
        known.last_batch_offset = header.base_offset;
        known.coordinator_epoch = coordinator_epoch;
        let Some(first_offset) = known.transaction_start.take() else {
            return;
        };
        self.open.remove(&first_offset);
        if !committed {
            let behind = header.base_offset + 1;
            self.aborted.push(Aborted {
                producer_id: producer.id,
                first_offset,
                last_offset: header.base_offset,
                stable_offset: self.first_unstable_offset().unwrap_or(behind),
            });
        }
    }

    /// Sequences go on across transactions; only another epoch begins anew.
    fn entry(&mut self, id: i64, epoch: i16, now_ms: i64) -> &mut Producer {
        let known = self.by_id.entry(id).or_insert_with(|| Producer {
            epoch,
            coordinator_epoch: -1,
            written: Vec::new(),
            last_seen_ms: now_ms,
            last_batch_offset: -1,
            transaction_start: None,
        });
        if known.epoch != epoch {
            known.epoch = epoch;
            known.written.clear();
        }
        known.last_seen_ms = now_ms;
        known
    }

    /// First offset of the oldest open transaction.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        self.open.first().copied()
    }

    pub(crate) fn is_open(&self, producer_id: i64) -> bool {
        let producer = self.by_id.get(&producer_id);
        producer.is_some_and(|producer| producer.transaction_start.is_some())
    }

    /// Producers whose transaction is open, with their epochs, by their ids.
    pub(crate) fn open(&self) -> Vec<(i64, i16)> {
        let open = self.by_id.iter().filter(|(id, _)| self.is_open(**id));
        let mut open: Vec<_> = open.map(|(id, producer)| (*id, producer.epoch)).collect();
        open.sort_unstable();
        open
    }

    /// Aborted transactions with an offset in `from..until`.
    ///
    /// Cost: those, and the ones that ended between them.
    pub(crate) fn aborted_between(&self, from: i64, until: i64) -> impl Iterator<Item = Aborted> {
        let behind = self
            .aborted
            .partition_point(|aborted| aborted.last_offset < from);
        let mut is_last = false;
        self.aborted[behind..]
            .iter()
            .take_while(move |aborted| {
                !std::mem::replace(&mut is_last, aborted.stable_offset >= until)
            })
            .filter(move |aborted| aborted.first_offset < until)
            .copied()
    }

    /// Whether anything was aborted at or behind this offset.
    pub(crate) fn has_aborted_behind(&self, offset: i64) -> bool {
        let newest = self.aborted.last();
        newest.is_some_and(|aborted| aborted.last_offset >= offset)
    }

    /// Whether the batch of this producer at this offset belongs to an aborted transaction.
    pub(super) fn is_aborted(&self, producer_id: i64, offset: i64) -> bool {
        self.aborted_between(offset, offset + 1)
            .any(|aborted| aborted.producer_id == producer_id)
    }

    /// Nothing below this offset is left of aborted transactions.
    pub(super) fn forget_aborted_below(&mut self, offset: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
    }

    /// Producers that have not written since this time and have no open transaction are forgotten.
    pub(super) fn expire(&mut self, before_ms: i64) {
        self.by_id.retain(|_, producer| {
            producer.last_seen_ms >= before_ms || producer.transaction_start.is_some()
        });
    }

    /// Whether the producer's epoch or sequence is in this batch alone: it is the newest of all, or
    /// the newest with a sequence, which markers lack.
    pub(super) fn is_newest_batch(&self, producer_id: i64, base_offset: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| {
            let sequenced = producer.written.last();
            producer.last_batch_offset == base_offset
                || sequenced.is_some_and(|batch| batch.base_offset == base_offset)
        })
    }

    /// Everything, by producer ids.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut producers: Vec<_> = self.by_id.iter().collect();
        producers.sort_unstable_by_key(|(id, _)| **id);
        out.put_u32(producers.len() as u32);
        for (id, producer) in producers {
            out.put_i64(*id);
            out.put_i16(producer.epoch);
            out.put_i32(producer.coordinator_epoch);
            out.put_i64(producer.last_seen_ms);
            out.put_i64(producer.last_batch_offset);
            out.put_i64(producer.transaction_start.unwrap_or(-1));
            out.put_u8(producer.written.len() as u8);
            for batch in &producer.written {
                out.put_i32(batch.first_sequence);
                out.put_i32(batch.last_sequence);
                out.put_i64(batch.base_offset);
                out.put_i64(batch.timestamp_ms);
            }
        }
        out.put_u32(self.aborted.len() as u32);
        for aborted in &self.aborted {
            out.put_i64(aborted.producer_id);
            out.put_i64(aborted.first_offset);
            out.put_i64(aborted.last_offset);
            out.put_i64(aborted.stable_offset);
        }
    }

    /// `None`: the bytes are not what [`Self::put`] wrote.
    pub(super) fn take(from: &mut &[u8]) -> Option<Producers> {
        let mut producers = Producers::default();
        for _ in 0..from.try_get_u32().ok()? {
            let id = from.try_get_i64().ok()?;
            let mut producer = Producer {
                epoch: from.try_get_i16().ok()?,
                coordinator_epoch: from.try_get_i32().ok()?,
                last_seen_ms: from.try_get_i64().ok()?,
                last_batch_offset: from.try_get_i64().ok()?,
                transaction_start: Some(from.try_get_i64().ok()?).filter(|start| *start >= 0),
                written: Vec::new(),
            };
            for _ in 0..from.try_get_u8().ok()? {
                producer.written.push(Written {
                    first_sequence: from.try_get_i32().ok()?,
                    last_sequence: from.try_get_i32().ok()?,
                    base_offset: from.try_get_i64().ok()?,
                    timestamp_ms: from.try_get_i64().ok()?,
                });
            }
            producers.open.extend(producer.transaction_start);
            producers.by_id.insert(id, producer);
        }
        for _ in 0..from.try_get_u32().ok()? {
            producers.aborted.push(Aborted {
                producer_id: from.try_get_i64().ok()?,
                first_offset: from.try_get_i64().ok()?,
                last_offset: from.try_get_i64().ok()?,
                stable_offset: from.try_get_i64().ok()?,
            });
        }
        Some(producers)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }
}
