//! Placeholder until the room is furnished.
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Properties(BTreeMap<String, Option<String>>);

impl Properties {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_deref()
    }
}

#[derive(Clone, Debug, Default)]
pub struct ConfigDef;
