//! Aiven's `MakeTombstone`: the value and its schema go. Meant to stand behind a predicate.

use connect_api::data::Value;
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Properties};

pub(super) struct MakeTombstone;

impl Transformation for MakeTombstone {
    fn config_def(&self) -> ConfigDef {
        ConfigDef::new()
    }

    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        record.value = Value::Null;
        record.value_schema = None;
        Ok(Outcome::Keep)
    }
}
