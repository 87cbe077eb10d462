//! Text that is a slice of a shared buffer, or so short that it needs none.

use super::append::append_few;
use bytes::Bytes;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

mod inline;

use inline::Inline;

/// UTF-8 text as a slice of a shared buffer: cloning and slicing count a reference and copy nothing. A short text that
/// is made of a `str` lies in the value itself: it takes no allocation, and its clones count nothing.
///
/// A longer text that came from Kafka keeps the fetched buffer alive for as long as it lives; copy it
/// (`Str::from(text.to_string())`) before keeping it for long.
pub struct Str(Repr);

enum Repr {
    Shared(Bytes),
    Inline(Inline),
}

const _: () = assert!(size_of::<Str>() == size_of::<Bytes>());

impl Clone for Str {
    #[inline]
    fn clone(&self) -> Self {
        match &self.0 {
            Repr::Shared(bytes) => Self(Repr::Shared(bytes.clone())),
            Repr::Inline(text) => Self(Repr::Inline(*text)),
        }
    }
}

impl Str {
    /// Bytes that lie in the value itself at most.
    pub(super) const SHORT_MAX: usize = inline::LENGTH_MAX;

    /// The empty text.
    pub const fn new() -> Self {
        Self(Repr::Shared(Bytes::new()))
    }

    /// A text of the program itself. Costs nothing, also when cloned.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Shared(Bytes::from_static(text.as_bytes())))
    }

    /// Takes bytes that must be UTF-8; gives them back when they are not.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(Repr::Shared(bytes))),
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
        Self(Repr::Shared(bytes))
    }

    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor checked that the bytes are UTF-8, and they never change.
        unsafe { std::str::from_utf8_unchecked(self.raw()) }
    }

    #[inline]
    fn raw(&self) -> &[u8] {
        match &self.0 {
            Repr::Shared(bytes) => bytes,
            Repr::Inline(text) => text.as_bytes(),
        }
    }

    /// A copy in the value itself, which takes no allocation; `None` when it has more than 23 bytes.
    #[inline]
    pub fn short(text: &str) -> Option<Self> {
        Some(Self(Repr::Inline(Inline::new(text.as_bytes())?)))
    }

    /// The same of bytes; `None` also when they are not all ASCII.
    #[inline]
    pub(super) fn inline_ascii(bytes: &[u8]) -> Option<Self> {
        let text = Inline::new(bytes)?;
        text.is_ascii().then_some(Self(Repr::Inline(text)))
    }

    /// Whether it counts a reference to a buffer.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.0, Repr::Shared(_))
    }

    /// Appends the text.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Shared(bytes) => append_few(bytes, out),
            Repr::Inline(text) => text.append_to(out),
        }
    }

    /// The bytes, sharing the buffer. Those of a short text that lies in the value are copied.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Shared(bytes) => bytes,
            Repr::Inline(text) => Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    /// `part`, which must be a part of this very text, as a text that shares its buffer.
    ///
    /// Panics: when `part` lies elsewhere in memory.
    pub fn slice_ref(&self, part: &str) -> Self {
        match &self.0 {
            Repr::Shared(bytes) => Self(Repr::Shared(bytes.slice_ref(part.as_bytes()))),
            Repr::Inline(_) => {
                let own = self.as_bytes().as_ptr_range();
                let other = part.as_bytes().as_ptr_range();
                assert!(
                    own.start <= other.start && other.end <= own.end,
                    "a part of this text"
                );
                Self::from(part)
            }
        }
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

impl Default for Str {
    fn default() -> Self {
        Self::new()
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
        Self::short(&text).unwrap_or_else(|| Self(Repr::Shared(Bytes::from(text))))
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        let shared = || Self(Repr::Shared(Bytes::copy_from_slice(text.as_bytes())));
        Self::short(text).unwrap_or_else(shared)
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
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

    #[test]
    fn short_texts_lie_in_the_value() {
        for length in (0..=24).chain([100]) {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let made = Str::from(text.as_str());
            assert_eq!(made, text.as_str());
            assert_eq!(made.clone(), Str::from(text.clone()));
            assert_eq!(made.slice_ref(&made[length / 2..]), &text[length / 2..]);
            let inside = matches!(made.0, Repr::Inline(_));
            assert_eq!(inside, length <= Str::SHORT_MAX);
            assert_eq!(made.into_bytes(), text.as_bytes());
        }
    }

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
