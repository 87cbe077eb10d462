//! Conversions between types, lenient where Java's are.
//!
//! `schema` is the schema of the value, if it has one; it decides what an instant counts.

use super::parse_string;
use super::text::convert_to_string;
use crate::data::calendar::{MS_PER_DAY, time_of_day};
use crate::data::java_text;
use crate::data::{Decimal, Map, Schema, Struct, Type, Value, logical};
use crate::{ConnectError, Result};
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::sync::Arc;

/// `None` for null. A text must say `true`, `false` or a number; numbers are true unless their whole part is 0.
pub fn convert_to_boolean(schema: Option<&Schema>, value: &Value) -> Result<Option<bool>> {
    match value {
        Value::Null => return Ok(None),
        Value::Boolean(truth) => return Ok(Some(*truth)),
        Value::String(text) => match parse_string(text).value {
            Value::Boolean(truth) => return Ok(Some(truth)),
            Value::Null => return Err(parsed_to_null()),
            _ => {}
        },
        _ => {}
    }
    Ok(Some(as_long(schema, value)? != 0))
}

/// `None` for null. Only the low bits of larger numbers are kept.
pub fn convert_to_byte(schema: Option<&Schema>, value: &Value) -> Result<Option<i8>> {
    Ok(convert_to_long(schema, value)?.map(|long| long as i8))
}

/// `None` for null. Only the low bits of larger numbers are kept.
pub fn convert_to_short(schema: Option<&Schema>, value: &Value) -> Result<Option<i16>> {
    Ok(convert_to_long(schema, value)?.map(|long| long as i16))
}

/// `None` for null. Only the low bits of larger numbers are kept.
pub fn convert_to_integer(schema: Option<&Schema>, value: &Value) -> Result<Option<i32>> {
    Ok(convert_to_long(schema, value)?.map(|long| long as i32))
}

/// `None` for null. The whole part of a number or of a text that is one; the encoded value of an instant
/// whose schema is logical. Floats out of range stop at the ends, decimals keep their low 64 bits.
pub fn convert_to_long(schema: Option<&Schema>, value: &Value) -> Result<Option<i64>> {
    match value {
        Value::Null => Ok(None),
        _ => as_long(schema, value).map(Some),
    }
}

/// `None` for null.
pub fn convert_to_float(schema: Option<&Schema>, value: &Value) -> Result<Option<f32>> {
    Ok(match value {
        Value::Null => None,
        Value::Float32(number) => Some(*number),
        _ => Some(as_double(schema, value)? as f32),
    })
}

/// `None` for null.
pub fn convert_to_double(schema: Option<&Schema>, value: &Value) -> Result<Option<f64>> {
    match value {
        Value::Null => Ok(None),
        _ => as_double(schema, value).map(Some),
    }
}

/// Bytes are the unscaled value; numbers go through `double`, so 5 becomes 5.0; texts are exact. The scale is
/// only for bytes: nothing is rescaled.
pub fn convert_to_decimal(value: &Value, scale: i32) -> Result<Arc<Decimal>> {
    to_decimal(value, || Ok(scale))
}

/// An instant in milliseconds. Of a Timestamp the day, cut towards 1970; numbers count days.
pub fn convert_to_date(schema: Option<&Schema>, value: &Value) -> Result<i64> {
    let meaning = Meaning::of(value)?;
    if let Value::Timestamp(ms) = *meaning.value() {
        match schema.map(Schema::name) {
            None | Some(Some(logical::DATE)) => return Ok(ms),
            Some(Some(logical::TIMESTAMP)) => {
                return Ok(logical::decode_date((ms / MS_PER_DAY) as i32));
            }
            _ => {}
        }
    }
    Ok(logical::decode_date(as_long_of(schema, &meaning)? as i32))
}

/// An instant of 1970-01-01 in milliseconds. Of a Timestamp the time of day; numbers count milliseconds.
pub fn convert_to_time(schema: Option<&Schema>, value: &Value) -> Result<i64> {
    let meaning = Meaning::of(value)?;
    if let Value::Timestamp(ms) = *meaning.value() {
        match schema.map(Schema::name) {
            None | Some(Some(logical::TIME)) => return Ok(ms),
            Some(Some(logical::TIMESTAMP)) => return logical::decode_time(time_of_day(ms) as i32),
            _ => {}
        }
    }
    logical::decode_time(as_long_of(schema, &meaning)? as i32)
}

