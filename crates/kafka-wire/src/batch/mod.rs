//! Record batches, format version 2: written into one growing buffer, read as slices of it.
//!
//! Lives here: the layout, [`BatchBuilder`] (`build`), [`RecordBatches`] and [`RecordBatch`]
//! (`read`), the records inside (`records`), and changes to a finished batch (`rewrite`).
//! Never here: which partition, which sequence number, when a batch is full; those are decisions
//! of the producer.
//!
//! ```text
//!  0 base offset       i64  outside the CRC; the broker writes it
//!  8 length            i32  of all that follows
//! 12 leader epoch      i32  outside the CRC; the broker writes it
//! 16 magic             i8   2
//! 17 crc               u32  CRC32C of all that follows
//! 21 attributes        i16  codec 0-2, log append time 3, transactional 4, control 5, delete horizon 6
//! 23 last offset delta i32
//! 27 base timestamp    i64
//! 35 max timestamp     i64
//! 43 producer id       i64  -1: none
//! 51 producer epoch    i16
//! 53 base sequence     i32
//! 57 record count      i32
//! 61 records, together compressed
//! ```
//! Source: `DefaultRecordBatch` and `DefaultRecord` in apache/kafka, clients.

mod build;
mod cursor;
#[cfg(test)]
mod fixtures;
mod header;
mod read;
mod records;
mod retain;
mod rewrite;
#[cfg(test)]
mod tests;

pub use build::{
    BatchBuilder, BatchHeader, BatchKind, FinishedBatch, UnsealedBatch, record_bytes_upper_bound,
    transaction_marker,
};
pub use cursor::RecordCursor;
pub use header::HeaderFields;
pub use read::{CrcCheck, RecordBatch, RecordBatches, TimestampType};
pub use records::{
    ControlType, DecodedBatch, HeaderError, HeaderView, Headers, RecordView, Records,
};
pub use retain::{recompress, retain};
pub use rewrite::{
    SplitPart, set_base_offset, set_leader_epoch, set_log_append_time, split_in_two, with_producer,
};

/// Bytes in front of the records.
pub const BATCH_OVERHEAD: usize = 61;
/// Base offset and length: what a batch's length does not count.
pub const LOG_OVERHEAD: usize = 12;

const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const RECORD_COUNT: usize = 57;

const MAGIC_V2: i8 = 2;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Who wrote a batch, and its place in that producer's order on the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    pub id: i64,
    pub epoch: i16,
    /// Sequence number of the first record; the others count on, wrapping from `i32::MAX` to 0.
    pub base_sequence: i32,
}

impl ProducerState {
    /// A producer without idempotence.
    pub const NONE: ProducerState = ProducerState {
        id: -1,
        epoch: -1,
        base_sequence: -1,
    };
}

fn put<const N: usize>(batch: &mut [u8], at: usize, field: [u8; N]) {
    batch[at..at + N].copy_from_slice(&field);
}

fn get<const N: usize>(batch: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&batch[at..at + N]);
    field
}

fn crc_of(batch: &[u8]) -> u32 {
    crc32c::crc32c(&batch[ATTRIBUTES..])
}

fn put_producer(batch: &mut [u8], producer: ProducerState) {
    put(batch, PRODUCER_ID, producer.id.to_be_bytes());
    put(batch, PRODUCER_EPOCH, producer.epoch.to_be_bytes());
    put(batch, BASE_SEQUENCE, producer.base_sequence.to_be_bytes());
}

/// Sets the CRC to what the bytes give.
fn seal(batch: &mut [u8]) {
    let crc = crc_of(batch);
    put(batch, CRC, crc.to_be_bytes());
}
