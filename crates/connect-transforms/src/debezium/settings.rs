//! Debezium's way of reading a configuration, which differs from Kafka's `ConfigDef` in what it accepts and says.
//!
//! Lives here: one row per key ([`Setting`]), from which come the documentation, the checks with Debezium's
//! messages and the typed reading.
//! Never here: a key of one transform.
//! Source: `io.debezium.config.Field` and `Configuration`, 3.7.0.Final.

use super::java_hash;
use super::java_split::split;
use connect_api::{ConnectError, Result};
use connect_config::{
    ConfigDef, ConfigKey, ConfigType, DefaultValue, Importance, JavaRegex, Properties,
};

/// One key of a transform.
pub(super) struct Setting {
    pub name: &'static str,
    pub config_type: ConfigType,
    /// What stands in for a missing key, as text.
    pub default: Option<&'static str>,
    pub checks: &'static [Check],
    pub importance: Importance,
    pub doc: &'static str,
}

/// What a text must be. A check of anything but presence passes where the key and its default are missing.
pub(super) enum Check {
    Required,
    Boolean,
    Int,
    PositiveInt,
    /// One of these words, trimmed, in any case.
    Enum(&'static [&'static str]),
    Regex,
    ListOfRegex,
    NoEmptyElements,
    NoSpaces,
    /// `column:placement` or `column:placement:alias`, as the outbox names additional fields.
    PairsOrTrios,
    Custom(fn(&Settings<'_>) -> Option<String>),
}

/// A configuration seen through the table of its keys.
pub(super) struct Settings<'a> {
    table: &'static [Setting],
    props: &'a Properties,
}

/// The table as everybody else reads it: documentation, defaults, forms.
pub(super) fn config_def(table: &'static [Setting]) -> ConfigDef {
    table.iter().fold(ConfigDef::new(), |def, setting| {
        let required = setting
            .checks
            .iter()
            .any(|check| matches!(check, Check::Required));
        let default = match setting.default {
            None if required => DefaultValue::Required,
            None => DefaultValue::Value(connect_config::ConfigValueData::Null),
            Some(text) => {
                let parsed = connect_config::parse_type(
                    setting.name,
                    Some(text),
                    setting.config_type,
                    &connect_config::AnyClass,
                );
                DefaultValue::Value(parsed.expect("a default of a table is of its key's type"))
            }
        };
        def.define(
            ConfigKey::new(setting.name, setting.config_type)
                .default_value(default)
                .importance(setting.importance)
                .doc(setting.doc),
        )
    })
}

impl<'a> Settings<'a> {
    pub(super) fn new(table: &'static [Setting], props: &'a Properties) -> Self {
        Self { table, props }
    }

    /// Every key is checked, and any problem is the same error.
    ///
    /// Fails: with `Unable to validate config.`, a ConnectException in Java, so an error of kind Data.
    pub(super) fn validate_and_record(&self) -> Result<()> {
        let mut problems = self.table.iter().filter_map(|row| self.problem(row));
        match problems.next() {
            None => Ok(()),
            Some(problem) => {
                Err(ConnectError::data("Unable to validate config.").caused_by(problem))
            }
        }
    }

    /// Every key is checked; the first bad one in the order of Java's `HashMap` is named.
    pub(super) fn validate(&self) -> Result<()> {
        let mut rows: Vec<&Setting> = self.table.iter().collect();
        let size = rows.len();
        java_hash::sort_as_hash_map(&mut rows, size, |row| java_hash::of_text(row.name));
        for row in rows {
            if let Some(problem) = self.problem(row) {
                let value = self.props.get(row.name).unwrap_or("null");
                return Err(ConnectError::config(format!(
                    "Invalid value {value} for configuration {}: The '{}' value is invalid: {problem}",
                    row.name, row.name
                )));
            }
        }
        Ok(())
    }

    fn problem(&self, row: &Setting) -> Option<String> {
        row.checks.iter().find_map(|check| self.failed(row, check))
    }

