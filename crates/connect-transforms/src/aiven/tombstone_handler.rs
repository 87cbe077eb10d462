//! Aiven's `TombstoneHandler`: records without value are dropped, or fail.

use crate::operate::parse;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, Key, Properties, Validator,
};

const BEHAVIOR: Key<String> = Key::new("behavior");
const WORDS: [&str; 3] = ["drop_silent", "drop_warn", "fail"];

fn config_def() -> ConfigDef {
    let is_known = Validator::custom("drop_silent, drop_warn or fail", |name, value| {
        let ConfigValueData::String(text) = value else {
            return Ok(());
        };
        let reason = match text.to_lowercase() {
            word if WORDS.contains(&word.as_str()) => return Ok(()),
            word if word.is_empty() => "String must be non-empty".to_string(),
            _ => format!(
                "Unsupported behavior name: {text}. Supported are: {}",
                WORDS.join(",")
            ),
        };
        Err(ConfigException::invalid(name, text, reason))
    });
    ConfigDef::new().define(
        BEHAVIOR
            .required()
            .importance(Importance::Medium)
            .validator(is_known)
            .doc(
                "What becomes of a tombstone: drop_silent drops it, drop_warn drops it and warns of the first in a task, \
                 fail is an error.",
            ),
    )
}

#[derive(Default)]
pub(super) struct TombstoneHandler {
    behavior: String,
    has_warned: bool,
}

impl Transformation for TombstoneHandler {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.behavior = parse(&config_def(), configs)?.get(BEHAVIOR).to_lowercase();
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if !record.value.is_null() {
            return Ok(Outcome::Keep);
        }
        if self.behavior == "fail" {
            return Err(ConnectError::data(
                "Tombstone record encountered, failing due to configured 'fail' behavior",
            ));
        }
        if self.behavior == "drop_warn" && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(topic = %record.topic, "tombstone dropped; those that follow are not said");
        } else {
            tracing::debug!(topic = %record.topic, "tombstone dropped");
        }
        Ok(Outcome::Drop)
    }
}
