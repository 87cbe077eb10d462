//! `field.syntax.version=V2` in the transforms where Kafka Connect has only V1: records in the envelope of the vectors.

use connect_api::{Origin, Outcome, TimestampType};
use connect_config::Properties;
use connect_testkit::envelope::{Record, read_record, write_record};
use connect_transforms::transformations;
use serde_json::{Value as Json, json};

/// Applies a transform of values and gives the record back, or the message of its error.
fn apply(name: &str, settings: &[(&str, &str)], value: Json) -> Result<Record, String> {
    let class = format!("org.apache.kafka.connect.transforms.{name}");
    let (_, make) = transformations()
        .find(|(known, _)| *known == class)
        .unwrap_or_else(|| panic!("no transform {class}"));
    let mut transform = make();
    let mut configs = Properties::from_iter(settings.iter().copied());
    configs.set("field.syntax.version", "v2");
    let message = |error: connect_api::ConnectError| error.message().to_owned();
    transform.configure(&configs).map_err(message)?;
    let record = json!({"kind": "sink", "topic": "t", "partition": 1, "offset": 5, "timestamp": 7, "value": value});
    let record = read_record(&record).expect("a good envelope");
    let mut apply = || -> Result<Record, String> {
        let mut record = record.clone();
        let origin = Origin::Sink {
            kafka_offset: 5,
            timestamp_type: TimestampType::CreateTime,
            original: None,
        };
        let outcome = transform.apply(record.common_mut(), origin);
        assert_eq!(outcome.map_err(message)?, Outcome::Keep);
        record_is_consistent(&record);
        Ok(record)
    };
    // Twice: the second time by the plan of the first.
    let first = apply()?;
    let second = apply()?;
    assert_eq!(first, second);
    Ok(second)
}

/// A struct lies under the schema that the record names.
fn record_is_consistent(record: &Record) {
    let record = record.common();
    if let (Some(schema), connect_api::data::Value::Struct(fields)) =
        (&record.value_schema, &record.value)
    {
        assert_eq!(fields.schema(), schema);
        fields.validate().expect("a valid struct");
    }
}

#[track_caller]
fn check(name: &str, settings: &[(&str, &str)], value: Json, part: &str, expected: Json) {
    let record = apply(name, settings, value).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = write_record(&record);
    assert_eq!(written[part], expected, "{name} {settings:?}");
}

fn free() -> Json {
    json!({"schema": null, "payload": {"id": 1, "in": {"x": "7", "y": 0, "z.z": "q"}}})
}

/// A struct whose field `in` is one, too, optional and with a default.
fn typed() -> Json {
    json!({
        "schema": typed_schema(json!({"type": "string", "optional": true, "field": "x"})),
        "payload": {"id": 1, "in": {"x": "7", "y": 0}},
    })
}

fn typed_schema(x: Json) -> Json {
    json!({"type": "struct", "name": "outer", "optional": false, "fields": [
        {"type": "int64", "optional": false, "field": "id"},
        {"type": "struct", "name": "inner", "optional": true, "field": "in", "fields": [
            x,
            {"type": "int64", "optional": false, "field": "y"},
        ]},
    ]})
}

#[test]
fn cast_reaches_inside() {
    let settings = [("spec", "in.x:int32,nothing.there:int8")];
    let expected = json!({"schema": null, "payload":
        {"id": 1, "in": {"x": {"$int32": 7}, "y": 0, "z.z": "q"}}});
    check("Cast$Value", &settings, free(), "value", expected);
    let expected = json!({
        "schema": typed_schema(json!({"type": "int32", "optional": true, "field": "x"})),
        "payload": {"id": 1, "in": {"x": 7, "y": 0}},
    });
    check("Cast$Value", &settings, typed(), "value", expected);
}

#[test]
fn mask_reaches_inside() {
    let settings = [("fields", "in.`z.z`,in.x"), ("replacement", "42")];
    let expected =
        json!({"schema": null, "payload": {"id": 1, "in": {"x": "42", "y": 0, "z.z": "42"}}});
    check("MaskField$Value", &settings, free(), "value", expected);
    let mut expected = typed();
    expected["payload"]["in"]["x"] = json!("42");
    check("MaskField$Value", &settings, typed(), "value", expected);
}

#[test]
fn replace_reaches_inside() {
    let settings = [("exclude", "in.y"), ("renames", "in.x:a")];
    let expected = json!({"schema": null, "payload": {"id": 1, "in": {"a": "7", "z.z": "q"}}});
    check("ReplaceField$Value", &settings, free(), "value", expected);
    let record = apply("ReplaceField$Value", &settings, typed()).unwrap();
    let written = write_record(&record);
    assert_eq!(
        written["value"]["payload"],
        json!({"id": 1, "in": {"a": "7"}})
    );
    let inner = &written["value"]["schema"]["fields"][1];
    assert_eq!(
        (&inner["optional"], &inner["name"]),
        (&json!(true), &json!("inner"))
    );

    let settings = [("include", "in.y")];
    let expected = json!({"schema": null, "payload": {"in": {"y": 0}}});
    check("ReplaceField$Value", &settings, free(), "value", expected);
    let record = apply("ReplaceField$Value", &settings, typed()).unwrap();
    assert_eq!(
        write_record(&record)["value"]["payload"],
        json!({"in": {"y": 0}})
    );
}

