//! Bytes that are expected to come next.
//!
//! Lives here: a comparison of a few known bytes with the bytes at hand that costs two loads.
//! Never here: what they mean.

/// How many bytes are compared as words.
const WORDS: usize = 2;
const INLINE: usize = WORDS * 8;

/// Bytes to compare with; the first 16 lie in two words.
pub(super) struct Lead {
    words: [u64; WORDS],
    masks: [u64; WORDS],
    bytes: Box<[u8]>,
}

impl Lead {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut padded = [0; INLINE];
        let mut mask = [0; INLINE];
        for (i, byte) in bytes.iter().take(INLINE).enumerate() {
            padded[i] = *byte;
            mask[i] = 0xFF;
        }
        let words = |bytes: [u8; INLINE]| {
            let (words, _) = bytes.as_chunks::<8>();
            [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1])]
        };
        Self {
            words: words(padded),
            masks: words(mask),
            bytes: bytes.into(),
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes other bytes in place of these, unless they are the same.
    pub(super) fn learn(&mut self, bytes: &[u8]) {
        if *self.bytes != *bytes {
            *self = Self::new(bytes);
        }
    }

    /// Whether `rest` begins with these bytes.
    #[inline(always)]
    pub(super) fn begins(&self, rest: &[u8]) -> bool {
        let Some((head, _)) = rest.split_first_chunk::<INLINE>() else {
            return rest.starts_with(&self.bytes);
        };
        let (head, _) = head.as_chunks::<8>();
        let differs = (u64::from_le_bytes(head[0]) ^ self.words[0]) & self.masks[0]
            | (u64::from_le_bytes(head[1]) ^ self.words[1]) & self.masks[1];
        differs == 0 && (self.bytes.len() <= INLINE || rest.starts_with(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_like_starts_with() {
        let text = b",\"a-rather-long-member\": \"value\"}";
        for length in 0..text.len() {
            let lead = Lead::new(&text[..length]);
            assert!(lead.begins(text));
            assert!(lead.begins(&text[..length]));
            assert!(length == 0 || !lead.begins(&text[..length - 1]));
            for wrong in 0..length {
                let mut other = text.to_vec();
                other[wrong] ^= 1;
                assert!(!lead.begins(&other), "length {length}, byte {wrong}");
            }
        }
    }
}
