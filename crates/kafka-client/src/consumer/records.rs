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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ProducerState};

    use super::*;

    /// `base kind producer values`: `5 txn 7 a,b`; a marker: `7 abort 7`.
    fn region(batches: &[&str]) -> Bytes {
        let mut region = BytesMut::new();
        for text in batches {
            let words: Vec<&str> = text.split(' ').collect();
            let producer_id: i64 = words[2].parse().expect("a producer id");
            let kind = match words[1] {
                "plain" => BatchKind::Plain,
                "txn" => BatchKind::Transactional,
                _ => BatchKind::Control,
            };
            let mut builder = BatchBuilder::new(0);
            match words[1] {
                "commit" => builder
                    .append(0, Some(&[0, 0, 0, 1]), Some(&[0; 6]))
                    .expect("small"),
                "abort" => builder
                    .append(0, Some(&[0, 0, 0, 0]), Some(&[0; 6]))
                    .expect("small"),
                _ => {
                    for value in words[3].split(',') {
                        builder
                            .append(0, None, Some(value.as_bytes()))
                            .expect("small");
                    }
                }
            }
            let header = BatchHeader {
                base_offset: words[0].parse().expect("an offset"),
                leader_epoch: 3,
                producer: ProducerState {
                    id: producer_id,
                    epoch: 0,
                    base_sequence: 0,
                },
                kind,
            };
            let mut compressor = Compressor::new(Codec::None, None).expect("a codec");
            region.extend_from_slice(
                &builder
                    .finish(&header, &mut compressor)
                    .expect("a batch")
                    .bytes,
            );
        }
        region.freeze()
    }

    fn read(region: Bytes, from: i64, isolation: IsolationLevel, aborted: &[(i64, i64)]) -> Chunk {
        let aborted = aborted.iter();
        let aborted = aborted.map(|(producer_id, first_offset)| Aborted {
            producer_id: *producer_id,
            first_offset: *first_offset,
        });
        Chunk::read(
            &TopicPartition::new("t", 1),
            region,
            Position {
                offset: from,
                epoch: None,
            },
            aborted.collect(),
            Reading {
                isolation,
                crc: CrcCheck::Verify,
            },
            &mut Decompressor::new(usize::MAX),
        )
    }

    /// All that a chunk holds in hand-outs of `max`: `values→next offset` each.
    fn drain(chunk: &mut Chunk, max: usize) -> Vec<String> {
        let mut shown = Vec::new();
        while !chunk.is_drained() {
            let mut handout = Handout::new(&TopicPartition::new("t", 1));
            let (count, behind) = handout.take(chunk, max).expect("readable");
            let records = handout.finish().expect("some records");
            assert_eq!(
                (records.len(), records.next_offset()),
                (count, behind.offset)
            );
            let values = records.iter().map(|record| {
                String::from_utf8(record.expect("a record").value.expect("a value").to_vec())
                    .expect("text")
            });
            shown.push(format!(
                "{}→{}",
                values.collect::<Vec<_>>().join(","),
                behind.offset
            ));
        }
        assert_eq!(chunk.bytes(), 0);
        shown
    }

    const COMMITTED: IsolationLevel = IsolationLevel::ReadCommitted;
    const UNCOMMITTED: IsolationLevel = IsolationLevel::ReadUncommitted;

    #[test]
    fn pieces_of_any_size_give_every_record_once() {
        let region = region(&["10 plain -1 a,b,c", "13 plain -1 d", "20 plain -1 e,f"]);
        let rows: [(i64, usize, &[&str]); 5] = [
            (10, 100, &["a,b,c,d,e,f→22"]),
            (10, 2, &["a,b→12", "c,d→14", "e,f→22"]),
            (10, 4, &["a,b,c,d→14", "e,f→22"]),
            // From the middle of a batch, and from a gap that compaction left.
            (12, 2, &["c,d→14", "e,f→22"]),
            (15, 1, &["e→21", "f→22"]),
        ];
        for (from, max, expected) in rows {
            let mut chunk = read(region.clone(), from, UNCOMMITTED, &[]);
            assert_eq!(drain(&mut chunk, max), expected, "from {from} by {max}");
            assert_eq!(
                chunk.end(),
                Position {
                    offset: 22,
                    epoch: Some(3)
                }
            );
        }
    }

    #[test]
    fn markers_and_aborted_transactions_are_left_out_and_passed() {
        let batches = [
            "0 txn 7 a",
            "1 txn 8 b",
            "2 txn 7 c",
            "3 abort 7",
            "4 txn 7 d",
            "5 commit 8",
            "6 plain 7 e",
            "7 commit 7",
        ];
        type Row<'a> = (i64, IsolationLevel, &'a [(i64, i64)], &'a [&'a str]);
        let rows: [Row<'_>; 5] = [
            (0, UNCOMMITTED, &[], &["a,b,c,d,e→8"]),
            (0, COMMITTED, &[(7, 0)], &["b,d,e→8"]),
            // The list may name transactions in any order, and ones that end before.
            (0, COMMITTED, &[(8, 1), (7, 0)], &["d,e→8"]),
            (4, COMMITTED, &[], &["d,e→8"]),
            (7, COMMITTED, &[], &[]),
        ];
        for (from, isolation, aborted, expected) in rows {
            let mut chunk = read(region(&batches), from, isolation, aborted);
            assert_eq!(
                drain(&mut chunk, 100),
                expected,
                "from {from}, aborted {aborted:?}"
            );
            assert_eq!(chunk.end().offset, 8);
        }
    }

    #[test]
    fn what_is_good_comes_before_the_error() {
        let mut bytes = BytesMut::from(&region(&["0 plain -1 a,b", "2 plain -1 c"])[..]);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut chunk = read(bytes.freeze(), 0, UNCOMMITTED, &[]);
        assert_eq!(drain(&mut chunk, 100), ["a,b→2"]);
        let error = chunk.into_error().expect("a broken batch").to_string();
        assert!(
            error.contains("topic=t partition=1") && error.contains("offset 2 is corrupt: its CRC"),
            "{error}"
        );

        let old =
            Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 24, 0, 0, 0, 0, 1, 0, 0, 0]);
        let error = read(old, 0, UNCOMMITTED, &[])
            .into_error()
            .expect("an old format")
            .to_string();
        assert!(
            error.contains("topic=t partition=1")
                && error.contains("offset 9 has the old message format v1"),
            "{error}"
        );
    }

    #[test]
    fn values_share_the_fetched_buffer() {
        let region = region(&["0 plain -1 shared"]);
        let mut chunk = read(region.clone(), 0, UNCOMMITTED, &[]);
        let mut handout = Handout::new(&TopicPartition::new("t", 1));
        handout.take(&mut chunk, 1).expect("readable");
        let records = handout.finish().expect("a record");
        let (record, payload) = records
            .iter_shared()
            .next()
            .expect("a record")
            .expect("readable");
        let value = payload.slice_ref(record.value.expect("a value"));
        assert!(region.as_ptr_range().contains(&value.as_ptr()));
    }
}
