//! Records into a batch.

use bytes::Bytes;

use super::*;
use crate::compression::Compressor;
use crate::error::WireError;
use crate::varint::{put_varint, put_varlong, varint_len, varlong_len};

/// Java's bound on what a record adds to its key, value and headers: length, attributes,
/// timestamp and offset delta.
const RECORD_OVERHEAD_MAX: usize = 21;

/// What `finish` writes in front of the records, beside what it counts itself.
#[derive(Debug, Clone, Copy)]
pub struct BatchHeader {
    pub producer: ProducerState,
    pub kind: BatchKind,
    pub base_offset: i64,
    pub leader_epoch: i32,
}

impl BatchHeader {
    /// As a producer sends it: the broker assigns offsets and the leader epoch.
    pub fn produced(producer: ProducerState, kind: BatchKind) -> BatchHeader {
        BatchHeader {
            producer,
            kind,
            base_offset: 0,
            leader_epoch: -1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    Plain,
    /// Invisible to `read_committed` consumers until the producer's transaction commits.
    Transactional,
    /// A transaction's commit or abort marker; written by brokers.
    Control,
}

/// A batch ready for a produce request.
#[derive(Debug)]
pub struct FinishedBatch {
    pub bytes: Bytes,
    /// The builder's buffer, when compression wrote a new one: give it to the next builder. An
    /// uncompressed batch is that buffer; see [`BatchBuilder::recycle`].
    pub buffer: Option<Vec<u8>>,
}

/// Collects records behind a reserved header. Offset deltas count from 0.
///
/// Cost per record: its bytes are written once; nothing is allocated while the buffer has room.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Initialised as far as it is long, so that a record is written without growing it.
    buffer: Vec<u8>,
    /// End of what is written.
    end: usize,
    records: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// Makes room for `capacity_bytes`, header included; grows when records need more.
    pub fn new(capacity_bytes: usize) -> BatchBuilder {
        BatchBuilder::with_buffer(Vec::new(), capacity_bytes)
    }

    /// As `new`, in a used buffer. What it holds does not matter.
    pub fn with_buffer(mut buffer: Vec<u8>, capacity_bytes: usize) -> BatchBuilder {
        let bytes = capacity_bytes.max(BATCH_OVERHEAD);
        if buffer.capacity() == 0 {
            // Zeroed pages straight from the allocator, where `resize` would write them.
            buffer = vec![0; bytes];
        } else if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        BatchBuilder {
            buffer,
            end: BATCH_OVERHEAD,
            records: 0,
            base_timestamp: -1,
            max_timestamp: -1,
        }
    }

    /// The buffer of a sent batch, when nobody else holds a part of it any more.
    pub fn recycle(sent: Bytes) -> Option<Vec<u8>> {
        sent.try_into_mut().ok().map(Vec::from)
    }

    pub fn record_count(&self) -> u32 {
        self.records
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of the batch as it is now, uncompressed, header included.
    pub fn size_bytes(&self) -> usize {
        self.end
    }

    /// Adds a record without headers. `timestamp_ms`: since the epoch, -1 when there is none.
    /// Fails: only when the record or the batch would pass `i32::MAX` bytes or records.
    #[inline]
    pub fn append(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), WireError> {
        self.append_with_headers(timestamp_ms, key, value, std::iter::empty())
    }

    /// Adds a record. Header keys are UTF-8; order and duplicates are kept.
    ///
    /// Cost: walks the headers twice, to measure and to write.
    #[inline]
    pub fn append_with_headers<'h>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> + Clone,
    ) -> Result<(), WireError> {
        if self.records == 0 {
            self.base_timestamp = timestamp_ms;
        }
        self.append_at(self.records as i32, timestamp_ms, key, value, headers)
    }

    /// Adds a record at an offset of the caller's choice, its timestamp counted from what
    /// [`Self::set_base_timestamp`] said: for a batch that keeps only some of its records.
    #[inline]
    pub(super) fn append_at<'h>(
        &mut self,
        offset_delta: i32,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)> + Clone,
    ) -> Result<(), WireError> {
        let timestamp_delta = timestamp_ms.wrapping_sub(self.base_timestamp);
        let (header_count, header_bytes) = measure(headers.clone());
        let body = 1
            + varlong_len(timestamp_delta)
            + varint_len(offset_delta)
            + field_len(key)
            + field_len(value)
            + varint_len(header_count)
            + header_bytes;
        let start = self.end;
        // The bound also keeps every length below within an i32.
        if body > i32::MAX as usize - start - 5 || self.records == i32::MAX as u32 {
            return Err(WireError::RecordTooLarge { bytes: body });
        }
        let end = start + varint_len(body as i32) + body;
        if end > self.buffer.len() {
            self.grow(end);
        }
        let out = &mut self.buffer[start..end];
        let mut at = put_varint(out, 0, body as i32);
        out[at] = 0;
        at = put_varlong(out, at + 1, timestamp_delta);
        at = put_varint(out, at, offset_delta);
        at = put_field(out, at, key);
        at = put_field(out, at, value);
        at = put_varint(out, at, header_count);
        for (key, value) in headers {
            at = put_field(out, at, Some(key));
            at = put_field(out, at, value);
        }
        debug_assert_eq!(at, out.len(), "a record was measured wrong");
        self.end = end;
        self.records += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        Ok(())
    }

    pub(super) fn set_base_timestamp(&mut self, timestamp_ms: i64) {
        self.base_timestamp = timestamp_ms;
    }

    /// The buffer as far as it is written; its header is not.
    pub(super) fn into_written(mut self) -> Vec<u8> {
        self.buffer.truncate(self.end);
        self.buffer
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let doubled = self.buffer.len().saturating_mul(2);
        self.buffer.resize(doubled.max(bytes), 0);
    }

    /// Compresses, writes the header and the CRC.
    ///
    /// Uncompressed, the batch is the builder's own buffer. Panics: without a record; a batch has
    /// at least one.
    pub fn finish(
        self,
        header: &BatchHeader,
        compressor: &mut Compressor,
    ) -> Result<FinishedBatch, WireError> {
        let (batch, buffer) = self.compress(header, compressor)?;
        Ok(FinishedBatch {
            bytes: batch.seal(header.producer),
            buffer,
        })
    }

    /// The first half of [`Self::finish`], for a producer that compresses before it knows the
    /// batch's place in the sequence; `header.producer` is not looked at. Beside the batch comes
    /// the builder's buffer, when compression wrote a new one. Panics: without a record.
    pub fn compress(
        mut self,
        header: &BatchHeader,
        compressor: &mut Compressor,
    ) -> Result<(UnsealedBatch, Option<Vec<u8>>), WireError> {
        assert!(self.records > 0, "a batch holds at least one record");
        let codec = compressor.codec();
        let (mut batch, buffer) = match codec {
            crate::Codec::None => {
                self.buffer.truncate(self.end);
                (std::mem::take(&mut self.buffer), None)
            }
            _ => {
                let mut batch = Vec::with_capacity(BATCH_OVERHEAD + self.end / 2);
                batch.resize(BATCH_OVERHEAD, 0);
                compressor.compress(&self.buffer[BATCH_OVERHEAD..self.end], &mut batch)?;
                (batch, Some(std::mem::take(&mut self.buffer)))
            }
        };
        self.write_header(&mut batch, header, codec as i16);
        Ok((UnsealedBatch { batch }, buffer))
    }

    fn write_header(&self, batch: &mut [u8], header: &BatchHeader, codec: i16) {
        let kind = match header.kind {
            BatchKind::Plain => 0,
            BatchKind::Transactional => TRANSACTIONAL,
            BatchKind::Control => TRANSACTIONAL | CONTROL,
        };
        let length = (batch.len() - LOG_OVERHEAD) as i32;
        put(batch, BASE_OFFSET, header.base_offset.to_be_bytes());
        put(batch, LENGTH, length.to_be_bytes());
        put(batch, LEADER_EPOCH, header.leader_epoch.to_be_bytes());
        put(batch, MAGIC, MAGIC_V2.to_be_bytes());
        put(batch, ATTRIBUTES, (codec | kind).to_be_bytes());
        put(
            batch,
            LAST_OFFSET_DELTA,
            (self.records as i32 - 1).to_be_bytes(),
        );
        put(batch, BASE_TIMESTAMP, self.base_timestamp.to_be_bytes());
        put(batch, MAX_TIMESTAMP, self.max_timestamp.to_be_bytes());
        put(batch, RECORD_COUNT, (self.records as i32).to_be_bytes());
    }
}

