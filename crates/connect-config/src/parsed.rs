//! A configuration after parsing: a value for every key of the definition.

use std::collections::BTreeMap;

use crate::{ConfigValueData, FromConfig, Key};

/// A value for every key of a [`ConfigDef`](crate::ConfigDef), defaults filled in.
///
/// `Debug` shows no secret, since passwords are [`Password`](crate::Password)s by now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParsedConfig {
    pub(crate) values: BTreeMap<String, ConfigValueData>,
    pub(crate) warnings: Vec<String>,
}

impl ParsedConfig {
    /// The typed value of a key.
    ///
    /// Panics: when the definition that was parsed does not define `key` with this Rust type, which is
    /// a bug in the table beside the key.
    pub fn get<T: FromConfig>(&self, key: Key<T>) -> T {
        match self.try_get(key) {
            Some(Ok(value)) => value,
            Some(Err(reason)) => {
                panic!("key {key} was not defined with the type it is read with: {reason}")
            }
            None => panic!("key {key} is not in the definition that was parsed"),
        }
    }

    /// The typed value of a key; `None` when it is not defined, an error when the value does not fit.
    /// For recommenders, which also see configurations with errors.
    pub fn try_get<T: FromConfig>(&self, key: Key<T>) -> Option<Result<T, String>> {
        self.values.get(key.name()).map(T::from_config)
    }

    /// The value of a key by name; `None` when it is not defined.
    pub fn value(&self, name: &str) -> Option<&ConfigValueData> {
        self.values.get(name)
    }

    /// All values in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ConfigValueData)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// What an operator should read although the configuration is valid, one sentence each: duplicates
    /// that were dropped from a list.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
