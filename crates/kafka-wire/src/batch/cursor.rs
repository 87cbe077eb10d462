//! Places between the records of a batch, so that it can be read in pieces.
//!
//! Lives here: finding a place by offset or by counting, without looking at keys and values, and
//! reading between two places.

use super::DecodedBatch;
use super::records::Records;
use crate::error::WireError;
use crate::varint::{take_varint, take_varlong};

/// A place between two records of one batch. Only meaningful for that batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordCursor {
    byte: usize,
    index: u32,
}

impl RecordCursor {
    /// Before the first record.
    pub const START: RecordCursor = RecordCursor { byte: 0, index: 0 };

    /// Records before this place.
    pub fn index(self) -> u32 {
        self.index
    }
}

impl DecodedBatch {
    /// Behind the last record.
    pub fn end(&self) -> RecordCursor {
        RecordCursor {
            byte: self.payload().len(),
            index: self.record_count(),
        }
    }

    /// Records from one place to another.
    ///
    /// Panics: when the places are not of this batch, or in the wrong order.
    pub fn records_between(&self, from: RecordCursor, to: RecordCursor) -> Records<'_> {
        self.records_in(&self.payload()[from.byte..to.byte], from.index, to.index)
    }

    /// Before the first record whose offset is at least `offset`; [`Self::end`] when there is none.
    ///
    /// Cost: a few bytes of each record in front are looked at.
    pub fn cursor_at(&self, offset: i64) -> Result<RecordCursor, WireError> {
        let base_offset = self.batch().base_offset();
        if offset <= base_offset {
            return Ok(RecordCursor::START);
        }
        let mut cursor = RecordCursor::START;
        while cursor.index < self.record_count() {
            let (next, delta) = self.step(cursor)?;
            if base_offset + i64::from(delta) >= offset {
                return Ok(cursor);
            }
            cursor = next;
        }
        Ok(self.end())
    }

    /// `count` records further, and the offset behind the last of them.
    ///
    /// `count` has to be more than 0 and at most what is left.
    pub fn advance(
        &self,
        from: RecordCursor,
        count: u32,
    ) -> Result<(RecordCursor, i64), WireError> {
        let mut cursor = from;
        let mut last_delta = 0;
        for _ in 0..count {
            (cursor, last_delta) = self.step(cursor)?;
        }
        let offset = self.batch().base_offset() + i64::from(last_delta) + 1;
        Ok((cursor, offset))
    }

    /// Over one record; its offset delta.
    fn step(&self, from: RecordCursor) -> Result<(RecordCursor, i32), WireError> {
        let record = || {
            let mut rest = self.payload().get(from.byte..)?;
            let before = rest.len();
            let length = usize::try_from(take_varint(&mut rest)?).ok()?;
            let prefix = before - rest.len();
            let body = rest.get(..length)?;
            // Behind the attributes.
            let mut fields = body.get(1..)?;
            take_varlong(&mut fields)?;
            let delta = take_varint(&mut fields)?;
            let byte = from.byte + prefix + length;
            Some((byte, delta))
        };
        let (byte, delta) = record().ok_or(WireError::CorruptRecord {
            base_offset: self.batch().base_offset(),
            index: from.index,
            what: "its length or a length inside it is impossible",
        })?;
        let index = from.index + 1;
        Ok((RecordCursor { byte, index }, delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{
        BatchBuilder, BatchHeader, BatchKind, CrcCheck, ProducerState, RecordBatches,
    };
    use crate::compression::{Codec, Compressor, Decompressor};

    fn batch(records: u32) -> DecodedBatch {
        let mut builder = BatchBuilder::new(0);
        for number in 0..records {
            let value = vec![b'v'; number as usize * 50];
            builder
                .append(i64::from(number), None, Some(&value))
                .expect("small");
        }
        let header = BatchHeader {
            base_offset: 1000,
            ..BatchHeader::produced(ProducerState::NONE, BatchKind::Plain)
        };
        let mut compressor = Compressor::new(Codec::None, None).expect("a codec");
        let bytes = builder
            .finish(&header, &mut compressor)
            .expect("a batch")
            .bytes;
        let mut batches = RecordBatches::with_crc_check(bytes, CrcCheck::Verify);
        let batch = batches.next().expect("one batch").expect("a valid batch");
        batch
            .decode(&mut Decompressor::new(usize::MAX))
            .expect("records")
    }

    fn offsets(batch: &DecodedBatch, from: RecordCursor, to: RecordCursor) -> Vec<i64> {
        batch
            .records_between(from, to)
            .map(|record| record.expect("a record").offset)
            .collect()
    }

    #[test]
    fn pieces_give_the_records_of_the_whole() {
        let batch = batch(7);
        let mut from = RecordCursor::START;
        let mut seen = Vec::new();
        for count in [3, 1, 2, 1] {
            let (to, behind) = batch.advance(from, count).expect("enough are left");
            let piece = offsets(&batch, from, to);
            assert_eq!(piece.last().map(|offset| offset + 1), Some(behind));
            seen.extend(piece);
            from = to;
        }
        assert_eq!(from, batch.end());
        assert_eq!(seen, (1000..1007).collect::<Vec<_>>());
        assert!(batch.advance(from, 1).is_err());
    }

    #[test]
    fn place_of_an_offset() {
        let batch = batch(7);
        for (offset, first) in [
            (0, Some(1000)),
            (1000, Some(1000)),
            (1004, Some(1004)),
            (1007, None),
        ] {
            let cursor = batch.cursor_at(offset).expect("a place");
            assert_eq!(
                offsets(&batch, cursor, batch.end()).first().copied(),
                first,
                "offset {offset}"
            );
        }
    }
}
