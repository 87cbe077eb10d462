//! Eight bytes at a time: where a text needs care, and digits.
//!
//! Lives here: the two questions that JSON asks of every byte, answered a word at a time.
//! Never here: what the answer means.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = ONES << 7;

/// How many bytes go on before the first quote, backslash, control character or the end.
#[inline(always)]
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        let found = special(word);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && !is_special(bytes[at]) {
        at += 1;
    }
    at
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each byte that is a quote, a backslash or a control character. Bits above the lowest one
/// may be wrong.
#[inline(always)]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGH_BITS
}

/// Appends the bytes before the first one that a JSON text escapes, and says how many they are: those of
/// [`plain_prefix`], and what begins a character beyond U+FFFF.
#[inline(always)]
pub(super) fn copy_unescaped(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    out.reserve(bytes.len());
    let written = out.len();
    let mut at = 0;
    while let Some(word) = word_at(bytes, at) {
        // SAFETY: room for all of `bytes` was reserved, and `at + 8` lies within them.
        unsafe {
            let to = out.as_mut_ptr().add(written + at);
            to.cast::<u64>().write_unaligned(word.to_le());
        }
        let found = special(word) | beyond_three_bytes(word);
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            // SAFETY: as many bytes were written behind `written`, and more.
            unsafe { out.set_len(written + at) };
            return at;
        }
        at += 8;
    }
    while at < bytes.len() && !is_special(bytes[at]) && bytes[at] < 0xF0 {
        // SAFETY: room for all of `bytes` was reserved, and `at` lies within them.
        unsafe { out.as_mut_ptr().add(written + at).write(bytes[at]) };
        at += 1;
    }
    // SAFETY: as many bytes were written behind `written`.
    unsafe { out.set_len(written + at) };
    at
}

/// The high bit of each byte from 0xF0 on.
#[inline(always)]
fn beyond_three_bytes(word: u64) -> u64 {
    word & word << 1 & word << 2 & word << 3 & HIGH_BITS
}

#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(word.try_into().expect("eight bytes")))
}

/// The number that the next eight bytes are, when all are digits.
#[inline(always)]
pub(super) fn eight_digits(bytes: &[u8]) -> Option<u64> {
    let word = word_at(bytes, 0)?;
    let all_digits = (word & (word.wrapping_add(ONES * 6)) & (ONES * 0xF0)) == ONES * 0x30;
    if !all_digits {
        return None;
    }
    let pairs = (word & (ONES * 0x0F)).wrapping_mul(2561) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    Some((fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[place] = byte;
                let expected = if is_special(byte) { place } else { 20 };
                assert_eq!(plain_prefix(&bytes), expected, "byte {byte} at {place}");
                let expected = if byte >= 0xF0 { place } else { expected };
                let mut out = b"x".to_vec();
                assert_eq!(
                    copy_unescaped(&bytes, &mut out),
                    expected,
                    "byte {byte} at {place}"
                );
                assert_eq!(out[1..], bytes[..expected]);
            }
        }
    }

    #[test]
    fn eight_digits_are_a_number() {
        assert_eq!(eight_digits(b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(b"000000009"), Some(0));
        assert_eq!(eight_digits(b"1234567"), None);
        for byte in (0..=255u8).filter(|byte| !byte.is_ascii_digit()) {
            for place in 0..8 {
                let mut bytes = *b"97531864";
                bytes[place] = byte;
                assert_eq!(eight_digits(&bytes), None, "byte {byte} at {place}");
            }
        }
    }
}
