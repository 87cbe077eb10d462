//! Runs `bench/transform-cost`: a chain of transforms in memory, Java's classes and ours in turn.
//!
//! Lives here: building both programs, starting them, and reading what they print.
//! Never here: a worker. What a chain costs in one is a case of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Lane;
use super::figures::Spread;
use crate::workspace::{Workspace, cargo};

/// As the programs print it, and as the table has it.
const KINDS: [(&str, &str); 2] = [
    ("with schemas", "five transforms, with schemas"),
    ("without schemas", "five transforms, without schemas"),
];

/// CPU nanoseconds per record of one kind.
#[derive(Debug)]
pub struct TransformRow {
    pub title: &'static str,
    pub records: u64,
    pub costs: Vec<(Lane, f64)>,
}

impl TransformRow {
    pub fn spread(&self, lane: Lane) -> Option<Spread> {
        let of_lane = self.costs.iter().filter(|(of, _)| *of == lane);
        Spread::of(of_lane.map(|(_, cost)| *cost))
    }
}

/// Both kinds, all rounds, in the given turns.
pub fn run(
    workspace: &Workspace,
    libs: &Path,
    turns: &[(Lane, bool)],
    rounds: u32,
    records: u64,
) -> Result<Vec<TransformRow>> {
    let ours = build_ours(workspace)?;
    let classes = build_java(workspace, libs)?;
    let mut rows: Vec<TransformRow> = KINDS
        .iter()
        .map(|(_, title)| TransformRow {
            title,
            records,
            costs: Vec::new(),
        })
        .collect();
    for _ in 0..rounds {
        for (lane, java) in turns {
            let mut command = if *java {
                let mut command = Command::new("java");
                let path = [classes.clone(), libs.join("*")];
                command
                    .arg("-cp")
                    .arg(std::env::join_paths(path)?)
                    .arg("TransformCost");
                command
            } else {
                Command::new(&ours)
            };
            let output = command
                .arg(records.to_string())
                .output()
                .context("could not run bench/transform-cost")?;
            ensure!(
                output.status.success(),
                "bench/transform-cost ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
            let text = String::from_utf8_lossy(&output.stdout);
            for ((kind, title), row) in KINDS.iter().zip(&mut rows) {
                let cost = cost(&text, kind, records)
                    .with_context(|| format!("bench/transform-cost printed no `{kind}`"))?;
                eprintln!("  {:<12} {title}: {cost:.0} ns", lane.name());
                row.costs.push((*lane, cost));
            }
        }
    }
    Ok(rows)
}

/// Nanoseconds per record, from a line such as
/// `java with schemas: 2000000 records, 1.234 CPU seconds, 617 ns per record`.
fn cost(text: &str, kind: &str, records: u64) -> Option<f64> {
    let line = text.lines().find_map(|line| {
        let (_program, rest) = line.split_once(' ')?;
        rest.strip_prefix(kind)?.strip_prefix(": ")
    })?;
    // The seconds have more digits than the nanoseconds.
    let seconds: f64 = line.split(", ").nth(1)?.split(' ').next()?.parse().ok()?;
    (records > 0).then(|| seconds * 1e9 / records as f64)
}

fn build_ours(workspace: &Workspace) -> Result<PathBuf> {
    eprintln!("building bench/transform-cost");
    let status = cargo()
        .args(["build", "--release", "--quiet"])
        .args(["--package", "connect-transforms"])
        .args(["--example", "transform_cost"])
        .current_dir(&workspace.root)
        .status()
        .context("could not run cargo")?;
    ensure!(
        status.success(),
        "the build of the example transform_cost ended with {status}"
    );
    Ok(workspace.target.join("release/examples/transform_cost"))
}

fn build_java(workspace: &Workspace, libs: &Path) -> Result<PathBuf> {
    let classes = workspace.target.join("transform-cost");
    fs::create_dir_all(&classes)?;
    let output = Command::new("javac")
        .arg("-cp")
        .arg(libs.join("*"))
        .arg("-d")
        .arg(&classes)
        .arg(
            workspace
                .root
                .join("bench/transform-cost/TransformCost.java"),
        )
        .output()
        .context("could not run javac")?;
    ensure!(
        output.status.success(),
        "javac ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_kind() {
        let text = "\
millstream with schemas: 2000 records, 0.004 CPU seconds, 2000 ns per record
millstream without schemas: 2000 records, 0.010 CPU seconds, 5000 ns per record
  with schemas, Cast$Value: 7 ns
";
        let rows = [
            ("with schemas", Some(2_000.0)),
            ("without schemas", Some(5_000.0)),
            ("with keys", None),
        ];
        for (kind, expected) in rows {
            let found = cost(text, kind, 2_000).map(f64::round);
            assert_eq!(found, expected, "{kind}");
        }
    }
}
