//! A part of a shared buffer that has not been counted yet.

use super::Str;
use bytes::Bytes;
use std::ops::Deref;

/// Bytes inside a shared buffer, borrowed. A converter reads them in place and counts a reference to
/// the buffer only for the parts that it keeps, short texts not among them.
#[derive(Clone, Copy)]
pub struct SharedSlice<'a> {
    owner: &'a Bytes,
    bytes: &'a [u8],
}

impl<'a> SharedSlice<'a> {
    /// The whole buffer.
    pub fn whole(owner: &'a Bytes) -> Self {
        Self {
            owner,
            bytes: owner,
        }
    }

    /// `bytes`, which must lie inside `owner` (checked when a part is kept).
    pub fn part(owner: &'a Bytes, bytes: &'a [u8]) -> Self {
        Self { owner, bytes }
    }

    pub fn as_slice(&self) -> &'a [u8] {
        self.bytes
    }

    /// These bytes, sharing the buffer.
    pub fn to_bytes(&self) -> Bytes {
        self.owner.slice_ref(self.bytes)
    }

    /// A part of these bytes, sharing the buffer.
    ///
    /// Panics: when `part` lies elsewhere in memory.
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.owner.slice_ref(part)
    }

    /// A part of these bytes as text: a copy when it is short, else sharing the buffer.
    ///
    /// Panics: when a long `part` lies elsewhere in memory.
    #[inline]
    pub fn share_str(&self, part: &str) -> Str {
        // Counting a reference, and giving it back later, costs more than such a copy.
        if let Some(text) = Str::short(part) {
            return text;
        }
        let bytes = self.owner.slice_ref(part.as_bytes());
        // SAFETY: `part` is a `str`, so its bytes are UTF-8.
        unsafe { Str::from_utf8_unchecked(bytes) }
    }
}

impl Deref for SharedSlice<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
