//! `HasHeaderKey`: true for records that have a header of a name.
//!
//! Source: `org.apache.kafka.connect.transforms.predicates.HasHeaderKey` of Apache Kafka 4.3.1.

use crate::operate::parse;
use connect_api::{ConnectRecord, Predicate, Result};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};

const NAME: Key<Option<String>> = Key::new("name");

pub fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        NAME.required()
            .validator(Validator::non_empty())
            .importance(Importance::Medium)
            .doc("Name of the header."),
    )
}

#[derive(Default)]
pub struct HasHeaderKey {
    /// No header has the name null.
    name: Option<String>,
}

impl Predicate for HasHeaderKey {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.name = parse(&config_def(), configs)?.get(NAME);
        Ok(())
    }

    fn test(&mut self, record: &ConnectRecord) -> Result<bool> {
        let Some(name) = &self.name else {
            return Ok(false);
        };
        Ok(record
            .headers
            .iter()
            .any(|header| header.key == name.as_str()))
    }
}