/// An instant in milliseconds. Numbers count milliseconds.
pub fn convert_to_timestamp(schema: Option<&Schema>, value: &Value) -> Result<i64> {
    let meaning = Meaning::of(value)?;
    if let Value::Timestamp(ms) = *meaning.value() {
        match schema.map(Schema::name) {
            None | Some(Some(logical::TIMESTAMP)) => return Ok(ms),
            Some(Some(logical::DATE)) => {
                return Ok(logical::decode_date(logical::encode_date(ms)?));
            }
            Some(Some(logical::TIME)) => return logical::encode_time(ms).map(i64::from),
            _ => {}
        }
    }
    as_long_of(schema, &meaning)
}

/// A list, or a text that is one.
pub fn convert_to_list(value: &Value) -> Result<Cow<'_, [Value]>> {
    match value {
        Value::Null => Err(null_value()),
        _ => to_array(value, &Bare(Type::Array)),
    }
}

/// A map, or a text that is one.
pub fn convert_to_map(value: &Value) -> Result<Cow<'_, Map>> {
    match value {
        Value::Null => Err(null_value()),
        _ => to_map(value, &Bare(Type::Map)),
    }
}

/// A struct; nothing else becomes one.
pub fn convert_to_struct(value: &Value) -> Result<&Struct> {
    match value {
        Value::Null => Err(null_value()),
        Value::Struct(fields) => Ok(fields),
        _ => Err(unable_to_convert(value, &Bare(Type::Struct))),
    }
}

/// A value as one of the schema `to`, by the functions above. Elements of arrays and maps stay as they are.
pub fn convert_to(to: &Schema, schema: Option<&Schema>, value: &Value) -> Result<Value> {
    if value.is_null() {
        return if to.is_optional() {
            Ok(Value::Null)
        } else {
            Err(null_value())
        };
    }
    let converted = match (to.schema_type(), to.name()) {
        (Type::Bytes, Some(logical::DECIMAL)) => {
            Value::Decimal(to_decimal(value, || logical::required_scale(to))?)
        }
        (Type::Int32, Some(logical::DATE)) => Value::Timestamp(convert_to_date(schema, value)?),
        (Type::Int32, Some(logical::TIME)) => Value::Timestamp(convert_to_time(schema, value)?),
        (Type::Int64, Some(logical::TIMESTAMP)) => {
            Value::Timestamp(convert_to_timestamp(schema, value)?)
        }
        (Type::Bytes, _) => match value {
            Value::Bytes(_) => value.clone(),
            Value::Decimal(decimal) => Value::Bytes(logical::encode_decimal(to, decimal)?.into()),
            _ => return Err(unable_to_convert(value, to)),
        },
        (Type::String, _) => convert_to_string(value).map_or(Value::Null, Value::String),
        (Type::Boolean, _) => or_null(convert_to_boolean(schema, value)?, Value::Boolean),
        (Type::Int8, _) => or_null(convert_to_byte(schema, value)?, Value::Int8),
        (Type::Int16, _) => or_null(convert_to_short(schema, value)?, Value::Int16),
        (Type::Int32, _) => or_null(convert_to_integer(schema, value)?, Value::Int32),
        (Type::Int64, _) => or_null(convert_to_long(schema, value)?, Value::Int64),
        (Type::Float32, _) => or_null(convert_to_float(schema, value)?, Value::Float32),
        (Type::Float64, _) => or_null(convert_to_double(schema, value)?, Value::Float64),
        (Type::Array, _) => Value::Array(to_array(value, to)?.into_owned()),
        (Type::Map, _) => Value::Map(to_map(value, to)?.into_owned()),
        (Type::Struct, _) => match value {
            Value::Struct(_) => value.clone(),
            _ => return Err(unable_to_convert(value, to)),
        },
    };
    Ok(converted)
}

fn or_null<T>(value: Option<T>, variant: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, variant)
}

fn to_decimal(value: &Value, scale: impl FnOnce() -> Result<i32>) -> Result<Arc<Decimal>> {
    let decimal = match value {
        Value::Null => return Err(null_value()),
        Value::Decimal(decimal) => return Ok(decimal.clone()),
        Value::Bytes(bytes) if bytes.is_empty() => {
            return Err(ConnectError::data("Zero length BigInteger"));
        }
        Value::Bytes(bytes) => Ok(Decimal::from_unscaled_bytes(bytes, scale()?)),
        Value::String(text) => text.parse(),
        _ => match number_as_double(value) {
            Some(number) => Decimal::of_double(number),
            None => {
                let to = format!("Schema{{{}:BYTES}}", logical::DECIMAL);
                return Err(unable_to_convert(value, &to));
            }
        },
    };
    match decimal {
        Ok(decimal) => Ok(Arc::new(decimal)),
        Err(cause) => Err(ConnectError::data(cause.to_string())),
    }
}

