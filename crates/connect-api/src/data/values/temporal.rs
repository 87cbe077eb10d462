//! Texts that look like a time, a date or both, read as `java.text.SimpleDateFormat` reads them in UTC.
//!
//! It is lenient: the number of digits is free, numbers may be negative or have an exponent, fields out of
//! range roll over, and what follows the last field is ignored. Only the length of the whole text is exact.

use crate::data::calendar::LenientFields;
use crate::data::digits::digit_value;
use crate::data::{Schema, SchemaAndValue, Value, logical};
use std::sync::LazyLock;

static DATE: LazyLock<Schema> = LazyLock::new(|| built(logical::date()));
static TIME: LazyLock<Schema> = LazyLock::new(|| built(logical::time()));
static TIMESTAMP: LazyLock<Schema> = LazyLock::new(|| built(logical::timestamp()));

fn built(builder: crate::data::SchemaBuilder) -> Schema {
    builder.build().expect("a logical type has no default")
}

/// A text of 10, 13 or 24 UTF-16 units as Date (`yyyy-MM-dd`), Time (`HH:mm:ss.SSS'Z'`) or Timestamp
/// (`yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`), a backslash before a colon not counted.
pub(super) fn parse_as_temporal(text: &str) -> Option<SchemaAndValue> {
    const LENGTH_MAX: usize = 24;
    const BYTES_PER_UNIT_MAX: usize = 3;
    // Most texts are no times: leave before anything is copied. Each colon may have a backslash.
    if text.len() < 10 || text.len() > LENGTH_MAX * (BYTES_PER_UNIT_MAX + 1) {
        return None;
    }
    let unescaped;
    let text = if text.contains("\\:") {
        unescaped = text.replace("\\:", ":");
        &unescaped
    } else {
        text
    };
    let mut reader = Reader { rest: text };
    let (schema, fields) = match text.encode_utf16().count() {
        10 => (&DATE, reader.date(LenientFields::EPOCH)?),
        13 => (&TIME, reader.time(LenientFields::EPOCH)?),
        24 => {
            let fields = reader.date(LenientFields::EPOCH)?;
            reader.literal('T')?;
            (&TIMESTAMP, reader.time(fields)?)
        }
        _ => return None,
    };
    Some(SchemaAndValue {
        schema: Some((*schema).clone()),
        value: Value::Timestamp(fields.to_ms()),
    })
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn date(&mut self, mut fields: LenientFields) -> Option<LenientFields> {
        fields.year = self.number()?;
        self.literal('-')?;
        fields.month = self.number()?;
        self.literal('-')?;
        fields.day = self.number()?;
        Some(fields)
    }

    fn time(&mut self, mut fields: LenientFields) -> Option<LenientFields> {
        fields.hour = self.number()?;
        self.literal(':')?;
        fields.minute = self.number()?;
        self.literal(':')?;
        fields.second = self.number()?;
        self.literal('.')?;
        fields.millisecond = self.number()?;
        self.literal('Z')?;
        Some(fields)
    }

    fn literal(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(wanted)?;
        Some(())
    }

    /// The next field as `DecimalFormat.parse(…).intValue()`: blanks, sign, digits of any script, `E` with an
    /// exponent; `∞`; `NaN` is 0.
    fn number(&mut self) -> Option<i32> {
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
