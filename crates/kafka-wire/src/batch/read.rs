//! Batches out of a fetched region.

use bytes::Bytes;

use super::*;
use crate::compression::{Codec, Decompressor};
use crate::error::WireError;

/// Whose clock a batch's timestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// `check.crcs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcCheck {
    Verify,
    Skip,
}

/// The batches of a partition's region in a fetch response, or of a log file.
///
/// A region usually ends in the middle of a batch, because the broker cuts at the size that was
/// asked for: that ends the iteration quietly. After an error the iteration has ended.
#[derive(Debug)]
pub struct RecordBatches {
    rest: Bytes,
    crc: CrcCheck,
}

impl RecordBatches {
    /// Checks the CRC of each batch.
    pub fn new(region: Bytes) -> RecordBatches {
        RecordBatches {
            rest: region,
            crc: CrcCheck::Verify,
        }
    }

    pub fn with_crc_check(region: Bytes, crc: CrcCheck) -> RecordBatches {
        RecordBatches { rest: region, crc }
    }

    /// What has not been given out yet; once the iteration has ended quietly, the partial batch.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    fn take(&mut self) -> Result<Option<RecordBatch>, WireError> {
        if self.rest.len() <= MAGIC {
            return Ok(None);
        }
        let base_offset = i64::from_be_bytes(get(&self.rest, BASE_OFFSET));
        match i8::from_be_bytes(get(&self.rest, MAGIC)) {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(WireError::OldMessageFormat { magic, base_offset }),
            magic => return Err(WireError::UnknownMagic { magic, base_offset }),
        }
        let corrupt = |what| WireError::CorruptBatch { base_offset, what };
        let length = usize::try_from(i32::from_be_bytes(get(&self.rest, LENGTH)))
            .ok()
            .filter(|length| *length >= BATCH_OVERHEAD - LOG_OVERHEAD)
            .ok_or_else(|| corrupt("its length is below that of an empty batch"))?;
        if self.rest.len() - LOG_OVERHEAD < length {
            return Ok(None);
        }
        let batch = RecordBatch {
            bytes: self.rest.split_to(LOG_OVERHEAD + length),
        };
        if self.crc == CrcCheck::Verify {
            let expected = u32::from_be_bytes(get(&batch.bytes, CRC));
            let found = crc_of(&batch.bytes);
            if expected != found {
                return Err(WireError::CrcMismatch {
                    base_offset,
                    expected,
                    found,
                });
            }
        }
        batch.check()?;
        Ok(Some(batch))
    }
}

impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let taken = self.take();
        if taken.is_err() {
            self.rest = Bytes::new();
        }
        taken.transpose()
    }
}

/// One whole batch, its header checked; the records are still as they came.
#[derive(Debug, Clone)]
pub struct RecordBatch {
    bytes: Bytes,
}

impl RecordBatch {
    /// What the header may not say. Only the first error is told.
    fn check(&self) -> Result<(), WireError> {
        let base_offset = self.base_offset();
        let what = if base_offset < 0 {
            "its base offset is negative"
        } else if self.last_offset_delta() < 0 {
            "its last offset is below its first"
        } else if base_offset
            .checked_add(i64::from(self.last_offset_delta()))
            .is_none()
        {
            "its last offset is out of range"
        } else if self.record_count_field() < 0 {
            "its record count is negative"
        } else {
            return Ok(());
        };
        Err(WireError::CorruptBatch { base_offset, what })
    }

    /// All of the batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(get(&self.bytes, BASE_OFFSET))
    }

    /// Offset of the last record that the batch was written with; compaction may have removed it,
    /// and a consumer still goes on behind it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset() + i64::from(self.last_offset_delta())
    }

    /// -1: unknown.
    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(get(&self.bytes, LEADER_EPOCH))
    }

    pub fn codec(&self) -> Result<Codec, WireError> {
        let id = (self.attributes() & CODEC_MASK) as u8;
        Codec::from_id(id).ok_or(WireError::UnknownCodec {
            id,
            base_offset: self.base_offset(),
        })
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    /// A commit or abort marker, or another note of the broker: no user's records.
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    pub fn base_timestamp_ms(&self) -> i64 {
        i64::from_be_bytes(get(&self.bytes, BASE_TIMESTAMP))
    }

    pub fn max_timestamp_ms(&self) -> i64 {
        i64::from_be_bytes(get(&self.bytes, MAX_TIMESTAMP))
    }

    /// [`ProducerState::NONE`] when the producer was not idempotent.
    pub fn producer(&self) -> ProducerState {
        ProducerState {
            id: i64::from_be_bytes(get(&self.bytes, PRODUCER_ID)),
            epoch: i16::from_be_bytes(get(&self.bytes, PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(get(&self.bytes, BASE_SEQUENCE)),
        }
    }

    /// What the header says; 0 after compaction removed all of them. Untrusted: do not allocate
    /// by it.
    pub fn record_count(&self) -> u32 {
        self.record_count_field().unsigned_abs()
    }

    /// Decompresses, when the batch is compressed; else shares its bytes.
    pub fn decode(self, decompressor: &mut Decompressor) -> Result<DecodedBatch, WireError> {
        let payload = self.bytes.slice(BATCH_OVERHEAD..);
        let payload = match self.codec()? {
            _ if self.record_count() == 0 => Bytes::new(),
            Codec::None => payload,
            codec => Bytes::from(decompressor.decompress(codec, &payload)?),
        };
        DecodedBatch::new(self, payload)
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(get(&self.bytes, ATTRIBUTES))
    }

    fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(get(&self.bytes, LAST_OFFSET_DELTA))
    }

    fn record_count_field(&self) -> i32 {
        i32::from_be_bytes(get(&self.bytes, RECORD_COUNT))
    }
}
