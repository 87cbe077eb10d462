//! A decimal number with a scale, as `java.math.BigDecimal`.

use super::digits::digit_value;
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
    if negative {
        exponent = -exponent;
    }
    if i32::try_from(exponent).is_err() {
        return Err(ParseDecimalError::new("Exponent overflow."));
    }
    Ok(exponent)
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

    /// Observed on Java 17.
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
            ("1e2147483648", "Exponent overflow."),
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
