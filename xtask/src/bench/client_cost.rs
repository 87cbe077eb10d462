//! Runs `bench/client-cost`, which measures our client alone against rdkafka.
//!
//! Lives here: building and starting it, and reading what it says.
//! Never here: librdkafka. That crate is outside the workspace, so that nothing else needs a C library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
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
    let output = Command::new(build(workspace)?)
        .arg("--json")
        .args(options)
        .env("KAFKA_BOOTSTRAP", bootstrap)
        .stderr(Stdio::inherit())
        .output()
        .context("could not run bench/client-cost")?;
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

/// The program, built now unless it is.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("building bench/client-cost");
    let target = workspace.target.join("client-cost");
    let status = cargo()
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(workspace.root.join("bench/client-cost/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("could not run cargo")?;
    ensure!(
        status.success(),
        "the build of bench/client-cost ended with {status}"
    );
    Ok(target.join("release/client-cost"))
}

/// One run of kafka-client in a process of its own, with idempotence and without compression: records per
/// second after the warm-up.
pub fn load(program: &Path, bootstrap: &str, topic: &str, work: LoadWork) -> Result<f64> {
    let action = if work.consume { "consume" } else { "produce" };
    let output = Command::new(program)
        .args(["measure", "kafka-client", bootstrap, topic, action])
        .args(["none", "true"])
        .args([work.batch_bytes, work.keys, work.records].map(|number| number.to_string()))
        .output()
        .context("could not run bench/client-cost")?;
    ensure!(
        output.status.success(),
        "kafka-client could not {action} at {bootstrap}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8_lossy(&output.stdout);
    // CPU and wall-clock time per record.
    let wall_us = text.split_whitespace().nth(1).map(str::parse::<f64>);
    match wall_us {
        Some(Ok(wall_us)) if wall_us > 0.0 => Ok(1e6 / wall_us),
        _ => bail!("bench/client-cost printed `{text}`, expected two times"),
    }
}

#[derive(Debug, Clone, Copy)]
pub struct LoadWork {
    /// Consumes; else produces.
    pub consume: bool,
    pub batch_bytes: u64,
    /// Different keys in turn; 0: none.
    pub keys: u64,
    pub records: u64,
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
