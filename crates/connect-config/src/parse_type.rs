//! Text to value: `ConfigDef.parseType`.
//!
//! Lives here: what each type accepts, and the message when it does not.
//! Never here: which classes exist; a [`ClassResolver`] knows.

use crate::java_number::{parse_double, parse_integer};
use crate::java_string::{equals_ignore_case, is_regex_space, trim};
use crate::{ClassName, ConfigException, ConfigType, ConfigValueData, Password};

/// Knows which classes exist. A closure from name to `bool` is one, for callers without aliases.
pub trait ClassResolver {
    /// The class's full name when `name`, which may be an alias, means a class.
    fn resolve(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> bool> ClassResolver for F {
    fn resolve(&self, name: &str) -> Option<String> {
        self(name).then(|| name.to_owned())
    }
}

/// Takes every name for a class, for callers who look it up later.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyClass;

impl ClassResolver for AnyClass {
    fn resolve(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}

/// The value of a text as `config_type`; null stays null for every type.
///
/// The text is trimmed first (characters up to U+0020, as Java does), strings and passwords too; an
/// error shows it untrimmed. Source: `ConfigDef.parseType` of Apache Kafka 4.3.
pub fn parse_type(
    name: &str,
    text: Option<&str>,
    config_type: ConfigType,
    classes: &dyn ClassResolver,
) -> Result<ConfigValueData, ConfigException> {
    let Some(text) = text else {
        return Ok(ConfigValueData::Null);
    };
    let trimmed = trim(text);
    let value = match config_type {
        ConfigType::Boolean => parse_boolean(trimmed).map(ConfigValueData::Boolean),
        ConfigType::String => Some(ConfigValueData::String(trimmed.to_owned())),
        ConfigType::Int => integer(trimmed).map(ConfigValueData::Int),
        ConfigType::Short => integer(trimmed).map(ConfigValueData::Short),
        ConfigType::Long => integer(trimmed).map(ConfigValueData::Long),
        ConfigType::Double => parse_double(trimmed).map(ConfigValueData::Double),
        ConfigType::List => Some(ConfigValueData::List(parse_list(trimmed))),
        ConfigType::Class => classes
            .resolve(trimmed)
            .map(|class| ConfigValueData::Class(ClassName::new(class))),
        ConfigType::Password => Some(ConfigValueData::Password(Password::new(trimmed))),
    };
    value.ok_or_else(|| {
        let reason = match config_type {
            ConfigType::Boolean => "Expected value to be either true or false".to_owned(),
            ConfigType::Class => format!("Class {text} could not be found."),
            number => format!("Not a number of type {number}"),
        };
        ConfigException::invalid(name, text, reason)
    })
}

fn parse_boolean(text: &str) -> Option<bool> {
    if equals_ignore_case(text, "true") {
        Some(true)
    } else if equals_ignore_case(text, "false") {
        Some(false)
    } else {
        None
    }
}

trait Integer: TryFrom<i64> {
    const RANGE: (i64, i64);
}

impl Integer for i16 {
    const RANGE: (i64, i64) = (i16::MIN as i64, i16::MAX as i64);
}

impl Integer for i32 {
    const RANGE: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
}

impl Integer for i64 {
    const RANGE: (i64, i64) = (i64::MIN, i64::MAX);
}

fn integer<T: Integer>(text: &str) -> Option<T> {
    let (min, max) = T::RANGE;
    T::try_from(parse_integer(text, min, max)?).ok()
}

/// Splits at `\s*,\s*` and keeps empty parts, except that an empty text is an empty list.
fn parse_list(trimmed: &str) -> Vec<String> {
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed
        .split(',')
        .map(|item| item.trim_matches(is_regex_space).to_owned())
        .collect()
}
