//! Bytes of journal events: big endian, text and bytes behind a 32-bit length.
//!
//! Lives here: writing and reading of numbers, texts and lists; the error of a damaged event.
//! Never here: what an event means; framing and checksums, which are the journal's.

use bytes::Bytes;

/// Why bytes are not the event they should be. The journal's checksum was right, so this is
/// a journal of another version, or a fault in the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("journal event ends early: {wanted} more bytes wanted, {left} left")]
    Short { wanted: usize, left: usize },
    #[error("journal event has {0} bytes after its end")]
    Long(usize),
    #[error("journal event has unknown {what} {value}")]
    Unknown { what: &'static str, value: u8 },
    #[error("journal event has text that is not UTF-8")]
    NotText,
}

pub(crate) fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

pub(crate) fn put_i16(out: &mut Vec<u8>, value: i16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// How many entries follow, or how long a text is.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    let count =
        u32::try_from(count).expect("requests are below 100 MiB, and so is what they leave");
    out.extend_from_slice(&count.to_be_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_count(out, value.len());
    out.extend_from_slice(value);
}

pub(crate) fn put_text(out: &mut Vec<u8>, value: &str) {
    put_bytes(out, value.as_bytes());
}

pub(crate) fn put_optional_text(out: &mut Vec<u8>, value: Option<&str>) {
    put_u8(out, u8::from(value.is_some()));
    if let Some(value) = value {
        put_text(out, value);
    }
}

/// Reads what the `put` functions wrote. Never allocates by a count that it has not checked.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, wanted: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.0.len();
        let (taken, rest) = self
            .0
            .split_at_checked(wanted)
            .ok_or(DecodeError::Short { wanted, left })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// For loops; a count that is too large ends in `Short` at the first missing entry.
    pub(crate) fn count(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn slice(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        Ok(Bytes::copy_from_slice(self.slice()?))
    }

    pub(crate) fn text(&mut self) -> Result<String, DecodeError> {
        let text = std::str::from_utf8(self.slice()?).map_err(|_| DecodeError::NotText)?;
        Ok(text.to_owned())
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => Ok(Some(self.text()?)),
            value => Err(DecodeError::Unknown {
                what: "presence mark",
                value,
            }),
        }
    }

    pub(crate) fn end(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Long(left)),
        }
    }
}
