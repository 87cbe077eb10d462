//! Types and validators of properties, with the messages of Java's `ConfigDef`.
//!
//! Lives here: text to value, one key at a time.
//! Never here: a check across keys.

/// Types of `ConfigDef.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Short,
    Int,
    Long,
    Double,
    Text,
    List,
    Class,
    Password,
}

/// Validators of `ConfigDef`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    BetweenDoubles(f64, f64),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    NotEmpty,
    NotEmptyList,
    /// 1 to 9, or -1 for the default of the library.
    GzipLevel,
    OffsetReset,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Number(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

/// Parses and validates as Java does. `Err` is Java's whole message; it never contains a password.
pub(super) fn parse(name: &str, kind: Type, valid: Valid, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let invalid = |reason: &str| {
        Err(format!(
            "Invalid value {text} for configuration {name}: {reason}"
        ))
    };
    let value = match kind {
        Type::Bool if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Type::Bool if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        Type::Bool => return invalid("Expected value to be either true or false"),
        Type::Short => match text.parse::<i16>() {
            Ok(number) => Value::Number(number.into()),
            Err(_) => return invalid("Not a number of type SHORT"),
        },
        Type::Int => match text.parse::<i32>() {
            Ok(number) => Value::Number(number.into()),
            Err(_) => return invalid("Not a number of type INT"),
        },
        Type::Long => match text.parse::<i64>() {
            Ok(number) => Value::Number(number),
            Err(_) => return invalid("Not a number of type LONG"),
        },
        Type::Double => match text.parse::<f64>() {
            Ok(number) => Value::Double(number),
            Err(_) => return invalid("Not a number of type DOUBLE"),
        },
        Type::Text | Type::Class | Type::Password => Value::Text(text.to_owned()),
        Type::List if text.is_empty() => Value::List(Vec::new()),
        Type::List => Value::List(text.split(',').map(|item| item.trim().to_owned()).collect()),
    };
    match check(name, valid, &value) {
        Ok(()) => Ok(value),
        Err(Failure::Message(message)) => Err(message),
        // Java prints what it parsed: 2.0 for 2.
        Err(Failure::Reason(reason)) => match value {
            Value::Double(number) => Err(format!(
                "Invalid value {number:?} for configuration {name}: {reason}"
            )),
            _ => invalid(&reason),
        },
    }
}

enum Failure {
    /// Completes `Invalid value … for configuration …: `.
    Reason(String),
    /// Java's validators for lists write the whole sentence.
    Message(String),
}

fn check(name: &str, valid: Valid, value: &Value) -> Result<(), Failure> {
    let reason = |text: String| Err(Failure::Reason(text));
    match (valid, value) {
        (Valid::AtLeast(min) | Valid::Between(min, _), Value::Number(number)) if *number < min => {
            reason(format!("Value must be at least {min}"))
        }
        (Valid::Between(_, max), Value::Number(number)) if *number > max => {
            reason(format!("Value must be no more than {max}"))
        }
        (Valid::BetweenDoubles(min, _), Value::Double(number)) if *number < min => {
            reason(format!("Value must be at least {min:?}"))
        }
        (Valid::BetweenDoubles(_, max), Value::Double(number)) if *number > max => {
            reason(format!("Value must be no more than {max:?}"))
        }
        (Valid::OneOf(options), Value::Text(text)) if !options.contains(&text.as_str()) => {
            reason(format!("String must be one of: {}", options.join(", ")))
        }
        (Valid::OneOfIgnoringCase(options), Value::Text(text))
            if !options
                .iter()
                .any(|option| option.eq_ignore_ascii_case(text)) =>
        {
            reason(format!(
                "String must be one of (case insensitive): {}",
                options.join(", ")
            ))
        }
        (Valid::NotEmpty, Value::Text(text)) if text.is_empty() => {
            reason("String must be non-empty".to_owned())
        }
        (Valid::NotEmptyList, Value::List(list)) if list.is_empty() => {
            Err(Failure::Message(format!(
                "Configuration '{name}' must not be empty. Valid values include: any non-empty value"
            )))
        }
        (_, Value::List(list)) if list.iter().any(String::is_empty) => Err(Failure::Message(
            format!("Configuration '{name}' values must not be empty."),
        )),
        (Valid::GzipLevel, Value::Number(level)) if *level != -1 && !(1..=9).contains(level) => {
            reason("Value must be between 1 and 9 or equal to -1".to_owned())
        }
        (Valid::OffsetReset, Value::Text(text))
            if super::AutoOffsetReset::parse(text).is_none() =>
        {
            reason(format!(
                "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', \
                 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'."
            ))
        }
        _ => Ok(()),
    }
}
