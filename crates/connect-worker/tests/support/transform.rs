//! A transform that fails as the record tells it.

use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Properties};

/// By what is in the value: `poison` is a data error, `never` one that is always worth another attempt, `third` one
/// that passes at the third attempt.
#[derive(Default)]
pub struct ScriptedTransform {
    attempts: u32,
}

impl Transformation for ScriptedTransform {
    fn config_def(&self) -> ConfigDef {
        ConfigDef::new()
    }

    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        self.attempts += 1;
        let value = record.value.as_str().unwrap_or_default();
        if value.contains("poison") {
            return Err(ConnectError::data("it is poison"));
        }
        if value.contains("never") || (value.contains("third") && self.attempts < 3) {
            return Err(ConnectError::retriable("not now"));
        }
        self.attempts = 0;
        Ok(Outcome::Keep)
    }
}
