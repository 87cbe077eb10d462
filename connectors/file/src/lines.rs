//! Cutting a stream of bytes into lines.
//!
//! Lives here: [`LineBuffer`], a pure state machine: bytes in, lines as slices of the same bytes out.
//! Never here: files, waiting.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// A line and how many bytes it took in the stream, its end included.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Without its end.
    pub text: Bytes,
    pub consumed: u64,
}

/// Collects bytes and gives out complete lines, ended by `\n`, `\r\n` or `\r`.
///
/// A `\r` at the very end of what was read waits for the next byte, which may be its `\n`. A last line
/// without an end stays inside until its end arrives.
#[derive(Default)]
pub struct LineBuffer {
    /// Read but not cut yet; no complete line in its first `searched` bytes.
    pending: BytesMut,
    searched: usize,
    /// Cut off from `pending` up to and including its last line end, shared with the lines given out.
    ready: Bytes,
}

impl LineBuffer {
    /// How many bytes of an unfinished line are held.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Room for at least `bytes` more, to be read into; call [`Self::added`] afterwards.
    pub fn space(&mut self, bytes: usize) -> &mut BytesMut {
        self.pending.reserve(bytes);
        &mut self.pending
    }

    /// Makes the complete lines of what was read available to [`Self::next_line`].
    ///
    /// Cost: looks at each new byte once from the back, copies the unfinished line that is left (not more
    /// than one line) when a shared buffer is given away.
    pub fn added(&mut self) {
        debug_assert!(self.ready.is_empty(), "lines are taken before more is read");
        let fresh = &self.pending[self.searched..];
        let end = match memchr::memrchr2(b'\n', b'\r', fresh) {
            // Whether a final `\r` is a line end of its own is known with the next byte.
            Some(last)
                if self.searched + last + 1 == self.pending.len() && fresh[last] == b'\r' =>
            {
                memchr::memrchr2(b'\n', b'\r', &fresh[..last])
                    .map(|before| self.searched + before + 1)
            }
            Some(last) => Some(self.searched + last + 1),
            None => None,
        };
        match end {
            Some(end) => {
                self.ready = self.pending.split_to(end).freeze();
                self.searched = 0;
                self.searched = self.searchable();
            }
            None => self.searched = self.searchable(),
        }
    }

    /// The next complete line.
    pub fn next_line(&mut self) -> Option<Line> {
        let end = memchr2(b'\n', b'\r', &self.ready)?;
        let is_crlf = self.ready[end] == b'\r' && self.ready.get(end + 1) == Some(&b'\n');
        let consumed = end + 1 + usize::from(is_crlf);
        let text = self.ready.slice(..end);
        bytes::Buf::advance(&mut self.ready, consumed);
        Some(Line {
            text,
            consumed: consumed as u64,
        })
    }

    /// A `\r` that waits for its `\n` has to be looked at again.
    fn searchable(&self) -> usize {
        match self.pending.last() {
            Some(b'\r') => self.pending.len() - 1,
            _ => self.pending.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the chunks one after the other; each line prints as `text+consumed`, `|` ends a chunk.
    #[track_caller]
    fn check(chunks: &[&str], expected: &str) {
        let mut buffer = LineBuffer::default();
        let mut actual = String::new();
        for chunk in chunks {
            buffer
                .space(chunk.len())
                .extend_from_slice(chunk.as_bytes());
            buffer.added();
            while let Some(line) = buffer.next_line() {
                let text = std::str::from_utf8(&line.text).expect("the test feeds text");
                actual.push_str(&format!("{text}+{} ", line.consumed));
            }
            actual.push_str("| ");
        }
        actual.push_str(&format!("rest {}", buffer.pending_bytes()));
        assert_eq!(actual, expected, "{chunks:?}");
    }

    #[test]
    fn lines_end_with_any_of_the_three_ends() {
        check(&["a\nb\n"], "a+2 b+2 | rest 0");
        check(&["a\r\nb\r\n"], "a+3 b+3 | rest 0");
        check(&["a\rb\r", "c\n"], "a+2 | b+2 c+2 | rest 0");
        check(&["\n\r\n\r\r"], "+1 +2 +1 | rest 1");
        check(&["no end"], "| rest 6");
        check(&[""], "| rest 0");
    }

    #[test]
    fn a_final_carriage_return_waits_for_its_line_feed() {
        check(&["a\r", "\nb\n"], "| a+3 b+2 | rest 0");
        check(&["a\nb\r", "\n"], "a+2 | b+3 | rest 0");
        check(&["\r", "\r", "\n"], "| +1 | +2 | rest 0");
    }

    #[test]
    fn a_line_may_come_in_many_pieces() {
        check(&["ab", "cd", "ef\ngh"], "| | abcdef+7 | rest 2");
        check(&["é".repeat(3).as_str(), "\n"], "| ééé+7 | rest 0");
    }
}
