//! JsonConverter where one record's answer could depend on another's, and what its errors say.

use bytes::Bytes;
use connect_api::data::{Schema, SchemaBuilder, SharedSlice, Struct, Value, java_text};
use connect_api::{Converter, ConverterType, Result};
use connect_config::Properties;
use connect_converters::JsonConverter;

fn converter(configs: &[(&str, &str)]) -> JsonConverter {
    let mut converter = JsonConverter::new();
    let configs = Properties::from_iter(configs.iter().copied());
    Converter::configure(&mut converter, &configs, ConverterType::Value).expect("good settings");
    converter
}

fn read(converter: &mut JsonConverter, text: &str) -> Result<connect_api::data::SchemaAndValue> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    converter.to_connect_data("t", Some(SharedSlice::whole(&bytes)))
}

fn write(converter: &mut JsonConverter, schema: Option<&Schema>, value: &Value) -> String {
    let mut buffer = Vec::new();
    let written = converter.from_connect_data("t", schema, value, &mut buffer);
    let bytes = written.expect("good values").expect("no tombstone");
    String::from_utf8(bytes.to_vec()).expect("JSON is UTF-8")
}

#[test]
fn errors_say_where_and_what_was_expected() {
    let rows = [
        ("[1", "expected ',' or ']' at byte 2, found the end"),
        ("[1 2]", "expected ',' or ']' at byte 3, found '2'"),
        (
            "{\"a\":1,}",
            "expected a name in double quotes at byte 7, found '}'",
        ),
        ("{\"a\" 1}", "expected ':' at byte 5, found '1'"),
        ("{\"a\":}", "expected a value at byte 5, found '}'"),
        ("\"abc", "expected '\"' at byte 4, found the end"),
        (
            "\"a\nb\"",
            "expected an escape in place of a control character at byte 2, found byte 0x0A",
        ),
        (
            "\"\\x\"",
            "expected one of \" \\ / b f n r t u after '\\' at byte 2, found 'x'",
        ),
        (
            "\"\\u12G4\"",
            "expected a hexadecimal digit at byte 5, found 'G'",
        ),
        ("1.", "expected a digit after '.' at byte 2, found the end"),
        ("-", "expected a digit at byte 1, found the end"),
        (
            "1e99999999999",
            "expected an exponent of no more than 31 bits at byte 13, found the end",
        ),
        (
            "12x",
            "expected space after the number at byte 2, found 'x'",
        ),
        (
            "truex",
            "expected the end of the literal at byte 4, found 'x'",
        ),
        ("nul", "expected a value at byte 0, found 'n'"),
    ];
    let mut converter = converter(&[("schemas.enable", "false")]);
    for (text, expected) in rows {
        let error = read(&mut converter, text).expect_err(text);
        let message = "Converting byte[] to Kafka Connect data failed due to serialization error: ";
        assert_eq!(error.message(), message);
        assert_eq!(error.to_string(), format!("{message}: {expected}"));
    }
}

