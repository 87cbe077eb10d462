//! What `ConfigDef` of Apache Kafka Connect answered: `vectors/config.jsonl`, every line.
//!
//! The folder is `MILLSTREAM_VECTORS` when that is set, else `vectors` of the workspace. The form of a
//! line is described in `vectors/README.md`.

use std::panic;
use std::path::PathBuf;

use connect_config::{
    ConfigDef, ConfigKey, ConfigType, ConfigValueData, Properties, Validator, parse_type,
};
use serde_json::Value;

/// The name that the recorded definitions give their only key.
const KEY: &str = "key";

#[test]
fn config_values_are_those_of_java() {
    let folder = std::env::var_os("MILLSTREAM_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors"),
        PathBuf::from,
    );
    let file = folder.join("config.jsonl");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("cannot read the vectors {}: {error}", file.display()));
    let (mut ran, mut equal) = (0, 0);
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line).expect("each line is a JSON object");
        ran += 1;
        match compare(&case, answer(&case)) {
            Ok(()) => equal += 1,
            Err(got) => println!("{}: expected {}, got {got}", case["id"], case["expect"]),
        }
    }
    // Past the capture of the test runner: the count is to be seen also when all is well.
    let count = format!("vectors config.jsonl: {equal} of {ran} equal\n");
    std::io::Write::write_all(&mut std::io::stdout(), count.as_bytes()).unwrap();
    assert!(ran > 0, "no vectors in {}", file.display());
    assert_eq!(
        equal,
        ran,
        "{} of {ran} vectors differ, see above",
        ran - equal
    );
}

/// The value, or the error's message.
fn answer(case: &Value) -> Result<ConfigValueData, String> {
    let config_type = config_type(case["config"].as_str().expect("`config` names a type"));
    let text = case.get("text").map(Value::as_str);
    let Some(validator) = case.get("validator") else {
        let text = text.expect("without a validator there is a text");
        return parse_type(KEY, text, config_type, &known_class).map_err(|error| error.to_string());
    };
    // A validator that cannot be made panics with Java's message.
    let validator = panic::catch_unwind(|| make_validator(validator)).map_err(|panic| {
        panic
            .downcast_ref::<&str>()
            .copied()
            .unwrap_or_default()
            .to_owned()
    })?;
    let mut key = ConfigKey::new(KEY, config_type);
    if let Some(validator) = validator {
        key = key.validator(validator);
    }
    let props: Properties = text.map(|text| (KEY, text)).into_iter().collect();
    match ConfigDef::new()
        .define(key)
        .parse_with(&props, &known_class)
    {
        Ok(parsed) => Ok(parsed.value(KEY).expect("the key is defined").clone()),
        Err(errors) => Err(errors.messages().collect::<Vec<_>>().join("\n")),
    }
}

fn known_class(name: &str) -> bool {
    name == "java.lang.String"
        || name == "java.util.Map$Entry"
        || name.starts_with("org.apache.kafka.")
}

fn config_type(name: &str) -> ConfigType {
    match name {
        "boolean" => ConfigType::Boolean,
        "string" => ConfigType::String,
        "int" => ConfigType::Int,
        "short" => ConfigType::Short,
        "long" => ConfigType::Long,
        "double" => ConfigType::Double,
        "list" => ConfigType::List,
        "class" => ConfigType::Class,
        "password" => ConfigType::Password,
        other => panic!("unknown type {other}"),
    }
}

