//! Which paths a provider may read: `allowed.paths`.
//!
//! Lives here: reading the list and the decision on a path.
//! Never here: following symbolic links. As in Java, a link inside an allowed directory may lead outside.
//! Source: `AllowedPaths` of Apache Kafka 4.3.

use connect_api::{ConnectError, Result};
use connect_config::Properties;
use std::path::{Component, Path, PathBuf};

const ALLOWED_PATHS: &str = "allowed.paths";

/// `None`: all paths are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedPaths(Option<Vec<PathBuf>>);

impl AllowedPaths {
    /// From the parameter `allowed.paths`, a list without blanks around its commas.
    ///
    /// Fails: with Java's message, when one of them is not absolute or is not there.
    pub fn of(configs: &Properties) -> Result<Self> {
        let Some(list) = configs.get(ALLOWED_PATHS).filter(|list| !list.is_empty()) else {
            return Ok(Self(None));
        };
        // As Java's `split`: empty parts at the end do not count.
        let mut paths = Vec::new();
        for path in list.trim_end_matches(',').split(',') {
            if path.is_empty() && list.chars().all(|c| c == ',') {
                break;
            }
            let path = normalized(Path::new(path));
            if !path.is_absolute() {
                let message = format!("Path {} is not absolute", path.display());
                return Err(ConnectError::config(message));
            }
            if !path.exists() {
                let message = format!("Path {} does not exist", path.display());
                return Err(ConnectError::config(message));
            }
            paths.push(path);
        }
        Ok(Self(Some(paths)))
    }

    /// The path to read, or `None` when it is not allowed. `..` is resolved in the text of the path.
    pub fn allow(&self, path: &str) -> Option<PathBuf> {
        let Some(allowed) = &self.0 else {
            return Some(PathBuf::from(path));
        };
        let path = normalized(Path::new(path));
        allowed
            .iter()
            .any(|allowed| path.starts_with(allowed))
            .then_some(path)
    }
}

/// `java.nio.file.Path.normalize`: without `.` and without a name before `..`.
fn normalized(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match normal.components().next_back() {
                Some(Component::Normal(_)) => {
                    normal.pop();
                }
                Some(Component::RootDir) => {}
                _ => normal.push(".."),
            },
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_in_java() {
        for (path, expected) in [
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../b", "/b"),
            ("a/..", ""),
            ("../a", "../a"),
            ("../../a", "../../a"),
            ("a/../../b", "../b"),
            ("", ""),
        ] {
            assert_eq!(normalized(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    /// Answers of Apache Kafka 4.3.1. `D` stands for a directory that is there.
    #[test]
    fn paths_are_allowed_as_in_java() {
        let folder = tempfile::tempdir().unwrap();
        let d = folder.path().to_str().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for (list, path, expected) in [
            (None, "D/x", Ok(Some("D/x"))),
            (None, "D/../x", Ok(Some("D/../x"))),
            (None, "x", Ok(Some("x"))),
            (Some(""), "/x", Ok(Some("/x"))),
            (Some("D"), "D", Ok(Some("D"))),
            (Some("D"), "D/x", Ok(Some("D/x"))),
            (Some("D/"), "D/x", Ok(Some("D/x"))),
            (Some("D/sub/.."), "D/x", Ok(Some("D/x"))),
            (Some("D"), "D/sub/../x", Ok(Some("D/x"))),
            (Some("D"), "D/../x", Ok(None)),
            (Some("D"), "Dx", Ok(None)),
            (Some("D"), "x", Ok(None)),
            (Some("D/sub"), "D/x", Ok(None)),
            (Some("D/sub,D"), "D/x", Ok(Some("D/x"))),
            (Some("D,"), "D/x", Ok(Some("D/x"))),
            (Some(","), "D/x", Ok(None)),
            (Some("rel"), "D/x", Err("Path rel is not absolute")),
            (Some("D,rel"), "D/x", Err("Path rel is not absolute")),
            (Some("D, /x"), "D/x", Err("Path  /x is not absolute")),
            (Some("D,,D"), "D/x", Err("Path  is not absolute")),
            (Some("D/none"), "D/x", Err("Path D/none does not exist")),
        ] {
            let put = |text: &str| text.replace('D', d);
            let mut configs = Properties::new();
            if let Some(list) = list {
                configs.set(ALLOWED_PATHS, put(list));
            }
            let actual = AllowedPaths::of(&configs)
                .map(|allowed| allowed.allow(&put(path)))
                .map_err(|error| error.to_string());
            let expected = expected
                .map(|path| path.map(|path| PathBuf::from(put(path))))
                .map_err(put);
            assert_eq!(actual, expected, "{list:?} {path}");
        }
    }
}
