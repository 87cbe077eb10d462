//! Paths that exist on one machine only.

use super::Finding;

/// Top directories under which people keep what is theirs.
const PRIVATE: &[&str] = &["work", "root", "home", "Users"];

pub fn machine_paths(file: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(at, line)| {
            let path = private_path(line)?;
            let why = format!("`{path}` exists on one machine only: name it relative to the project, or by a variable");
            Some(Finding::at(file, at + 1, why))
        })
        .collect()
}

/// The start of the first path of somebody's machine in a line.
fn private_path(line: &str) -> Option<String> {
    for (at, _) in line.match_indices('/') {
        // `https://example.com/home/` and `$HOME/work/` are no absolute paths.
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || "_-.}~*/)".contains(c)) {
            continue;
        }
        let rest = &line[at + 1..];
        if let Some(top) = PRIVATE.iter().find(|top| {
            rest.strip_prefix(**top)
                .is_some_and(|rest| rest.starts_with('/'))
        }) {
            return Some(format!("/{top}/"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        // Put together here, so that this file passes its own rule.
        let path = |top: &str| format!("/{top}/x");
        let rows = [
            (path("home"), true),
            (format!("cd {}", path("work")), true),
            (format!("dir=\"{}\"", path("root")), true),
            (format!("file://{}", path("Users")), false),
            (format!("https://example.com{}", path("home")), false),
            (format!("$HOME{}", path("work")), false),
            (format!("${{DIR}}{}", path("work")), false),
            ("/homestead/x /tmp/x /home".to_owned(), false),
        ];
        for (line, found) in rows {
            assert_eq!(private_path(&line).is_some(), found, "{line}");
        }
    }

    #[test]
    fn the_line_is_told() {
        let text = format!("a\nb {}\n", ["", "home", "x"].join("/"));
        let findings = machine_paths("a.md", &text);
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].to_string().starts_with("a.md:2: "),
            "{findings:?}"
        );
    }
}
