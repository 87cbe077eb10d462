//! The header of a batch by itself: for a log that reads headers without the records behind them.
//!
//! Lives here: [`HeaderFields`], the 61 bytes in front of the records as values.
//! Never here: the CRC, which needs the records too (`read`).

use super::*;
use crate::error::WireError;

/// What a batch says about itself in its first [`BATCH_OVERHEAD`] bytes. Untrusted, but for the
/// magic and a length that can hold a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFields {
    pub base_offset: i64,
    /// All of the batch, with base offset and length.
    pub size_bytes: usize,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub producer: ProducerState,
    pub record_count: i32,
    crc: u32,
}

impl HeaderFields {
    /// `None`: less than a header. Fails: on another magic than 2, or an impossible length.
    pub fn read(bytes: &[u8]) -> Result<Option<HeaderFields>, WireError> {
        if bytes.len() < BATCH_OVERHEAD {
            return Ok(None);
        }
        let base_offset = i64::from_be_bytes(get(bytes, BASE_OFFSET));
        match i8::from_be_bytes(get(bytes, MAGIC)) {
            MAGIC_V2 => {}
            magic @ (0 | 1) => return Err(WireError::OldMessageFormat { magic, base_offset }),
            magic => return Err(WireError::UnknownMagic { magic, base_offset }),
        }
        let size_bytes = usize::try_from(i32::from_be_bytes(get(bytes, LENGTH)))
            .ok()
            .map(|length| length + LOG_OVERHEAD)
            .filter(|size| *size >= BATCH_OVERHEAD)
            .ok_or(WireError::CorruptBatch {
                base_offset,
                what: "its length is below that of an empty batch",
            })?;
        Ok(Some(HeaderFields {
            base_offset,
            size_bytes,
            attributes: i16::from_be_bytes(get(bytes, ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(get(bytes, LAST_OFFSET_DELTA)),
            base_timestamp_ms: i64::from_be_bytes(get(bytes, BASE_TIMESTAMP)),
            max_timestamp_ms: i64::from_be_bytes(get(bytes, MAX_TIMESTAMP)),
            producer: ProducerState {
                id: i64::from_be_bytes(get(bytes, PRODUCER_ID)),
                epoch: i16::from_be_bytes(get(bytes, PRODUCER_EPOCH)),
                base_sequence: i32::from_be_bytes(get(bytes, BASE_SEQUENCE)),
            },
            record_count: i32::from_be_bytes(get(bytes, RECORD_COUNT)),
            crc: u32::from_be_bytes(get(bytes, CRC)),
        }))
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Sequence number of the last record, as idempotent producers count: wrapping from
    /// `i32::MAX` to 0; -1 when the batch has no sequence.
    pub fn last_sequence(&self) -> i32 {
        match self.producer.base_sequence {
            -1 => -1,
            sequence => sequence.wrapping_add(self.last_offset_delta) & i32::MAX,
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// When tombstones and markers of this batch may be dropped: the compaction that first saw
    /// them sets it, in the place of the base timestamp.
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp_ms)
    }

    /// `None`: a codec that nobody knows.
    pub fn codec(&self) -> Option<crate::Codec> {
        crate::Codec::from_id((self.attributes & CODEC_MASK) as u8)
    }

    /// Whether the CRC in the header is the one of `batch`, which is all of the batch.
    ///
    /// Cost: one pass over the batch.
    pub fn crc_matches(&self, batch: &[u8]) -> bool {
        batch.len() == self.size_bytes && crc_of(batch) == self.crc
    }
}
