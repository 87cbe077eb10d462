//! `SimpleHeaderConverter`: header values as the texts of `Values`.
//!
//! Lives elsewhere: the grammar of those texts (`connect_api::data::values`).
//! Source: `org.apache.kafka.connect.storage.SimpleHeaderConverter`.

use bytes::Bytes;
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Str, Value, values};
use connect_api::{HeaderConverter, Result};
use connect_config::Properties;

/// Writes a value as its text; reads a text back as the narrowest type that it can be.
#[derive(Debug, Default)]
pub struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn configure(&mut self, _configs: &Properties) -> Result<()> {
        Ok(())
    }

    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        _schema: Option<&Schema>,
        value: &Value,
    ) -> Result<Option<Bytes>> {
        Ok(values::convert_to_string(value).map(Str::into_bytes))
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        Ok(match bytes {
            None => SchemaAndValue::NULL,
            Some(bytes) => values::parse_string(&Str::from_utf8_lossy(bytes.to_bytes())),
        })
    }
}
