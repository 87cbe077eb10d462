//! The rules of the house that the compiler does not know.
//!
//! Lives here: which rule reads which files, and how a breach is told.
//! Never here: a rule that rustfmt or clippy could check.
//!
//! Every rule is a function from a file's name and text to findings, so its test is a table.

mod manifests;
mod markdown;
mod names;
mod paths;
mod rust;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use anyhow::{Context as _, Result};

use crate::Verdict;
use crate::rust_source::Roles;
use crate::workspace::Workspace;

pub const HELP: &str = "\
cargo xtask tidy: the rules of the house that the compiler does not know

  Rust files     open with a `//!` header that says what lives there, have at most 800 lines,
                 leave nothing unfinished (todo, dbg, ignored tests), do not sleep in tests and
                 do not unwrap outside them
  names          no file, module or crate is called utils, util, common, helpers, misc or types
  Cargo.toml     each dependency of the workspace has its reason above it; crates take edition,
                 licence, lints and every dependency from the workspace
  Markdown       relative links lead to a file of the project and to a heading of it
  all files      no path of somebody's machine

CONTRIBUTING.md gives the reasons.
";

/// A breach of a rule, told as `file:line: what is wrong and what to do`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    /// From 1; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    pub message: String,
}

impl Finding {
    fn at(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(line),
            message: message.into(),
        }
    }

    fn whole(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

pub fn run(workspace: &Workspace) -> Result<Verdict> {
    let files = workspace.files()?;
    let mut texts = Vec::new();
    for file in &files {
        let bytes = fs::read(workspace.root.join(file))
            .with_context(|| format!("could not read {file}"))?;
        // What is not UTF-8 is no text, and no rule of ours.
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((file.as_str(), text));
        }
    }
    let known: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let roles = Roles::among(texts.iter().map(|(file, text)| (*file, text.as_str())));
    let mut findings = rust::stale_exceptions(&texts);
    findings.extend(names::packages(&workspace.packages));
    for (file, text) in &texts {
        findings.extend(names::path(file));
        findings.extend(paths::machine_paths(file, text));
        if is_our_rust(file) {
            findings.extend(rust::all(file, roles.of(file), text));
        } else if file.ends_with(".md") {
            findings.extend(markdown::links(file, text, &known, &|file| {
                text_of(&texts, file)
            }));
        } else if *file == "Cargo.toml" {
            findings.extend(manifests::reasons(file, text));
        } else if workspace
            .packages
            .iter()
            .any(|package| format!("{}/Cargo.toml", package.dir) == *file)
        {
            findings.extend(manifests::inheritance(file, text));
        }
    }
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(Verdict::Good);
    }
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(Verdict::Bad)
}

fn is_our_rust(file: &str) -> bool {
    let ours = ["crates/", "connectors/", "xtask/"]
        .iter()
        .any(|dir| file.starts_with(dir));
    ours && file.ends_with(".rs")
}

fn text_of<'a>(texts: &'a [(&str, String)], file: &str) -> Option<&'a str> {
    texts
        .iter()
        .find(|(name, _)| *name == file)
        .map(|(_, text)| text.as_str())
}
