//! A decimal number with a scale, as `java.math.BigDecimal`.

use num_bigint::{BigInt, Sign};
use std::fmt;

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

/// The text of `BigDecimal.toString`: plain while the exponent is at least -6 and the scale not negative,
/// else scientific.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.magnitude().to_string();
        if self.unscaled.sign() == Sign::Minus {
            f.write_str("-")?;
        }
        let scale = i64::from(self.scale);
        let adjusted = digits.len() as i64 - 1 - scale;
        if scale == 0 {
            return f.write_str(&digits);
        }
        if scale > 0 && adjusted >= -6 {
            let point = digits.len() as i64 - scale;
            return if point > 0 {
                let (whole, fraction) = digits.split_at(point as usize);
                write!(f, "{whole}.{fraction}")
            } else {
                write!(f, "0.{}{digits}", "0".repeat(-point as usize))
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
