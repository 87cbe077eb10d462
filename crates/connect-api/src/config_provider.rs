//! Where `${provider:path:key}` in a configuration gets its values.

use crate::Result;
use connect_config::Properties;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a provider knows under a path. Values are secrets: they are never logged.
pub struct ConfigData {
    pub data: BTreeMap<String, String>,
    /// After this time the connector should be restarted with fresh values.
    pub ttl: Option<Duration>,
}

/// Resolves references in configurations.
pub trait ConfigProvider: Send + Sync {
    fn configure(&mut self, configs: &Properties) -> Result<()>;

    /// All keys under a path, or those asked for. Keys that it does not know are left out.
    fn get(&self, path: &str, keys: Option<&[&str]>) -> Result<ConfigData>;
}
