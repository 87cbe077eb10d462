//! A decimal number with a scale, as `java.math.BigDecimal`.

use super::digits::digit_value;
use super::java_number::append_double;
use num_bigint::{BigInt, Sign};
use std::fmt;
use std::str::FromStr;

/// `unscaled × 10^-scale`. Equal only when both parts are: 1.0 is not 1.00, as in Java.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decimal {
    unscaled: BigInt,
    scale: i32,
}

impl Decimal {
    pub fn new(unscaled: impl Into<BigInt>, scale: i32) -> Self {
        Self {
            unscaled: unscaled.into(),
            scale,
        }
    }

    pub fn unscaled(&self) -> &BigInt {
        &self.unscaled
    }

    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Big-endian two's complement of the unscaled value, as short as possible: what BYTES of the logical
    /// type Decimal hold.
    pub fn to_unscaled_bytes(&self) -> Vec<u8> {
        self.unscaled.to_signed_bytes_be()
    }

    /// Reads what [`Self::to_unscaled_bytes`] writes. No bytes are zero.
    pub fn from_unscaled_bytes(bytes: &[u8], scale: i32) -> Self {
        Self {
            unscaled: BigInt::from_signed_bytes_be(bytes),
            scale,
        }
    }
}

/// Numbers of other types, as Java's `BigDecimal` converts them.
impl Decimal {
    /// The decimal that the shortest text of a float names, as `BigDecimal.valueOf(double)`: 5 is `5.0`.
    ///
    /// Fails: for NaN and the infinities.
    pub fn of_double(number: f64) -> Result<Self, ParseDecimalError> {
        let mut text = Vec::with_capacity(24);
        append_double(number, &mut text);
        let text = std::str::from_utf8(&text).expect("the text of a number is ASCII");
        text.parse()
    }

    /// The nearest float; infinite beyond the largest.
    pub fn to_double(&self) -> f64 {
        let text = self.to_string();
        text.parse().expect("the text of a decimal is a number")
    }

    /// The nearest 32-bit float; infinite beyond the largest.
    pub fn to_float(&self) -> f32 {
        let text = self.to_string();
        text.parse().expect("the text of a decimal is a number")
    }

    /// The whole part, of which the low 64 bits are kept: `BigDecimal.longValue`.
    pub fn to_long_wrapping(&self) -> i64 {
        const BITS: i32 = 64;
        match self.scale {
            // Ten to the power of 64 has no low 64 bits.
            scale if scale <= -BITS => 0,
            scale if scale <= 0 => {
                low_64_bits(&self.unscaled).wrapping_mul(10i64.wrapping_pow(scale.unsigned_abs()))
            }
            scale if self.is_below_one(scale) => 0,
            scale => low_64_bits(&(&self.unscaled / power_of_ten(scale))),
        }
    }

    /// The number when it is whole and fits 64 bits.
    pub fn to_long_exact(&self) -> Option<i64> {
        const DIGITS_MAX: i32 = 19;
        if self.unscaled.sign() == Sign::NoSign {
            return Some(0);
        }
        match self.scale {
            scale if scale < -DIGITS_MAX => None,
            scale if scale <= 0 => {
                let unscaled = i128::from(i64::try_from(&self.unscaled).ok()?);
                let power = 10i128.pow(scale.unsigned_abs());
                i64::try_from(unscaled.checked_mul(power)?).ok()
            }
            scale if self.is_below_one(scale) => None,
            scale => {
                let power = power_of_ten(scale);
                let whole = &self.unscaled / &power;
                (&whole * power == self.unscaled)
                    .then(|| i64::try_from(whole).ok())
                    .flatten()
            }
        }
    }

    /// Whether a positive scale is so far beyond the digits that nothing stands before the point. Tells only
    /// clear cases, at no cost.
    fn is_below_one(&self, scale: i32) -> bool {
        const BITS_PER_DIGIT: u64 = 3;
        u64::from(scale.unsigned_abs()) > self.unscaled.bits() / BITS_PER_DIGIT + 1
    }
}

fn power_of_ten(exponent: i32) -> BigInt {
    BigInt::from(10).pow(exponent.unsigned_abs())
}

/// The low 64 bits of the two's complement.
fn low_64_bits(number: &BigInt) -> i64 {
    let low = number.iter_u64_digits().next().unwrap_or(0) as i64;
    match number.sign() {
        Sign::Minus => low.wrapping_neg(),
        _ => low,
    }
}

/// Why a text is no decimal, in the words of Java's `NumberFormatException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseDecimalError(String);

