//! `ConfigDef.validate` and `embed` beside what Apache Kafka 4.3.1 answered for the same definition.

use connect_config::{
    ClassName, ConfigDef, ConfigException, ConfigKey, ConfigType, ConfigValueData, DefaultValue,
    Importance, ParsedConfig, Password, Properties, Recommender, Validator,
};

/// Recommends the value of `a` beside `q`; visible while `b` is 5.
struct FollowsA;

impl Recommender for FollowsA {
    fn valid_values(
        &self,
        _name: &str,
        parsed: &ParsedConfig,
    ) -> Result<Vec<ConfigValueData>, ConfigException> {
        let a = parsed.value("a").cloned().unwrap_or(ConfigValueData::Null);
        Ok(vec!["q".into(), a])
    }

    fn visible(&self, _name: &str, parsed: &ParsedConfig) -> Result<bool, ConfigException> {
        Ok(parsed.value("b") == Some(&ConfigValueData::Int(5)))
    }
}

struct NoIdea;

impl Recommender for NoIdea {
    fn valid_values(
        &self,
        _name: &str,
        _parsed: &ParsedConfig,
    ) -> Result<Vec<ConfigValueData>, ConfigException> {
        Err(ConfigException::new("no idea"))
    }
}

fn row(name: &str, config_type: ConfigType) -> ConfigKey {
    ConfigKey::new(name, config_type).group("g", 1)
}

/// Two keys share a child, one names a child that is not there, two name each other.
fn definition() -> ConfigDef {
    let xyz: Vec<ConfigValueData> = ["x", "y", "z"].map(ConfigValueData::from).to_vec();
    let default = DefaultValue::Value;
    ConfigDef::new()
        .define(
            row("a", ConfigType::String)
                .dependents(["b", "c"])
                .recommender(xyz),
        )
        .define(
            row("b", ConfigType::Int)
                .default_value(default(ConfigValueData::Int(5)))
                .validator(Validator::at_least(1))
                .dependents(["d"]),
        )
        .define(
            row("c", ConfigType::List)
                .validator(Validator::list_in(true, ["a", "b"]))
                .dependents(["d"]),
        )
        .define(
            row("d", ConfigType::String)
                .default_value(default("q".into()))
                .validator(Validator::in_values(["q", "r"]))
                .recommender(FollowsA),
        )
        .define(row("e", ConfigType::Int).dependents(["ghost"]))
        .define(row("f", ConfigType::Int).dependents(["g"]))
        .define(row("g", ConfigType::Int).dependents(["f"]))
        .define(
            row("h", ConfigType::Password)
                .default_value(default(ConfigValueData::Password(Password::new("secret"))))
                .recommender(NoIdea),
        )
        .define(row("i", ConfigType::Class).default_value(default(ConfigValueData::Null)))
}

#[track_caller]
fn check(props: Properties, expected: &str) {
    let list = |values: &[ConfigValueData]| {
        let texts: Vec<String> = values.iter().map(ConfigValueData::to_string).collect();
        format!("[{}]", texts.join(", "))
    };
    let mut actual = String::new();
    for value in definition().validate_with(&props, &|_: &str| false) {
        let recommended = list(&value.recommended_values);
        actual.push_str(&format!(
            "{}: {} {recommended} {}\n",
            value.name, value.value, value.visible
        ));
        for error in &value.errors {
            actual.push_str(&format!("  {error}\n"));
        }
    }
    assert_eq!(actual, expected);
}

#[test]
fn nothing_given() {
    check(
        Properties::new(),
        r#"a: null [x, y, z] true
  Missing required configuration "a" which has no default value.
b: 5 [] true
c: null [] true
  Missing required configuration "c" which has no default value.
  Configuration 'c' values must not be null.
d: q [q, null] true
e: null [] true
  Missing required configuration "e" which has no default value.
f: null [] true
g: null [] true
h: [hidden] [] true
  no idea
i: null [] true
ghost: null [] false
  ghost is referred in the dependents, but not defined.
"#,
    );
}

/// `d` has two parents and is checked twice.
#[test]
fn bad_values() {
    check(
        Properties::from_iter([
            ("a", "x"),
            ("b", "0"),
            ("c", "a,a"),
            ("d", "zz"),
            ("e", "1"),
            ("f", "bad"),
            ("h", "s3cret"),
        ]),
        r#"a: x [x, y, z] true
b: 0 [] true
  Invalid value 0 for configuration b: Value must be at least 1
c: [a, a] [] true
  Configuration 'c' values must not be duplicated.
d: zz [q, x] false
  Invalid value zz for configuration d: String must be one of: q, r
  Invalid value zz for configuration d: String must be one of: q, r
e: 1 [] true
f: null [] true
g: null [] true
h: [hidden] [] true
  no idea
i: null [] true
ghost: null [] false
  ghost is referred in the dependents, but not defined.
"#,
    );
}