/// A batch that lacks only its producer, its sequence and the CRC.
#[derive(Debug)]
pub struct UnsealedBatch {
    batch: Vec<u8>,
}

impl UnsealedBatch {
    /// Bytes on the wire.
    pub fn size_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Cost: one pass for the CRC.
    pub fn seal(mut self, producer: ProducerState) -> Bytes {
        put_producer(&mut self.batch, producer);
        seal(&mut self.batch);
        Bytes::from(self.batch)
    }
}

/// Count of the headers and the bytes they take behind the count.
#[inline]
fn measure<'h>(headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>) -> (i32, usize) {
    let mut count = 0;
    let mut bytes = 0;
    for (key, value) in headers {
        count += 1;
        bytes += field_len(Some(key)) + field_len(value);
    }
    (count, bytes)
}

/// A length, -1 for null, then the bytes.
#[inline]
fn field_len(field: Option<&[u8]>) -> usize {
    match field {
        // A length that does not fit makes the record too large anyhow, by its own bytes.
        Some(bytes) => varint_len(bytes.len() as i32) + bytes.len(),
        None => 1,
    }
}

#[inline]
fn put_field(out: &mut [u8], at: usize, field: Option<&[u8]>) -> usize {
    match field {
        Some(bytes) => {
            let at = put_varint(out, at, bytes.len() as i32);
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at + bytes.len()
        }
        None => {
            out[at] = 1; // -1 in zigzag
            at + 1
        }
    }
}

/// The most that a record can add to a batch, whatever its timestamp and place.
///
/// `BATCH_OVERHEAD` plus this is what Java compares with `max.request.size`.
/// Source: `DefaultRecord.recordSizeUpperBound`.
#[inline]
pub fn record_bytes_upper_bound<'h>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>,
) -> usize {
    let (header_count, header_bytes) = measure(headers);
    RECORD_OVERHEAD_MAX
        + field_len(key)
        + field_len(value)
        + varint_len(header_count)
        + header_bytes
}

/// The control batch that ends a transaction on a partition.
pub fn transaction_marker(
    control: ControlType,
    coordinator_epoch: i32,
    timestamp_ms: i64,
    header: &BatchHeader,
) -> Result<Bytes, WireError> {
    let [high, low] = control.id().to_be_bytes();
    let [a, b, c, d] = coordinator_epoch.to_be_bytes();
    let mut builder = BatchBuilder::new(128);
    builder.append(
        timestamp_ms,
        Some(&[0, 0, high, low]),
        Some(&[0, 0, a, b, c, d]),
    )?;
    let header = BatchHeader {
        kind: BatchKind::Control,
        ..*header
    };
    Ok(builder.finish(&header, &mut Compressor::none())?.bytes)
}
