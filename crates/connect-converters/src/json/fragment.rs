//! Text that is written again and again between values.
//!
//! Lives here: [`Fragment`], whose bytes are mostly few and then copied without a call.
//! Never here: what the text says.

/// Bytes copied at once.
const HEAD: usize = 16;

pub(super) struct Fragment {
    /// The first bytes, whatever behind them.
    head: [u8; HEAD],
    length: usize,
    /// All bytes, when they are more than the head.
    long: Option<Box<[u8]>>,
}

impl Fragment {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut head = [0; HEAD];
        let length = bytes.len().min(HEAD);
        head[..length].copy_from_slice(&bytes[..length]);
        Self {
            head,
            length,
            long: (bytes.len() > HEAD).then(|| bytes.into()),
        }
    }

    #[inline(always)]
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        if let Some(bytes) = &self.long {
            out.extend_from_slice(bytes);
            return;
        }
        out.reserve(HEAD);
        let written = out.len();
        // SAFETY: there is room for the whole head, and its first `length` bytes were just written.
        unsafe {
            let to = out.as_mut_ptr().add(written);
            to.cast::<[u8; HEAD]>().write(self.head);
            out.set_len(written + self.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_what_it_was_made_of() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..text.len() {
            let mut out = vec![7];
            Fragment::new(&text[..length]).append(&mut out);
            assert_eq!(out[0], 7);
            assert_eq!(out[1..], text[..length]);
        }
    }
}
