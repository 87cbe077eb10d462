//! What is wrong with a configuration, in Kafka's words.
//!
//! Lives here: one message (`ConfigException`), and all messages of a configuration by key.
//! Never here: secrets. A message shows the value as `ConfigValueData` prints it, passwords hidden.

use std::fmt;

/// One message about one key, with the text of Kafka's `ConfigException`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigException {
    message: String,
}

impl ConfigException {
    /// A message that stands for itself.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// `Invalid value <value> for configuration <name>: <reason>`.
    pub fn invalid(name: &str, value: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::new(format!(
            "Invalid value {value} for configuration {name}: {reason}"
        ))
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::new(format!(
            "Missing required configuration \"{name}\" which has no default value."
        ))
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn into_message(self) -> String {
        self.message
    }
}

/// Every bad key of a configuration with its messages, in the order in which they were found, which
/// for `ConfigDef::parse` is the order of definition.
///
/// Prints one line per message under a head line, each beginning with its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<(String, Vec<String>)>,
}

impl ConfigErrors {
    pub fn new() -> Self {
        Self::default()
    }

    /// The errors of a check that found one thing.
    pub fn of(key: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = Self::new();
        errors.add(key, message);
        errors
    }

    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        match self.errors.iter_mut().find(|(known, _)| *known == key) {
            Some((_, messages)) => messages.push(message.into()),
            None => self.errors.push((key, vec![message.into()])),
        }
    }

    pub fn merge(&mut self, other: ConfigErrors) {
        for (key, messages) in other.errors {
            for message in messages {
                self.add(key.as_str(), message);
            }
        }
    }

    /// The same errors with every key behind a prefix, for settings that were read without it.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let errors = self.errors.into_iter();
        let errors = errors.map(|(key, messages)| (format!("{prefix}{key}"), messages));
        Self {
            errors: errors.collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Number of messages.
    pub fn count(&self) -> usize {
        self.errors.iter().map(|(_, messages)| messages.len()).sum()
    }

    /// Bad keys with their messages.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.errors
            .iter()
            .map(|(key, messages)| (key.as_str(), messages.as_slice()))
    }

    /// Messages without their keys, which Kafka's messages name anyway.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.errors
            .iter()
            .flat_map(|(_, messages)| messages)
            .map(String::as_str)
    }

    /// The messages of one key; none when the key is fine.
    pub fn for_key(&self, key: &str) -> &[String] {
        self.errors
            .iter()
            .find(|(known, _)| known == key)
            .map_or(&[], |(_, messages)| messages)
    }

    /// `Err` when there is any error: the end of a check across keys.
    pub fn into_result<T>(self, value: T) -> Result<T, ConfigErrors> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "configuration is invalid, {count} error{plural}:")?;
        for (key, messages) in &self.errors {
            for message in messages {
                write!(f, "\n  {key}: {message}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
