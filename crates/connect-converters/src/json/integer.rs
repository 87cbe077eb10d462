//! Whole numbers as text, written where they stay.
//!
//! Lives here: the digits of an `i64`. `itoa` makes them in a buffer of its own, and the copy waits for them.
//! Never here: anything but ten digits and a sign.

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// The longest: `-9223372036854775808`.
const LENGTH_MAX: usize = 20;

/// Appends the digits of a number.
#[inline]
pub(super) fn append_integer(number: i64, out: &mut Vec<u8>) {
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
        let digits = PAIRS.as_ptr().add(pair * 2).cast::<[u8; 2]>().read();
        to.cast::<[u8; 2]>().write(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