fn to_array<'a>(value: &'a Value, to: &dyn Display) -> Result<Cow<'a, [Value]>> {
    match Meaning::of(value)? {
        Meaning::Given(Value::Array(elements)) => Ok(Cow::Borrowed(elements)),
        Meaning::Parsed(Value::Array(elements)) => Ok(Cow::Owned(elements)),
        other => Err(unable_to_convert_class(other.value(), other.class(), to)),
    }
}

fn to_map<'a>(value: &'a Value, to: &dyn Display) -> Result<Cow<'a, Map>> {
    match Meaning::of(value)? {
        Meaning::Given(Value::Map(map)) => Ok(Cow::Borrowed(map)),
        Meaning::Parsed(Value::Map(map)) => Ok(Cow::Owned(map)),
        other => Err(unable_to_convert_class(other.value(), other.class(), to)),
    }
}

/// A value, or what it means when it is a text.
enum Meaning<'a> {
    Given(&'a Value),
    Parsed(Value),
}

impl<'a> Meaning<'a> {
    fn of(value: &'a Value) -> Result<Self> {
        match value {
            Value::Null => Err(null_value()),
            Value::String(text) => match parse_string(text).value {
                Value::Null => Err(parsed_to_null()),
                parsed => Ok(Meaning::Parsed(parsed)),
            },
            _ => Ok(Meaning::Given(value)),
        }
    }

    fn value(&self) -> &Value {
        match self {
            Meaning::Given(value) => value,
            Meaning::Parsed(value) => value,
        }
    }

    /// Java parses maps into another class than converters make.
    fn class(&self) -> &'static str {
        match self {
            Meaning::Parsed(Value::Map(_)) => "java.util.LinkedHashMap",
            _ => self.value().java_class(),
        }
    }
}

/// The whole part of a number.
fn as_long(schema: Option<&Schema>, value: &Value) -> Result<i64> {
    as_long_of(schema, &Meaning::Given(value))
}

fn as_long_of(schema: Option<&Schema>, meaning: &Meaning<'_>) -> Result<i64> {
    let mut not_a_number = None;
    match meaning.value() {
        Value::Int8(number) => return Ok(i64::from(*number)),
        Value::Int16(number) => return Ok(i64::from(*number)),
        Value::Int32(number) => return Ok(i64::from(*number)),
        Value::Int64(number) => return Ok(*number),
        Value::Float32(number) => return Ok(*number as i64),
        Value::Float64(number) => return Ok(*number as i64),
        Value::Decimal(decimal) => return Ok(decimal.to_long_wrapping()),
        Value::String(text) => match text.parse::<Decimal>() {
            Ok(decimal) => return Ok(decimal.to_long_wrapping()),
            Err(cause) => not_a_number = Some(cause),
        },
        Value::Timestamp(ms) => match schema.and_then(Schema::name) {
            Some(logical::DATE) => return logical::encode_date(*ms).map(i64::from),
            Some(logical::TIME) => return logical::encode_time(*ms).map(i64::from),
            Some(logical::TIMESTAMP) => return Ok(*ms),
            _ => {}
        },
        _ => {}
    }
    let error = match schema {
        Some(schema) => unable_to_convert_class(meaning.value(), meaning.class(), schema),
        None => unable_to_convert_class(meaning.value(), meaning.class(), &"a number"),
    };
    Err(match not_a_number {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

fn as_double(schema: Option<&Schema>, value: &Value) -> Result<f64> {
    if let Some(number) = number_as_double(value) {
        return Ok(number);
    }
    if let Value::String(text) = value
        && let Ok(decimal) = text.parse::<Decimal>()
    {
        return Ok(decimal.to_double());
    }
    Ok(as_long(schema, value)? as f64)
}

fn number_as_double(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Int8(number) => f64::from(*number),
        Value::Int16(number) => f64::from(*number),
        Value::Int32(number) => f64::from(*number),
        Value::Int64(number) => *number as f64,
        Value::Float32(number) => f64::from(*number),
        Value::Float64(number) => *number,
        Value::Decimal(decimal) => decimal.to_double(),
        _ => return None,
    })
}

/// Prints as a schema that says nothing but its type.
struct Bare(Type);

impl Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema{{{}}}", self.0)
    }
}

fn unable_to_convert(value: &Value, to: &dyn Display) -> ConnectError {
    unable_to_convert_class(value, value.java_class(), to)
}

fn unable_to_convert_class(value: &Value, class: &str, to: &dyn Display) -> ConnectError {
    let text = java_text(value);
    ConnectError::data(format!("Unable to convert {text} (class {class}) to {to}"))
}

fn null_value() -> ConnectError {
    ConnectError::data("Unable to convert a null value to a schema that requires a value")
}

/// Java fails with a `NullPointerException` here.
fn parsed_to_null() -> ConnectError {
    ConnectError::data("Unable to convert the text \"null\", which stands for no value")
}
