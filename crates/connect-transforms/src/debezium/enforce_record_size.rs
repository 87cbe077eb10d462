//! `EnforceRecordSize`: long texts and bytes of a row are cut until the record is small enough.
//!
//! Lives here: the estimate of a record's size, and who loses how much.
//! Source: `EnforceRecordSize` and `ApproximateStructSizeCalculator` of Debezium 3.7.0.Final. Bytes are cut whatever
//! class they have in Java, where byte arrays and decimals make it fail; decimals are left alone here.

use super::envelope::{AFTER, BEFORE, cast_struct};
use connect_api::data::{Schema, Str, Struct, Type, Value};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, SourceOffset, Transformation,
};
use connect_config::{ConfigDef, ConfigException, Importance, Key, Properties};

const MAX_BYTES: Key<i32> = Key::new("max.bytes");
const COMPRESSION_RATIO: Key<f64> = Key::new("compression.ratio");
const MIN_FIELD_SIZE: Key<i32> = Key::new("min.field.size");

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(MAX_BYTES.required().importance(Importance::High).doc(
            "Most bytes of a record, by estimate. Long texts and bytes of the rows of a larger one are cut in \
             proportion to their length.",
        ))
        .define(COMPRESSION_RATIO.default(1.0).importance(Importance::Medium).doc(
            "What the estimate is multiplied by, for records that take less room when they are written: 0.5 for half.",
        ))
        .define(MIN_FIELD_SIZE.default(25_000).importance(Importance::Medium).doc(
            "Fields up to this length, in characters or bytes, are not cut.",
        ))
}

#[derive(Default)]
pub(super) struct EnforceRecordSize {
    max_bytes: i64,
    compression_ratio: f64,
    min_field_size: i64,
}

/// A field of a row that may be cut.
struct Long {
    index: usize,
    size: i64,
}

impl Transformation for EnforceRecordSize {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = config_def().parse(configs).map_err(|errors| {
            let first = errors.messages().next().unwrap_or_default().to_string();
            ConnectError::config(first).caused_by(errors)
        })?;
        let (max, ratio, min) = (
            config.get(MAX_BYTES),
            config.get(COMPRESSION_RATIO),
            config.get(MIN_FIELD_SIZE),
        );
        let invalid = |name: &str, value: String, reason: &str| {
            let error = ConfigException::invalid(name, value, reason);
            Err(ConnectError::config(error.into_message()))
        };
        if max <= 0 {
            return invalid(
                MAX_BYTES.name(),
                max.to_string(),
                "Must be a positive integer",
            );
        }
        if ratio <= 0.0 {
            let mut text = Vec::new();
            connect_api::data::java_number::append_double(ratio, &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            return invalid(COMPRESSION_RATIO.name(), text, "Must be a positive number");
        }
        if min < 0 {
            return invalid(
                MIN_FIELD_SIZE.name(),
                min.to_string(),
                "Must be non-negative",
            );
        }
        self.max_bytes = max.into();
        self.compression_ratio = ratio;
        self.min_field_size = min.into();
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        let Origin::Source { partition, offset } = origin else {
            return Ok(Outcome::Keep);
        };
        if !matches!(record.value, Value::Struct(_)) {
            return Ok(Outcome::Keep);
        }
        let entries = partition.map_or(0, |partition| partition.fields().len())
            + match offset {
                None => 0,
                Some(SourceOffset::Position(..)) => 1,
                Some(SourceOffset::Fields(fields)) => fields.len(),
            }
            + record.headers.len();
        let estimate = entries as i64 * 100
            + 8
            + part_size(&record.key)?
            + part_size(&record.value)?
            + record.topic.len() as i64;
        let size = (estimate as f64 * self.compression_ratio).ceil() as i64;
        if let Value::Struct(event) = &mut record.value
            && size > self.max_bytes
        {
            self.shorten(event, size - self.max_bytes);
        }
        Ok(Outcome::Keep)
    }
}

