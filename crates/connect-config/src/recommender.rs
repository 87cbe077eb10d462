//! Which values a form should offer for a key, given the others.

use crate::{ConfigException, ConfigValueData, ParsedConfig};

/// `ConfigDef.Recommender`: asked during validation, after every key has been parsed.
pub trait Recommender: Send + Sync {
    /// Values to offer. `parsed` holds null for keys that were bad, so use [`ParsedConfig::value`].
    fn valid_values(
        &self,
        name: &str,
        parsed: &ParsedConfig,
    ) -> Result<Vec<ConfigValueData>, ConfigException>;

    /// Whether the key means anything with these values.
    fn visible(&self, _name: &str, _parsed: &ParsedConfig) -> Result<bool, ConfigException> {
        Ok(true)
    }
}

/// A fixed list is a recommender of a key that is always visible.
impl Recommender for Vec<ConfigValueData> {
    fn valid_values(
        &self,
        _name: &str,
        _parsed: &ParsedConfig,
    ) -> Result<Vec<ConfigValueData>, ConfigException> {
        Ok(self.clone())
    }
}
