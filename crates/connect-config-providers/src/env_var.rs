//! `${env:NAME}`: variables of the environment that the worker was started in.
//!
//! Source: `EnvVarConfigProvider` of Apache Kafka 4.3 (KIP-887).

use crate::not_configured;
use connect_api::{ConfigData, ConfigProvider, ConnectError, Result};
use connect_config::{JavaRegex, Properties};
use std::collections::BTreeMap;
use std::ffi::OsString;
use tracing::info;

const ALLOWLIST_PATTERN: &str = "allowlist.pattern";
const DEFAULT_PATTERN: &str = ".*";

/// There is no path; the key is the name of a variable, which `allowlist.pattern` must match as a whole.
#[derive(Default)]
pub struct EnvVarConfigProvider(Option<BTreeMap<String, String>>);

impl EnvVarConfigProvider {
    fn configure_from(
        &mut self,
        configs: &Properties,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<()> {
        let pattern = configs.get(ALLOWLIST_PATTERN).unwrap_or_else(|| {
            info!("No pattern for environment variables provided. Using default pattern '(.*)'.");
            DEFAULT_PATTERN
        });
        let refused = |cause| {
            ConnectError::config(format!("the {ALLOWLIST_PATTERN} is no regular expression"))
                .caused_by(cause)
        };
        let pattern = JavaRegex::new(pattern).map_err(refused)?;
        let mut allowed = BTreeMap::new();
        for (name, value) in variables {
            // A name that is no text cannot stand in a reference.
            let Ok(name) = name.into_string() else {
                continue;
            };
            if pattern.matches(&name).map_err(refused)? {
                allowed.insert(name, value.to_string_lossy().into_owned());
            }
        }
        self.0 = Some(allowed);
        Ok(())
    }
}

impl ConfigProvider for EnvVarConfigProvider {
    /// Fails: with what Java says of the pattern.
    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.configure_from(configs, std::env::vars_os())
    }

    /// Fails: with Java's message, when there is a path.
    fn get(&self, path: &str, keys: Option<&[&str]>) -> Result<ConfigData> {
        if !path.is_empty() {
            return Err(ConnectError::config(format!(
                "Path is not supported for EnvVarConfigProvider, invalid value '{path}'"
            )));
        }
        let allowed = self.0.as_ref().ok_or_else(not_configured)?;
        let asked = allowed
            .iter()
            .filter(|(name, _)| keys.is_none_or(|keys| keys.contains(&name.as_str())));
        Ok(ConfigData {
            data: asked
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            ttl: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown;

    /// Answers of Apache Kafka 4.3.1, but for what stands before the words of the pattern's error.
    #[test]
    fn variables_are_answered_as_in_java() {
        let variables = [
            ("HOME", "/h"),
            ("HO", "o"),
            ("PATH", "/p"),
            ("Two\nlines", ""),
        ];
        for (pattern, path, keys, expected) in [
            (None, "", None, "HO=o HOME=/h PATH=/p"),
            (None, "", Some(&["HOME", "none"][..]), "HOME=/h"),
            (Some("HO.*"), "", Some(&["HOME", "PATH"]), "HOME=/h"),
            (Some("HO"), "", None, "HO=o"),
            (Some("HO|(?!HOME).*"), "", None, "HO=o PATH=/p"),
            (Some(""), "", None, ""),
            (
                None,
                "x",
                None,
                "Path is not supported for EnvVarConfigProvider, invalid value 'x'",
            ),
            (
                Some("("),
                "",
                None,
                "the allowlist.pattern is no regular expression: Unclosed group near index 1\n(",
            ),
        ] {
            let mut configs = Properties::new();
            if let Some(pattern) = pattern {
                configs.set(ALLOWLIST_PATTERN, pattern);
            }
            let mut provider = EnvVarConfigProvider::default();
            let variables = variables
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value)));
            let configured = provider.configure_from(&configs, variables);
            let answer = shown(configured.and_then(|()| provider.get(path, keys)));
            assert_eq!(answer, expected, "{pattern:?} {path} {keys:?}");
        }
        let unconfigured = EnvVarConfigProvider::default().get("", None).err();
        assert!(unconfigured.is_some());
    }
}