    fn failed(&self, row: &Setting, check: &Check) -> Option<String> {
        let value = self.props.get(row.name).or(row.default);
        let says = |bad: bool, problem: &str| bad.then(|| problem.to_string());
        match (check, value) {
            (Check::Custom(check), _) => check(self),
            (Check::Required, value) => says(
                value.is_none_or(|text| java_trim(text).is_empty()),
                "A value is required",
            ),
            (_, None) => None,
            (Check::Boolean, Some(text)) => says(
                parse_boolean(text).is_none(),
                "Either 'true' or 'false' is expected",
            ),
            (Check::Int, Some(text)) => says(parse_int(text).is_none(), "An integer is expected"),
            (Check::PositiveInt, Some(text)) => says(
                parse_int(text).is_none_or(|number| number <= 0),
                "A positive, non-zero integer value is expected",
            ),
            (Check::Enum(words), Some(text)) => {
                let word = java_trim(text).to_lowercase();
                (!words.contains(&word.as_str()))
                    .then(|| format!("Value must be one of {}", words.join(", ")))
            }
            (Check::Regex, Some(text)) => JavaRegex::new(text)
                .err()
                .map(|cause| format!("A valid regular expressions is expected, but {cause}")),
            (Check::ListOfRegex, Some(text)) => split(text, ',').into_iter().find_map(|item| {
                let failed = JavaRegex::new(java_trim(item)).err()?;
                Some(format!(
                    "A comma-separated list of valid regular expressions is expected, but {failed}"
                ))
            }),
            (Check::NoEmptyElements, Some(text)) => says(
                list_of(text).contains(&""),
                "Empty string element(s) not permitted",
            ),
            (Check::NoSpaces, Some(text)) => says(
                list_of(text).iter().any(|item| item.contains(' ')),
                "Element(s) containing space not permitted",
            ),
            (Check::PairsOrTrios, Some(text)) => {
                let items = split(text, ',');
                let bad = |item: &&str| !(2..=3).contains(&split(item, ':').len());
                items.iter().any(bad).then(|| {
                    format!(
                        "A comma-separated list of valid String pairs or trios is expected but got: [{}]",
                        items.join(", ")
                    )
                })
            }
        }
    }

    /// The text of a key as it was written, else its default. Not trimmed.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.props.get(name).or_else(|| self.default_of(name))
    }

    /// Whether the key itself has a text.
    pub(super) fn has(&self, name: &str) -> bool {
        self.props.get(name).is_some()
    }

    /// The default for a text that is no truth value.
    pub(super) fn boolean(&self, name: &str) -> bool {
        let given = self.props.get(name).and_then(parse_boolean);
        given
            .or_else(|| self.default_of(name).and_then(parse_boolean))
            .unwrap_or(false)
    }

    pub(super) fn int(&self, name: &str) -> Option<i32> {
        self.text(name).and_then(parse_int)
    }

    /// Split at commas and trimmed; empty without a text.
    pub(super) fn list(&self, name: &str) -> Vec<&'a str> {
        self.text(name).map(list_of).unwrap_or_default()
    }

    /// The word of an enum in lower case.
    pub(super) fn word(&self, name: &str) -> String {
        java_trim(self.text(name).unwrap_or_default()).to_lowercase()
    }

    fn default_of(&self, name: &str) -> Option<&'static str> {
        self.table
            .iter()
            .find(|row| row.name == name)
            .and_then(|row| row.default)
    }
}

/// `String.trim`: every character up to the blank goes.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn list_of(text: &str) -> Vec<&str> {
    split(text, ',').into_iter().map(java_trim).collect()
}

fn parse_boolean(text: &str) -> Option<bool> {
    match java_trim(text).to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// `Integer.parseInt`: nothing around the digits.
pub(super) fn parse_int(text: &str) -> Option<i32> {
    text.parse().ok()
}
