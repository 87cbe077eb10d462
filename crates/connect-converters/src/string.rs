//! StringConverter: texts in one of Java's character sets.
//!
//! Lives here: the converter and its settings.
//! Lives elsewhere: character sets (`charset`), Java's text of what is no text (`connect_api::data`).
//! Source: `org.apache.kafka.connect.storage.StringConverter` of Apache Kafka 4.3.1.

use crate::charset::Charset;
use crate::config::{converter_config_def, parse};
use crate::header::serve_headers;
use connect_api::data::append_java_text;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Value};
use connect_api::{ConnectError, Converter, ConverterType, KafkaHeader, Result};
use connect_config::{ConfigDef, Importance, Key, Properties, Width};

pub const ENCODING: Key<String> = Key::new("converter.encoding");

pub fn config_def() -> ConfigDef {
    converter_config_def().define(
        ENCODING
            .default("UTF-8")
            .importance(Importance::High)
            .doc("The name of the Java character set to use for encoding strings as byte arrays.")
            .width(Width::Medium)
            .display_name("Encoding"),
    )
}

/// `org.apache.kafka.connect.storage.StringConverter`. In UTF-8, texts are slices of what was fetched, and
/// written without a copy.
pub struct StringConverter {
    writes: Charset,
    reads: Charset,
    /// The text of a value, before it is encoded in another character set.
    text: Vec<u8>,
}

impl Default for StringConverter {
    fn default() -> Self {
        Self::new()
    }
}

impl StringConverter {
    pub fn new() -> Self {
        Self {
            writes: Charset::UTF_8,
            reads: Charset::UTF_8,
            text: Vec::new(),
        }
    }
}

impl Converter for StringConverter {
    /// The serializer's own keys (`value.serializer.encoding`) count before `converter.encoding`, as in Java.
    fn configure(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()> {
        let encoding = parse(&config_def(), configs, converter_type)?.get(ENCODING);
        let side = match converter_type {
            ConverterType::Key => "key",
            ConverterType::Value | ConverterType::Header => "value",
        };
        let charset = |role: &str| {
            let name = configs.get(&format!("{side}.{role}.encoding"));
            let name = name.unwrap_or(&encoding);
            let unsupported = || ConnectError::data(format!("Unsupported encoding {name}"));
            Charset::for_name(name).ok_or_else(unsupported)
        };
        self.writes = charset("serializer")?;
        self.reads = charset("deserializer")?;
        Ok(())
    }

    #[inline]
    fn from_connect_data<'a>(
        &mut self,
        _topic: &str,
        _schema: Option<&Schema>,
        value: &'a Value,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        match value {
            Value::Null => return Ok(None),
            Value::String(text) if self.writes.is_utf_8() => return Ok(Some(text.as_bytes())),
            Value::String(text) => {
                buffer.clear();
                self.writes.encode(text, buffer);
                return Ok(Some(buffer));
            }
            _ => {}
        }
        buffer.clear();
        if self.writes.is_utf_8() {
            append_java_text(value, buffer);
            return Ok(Some(buffer));
        }
        self.text.clear();
        append_java_text(value, &mut self.text);
        let text = std::str::from_utf8(&self.text).expect("Java's text of a value is text");
        self.writes.encode(text, buffer);
        Ok(Some(buffer))
    }

    #[inline]
    fn to_connect_data(
        &mut self,
        topic: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        let mut data = SchemaAndValue::NULL;
        self.to_connect_data_with_headers(topic, &[], bytes, &mut data.schema, &mut data.value)?;
        Ok(data)
    }

    #[inline]
    fn to_connect_data_with_headers(
        &mut self,
        _topic: &str,
        _headers: &[KafkaHeader],
        bytes: Option<SharedSlice<'_>>,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        *schema = Some(Schema::OPTIONAL_STRING);
        *value = match bytes {
            Some(bytes) => Value::String(self.reads.decode(bytes)),
            None => Value::Null,
        };
        Ok(())
    }
}

serve_headers!(StringConverter);
