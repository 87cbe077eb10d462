//! What a configuration value is once it has been parsed: its type and its data.
//!
//! Lives here: the nine types of `ConfigDef`, the values of each, how they print.
//! Never here: parsing (`parse_type`), Rust types chosen by a connector (`from_config`).

use std::fmt;

use crate::java_number::double_to_string;

/// `ConfigDef.Type`. Prints as Kafka's REST API names it: `BOOLEAN`, `STRING`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A secret. `Debug` and `Display` print `[hidden]`; only [`Password::value`] gives the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Password(String);

impl Password {
    pub const HIDDEN: &'static str = "[hidden]";

    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself. Never put it into a log line, an error or an HTTP answer.
    pub fn value(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::HIDDEN)
    }
}

/// Full name of a class, as a class resolver answered it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassName(String);

impl ClassName {
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot, nested class included: `InsertField$Value`.
    pub fn simple_name(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A parsed value, or null.
///
/// Prints as Java's `String.valueOf` prints the object in messages (`[a, b]`, `1.0E10`, `[hidden]`),
/// except that a class prints its bare name, where Java puts `class ` or `interface ` before it.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValueData {
    Null,
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(ClassName),
    Password(Password),
}

impl ConfigValueData {
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// `None` for null, which is a value of every type.
    pub const fn config_type(&self) -> Option<ConfigType> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => ConfigType::Boolean,
            Self::String(_) => ConfigType::String,
            Self::Int(_) => ConfigType::Int,
            Self::Short(_) => ConfigType::Short,
            Self::Long(_) => ConfigType::Long,
            Self::Double(_) => ConfigType::Double,
            Self::List(_) => ConfigType::List,
            Self::Class(_) => ConfigType::Class,
            Self::Password(_) => ConfigType::Password,
        })
    }

    /// `ConfigDef.convertToString`: the text as REST answers show it. Lists are joined with commas
    /// only, secrets are hidden, null has no text.
    pub fn to_config_string(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::List(items) => Some(items.join(",")),
            other => Some(other.to_string()),
        }
    }
}

impl fmt::Display for ConfigValueData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::String(value) => f.write_str(value),
            Self::Int(value) => value.fmt(f),
            Self::Short(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Double(value) => f.write_str(&double_to_string(*value)),
            Self::List(items) => write!(f, "[{}]", items.join(", ")),
            Self::Class(name) => name.fmt(f),
            Self::Password(secret) => secret.fmt(f),
        }
    }
}

impl From<&str> for ConfigValueData {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for ConfigValueData {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<ClassName> for ConfigValueData {
    fn from(name: ClassName) -> Self {
        Self::Class(name)
    }
}

impl From<bool> for ConfigValueData {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i32> for ConfigValueData {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}
