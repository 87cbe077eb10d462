//! Few bytes at the end of many: whole numbers as text, written where they stay, and short texts.
//!
//! Lives here: the digits of an `i64`, which `itoa` would make in a buffer of its own, so that the copy waits for them;
//! copies of up to 32 bytes without a call.
//! Never here: other forms of numbers (`java_number`).

/// 00 to 99.
pub(super) const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut all = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        all[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    all
};

/// The longest: `-9223372036854775808`.
const LENGTH_MAX: usize = 20;

/// Bytes that [`append_few`] copies at most.
const FEW: usize = 32;

/// Appends bytes that are mostly few.
#[inline]
pub(super) fn append_few(bytes: &[u8], out: &mut Vec<u8>) {
    let length = bytes.len();
    if length > FEW {
        out.extend_from_slice(bytes);
        return;
    }
    out.reserve(FEW);
    let written = out.len();
    // SAFETY: there is room for `length` bytes, which each way writes from `bytes`: two copies that overlap take in any
    // length between one and two copies.
    unsafe {
        let to = out.as_mut_ptr().add(written);
        match length {
            0 => {}
            1..4 => {
                to.write(bytes[0]);
                to.add(length / 2).write(bytes[length / 2]);
                to.add(length - 1).write(bytes[length - 1]);
            }
            4..8 => copy_ends::<4>(bytes, to),
            8..16 => copy_ends::<8>(bytes, to),
            _ => copy_ends::<16>(bytes, to),
        }
        out.set_len(written + length);
    }
}

/// # Safety
/// There must be room for `bytes`, which are `N` at least and twice as many at most.
#[inline(always)]
unsafe fn copy_ends<const N: usize>(bytes: &[u8], to: *mut u8) {
    debug_assert!((N..=2 * N).contains(&bytes.len()));
    let last = bytes.len() - N;
    // SAFETY: as the caller promised.
    unsafe {
        let from = bytes.as_ptr();
        let first = from.cast::<[u8; N]>().read();
        let second = from.add(last).cast::<[u8; N]>().read();
        to.cast::<[u8; N]>().write(first);
        to.add(last).cast::<[u8; N]>().write(second);
    }
}

/// Appends the digits of a number: the text of `Long.toString` and its kin.
#[inline]
pub fn append_integer(number: i64, out: &mut Vec<u8>) {
    out.reserve(LENGTH_MAX);
    let written = out.len();
    let sign = usize::from(number < 0);
    let magnitude = number.unsigned_abs();
    let digits = magnitude.checked_ilog10().map_or(1, |log| log as usize + 1);
    // SAFETY: there is room for the longest number, and its bytes are all written before they count.
    unsafe {
        let start = out.as_mut_ptr().add(written);
        start.write(b'-');
        write_digits(magnitude, start.add(sign + digits));
        out.set_len(written + sign + digits);
    }
}

/// Writes the digits of a number so that they end before `end`.
///
/// # Safety
/// All of them must have room before `end`.
#[inline(always)]
unsafe fn write_digits(mut number: u64, mut end: *mut u8) {
    // SAFETY: each step writes two digits that the number has.
    unsafe {
        while number >= 10_000 {
            let low = (number % 10_000) as usize;
            number /= 10_000;
            end = end.sub(4);
            write_pair(low / 100, end);
            write_pair(low % 100, end.add(2));
        }
        let mut number = number as usize;
        if number >= 100 {
            end = end.sub(2);
            write_pair(number % 100, end);
            number /= 100;
        }
        if number >= 10 {
            write_pair(number, end.sub(2));
        } else {
            end.sub(1).write(b'0' + number as u8);
        }
    }
}

/// # Safety
/// `to` must have room for two bytes; `pair` is less than 100.
#[inline(always)]
unsafe fn write_pair(pair: usize, to: *mut u8) {
    // SAFETY: as the caller promised.
    unsafe {
        to.cast::<[u8; 2]>().write(*TWO_DIGITS.get_unchecked(pair));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_and_many_are_copied() {
        let bytes: Vec<u8> = (1..=100).collect();
        for length in 0..=100 {
            let mut out = vec![7];
            append_few(&bytes[..length], &mut out);
            assert_eq!(out[0], 7);
            assert_eq!(out[1..], bytes[..length]);
        }
    }

    #[test]
    fn prints_as_rust_does() {
        let mut numbers = vec![0, i64::MAX, i64::MIN];
        for power in 0..19 {
            let ten = 10i64.pow(power);
            numbers.extend([ten - 1, ten, ten + 1, ten * 7 / 3]);
        }
        for number in numbers.iter().flat_map(|n| [*n, n.wrapping_neg()]) {
            let mut out = b"x".to_vec();
            append_integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        }
    }
}