impl EnforceRecordSize {
    fn shorten(&self, event: &mut Struct, excess: i64) {
        let rows = [BEFORE, AFTER].map(|row| {
            let at = event.schema().field_index(row)?;
            match &event.values()[at] {
                Value::Struct(row) => Some((at, self.long_fields(row))),
                _ => None,
            }
        });
        let bytes = |longs: &[Long]| longs.iter().map(|long| long.size).sum::<i64>();
        let total: i64 = rows.iter().flatten().map(|(_, longs)| bytes(longs)).sum();
        if total <= 0 {
            return;
        }
        for (at, longs) in rows.into_iter().flatten() {
            let of_row = bytes(&longs);
            let excess = share(of_row, total, excess);
            if let Value::Struct(row) = &mut event.values_mut()[at]
                && of_row > 0
                && excess > 0
            {
                for long in longs {
                    let cut = share(long.size, of_row, excess);
                    let default = row.value_or_default(long.index).clone();
                    let value = &mut row.values_mut()[long.index];
                    if value.is_null() {
                        *value = default;
                    }
                    shorten_value(value, (long.size - cut).max(0));
                }
            }
        }
    }

    fn long_fields(&self, row: &Struct) -> Vec<Long> {
        let sizes = (0..row.values().len()).filter_map(|index| {
            let size = match row.value_or_default(index) {
                Value::String(text) => utf16_length(text),
                Value::Bytes(bytes) => bytes.len() as i64,
                _ => return None,
            };
            Some(Long { index, size })
        });
        sizes
            .filter(|long| long.size > self.min_field_size)
            .collect()
    }
}

/// The share of `excess` that goes with `part` of `whole`, rounded up.
fn share(part: i64, whole: i64, excess: i64) -> i64 {
    (part as f64 / whole as f64 * excess as f64).ceil() as i64
}

fn utf16_length(text: &str) -> i64 {
    if text.is_ascii() {
        return text.len() as i64;
    }
    text.chars().map(|c| c.len_utf16() as i64).sum()
}

/// `size` in UTF-16 units or bytes. A character of two units is not cut in half, it goes.
fn shorten_value(value: &mut Value, size: i64) {
    match value {
        Value::String(text) => {
            let mut units = 0;
            let end = text.char_indices().find(|(_, c)| {
                units += c.len_utf16() as i64;
                units > size
            });
            if let Some((end, _)) = end {
                // A copy, so that the cut text does not keep the whole one alive.
                *text = Str::from(&text[..end]);
            }
        }
        Value::Bytes(bytes) if bytes.len() as i64 > size => {
            *bytes = bytes[..size as usize].to_vec().into();
        }
        _ => {}
    }
}

/// A key or value, which Java takes for a struct.
fn part_size(value: &Value) -> Result<i64> {
    match value {
        Value::Null => Ok(0),
        other => cast_struct(other).map(struct_size),
    }
}

fn struct_size(value: &Struct) -> i64 {
    let fields = value.schema().fields().iter().zip(value.values());
    56 + fields
        .map(|(field, value)| 8 + value_size(Some(&field.schema), value))
        .sum::<i64>()
}

fn value_size(schema: Option<&Schema>, value: &Value) -> i64 {
    let Some(schema) = schema else {
        return 0;
    };
    match (schema.schema_type(), value) {
        (Type::String, Value::String(text)) => 56 + text.len() as i64,
        (Type::Bytes, Value::Bytes(bytes)) => 24 + bytes.len() as i64,
        (Type::Bytes, Value::Decimal(decimal)) => 24 + decimal.to_unscaled_bytes().len() as i64,
        (Type::Struct, Value::Struct(fields)) => struct_size(fields),
        (Type::Array, Value::Array(elements)) => {
            let element = |element| 8 + value_size(schema.value_schema(), element);
            64 + elements.iter().map(element).sum::<i64>()
        }
        (Type::Map, Value::Map(map)) => {
            let entry = |(key, value)| {
                16 + value_size(schema.key_schema(), key) + value_size(schema.value_schema(), value)
            };
            88 + map.iter().map(entry).sum::<i64>()
        }
        (Type::String | Type::Bytes | Type::Struct | Type::Array | Type::Map, _) => 0,
        _ => 24,
    }
}
