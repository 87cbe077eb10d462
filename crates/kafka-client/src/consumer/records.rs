//! What a fetch brought for one partition, and how it is handed out.
//!
//! Lives here: a fetched region as batches that can be read (checked, decompressed, aborted
//! transactions and control batches left out), given out in pieces of any number of records.
//! Lives elsewhere: the bytes of batches (`kafka_wire`), who wants which offset (`super::partition`).
//! Never here: I/O. Nothing is allocated per record.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::{
    ControlType, CrcCheck, DecodedBatch, Decompressor, RecordBatches, RecordCursor, RecordView,
    Records, WireError,
};

use super::TopicPartition;
use super::partition::Position;
use crate::error::ClientError;
use crate::settings::IsolationLevel;

/// Records of one partition, in the order of their offsets.
///
/// Keys and values are slices of the fetched buffer; [`Self::iter_shared`] gives the buffer beside
/// each record, so that a slice can be kept without copying it.
#[derive(Debug, Clone)]
pub struct PartitionRecords {
    pub topic: Arc<str>,
    pub partition: i32,
    pieces: Vec<Piece>,
    count: usize,
    next_offset: i64,
}

/// Neighbouring records of one batch.
#[derive(Debug, Clone)]
pub struct Piece {
    batch: DecodedBatch,
    from: RecordCursor,
    to: RecordCursor,
}

impl Piece {
    /// Cost: nothing is allocated per record.
    pub fn records(&self) -> Records<'_> {
        self.batch.records_between(self.from, self.to)
    }

    /// The buffer that the records are slices of: `payload.slice_ref(value)` shares it.
    pub fn payload(&self) -> &Bytes {
        self.batch.payload()
    }

    /// The batch that the records came in: leader epoch, timestamp type, producer.
    pub fn batch(&self) -> &kafka_wire::RecordBatch {
        self.batch.batch()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        (self.to.index() - self.from.index()) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartitionRecords {
    /// The records batch by batch.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Every record. An error names topic, partition and offset and ends the iteration.
    pub fn iter(&self) -> impl Iterator<Item = Result<RecordView<'_>, ClientError>> {
        let records = self.pieces.iter().flat_map(Piece::records);
        records.map(|record| record.map_err(|error| unreadable(&self.topic, self.partition, error)))
    }

    /// Every record with the buffer that it is a slice of.
    pub fn iter_shared(
        &self,
    ) -> impl Iterator<Item = Result<(RecordView<'_>, &Bytes), ClientError>> {
        self.pieces.iter().flat_map(move |piece| {
            let payload = piece.payload();
            piece.records().map(move |record| match record {
                Ok(record) => Ok((record, payload)),
                Err(error) => Err(unreadable(&self.topic, self.partition, error)),
            })
        })
    }

    /// Number of records; never 0.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What to commit once all of these are processed: the offset behind the last one.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Adds records that follow these.
    pub(super) fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
        self.count += other.count;
        self.next_offset = other.next_offset;
    }

    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition {
            topic: self.topic.clone(),
            partition: self.partition,
        }
    }
}

pub(super) fn unreadable(topic: &str, partition: i32, error: WireError) -> ClientError {
    ClientError::fatal(
        "a fetched record batch cannot be read; seek past it, or have the log repaired, to go on",
    )
    .with_topic_partition(topic, partition)
    .caused_by(error)
}

/// One fetch's worth of a partition, waiting to be handed out.
#[derive(Debug)]
pub(super) struct Chunk {
    batches: VecDeque<(DecodedBatch, RecordCursor)>,
    /// Behind all that was fetched, also what is not handed out.
    end: Position,
    /// Why the fetched region could not be read to its end.
    error: Option<ClientError>,
    bytes: usize,
}

/// How a fetched region is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub isolation: IsolationLevel,
    pub crc: CrcCheck,
}

/// A transaction that was aborted, from its first offset in the partition on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
}

impl Chunk {
    /// Reads the region that was fetched from `from` on.
    ///
    /// Cost: the CRC of every batch and its decompression; uncompressed batches share the region.
    pub(super) fn read(
        tp: &TopicPartition,
        region: Bytes,
        from: Position,
        mut aborted: Vec<Aborted>,
        reading: Reading,
        decompressor: &mut Decompressor,
    ) -> Self {
        aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
        let mut open = OpenAborts {
            coming: aborted.into(),
            producers: HashSet::new(),
        };
        let mut chunk = Self {
            batches: VecDeque::new(),
            end: from,
            error: None,
            bytes: 0,
        };
        for batch in RecordBatches::with_crc_check(region, reading.crc) {
            let taken = batch.and_then(|batch| {
                chunk.take_in(batch, from.offset, &mut open, reading, decompressor)
            });
            if let Err(error) = taken {
                chunk.error = Some(unreadable(&tp.topic, tp.partition, error));
                break;
            }
        }
        chunk
    }