fn make_validator(validator: &Value) -> Option<Validator> {
    let (name, argument) = validator
        .as_object()
        .and_then(|members| members.iter().next())
        .expect("`validator` has one member");
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().expect("a list of texts").iter();
        items
            .map(|item| item.as_str().expect("a text").to_owned())
            .collect()
    };
    let flag = |name: &str| argument[name].as_bool().expect("a flag");
    Some(match name.as_str() {
        "none" => return None,
        "atLeast" => match bound(argument) {
            Number::Integer(min) => Validator::at_least(min),
            Number::Double(min) => Validator::at_least(min),
        },
        "between" => match (bound(&argument[0]), bound(&argument[1])) {
            (Number::Integer(min), Number::Integer(max)) => Validator::between(min, max),
            (Number::Integer(min), Number::Double(max)) => Validator::between(min, max),
            (Number::Double(min), Number::Integer(max)) => Validator::between(min, max),
            (Number::Double(min), Number::Double(max)) => Validator::between(min, max),
        },
        "in" => Validator::in_values(texts(argument)),
        "inIgnoringCase" => Validator::in_ignoring_case(texts(argument)),
        "listIn" => Validator::list_in(flag("emptyAllowed"), texts(&argument["values"])),
        "anyNonDuplicateValues" => {
            Validator::any_non_duplicate_values(flag("emptyAllowed"), flag("nullAllowed"))
        }
        "nonNull" => Validator::non_null(),
        "nonEmpty" => Validator::non_empty(),
        "nonEmptyWithoutControlChars" => Validator::non_empty_without_control_chars(),
        "atMostOfSize" => {
            let size = argument.as_i64().and_then(|size| i32::try_from(size).ok());
            Validator::at_most_of_size(size.expect("a size"))
        }
        other => panic!("unknown validator {other}"),
    })
}

enum Number {
    Integer(i64),
    Double(f64),
}

fn bound(value: &Value) -> Number {
    match value.as_i64() {
        Some(integer) => Number::Integer(integer),
        None => Number::Double(value.as_f64().expect("a number")),
    }
}

/// `Err` with what we got where it is not what the line expects.
fn compare(case: &Value, answer: Result<ConfigValueData, String>) -> Result<(), String> {
    let expect = &case["expect"];
    let got = match &answer {
        Ok(value) => format!("{value:?}"),
        Err(message) => format!("error: {message}"),
    };
    let equal = match (expect.get("error"), &answer) {
        (None, Ok(value)) => {
            let printed = expect
                .get("text")
                .is_none_or(|text| text == &value.to_string());
            printed && same_value(&expect["value"], value)
        }
        (Some(error), Err(message)) => same_message(case, error, message),
        (Some(_), Ok(_)) | (None, Err(_)) => false,
    };
    if equal { Ok(()) } else { Err(got) }
}

fn same_message(case: &Value, error: &Value, message: &str) -> bool {
    let flag = |name: &str| case.get(name).and_then(Value::as_bool).unwrap_or(false);
    let class = error["class"].as_str().unwrap_or_default();
    // What the Java machine itself threw has no text of Kafka's to compare.
    if flag("loose") || !class.starts_with("org.apache.kafka.") {
        return true;
    }
    let expected = error["message"].as_str().unwrap_or_default();
    if flag("unordered") {
        let sorted = |text: &str| {
            let mut chars: Vec<char> = text.chars().collect();
            chars.sort_unstable();
            chars
        };
        return sorted(expected) == sorted(message);
    }
    expected == message
}

/// Typed: an int is not a long. `expected` is in the schemaless form of the vectors.
fn same_value(expected: &Value, actual: &ConfigValueData) -> bool {
    let tag = |name: &str| expected.get(name).and_then(Value::as_i64);
    match actual {
        ConfigValueData::Null => expected.is_null(),
        ConfigValueData::Boolean(value) => expected.as_bool() == Some(*value),
        ConfigValueData::Int(value) => tag("$int32") == Some(i64::from(*value)),
        ConfigValueData::Short(value) => tag("$int16") == Some(i64::from(*value)),
        // Without point and exponent a number is a long, with either it is a double.
        ConfigValueData::Long(value) => expected.as_i64() == Some(*value),
        ConfigValueData::Double(value) => expected_double(expected).is_some_and(|expected| {
            expected.to_bits() == value.to_bits() || expected.is_nan() && value.is_nan()
        }),
        ConfigValueData::String(text) => expected.as_str() == Some(text),
        ConfigValueData::Password(secret) => expected.as_str() == Some(secret.value()),
        ConfigValueData::Class(name) => expected.as_str() == Some(name.as_str()),
        ConfigValueData::List(items) => expected.as_array().is_some_and(|expected| {
            expected
                .iter()
                .map(Value::as_str)
                .eq(items.iter().map(|item| Some(item.as_str())))
        }),
    }
}

fn expected_double(expected: &Value) -> Option<f64> {
    match expected {
        Value::Number(number) => {
            let text = number.to_string();
            text.contains(['.', 'e', 'E'])
                .then(|| text.parse().expect("a JSON number"))
        }
        tagged => match tagged.get("$float64")?.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
    }
}