/// A validator also sees the null of a value that could not be parsed.
#[test]
fn unparsable_values() {
    check(
        Properties::from_iter([
            ("a", "1"),
            ("b", "five"),
            ("c", "a, b"),
            ("d", "r"),
            ("e", " "),
            ("i", "no.such"),
        ]),
        r#"a: 1 [x, y, z] true
b: null [] true
  Invalid value five for configuration b: Not a number of type INT
  Invalid value null for configuration b: Value must be non-null
c: [a, b] [] true
d: r [q, 1] false
e: null [] true
  Invalid value   for configuration e: Not a number of type INT
f: null [] true
g: null [] true
h: [hidden] [] true
  no idea
i: null [] true
  Invalid value no.such for configuration i: Class no.such could not be found.
ghost: null [] false
  ghost is referred in the dependents, but not defined.
"#,
    );
}

#[test]
fn nulls() {
    check(
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
            .into_iter()
            .map(|key| (key, None::<&str>))
            .collect(),
        r#"a: null [x, y, z] true
b: null [] true
  Invalid value null for configuration b: Value must be non-null
c: null [] true
  Configuration 'c' values must not be null.
d: null [q, null] false
  Invalid value null for configuration d: String must be one of: q, r
  Invalid value null for configuration d: String must be one of: q, r
e: null [] true
f: null [] true
g: null [] true
h: null [] true
  no idea
i: null [] true
ghost: null [] false
  ghost is referred in the dependents, but not defined.
"#,
    );
}

/// Java overflows its stack here.
#[test]
fn a_circle_below_a_root_ends() {
    let def = ConfigDef::new()
        .define(row("root", ConfigType::String).dependents(["x"]))
        .define(row("x", ConfigType::String).dependents(["y"]))
        .define(row("y", ConfigType::String).dependents(["x"]));
    let values = def.validate(&Properties::new());
    assert!(values.iter().all(|value| value.errors.len() == 1));
}

#[test]
fn parse_refuses_a_definition_with_undefined_dependents() {
    let errors = definition()
        .parse(&Properties::from_iter([("a", "x"), ("c", "a")]))
        .unwrap_err();
    assert_eq!(
        errors.for_key("ghost"),
        ["Some configurations in are referred in the dependents, but not defined: ghost"]
    );
}

/// As in Java an embedded validator speaks of the key without its prefix.
#[test]
fn embedded_keys_carry_prefix_group_and_order() {
    let child = ConfigDef::new()
        .define(
            row("x", ConfigType::Int)
                .validator(Validator::at_least(1))
                .dependents(["y"])
                .recommender(FollowsA),
        )
        .define(
            ConfigKey::new("y", ConfigType::String)
                .default_value(DefaultValue::Value("s".into()))
                .importance(Importance::Low),
        )
        .define(ConfigKey::new("w", ConfigType::String).importance(Importance::Low))
        .define(ConfigKey::new("z", ConfigType::String).importance(Importance::High))
        .define(
            row("a", ConfigType::String)
                .default_value(DefaultValue::Value("1".into()))
                .group("g", 9),
        );
    let mut outer = ConfigDef::new();
    outer.embed("t.a.", "Transforms: a", 3, &child).unwrap();
    let rows: Vec<String> = outer
        .keys()
        .map(|key| {
            let group = key.get_group().unwrap_or_default();
            format!(
                "{}|{group}|{}|{:?}",
                key.name(),
                key.order_in_group(),
                key.get_dependents()
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "t.a.z|Transforms: a|3|[]",
            "t.a.w|Transforms: a|4|[]",
            "t.a.y|Transforms: a|5|[]",
            r#"t.a.x|Transforms: a: g|6|["t.a.y"]"#,
            "t.a.a|Transforms: a: g|7|[]",
        ]
    );
    let values = outer.validate(&Properties::from_iter([("t.a.x", "0"), ("b", "5")]));
    let x = values.iter().find(|value| value.name == "t.a.x").unwrap();
    assert_eq!(
        x.errors,
        ["Invalid value 0 for configuration x: Value must be at least 1"]
    );
    assert_eq!(x.recommended_values, ["q".into(), "1".into()]);
    assert!(!x.visible, "the recommender sees only its own prefix");
    let twice = outer.embed("t.a.", "Transforms: a", 3, &child).unwrap_err();
    assert_eq!(twice.message(), "Configuration t.a.z is defined twice.");
}

#[test]
fn values_print_for_rest() {
    let rows = [
        (ConfigValueData::Null, None),
        (
            ConfigValueData::List(vec!["a".into(), "b".into()]),
            Some("a,b"),
        ),
        (ConfigValueData::Double(1e10), Some("1.0E10")),
        (
            ConfigValueData::Password(Password::new("s3cret")),
            Some("[hidden]"),
        ),
        (
            ConfigValueData::Class(ClassName::new("a.B$C")),
            Some("a.B$C"),
        ),
    ];
    for (value, expected) in rows {
        assert_eq!(value.to_config_string().as_deref(), expected);
    }
}
