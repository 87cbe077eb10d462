//! What JsonConverter can be told.
//!
//! Lives here: the table of keys, and the settings that come out of it.
//! Source: `JsonConverterConfig` of Apache Kafka 4.3.1.

use crate::config::{converter_config_def, parse};
use connect_api::{ConverterType, Result};
use connect_config::{ConfigDef, ConfigEnum, Importance, Key, Properties, Width};

pub const SCHEMAS_ENABLE: Key<bool> = Key::new("schemas.enable");
pub const SCHEMAS_CACHE_SIZE: Key<i32> = Key::new("schemas.cache.size");
pub const SCHEMA_CONTENT: Key<Option<String>> = Key::new("schema.content");
pub const DECIMAL_FORMAT: Key<DecimalFormat> = Key::new("decimal.format");
pub const REPLACE_NULL_WITH_DEFAULT: Key<bool> = Key::new("replace.null.with.default");

const SCHEMAS_CACHE_SIZE_DEFAULT: i32 = 1000;

/// How decimals are written. Both forms are read, whatever this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalFormat {
    /// The unscaled value's bytes.
    Base64,
    /// A number.
    Numeric,
}

impl ConfigEnum for DecimalFormat {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("BASE64", DecimalFormat::Base64),
        ("NUMERIC", DecimalFormat::Numeric),
    ];
    const IGNORE_CASE: bool = true;
}

pub fn config_def() -> ConfigDef {
    converter_config_def()
        .define(
            SCHEMAS_ENABLE
                .default(true)
                .importance(Importance::High)
                .doc("Include schemas within each of the serialized values and keys.")
                .group("Schemas", 0)
                .width(Width::Medium)
                .display_name("Enable Schemas"),
        )
        .define(
            SCHEMAS_CACHE_SIZE
                .default(SCHEMAS_CACHE_SIZE_DEFAULT)
                .importance(Importance::High)
                .doc("The maximum number of schemas that can be cached in this converter instance.")
                .group("Schemas", 1)
                .width(Width::Medium)
                .display_name("Schema Cache Size"),
        )
        .define(
            SCHEMA_CONTENT
                .default_null()
                .importance(Importance::High)
                .doc(
                    "When set, this is used as the schema for all messages, and the schemas within each of \
                     the message will be ignored.Otherwise, the schema will be included in the content of \
                     each message. This configuration applies only 'schemas.enable' is true, and it \
                     exclusively affects the sink connector.",
                )
                .group("Schemas", 2)
                .width(Width::Medium)
                .display_name("Schema Content"),
        )
        .define(
            DECIMAL_FORMAT
                .default(DecimalFormat::Base64)
                .importance(Importance::Low)
                .doc(
                    "Controls which format this converter will serialize decimals in. This value is case \
                     insensitive and can be either 'BASE64' (default) or 'NUMERIC'",
                )
                .group("Serialization", 0)
                .width(Width::Medium)
                .display_name("Decimal Format"),
        )
        .define(
            REPLACE_NULL_WITH_DEFAULT
                .default(true)
                .importance(Importance::Low)
                .doc(
                    "Whether to replace fields that have a default value and that are null to the default \
                     value. When set to true, the default value is used, otherwise null is used.",
                )
                .group("Serialization", 1)
                .width(Width::Medium)
                .display_name("Replace null with default"),
        )
}

/// The settings as the converter uses them.
pub(super) struct JsonConverterConfig {
    pub schemas_enable: bool,
    pub schemas_cache_size: usize,
    /// Not empty.
    pub schema_content: Option<String>,
    pub decimal_format: DecimalFormat,
    pub replace_null_with_default: bool,
}

impl Default for JsonConverterConfig {
    fn default() -> Self {
        Self {
            schemas_enable: true,
            schemas_cache_size: SCHEMAS_CACHE_SIZE_DEFAULT as usize,
            schema_content: None,
            decimal_format: DecimalFormat::Base64,
            replace_null_with_default: true,
        }
    }
}

impl JsonConverterConfig {
    pub(super) fn parse(configs: &Properties, converter_type: ConverterType) -> Result<Self> {
        let parsed = parse(&config_def(), configs, converter_type)?;
        let content: Option<String> = parsed.get(SCHEMA_CONTENT);
        Ok(Self {
            schemas_enable: parsed.get(SCHEMAS_ENABLE),
            // Like Java's, a cache of no room or less is one that keeps nothing.
            schemas_cache_size: usize::try_from(parsed.get(SCHEMAS_CACHE_SIZE)).unwrap_or(0),
            schema_content: content.filter(|content| !content.is_empty()),
            decimal_format: parsed.get(DECIMAL_FORMAT),
            replace_null_with_default: parsed.get(REPLACE_NULL_WITH_DEFAULT),
        })
    }
}
