//! Confluent's transforms: tables of records and what becomes of them.

mod chain;

use chain::Chain;
use serde_json::{Value as Json, json};

/// `keep`, `drop` or the error's kind and message.
fn filtered(settings: &[(&str, &str)], value: Json) -> String {
    let class = "io.confluent.connect.transforms.Filter$Value";
    let mut chain = match Chain::new(&[(class, settings)]) {
        Ok(chain) => chain,
        Err(error) => return format!("{error:?}"),
    };
    let record = json!({"topic": "t", "value": value});
    match chain.apply(&record) {
        Ok(Some(_)) => "keep".to_string(),
        Ok(None) => "drop".to_string(),
        Err(error) => format!("{error:?}"),
    }
}

fn order() -> Json {
    json!({"payload": {
        "id": 7, "state": "paid", "amount": 99.5, "note": null, "tags": ["new", "vip"], "digits": "5",
        "customer": {"name": "Ann", "age": 30},
        "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 20}],
    }})
}

#[test]
fn conditions_match_as_in_json_path() {
    let rows = [
        ("$[?(@.id == 7)]", true),
        ("$[?(@.id != 7)]", false),
        ("$[?(@.amount > 99)]", true),
        ("$[?(@.amount >= 99.5 && @.id < 7)]", false),
        ("$[?(@.amount >= 99.5 || @.id < 7)]", true),
        ("$[?(@.id == 8 || @.id == 7 && @.state == 'open')]", false),
        (
            "$[?((@.id == 8 || @.id == 7) && @.state == \"paid\")]",
            true,
        ),
        ("$[?(!(@.state == 'paid'))]", false),
        ("$[?(@.state in ['new', 'paid'])]", true),
        ("$[?(@.state nin ['new', 'paid'])]", false),
        ("$[?(@.state =~ /PA.*/i)]", true),
        ("$[?(@.state =~ /PA.*/)]", false),
        ("$[?(@.state =~ /ai/)]", false),
        ("$[?(@.tags contains 'vip')]", true),
        ("$[?(@.state contains 'ai')]", true),
        ("$[?(@.tags size 2)]", true),
        ("$[?(@.tags empty false)]", true),
        ("$[?(@.tags anyof ['vip', 'x'])]", true),
        ("$[?(@.tags subsetof ['vip', 'x'])]", false),
        ("$[?(@.tags noneof ['x'])]", true),
        ("$[?(@.customer.name == 'Ann')]", true),
        ("$[?(@['customer']['age'] > 18)]", true),
        ("$.customer[?(@.age > 18)]", true),
        ("$.customer[?(@.age > 40)]", false),
        ("$.items[?(@.n > 10)]", true),
        ("$.items[?(@.n > 100)]", false),
        ("$.items[-1][?(@.sku == 'b')]", true),
        ("$..[?(@.sku == 'b')]", true),
        ("$.items[*].sku", true),
        ("$.tags[?(@ == 'vip')]", true),
        ("$[?(@.missing)]", false),
        ("$[?(@.customer)]", true),
        ("$[?(@.missing == 1)]", false),
        ("$[?(@.missing != 1)]", true),
        ("$[?(@.note == null)]", true),
        ("$[?(@.digits == 5)]", true),
        ("$[?(@.digits === 5)]", false),
        ("$[?(@.id == $.id)]", true),
        ("$.customer.name", true),
    ];
    for (condition, matches) in rows {
        let expected = if matches { "keep" } else { "drop" };
        let got = filtered(&[("filter.condition", condition)], order());
        assert_eq!(got, expected, "{condition}");
        let exclude = [("filter.condition", condition), ("filter.type", "exclude")];
        let expected = if matches { "drop" } else { "keep" };
        assert_eq!(filtered(&exclude, order()), expected, "{condition}");
    }
}

#[test]
fn structs_are_filtered_as_maps_are() {
    let value = json!({
        "schema": {"type": "struct", "fields": [
            {"type": "int32", "field": "id"},
            {"type": "struct", "optional": true, "field": "customer", "fields": [
                {"type": "string", "field": "name"}, {"type": "string", "optional": true, "field": "mail"}]},
        ]},
        "payload": {"id": 7, "customer": {"name": "Ann", "mail": null}},
    });
    for (condition, expected) in [
        ("$[?(@.id == 7)]", "keep"),
        ("$.customer[?(@.name == 'Ann')]", "keep"),
        ("$.customer[?(@.name == 'Bob')]", "drop"),
    ] {
        let got = filtered(&[("filter.condition", condition)], value.clone());
        assert_eq!(got, expected, "{condition}");
    }
}

