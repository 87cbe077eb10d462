//! Text that is a slice of a shared buffer.

use bytes::Bytes;
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// UTF-8 text as a slice of a shared buffer: cloning and slicing count a reference and copy nothing.
///
/// A text that came from Kafka keeps the fetched buffer alive for as long as it lives; copy it
/// (`Str::from(text.to_string())`) before keeping it for long.
#[derive(Clone, Default)]
pub struct Str(Bytes);

impl Str {
    /// The empty text.
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// A text of the program itself. Costs nothing, also when cloned.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Takes bytes that must be UTF-8; gives them back when they are not.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(bytes),
        }
    }

    /// Takes bytes; parts that are no UTF-8 become U+FFFD, as Java's decoder does. Copies only then.
    pub fn from_utf8_lossy(bytes: Bytes) -> Self {
        match Self::from_utf8(bytes) {
            Ok(text) => text,
            Err(bytes) => match String::from_utf8_lossy(&bytes) {
                Cow::Owned(text) => Self::from(text),
                Cow::Borrowed(text) => Self::from(text),
            },
        }
    }

    /// Takes bytes that were checked before.
    ///
    /// # Safety
    /// `bytes` must be UTF-8.
    pub unsafe fn from_utf8_unchecked(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor checked that the bytes are UTF-8, and they never change.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes, sharing the buffer.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// `part`, which must be a part of this very text, as a text that shares its buffer.
    ///
    /// Panics: when `part` lies elsewhere in memory.
    pub fn slice_ref(&self, part: &str) -> Self {
        Self(self.0.slice_ref(part.as_bytes()))
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