#[test]
fn insert_reaches_inside_and_makes_what_is_missing() {
    let settings = [
        ("topic.field", "in.topic!"),
        ("static.field", "new.site"),
        ("static.value", "s"),
    ];
    let expected = json!({"schema": null, "payload": {"id": 1,
        "in": {"x": "7", "y": 0, "z.z": "q", "topic": "t"}, "new": {"site": "s"}}});
    check("InsertField$Value", &settings, free(), "value", expected);
    let record = apply("InsertField$Value", &settings, typed()).unwrap();
    let expected = json!({"id": 1, "in": {"x": "7", "y": 0, "topic": "t"}, "new": {"site": "s"}});
    assert_eq!(write_record(&record)["value"]["payload"], expected);

    let error = apply("InsertField$Value", &[("topic.field", "id.topic")], typed()).unwrap_err();
    assert!(
        error.starts_with("cannot insert a field into field \"id\""),
        "{error}"
    );
    let error = apply("InsertField$Value", &[("topic.field", "id.topic")], free()).unwrap_err();
    assert!(
        error.starts_with("cannot insert a field into field \"id\""),
        "{error}"
    );
}

#[test]
fn of_two_that_are_inserted_under_one_name_the_last_stays() {
    let settings = [
        ("topic.field", "new"),
        ("partition.field", "id"),
        ("static.field", "new"),
        ("static.value", "s"),
    ];
    let expected = json!({"schema": null, "payload": {"id": {"$int32": 1},
        "in": {"x": "7", "y": 0, "z.z": "q"}, "new": "s"}});
    check("InsertField$Value", &settings, free(), "value", expected);
    // What comes behind a field with no place for it is not inserted, and the record is refused as a whole.
    let settings = [
        ("topic.field", "id.topic"),
        ("static.field", "new"),
        ("static.value", "s"),
    ];
    let error = apply("InsertField$Value", &settings, free()).unwrap_err();
    assert!(
        error.starts_with("cannot insert a field into field \"id\""),
        "{error}"
    );
}

#[test]
fn headers_and_keys_come_from_inside() {
    let settings = [
        ("fields", "in.x,id"),
        ("headers", "h,i"),
        ("operation", "move"),
    ];
    for (value, rest, header) in [
        (free(), json!({"in": {"y": 0, "z.z": "q"}}), "7"),
        (typed(), json!({"in": {"y": 0}}), "7"),
    ] {
        let record = apply("HeaderFrom$Value", &settings, value).unwrap();
        let written = write_record(&record);
        assert_eq!(written["value"]["payload"], rest);
        assert_eq!(written["headers"][0]["payload"], json!(header));
        assert_eq!(written["headers"][1]["key"], json!("i"));
    }
    let settings = [("fields", "in.x,id")];
    let expected = json!({"schema": null, "payload": {"x": "7", "id": 1}});
    check("ValueToKey", &settings, free(), "key", expected);
    let record = apply("ValueToKey", &settings, typed()).unwrap();
    assert_eq!(
        write_record(&record)["key"]["payload"],
        json!({"x": "7", "id": 1})
    );
    let error = apply("ValueToKey", &[("fields", "in.nope")], typed()).unwrap_err();
    assert_eq!(error, "Field does not exist: in.nope");
    assert!(apply("ValueToKey", &[("fields", "a.x,b.x")], free()).is_err());
}

#[test]
fn times_are_converted_inside() {
    let settings = [
        ("field", "in.y"),
        ("target.type", "string"),
        ("format", "yyyy"),
    ];
    let expected =
        json!({"schema": null, "payload": {"id": 1, "in": {"x": "7", "y": "1970", "z.z": "q"}}});
    check(
        "TimestampConverter$Value",
        &settings,
        free(),
        "value",
        expected,
    );
    let record = apply("TimestampConverter$Value", &settings, typed()).unwrap();
    let expected = json!({"id": 1, "in": {"x": "7", "y": "1970"}});
    assert_eq!(write_record(&record)["value"]["payload"], expected);
}

#[test]
fn a_null_on_the_way_stays_null() {
    let mut value = typed();
    value["payload"]["in"] = Json::Null;
    for (name, settings) in [
        ("Cast$Value", [("spec", "in.x:int32")].as_slice()),
        ("MaskField$Value", &[("fields", "in.x")]),
        ("ReplaceField$Value", &[("exclude", "in.x")]),
        ("InsertField$Value", &[("topic.field", "in.topic")]),
    ] {
        let record = apply(name, settings, value.clone()).unwrap();
        let written = write_record(&record);
        assert_eq!(
            written["value"]["payload"],
            json!({"id": 1, "in": null}),
            "{name}"
        );
    }
}

/// Settings are documented, and a table of settings can be made for every class.
#[test]
fn every_setting_is_documented() {
    let transforms = transformations().map(|(class, make)| (class, make().config_def()));
    let predicates =
        connect_transforms::predicates().map(|(class, make)| (class, make().config_def()));
    for (class, def) in transforms.chain(predicates) {
        for key in def.keys() {
            assert!(!key.documentation().is_empty(), "{class} {}", key.name());
        }
    }
}
