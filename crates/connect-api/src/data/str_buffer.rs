//! Texts that are made per record, as slices of a buffer that many records share, unless they are short.

use super::Str;
use bytes::BytesMut;

/// Bytes that texts share. What is kept of a record keeps so many alive.
const SHARED_BYTES: usize = 16 * 1024;

/// Makes texts without an allocation for each.
#[derive(Debug, Default)]
pub struct StrBuffer {
    shared: BytesMut,
    scratch: Vec<u8>,
}

impl StrBuffer {
    pub fn new() -> Self {
        Self::default()
    }

    /// The text that `write` writes.
    ///
    /// What is not UTF-8 is replaced by U+FFFD.
    #[inline]
    pub fn text(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Str {
        self.scratch.clear();
        write(&mut self.scratch);
        if let Some(text) = Str::inline_ascii(&self.scratch) {
            return text;
        }
        let length = self.scratch.len();
        if length <= Str::SHORT_MAX
            && let Some(text) = self.short_text()
        {
            return text;
        }
        if self.shared.capacity() < length {
            self.shared = BytesMut::with_capacity(SHARED_BYTES.max(length));
        }
        self.shared.extend_from_slice(&self.scratch);
        let bytes = self.shared.split().freeze();
        if bytes.is_ascii() {
            // SAFETY: ASCII is UTF-8.
            return unsafe { Str::from_utf8_unchecked(bytes) };
        }
        Str::from_utf8_lossy(bytes)
    }

    /// What is short and no ASCII, when it is text.
    #[cold]
    fn short_text(&self) -> Option<Str> {
        Str::short(std::str::from_utf8(&self.scratch).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_when_the_buffer_goes_on() {
        let mut buffer = StrBuffer::new();
        let texts: Vec<Str> = (0..5000)
            .map(|i| buffer.text(|out| out.extend_from_slice(format!("text {i}").as_bytes())))
            .collect();
        assert_eq!(texts[17], "text 17");
        assert_eq!(texts[4999], "text 4999");
        let long = "x".repeat(SHARED_BYTES * 2);
        assert_eq!(
            buffer.text(|out| out.extend_from_slice(long.as_bytes())),
            long.as_str()
        );
        assert_eq!(buffer.text(|_| {}), "");
        // Also what is no ASCII is short.
        let short = "2024年02月29日";
        let made = buffer.text(|out| out.extend_from_slice(short.as_bytes()));
        assert!(made == short && !made.is_shared());
        let replaced = buffer.text(|out| out.push(0xFF));
        assert_eq!(replaced, "\u{FFFD}");
    }
}
