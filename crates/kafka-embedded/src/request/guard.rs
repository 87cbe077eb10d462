//! Whether a request's counts and lengths are true, before anything is decoded.
//!
//! Lives here: [`check`], a walk over the request along its layout. The decoder makes room for as
//! many elements as an array announces before it reads the first, and a process that asks for
//! terabytes is aborted; what passes here has as many elements as it announces, and not more than
//! [`ELEMENTS_MAX`].
//! Lives elsewhere: the layouts (`super::schema`), the length of a frame (`crate::server`).
//! Never here: the meaning of a field.

use super::schema::{Api, Field, Kind};

/// Elements of all arrays and tags of a request together. Decoded they take some 100 bytes each,
/// and an answer about as much. A commit for 50,000 partitions is within.
pub(crate) const ELEMENTS_MAX: usize = 100_000;

/// Why a request is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrue {
    #[error("it ends in the middle of a field")]
    Short,
    #[error("a length or count in it is negative")]
    Negative,
    #[error("its arrays have more than {ELEMENTS_MAX} elements")]
    TooMany,
}

/// Walks over the body of a request, behind its header.
///
/// Cost: a few nanoseconds per field; strings and bytes are skipped. Bytes behind the last field
/// are allowed: later versions of clients may send them.
pub(crate) fn check(api: &Api, layout: &[Field], version: i16, body: &[u8]) -> Result<(), Untrue> {
    let mut walk = Walk {
        rest: body,
        version,
        flexible: version >= api.flexible_from,
        elements: 0,
    };
    walk.fields(layout)?;
    walk.tags()
}

/// Walks over tags: those of a request's header.
pub(crate) fn skip_tags(body: &[u8]) -> Result<&[u8], Untrue> {
    let mut walk = Walk {
        rest: body,
        version: 0,
        flexible: true,
        elements: 0,
    };
    walk.tags()?;
    Ok(walk.rest)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), Untrue> {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.field(&field.kind)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, kind: &Kind) -> Result<(), Untrue> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes),
            Kind::Text => {
                let length = match self.flexible {
                    true => self.compact_length()?,
                    false => {
                        let [a, b] = self.take()?;
                        length_of(i32::from(i16::from_be_bytes([a, b])))?
                    }
                };
                self.skip(length)
            }
            Kind::Bytes => {
                let length = self.count()?;
                self.skip(length)
            }
            Kind::Array(fields) => {
                let count = self.elements()?;
                for _ in 0..count {
                    self.fields(fields)?;
                    self.tags()?;
                }
                Ok(())
            }
            Kind::Simple(kind) => {
                let count = self.elements()?;
                for _ in 0..count {
                    self.field(kind)?;
                }
                Ok(())
            }
        }
    }

    fn tags(&mut self) -> Result<(), Untrue> {
        if !self.flexible {
            return Ok(());
        }
        let count = self.varint()? as usize;
        self.spend(count)?;
        for _ in 0..count {
            self.varint()?;
            let size = self.varint()? as usize;
            self.skip(size)?;
        }
        Ok(())
    }

    /// The count of an array, its elements not yet looked at.
    fn elements(&mut self) -> Result<usize, Untrue> {
        let count = self.count()?;
        self.spend(count)?;
        Ok(count)
    }

    fn spend(&mut self, count: usize) -> Result<(), Untrue> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > ELEMENTS_MAX {
            return Err(Untrue::TooMany);
        }
        // Each has at least a byte.
        if count > self.rest.len() {
            return Err(Untrue::Short);
        }
        Ok(())
    }

    /// Of an array or of bytes.
    fn count(&mut self) -> Result<usize, Untrue> {
        match self.flexible {
            true => self.compact_length(),
            false => length_of(i32::from_be_bytes(self.take()?)),
        }
    }

    /// One more than the length; 0 is null.
    fn compact_length(&mut self) -> Result<usize, Untrue> {
        Ok((self.varint()? as usize).saturating_sub(1))
    }

    /// As the decoder reads it: five bytes at most, and what does not fit is dropped.
    fn varint(&mut self) -> Result<u32, Untrue> {
        let mut value = 0;
        for place in 0..5 {
            let [byte] = self.take()?;
            value |= u32::from(byte & 0x7f) << (place * 7);
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Untrue> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Untrue::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Untrue> {
        self.rest = self.rest.get(bytes..).ok_or(Untrue::Short)?;
        Ok(())
    }
}

/// -1 is null.
fn length_of(announced: i32) -> Result<usize, Untrue> {
    match announced {
        -1 => Ok(0),
        announced => usize::try_from(announced).map_err(|_| Untrue::Negative),
    }
}
