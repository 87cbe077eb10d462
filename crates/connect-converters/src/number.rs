//! The number converters: big-endian bytes of fixed length.
//!
//! Lives here: Short, Integer, Long, Float, Double, alike but for their type.
//! Source: `org.apache.kafka.connect.converters.NumberConverter` of Apache Kafka 4.3.1.

use crate::config::{converter_config_def, parse};
use crate::header::serve_headers;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Value};
use connect_api::{ConnectError, Converter, ConverterType, Result};
use connect_config::{ConfigDef, Properties};

pub fn config_def() -> ConfigDef {
    converter_config_def()
}

macro_rules! number_converters {
    ($($converter:ident: $name:literal, $number:ty, $variant:ident, $schema:ident;)+) => { $(
        #[doc = concat!("`org.apache.kafka.connect.converters.", stringify!($converter), "`.")]
        /// The schema plays no part in writing.
        #[derive(Default)]
        pub struct $converter;

        impl $converter {
            pub fn new() -> Self {
                Self
            }
        }

        impl Converter for $converter {
            fn configure(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()> {
                parse(&config_def(), configs, converter_type).map(|_| ())
            }

            fn from_connect_data<'a>(
                &mut self,
                _topic: &str,
                _schema: Option<&Schema>,
                value: &'a Value,
                buffer: &'a mut Vec<u8>,
            ) -> Result<Option<&'a [u8]>> {
                match value {
                    Value::Null => Ok(None),
                    Value::$variant(number) => {
                        buffer.clear();
                        buffer.extend_from_slice(&number.to_be_bytes());
                        Ok(Some(buffer))
                    }
                    other => Err(ConnectError::data(format!(
                        concat!("Failed to serialize to ", $name, " (was class {}): "),
                        other.java_class()
                    ))),
                }
            }

            fn to_connect_data(
                &mut self,
                _topic: &str,
                bytes: Option<SharedSlice<'_>>,
            ) -> Result<SchemaAndValue> {
                let Some(bytes) = bytes else {
                    return Ok(SchemaAndValue::new(Schema::$schema, Value::Null));
                };
                let fixed = bytes.as_slice().try_into().map_err(|_| {
                    wrong_length(concat!("Failed to deserialize ", $name, ": "), size_of::<$number>(), &bytes)
                })?;
                let number = <$number>::from_be_bytes(fixed);
                Ok(SchemaAndValue::new(Schema::$schema, Value::$variant(number)))
            }
        }

        serve_headers!($converter);
    )+ };
}

number_converters! {
    ShortConverter: "short", i16, Int16, OPTIONAL_INT16;
    IntegerConverter: "integer", i32, Int32, OPTIONAL_INT32;
    LongConverter: "long", i64, Int64, OPTIONAL_INT64;
    FloatConverter: "float", f32, Float32, OPTIONAL_FLOAT32;
    DoubleConverter: "double", f64, Float64, OPTIONAL_FLOAT64;
}

#[cold]
fn wrong_length(message: &str, expected: usize, found: &[u8]) -> ConnectError {
    let cause = format!("expected {expected} bytes, found {}", found.len());
    ConnectError::data(message).caused_by(cause)
}
