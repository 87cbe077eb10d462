//! Rules for `Cargo.toml`: a dependency is a decision, taken in one place, with its reason.
//!
//! Reads lines, as cargo has already checked the grammar.

use super::Finding;

/// What every crate takes from the workspace.
const INHERITED: &[&str] = &["edition", "license"];

/// In the workspace's manifest, each dependency from elsewhere has its reason on the line above.
pub fn reasons(file: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    entries(text)
        .filter(|entry| {
            entry.section == "workspace.dependencies" && !entry.value.contains("path = ")
        })
        .filter(|entry| !(entry.line >= 2 && lines[entry.line - 2].starts_with("# ")))
        .map(|entry| {
            let why = format!(
                "`{}` has no reason: write one line above it on what it is for",
                entry.key
            );
            Finding::at(file, entry.line, why)
        })
        .collect()
}

/// A crate takes edition, licence, lints and every dependency from the workspace.
pub fn inheritance(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has = |section: &str, key: &str| {
        entries(text).any(|entry| {
            entry.section == section
                && (entry.key == format!("{key}workspace") && entry.value == "true"
                    || format!("{}.", entry.key) == key && entry.value.contains("workspace = true"))
        })
    };
    for key in INHERITED {
        if !has("package", &format!("{key}.")) {
            findings.push(Finding::whole(
                file,
                format!("`{key}.workspace = true` is missing in [package]"),
            ));
        }
    }
    if !has("lints", "") {
        findings.push(Finding::whole(
            file,
            "`[lints]` with `workspace = true` is missing",
        ));
    }
    for entry in entries(text).filter(|entry| is_dependency_section(&entry.section)) {
        let inherits = entry.key.ends_with(".workspace") && entry.value == "true"
            || entry.value.contains("workspace = true");
        if !inherits {
            let why = format!(
                "`{}` is not taken from the workspace: add it with its reason to [workspace.dependencies] \
                 of the root, and say `workspace = true` here",
                entry.key
            );
            findings.push(Finding::at(file, entry.line, why));
        }
    }
    findings
}

fn is_dependency_section(section: &str) -> bool {
    let last = section.rsplit('.').next().unwrap_or(section);
    matches!(
        last,
        "dependencies" | "dev-dependencies" | "build-dependencies"
    )
}

/// `key = value` of a section; a value that spans lines is joined.
struct Entry {
    section: String,
    /// Of the key, from 1.
    line: usize,
    key: String,
    value: String,
}

fn entries(text: &str) -> impl Iterator<Item = Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    let mut open = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let brackets = depth(line);
        if let (true, Some(entry)) = (open > 0, entries.last_mut()) {
            entry.value.push_str(line);
            open += brackets;
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            entries.push(Entry {
                section: section.clone(),
                line: at + 1,
                key,
                value,
            });
            open = brackets;
        } else {
            section = line.trim_matches(['[', ']']).to_owned();
        }
    }
    entries.into_iter()
}

fn depth(line: &str) -> i32 {
    line.chars()
        .map(|c| match c {
            '[' | '{' => 1,
            ']' | '}' => -1,
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(findings: &[Finding]) -> Vec<String> {
        let start = |finding: &Finding| {
            let told = finding.to_string();
            told.split([':', '`']).take(3).collect::<Vec<_>>().join("|")
        };
        findings.iter().map(start).collect()
    }

    #[test]
    fn dependencies_have_a_reason() {
        let text = "[workspace]\nmembers = [\n\"a\",\n]\n[workspace.dependencies]\nours = { path = \"crates/ours\" }\n\n\
                    # Why a.\na = \"1\"\nb = \"1\"\n# Why c.\nc = { version = \"1\", features = [\n  \"x\",\n] }\n\n\
                    # Why d.\n\nd = \"1\"\n[profile.dev]\ndebug = false\n";
        assert_eq!(
            told(&reasons("Cargo.toml", text)),
            ["Cargo.toml|10| ", "Cargo.toml|18| "]
        );
    }

    #[test]
    fn crates_inherit() {
        let good = "[package]\nname = \"x\"\nedition.workspace = true\nlicense = { workspace = true }\n\
                    [lints]\nworkspace = true\n[dependencies]\na.workspace = true\n\
                    b = { workspace = true, features = [\"x\"] }\n[dev-dependencies]\n";
        assert_eq!(inheritance("Cargo.toml", good), []);
        let findings = inheritance("Cargo.toml", "[package]\nedition = \"2024\"\n");
        assert_eq!(
            told(&findings),
            [
                "Cargo.toml| |edition.workspace = true",
                "Cargo.toml| |license.workspace = true",
                "Cargo.toml| |[lints]"
            ]
        );
        let own = format!(
            "{good}c = \"1\"\n[target.'cfg(unix)'.dependencies]\nd = {{ version = \"1\" }}\n"
        );
        assert_eq!(
            told(&inheritance("Cargo.toml", &own)),
            ["Cargo.toml|11| ", "Cargo.toml|13| "]
        );
    }
}
