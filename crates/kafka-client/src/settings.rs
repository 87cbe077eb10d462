//! Java client properties, read once into typed settings.
//!
//! Lives here: the parse of a property map against a table, errors, and the list of what was ignored.
//! Lives elsewhere: the tables (`keys`), types and validators (`value`), one file per client kind.
//! Never here: I/O, `${…}` references (resolved before), a default that differs from Java's without
//! saying so beside it.
//!
//! Every key of Kafka 4.3.1's `ProducerConfig`, `ConsumerConfig` and `AdminClientConfig` is in a
//! table and is either honoured, or ignored with a reason, or refused. Any other key is ignored with
//! the nearest known name. All errors are reported at once. Values of secrets are never printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

mod admin;
mod connection;
mod consumer;
mod keys;
mod producer;
mod value;

pub use admin::AdminSettings;
pub use connection::{
    ConnectionSettings, DnsLookup, HostPort, MetadataRecovery, RESPONSE_BYTES_MAX, SecurityProtocol,
};
pub use consumer::{Assignor, AutoOffsetReset, ConsumerSettings, GroupProtocol, IsolationLevel};
pub use producer::{Acks, Compression, Partitioner, ProducerSettings};

use crate::error::ClientError;
use keys::{Fate, KeyDef};
use value::Value;

/// Which of Java's three clients a property map is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    Producer,
    Consumer,
    Admin,
}

/// Whether Java's client of this kind has such a property, honoured here or not.
pub fn knows(kind: ClientKind, key: &str) -> bool {
    keys::find(kind, key).is_some()
}

/// Settings, and what of the input they do not reflect.
#[derive(Debug, Clone)]
pub struct Parsed<S> {
    pub settings: S,
    /// Sorted by key. Worth a log line each, at the level that [`Ignored::weight`] says.
    pub ignored: Vec<Ignored>,
}

/// A property that was given and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    pub key: String,
    pub reason: String,
    pub weight: Weight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It would make no difference here: serializers on a client of bytes, metrics of the JVM.
    Harmless,
    /// Somebody may expect an effect that does not come.
    Warning,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ignored: {}", self.key, self.reason)
    }
}

/// Everything that is wrong with a property map. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.printed())]
pub struct SettingsErrors(pub Vec<SettingsError>);

/// One thing that is wrong, in Java's words where Java has words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    pub key: String,
    pub message: String,
}

impl SettingsErrors {
    fn printed(&self) -> String {
        let messages: Vec<&str> = self.0.iter().map(|error| error.message.as_str()).collect();
        messages.join("; ")
    }
}

impl From<SettingsErrors> for ClientError {
    fn from(errors: SettingsErrors) -> Self {
        ClientError::config(errors.to_string())
    }
}

/// A property map that was checked against the table of a client kind, key by key.
///
/// The typed getters answer the given value or the default, and a harmless value of the right type
/// for a key that is in `errors`, so that checks across keys can go on.
pub(crate) struct Properties {
    kind: ClientKind,
    values: BTreeMap<&'static str, Value>,
    given: BTreeMap<&'static str, String>,
    ignored: Vec<Ignored>,
    errors: Vec<SettingsError>,
}

impl Properties {
    pub(crate) fn read<K, V>(kind: ClientKind, input: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut properties = Self {
            kind,
            values: BTreeMap::new(),
            given: BTreeMap::new(),
            ignored: Vec::new(),
            errors: Vec::new(),
        };
        // A map first: the last value of a key wins, and reports are sorted.
        let input: BTreeMap<String, String> = input
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        for (key, value) in input {
            match keys::find(kind, &key) {
                Some(known) => properties.take(known, value),
                None => properties.ignored.push(Ignored {
                    reason: keys::unknown(kind, &key),
                    key,
                    weight: Weight::Warning,
                }),
            }
        }
        for known in keys::all(kind).filter(|known| known.is_required()) {
            if !properties.given.contains_key(known.name) {
                let message = format!(
                    "Missing required configuration \"{}\" which has no default value.",
                    known.name
                );
                properties.error(known.name, message);
            }
        }
        properties
    }

    fn take(&mut self, known: &'static KeyDef, value: String) {
        match known.parse(&value) {
            Ok(parsed) => _ = self.values.insert(known.name, parsed),
            Err(message) => self.error(known.name, message),
        }
        if let Fate::Ignored(weight, reason) = known.fate {
            self.ignored.push(Ignored {
                key: known.name.to_owned(),
                reason: reason.to_owned(),
                weight,
            });
        }
        self.given.insert(known.name, value);
    }

    pub(crate) fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(SettingsError {
            key: key.to_owned(),
            message: message.into(),
        });
    }

    pub(crate) fn ignore(&mut self, key: &str, weight: Weight, reason: impl Into<String>) {
        self.ignored.push(Ignored {
            key: key.to_owned(),
            reason: reason.into(),
            weight,
        });
    }

    pub(crate) fn finish<S>(mut self, settings: S) -> Result<Parsed<S>, SettingsErrors> {
        if !self.errors.is_empty() {
            return Err(SettingsErrors(self.errors));
        }
        self.ignored.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Parsed {
            settings,
            ignored: self.ignored,
        })
    }

    pub(crate) fn kind(&self) -> ClientKind {
        self.kind
    }

    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// Keys that were given, in order.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        self.given.keys().copied().collect()
    }

    fn value(&self, key: &str) -> Value {
        match self.values.get(key) {
            Some(value) => value.clone(),
            None => keys::find(self.kind, key)
                .unwrap_or_else(|| panic!("{key} is not in the table of {:?}", self.kind))
                .default_value(),
        }
    }

    pub(crate) fn bool(&self, key: &str) -> bool {
        matches!(self.value(key), Value::Bool(true))
    }

    pub(crate) fn int(&self, key: &str) -> i64 {
        match self.value(key) {
            Value::Number(number) => number,
            _ => 0,
        }
    }

    pub(crate) fn usize(&self, key: &str) -> usize {
        usize::try_from(self.int(key)).unwrap_or(0)
    }

    /// Milliseconds; a negative number counts as none.
    pub(crate) fn duration(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.int(key)).unwrap_or(0))
    }

    /// `None` when there is neither a value nor a default.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.value(key) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Value::List(list) => list,
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
