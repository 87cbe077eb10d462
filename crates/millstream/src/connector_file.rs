//! Connector configurations from files, for commands that only look at them.
//!
//! Lives elsewhere: the formats (`connect_config::ConnectorFile`).

use connect_config::{ConnectorFile, ConnectorFileError, Properties};
use std::path::Path;

/// The configuration in a file of any of Kafka's formats; one without a name is taken too.
///
/// Fails: with a sentence that names the file.
pub fn read_config(path: &Path) -> Result<Properties, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|cause| format!("cannot read the connector configuration {shown}: {cause}"))?;
    match ConnectorFile::parse(&bytes, &shown.to_string()) {
        Ok(file) => Ok(file.config),
        // A part of a configuration, such as a chain alone.
        Err(ConnectorFileError::MissingName { json: None, .. }) => nameless(&bytes)
            .map_err(|cause| format!("{shown} is no connector configuration: {cause}")),
        Err(ConnectorFileError::MissingName {
            json: Some(json), ..
        }) => Err(format!("{shown} is no connector configuration, {json}")),
        Err(error) => Err(error.to_string()),
    }
}

fn nameless(bytes: &[u8]) -> Result<Properties, String> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Properties::from_bytes(bytes).map_err(|cause| cause.to_string());
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|cause| cause.to_string())?;
    let mut properties = Properties::new();
    for (key, value) in object {
        match value {
            serde_json::Value::Null => properties.set_null(key),
            serde_json::Value::String(text) => properties.set(key, text),
            other => properties.set(key, other.to_string()),
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("writable");
        match (read_config(file.path()), expected) {
            (Ok(config), Ok(value)) => assert_eq!(config.get("transforms"), Some(value)),
            (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
            (actual, expected) => panic!("{actual:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_name_is_not_needed() {
        check("transforms=a\n", Ok("a"));
        check("name=n\ntransforms=a\n", Ok("a"));
        check("{\"transforms\":\"a\"}", Ok("a"));
        check(
            "{\"name\":\"n\",\"config\":{\"transforms\":\"a\"}}",
            Ok("a"),
        );
        check("{\"transforms\":", Err("as JSON"));
    }
}