#[test]
fn what_is_missing_before_the_condition_is_decided_by_its_own_key() {
    let missing = "Data: value of the record lacks, or has as null, a field that filter.condition names; set \
                   missing.or.null.behavior to include or exclude such records";
    for condition in [
        "$.nope[?(@.a == 1)]",
        "$.note[?(@.a == 1)]",
        "$.customer.nope",
        "$.items[5][?(@.n)]",
    ] {
        for (behavior, expected) in [("fail", missing), ("include", "keep"), ("exclude", "drop")] {
            let settings = [
                ("filter.condition", condition),
                ("missing.or.null.behavior", behavior),
            ];
            assert_eq!(
                filtered(&settings, order()),
                expected,
                "{condition} {behavior}"
            );
        }
    }
    assert_eq!(
        filtered(
            &[("filter.condition", "$[?(@.a)]")],
            json!({"payload": null})
        ),
        missing
    );
}

#[test]
fn paths_that_are_not_understood_are_refused_with_the_place() {
    let rows = [
        (
            "id == 7",
            "at character 1 of the JSON path: expected a path that begins with $, found 'i'",
        ),
        (
            "$[?(@.id == 7]",
            "at character 14 of the JSON path: expected ) at the end of the condition, found ']'",
        ),
        (
            "$[?(@.id = 7)]",
            "at character 10 of the JSON path: expected an operator, found '='",
        ),
        (
            "$[?(@.id == )]",
            "at character 13 of the JSON path: expected @, $, or a value: a text in quotes, a number, a list, found ')'",
        ),
        (
            "$.tags.length()",
            "at character 14 of the JSON path: functions are not supported",
        ),
        (
            "$.tags[0:1]",
            "at character 9 of the JSON path: slices such as [1:3] are not supported",
        ),
        (
            "$.tags[0,1]",
            "at character 9 of the JSON path: unions such as [0,1] are not supported",
        ),
        (
            "$[?(@.a == 'x)]",
            "at the end of the JSON path: expected a closing '",
        ),
        ("$.", "at the end of the JSON path: expected a name or *"),
    ];
    for (condition, reason) in rows {
        let got = filtered(&[("filter.condition", condition)], order());
        let expected = format!(
            "Config: Invalid value {condition} for configuration filter.condition: {reason}"
        );
        assert_eq!(got, expected);
    }
    let got = filtered(&[], order());
    assert_eq!(
        got,
        "Config: Missing required configuration \"filter.condition\" which has no default value."
    );
}

/// The record that comes out, one member of it, `dropped` or the error.
fn member(class: &str, settings: &[(&str, &str)], record: Json, pointer: &str) -> String {
    let mut chain = match Chain::new(&[(class, settings)]) {
        Ok(chain) => chain,
        Err(error) => return format!("{error:?}"),
    };
    match chain.apply(&record) {
        Ok(None) => "dropped".to_string(),
        Ok(Some(record)) => record
            .pointer(pointer)
            .map_or("nothing".to_string(), Json::to_string),
        Err(error) => format!("{error:?}"),
    }
}

/// Part, settings, and the topic or the error.
type TopicRow = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn topics_come_from_records() {
    let record = || {
        json!({"topic": "t", "key": {"payload": "k1"},
               "value": {"payload": {"region": "eu", "a.b": "dotted", "n": 5, "none": null, "in": {"x": "deep"}}},
               "headers": [{"key": "h", "payload": "first"}, {"key": "h", "payload": "last"}]})
    };
    let rows: &[TopicRow] = &[
        ("Key", &[], "\"k1\""),
        ("Value", &[("field", "region")], "\"eu\""),
        ("Value", &[("field", "a.b")], "\"dotted\""),
        (
            "Value",
            &[("field", "$.in.x"), ("field.format", "JSON_PATH")],
            "\"deep\"",
        ),
        (
            "Value",
            &[("field", "$[\"in\"][\"x\"]"), ("field.format", "json_path")],
            "\"deep\"",
        ),
        ("Header", &[("field", "h")], "\"last\""),
        (
            "Value",
            &[("field", "none"), ("skip.missing.or.null", "true")],
            "\"t\"",
        ),
        (
            "Value",
            &[("field", "nope"), ("skip.missing.or.null", "true")],
            "\"t\"",
        ),
        (
            "Header",
            &[("field", "nope"), ("skip.missing.or.null", "true")],
            "\"t\"",
        ),
        (
            "Value",
            &[("field", "nope")],
            "Data: field \"nope\" of the value is missing or null, and it is to be the topic; \
             skip.missing.or.null=true keeps the topic then",
        ),
        (
            "Value",
            &[("field", "n")],
            "Data: field \"n\" of the value is to be the topic and must be a text, found java.lang.Long",
        ),
        (
            "Key",
            &[("field", "x")],
            "Data: field \"x\" of the key has no fields to take the topic from: it is java.lang.String",
        ),
        (
            "Value",
            &[("field", "$..x"), ("field.format", "JSON_PATH")],
            "Config: Invalid value $..x for configuration field: the path may name several values, and a record has one topic",
        ),
        (
            "Header",
            &[],
            "Config: Missing required configuration \"field\" which has no default value.",
        ),
    ];
    for (part, settings, expected) in rows {
        let class = format!("io.confluent.connect.transforms.ExtractTopic${part}");
        let got = member(&class, settings, record(), "/topic");
        assert_eq!(got, *expected, "{part} {settings:?}");
    }
}

