//! Records out of a batch.

use std::borrow::Cow;

use bytes::Bytes;

use super::*;
use crate::error::WireError;
use crate::varint::{take_varint, take_varlong};

/// The smallest record: length, attributes, two deltas, null key, null value, no headers.
const RECORD_BYTES_MIN: usize = 7;

/// A batch whose records can be read. Keys and values are slices of [`DecodedBatch::payload`].
#[derive(Debug, Clone)]
pub struct DecodedBatch {
    batch: RecordBatch,
    payload: Bytes,
}

impl DecodedBatch {
    pub(super) fn new(batch: RecordBatch, payload: Bytes) -> Result<DecodedBatch, WireError> {
        if batch.record_count() as usize > payload.len() / RECORD_BYTES_MIN {
            let what = "it counts more records than its bytes can hold";
            return Err(WireError::CorruptBatch {
                base_offset: batch.base_offset(),
                what,
            });
        }
        Ok(DecodedBatch { batch, payload })
    }

    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// All records, uncompressed. `payload.slice_ref(record.value)` shares instead of copying.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Number of records; bounded by the payload's size, so it may size an allocation.
    pub fn record_count(&self) -> u32 {
        self.batch.record_count()
    }

    /// Cost: nothing is allocated per record.
    pub fn records(&self) -> Records<'_> {
        self.records_in(&self.payload, 0, self.batch.record_count())
    }

    /// Records `index..count`, whose bytes are `rest`.
    pub(super) fn records_in<'a>(&self, rest: &'a [u8], index: u32, count: u32) -> Records<'a> {
        Records {
            rest,
            index,
            count,
            base_offset: self.batch.base_offset(),
            base_timestamp: self.batch.base_timestamp_ms(),
            append_time: match self.batch.timestamp_type() {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(self.batch.max_timestamp_ms()),
            },
        }
    }

    /// What a control batch says; `None` when it is not one, or holds no record any more.
    pub fn control_type(&self) -> Result<Option<ControlType>, WireError> {
        if !self.batch.is_control() {
            return Ok(None);
        }
        match self.records().next() {
            None => Ok(None),
            Some(record) => match record?.key.and_then(ControlType::of_key) {
                Some(control) => Ok(Some(control)),
                None => Err(WireError::CorruptRecord {
                    base_offset: self.batch.base_offset(),
                    index: 0,
                    what: "the key of a control record has less than 4 bytes",
                }),
            },
        }
    }
}

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlType {
    Abort,
    Commit,
    /// Of the metadata log, or of a later Kafka. Clients skip it.
    Other(i16),
}

impl ControlType {
    /// The key is a version (`i16`, any) and a type (`i16`).
    pub fn of_key(key: &[u8]) -> Option<ControlType> {
        let (_version, rest) = key.split_first_chunk::<2>()?;
        let id = i16::from_be_bytes(*rest.first_chunk::<2>()?);
        Some(match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            other => ControlType::Other(other),
        })
    }

    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::Other(id) => id,
        }
    }
}

/// One record, its bytes borrowed from the batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    pub offset: i64,
    /// Milliseconds since the epoch, -1 when there is none; in a LogAppendTime batch the broker's
    /// time, which all its records share.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RecordView<'a> {
    /// Headers in the order they were written; duplicates are kept. Parsed as they are asked for.
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }
}

/// Iterator over the records of a batch. After an error it has ended.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> Records<'a> {
    /// `None`: the record's bytes do not hold what a record holds.
    #[inline(always)]
    fn take(&mut self) -> Option<RecordView<'a>> {
        let length = usize::try_from(take_varint(&mut self.rest)?).ok()?;
        // One check for the whole record; below, only its own slice is looked at.
        let (mut body, behind) = self.rest.split_at_checked(length)?;
        self.rest = behind;
        let (_attributes, fields) = body.split_first()?;
        body = fields;
        let timestamp_delta = take_varlong(&mut body)?;
        let offset_delta = take_varint(&mut body)?;
        let key = take_field(&mut body)?;
        let value = take_field(&mut body)?;
        let headers = Headers::take(body)?;
        Some(RecordView {
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            timestamp_ms: match self.append_time {
                None => self.base_timestamp.wrapping_add(timestamp_delta),
                Some(append_time) => append_time,
            },
            key,
            value,
            headers,
        })
    }

    #[cold]
    fn fail(&mut self, what: &'static str) -> WireError {
        self.rest = &[];
        self.count = self.index;
        WireError::CorruptRecord {
            base_offset: self.base_offset,
            index: self.index,
            what,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, WireError>;

    // A view is ten words, which would else be written and read again for each record.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.count {
            if self.rest.is_empty() {
                return None;
            }
            return Some(Err(self.fail("bytes are left behind the last record")));
        }
        let Some(record) = self.take() else {
            return Some(Err(
                self.fail("its length or a length inside it is impossible")
            ));
        };
        self.index += 1;
        Some(Ok(record))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.count - self.index) as usize;
        // One more: an error about bytes behind the last record.
        (0, Some(left + 1))
    }
}

/// A length, -1 for null, then the bytes.
#[inline(always)]
#[expect(
    clippy::option_option,
    reason = "outer: the bytes are broken; inner: the field is null"
)]
fn take_field<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_varint(from)?;
    if length < 0 {
        // Java takes every negative length for null.
        return Some(None);
    }
    let (field, behind) = from.split_at_checked(length as usize)?;
    *from = behind;
    Some(Some(field))
}

/// One header. Keys are UTF-8 by agreement, which no broker checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderView<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as Java decodes it: what is not UTF-8 becomes U+FFFD.
    pub fn key_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

/// Iterator over the headers of a record. After an error it has ended.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    rest: &'a [u8],
    remaining: u32,
}

impl<'a> Headers<'a> {
    /// Number of headers; bounded by the record's size, so it may size an allocation.
    pub fn remaining(&self) -> usize {
        self.remaining as usize
    }

    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    #[inline(always)]
    fn take(mut from: &'a [u8]) -> Option<Headers<'a>> {
        let count = take_varint(&mut from)?;
        // A header has at least two bytes; without headers nothing may follow.
        if count == 0 {
            return from.is_empty().then_some(Headers {
                rest: from,
                remaining: 0,
            });
        }
        let remaining = u32::try_from(count).ok()?;
        (remaining as usize <= from.len() / 2).then_some(Headers {
            rest: from,
            remaining,
        })
    }

    fn take_one(&mut self) -> Option<HeaderView<'a>> {
        let key = take_field(&mut self.rest)??;
        let value = take_field(&mut self.rest)?;
        Some(HeaderView { key, value })
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<HeaderView<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        match self.take_one() {
            // Nothing may follow the last one.
            Some(header) if self.remaining > 1 || self.rest.is_empty() => {
                self.remaining -= 1;
                Some(Ok(header))
            }
            _ => {
                self.remaining = 0;
                Some(Err(HeaderError))
            }
        }
    }
}

/// The headers of a record are not what a record holds; the caller knows which record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record's headers are corrupt: a length inside them is impossible")]
pub struct HeaderError;
