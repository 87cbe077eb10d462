//! Whole numbers as Java's `NumberFormat.getIntegerInstance(en_US)` reads them, which is how fields of dates are read.

use super::digits::digit_value;

/// Reads from the front of a text.
pub(super) struct Reader<'a> {
    pub rest: &'a str,
}

impl Reader<'_> {
    pub fn literal(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }

    /// The next field as `DecimalFormat.parse(…).intValue()`: blanks, sign, digits of any script, `E` with an
    /// exponent; `∞`; `NaN` is 0.
    pub fn number(&mut self) -> Option<i32> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if self.literal_text("NaN") {
            return Some(0);
        }
        let negative = self.literal('-').is_some();
        if self.literal('∞').is_some() {
            return Some(if negative { i32::MIN } else { i32::MAX });
        }
        let digits = self.digits()?;
        let before_exponent = self.rest;
        let exponent = match self.literal('E').and_then(|()| self.exponent()) {
            Some(exponent) => exponent,
            None => {
                self.rest = before_exponent;
                0
            }
        };
        Some(int_value(negative, &digits, exponent))
    }

    fn literal_text(&mut self, wanted: &str) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn exponent(&mut self) -> Option<i32> {
        let negative = self.literal('-').is_some();
        let digits: i64 = self.digits()?.parse().ok()?;
        Some(if negative { -digits } else { digits } as i32)
    }

    /// The digits as ASCII. `None` when there is none.
    fn digits(&mut self) -> Option<String> {
        let end = self.rest.find(|c| digit_value(c).is_none());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let ascii = digits.chars().filter_map(digit_value);
        let ascii: String = ascii.map(|digit| char::from(b'0' + digit)).collect();
        (!ascii.is_empty()).then_some(ascii)
    }
}

/// `Number.intValue` of what `DecimalFormat` makes of digits and an exponent: a `long`, of which the low bits
/// are kept, when it is whole and fits, else a `double`, which stops at the ends.
fn int_value(negative: bool, digits: &str, exponent: i32) -> i32 {
    let digits = digits.trim_start_matches('0');
    // The point stands before the digit of this index; Java's counter wraps.
    let point = (digits.len() as i32).wrapping_add(exponent);
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let sign = if negative { "-" } else { "" };
    if point >= digits.len() as i32 && point <= 19 {
        let zeros = point as usize - digits.len();
        if let Ok(long) = format!("{sign}{digits}{:0<zeros$}", "").parse::<i64>() {
            return long as i32;
        }
    }
    let double: f64 = format!("{sign}0.{digits}E{point}")
        .parse()
        .expect("digits and an exponent are a number");
    double as i32
}
