//! Checks of one value: the validators of `ConfigDef`, with their messages and descriptions.
//!
//! Lives here: what a validator accepts and says. How it prints is what the reference page shows.
//! Never here: checks across keys; they are a function beside the table.

use std::fmt;
use std::sync::Arc;

use crate::java_number::double_to_string;
use crate::java_string::hash_set_order;
use crate::{ConfigException, ConfigValueData};

/// An end of a range. Prints as the Java number prints: `1`, `0.4`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Integer(i64),
    Double(f64),
}

impl Bound {
    /// Ranges are compared as doubles, so the ends of LONG ranges beyond 2^53 are not sharp. Java's are not.
    fn as_double(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Double(value) => f.write_str(&double_to_string(*value)),
        }
    }
}

impl From<i64> for Bound {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Bound {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Bound {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

type Check = dyn Fn(&str, &ConfigValueData) -> Result<(), ConfigException> + Send + Sync;

/// A check of one value. `Display` is Java's `toString`, which documentation shows as valid values.
#[derive(Clone)]
pub struct Validator(Kind);

#[derive(Clone)]
enum Kind {
    Range {
        min: Option<Bound>,
        max: Option<Bound>,
    },
    In(Vec<String>),
    /// Upper case, in the order in which Java walks its set of them.
    InIgnoringCase(Vec<String>),
    /// No values: any value.
    ValidList {
        values: Vec<String>,
        empty_allowed: bool,
        null_allowed: bool,
    },
    NonNull,
    NonEmpty,
    NonEmptyWithoutControlChars,
    AtMostOfSize(i32),
    All(Vec<Validator>),
    OrNull(Box<Validator>),
    Custom {
        description: Arc<str>,
        check: Arc<Check>,
    },
}

impl Validator {
    /// `Range.atLeast`.
    pub fn at_least(min: impl Into<Bound>) -> Self {
        Self(Kind::Range {
            min: Some(min.into()),
            max: None,
        })
    }

    /// `Range.between`, both ends included.
    pub fn between(min: impl Into<Bound>, max: impl Into<Bound>) -> Self {
        Self(Kind::Range {
            min: Some(min.into()),
            max: Some(max.into()),
        })
    }

    /// `ValidString.in`. Refuses null.
    pub fn in_values<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        Self(Kind::In(values.into_iter().map(S::into).collect()))
    }

    /// `CaseInsensitiveValidString.in`. Refuses null; messages list the values in upper case, in the
    /// order of a Java hash set.
    pub fn in_ignoring_case<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        let upper = values.into_iter().map(|value| value.into().to_uppercase());
        Self(Kind::InIgnoringCase(hash_set_order(upper)))
    }

    /// `ValidList.in`: a list without duplicates of these values. Refuses null.
    ///
    /// Parsing drops duplicates before this check and warns; validation reports them.
    /// Panics: when neither values nor an empty list are allowed, which is a bug in the table.
    pub fn list_in<S: Into<String>>(
        empty_allowed: bool,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values: Vec<String> = values.into_iter().map(S::into).collect();
        assert!(
            empty_allowed || !values.is_empty(),
            "At least one valid string must be provided when empty values are not allowed"
        );
        Self(Kind::ValidList {
            values,
            empty_allowed,
            null_allowed: false,
        })
    }

    /// `ValidList.anyNonDuplicateValues`: a list without duplicates and without empty texts.
    pub fn any_non_duplicate_values(empty_allowed: bool, null_allowed: bool) -> Self {
        Self(Kind::ValidList {
            values: Vec::new(),
            empty_allowed,
            null_allowed,
        })
    }

    /// `NonNullValidator`.
    pub fn non_null() -> Self {
        Self(Kind::NonNull)
    }

    /// `NonEmptyString`. Accepts null.
    pub fn non_empty() -> Self {
        Self(Kind::NonEmpty)
    }

    /// `NonEmptyStringWithoutControlChars`. Accepts null.
    pub fn non_empty_without_control_chars() -> Self {
        Self(Kind::NonEmptyWithoutControlChars)
    }

    /// `ListSize.atMostOfSize`.
    pub fn at_most_of_size(max_size: i32) -> Self {
        Self(Kind::AtMostOfSize(max_size))
    }

    /// `CompositeValidator.of`: the first message wins.
    pub fn all(validators: impl IntoIterator<Item = Validator>) -> Self {
        Self(Kind::All(validators.into_iter().collect()))
    }

    /// `LambdaValidator.with`: `check` gets the name of the key and the value, null too.
    pub fn custom<F>(description: &str, check: F) -> Self
    where
        F: Fn(&str, &ConfigValueData) -> Result<(), ConfigException> + Send + Sync + 'static,
    {
        Self(Kind::Custom {
            description: description.into(),
            check: Arc::new(check),
        })
    }

