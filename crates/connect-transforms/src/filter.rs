//! `Filter`: drops every record that it is applied to, so it wants a predicate.
//!
//! Source: `org.apache.kafka.connect.transforms.Filter` of Apache Kafka 4.3.1.

use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Properties};

/// Filter has no settings.
pub fn config_def() -> ConfigDef {
    ConfigDef::new()
}

#[derive(Default)]
pub struct Filter;

impl Transformation for Filter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, _: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        Ok(Outcome::Drop)
    }
}