#[test]
fn keys_and_values_are_dropped_with_their_schemas_or_without() {
    let class = "io.confluent.connect.transforms.Drop$Value";
    let record = |optional: bool| json!({"topic": "t", "value": {"schema": {"type": "int32", "optional": optional, "name": "n"}, "payload": 5}});
    let required = r#"{"payload":null,"schema":{"name":"n","optional":false,"type":"int32"}}"#;
    let optional = r#"{"payload":null,"schema":{"name":"n","optional":true,"type":"int32"}}"#;
    let nothing = r#"{"payload":null,"schema":null}"#;
    let refused = "Data: value cannot be dropped: its schema Schema{n:INT32} is not optional, and Drop has \
                   schema.behavior=validate; force_optional makes it optional";
    let rows = [
        ("nullify", nothing, nothing),
        ("retain", required, optional),
        ("validate", refused, optional),
        ("force_optional", optional, optional),
    ];
    for (behavior, of_required, of_optional) in rows {
        let settings = [("schema.behavior", behavior)];
        for (is_optional, expected) in [(false, of_required), (true, of_optional)] {
            let got = member(class, &settings, record(is_optional), "/value");
            assert_eq!(sorted(&got), expected, "{behavior} {is_optional}");
        }
    }
}

/// JSON with its members in order of their names; any other text as it is.
fn sorted(text: &str) -> String {
    fn sort(json: Json) -> Json {
        match json {
            Json::Object(members) => {
                let mut members: Vec<(String, Json)> = members
                    .into_iter()
                    .map(|(name, json)| (name, sort(json)))
                    .collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Json::Object(members.into_iter().collect())
            }
            other => other,
        }
    }
    match serde_json::from_str(text) {
        Ok(json) => sort(json).to_string(),
        Err(_) => text.to_string(),
    }
}

#[test]
fn tombstones_are_dropped_or_fail() {
    let class = "io.confluent.connect.transforms.TombstoneHandler";
    let tombstone = json!({"topic": "t", "key": {"payload": "k"}, "value": {"schema": {"type": "string", "optional": true}, "payload": null}});
    let other = json!({"topic": "t", "value": {"payload": "v"}});
    let failed = "Data: record is a tombstone, and TombstoneHandler has behavior=fail";
    for (behavior, expected) in [("ignore", "dropped"), ("warn", "dropped"), ("fail", failed)] {
        let settings = [("behavior", behavior)];
        assert_eq!(
            member(class, &settings, tombstone.clone(), "/topic"),
            expected
        );
        assert_eq!(member(class, &settings, other.clone(), "/topic"), "\"t\"");
    }
    assert_eq!(
        member(class, &[("behavior", "x")], other, ""),
        "Config: Invalid value x for configuration behavior: String must be one of: ignore, warn, fail"
    );
}

#[test]
fn topics_are_replaced_by_regular_expressions() {
    let class = "io.confluent.connect.cloud.transforms.TopicRegexRouter";
    let rows = [
        ("soe-(.*)", "$1", "soe-Order", "Order"),
        (".*", "acme_$0", "Order", "acme_Order"),
        ("(.*)Stream_(.*)", "$1$2", "Order_Stream_Data", "Order_Data"),
        ("(?P<a>[a-z]+)-.*", "${a}", "left-right", "left"),
        ("Order", "x", "Orders", "Orders"),
    ];
    for (regex, replacement, topic, expected) in rows {
        let settings = [("regex", regex), ("replacement", replacement)];
        let got = member(class, &settings, json!({"topic": topic}), "/topic");
        assert_eq!(got, format!("\"{expected}\""), "{regex}");
    }
    let got = member(
        class,
        &[("regex", "("), ("replacement", "x")],
        json!({"topic": "t"}),
        "/topic",
    );
    assert!(
        got.starts_with("Config: Invalid value ( for configuration regex: Invalid regex: "),
        "{got}"
    );
}

#[test]
fn topics_get_the_time_of_the_message() {
    let class = "io.confluent.connect.transforms.MessageTimestampRouter";
    let settings = [
        ("topic.format", "foo-${topic}-${timestamp}"),
        ("message.timestamp.format", "yyyy-MM-dd"),
        ("topic.timestamp.format", "yyyy.MM.dd"),
        ("message.timestamp.keys", "timestamp,time,ts"),
    ];
    let rows = [
        (json!({"time": "2019-08-06"}), "\"foo-bar-2019.08.06\""),
        (
            json!({"ts": 1_709_210_096_789i64, "time": null}),
            "\"foo-bar-2024.02.29\"",
        ),
        (
            json!({"time": "soon"}),
            "Data: field \"time\": the time \"soon\" does not match message.timestamp.format, which is yyyy-MM-dd",
        ),
        (
            json!({"other": 1}),
            "Data: the value has none of the fields of message.timestamp.keys (timestamp, time, ts), or all are null; \
             it is java.util.HashMap",
        ),
    ];
    for (value, expected) in rows {
        let record = json!({"topic": "bar", "value": {"payload": value}});
        assert_eq!(member(class, &settings, record, "/topic"), expected);
    }
}