/// Space that the record before did not have, members in another order, more of them, fewer of them.
#[test]
fn records_may_look_other_than_the_last_one() {
    let mut converter = converter(&[("schemas.enable", "false")]);
    let rows = [
        (r#"{"a":1,"b":"x"}"#, r#"{"a": Int64(1), "b": String("x")}"#),
        (
            r#"{"a": 2, "b": "y"}"#,
            r#"{"a": Int64(2), "b": String("y")}"#,
        ),
        (r#"{"b":"z","a":3}"#, r#"{"b": String("z"), "a": Int64(3)}"#),
        (r#"{"a":4}"#, r#"{"a": Int64(4)}"#),
        (
            r#"{"a":5,"b":"v","c":null}"#,
            r#"{"a": Int64(5), "b": String("v"), "c": Null}"#,
        ),
        (
            r#"{"a":6,"a":7,"b":8}"#,
            r#"{"a": Int64(7), "b": Int64(8)}"#,
        ),
        (r#"{"a":{"a":9}}"#, r#"{"a": Map({String("a"): Int64(9)})}"#),
        (
            r#"{"\u0061":10,"b":"w"}"#,
            r#"{"a": Int64(10), "b": String("w")}"#,
        ),
        ("{}", "{}"),
    ];
    for _ in 0..3 {
        for (text, expected) in rows {
            let value = read(&mut converter, text).unwrap().value;
            let Value::Map(map) = value else {
                panic!("{text} is an object");
            };
            let shown = map
                .iter()
                .map(|(key, value)| format!("{:?}: {value:?}", key.as_str().unwrap()));
            assert_eq!(
                format!("{{{}}}", shown.collect::<Vec<_>>().join(", ")),
                expected,
                "{text}"
            );
        }
    }
}

/// Keys that are data fill the tree of shapes; what comes afterwards is still read right.
#[test]
fn many_shapes() {
    let mut converter = converter(&[("schemas.enable", "false")]);
    for i in 0..100_000 {
        let text = format!(
            r#"{{"k{}":{{"n":{i}}},"k{}":2}}"#,
            i % 7919,
            i % 104_729 + 7919
        );
        let Value::Map(map) = read(&mut converter, &text).unwrap().value else {
            panic!("{text} is an object");
        };
        let Some(Value::Map(nested)) = map.get_str(&format!("k{}", i % 7919)) else {
            panic!("{text} has an object");
        };
        assert_eq!(nested.get_str("n"), Some(&Value::Int64(i)));
        assert_eq!(map.len(), 2);
    }
}

#[test]
fn many_members() {
    let members: Vec<String> = (0..3000).map(|i| format!("\"m{i}\":{i}")).collect();
    let text = format!("{{{},\"m7\":-1}}", members.join(","));
    let mut converter = converter(&[("schemas.enable", "false")]);
    for _ in 0..2 {
        let Value::Map(map) = read(&mut converter, &text).unwrap().value else {
            panic!("an object");
        };
        assert_eq!(map.len(), 3000);
        assert_eq!(map.get_str("m7"), Some(&Value::Int64(-1)));
        assert_eq!(map.get_str("m2999"), Some(&Value::Int64(2999)));
    }
}

/// Schemas come and go, more than the cache holds; also when it holds none.
#[test]
fn schemas_take_turns() {
    for size in ["0", "1", "3", "1000", "-5"] {
        let mut converter = converter(&[("schemas.cache.size", size)]);
        for i in 0..60 {
            let which = i * 7 % 5;
            let schema = format!(
                r#"{{"type":"struct","fields":[{{"type":"int{}","optional":false,"field":"a{which}"}}],"optional":false,"name":"s{which}"}}"#,
                if which % 2 == 0 { 32 } else { 64 },
            );
            let text = format!(r#"{{"schema":{schema},"payload":{{"a{which}":{i}}}}}"#);
            let data = read(&mut converter, &text).unwrap();
            let schema = data.schema.as_ref().expect("a schema");
            assert_eq!(schema.name(), Some(format!("s{which}").as_str()));
            let Value::Struct(value) = &data.value else {
                panic!("a struct");
            };
            let expected = if which % 2 == 0 {
                Value::Int32(i)
            } else {
                Value::Int64(i.into())
            };
            assert_eq!(value.values(), [expected]);
            assert_eq!(write(&mut converter, Some(schema), &data.value), text);
        }
    }
}

/// The same bytes of a schema give the same schema in memory, so plans downstream are found again.
#[test]
fn a_schema_that_comes_again_is_the_same() {
    let mut converter = converter(&[]);
    let record = |i: i32, space: &str| {
        format!(r#"{{"schema":{{"type":"int32","optional":false}},{space}"payload":{i}}}"#)
    };
    let first = read(&mut converter, &record(1, ""))
        .unwrap()
        .schema
        .unwrap();
    for text in [record(2, ""), record(3, " "), record(4, "")] {
        let schema = read(&mut converter, &text).unwrap().schema.unwrap();
        assert!(schema.ptr_eq(&first), "{text}");
    }
}

/// What looks like the record before up to its payload need not end like it.
#[test]
fn a_known_beginning_proves_nothing_about_the_rest() {
    let mut converter = converter(&[]);
    let start = r#"{"schema":{"type":"string","optional":false},"payload":"#;
    read(&mut converter, &format!("{start}\"x\"}}")).unwrap();
    let no_envelope = "JsonConverter with schemas.enable requires";
    let not_json = "Converting byte[] to Kafka Connect data failed";
    let rows = [
        ("\"y\"} and more", Ok("y")),
        ("\"z\" }", Ok("z")),
        ("\"z\",\"extra\":1}", Err(no_envelope)),
        ("\"z\",\"payload\":\"w\"}", Ok("w")),
        ("\"z\"", Err(not_json)),
        ("\"z", Err(not_json)),
        ("null}", Err("Invalid null value for required STRING field")),
    ];
    for (end, expected) in rows {
        let got = read(&mut converter, &format!("{start}{end}"));
        match (got, expected) {
            (Ok(data), Ok(text)) => assert_eq!(data.value.as_str(), Some(text), "{end}"),
            (Err(error), Err(message)) => {
                assert!(error.message().starts_with(message), "{end}: {error}")
            }
            (got, _) => panic!("{end}: {got:?}"),
        }
    }
}

/// A connector that makes its schema anew for each record.
#[test]
fn equal_schemas_share_a_plan() {
    let mut converter = converter(&[]);
    for i in 0..3 {
        let schema = SchemaBuilder::structure()
            .field("a", Schema::INT32)
            .build()
            .unwrap();
        let other = SchemaBuilder::structure()
            .field("a", Schema::INT32)
            .build()
            .unwrap();
        let mut value = Struct::new(other).unwrap();
        value.put("a", i).unwrap();
        let text = write(&mut converter, Some(&schema), &Value::Struct(value));
        let fields = r#"[{"type":"int32","optional":false,"field":"a"}]"#;
        let expected = format!(
            r#"{{"schema":{{"type":"struct","fields":{fields},"optional":false}},"payload":{{"a":{i}}}}}"#
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn a_thousand_levels_and_no_more() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let mut free = converter(&[("schemas.enable", "false")]);
    let value = read(&mut free, &nested(1000)).unwrap().value;
    assert!(read(&mut free, &nested(1001)).is_err());
    assert_eq!(write(&mut free, None, &value), nested(1000));
    // The envelope is a level, too.
    let mut enveloped = converter(&[]);
    let error = enveloped
        .from_connect_data("t", None, &value, &mut Vec::new())
        .unwrap_err();
    let message = "Converting Kafka Connect data to byte[] failed due to serialization error: ";
    assert_eq!(error.message(), message);
    for (levels, good) in [(999, true), (1000, false)] {
        let text = format!(r#"{{"schema":null,"payload":{}}}"#, nested(levels));
        assert_eq!(read(&mut enveloped, &text).is_ok(), good);
    }
}

/// Two bad keys: Java's message for the first, the other one beside it.
#[test]
fn bad_settings_are_all_reported() {
    let configs = Properties::from_iter([("schemas.enable", "maybe"), ("decimal.format", "hex")]);
    let error =
        Converter::configure(&mut JsonConverter::new(), &configs, ConverterType::Key).unwrap_err();
    let first = "Invalid value maybe for configuration schemas.enable: \
                 Expected value to be either true or false";
    assert_eq!(error.message(), first);
    let second = "Invalid value hex for configuration decimal.format: \
                  String must be one of (case insensitive): NUMERIC, BASE64";
    assert_eq!(error.to_string(), format!("{first}: {second}"));
}

#[test]
fn settings_stand_in_javas_order() {
    let def = connect_converters::json::config_def();
    let names: Vec<&str> = def.names().collect();
    let expected = [
        "converter.type",
        "schemas.enable",
        "schemas.cache.size",
        "schema.content",
        "decimal.format",
        "replace.null.with.default",
    ];
    assert_eq!(names, expected);
}

/// A sink task's way: into places that hold something already.
#[test]
fn what_was_there_before_is_gone() {
    let envelope = br#"{"schema":{"type":"int64"},"payload":7}"#;
    for (enable, good, expected, expected_schema) in [
        ("false", &br#"{"a":[1]}"#[..], "{a=[1]}", None),
        ("true", envelope, "7", Some(Schema::INT64)),
    ] {
        let mut converter = converter(&[("schemas.enable", enable)]);
        let (mut schema, mut value) = (None, Value::Null);
        let mut read = |bytes: Option<&[u8]>| {
            let bytes = bytes.map(Bytes::copy_from_slice);
            let bytes = bytes.as_ref().map(SharedSlice::whole);
            let read =
                converter.to_connect_data_with_headers("t", &[], bytes, &mut schema, &mut value);
            read.map(|()| (schema.clone(), java_text(&value).to_string()))
        };
        let answer = (expected_schema, expected.to_string());
        assert_eq!(read(Some(good)).unwrap(), answer);
        assert_eq!(read(None).unwrap(), (None, "null".to_string()));
        assert_eq!(read(Some(good)).unwrap(), answer);
        assert!(read(Some(&good[..good.len() - 1])).is_err());
        assert_eq!(read(Some(good)).unwrap(), answer);
    }
}

/// Texts and keys that are kept must not keep what was fetched, and short values do not either.
#[test]
fn only_long_values_keep_the_buffer() {
    let mut converter = converter(&[("schemas.enable", "false")]);
    let bytes = Bytes::from(br#"{"a":"text","nested":{"b":1}}"#.to_vec());
    let data = converter
        .to_connect_data("t", Some(SharedSlice::whole(&bytes)))
        .unwrap();
    assert!(bytes.is_unique());
    drop(data);
    let bytes = Bytes::from(
        br#"{"a":"a text that does not fit into the value","nested":{"b":1}}"#.to_vec(),
    );
    let data = converter
        .to_connect_data("t", Some(SharedSlice::whole(&bytes)))
        .unwrap();
    assert!(!bytes.is_unique());
    drop(data);
    assert!(bytes.is_unique());
}
