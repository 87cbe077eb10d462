//! Runs `bench/client-cost`, which measures our client alone against rdkafka.
//!
//! Lives here: building and starting it, and reading what it says.
//! Never here: librdkafka. That crate is outside the workspace, so that nothing else needs a C library.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::figures::Spread;
use crate::workspace::{Workspace, cargo};

/// What `bench/client-cost` has found.
#[derive(Debug, Default)]
pub struct ClientCosts {
    /// What ours was measured against, for people.
    pub versions: String,
    pub rows: Vec<ClientRow>,
}

/// CPU microseconds per record of one kind of work.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientRow {
    pub title: String,
    pub rdkafka: Option<Spread>,
    pub ours: Option<Spread>,
    /// Ours again, as a control.
    pub again: Option<Spread>,
}

pub fn run(workspace: &Workspace, bootstrap: &str, options: &[String]) -> Result<ClientCosts> {
    eprintln!("building bench/client-cost");
    let output = cargo()
        .args(["run", "--release", "--quiet", "--manifest-path"])
        .arg(workspace.root.join("bench/client-cost/Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace.target.join("client-cost"))
        .args(["--", "--json"])
        .args(options)
        .env("KAFKA_BOOTSTRAP", bootstrap)
        .stderr(Stdio::inherit())
        .output()
        .context("could not run cargo")?;
    ensure!(
        output.status.success(),
        "bench/client-cost ended with {}",
        output.status
    );
    let json: Value =
        serde_json::from_slice(&output.stdout).context("bench/client-cost did not print JSON")?;
    Ok(ClientCosts {
        versions: json["rdkafka"].as_str().unwrap_or_default().to_owned(),
        rows: rows(&json["rows"])?,
    })
}

fn rows(json: &Value) -> Result<Vec<ClientRow>> {
    let rows = json
        .as_array()
        .context("bench/client-cost printed no list")?;
    rows.iter()
        .map(|row| {
            let spread = |client: &str| {
                let values = row[client].as_array().into_iter().flatten();
                Spread::of(values.filter_map(Value::as_f64))
            };
            Ok(ClientRow {
                title: row["title"]
                    .as_str()
                    .context("a row has no title")?
                    .to_owned(),
                rdkafka: spread("rdkafka"),
                ours: spread("kafka-client"),
                again: spread("kafka-client again"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_have_a_title_and_values() {
        let json = json!([{"title": "produce", "rdkafka": [0.6, 0.8], "kafka-client": [0.1]}]);
        let expected = ClientRow {
            title: "produce".into(),
            rdkafka: Spread::of([0.6, 0.8]),
            ours: Spread::of([0.1]),
            again: None,
        };
        assert_eq!(rows(&json).expect("well-formed"), [expected]);
        assert!(rows(&json!([{"rdkafka": []}])).is_err());
        assert!(rows(&json!({})).is_err());
    }
}
