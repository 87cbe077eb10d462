//! Between values and the bytes on a topic.

use crate::Result;
use crate::data::{Schema, SchemaAndValue, SharedSlice, Value};
use crate::record::KafkaHeader;
use bytes::Bytes;
use connect_config::Properties;

/// What a converter is configured for (`converter.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConverterType {
    Key,
    Value,
    Header,
}

/// Turns keys and values into bytes and back. Every task has instances of its own, so a converter may keep
/// what it learned from the last record; it is called for each record of a batch in turn.
// `from_connect_data` is the name in Kafka Connect.
#[allow(clippy::wrong_self_convention)]
pub trait Converter: Send {
    /// Called once, before anything else, with the settings under the converter's prefix, the prefix
    /// stripped.
    fn configure(&mut self, configs: &Properties, converter_type: ConverterType) -> Result<()>;

    /// The bytes of a value; `None` stands for no bytes (a tombstone).
    ///
    /// The answer lies in `buffer`, which the converter may overwrite, or in `value` itself where the bytes
    /// are there already. No allocation once `buffer` has grown to the size of a record.
    fn from_connect_data<'a>(
        &mut self,
        topic: &str,
        schema: Option<&Schema>,
        value: &'a Value,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>>;

    /// As [`Self::from_connect_data`], for converters that write headers too.
    fn from_connect_data_with_headers<'a>(
        &mut self,
        topic: &str,
        _headers: &mut Vec<KafkaHeader>,
        schema: Option<&Schema>,
        value: &'a Value,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        self.from_connect_data(topic, schema, value, buffer)
    }

    /// The value of bytes; `None` stands for no bytes (a tombstone). Texts and byte fields share the buffer.
    fn to_connect_data(
        &mut self,
        topic: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue>;

    /// As [`Self::to_connect_data`], for converters that read headers too, or that make schema and value where these
    /// stay: moving them costs more than making them. This is what a sink task calls.
    ///
    /// Fails: what `schema` and `value` hold then is of no use.
    fn to_connect_data_with_headers(
        &mut self,
        topic: &str,
        _headers: &[KafkaHeader],
        bytes: Option<SharedSlice<'_>>,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        let data = self.to_connect_data(topic, bytes)?;
        *schema = data.schema;
        *value = data.value;
        Ok(())
    }
}

/// Turns header values into bytes and back.
// `from_connect_data` is the name in Kafka Connect.
#[allow(clippy::wrong_self_convention)]
pub trait HeaderConverter: Send {
    /// Called once, before anything else, with the settings under the converter's prefix, the prefix
    /// stripped.
    fn configure(&mut self, configs: &Properties) -> Result<()>;

    fn from_connect_header(
        &mut self,
        topic: &str,
        key: &str,
        schema: Option<&Schema>,
        value: &Value,
    ) -> Result<Option<Bytes>>;

    fn to_connect_header(
        &mut self,
        topic: &str,
        key: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue>;
}
