//! `DropHeaders`: takes headers out by their names.
//!
//! Source: `org.apache.kafka.connect.transforms.DropHeaders` of Apache Kafka 4.3.1.

use crate::operate::parse;
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};

const HEADERS: Key<Vec<String>> = Key::new("headers");

pub fn config_def() -> ConfigDef {
    let names = Validator::any_non_duplicate_values(false, false);
    ConfigDef::new().define(
        HEADERS
            .required()
            .validator(names)
            .importance(Importance::High)
            .doc("Names of the headers to take out. Every header of such a name goes."),
    )
}

#[derive(Default)]
pub struct DropHeaders {
    names: Vec<String>,
}

impl Transformation for DropHeaders {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.names = parse(&config_def(), configs)?.get(HEADERS);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if !record.headers.is_empty() {
            let dropped = |key: &str| self.names.iter().any(|name| name == key);
            record.headers.retain(|header| !dropped(&header.key));
        }
        Ok(Outcome::Keep)
    }
}
