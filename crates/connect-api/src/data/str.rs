//! Text that is a slice of a shared buffer.

use bytes::Bytes;
use std::borrow::Borrow;
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

    /// Takes bytes; parts that are no UTF-8 become U+FFFD, as often as in Java's decoder. Copies only then.
    pub fn from_utf8_lossy(bytes: Bytes) -> Self {
        match Self::from_utf8(bytes) {
            Ok(text) => text,
            Err(bytes) => Self::from(replace_malformed(&bytes)),
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

/// Half a surrogate pair in three bytes, or what there is of it, is one U+FFFD in Java and one for each byte in
/// Rust; all other malformed bytes are replaced alike.
#[cold]
fn replace_malformed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut skip = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        // A surrogate's bytes come as invalid chunks of one byte each; the first stands for all.
        if skip > 0 && chunk.valid().is_empty() {
            skip -= 1;
            continue;
        }
        text.push(char::REPLACEMENT_CHARACTER);
        skip = 0;
        if invalid == [0xED] {
            let at = invalid.as_ptr() as usize - bytes.as_ptr() as usize;
            skip = match &bytes[at + 1..] {
                [0xA0..=0xBF, 0x80..=0xBF, ..] => 2,
                [0xA0..=0xBF, ..] => 1,
                _ => 0,
            };
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What `new String(bytes, UTF_8)` of OpenJDK 17 answers.
    #[test]
    fn malformed_bytes_are_replaced_as_often_as_in_java() {
        let rows: &[(&[u8], &str)] = &[
            (b"text", "text"),
            (b"\xFF", "\u{FFFD}"),
            (b"\xC0\x80", "\u{FFFD}\u{FFFD}"),
            (b"\xE2(\xA1", "\u{FFFD}(\u{FFFD}"),
            (b"\xF0\x9F\x98", "\u{FFFD}"),
            (b"\xF4\x90\x80\x80", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
            (b"\xED\xA0\x80a", "\u{FFFD}a"),
            (b"\xED\xA0\xBD\xED\xB8\x80", "\u{FFFD}\u{FFFD}"),
            (b"\xED\xA1a", "\u{FFFD}a"),
            (b"\xED\xA1", "\u{FFFD}"),
            (b"\xEDa", "\u{FFFD}a"),
            (b"\xED\x9F\xBF\xFFa", "\u{D7FF}\u{FFFD}a"),
        ];
        for (bytes, text) in rows {
            let got = Str::from_utf8_lossy(Bytes::from_static(bytes));
            assert_eq!(got, *text, "{}", bytes.escape_ascii());
        }
    }
}