    fn take_in(
        &mut self,
        batch: kafka_wire::RecordBatch,
        from: i64,
        open: &mut OpenAborts,
        reading: Reading,
        decompressor: &mut Decompressor,
    ) -> Result<(), WireError> {
        let end = Position {
            offset: batch.last_offset() + 1,
            epoch: Some(batch.leader_epoch()).filter(|epoch| *epoch >= 0),
        };
        if end.offset <= from {
            return Ok(());
        }
        let committed_only = reading.isolation == IsolationLevel::ReadCommitted;
        let producer_id = batch.producer().id;
        if committed_only {
            open.advance_to(batch.last_offset());
        }
        let keep = if batch.is_control() {
            if committed_only && open.producers.contains(&producer_id) {
                let marker = batch.decode(decompressor)?.control_type()?;
                if marker == Some(ControlType::Abort) {
                    open.producers.remove(&producer_id);
                }
            }
            None
        } else if committed_only
            && batch.is_transactional()
            && open.producers.contains(&producer_id)
        {
            None
        } else {
            Some(batch.decode(decompressor)?)
        };
        if let Some(batch) = keep {
            let start = batch.cursor_at(from)?;
            if start != batch.end() {
                self.bytes += batch.payload().len();
                self.batches.push_back((batch, start));
            }
        }
        self.end = end;
        Ok(())
    }

    /// Memory that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn end(&self) -> Position {
        self.end
    }

    pub(super) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// All records were given out.
    pub(super) fn is_drained(&self) -> bool {
        self.batches.is_empty()
    }

    /// To be called when it is drained: what follows the records that were given out.
    pub(super) fn into_error(self) -> Option<ClientError> {
        self.error
    }

    /// Moves at most `max` records to `pieces`; how many they are, and the position behind them.
    pub(super) fn take(
        &mut self,
        max: usize,
        pieces: &mut Vec<Piece>,
    ) -> Result<(usize, Position), WireError> {
        let mut taken = 0;
        let mut behind = self.end;
        while taken < max {
            let Some((batch, from)) = self.batches.front() else {
                break;
            };
            let (from, end) = (*from, batch.end());
            let left = (end.index() - from.index()) as usize;
            if left <= max - taken {
                let (batch, _) = self.batches.pop_front().expect("it is the front");
                taken += left;
                self.bytes -= batch.payload().len();
                behind = behind_batch(&batch);
                pieces.push(Piece {
                    batch,
                    from,
                    to: end,
                });
            } else {
                let count = max - taken;
                let (to, offset) = batch.advance(from, count as u32)?;
                taken = max;
                behind = Position {
                    offset,
                    epoch: behind_batch(batch).epoch,
                };
                pieces.push(Piece {
                    batch: batch.clone(),
                    from,
                    to,
                });
                self.batches[0].1 = to;
            }
        }
        if self.batches.is_empty() && self.error.is_none() {
            // Over what is not handed out as well: markers, aborted transactions.
            behind = self.end;
        }
        Ok((taken, behind))
    }
}

fn behind_batch(batch: &DecodedBatch) -> Position {
    let batch = batch.batch();
    Position {
        offset: batch.last_offset() + 1,
        epoch: Some(batch.leader_epoch()).filter(|epoch| *epoch >= 0),
    }
}

/// Aborted transactions while a region is read from front to back.
struct OpenAborts {
    /// Those that have not begun yet, by first offset.
    coming: VecDeque<Aborted>,
    producers: HashSet<i64>,
}

impl OpenAborts {
    fn advance_to(&mut self, last_offset: i64) {
        while let Some(transaction) = self.coming.front()
            && transaction.first_offset <= last_offset
        {
            self.producers.insert(transaction.producer_id);
            self.coming.pop_front();
        }
    }
}

/// Collects what one poll hands out of one partition.
pub(super) struct Handout {
    records: PartitionRecords,
}

impl Handout {
    pub(super) fn new(tp: &TopicPartition) -> Self {
        Self {
            records: PartitionRecords {
                topic: tp.topic.clone(),
                partition: tp.partition,
                pieces: Vec::new(),
                count: 0,
                next_offset: 0,
            },
        }
    }

    /// Takes from a chunk; how many records, and the position behind them.
    pub(super) fn take(
        &mut self,
        chunk: &mut Chunk,
        max: usize,
    ) -> Result<(usize, Position), ClientError> {
        let records = &mut self.records;
        let (count, behind) = chunk
            .take(max, &mut records.pieces)
            .map_err(|error| unreadable(&records.topic, records.partition, error))?;
        records.count += count;
        records.next_offset = behind.offset;
        Ok((count, behind))
    }

    pub(super) fn finish(self) -> Option<PartitionRecords> {
        (self.records.count > 0).then_some(self.records)
    }
}
