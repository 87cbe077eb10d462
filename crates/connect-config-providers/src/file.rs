//! `${file:/path/to/a.properties:key}`: values of properties files.
//!
//! Source: `FileConfigProvider` of Apache Kafka 4.3, `allowed.paths` of KIP-993.

use crate::allowed_paths::AllowedPaths;
use crate::{not_configured, read_text};
use connect_api::{ConfigData, ConfigProvider, ConnectError, Result};
use connect_config::Properties;
use std::collections::BTreeMap;
use tracing::warn;

/// The path is a properties file in UTF-8, the key a property. The file is read at every question.
#[derive(Default)]
pub struct FileConfigProvider(Option<AllowedPaths>);

impl ConfigProvider for FileConfigProvider {
    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.0 = Some(AllowedPaths::of(configs)?);
        Ok(())
    }

    /// Fails: when the file cannot be read. A path that is not allowed has no values, and a warning says so.
    fn get(&self, path: &str, keys: Option<&[&str]>) -> Result<ConfigData> {
        let allowed = self.0.as_ref().ok_or_else(not_configured)?;
        let mut data = BTreeMap::new();
        if path.is_empty() {
            return Ok(ConfigData { data, ttl: None });
        }
        let Some(file) = allowed.allow(path) else {
            warn!("The path {path} is not allowed to be accessed");
            return Ok(ConfigData { data, ttl: None });
        };
        let unreadable =
            || ConnectError::config(format!("Could not read properties from file {path}"));
        let text = read_text(&file).map_err(|cause| unreadable().caused_by(cause))?;
        let properties =
            Properties::from_text(&text).map_err(|cause| unreadable().caused_by(cause))?;
        for (key, value) in properties {
            if keys.is_none_or(|keys| keys.contains(&key.as_str()))
                && let Some(value) = value
            {
                data.insert(key, value);
            }
        }
        Ok(ConfigData { data, ttl: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown;

    /// Answers of Apache Kafka 4.3.1, whose sentences end before the colon that names the cause.
    #[test]
    fn files_are_read_as_in_java() {
        let folder = tempfile::tempdir().unwrap();
        let d = folder.path().to_str().unwrap().to_owned();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
        write("x", "a=1\nb = two \\u00e4ö\nc\n".as_bytes()).unwrap();
        write("latin", b"a=s3cret\xff").unwrap();
        write("malformed", b"a=s3cret\\u12").unwrap();
        let mut all = FileConfigProvider::default();
        all.configure(&Properties::new()).unwrap();
        let mut limited = FileConfigProvider::default();
        let allowed = Properties::from_iter([("allowed.paths", format!("{d}/x"))]);
        limited.configure(&allowed).unwrap();
        for (provider, path, keys, expected) in [
            (&all, "D/x", None, "a=1 b=two äö c="),
            (&all, "D/x", Some(&["a", "z"][..]), "a=1"),
            (&all, "", None, ""),
            (&limited, "D/x", Some(&["c"]), "c="),
            (&limited, "D/../x", None, ""),
            (&limited, "D/latin", None, ""),
            (
                &all,
                "D",
                None,
                "Could not read properties from file D: Is a directory (os error 21)",
            ),
            (
                &all,
                "D/none",
                None,
                "Could not read properties from file D/none: No such file or directory (os error 2)",
            ),
            (
                &all,
                "D/latin",
                None,
                "Could not read properties from file D/latin: the file is not UTF-8 text",
            ),
            (
                &all,
                "D/malformed",
                None,
                "Could not read properties from file D/malformed: Malformed \\uxxxx encoding.",
            ),
            (
                &FileConfigProvider::default(),
                "D/x",
                None,
                "The provider has not been configured yet.",
            ),
        ] {
            let answer = provider.get(&path.replace('D', &d), keys);
            let answer = shown(answer).replace(&d, "D");
            assert_eq!(answer, expected, "{path} {keys:?}");
        }
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let mut provider = FileConfigProvider::default();
        provider.configure(&Properties::new()).unwrap();
        let error = provider.get("/dev/zero", None).err().unwrap().to_string();
        assert!(
            error.ends_with("the file is larger than 16777216 bytes"),
            "{error}"
        );
    }
}
