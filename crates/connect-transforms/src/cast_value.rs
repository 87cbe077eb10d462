//! One value as another primitive type, by Java's rules of narrowing and parsing.
//!
//! Never here: fields, settings.
//! Source: `Cast.castValueToType` of Apache Kafka 4.3.1.

use crate::operate::class_of;
use connect_api::data::{Schema, Str, StrBuffer, Type, Value, append_java_text, logical, values};
use connect_api::{ConnectError, Result};
use connect_config::ConfigException;
use connect_config::java_number::{parse_double, parse_float, parse_integer};

/// A type that values can be cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
}

const TARGETS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";

impl Target {
    /// Reads a type as users write it.
    ///
    /// Fails: with the messages of Java's Cast, whose texts cross (observed on 4.3.1).
    pub fn parse(text: &str) -> Result<Self, ConfigException> {
        let text = text.trim_matches(|c: char| c <= ' ');
        let name = text.to_uppercase();
        Ok(match name.as_str() {
            "INT8" => Target::Int8,
            "INT16" => Target::Int16,
            "INT32" => Target::Int32,
            "INT64" => Target::Int64,
            "FLOAT32" => Target::Float32,
            "FLOAT64" => Target::Float64,
            "BOOLEAN" => Target::Boolean,
            "STRING" => Target::String,
            "BYTES" | "ARRAY" | "MAP" | "STRUCT" => {
                return Err(ConfigException::new(format!(
                    "Cast transformation does not support casting to {name}; supported types are {TARGETS}"
                )));
            }
            _ => {
                return Err(ConfigException::new(format!(
                    "Invalid value java.lang.IllegalArgumentException: No enum constant \
                     org.apache.kafka.connect.data.Schema.Type.{name} for configuration Invalid type found in casting \
                     spec: {text}"
                )));
            }
        })
    }

    pub fn schema_type(self) -> Type {
        match self {
            Target::Int8 => Type::Int8,
            Target::Int16 => Type::Int16,
            Target::Int32 => Type::Int32,
            Target::Int64 => Type::Int64,
            Target::Float32 => Type::Float32,
            Target::Float64 => Type::Float64,
            Target::Boolean => Type::Boolean,
            Target::String => Type::String,
        }
    }
}

/// Casts a value in place; null stays null. The schema's type says what it is, and without one its class does.
#[inline]
pub fn cast(
    schema: Option<&Schema>,
    value: &mut Value,
    target: Target,
    texts: &mut StrBuffer,
) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    let source = match schema {
        Some(schema) => schema.schema_type(),
        None => inferred_type(value)?,
    };
    if matches!(source, Type::Array | Type::Map | Type::Struct) {
        return Err(refused_input(source));
    }
    if target == Target::String {
        *value = Value::String(text_of(value, texts));
        return Ok(());
    }
    if let Some(name) = schema.and_then(Schema::name) {
        encode_logical(name, value)?;
    }
    *value = match target {
        Target::Int8 => Value::Int8(integer(value, i8::MIN.into(), i8::MAX.into())? as i8),
        Target::Int16 => Value::Int16(integer(value, i16::MIN.into(), i16::MAX.into())? as i16),
        Target::Int32 => match value {
            // A float stops at the ends of the type that it is cast to.
            Value::Float32(number) => Value::Int32(*number as i32),
            Value::Float64(number) => Value::Int32(*number as i32),
            _ => Value::Int32(integer(value, i32::MIN.into(), i32::MAX.into())? as i32),
        },
        Target::Int64 => match value {
            Value::Float32(number) => Value::Int64(*number as i64),
            Value::Float64(number) => Value::Int64(*number as i64),
            _ => Value::Int64(integer(value, i64::MIN, i64::MAX)?),
        },
        Target::Float32 => Value::Float32(float(value)?),
        Target::Float64 => Value::Float64(double(value)?),
        Target::Boolean => Value::Boolean(boolean(value)?),
        Target::String => unreachable!("texts are done above"),
    };
    Ok(())
}

#[cold]
pub fn refused_input(source: Type) -> ConnectError {
    ConnectError::data(format!(
        "Cast transformation does not support casting from {source}; supported types are [INT8, INT16, INT32, INT64, \
         FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]"
    ))
}