    /// The same validator for keys that may be null.
    pub fn or_null(self) -> Self {
        Self(Kind::OrNull(Box::new(self)))
    }

    /// `Validator.ensureValid`.
    ///
    /// Where Java fails with a class cast or a null pointer, because the validator does not go with
    /// the key's type, this is an error that says so.
    pub fn ensure_valid(&self, name: &str, value: &ConfigValueData) -> Result<(), ConfigException> {
        let invalid = |reason: &str| Err(ConfigException::invalid(name, value, reason));
        match &self.0 {
            Kind::Range { min, max } => {
                let number = match value {
                    ConfigValueData::Null => return invalid("Value must be non-null"),
                    ConfigValueData::Int(number) => f64::from(*number),
                    ConfigValueData::Short(number) => f64::from(*number),
                    ConfigValueData::Long(number) => *number as f64,
                    ConfigValueData::Double(number) => *number,
                    other => return Err(unfit(name, other, "a number")),
                };
                // Written so that NaN passes, as in Java.
                if let Some(min) = min.filter(|min| number < min.as_double()) {
                    return invalid(&format!("Value must be at least {min}"));
                }
                if let Some(max) = max.filter(|max| number > max.as_double()) {
                    return invalid(&format!("Value must be no more than {max}"));
                }
                Ok(())
            }
            Kind::In(values) => {
                if string_or_null(name, value)?
                    .is_some_and(|text| values.iter().any(|known| known == text))
                {
                    return Ok(());
                }
                invalid(&format!("String must be one of: {}", values.join(", ")))
            }
            Kind::InIgnoringCase(values) => {
                if string_or_null(name, value)?
                    .is_some_and(|text| values.contains(&text.to_uppercase()))
                {
                    return Ok(());
                }
                invalid(&format!(
                    "String must be one of (case insensitive): {}",
                    values.join(", ")
                ))
            }
            Kind::ValidList {
                values,
                empty_allowed,
                null_allowed,
            } => ensure_valid_list(name, value, values, *empty_allowed, *null_allowed),
            Kind::NonNull if value.is_null() => invalid("entry must be non null"),
            Kind::NonNull => Ok(()),
            Kind::NonEmpty if string_or_null(name, value)? == Some("") => {
                invalid("String must be non-empty")
            }
            Kind::NonEmpty => Ok(()),
            Kind::NonEmptyWithoutControlChars => {
                let Some(text) = string_or_null(name, value)? else {
                    return Ok(());
                };
                if text.is_empty() {
                    return invalid("String may not be empty");
                }
                let codes: Vec<String> = text
                    .chars()
                    .filter(|c| c.is_control())
                    .map(|c| u32::from(c).to_string())
                    .collect();
                if codes.is_empty() {
                    return Ok(());
                }
                invalid(&format!(
                    "String may not contain control sequences but had the following ASCII chars: {}",
                    codes.join(", ")
                ))
            }
            Kind::AtMostOfSize(max_size) => match value {
                ConfigValueData::Null => invalid("Value must be non-null"),
                ConfigValueData::List(items) if i64::from(*max_size) < items.len() as i64 => {
                    invalid(&format!("exceeds maximum list size of [{max_size}]."))
                }
                ConfigValueData::List(_) => Ok(()),
                other => Err(unfit(name, other, "a list")),
            },
            Kind::All(validators) => validators
                .iter()
                .try_for_each(|validator| validator.ensure_valid(name, value)),
            Kind::OrNull(_) if value.is_null() => Ok(()),
            Kind::OrNull(validator) => validator.ensure_valid(name, value),
            Kind::Custom { check, .. } => check(name, value),
        }
    }

    /// Whether parsing drops duplicates of a list before this check.
    pub(crate) fn drops_duplicates(&self) -> bool {
        match &self.0 {
            Kind::ValidList { .. } => true,
            Kind::OrNull(validator) => validator.drops_duplicates(),
            _ => false,
        }
    }
}

fn unfit(name: &str, value: &ConfigValueData, expected: &str) -> ConfigException {
    let found = value.config_type().map_or("null", |found| found.name());
    ConfigException::invalid(
        name,
        value,
        format!("the validator expects {expected}, found {found}"),
    )
}

fn string_or_null<'a>(
    name: &str,
    value: &'a ConfigValueData,
) -> Result<Option<&'a str>, ConfigException> {
    match value {
        ConfigValueData::Null => Ok(None),
        ConfigValueData::String(text) => Ok(Some(text)),
        other => Err(unfit(name, other, "a string")),
    }
}