impl ParseDecimalError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Reads what `new BigDecimal(String)` reads: sign, digits of any script with one point among or around
/// them, exponent. No blanks.
impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let missing_exponent = || {
            ParseDecimalError::new("Character array is missing \"e\" notation exponential mark.")
        };
        let (negative, number) = match text.as_bytes().first() {
            None => return Err(missing_exponent()),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let mut digits = Vec::with_capacity(number.len());
        let mut fraction_digits = 0i64;
        let mut point_seen = false;
        let mut exponent = 0i64;
        for (at, c) in number.char_indices() {
            if let Some(digit) = digit_value(c) {
                digits.push(digit);
                fraction_digits += i64::from(point_seen);
            } else if c == '.' && !point_seen {
                point_seen = true;
            } else if c == '.' {
                return Err(ParseDecimalError::new(
                    "Character array contains more than one decimal point.",
                ));
            } else if c == 'e' || c == 'E' {
                exponent = parse_exponent(&number[at + 1..])?;
                break;
            } else if number.encode_utf16().count() > COMPACT_DIGITS_MAX {
                return Err(missing_exponent());
            } else {
                return Err(ParseDecimalError(format!(
                    "Character {c} is neither a decimal digit number, decimal point, nor \
                     \"e\" notation exponential mark."
                )));
            }
        }
        if digits.is_empty() {
            return Err(ParseDecimalError::new("No digits found."));
        }
        let scale = i32::try_from(fraction_digits - exponent)
            .map_err(|_| ParseDecimalError::new("Scale out of range."))?;
        let sign = if negative { Sign::Minus } else { Sign::Plus };
        let unscaled = BigInt::from_radix_be(sign, &digits, 10)
            .expect("each digit is below ten, and there is one");
        Ok(Self { unscaled, scale })
    }
}

/// Up to this many characters Java reads into a `long`, with a message of its own for what is no digit.
const COMPACT_DIGITS_MAX: usize = 18;

/// The number behind the `e` of a decimal.
fn parse_exponent(text: &str) -> Result<i64, ParseDecimalError> {
    const DIGITS_MAX: usize = 10;
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return Err(ParseDecimalError::new("No exponent digits."));
    }
    let leading_zeros = digits
        .chars()
        .take_while(|c| digit_value(*c) == Some(0))
        .count();
    let length = digits.chars().count();
    let skip = leading_zeros.min(length.saturating_sub(DIGITS_MAX));
    if length - skip > DIGITS_MAX {
        return Err(ParseDecimalError::new("Too many nonzero exponent digits."));
    }
    let mut exponent = 0i64;
    for c in digits.chars().skip(skip) {
        let digit = digit_value(c).ok_or_else(|| ParseDecimalError::new("Not a digit."))?;
        exponent = exponent * 10 + i64::from(digit);
    }
    Ok(if negative { -exponent } else { exponent })
}

/// The text of `BigDecimal.toString`: plain while the exponent is at least -6 and the scale not negative,
/// else scientific. Allocates only for more than 38 digits.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut small = itoa::Buffer::new();
        let large;
        let digits = match u128::try_from(self.unscaled.magnitude()) {
            Ok(magnitude) => small.format(magnitude),
            Err(_) => {
                large = self.unscaled.magnitude().to_string();
                &large
            }
        };
        if self.unscaled.sign() == Sign::Minus {
            f.write_str("-")?;
        }
        let scale = i64::from(self.scale);
        let adjusted = digits.len() as i64 - 1 - scale;
        if scale == 0 {
            return f.write_str(digits);
        }
        if scale > 0 && adjusted >= -6 {
            let point = digits.len() as i64 - scale;
            return if point > 0 {
                let (whole, fraction) = digits.split_at(point as usize);
                write!(f, "{whole}.{fraction}")
            } else {
                let zeros = &"00000"[..-point as usize];
                write!(f, "0.{zeros}{digits}")
            };
        }
        let (first, rest) = digits.split_at(1);
        f.write_str(first)?;
        if !rest.is_empty() {
            write!(f, ".{rest}")?;
        }
        if adjusted != 0 {
            write!(f, "E{adjusted:+}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observed on Java 25; 17 refuses exponents beyond 2147483647.
    #[test]
    fn texts_are_read_and_printed_as_in_java() {
        let rows = [
            ("0", "0"),
            ("-0.0", "0.0"),
            ("+5.", "5"),
            (".5", "0.5"),
            ("12.340", "12.340"),
            ("1e3", "1E+3"),
            ("1E-6", "0.000001"),
            ("1E-7", "1E-7"),
            ("-12345e-10", "-0.0000012345"),
            ("-12345e-11", "-1.2345E-7"),
            ("0e5", "0E+5"),
            ("00012", "12"),
            ("\u{661}\u{662}.\u{663}", "12.3"),
            ("1e0000000000000000001", "1E+1"),
            (
                "123456789012345678901234567890123456789012345e-3",
                "123456789012345678901234567890123456789012.345",
            ),
            (
                "",
                "Character array is missing \"e\" notation exponential mark.",
            ),
            ("-", "No digits found."),
            (".", "No digits found."),
            (
                "1..2",
                "Character array contains more than one decimal point.",
            ),
            (
                "1x",
                "Character x is neither a decimal digit number, decimal point, nor \"e\" notation exponential mark.",
            ),
            (
                "1234567890123456789x",
                "Character array is missing \"e\" notation exponential mark.",
            ),
            ("1e", "No exponent digits."),
            ("1e+", "No exponent digits."),
            ("1ex", "Not a digit."),
            ("1e12345678901", "Too many nonzero exponent digits."),
            ("1e2147483648", "1E+2147483648"),
            ("1e2147483649", "Scale out of range."),
            ("1.5e-2147483647", "Scale out of range."),
        ];
        for (text, expected) in rows {
            let printed = match text.parse::<Decimal>() {
                Ok(decimal) => decimal.to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(printed, expected, "{text}");
        }
    }
}
