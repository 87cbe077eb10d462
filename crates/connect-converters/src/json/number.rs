//! A JSON number, and what Java's number classes make of it.
//!
//! Lives here: [`Number`] with the conversions of Jackson's `IntNode`, `LongNode`, `BigIntegerNode` and
//! `DecimalNode`.
//! Never here: scanning (`scan`), schemas.

use connect_api::data::Decimal;
use num_bigint::{BigInt, BigUint, Sign};

#[derive(Debug, Clone, Copy)]
pub(super) enum Number<'a> {
    Integer {
        /// The low 64 bits.
        low: i64,
        /// The text, when 64 bits are too few.
        raw: Option<&'a str>,
    },
    /// With a fraction or an exponent: a BigDecimal.
    Real {
        negative: bool,
        /// All digits as one number, when there are at most 19.
        mantissa: Option<u64>,
        /// How many of the digits stand behind the point, the exponent put in.
        scale: i32,
        raw: &'a str,
    },
}

const F64_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
const F32_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl Number<'_> {
    /// `longValue`: the whole part, its low 64 bits.
    pub(super) fn long_value(&self) -> i64 {
        match *self {
            Number::Integer { low, .. } => low,
            Number::Real {
                negative,
                scale,
                raw,
                ..
            } => {
                let magnitude = whole_part_low_bits(raw, scale) as i64;
                if negative {
                    magnitude.wrapping_neg()
                } else {
                    magnitude
                }
            }
        }
    }

    /// `intValue`: the whole part, its low 32 bits.
    pub(super) fn int_value(&self) -> i32 {
        self.long_value() as i32
    }

    /// The number, when it is one of Java's `int`, written without point and exponent.
    pub(super) fn as_int(&self) -> Option<i32> {
        match *self {
            Number::Integer { low, raw: None } => i32::try_from(low).ok(),
            _ => None,
        }
    }

    /// The nearest double; infinite beyond all. Zero has no sign, as in BigDecimal.
    #[inline]
    pub(super) fn double_value(&self) -> f64 {
        match *self {
            Number::Integer { low, raw: None } => low as f64,
            Number::Integer { raw: Some(raw), .. } => parsed(raw),
            Number::Real {
                mantissa: Some(0), ..
            } => 0.0,
            Number::Real {
                negative,
                mantissa: Some(mantissa),
                scale,
                raw,
            } => {
                // Both are exact as doubles, so one division or product rounds once.
                let exact = mantissa < 1 << 53 && scale.unsigned_abs() < F64_POWERS.len() as u32;
                if !exact {
                    return parsed(raw);
                }
                let power = F64_POWERS[scale.unsigned_abs() as usize];
                let magnitude = mantissa as f64;
                let magnitude = if scale >= 0 {
                    magnitude / power
                } else {
                    magnitude * power
                };
                if negative { -magnitude } else { magnitude }
            }
            Number::Real {
                mantissa: None,
                raw,
                ..
            } if is_zero(raw) => 0.0,
            Number::Real { raw, .. } => parsed(raw),
        }
    }

    /// The nearest float.
    pub(super) fn float_value(&self) -> f32 {
        match *self {
            Number::Integer { low, raw: None } => low as f32,
            Number::Integer { raw: Some(raw), .. } => parsed_float(raw),
            Number::Real {
                mantissa: Some(0), ..
            } => 0.0,
            Number::Real {
                negative,
                mantissa: Some(mantissa),
                scale,
                raw,
            } => {
                let exact = mantissa < 1 << 24 && scale.unsigned_abs() < F32_POWERS.len() as u32;
                if !exact {
                    return parsed_float(raw);
                }
                let power = F32_POWERS[scale.unsigned_abs() as usize];
                let magnitude = mantissa as f32;
                let magnitude = if scale >= 0 {
                    magnitude / power
                } else {
                    magnitude * power
                };
                if negative { -magnitude } else { magnitude }
            }
            Number::Real {
                mantissa: None,
                raw,
                ..
            } if is_zero(raw) => 0.0,
            Number::Real { raw, .. } => parsed_float(raw),
        }
    }

    /// `decimalValue`: exact, the scale as written.
    pub(super) fn decimal_value(&self) -> Decimal {
        match *self {
            Number::Integer { low, raw: None } => Decimal::new(low, 0),
            Number::Integer { raw: Some(raw), .. } => {
                let negative = raw.starts_with('-');
                Decimal::new(signed(negative, digits_of(raw.as_bytes())), 0)
            }
            Number::Real {
                negative,
                mantissa,
                scale,
                raw,
            } => {
                let magnitude = mantissa.map_or_else(|| digits_of(coefficient(raw)), BigUint::from);
                Decimal::new(signed(negative, magnitude), scale)
            }
        }
    }
}

fn parsed(raw: &str) -> f64 {
    raw.parse().expect("JSON's numbers are Rust's, too")
}

fn parsed_float(raw: &str) -> f32 {
    raw.parse().expect("JSON's numbers are Rust's, too")
}

/// The part before the exponent.
fn coefficient(raw: &str) -> &[u8] {
    let end = raw.find(['e', 'E']).unwrap_or(raw.len());
    &raw.as_bytes()[..end]
}

fn is_zero(raw: &str) -> bool {
    coefficient(raw)
        .iter()
        .all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

fn digits_of(text: &[u8]) -> BigUint {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    BigUint::parse_bytes(&digits, 10).expect("a number has digits")
}

fn signed(negative: bool, magnitude: BigUint) -> BigInt {
    BigInt::from_biguint(if negative { Sign::Minus } else { Sign::Plus }, magnitude)
}

/// The low 64 bits of the whole part of a number with that many digits behind the point.
fn whole_part_low_bits(raw: &str, scale: i32) -> u64 {
    let digits = coefficient(raw).iter().filter(|byte| byte.is_ascii_digit());
    let count = digits.clone().count() as i64;
    let whole = (count - i64::from(scale)).max(0);
    let low = digits.take(whole as usize).fold(0u64, |low, digit| {
        low.wrapping_mul(10).wrapping_add((digit - b'0').into())
    });
    // 10^64 and all beyond end in 64 zero bits.
    let zeros = (whole - count).clamp(0, 64);
    (0..zeros).fold(low, |low, _| low.wrapping_mul(10))
}
