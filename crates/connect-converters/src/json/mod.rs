//! JsonConverter: Connect data as JSON, with or without its schema.
//!
//! Lives here: the converter and its settings; below it, in reading order: `scan` (words), `free` and
//! `shapes` (values without a schema), `envelope`, `schema_in`, `typed` and `lenient` (values with one),
//! `write`, `schema_out` and `text` (the way back).
//! Never here: I/O, topics.
//!
//! The way from bytes to values is two ways. The fast one is led by what the last records looked like (the
//! keys of objects, the bytes of the schema) and makes values at once. The slow one builds a tree and converts
//! it in Java's order. The fast one gives up at the first surprise, so every error message has one origin.
//! Source: `org.apache.kafka.connect.json` of Apache Kafka 4.3.1, Jackson 2.21.2.

mod base64;
mod config;
mod encoding;
mod envelope;
mod fragment;
mod free;
mod key_texts;
mod lead;
mod lenient;
mod node;
mod number;
mod plans;
mod scan;
mod schema_in;
mod schema_out;
mod shapes;
mod slot;
mod swar;
mod text;
mod typed;
mod write;

pub use config::{DecimalFormat, config_def};

use crate::header::serve_headers;
use bytes::Bytes;
use config::JsonConverterConfig;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Value};
use connect_api::{ConnectError, Converter, ConverterType, KafkaHeader, Result};
use connect_config::Properties;
use encoding::Decoded;
use envelope::{EnvelopeReader, SchemaCache, Target};
use free::FreeReader;
use key_texts::KeyTextsCache;
use lenient::Lenient;
use plans::PlanCache;
use scan::{Scan, Scanner, SyntaxError};
use shapes::Shapes;

