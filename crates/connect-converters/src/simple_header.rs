//! SimpleHeaderConverter: headers as text, their types guessed.
//!
//! Lives elsewhere: the guess and the text (`connect_api::data::values`).
//! Source: `org.apache.kafka.connect.storage.SimpleHeaderConverter` of Apache Kafka 4.3.1.

use crate::charset::Charset;
use bytes::Bytes;
use connect_api::data::values::{convert_to_string, parse_string};
use connect_api::data::{Schema, SchemaAndValue, SharedSlice, Value};
use connect_api::{HeaderConverter, Result};
use connect_config::{ConfigDef, Properties};

/// `org.apache.kafka.connect.storage.SimpleHeaderConverter`, the header converter where none is named.
#[derive(Default)]
pub struct SimpleHeaderConverter;

impl SimpleHeaderConverter {
    pub fn new() -> Self {
        Self
    }
}

/// It knows no key, not even the one that all others have.
pub fn config_def() -> ConfigDef {
    ConfigDef::new()
}

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
        Ok(convert_to_string(value).map(|text| text.into_bytes()))
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        bytes: Option<SharedSlice<'_>>,
    ) -> Result<SchemaAndValue> {
        Ok(match bytes {
            None => SchemaAndValue::NULL,
            Some(bytes) => parse_string(&Charset::UTF_8.decode(bytes)),
        })
    }
}
