//! Changes to a finished batch, in place where nobody shares its bytes.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::compression::{Compressor, Decompressor};
use crate::error::WireError;

/// The batch with another producer id, epoch and sequence, and a new CRC: for the retry after the
/// producer got a new epoch.
///
/// Cost: one pass for the CRC; copies only when another `Bytes` shares the batch.
pub fn with_producer(batch: Bytes, producer: ProducerState) -> Bytes {
    let mut batch = batch
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    put(&mut batch, PRODUCER_ID, producer.id.to_be_bytes());
    put(&mut batch, PRODUCER_EPOCH, producer.epoch.to_be_bytes());
    put(
        &mut batch,
        BASE_SEQUENCE,
        producer.base_sequence.to_be_bytes(),
    );
    seal(&mut batch);
    batch.freeze()
}

/// Of a batch in a log: the offset of its first record. Outside the CRC.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    put(batch, BASE_OFFSET, base_offset.to_be_bytes());
}

/// Of a batch in a log: the epoch of the leader that took it. Outside the CRC.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    put(batch, LEADER_EPOCH, leader_epoch.to_be_bytes());
}

/// Of a batch in a log with `message.timestamp.type=LogAppendTime`; new CRC.
pub fn set_log_append_time(batch: &mut [u8], timestamp_ms: i64) {
    let attributes = i16::from_be_bytes(get(batch, ATTRIBUTES)) | LOG_APPEND_TIME;
    put(batch, ATTRIBUTES, attributes.to_be_bytes());
    put(batch, MAX_TIMESTAMP, timestamp_ms.to_be_bytes());
    seal(batch);
}

/// One of the batches that a batch was split into.
#[derive(Debug, Clone)]
pub struct SplitPart {
    pub bytes: Bytes,
    pub records: u32,
}

/// Splits a batch that the broker refused as too large at the record where half of its
/// uncompressed bytes are reached; compresses both parts again.
///
/// Order, timestamps, keys, values and headers stay; the second part's sequence follows the first
/// part's. Fails: when the batch has fewer than two records, or is not readable.
pub fn split_in_two(
    batch: Bytes,
    compressor: &mut Compressor,
    decompressor: &mut Decompressor,
) -> Result<[SplitPart; 2], WireError> {
    let region = RecordBatches::with_crc_check(batch, read::CrcCheck::Skip).next();
    let Some(batch) = region.transpose()? else {
        return Err(WireError::Unsplittable { records: 0 });
    };
    let kind = match (batch.is_control(), batch.is_transactional()) {
        (true, _) => BatchKind::Control,
        (false, true) => BatchKind::Transactional,
        (false, false) => BatchKind::Plain,
    };
    let producer = batch.producer();
    let decoded = batch.decode(decompressor)?;
    let records = decoded.record_count();
    if records < 2 {
        return Err(WireError::Unsplittable { records });
    }
    let half = BATCH_OVERHEAD + decoded.payload().len() / 2;
    let mut first = BatchBuilder::new(half);
    let mut second = BatchBuilder::new(half);
    for (index, record) in (0u32..).zip(decoded.records()) {
        let record = record?;
        let size = record_bytes_upper_bound(record.key, record.value, std::iter::empty());
        // Each part gets at least one.
        let fits = second.is_empty() && (first.size_bytes() + size <= half || first.is_empty());
        let target = if fits && index + 1 < records {
            &mut first
        } else {
            &mut second
        };
        let headers = headers_of(&record, decoded.batch().base_offset(), index)?;
        let headers = headers.iter().map(|header| (header.key, header.value));
        target.append_with_headers(record.timestamp_ms, record.key, record.value, headers)?;
    }
    let following = ProducerState {
        base_sequence: match producer.base_sequence {
            -1 => -1,
            // Sequences wrap from i32::MAX to 0.
            sequence => sequence.wrapping_add(first.record_count() as i32) & i32::MAX,
        },
        ..producer
    };
    let mut finish = |part: BatchBuilder, producer| {
        let records = part.record_count();
        let bytes = part
            .finish(&BatchHeader::produced(producer, kind), compressor)?
            .bytes;
        Ok(SplitPart { bytes, records })
    };
    Ok([finish(first, producer)?, finish(second, following)?])
}

fn headers_of<'a>(
    record: &RecordView<'a>,
    base_offset: i64,
    index: u32,
) -> Result<Vec<HeaderView<'a>>, WireError> {
    record
        .headers()
        .collect::<Result<_, _>>()
        .map_err(|_| WireError::CorruptRecord {
            base_offset,
            index,
            what: "a length inside its headers is impossible",
        })
}
