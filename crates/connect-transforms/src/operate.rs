//! The half of a record that a transform works on, and what it must be.
//!
//! Lives here: key or value, Java's requirements with their messages, configuration errors, and the setting that
//! nearly all transforms have.
//! Source: `Requirements` and `SimpleConfig` of Apache Kafka 4.3.1.

use connect_api::data::{Map, Schema, Struct, Value};
use connect_api::{ConnectError, ConnectRecord, Result};
use connect_config::{
    ConfigDef, ConfigErrors, ConfigKey, Importance, Key, ParsedConfig, Properties,
};

/// Which half: the classes `…$Key` and `…$Value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

impl Part {
    pub fn value(self, record: &ConnectRecord) -> &Value {
        match self {
            Part::Key => &record.key,
            Part::Value => &record.value,
        }
    }

    pub fn slot(self, record: &mut ConnectRecord) -> (&mut Option<Schema>, &mut Value) {
        match self {
            Part::Key => (&mut record.key_schema, &mut record.key),
            Part::Value => (&mut record.value_schema, &mut record.value),
        }
    }
}

pub fn require_map<'a>(value: &'a mut Value, purpose: &str) -> Result<&'a mut Map> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(no_map(other, purpose)),
    }
}

#[cold]
pub fn no_map(found: &Value, purpose: &str) -> ConnectError {
    ConnectError::data(format!(
        "Only Map objects supported in absence of schema for [{purpose}], found: {}",
        found.java_class()
    ))
}

pub fn require_struct<'a>(value: &'a mut Value, purpose: &str) -> Result<&'a mut Struct> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => Err(no_struct(other, purpose)),
    }
}

#[cold]
pub fn no_struct(found: &Value, purpose: &str) -> ConnectError {
    ConnectError::data(format!(
        "Only Struct objects supported for [{purpose}], found: {}",
        found.java_class()
    ))
}

/// What `Schema.fields` throws for other types.
#[cold]
pub fn no_fields() -> ConnectError {
    ConnectError::data("Cannot list fields on non-struct type")
}

/// Maps without schema have texts as keys; Java fails to cast others.
#[cold]
pub fn key_is_no_text(key: &Value) -> ConnectError {
    ConnectError::data(format!(
        "class {} cannot be cast to class java.lang.String",
        key.java_class()
    ))
}

/// `class java.lang.Long`, as `Object.getClass` prints.
pub fn class_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => format!("class {}", other.java_class()),
    }
}

pub const REPLACE_NULL_WITH_DEFAULT: Key<bool> = Key::new("replace.null.with.default");

/// The row of [`REPLACE_NULL_WITH_DEFAULT`].
pub fn replace_null_with_default() -> ConfigKey {
    REPLACE_NULL_WITH_DEFAULT
        .default(true)
        .importance(Importance::Medium)
        .doc(
            "Whether a field that is null and has a default is read as its default. When false, null stays null.",
        )
}

/// The settings of a transform.
///
/// Fails: with Java's message for the first bad key; those of other bad keys are its cause.
pub fn parse(def: &ConfigDef, configs: &Properties) -> Result<ParsedConfig> {
    def.parse(configs).map_err(config_error)
}

fn config_error(errors: ConfigErrors) -> ConnectError {
    let mut messages = errors.messages();
    let error = ConnectError::config(messages.next().unwrap_or("configuration is invalid"));
    let others: Vec<&str> = messages.collect();
    if others.is_empty() {
        return error;
    }
    error.caused_by(others.join("; "))
}

/// The present, which two-digit years are counted from. Asked once, when a pattern is compiled.
pub fn now_ms() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |since| since.as_millis() as i64)
}