/// What conversions depend on.
#[derive(Clone, Copy, Debug)]
struct Options {
    decimal_format: DecimalFormat,
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.json.JsonConverter`
pub struct JsonConverter {
    schemas_enable: bool,
    options: Options,
    /// The schema of `schema.content`, used for every record.
    content: Option<Target>,
    shapes: Shapes,
    schemas: SchemaCache,
    plans: PlanCache,
    key_texts: KeyTextsCache,
}

impl Default for JsonConverter {
    fn default() -> Self {
        Self::new()
    }
}

impl JsonConverter {
    pub fn new() -> Self {
        Self::with_config(JsonConverterConfig::default())
    }

    fn with_config(config: JsonConverterConfig) -> Self {
        Self {
            schemas_enable: config.schemas_enable,
            options: Options {
                decimal_format: config.decimal_format,
                replace_null_with_default: config.replace_null_with_default,
            },
            content: None,
            shapes: Shapes::new(),
            schemas: SchemaCache::new(config.schemas_cache_size),
            plans: PlanCache::new(config.schemas_cache_size),
            key_texts: KeyTextsCache::default(),
        }
    }

    fn configure_as(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()> {
        let config = JsonConverterConfig::parse(configs, converter_type)?;
        let content = config.schema_content.clone();
        *self = Self::with_config(config);
        let Some(content) = content else {
            return Ok(());
        };
        let source = Bytes::from(content);
        let schema = self.parse_content(SharedSlice::whole(&source))?;
        self.content = schema.map(|schema| Target::new(Some(schema.interned()), &self.options));
        Ok(())
    }

    fn parse_content(&self, source: SharedSlice<'_>) -> Result<Option<Schema>> {
        let failed = |cause: SyntaxError| {
            ConnectError::data(
                "Failed to parse schema in converter config due to serialization error: ",
            )
            .caused_by(cause)
        };
        let text = match encoding::decode(&source).map_err(failed)? {
            Decoded::InPlace(text) => text,
            Decoded::Recoded(text) => &text.clone(),
        };
        let start = text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
        let node = envelope::read_document(text, start).map_err(failed)?;
        let options = &self.options;
        Lenient { options, source }.schema(&node)
    }

    /// Reads to where the data stay. After an error what is there is of no use.
    fn read(
        &mut self,
        bytes: Option<SharedSlice<'_>>,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        let Some(source) = bytes else {
            *schema = None;
            *value = Value::Null;
            return Ok(());
        };
        self.shapes.between_records();
        if self.schemas_enable
            && self.content.is_none()
            && let Some(()) = self.envelope_reader().read_known(source, schema, value)
        {
            return Ok(());
        }
        match encoding::decode(source.as_slice()).map_err(not_json)? {
            Decoded::InPlace(text) => self.read_text(source, text, schema, value),
            Decoded::Recoded(text) => {
                let owner = Bytes::from(text);
                let source = SharedSlice::whole(&owner);
                // SAFETY: these are the bytes of a `String`.
                let text = unsafe { std::str::from_utf8_unchecked(source.as_slice()) };
                self.read_text(source, text, schema, value)
            }
        }
    }

    fn envelope_reader(&mut self) -> EnvelopeReader<'_> {
        EnvelopeReader {
            options: &self.options,
            shapes: &mut self.shapes,
            schemas: &mut self.schemas,
        }
    }

    /// `text` lies in `source`.
    fn read_text<'a>(
        &mut self,
        source: SharedSlice<'a>,
        text: &'a str,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        if !self.schemas_enable {
            *schema = None;
            return self.read_free(source, text, value).map_err(not_json);
        }
        let data = match &mut self.content {
            Some(content) => envelope::read_content(content, &self.options, source, text),
            None => self.envelope_reader().read(source, text),
        }?;
        *schema = data.schema;
        *value = data.value;
        Ok(())
    }

    fn read_free<'a>(
        &mut self,
        source: SharedSlice<'a>,
        text: &'a str,
        value: &mut Value,
    ) -> Scan<()> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        if scanner.at == text.len() {
            *value = Value::Null;
            return Ok(());
        }
        let first = scanner.peek();
        let mut reader = FreeReader {
            scanner,
            shapes: &mut self.shapes,
            source,
        };
        reader.value(Shapes::ROOT, value)?;
        reader.scanner.end_of_document(first)
    }

    /// Writes into `buffer`, which is cleared first; `false` when there is nothing to write.
    fn write(
        &mut self,
        schema: Option<&Schema>,
        value: &Value,
        buffer: &mut Vec<u8>,
    ) -> Result<bool> {
        buffer.clear();
        let Some(schema) = schema else {
            if value.is_null() {
                return Ok(false);
            }
            if !self.schemas_enable {
                self.writer(buffer, 0).free(value)?;
                return Ok(true);
            }
            buffer.extend_from_slice(b"{\"schema\":null,\"payload\":");
            self.writer(buffer, 1).free(value)?;
            buffer.push(b'}');
            return Ok(true);
        };
        let mut writer = write::Writer {
            options: &self.options,
            key_texts: &mut self.key_texts,
            out: buffer,
            depth: u32::from(self.schemas_enable),
        };
        let entry = self.plans.entry(schema);
        if !self.schemas_enable {
            writer.value(&mut entry.plan, value)?;
            return Ok(true);
        }
        if entry.beginning.is_empty() {
            writer.out.extend_from_slice(b"{\"schema\":");
            writer.schema(Some(schema), None)?;
            writer.out.extend_from_slice(b",\"payload\":");
            entry.beginning = writer.out.as_slice().into();
        } else {
            writer.out.extend_from_slice(&entry.beginning);
        }
        writer.value(&mut entry.plan, value)?;
        writer.out.push(b'}');
        Ok(true)
    }

    fn writer<'w>(&'w mut self, out: &'w mut Vec<u8>, depth: u32) -> write::Writer<'w> {
        write::Writer {
            options: &self.options,
            key_texts: &mut self.key_texts,
            out,
            depth,
        }
    }
}

#[cold]
fn not_json(cause: SyntaxError) -> ConnectError {
    ConnectError::data(
        "Converting byte[] to Kafka Connect data failed due to serialization error: ",
    )
    .caused_by(cause)
}

impl Converter for JsonConverter {
    fn configure(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()> {
        self.configure_as(configs, converter_type)
    }

    fn from_connect_data<'a>(
        &mut self,
        _topic: &str,
        schema: Option<&Schema>,
        value: &'a Value,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        Ok(match self.write(schema, value, buffer)? {
            true => Some(buffer),
            false => None,
        })
    }

    fn to_connect_data(
        &mut self,
        _topic: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        let mut data = SchemaAndValue::NULL;
        self.read(bytes, &mut data.schema, &mut data.value)?;
        Ok(data)
    }

    fn to_connect_data_with_headers(
        &mut self,
        _topic: &str,
        _headers: &[KafkaHeader],
        bytes: Option<SharedSlice<'_>>,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        self.read(bytes, schema, value)
    }
}

serve_headers!(JsonConverter);
