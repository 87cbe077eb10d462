//! Kafka's variable-length integers: zigzag, then seven bits a byte, lowest first.
//!
//! Source: `ByteUtils` in apache/kafka, clients.

/// Most bytes of a 32-bit and of a 64-bit varint.
pub(crate) const VARINT_BYTES_MAX: usize = 5;
pub(crate) const VARLONG_BYTES_MAX: usize = 10;

fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Bytes that `put` writes for this value, without a branch.
#[inline]
pub(crate) fn varint_len(value: i32) -> usize {
    let bits = 32 - (zigzag32(value) | 1).leading_zeros();
    (bits as usize).div_ceil(7)
}

#[inline]
pub(crate) fn varlong_len(value: i64) -> usize {
    let bits = 64 - (zigzag64(value) | 1).leading_zeros();
    (bits as usize).div_ceil(7)
}

/// Writes at `at`, gives the position behind. The caller made room.
#[inline]
pub(crate) fn put_varint(out: &mut [u8], at: usize, value: i32) -> usize {
    put_unsigned(out, at, u64::from(zigzag32(value)))
}

#[inline]
pub(crate) fn put_varlong(out: &mut [u8], at: usize, value: i64) -> usize {
    put_unsigned(out, at, zigzag64(value))
}

#[inline]
fn put_unsigned(out: &mut [u8], mut at: usize, mut rest: u64) -> usize {
    while rest >= 0x80 {
        out[at] = rest as u8 | 0x80;
        at += 1;
        rest >>= 7;
    }
    out[at] = rest as u8;
    at + 1
}

/// Takes a 32-bit varint off the front. `None` when the bytes end too early or it is too long.
#[inline(always)]
pub(crate) fn take_varint(from: &mut &[u8]) -> Option<i32> {
    let (&first, rest) = from.split_first()?;
    if first < 0x80 {
        *from = rest;
        let raw = u32::from(first);
        return Some((raw >> 1) as i32 ^ -((raw & 1) as i32));
    }
    let raw = take_long::<VARINT_BYTES_MAX>(from)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

#[inline(always)]
pub(crate) fn take_varlong(from: &mut &[u8]) -> Option<i64> {
    let (&first, rest) = from.split_first()?;
    if first < 0x80 {
        *from = rest;
        let raw = u64::from(first);
        return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
    }
    let raw = take_long::<VARLONG_BYTES_MAX>(from)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// More than one byte.
#[inline(always)]
fn take_long<const BYTES_MAX: usize>(from: &mut &[u8]) -> Option<u64> {
    // Mostly two: lengths of 64 bytes to 8 KiB.
    if let [first, second @ 0..0x80, rest @ ..] = *from {
        *from = rest;
        return Some(u64::from(first & 0x7f) | u64::from(*second) << 7);
    }
    let mut raw = 0u64;
    for (index, &byte) in from.iter().take(BYTES_MAX).enumerate() {
        // A tenth byte carries one bit only; Java drops the others as this shift does.
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *from = &from[index + 1..];
            return Some(raw);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: i64, expect: &[u8]) {
        let mut out = [0u8; 16];
        let end = put_varlong(&mut out, 0, value);
        assert_eq!(&out[..end], expect, "{value} written");
        assert_eq!(varlong_len(value), expect.len(), "{value} measured");
        let mut from = &out[..end];
        assert_eq!(take_varlong(&mut from), Some(value));
        assert!(from.is_empty());
        for short in 0..end {
            assert_eq!(
                take_varlong(&mut &out[..short]),
                None,
                "{value} cut at {short}"
            );
        }
        if let Ok(value) = i32::try_from(value) {
            let mut out = [0u8; 16];
            assert_eq!(put_varint(&mut out, 0, value), expect.len());
            assert_eq!(varint_len(value), expect.len());
            assert_eq!(take_varint(&mut &out[..]), Some(value));
        }
    }

    /// The table of Java's `ByteUtilsTest`.
    #[test]
    fn varints_are_javas() {
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(63, &[0x7e]);
        check(-64, &[0x7f]);
        check(64, &[0x80, 0x01]);
        check(-65, &[0x81, 0x01]);
        check(8191, &[0xfe, 0x7f]);
        check(-8192, &[0xff, 0x7f]);
        check(8192, &[0x80, 0x80, 0x01]);
        check(1_048_575, &[0xfe, 0xff, 0x7f]);
        check(134_217_728, &[0x80, 0x80, 0x80, 0x80, 0x01]);
        check(i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]);
        check(i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]);
        check(
            i64::MAX,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        );
        check(
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        );
    }

    #[test]
    fn a_varint_that_never_ends_is_refused() {
        assert_eq!(take_varint(&mut &[0x80; 12][..]), None);
        assert_eq!(take_varlong(&mut &[0xff; 12][..]), None);
    }
}
