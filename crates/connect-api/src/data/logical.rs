//! The logical types: a base type with an agreed meaning, by the schema's name.
//!
//! Lives here: names, schemas, and the checks between a value and what it encodes, with Java's messages.
//! Never here: days and dates ([`super::calendar`]).

use super::calendar::MS_PER_DAY;
use super::{Decimal, Schema, SchemaBuilder, Type};
use crate::{ConnectError, Result};

pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
/// The parameter of a Decimal schema that holds its scale.
pub const SCALE_PARAMETER: &str = "scale";

/// BYTES that hold the unscaled value of a decimal with this scale.
pub fn decimal(scale: i32) -> SchemaBuilder {
    SchemaBuilder::new(Type::Bytes)
        .name(DECIMAL)
        .version(1)
        .parameter(SCALE_PARAMETER, scale.to_string())
}

/// INT32: days since 1970-01-01.
pub fn date() -> SchemaBuilder {
    SchemaBuilder::new(Type::Int32).name(DATE).version(1)
}

/// INT32: milliseconds of the day.
pub fn time() -> SchemaBuilder {
    SchemaBuilder::new(Type::Int32).name(TIME).version(1)
}

/// INT64: milliseconds since the epoch.
pub fn timestamp() -> SchemaBuilder {
    SchemaBuilder::new(Type::Int64).name(TIMESTAMP).version(1)
}

/// The scale that a Decimal schema names; `None` when it names none or no number.
pub fn scale_of(schema: &Schema) -> Option<i32> {
    schema.parameter(SCALE_PARAMETER)?.parse().ok()
}

/// As [`scale_of`], with the errors of Java's `Decimal`.
pub fn required_scale(schema: &Schema) -> Result<i32> {
    let Some(scale) = schema.parameter(SCALE_PARAMETER) else {
        return Err(ConnectError::data(
            "Invalid Decimal schema: scale parameter not found.",
        ));
    };
    scale.parse().map_err(|cause: std::num::ParseIntError| {
        ConnectError::data("Invalid scale parameter found in Decimal schema: ").caused_by(cause)
    })
}

/// What the BYTES of a Decimal hold.
///
/// Fails: when the decimal's scale is not the schema's.
pub fn encode_decimal(schema: &Schema, decimal: &Decimal) -> Result<Vec<u8>> {
    let (wanted, found) = (required_scale(schema)?, decimal.scale());
    if wanted != found {
        return Err(ConnectError::data(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale \
             {wanted}, value has scale {found}."
        )));
    }
    Ok(decimal.to_unscaled_bytes())
}

/// The days that a Date holds.
///
/// Fails: when the instant is not a midnight.
pub fn encode_date(ms: i64) -> Result<i32> {
    if ms % MS_PER_DAY != 0 {
        return Err(ConnectError::data(
            "Kafka Connect Date type should not have any time fields set to non-zero values.",
        ));
    }
    Ok((ms / MS_PER_DAY) as i32)
}

/// The instant that a Date's days stand for.
pub fn decode_date(days: i32) -> i64 {
    i64::from(days) * MS_PER_DAY
}

/// The milliseconds that a Time holds; the next midnight is allowed.
///
/// Fails: when the instant is not on 1970-01-01.
pub fn encode_time(ms: i64) -> Result<i32> {
    if !(0..=MS_PER_DAY).contains(&ms) {
        return Err(ConnectError::data(
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ));
    }
    Ok(ms as i32)
}

/// The instant that a Time's milliseconds stand for.
///
/// Fails: when they are not of one day.
pub fn decode_time(ms: i32) -> Result<i64> {
    let ms = i64::from(ms);
    if !(0..=MS_PER_DAY).contains(&ms) {
        return Err(ConnectError::data(
            "Time values must use number of milliseconds greater than 0 and less than 86400000",
        ));
    }
    Ok(ms)
}
