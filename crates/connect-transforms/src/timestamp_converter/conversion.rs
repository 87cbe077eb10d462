//! One time as another: every form goes through milliseconds since the epoch.

use crate::operate::class_of;
use connect_api::data::calendar::{MS_PER_DAY, time_of_day};
use connect_api::data::java_date_format::JavaDateFormat;
use connect_api::data::{Schema, SchemaBuilder, StrBuffer, Type, Value, logical};
use connect_api::{ConnectError, Result};
use connect_config::ConfigEnum;

/// What a time becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    String,
    Unix,
    Date,
    Time,
    Timestamp,
}

impl ConfigEnum for Target {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("string", Target::String),
        ("unix", Target::Unix),
        ("Date", Target::Date),
        ("Time", Target::Time),
        ("Timestamp", Target::Timestamp),
    ];
}

impl Target {
    pub fn schema(self, optional: bool) -> Result<Schema> {
        let builder = match self {
            Target::String => SchemaBuilder::new(Type::String),
            Target::Unix => SchemaBuilder::new(Type::Int64),
            Target::Date => logical::date(),
            Target::Time => logical::time(),
            Target::Timestamp => logical::timestamp(),
        };
        if optional {
            builder.optional().build()
        } else {
            builder.build()
        }
    }
}

/// What a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    String,
    Unix,
    Date,
    Time,
    Timestamp,
}

impl Source {
    pub fn of_schema(schema: &Schema) -> Option<Self> {
        Some(match (schema.name(), schema.schema_type()) {
            (Some(logical::TIMESTAMP), _) => Source::Timestamp,
            (Some(logical::DATE), _) => Source::Date,
            (Some(logical::TIME), _) => Source::Time,
            (_, Type::String) => Source::String,
            (_, Type::Int64) => Source::Unix,
            _ => return None,
        })
    }

    pub fn of_value(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Timestamp(_) => Source::Timestamp,
            Value::Int64(_) => Source::Unix,
            Value::String(_) => Source::String,
            other => {
                return Err(ConnectError::data(format!(
                    "TimestampConverter does not support {} objects as timestamps",
                    class_of(other)
                )));
            }
        })
    }
}

/// What a Unix number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
}

impl ConfigEnum for Precision {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("nanoseconds", Precision::Nanoseconds),
        ("microseconds", Precision::Microseconds),
        ("milliseconds", Precision::Milliseconds),
        ("seconds", Precision::Seconds),
    ];
}

impl Precision {
    /// As `TimeUnit` converts: cut towards zero, stopped at the ends.
    fn to_ms(self, number: i64) -> i64 {
        match self {
            Precision::Nanoseconds => number / 1_000_000,
            Precision::Microseconds => number / 1000,
            Precision::Milliseconds => number,
            Precision::Seconds => number.saturating_mul(1000),
        }
    }

    fn of_ms(self, ms: i64) -> i64 {
        match self {
            Precision::Nanoseconds => ms.saturating_mul(1_000_000),
            Precision::Microseconds => ms.saturating_mul(1000),
            Precision::Milliseconds => ms,
            Precision::Seconds => ms / 1000,
        }
    }
}

pub struct Conversion {
    pub target: Target,
    pub format: Option<JavaDateFormat>,
    pub precision: Precision,
}

impl Conversion {
    /// Converts a value in place. It is not null.
    #[inline]
    pub fn convert(&self, source: Source, value: &mut Value, texts: &mut StrBuffer) -> Result<()> {
        let ms = self.to_ms(source, value)?;
        *value = match self.target {
            Target::Timestamp => Value::Timestamp(ms),
            Target::Date => Value::Timestamp(ms.div_euclid(MS_PER_DAY) * MS_PER_DAY),
            Target::Time => Value::Timestamp(time_of_day(ms)),
            Target::Unix => Value::Int64(self.precision.of_ms(ms)),
            Target::String => {
                let format = self.format.as_ref().ok_or_else(no_format)?;
                Value::String(texts.text(|out| format.append(ms, out)))
            }
        };
        Ok(())
    }

    fn to_ms(&self, source: Source, value: &Value) -> Result<i64> {
        match (source, value) {
            (Source::Timestamp | Source::Date | Source::Time, Value::Timestamp(ms)) => Ok(*ms),
            (Source::Unix, Value::Int64(number)) => Ok(self.precision.to_ms(*number)),
            (Source::String, Value::String(text)) => {
                let format = self.format.as_ref().ok_or_else(no_format)?;
                format.parse(text).ok_or_else(|| {
                    ConnectError::data(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern ({})",
                        format.pattern()
                    ))
                })
            }
            (source, other) => Err(mismatch(source, other)),
        }
    }
}

#[cold]
fn mismatch(source: Source, found: &Value) -> ConnectError {
    let class = class_of(found);
    ConnectError::data(match source {
        Source::Timestamp => {
            format!("Expected Timestamp to be a java.util.Date, but found {class}")
        }
        Source::Date => format!("Expected Date to be a java.util.Date, but found {class}"),
        Source::Time => format!("Expected Time to be a java.util.Date, but found {class}"),
        Source::String => format!("Expected string timestamp to be a String, but found {class}"),
        Source::Unix => format!("Expected Unix timestamp to be a Long, but found {class}"),
    })
}

/// Java fails with a null pointer here.
#[cold]
fn no_format() -> ConnectError {
    ConnectError::data("the time is a text, and there is no pattern to read it by; set \"format\"")
}
