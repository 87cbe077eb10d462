//! Connector files beside what `ConnectStandalone` of Apache Kafka 4.3.1 made of them.
//!
//! A line of `data/connector_file.jsonl`: `text` as ISO-8859-1, and `expect` or the `error` message. Where
//! Java fails with a null pointer, or goes on with a null name and fails later, we refuse the file.

use std::error::Error;

use connect_config::{ConnectorFile, InitialState};
use serde_json::Value;

#[test]
fn connector_files_are_read_as_java_reads_them() {
    for line in include_str!("data/connector_file.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = row["text"].as_str().unwrap();
        let bytes: Vec<u8> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        let actual = ConnectorFile::parse(&bytes, "FILE");
        match (&row["expect"], row["error"].as_str()) {
            (_, Some(class)) if class.starts_with("java.") => assert!(actual.is_err(), "{text}"),
            (_, Some(message)) => {
                let error = actual.expect_err(text);
                let cause = error.source().map(ToString::to_string);
                assert!(
                    error.to_string() == message || cause.as_deref() == Some(message),
                    "{text}: {error}"
                );
            }
            (expect, None) if expect["name"].is_null() => assert!(actual.is_err(), "{text}"),
            (expect, None) => {
                let file = actual.expect(text);
                assert_eq!(file.name, expect["name"].as_str().unwrap(), "{text}");
                let mut config: Vec<_> = expect["config"].as_object().unwrap().iter().collect();
                config.sort_unstable_by_key(|(key, _)| *key);
                let config: Vec<_> = config
                    .into_iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect();
                assert_eq!(file.config.iter().collect::<Vec<_>>(), config, "{text}");
                let state = expect["initial_state"]
                    .as_str()
                    .and_then(InitialState::for_value);
                assert_eq!(file.initial_state, state, "{text}");
            }
        }
    }
}

/// Java only says that the name is missing; the reason is the JSON before that.
#[test]
fn broken_json_is_named_as_the_cause() {
    let rows = [
        (
            r#"{"name":"x",}"#,
            "as JSON: trailing comma at line 1 column 13",
        ),
        (
            r#"{"name":"x","config":{"a":[1]}}"#,
            "as JSON: 'config' holds a value that is neither text nor null",
        ),
        (
            r#"{"name":"x","config":{},"initial_state":"gone"}"#,
            "as JSON: 'initial_state' must be one of RUNNING, PAUSED, STOPPED, found gone",
        ),
    ];
    for (text, cause) in rows {
        let error = ConnectorFile::parse(text.as_bytes(), "c.json").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Connector configuration at 'c.json' is missing the mandatory 'name' configuration"
        );
        assert_eq!(error.source().unwrap().to_string(), cause);
    }
    let error = ConnectorFile::parse(b"a=b", "c.properties").unwrap_err();
    assert!(error.source().is_none());
}
