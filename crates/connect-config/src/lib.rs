//! What a configuration may say, and what it said: Kafka's `ConfigDef` with a typed face.
//!
//! Lives here: configuration keys with their types, defaults, validators and recommenders; parsing and
//! validating a map of texts with the messages of Apache Kafka; the formats of configuration files;
//! variables such as `${file:/path:key}`.
//! Never here: I/O, a clock, a log line. Callers read files, ask config providers and print warnings.
//!
//! In reading order: a file becomes [`Properties`], a table of [`ConfigKey`]s becomes a [`ConfigDef`],
//! and [`ConfigDef::parse`] turns the first into typed values with the help of the second.
//!
//! ```
//! use connect_config::{ConfigDef, ConfigErrors, Importance, Key, Properties, Validator};
//!
//! const TOPIC: Key<String> = Key::new("topic");
//! const BATCH_SIZE: Key<i32> = Key::new("batch.size");
//!
//! fn config_def() -> ConfigDef {
//!     ConfigDef::new()
//!         .define(TOPIC.required().importance(Importance::High).doc("The topic to publish to."))
//!         .define(BATCH_SIZE.default(2000).validator(Validator::at_least(1)).doc("Lines per batch."))
//! }
//!
//! # fn main() -> Result<(), ConfigErrors> {
//! let props = Properties::from_iter([("topic", "orders"), ("batch.size", "10")]);
//! let parsed = config_def().parse(&props)?;
//! assert_eq!(parsed.get(TOPIC), "orders");
//! assert_eq!(parsed.get(BATCH_SIZE), 10);
//!
//! let errors = config_def().parse(&Properties::from_iter([("batch.size", "0")])).unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "configuration is invalid, 2 errors:\n  \
//!      topic: Missing required configuration \"topic\" which has no default value.\n  \
//!      batch.size: Invalid value 0 for configuration batch.size: Value must be at least 1"
//! );
//! # Ok(())
//! # }
//! ```

// Texts, before anything is known about types.
mod connector_file;
mod properties;
mod properties_file;
mod secrets;
mod variable;

// The table of keys, and what a configuration is measured against it.
mod config_def;
mod key;
mod parsed;
mod unknown_keys;
mod validate;

// What the table is made of.
mod error;
mod from_config;
mod parse_type;
mod recommender;
mod validator;
mod value;

// Java's own rules underneath.
pub mod java_number;
pub mod java_regex;
mod java_string;

pub use config_def::ConfigDef;
pub use connector_file::{ConnectorFile, ConnectorFileError, InitialState, NotAConnector};
pub use error::{ConfigErrors, ConfigException};
pub use from_config::{ConfigEnum, FromConfig, IntoDefault};
pub use java_regex::{JavaRegex, JavaRegexError};
pub use key::{ConfigKey, DefaultValue, Importance, Key, Width};
pub use parse_type::{AnyClass, ClassResolver, parse_type};
pub use parsed::ParsedConfig;
pub use properties::Properties;
pub use properties_file::PropertiesError;
pub use recommender::Recommender;
pub use secrets::Secrets;
pub use unknown_keys::UnknownKey;
pub use validate::ConfigValue;
pub use validator::{Bound, Validator};
pub use value::{ClassName, ConfigType, ConfigValueData, Password};
pub use variable::{Variable, VariableRequests, substitute, variables};
