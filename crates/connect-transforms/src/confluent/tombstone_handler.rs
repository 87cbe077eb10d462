//! Confluent's `TombstoneHandler`: records without value are dropped, or fail.

use crate::operate::parse;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigEnum, Importance, Key, Properties};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behavior {
    Ignore,
    Warn,
    Fail,
}

impl ConfigEnum for Behavior {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ignore", Self::Ignore),
        ("warn", Self::Warn),
        ("fail", Self::Fail),
    ];
}

const BEHAVIOR: Key<Behavior> = Key::new("behavior");

fn config_def() -> ConfigDef {
    ConfigDef::new().define(BEHAVIOR.default(Behavior::Warn).importance(Importance::Medium).doc(
        "What becomes of a tombstone: ignore drops it, warn drops it and says so in the log, fail is an error. The log \
         has one warning for each task; the tombstones after the first are events of level debug.",
    ))
}

pub(super) struct TombstoneHandler {
    behavior: Behavior,
    has_warned: bool,
}

impl TombstoneHandler {
    pub(super) fn new() -> Self {
        Self {
            behavior: Behavior::Warn,
            has_warned: false,
        }
    }
}

impl Transformation for TombstoneHandler {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.behavior = parse(&config_def(), configs)?.get(BEHAVIOR);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if !record.value.is_null() {
            return Ok(Outcome::Keep);
        }
        if self.behavior == Behavior::Fail {
            return Err(ConnectError::data(
                "record is a tombstone, and TombstoneHandler has behavior=fail",
            ));
        }
        if self.behavior == Behavior::Warn && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(topic = %record.topic, "tombstone dropped; those that follow are not said");
        } else {
            tracing::debug!(topic = %record.topic, "tombstone dropped");
        }
        Ok(Outcome::Drop)
    }
}