fn ensure_valid_list(
    name: &str,
    value: &ConfigValueData,
    values: &[String],
    empty_allowed: bool,
    null_allowed: bool,
) -> Result<(), ConfigException> {
    let fail = |what: &str| {
        Err(ConfigException::new(format!(
            "Configuration '{name}' {what}"
        )))
    };
    let items = match value {
        ConfigValueData::Null if null_allowed => return Ok(()),
        ConfigValueData::Null => return fail("values must not be null."),
        ConfigValueData::List(items) => items,
        other => return Err(unfit(name, other, "a list")),
    };
    if items.is_empty() && !empty_allowed {
        let valid = match values {
            [] => "any non-empty value".to_owned(),
            values => format!("[{}]", values.join(", ")),
        };
        return fail(&format!("must not be empty. Valid values include: {valid}"));
    }
    if (1..items.len()).any(|at| items[..at].contains(&items[at])) {
        return fail("values must not be duplicated.");
    }
    for item in items {
        if item.is_empty() {
            return fail("values must not be empty.");
        }
        if !values.is_empty() && !values.contains(item) {
            let reason = format!("String must be one of: {}", values.join(", "));
            return Err(ConfigException::invalid(name, item, reason));
        }
    }
    Ok(())
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Range {
                min: None,
                max: None,
            } => f.write_str("[...]"),
            Kind::Range {
                min: None,
                max: Some(max),
            } => write!(f, "[...,{max}]"),
            Kind::Range {
                min: Some(min),
                max: None,
            } => write!(f, "[{min},...]"),
            Kind::Range {
                min: Some(min),
                max: Some(max),
            } => write!(f, "[{min},...,{max}]"),
            Kind::In(values) => write!(f, "[{}]", values.join(", ")),
            Kind::InIgnoringCase(values) => write!(f, "(case insensitive) [{}]", values.join(", ")),
            Kind::ValidList { values, .. } if values.is_empty() => Ok(()),
            Kind::ValidList { values, .. } => write!(f, "[{}]", values.join(", ")),
            Kind::NonNull => f.write_str("non-null string"),
            Kind::NonEmpty => f.write_str("non-empty string"),
            Kind::NonEmptyWithoutControlChars => {
                f.write_str("non-empty string without ISO control characters")
            }
            Kind::AtMostOfSize(size) => write!(f, "List containing maximum of {size} elements"),
            Kind::All(validators) => {
                let descriptions: Vec<String> =
                    validators.iter().map(Validator::to_string).collect();
                f.write_str(&descriptions.join(", "))
            }
            Kind::OrNull(validator) => write!(f, "null or {validator}"),
            Kind::Custom { description, .. } => f.write_str(description),
        }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Validator({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are the messages of `CaseInsensitiveValidString.in(values).ensureValid("k", "?")`.
    #[test]
    fn values_are_listed_in_the_order_of_a_java_hash_set() {
        for line in include_str!("../tests/data/hash_set.jsonl").lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let values = row["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| value.as_str().unwrap());
            let validator = Validator::in_ignoring_case(values);
            let error = validator
                .ensure_valid("k", &ConfigValueData::from("?"))
                .unwrap_err();
            assert_eq!(error.message(), row["message"].as_str().unwrap());
        }
    }

    #[test]
    fn descriptions_are_those_of_java() {
        let rows = [
            (Validator::at_least(0), "[0,...]"),
            (Validator::between(0, 0.5), "[0,...,0.5]"),
            (Validator::in_values(["a", "b"]), "[a, b]"),
            (
                Validator::in_ignoring_case(["none", "all"]),
                "(case insensitive) [ALL, NONE]",
            ),
            (Validator::any_non_duplicate_values(true, true), ""),
            (
                Validator::at_most_of_size(2),
                "List containing maximum of 2 elements",
            ),
            (
                Validator::all([Validator::non_null(), Validator::non_empty()]),
                "non-null string, non-empty string",
            ),
        ];
        for (validator, expected) in rows {
            assert_eq!(validator.to_string(), expected);
        }
    }

    #[test]
    fn a_validator_on_the_wrong_type_is_an_error_and_shows_no_secret() {
        let secret = ConfigValueData::Password(crate::Password::new("s3cret"));
        for validator in [
            Validator::at_least(0),
            Validator::in_values(["a"]),
            Validator::in_ignoring_case(["a"]),
            Validator::any_non_duplicate_values(true, true),
            Validator::non_empty(),
            Validator::non_empty_without_control_chars(),
            Validator::at_most_of_size(1),
        ] {
            let message = validator
                .ensure_valid("k", &secret)
                .unwrap_err()
                .into_message();
            assert!(
                message.starts_with("Invalid value [hidden] for configuration k: "),
                "{message}"
            );
        }
    }
}
