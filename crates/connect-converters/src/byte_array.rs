//! ByteArrayConverter: bytes as they are.
//!
//! Source: `org.apache.kafka.connect.converters.ByteArrayConverter` of Apache Kafka 4.3.1.

use crate::config::{converter_config_def, parse};
use crate::header::serve_headers;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Type, Value};
use connect_api::{ConnectError, Converter, ConverterType, Result};
use connect_config::{ConfigDef, Properties};

/// `org.apache.kafka.connect.converters.ByteArrayConverter`. Nothing is copied in either direction.
#[derive(Default)]
pub struct ByteArrayConverter;

impl ByteArrayConverter {
    pub fn new() -> Self {
        Self
    }
}

pub fn config_def() -> ConfigDef {
    converter_config_def()
}

impl Converter for ByteArrayConverter {
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
            && schema.schema_type() != Type::Bytes
        {
            return Err(ConnectError::data(format!(
                "Invalid schema type for ByteArrayConverter: {}",
                schema.schema_type()
            )));
        }
        match value {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            other => Err(ConnectError::data(format!(
                "ByteArrayConverter is not compatible with objects of type class {}",
                other.java_class()
            ))),
        }
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        let value = bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.to_bytes()));
        Ok(SchemaAndValue::new(Schema::OPTIONAL_BYTES, value))
    }
}

serve_headers!(ByteArrayConverter);
