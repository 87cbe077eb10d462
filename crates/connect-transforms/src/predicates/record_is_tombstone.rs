//! `RecordIsTombstone`: true for records without a value.
//!
//! Source: `org.apache.kafka.connect.transforms.predicates.RecordIsTombstone` of Apache Kafka 4.3.1.

use connect_api::{ConnectRecord, Predicate, Result};
use connect_config::{ConfigDef, Properties};

/// RecordIsTombstone has no settings.
pub fn config_def() -> ConfigDef {
    ConfigDef::new()
}

#[derive(Default)]
pub struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn test(&mut self, record: &ConnectRecord) -> Result<bool> {
        Ok(record.value.is_null())
    }
}
