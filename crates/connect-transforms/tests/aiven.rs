//! Aiven's transforms: tables of records and what becomes of them, as the Java classes answer.

mod chain;

use chain::Chain;
use serde_json::{Value as Json, json};

type Settings = &'static [(&'static str, &'static str)];

/// One member of the record that comes out, `dropped`, or the error up to where it prints the record.
fn member(class: &str, settings: &[(&str, &str)], record: &Json, pointer: &str) -> String {
    let class = format!("io.aiven.kafka.connect.transforms.{class}");
    let shown = |error: connect_api::ConnectError| {
        let text = format!("{error:?}");
        let end = text.find(": SourceRecord").unwrap_or(text.len());
        text[..end].to_string()
    };
    let mut chain = match Chain::new(&[(&class, settings)]) {
        Ok(chain) => chain,
        Err(error) => return shown(error),
    };
    match chain.apply(record) {
        Ok(None) => "dropped".to_string(),
        Ok(Some(record)) => record[pointer].to_string(),
        Err(error) => shown(error),
    }
}

fn record() -> Json {
    json!({
        "topic": "t", "timestamp": 1,
        "key": {"payload": {"region": "eu", "n": 5, "none": null, "blank": " ", "list": [1]}},
        "value": {
            "schema": {"type": "struct", "name": "row", "fields": [
                {"type": "string", "field": "mail"},
                {"type": "string", "optional": true, "field": "note"},
                {"type": "int64", "field": "at"},
                {"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp", "version": 1, "field": "ts"},
                {"type": "bytes", "field": "raw"},
            ]},
            "payload": {"mail": "a@b.c", "note": null, "at": 12, "ts": 1_709_210_096_789i64, "raw": "AAEC"},
        },
    })
}

#[track_caller]
fn check(class: &str, pointer: &str, rows: &[(Settings, &str)]) {
    for (settings, expected) in rows {
        let got = member(class, settings, &record(), pointer);
        assert_eq!(got, *expected, "{class} {settings:?}");
    }
}

#[test]
fn timestamps_come_from_fields() {
    check(
        "ExtractTimestamp$Value",
        "timestamp",
        &[
            (&[("field.name", "ts")], "1709210096789"),
            (&[("field.name", "at")], "12"),
            (
                &[("field.name", "at"), ("timestamp.resolution", "seconds")],
                "12000",
            ),
            (
                &[("field.name", "nope")],
                "Data: nope field must be present and its value can't be null",
            ),
            (
                &[("field.name", "mail")],
                "Data: mail field must be INT64 or org.apache.kafka.connect.data.Timestamp",
            ),
            (
                &[("field.name", "at"), ("timestamp.resolution", "days")],
                "Config: Invalid value days for configuration timestamp.resolution: Unsupported resolution type \
                 'days'. Supported are: milliseconds, seconds",
            ),
        ],
    );
}

#[test]
fn topics_come_from_fields() {
    check(
        "ExtractTopic$Key",
        "topic",
        &[
            (&[("field.name", "region")], "\"eu\""),
            (&[("field.name", "n")], "\"5\""),
            (
                &[("field.name", "none")],
                "Data: none in key can't be null or empty",
            ),
            (
                &[("field.name", "blank")],
                "Data: blank in key can't be null or empty",
            ),
            (
                &[("field.name", "none"), ("skip.missing.or.null", "true")],
                "\"t\"",
            ),
        ],
    );
    check(
        "ExtractTopic$Value",
        "topic",
        &[
            (&[("field.name", "mail")], "\"a@b.c\""),
            (
                &[("field.name", "nope")],
                "Data: nope in value schema can't be missing",
            ),
            (
                &[("field.name", "raw")],
                "Data: raw schema type in value must be [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]",
            ),
            (
                &[],
                "Data: value schema type must be [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING] if \
                 field name is not specified",
            ),
        ],
    );
}

