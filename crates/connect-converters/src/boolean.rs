//! BooleanConverter: one byte, 1 or 0.
//!
//! Source: `org.apache.kafka.connect.converters.BooleanConverter` of Apache Kafka 4.3.1.

use crate::config::{converter_config_def, parse};
use crate::header::serve_headers;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Type, Value};
use connect_api::{ConnectError, Converter, ConverterType, Result};
use connect_config::{ConfigDef, Properties};

/// `org.apache.kafka.connect.converters.BooleanConverter`
#[derive(Default)]
pub struct BooleanConverter;

impl BooleanConverter {
    pub fn new() -> Self {
        Self
    }
}

pub fn config_def() -> ConfigDef {
    converter_config_def()
}

impl Converter for BooleanConverter {
    fn configure(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()> {
        parse(&config_def(), configs, converter_type).map(|_| ())
    }

    fn from_connect_data<'a>(
        &mut self,
        _topic: &str,
        schema: Option<&Schema>,
        value: &'a Value,
        _buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        if let Some(schema) = schema
            && schema.schema_type() != Type::Boolean
        {
            return Err(ConnectError::data(format!(
                "Invalid schema type for BooleanConverter: {}",
                schema.schema_type()
            )));
        }
        match value {
            Value::Null => Ok(None),
            Value::Boolean(true) => Ok(Some(&[1])),
            Value::Boolean(false) => Ok(Some(&[0])),
            other => Err(ConnectError::data(format!(
                "BooleanConverter is not compatible with objects of type class {}",
                other.java_class()
            ))),
        }
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        let value = match bytes.as_deref() {
            None => Value::Null,
            Some([1]) => Value::Boolean(true),
            Some([0]) => Value::Boolean(false),
            Some(other) => {
                let cause = format!("expected one byte, 0 or 1, found {} bytes", other.len());
                return Err(ConnectError::data("Failed to deserialize boolean: ").caused_by(cause));
            }
        };
        Ok(SchemaAndValue::new(Schema::OPTIONAL_BOOLEAN, value))
    }
}

serve_headers!(BooleanConverter);
