//! The envelope: what it reads, what it refuses, and that it writes what it read.

use connect_envelope::{read_data, read_record, write_data, write_record};
use connect_testkit::vectors::lines;
use serde_json::{Value as Json, from_str};

/// Every envelope of the vector files is read, and read again from what is written.
#[test]
fn vectors_survive_reading_and_writing() {
    let mut count = 0;
    for file in ["values.jsonl", "converters.jsonl", "tostring.jsonl"] {
        for line in lines(file) {
            let parts = [Some(&line.json), line.get("tostring"), line.get("expect")];
            for json in parts.into_iter().flatten() {
                let (Some(schema), Some(payload)) = (json.get("schema"), json.get("payload"))
                else {
                    continue;
                };
                let json = serde_json::json!({"schema": schema, "payload": payload});
                let data = read_data(&json).unwrap_or_else(|e| panic!("{}: {e:#}", line.id));
                let again = read_data(&write_data(&data)).unwrap();
                assert_eq!(again, data, "{}", line.id);
                count += 1;
            }
        }
    }
    assert!(count > 0);
}

#[track_caller]
fn check_refused(json: &str, message: &str) {
    let json: Json = from_str(json).expect("the row is JSON");
    let result = match json.get("topic") {
        Some(_) => read_record(&json).map(drop),
        None => read_data(&json).map(drop),
    };
    let error = result.expect_err("the row is refused");
    assert_eq!(format!("{error:#}"), message);
}

#[test]
fn what_is_not_exact_is_refused() {
    let rows = [
        (
            r#"{"payload":{"$int8":128}}"#,
            r#"in "payload": in "$int8": must be an i8 integer, got 128"#,
        ),
        (
            r#"{"payload":{"$int8":1.0}}"#,
            r#"in "payload": in "$int8": must be an i8 integer, got 1.0"#,
        ),
        (
            r#"{"payload":{"$nothing":1}}"#,
            r#"in "payload": in "$nothing": unknown tag"#,
        ),
        (
            r#"{"payload":9223372036854775808}"#,
            r#"in "payload": must be an i64 integer, got 9223372036854775808"#,
        ),
        (
            r#"{"payload":1e400}"#,
            r#"in "payload": must be a number in range, got 1e+400"#,
        ),
        (
            r#"{"payload":1,"x":2}"#,
            r#"data has an unknown member "x""#,
        ),
        (
            r#"{"schema":{"type":"int8","x":1}}"#,
            r#"in "schema": a schema has an unknown member "x""#,
        ),
        (
            r#"{"schema":{"type":"int7"}}"#,
            r#"in "schema": unknown schema type "int7""#,
        ),
        (
            r#"{"schema":{"type":"array"}}"#,
            r#"in "schema": an array or map schema has no "items""#,
        ),
        (
            r#"{"schema":{"type":"int8"},"payload":"1"}"#,
            r#"in "payload": must be an i8 integer, got "1""#,
        ),
        (
            r#"{"schema":{"type":"float"},"payload":1e39}"#,
            r#"in "payload": must be a number in range, got 1e+39"#,
        ),
        (
            r#"{"schema":{"type":"struct","fields":[]},"payload":{"a":1}}"#,
            r#"in "payload": the struct has no field "a""#,
        ),
        (
            r#"{"schema":{"type":"int32","name":"org.apache.kafka.connect.data.Time"},"payload":86400001}"#,
            r#"in "payload": must be milliseconds of a day, got 86400001"#,
        ),
        (
            r#"{"payload":{"$map":[[1,2],[1,3]]}}"#,
            r#"in "payload": in "$map": the key 1 stands twice"#,
        ),
        (
            r#"{"topic":"t","offset":1}"#,
            r#"a record has an unknown member "offset""#,
        ),
        (
            r#"{"topic":"t","kind":"sink","partition":null}"#,
            "a sink record's partition cannot be null",
        ),
        (
            r#"{"topic":"t","kind":"x"}"#,
            r#""kind" must be source or sink, got "x""#,
        ),
        (
            r#"{"topic":"t","partition":2147483648}"#,
            r#"in "partition": must be an i32 integer, got 2147483648"#,
        ),
    ];
    for (json, message) in rows {
        check_refused(json, message);
    }
}

#[test]
fn records_are_written_with_every_member_of_their_kind() {
    let rows = [
        (
            r#"{"topic":"t"}"#,
            r#"{"kind":"source","topic":"t","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":null},"headers":[]}"#,
        ),
        (
            r#"{"kind":"sink","topic":"t","timestamp":5,"value":{"payload":{"$map":[["$int8",1]]}},"headers":[{"key":"h","payload":{"$date":1}}]}"#,
            r#"{"kind":"sink","topic":"t","partition":0,"offset":0,"timestamp":5,"timestampType":"CreateTime","key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"$map":[["$int8",1]]}},"headers":[{"key":"h","schema":null,"payload":{"$timestamp":86400000}}]}"#,
        ),
        (
            r#"{"kind":"sink","topic":"t","key":{"schema":{"type":"int8"},"payload":{"$value":"x"}}}"#,
            r#"{"kind":"sink","topic":"t","partition":0,"offset":0,"timestamp":null,"timestampType":"NoTimestampType","key":{"schema":{"type":"int8","optional":false},"payload":{"$value":"x"}},"value":{"schema":null,"payload":null},"headers":[]}"#,
        ),
    ];
    for (json, written) in rows {
        let record = read_record(&from_str(json).unwrap()).unwrap();
        assert_eq!(write_record(&record).to_string(), written);
        assert_eq!(read_record(&from_str(written).unwrap()).unwrap(), record);
    }
}
