//! `InsertHeader`: adds a header with a fixed value.
//!
//! Source: `org.apache.kafka.connect.transforms.InsertHeader` of Apache Kafka 4.3.1.

use crate::operate::parse;
use connect_api::data::{SchemaAndValue, Str, values};
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};

const HEADER: Key<String> = Key::new("header");
const VALUE_LITERAL: Key<String> = Key::new("value.literal");

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            HEADER
                .required()
                .validator(Validator::non_null())
                .importance(Importance::High)
                .doc("Name of the header."),
        )
        .define(
            VALUE_LITERAL
                .required()
                .validator(Validator::non_null())
                .importance(Importance::High)
                .doc(
                    "The header's value. Its type is read off the text: 1 is an int8, true a boolean, [1,2] an array, \
                     2024-02-29 a date, and all else a string.",
                ),
        )
}

#[derive(Default)]
pub struct InsertHeader {
    name: Str,
    data: SchemaAndValue,
}

impl Transformation for InsertHeader {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.name = config.get(HEADER).into();
        self.data = values::parse_string(&config.get(VALUE_LITERAL).into());
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        record.headers.add(self.name.clone(), self.data.clone());
        Ok(Outcome::Keep)
    }
}
