//! Chains as users of Debezium write them, from the change event to what reaches the topic.

mod chain;

use chain::Chain;
use serde_json::{Value as Json, json};

fn row_schema(name: &str) -> Json {
    json!({"type": "struct", "optional": true, "name": name, "fields": [
        {"type": "int32", "field": "id"},
        {"type": "string", "optional": true, "field": "name"},
        {"type": "int64", "optional": true, "name": "io.debezium.time.MicroTimestamp", "version": 1, "field": "at"},
    ]})
}

/// A change of `server.public.<table>`.
fn change(table: &str, op: &str, before: Json, after: Json) -> Json {
    let topic = format!("server.public.{table}");
    let field = |mut schema: Json, name: &str| {
        schema["field"] = name.into();
        schema
    };
    let row = row_schema(&format!("{topic}.Value"));
    json!({
        "topic": topic,
        "key": {
            "schema": {"type": "struct", "name": format!("{topic}.Key"), "fields": [{"type": "int32", "field": "id"}]},
            "payload": {"id": 7},
        },
        "value": {
            "schema": {"type": "struct", "name": format!("{topic}.Envelope"), "version": 1, "fields": [
                field(row.clone(), "before"),
                field(row, "after"),
                {"type": "struct", "field": "source", "name": "io.debezium.connector.postgresql.Source", "fields": [
                    {"type": "string", "field": "db"}, {"type": "string", "field": "table"},
                    {"type": "int64", "field": "ts_ms"}]},
                {"type": "string", "field": "op"},
                {"type": "int64", "optional": true, "field": "ts_ms"},
            ]},
            "payload": {"before": before, "after": after, "op": op, "ts_ms": 1_700_000_000_000i64,
                        "source": {"db": "shop", "table": table, "ts_ms": 1_700_000_000_000i64}},
        },
    })
}

fn row(id: i32, name: &str) -> Json {
    json!({"id": id, "name": name, "at": 1_700_000_000_000_000i64})
}

/// What of a record the rows below compare.
fn told(record: Option<Json>) -> Json {
    match record {
        None => "dropped".into(),
        Some(record) => json!({
            "topic": record["topic"],
            "key": record["key"]["payload"],
            "value": record["value"]["payload"],
            "headers": record["headers"].as_array().map(|headers| {
                headers.iter().map(|header| json!([header["key"], header["payload"]])).collect::<Json>()
            }),
        }),
    }
}

const UNWRAP: &str = "io.debezium.transforms.ExtractNewRecordState";
const ROUTE: &str = "io.debezium.transforms.ByLogicalTableRouter";
const REGEX: &str = "org.apache.kafka.connect.transforms.RegexRouter";

#[test]
fn shards_are_merged_unwrapped_and_renamed() {
    let mut chain = Chain::new(&[
        (
            ROUTE,
            &[
                ("topic.regex", r"(.*)users_\d+"),
                ("topic.replacement", "$1users"),
            ],
        ),
        (
            UNWRAP,
            &[
                ("delete.tombstone.handling.mode", "rewrite"),
                ("add.fields", "op,source.table"),
                ("add.headers", "db"),
            ],
        ),
        (
            REGEX,
            &[("regex", r"server\.public\.(.*)"), ("replacement", "$1")],
        ),
    ])
    .unwrap();
    let key = json!({"id": 7, "__dbz__physicalTableIdentifier": "server.public.users_1"});
    let headers = json!([["__db", "shop"]]);
    let rows = [
        (
            change("users_1", "c", Json::Null, row(7, "Ann")),
            json!({"topic": "users", "key": key, "headers": headers,
                   "value": {"id": 7, "name": "Ann", "at": 1_700_000_000_000_000i64, "__deleted": "false",
                             "__op": "c", "__source_table": "users_1"}}),
        ),
        (
            change("users_1", "d", row(7, "Ann"), Json::Null),
            json!({"topic": "users", "key": key, "headers": headers,
                   "value": {"id": 7, "name": "Ann", "at": 1_700_000_000_000_000i64, "__deleted": "true",
                             "__op": "d", "__source_table": "users_1"}}),
        ),
        (
            change("users_1", "t", Json::Null, Json::Null),
            "dropped".into(),
        ),
        (
            json!({"topic": "server.public.users_1", "key": {"payload": null}}),
            "dropped".into(),
        ),
    ];
    for (record, expected) in rows {
        assert_eq!(told(chain.apply(&record).unwrap()), expected, "{record}");
    }
}

/// Two tables of one schema that go to different topics. Debezium's cache gives both the names of the first.
#[test]
fn each_topic_has_schema_names_of_its_own() {
    let settings = [
        ("topic.regex", r"server\.public\.(.*)"),
        ("topic.replacement", "all.$1"),
        ("key.enforce.uniqueness", "false"),
    ];
    let mut chain = Chain::new(&[(ROUTE, &settings)]).unwrap();
    let mut names = Vec::new();
    for topic in ["server.public.a", "server.public.b"] {
        let mut record = change("t", "c", Json::Null, row(7, "Ann"));
        record["topic"] = topic.into();
        let routed = chain.apply(&record).unwrap().unwrap();
        names.push(
            routed["value"]["schema"]["name"]
                .as_str()
                .unwrap()
                .to_string(),
        );
    }
    assert_eq!(names, ["all.a.Envelope", "all.b.Envelope"]);
}

