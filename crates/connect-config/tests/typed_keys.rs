//! The typed face: keys as constants, one parse, values of Rust types.

use connect_config::{
    ClassName, ConfigDef, ConfigEnum, ConfigErrors, ConfigException, ConfigType, ConfigValueData,
    FromConfig, Key, Password, Properties, Validator,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Tolerance {
    None,
    All,
}

impl ConfigEnum for Tolerance {
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("all", Self::All)];
    const IGNORE_CASE: bool = true;
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Json,
    Csv,
}

impl ConfigEnum for Format {
    const WORDS: &'static [(&'static str, Self)] = &[("json", Self::Json), ("csv", Self::Csv)];
}

/// A type with its own check.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Qos(u8);

impl FromConfig for Qos {
    const TYPE: ConfigType = ConfigType::Int;

    fn from_config(value: &ConfigValueData) -> Result<Self, String> {
        match value {
            ConfigValueData::Int(level @ 0..=2) => Ok(Self(*level as u8)),
            _ => Err("must be 0, 1 or 2".to_owned()),
        }
    }

    fn to_config(&self) -> ConfigValueData {
        ConfigValueData::Int(self.0.into())
    }
}

const TOPIC: Key<String> = Key::new("topic");
const ENABLED: Key<bool> = Key::new("enabled");
const SIZE: Key<i32> = Key::new("size");
const REPLICAS: Key<i16> = Key::new("replicas");
const TIMEOUT_MS: Key<i64> = Key::new("timeout.ms");
const RATIO: Key<f64> = Key::new("ratio");
const FILE: Key<Option<String>> = Key::new("file");
const LIMIT: Key<Option<i64>> = Key::new("limit");
const NAMES: Key<Vec<String>> = Key::new("names");
const SECRET: Key<Password> = Key::new("secret");
const CONVERTER: Key<Option<ClassName>> = Key::new("converter");
const TOLERANCE: Key<Tolerance> = Key::new("tolerance");
const FORMAT: Key<Option<Format>> = Key::new("format");
const QOS: Key<Qos> = Key::new("qos");

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            TOPIC
                .required()
                .validator(Validator::non_empty_without_control_chars()),
        )
        .define(ENABLED.default(true))
        .define(SIZE.default(10).validator(Validator::between(1, 100)))
        .define(REPLICAS.default(3))
        .define(TIMEOUT_MS.default(60_000))
        .define(RATIO.default(0.5))
        .define(FILE.default_null())
        .define(LIMIT.default(7))
        .define(
            NAMES
                .default(["a", "b"])
                .validator(Validator::any_non_duplicate_values(true, false)),
        )
        .define(SECRET.default(""))
        .define(CONVERTER.default_null())
        .define(
            TOLERANCE
                .default(Tolerance::None)
                .recommender(Tolerance::words()),
        )
        .define(FORMAT.default_null())
        .define(QOS.default(Qos(1)))
}

#[test]
fn defaults_have_their_types() {
    let parsed = config_def()
        .parse(&Properties::from_iter([("topic", " t ")]))
        .unwrap();
    assert_eq!(parsed.get(TOPIC), "t");
    assert!(parsed.get(ENABLED));
    assert_eq!(
        (
            parsed.get(SIZE),
            parsed.get(REPLICAS),
            parsed.get(TIMEOUT_MS)
        ),
        (10, 3, 60_000)
    );
    assert_eq!(parsed.get(RATIO), 0.5);
    assert_eq!((parsed.get(FILE), parsed.get(LIMIT)), (None, Some(7)));
    assert_eq!(parsed.get(NAMES), ["a", "b"]);
    assert_eq!(parsed.get(SECRET).value(), "");
    assert_eq!(parsed.get(CONVERTER), None);
    assert_eq!(
        (parsed.get(TOLERANCE), parsed.get(FORMAT)),
        (Tolerance::None, None)
    );
    assert_eq!(parsed.get(QOS), Qos(1));
}

#[test]
fn given_values_replace_defaults() {
    let parsed = config_def()
        .parse(&Properties::from_iter([
            ("topic", "t"),
            ("enabled", "False"),
            ("replicas", "-1"),
            ("ratio", "1d"),
            ("file", ""),
            ("names", "x , y,x"),
            ("secret", "s3cret"),
            ("converter", "org.x.JsonConverter"),
            ("tolerance", "ALL"),
            ("format", "csv"),
            ("qos", "2"),
        ]))
        .unwrap();
    assert!(!parsed.get(ENABLED));
    assert_eq!((parsed.get(REPLICAS), parsed.get(RATIO)), (-1, 1.0));
    assert_eq!(parsed.get(FILE).as_deref(), Some(""));
    assert_eq!(parsed.get(NAMES), ["x", "y"]);
    assert_eq!(
        parsed.warnings(),
        [
            "Configuration key \"names\" contains duplicate values. Duplicates will be removed. \
          The original value is: [x, y, x], the updated value is: [x, y]"
        ]
    );
    assert_eq!(
        parsed.get(CONVERTER).unwrap().simple_name(),
        "JsonConverter"
    );
    assert_eq!(
        (parsed.get(TOLERANCE), parsed.get(FORMAT)),
        (Tolerance::All, Some(Format::Csv))
    );
    assert_eq!(parsed.get(QOS), Qos(2));
    assert!(!format!("{parsed:?}").contains("s3cret"));
}

