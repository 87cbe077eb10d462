//! Names that say nothing about what is inside.

use super::Finding;
use crate::workspace::Package;

const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "misc", "types"];

/// Directories and Rust files, which are the modules.
pub fn path(file: &str) -> Option<Finding> {
    let (dirs, name) = file.rsplit_once('/').unwrap_or(("", file));
    let modules = dirs.split('/').chain(name.strip_suffix(".rs"));
    let empty = modules
        .into_iter()
        .find(|part| EMPTY_NAMES.contains(part))?;
    Some(Finding::whole(file, says_nothing(empty)))
}

/// Any part of a crate's name: `connect-common` is as empty as `common`.
pub fn packages(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter_map(|package| {
            let empty = package
                .name
                .split(['-', '_'])
                .find(|part| EMPTY_NAMES.contains(part))?;
            Some(Finding::whole(
                &format!("{}/Cargo.toml", package.dir),
                says_nothing(empty),
            ))
        })
        .collect()
}

fn says_nothing(name: &str) -> String {
    format!(
        "the name `{name}` says nothing: name it after what it holds, or put each part where it is used"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_after_what_they_hold() {
        let rows = [
            ("crates/x/src/utils.rs", false),
            ("crates/x/src/util/mod.rs", false),
            ("crates/x/tests/common/mod.rs", false),
            ("connectors/types/Cargo.toml", false),
            ("crates/x/src/data_types.rs", true),
            ("docs/types.md", true),
            ("README.md", true),
        ];
        for (file, good) in rows {
            assert_eq!(path(file).is_none(), good, "{file}");
        }
    }

    #[test]
    fn crates_are_named_after_what_they_hold() {
        let rows = [
            ("connect-common", false),
            ("kafka_utils", false),
            ("connect-api", true),
        ];
        for (name, good) in rows {
            let package = Package {
                name: name.into(),
                dir: "crates/x".into(),
                uses: vec![],
                tests_use: vec![],
            };
            assert_eq!(packages(&[package]).is_empty(), good, "{name}");
        }
    }
}