#[test]
fn times_are_moved_before_the_row_is_taken_out() {
    let mut chain = Chain::new(&[
        (
            "io.debezium.transforms.TimezoneConverter",
            &[("converted.timezone", "+02:00")],
        ),
        (UNWRAP, &[]),
        (
            "org.apache.kafka.connect.transforms.TimestampConverter$Value",
            &[
                ("field", "at"),
                ("target.type", "string"),
                ("format", "HH:mm"),
                ("unix.precision", "microseconds"),
            ],
        ),
    ])
    .unwrap();
    let record = chain
        .apply(&change("users", "r", Json::Null, row(7, "Ann")))
        .unwrap()
        .unwrap();
    // 22:13 in UTC, read as a time of the zone.
    assert_eq!(record["value"]["payload"]["at"], "20:13");
}

#[test]
fn what_changed_becomes_a_field() {
    let mut chain = Chain::new(&[
        (
            "io.debezium.transforms.ExtractChangedRecordState",
            &[("header.changed.name", "changed")],
        ),
        (
            "io.debezium.transforms.HeaderToValue",
            &[
                ("headers", "changed"),
                ("fields", "changed"),
                ("operation", "move"),
            ],
        ),
        (UNWRAP, &[("add.fields", "changed")]),
    ])
    .unwrap();
    let record = chain
        .apply(&change("users", "u", row(7, "Ann"), row(7, "Anna")))
        .unwrap();
    let expected = json!({
        "topic": "server.public.users", "key": {"id": 7}, "headers": [],
        "value": {"id": 7, "name": "Anna", "at": 1_700_000_000_000_000i64, "__changed": ["name"]},
    });
    assert_eq!(told(record), expected);
}

fn outbox(kind: &str, payload: &str) -> Json {
    let columns = json!([
        {"type": "string", "field": "id"},
        {"type": "string", "field": "aggregatetype"},
        {"type": "string", "field": "aggregateid"},
        {"type": "string", "field": "type"},
        {"type": "string", "optional": true, "field": "payload"},
    ]);
    json!({
        "topic": "server.public.outbox",
        "value": {
            "schema": {"type": "struct", "name": "server.public.outbox.Envelope", "fields": [
                {"type": "struct", "optional": true, "name": "server.public.outbox.Value", "field": "after", "fields": columns},
                {"type": "string", "field": "op"},
                {"type": "int64", "optional": true, "field": "ts_ms"},
            ]},
            "payload": {"op": "c", "ts_ms": 5, "after": {
                "id": "e1", "aggregatetype": kind, "aggregateid": "42", "type": "OrderCreated", "payload": payload}},
        },
    })
}

#[test]
fn outbox_rows_become_messages_and_are_filtered() {
    let mut chain = Chain::new(&[
        (
            "io.debezium.transforms.outbox.EventRouter",
            &[
                ("table.expand.json.payload", "true"),
                ("table.fields.additional.placement", "type:header:eventType"),
                ("route.topic.replacement", "${routedByValue}.events"),
            ],
        ),
        (
            "io.confluent.connect.transforms.Filter$Value",
            &[("filter.condition", "$[?(@.amount > 10)]")],
        ),
    ])
    .unwrap();
    let rows = [
        (
            outbox("order", r#"{"amount": 12, "lines": [{"sku": "a"}]}"#),
            json!({"topic": "order.events", "key": "42", "headers": [["id", "e1"], ["eventType", "OrderCreated"]],
                   "value": {"amount": 12, "lines": [{"sku": "a"}]}}),
        ),
        (outbox("order", r#"{"amount": 2}"#), "dropped".into()),
    ];
    for (record, expected) in rows {
        assert_eq!(told(chain.apply(&record).unwrap()), expected);
    }
}

/// A logical decoding message that holds an outbox row: no table is needed.
#[test]
fn messages_of_the_write_ahead_log_go_through_the_outbox() {
    use base64::Engine;
    let content =
        r#"{"id":"e1","aggregatetype":"order","aggregateid":"42","payload":{"amount":1}}"#;
    let content = base64::engine::general_purpose::STANDARD.encode(content);
    let record = json!({
        "topic": "server.message",
        "value": {
            "schema": {"type": "struct", "name": "io.debezium.connector.postgresql.MessageValue", "fields": [
                {"type": "string", "field": "op"},
                {"type": "int64", "optional": true, "field": "ts_ms"},
                {"type": "struct", "field": "message", "fields": [
                    {"type": "string", "optional": true, "field": "prefix"},
                    {"type": "bytes", "optional": true, "field": "content"}]},
            ]},
            "payload": {"op": "m", "ts_ms": 5, "message": {"prefix": "outbox", "content": content}},
        },
    });
    let mut chain = Chain::new(&[
        (
            "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
            &[],
        ),
        ("io.debezium.transforms.outbox.EventRouter", &[]),
    ])
    .unwrap();
    let expected = json!({"topic": "outbox.event.order", "key": "42", "headers": [["id", "e1"]], "value": {"amount": 1}});
    assert_eq!(told(chain.apply(&record).unwrap()), expected);
}

/// Every transform of this room documents its keys, and its defaults are values of its own table.
#[test]
fn every_key_is_documented() {
    for (class, make) in connect_transforms::transformations() {
        if class.starts_with("io.") {
            for key in make().config_def().keys() {
                assert!(
                    !key.documentation().is_empty(),
                    "{class}: {} has no documentation",
                    key.name()
                );
            }
        }
    }
}