#[test]
fn every_bad_key_is_reported_at_once() {
    let mut props = Properties::from_iter([
        ("size", "101"),
        ("replicas", "many"),
        ("timeout.ms", "1.5"),
        ("tolerance", "some"),
        ("format", "CSV"),
        ("qos", "3"),
    ]);
    props.set_null("enabled");
    let errors = config_def().parse(&props).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "\
configuration is invalid, 8 errors:
  topic: Missing required configuration \"topic\" which has no default value.
  enabled: Invalid value null for configuration enabled: Value must be non-null
  size: Invalid value 101 for configuration size: Value must be no more than 100
  replicas: Invalid value many for configuration replicas: Not a number of type SHORT
  timeout.ms: Invalid value 1.5 for configuration timeout.ms: Not a number of type LONG
  tolerance: Invalid value some for configuration tolerance: String must be one of (case insensitive): ALL, NONE
  format: Invalid value CSV for configuration format: String must be one of: json, csv
  qos: Invalid value 3 for configuration qos: must be 0, 1 or 2"
    );
    let from_validate: Vec<String> = config_def()
        .validate(&props)
        .into_iter()
        .flat_map(|value| value.errors)
        .collect();
    let mut expected: Vec<&str> = errors.messages().collect();
    // Validation runs the validator of the missing key too; this one accepts null.
    expected.sort_unstable();
    let mut actual: Vec<&str> = from_validate.iter().map(String::as_str).collect();
    actual.sort_unstable();
    assert_eq!(actual, expected);
}

#[test]
fn optional_keys_take_null() {
    let mut props = Properties::from_iter([("topic", "t")]);
    for key in ["limit", "converter", "format", "file"] {
        props.set_null(key);
    }
    let parsed = config_def().parse(&props).unwrap();
    assert_eq!((parsed.get(LIMIT), parsed.get(FORMAT)), (None, None));
}

#[test]
fn a_resolver_decides_what_is_a_class_and_its_full_name() {
    struct Aliases;
    impl connect_config::ClassResolver for Aliases {
        fn resolve(&self, name: &str) -> Option<String> {
            (name == "Json").then(|| "org.x.JsonConverter".to_owned())
        }
    }
    let parse = |class| {
        let props = Properties::from_iter([("topic", "t"), ("converter", class)]);
        config_def()
            .parse_with(&props, &Aliases)
            .map(|parsed| parsed.get(CONVERTER))
    };
    assert_eq!(
        parse("Json"),
        Ok(Some(ClassName::new("org.x.JsonConverter")))
    );
    assert_eq!(
        parse(" Avro "),
        Err(ConfigErrors::of(
            "converter",
            "Invalid value  Avro  for configuration converter: Class  Avro  could not be found."
        ))
    );
}

/// A secret in a password key stays hidden whatever goes wrong with it.
#[test]
fn errors_show_no_secret() {
    let refuse = Validator::custom("never", |name, value| {
        Err(ConfigException::invalid(name, value, "too short"))
    });
    let def = ConfigDef::new().define(Key::<Password>::new("secret").required().validator(refuse));
    let props = Properties::from_iter([("secret", "s3cret")]);
    let errors = def.parse(&props).unwrap_err();
    assert_eq!(
        errors.for_key("secret"),
        ["Invalid value [hidden] for configuration secret: too short"]
    );
    let all = format!("{errors:?} {:?} {props:?} {def:?}", def.validate(&props));
    assert!(!all.contains("s3cret"), "{all}");
}

#[test]
#[should_panic(expected = "Configuration topic is defined twice.")]
fn a_key_is_defined_once() {
    let _ = ConfigDef::new()
        .define(TOPIC.required())
        .define(TOPIC.required());
}

#[test]
#[should_panic(expected = "Invalid value 0 for configuration size: Value must be at least 1")]
fn a_default_passes_its_own_validator() {
    let _ = ConfigDef::new().define(SIZE.default(0).validator(Validator::at_least(1)));
}