/// `ConnectSchema.schemaType` of the value's class.
fn inferred_type(value: &Value) -> Result<Type> {
    Ok(match value {
        Value::Boolean(_) => Type::Boolean,
        Value::Int8(_) => Type::Int8,
        Value::Int16(_) => Type::Int16,
        Value::Int32(_) => Type::Int32,
        Value::Int64(_) => Type::Int64,
        Value::Float32(_) => Type::Float32,
        Value::Float64(_) => Type::Float64,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        Value::Array(_) => Type::Array,
        Value::Map(_) => Type::Map,
        Value::Struct(_) => Type::Struct,
        Value::Decimal(_) | Value::Timestamp(_) | Value::Null => {
            return Err(ConnectError::data(format!(
                "Cast transformation was passed a value of type {} which is not supported by Connect's data API",
                class_of(value)
            )));
        }
    })
}

fn encode_logical(name: &str, value: &mut Value) -> Result<()> {
    let Value::Timestamp(ms) = *value else {
        return Ok(());
    };
    *value = match name {
        logical::DATE => Value::Int32(logical::encode_date(ms)?),
        logical::TIME => Value::Int32(logical::encode_time(ms)?),
        logical::TIMESTAMP => Value::Int64(ms),
        _ => return Ok(()),
    };
    Ok(())
}

#[cold]
fn unexpected(value: &Value) -> ConnectError {
    ConnectError::data(format!(
        "Unexpected type in Cast transformation: {}",
        class_of(value)
    ))
}

#[cold]
fn out_of_range(text: &str) -> ConnectError {
    ConnectError::data(format!(
        "Value ({text}) was out of range for requested data type"
    ))
}

/// The number, whose low bits the caller takes; texts must be in range. Floats go through 32 bits first.
fn integer(value: &Value, min: i64, max: i64) -> Result<i64> {
    Ok(match value {
        Value::Int8(number) => i64::from(*number),
        Value::Int16(number) => i64::from(*number),
        Value::Int32(number) => i64::from(*number),
        Value::Int64(number) => *number,
        Value::Float32(number) => i64::from(*number as i32),
        Value::Float64(number) => i64::from(*number as i32),
        Value::Decimal(decimal) => decimal.to_long_wrapping(),
        Value::Boolean(truth) => i64::from(*truth),
        Value::String(text) => parse_integer(text, min, max).ok_or_else(|| out_of_range(text))?,
        other => return Err(unexpected(other)),
    })
}

fn float(value: &Value) -> Result<f32> {
    Ok(match value {
        Value::Int8(number) => f32::from(*number),
        Value::Int16(number) => f32::from(*number),
        Value::Int32(number) => *number as f32,
        Value::Int64(number) => *number as f32,
        Value::Float32(number) => *number,
        Value::Float64(number) => *number as f32,
        Value::Decimal(decimal) => decimal.to_float(),
        Value::Boolean(truth) => f32::from(u8::from(*truth)),
        Value::String(text) => parse_float(trim(text)).ok_or_else(|| out_of_range(text))?,
        other => return Err(unexpected(other)),
    })
}

fn double(value: &Value) -> Result<f64> {
    Ok(match value {
        Value::Int8(number) => f64::from(*number),
        Value::Int16(number) => f64::from(*number),
        Value::Int32(number) => f64::from(*number),
        Value::Int64(number) => *number as f64,
        Value::Float32(number) => f64::from(*number),
        Value::Float64(number) => *number,
        Value::Decimal(decimal) => decimal.to_double(),
        Value::Boolean(truth) => f64::from(u8::from(*truth)),
        Value::String(text) => parse_double(trim(text)).ok_or_else(|| out_of_range(text))?,
        other => return Err(unexpected(other)),
    })
}

fn boolean(value: &Value) -> Result<bool> {
    Ok(match value {
        Value::Boolean(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Float32(number) => *number as i64 != 0,
        Value::Float64(number) => *number as i64 != 0,
        other => integer(other, i64::MIN, i64::MAX)? != 0,
    })
}

fn text_of(value: &Value, texts: &mut StrBuffer) -> Str {
    match value {
        Value::String(text) => text.clone(),
        Value::Bytes(_) | Value::Timestamp(_) => {
            texts.text(|out| values::append_string(value, out))
        }
        _ => texts.text(|out| append_java_text(value, out)),
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}
