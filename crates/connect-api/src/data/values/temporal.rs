//! Texts that look like a time, a date or both, read as `java.text.SimpleDateFormat` reads them in UTC.
//!
//! It is lenient: the number of digits is free, numbers may be negative or have an exponent, fields out of
//! range roll over, and what follows the last field is ignored. Only the length of the whole text is exact.

use crate::data::calendar::LenientFields;
use crate::data::java_integer::Reader;
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

/// Dates and times of a fixed form.
trait ReadTemporal {
    fn date(&mut self, fields: LenientFields) -> Option<LenientFields>;
    fn time(&mut self, fields: LenientFields) -> Option<LenientFields>;
}

impl ReadTemporal for Reader<'_> {
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
}
