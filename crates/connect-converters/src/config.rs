//! What the settings of all converters have in common.
//!
//! Lives here: the key that the framework sets (`converter.type`), and errors in one form.
//! Source: `ConverterConfig` of Apache Kafka 4.3.1.

use connect_api::{ConnectError, ConverterType, Result};
use connect_config::{
    ConfigDef, ConfigEnum, ConfigErrors, Importance, Key, ParsedConfig, Properties,
};

/// `converter.type`. The framework sets it; it is in the table because Kafka Connect shows it there.
pub const TYPE: Key<TypeName> = Key::new("converter.type");

/// [`ConverterType`] as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeName(pub ConverterType);

impl ConfigEnum for TypeName {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("key", TypeName(ConverterType::Key)),
        ("value", TypeName(ConverterType::Value)),
        ("header", TypeName(ConverterType::Header)),
    ];
}

/// The table that every converter's begins with.
pub(crate) fn converter_config_def() -> ConfigDef {
    let doc = "How this converter will be used.";
    ConfigDef::new().define(TYPE.required().importance(Importance::Low).doc(doc))
}

/// Reads the settings of a converter of that type.
///
/// Fails: with Java's message for the first bad key; those of other bad keys are its cause.
pub(crate) fn parse(
    def: &ConfigDef,
    configs: &Properties,
    converter_type: ConverterType,
) -> Result<ParsedConfig> {
    let mut configs = configs.clone();
    let word = TypeName::WORDS
        .iter()
        .find(|(_, meaning)| meaning.0 == converter_type);
    let (word, _) = word.expect("every type has a word");
    configs.set(TYPE.name(), *word);
    def.parse(&configs).map_err(config_error)
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
