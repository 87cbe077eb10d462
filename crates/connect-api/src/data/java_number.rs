//! Numbers as Java prints them.
//!
//! Lives here: `Double.toString` and `Float.toString` as Java 19 and later define them.
//! Never here: allocation. Called per record by converters and sinks.

use super::append::append_integer;
use std::io::Write;

/// The text of `Double.toString`: the shortest digits that identify the number, plain from 10^-3 to 10^7,
/// else scientific (`1.0E10`, `1.0E-4`); `NaN`, `Infinity`, `-Infinity`.
pub fn append_double(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if (1e-3..1e7).contains(&size) {
        if !append_short(number, out) {
            out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
        }
    } else if size == 0.0 || !size.is_finite() {
        append_special(number, out);
    } else if size.to_bits() < DOUBLE_TWO_DIGITS_END {
        append_two_digits(number, out);
    } else {
        append_scientific(ryu::Buffer::new().format_finite(number), out);
    }
}

/// A number between 10^-3 and 10^7 that is one of at most four digits behind the point, as prices and
/// measurements mostly are; `false` when it is not.
///
/// No two decimals of up to 15 digits are the same double. So when the rounded product divides back to the
/// number, its digits are the shortest that identify it, and there are no others as short.
#[inline]
fn append_short(number: f64, out: &mut Vec<u8>) -> bool {
    append_rounded::<1, 10>(number, out)
        || append_rounded::<2, 100>(number, out)
        || append_rounded::<3, 1000>(number, out)
        || append_rounded::<4, 10_000>(number, out)
}

/// The number with so many digits behind the point, at most four; `POWER` is 10 to the number of them.
#[inline(always)]
fn append_rounded<const DIGITS: usize, const POWER: u32>(number: f64, out: &mut Vec<u8>) -> bool {
    let size = number.abs();
    let scaled = size * f64::from(POWER);
    // Less than 10^11, so exact as an integer and as a double.
    let rounded = (scaled + 0.5) as u64;
    let near = (scaled - rounded as f64).abs() < 1e-4;
    if !near || rounded as f64 / f64::from(POWER) != size {
        return false;
    }
    if number < 0.0 {
        out.push(b'-');
    }
    append_integer((rounded / u64::from(POWER)) as i64, out);
    let fraction = (rounded % u64::from(POWER)) as u32;
    let digit = |power: u32| b'0' + (fraction / power % 10) as u8;
    match DIGITS {
        1 => out.extend_from_slice(&[b'.', digit(1)]),
        2 => out.extend_from_slice(&[b'.', digit(10), digit(1)]),
        3 => out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]),
        _ => out.extend_from_slice(&[b'.', digit(1000), digit(100), digit(10), digit(1)]),
    }
    true
}

/// The text of `Float.toString`. As [`append_double`], with the digits that identify a 32-bit float.
pub fn append_float(number: f32, out: &mut Vec<u8>) {
    let size = number.abs();
    if (1e-3..1e7).contains(&size) {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if size == 0.0 || !size.is_finite() {
        append_special(f64::from(number), out);
    } else if size.to_bits() < FLOAT_TWO_DIGITS_END {
        append_two_digits(number, out);
    } else {
        append_scientific(ryu::Buffer::new().format_finite(number), out);
    }
}

/// From this size, in steps of the smallest float, neighbouring numbers of two digits are further apart than
/// floats. Below, one digit can identify a float where Java prints two, the second chosen to come closest:
/// `4.9E-324`, not `5.0E-324`.
const DOUBLE_TWO_DIGITS_END: u64 = 21;
const FLOAT_TWO_DIGITS_END: u32 = 72;

fn append_special(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(match number {
        n if n.is_nan() => b"NaN",
        n if n > 0.0 => b"Infinity",
        n if n < 0.0 => b"-Infinity",
        n if n.is_sign_negative() => b"-0.0",
        _ => b"0.0",
    });
}

/// `shortest` is ryu's text of a number that Java prints with an exponent; ryu may print it plain.
fn append_scientific(shortest: &str, out: &mut Vec<u8>) {
    let (sign, unsigned) = match shortest.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", shortest),
    };
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().expect("ryu writes an integer");
    // At most 17 digits and, where ryu prints plain, zeros around them.
    let mut digits = [0u8; 40];
    let mut length = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        digits[length] = digit;
        length += 1;
    }
    let digits = &digits[..length];
    let leading_zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let point_after_first = whole.len() as i32 - 1 - leading_zeros as i32;
    let trailing_zeros = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    let digits = &digits[leading_zeros..length - trailing_zeros];
    out.extend_from_slice(sign.as_bytes());
    out.push(digits[0]);
    out.push(b'.');
    out.extend_from_slice(if digits.len() > 1 { &digits[1..] } else { b"0" });
    out.push(b'E');
    append_integer((exponent + point_after_first).into(), out);
}

/// The closest number of two digits.
fn append_two_digits(number: impl std::fmt::LowerExp, out: &mut Vec<u8>) {
    let start = out.len();
    write!(out, "{number:.1e}").expect("a vector takes all bytes");
    out[start..].make_ascii_uppercase();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_in_java() {
        let rows = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.001, "0.001"),
            (0.0009999999999999998, "9.999999999999998E-4"),
            (0.0001, "1.0E-4"),
            (9999999.999999998, "9999999.999999998"),
            (1e7, "1.0E7"),
            (12345678.9, "1.23456789E7"),
            (-120000000000.0, "-1.2E11"),
            (1e15, "1.0E15"),
            (1e16, "1.0E16"),
            (2e23, "2.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::from_bits(1), "4.9E-324"),
            (f64::from_bits(2), "9.9E-324"),
            (f64::from_bits(3), "1.5E-323"),
            (f64::from_bits(4), "2.0E-323"),
            (f64::from_bits(20), "9.9E-323"),
            (f64::from_bits(21), "1.04E-322"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, text) in rows {
            let mut out = Vec::new();
            append_double(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn short_doubles_print_as_ryu_does() {
        let mut seed = 88_172_645_463_325_252u64;
        for _ in 0..200_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let power = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6][(seed >> 8) as usize % 7];
            let exact = (seed >> 16) as f64 % 1e7 / power;
            let sign = if seed & 1 == 0 { 1.0 } else { -1.0 };
            // The number, and its neighbours, which are not short.
            for bits in [
                exact.to_bits().wrapping_sub(1),
                exact.to_bits(),
                exact.to_bits() + 1,
            ] {
                let number = f64::from_bits(bits) * sign;
                if !(1e-3..1e7).contains(&number.abs()) {
                    continue;
                }
                let mut out = Vec::new();
                append_double(number, &mut out);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(text, ryu::Buffer::new().format_finite(number));
            }
        }
    }

    #[test]
    fn floats_print_as_in_java() {
        let rows = [
            (0.1, "0.1"),
            (1e-5, "1.0E-5"),
            (16777216.0, "1.6777216E7"),
            (9999999.0, "9999999.0"),
            (1e10, "1.0E10"),
            (3.4028235e38, "3.4028235E38"),
            (f32::from_bits(1), "1.4E-45"),
            (f32::from_bits(5), "7.0E-45"),
            (f32::from_bits(71), "9.9E-44"),
            (f32::from_bits(72), "1.01E-43"),
            (-0.0, "-0.0"),
            (f32::NAN, "NaN"),
        ];
        for (number, text) in rows {
            let mut out = Vec::new();
            append_float(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
