//! `${directory:/path:name}`: each file of a directory is a value, as Kubernetes mounts secrets.
//!
//! Source: `DirectoryConfigProvider` of Apache Kafka 4.3 (KIP-632), `allowed.paths` of KIP-993.

use crate::allowed_paths::AllowedPaths;
use crate::{not_configured, read_text};
use connect_api::{ConfigData, ConfigProvider, ConnectError, Result};
use connect_config::Properties;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use tracing::warn;

/// The path is a directory, the key the name of a file in it, links followed. The value is the whole file,
/// an end of line at its end included.
#[derive(Default)]
pub struct DirectoryConfigProvider(Option<AllowedPaths>);

impl ConfigProvider for DirectoryConfigProvider {
    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.0 = Some(AllowedPaths::of(configs)?);
        Ok(())
    }

    /// Fails: when the directory cannot be listed or one of the files cannot be read as UTF-8. A path that is
    /// not allowed or no directory has no values, and a warning says so.
    fn get(&self, path: &str, keys: Option<&[&str]>) -> Result<ConfigData> {
        let allowed = self.0.as_ref().ok_or_else(not_configured)?;
        let none = ConfigData {
            data: BTreeMap::new(),
            ttl: None,
        };
        if path.is_empty() {
            return Ok(none);
        }
        let Some(directory) = allowed.allow(path) else {
            warn!("The path {path} is not allowed to be accessed");
            return Ok(none);
        };
        if !directory.is_dir() {
            warn!("The path {path} is not a directory");
            return Ok(none);
        }
        let names = file_names(&directory, keys).map_err(|cause| {
            let message = format!("Could not list directory {}", directory.display());
            ConnectError::config(message).caused_by(cause)
        })?;
        let mut data = BTreeMap::new();
        for name in names {
            let file = directory.join(&name);
            let text = read_text(&file).map_err(|cause| {
                let shown = file.display();
                ConnectError::config(format!("Could not read file {shown} for property {name}"))
                    .caused_by(cause)
            })?;
            data.insert(name, text);
        }
        Ok(ConfigData { data, ttl: None })
    }
}

/// Names of the regular files in a directory that were asked for. They come from the directory, never from
/// the question, so that a key such as `../x` leads nowhere. A name that is no text cannot be asked for.
fn file_names(directory: &Path, keys: Option<&[&str]>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if keys.is_none_or(|keys| keys.contains(&name.as_str())) && entry.path().is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown;

    /// Answers of Apache Kafka 4.3.1.
    #[test]
    fn directories_are_read_as_in_java() {
        let folder = tempfile::tempdir().unwrap();
        let d = folder.path().to_str().unwrap().to_owned();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("secrets")).unwrap();
        std::fs::create_dir(at("secrets/sub")).unwrap();
        std::fs::write(at("secrets/pw"), "sec\n").unwrap();
        std::fs::write(at("outside"), "out").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("secrets/link")).unwrap();
        std::os::unix::fs::symlink(at("gone"), at("secrets/dangling")).unwrap();
        std::fs::create_dir(at("latin")).unwrap();
        std::fs::write(at("latin/x"), b"s3cret\xff").unwrap();
        let mut all = DirectoryConfigProvider::default();
        all.configure(&Properties::new()).unwrap();
        let mut limited = DirectoryConfigProvider::default();
        let allowed = Properties::from_iter([("allowed.paths", format!("{d}/secrets"))]);
        limited.configure(&allowed).unwrap();
        for (provider, path, keys, expected) in [
            (&all, "D/secrets", None, "link=out pw=sec\n"),
            (
                &all,
                "D/secrets",
                Some(&["pw", "sub", "none", "../outside", "dangling"][..]),
                "pw=sec\n",
            ),
            (&limited, "D/secrets/", Some(&["link"]), "link=out"),
            (&limited, "D/latin", None, ""),
            (&all, "D/secrets/pw", None, ""),
            (&all, "D/none", None, ""),
            (&all, "", None, ""),
            (&all, "D/latin", Some(&["y"]), ""),
            (
                &all,
                "D/latin",
                None,
                "Could not read file D/latin/x for property x: the file is not UTF-8 text",
            ),
            (
                &DirectoryConfigProvider::default(),
                "D",
                None,
                "The provider has not been configured yet.",
            ),
        ] {
            let answer = provider.get(&path.replace('D', &d), keys);
            let answer = shown(answer).replace(&d, "D");
            assert_eq!(answer, expected, "{path} {keys:?}");
        }
    }
}
