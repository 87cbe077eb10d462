//! A short text in three words, put together and copied without a loop.
//!
//! Bytes that are written piece by piece and read as a whole at once make the processor wait until the pieces have
//! reached its cache, which costs more than everything else about a short text. So the words are made in registers.

/// As many bytes as fit without making a [`Str`](super::Str) larger.
pub const LENGTH_MAX: usize = 23;

const WORD: usize = size_of::<u64>();
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// At most 23 bytes, zeros, and in the last byte how many they are.
#[derive(Clone, Copy)]
pub struct Inline([u64; 3]);

impl Inline {
    /// `None`: they are too many.
    #[inline]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let length = bytes.len();
        // Two reads that overlap take in any length between one and two reads.
        let words = match length {
            0 => [0; 3],
            1..4 => {
                let byte = |at: usize| u64::from(bytes[at]) << (8 * at);
                [byte(0) | byte(length / 2) | byte(length - 1), 0, 0]
            }
            4..8 => {
                let first = u32::from_le_bytes(*bytes.first_chunk()?);
                let last = u32::from_le_bytes(*bytes.last_chunk()?);
                [
                    u64::from(first) | u64::from(last) << (8 * (length - 4)),
                    0,
                    0,
                ]
            }
            8..16 => [first_word(bytes)?, behind(bytes, WORD)?, 0],
            16..=LENGTH_MAX => {
                let second = bytes.get(WORD..)?;
                let third = behind(bytes, 2 * WORD)?;
                [first_word(bytes)?, first_word(second)?, third]
            }
            _ => return None,
        };
        let length = (length as u64) << 56;
        Some(Self([
            words[0].to_le(),
            words[1].to_le(),
            (words[2] | length).to_le(),
        ]))
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        let length = (u64::from_le(self.0[2]) >> 56) as usize;
        // SAFETY: three words are 24 initialized bytes, and `new` alone makes the last of them, at most 23.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), length) }
    }

    /// Appends the bytes: all words, of which only the text counts.
    #[inline]
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(size_of::<Self>());
        let written = out.len();
        // SAFETY: there is room for three words, and the bytes that count were just written.
        unsafe {
            let to = out.as_mut_ptr().add(written);
            to.cast::<[u64; 3]>().write_unaligned(self.0);
            out.set_len(written + self.as_bytes().len());
        }
    }

    #[inline]
    pub fn is_ascii(&self) -> bool {
        // The length is less than 128.
        (self.0[0] | self.0[1] | self.0[2]) & HIGH_BITS == 0
    }
}

#[inline]
fn first_word(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk()?))
}

/// The less than eight bytes behind the first `start`.
#[inline]
fn behind(bytes: &[u8], start: usize) -> Option<u64> {
    let last = u64::from_le_bytes(*bytes.last_chunk()?);
    let known = start + WORD - bytes.len();
    // In two steps, for all eight may be known.
    Some(last >> 8 >> (8 * (known - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        // From both ends, so that each length has high bytes and low ones.
        let all: Vec<u8> = (1..=24).map(|byte| byte * 10).collect();
        let lengths = (0..=24).flat_map(|length| [&all[..length], &all[24 - length..]]);
        for bytes in lengths {
            let length = bytes.len();
            let made = Inline::new(bytes);
            assert_eq!(made.is_some(), length <= LENGTH_MAX);
            let Some(made) = made else { continue };
            assert_eq!(made.as_bytes(), bytes);
            let mut out = vec![7];
            made.append_to(&mut out);
            assert_eq!(out[1..], *bytes);
            assert_eq!(made.is_ascii(), bytes.is_ascii(), "of {length}");
        }
    }
}