#[test]
fn texts_are_hashed() {
    let rows = [
        ("md5", "5d60d4e28066df254d5452f92c910092"),
        ("sha1", "e2d6a40c8b4d3e6a2779ba1802ef29d13940a051"),
        (
            "sha256",
            "d648b243a3e817eaa3309e00e183483f2867baadf522099f0c2121770536b25a",
        ),
    ];
    for (function, digits) in rows {
        let settings = [("field.name", "mail"), ("function", function)];
        let got = member("Hash$Value", &settings, &record(), "value");
        let got: Json = serde_json::from_str(&got).unwrap();
        assert_eq!(got["payload"]["mail"], digits);
    }
    check(
        "Hash$Value",
        "value",
        &[
            (
                &[("function", "md5"), ("field.name", "note")],
                "Data: note in value can't be null",
            ),
            (
                &[("function", "md5"), ("field.name", "at")],
                "Data: at schema type in value must be STRING",
            ),
            (
                &[("function", "md5")],
                "Data: value schema type must be STRING if field name is not specified",
            ),
            (
                &[("function", "crc")],
                "Config: Invalid value crc for configuration function: String must be one of: md5, sha1, sha256",
            ),
        ],
    );
    check(
        "Hash$Key",
        "key",
        &[(&[("function", "md5")], "Data: key schema can't be null")],
    );
}

#[test]
fn fields_are_joined() {
    let settings = [
        ("field.names", "mail,note,at,nope"),
        ("output.field.name", "all"),
        ("delimiter", "-"),
        ("field.replace.missing", "*"),
    ];
    let got = member("ConcatFields$Value", &settings, &record(), "value");
    let got: Json = serde_json::from_str(&got).unwrap();
    assert_eq!(got["payload"]["all"], "a@b.c-*-12-*");
    assert_eq!(got["schema"]["name"], Json::Null);
    let settings = [("field.names", "region,n"), ("output.field.name", "all")];
    let got = member("ConcatFields$Key", &settings, &record(), "key");
    let got: Json = serde_json::from_str(&got).unwrap();
    assert_eq!(got["payload"]["all"], "eu5");
}

#[test]
fn records_are_kept_by_a_value() {
    check(
        "FilterByFieldValue$Value",
        "topic",
        &[
            (&[("field.name", "mail"), ("field.value", "a@b.c")], "\"t\""),
            (&[("field.name", "mail"), ("field.value", "x")], "dropped"),
            (
                &[
                    ("field.name", "mail"),
                    ("field.value", "x"),
                    ("field.value.matches", "false"),
                ],
                "\"t\"",
            ),
            (
                &[("field.name", "mail"), ("field.value.pattern", "@b")],
                "\"t\"",
            ),
            (
                &[("field.name", "mail"), ("field.value.pattern", "^@b")],
                "dropped",
            ),
            (
                &[("field.name", "note"), ("field.value.pattern", ".*")],
                "dropped",
            ),
            (
                &[("field.name", "note")],
                "Config: Either field.value or field.value.pattern have to be set to apply filter transform",
            ),
        ],
    );
}

#[test]
fn tombstones_are_made_and_handled() {
    let made = member("MakeTombstone", &[], &record(), "value");
    let nothing = json!({"schema": null, "payload": null});
    assert_eq!(serde_json::from_str::<Json>(&made).unwrap(), nothing);
    let tombstone = json!({"topic": "t"});
    let rows = [
        ("drop_silent", "dropped"),
        ("Drop_Warn", "dropped"),
        (
            "fail",
            "Data: Tombstone record encountered, failing due to configured 'fail' behavior",
        ),
        (
            "x",
            "Config: Invalid value x for configuration behavior: Unsupported behavior name: x. Supported are: \
             drop_silent,drop_warn,fail",
        ),
    ];
    for (behavior, expected) in rows {
        let settings = [("behavior", behavior)];
        assert_eq!(
            member("TombstoneHandler", &settings, &tombstone, "topic"),
            expected
        );
    }
}
