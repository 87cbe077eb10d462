//! The configuration of a worker.
//!
//! Lives here: the keys that a standalone worker has, and what is said about those that it does not honour.
//! Lives elsewhere: keys of Kafka clients (`kafka_client::settings`), reading the file (the binary).
//! Source: `WorkerConfig` and `StandaloneConfig` of Apache Kafka 4.3.

use crate::client_config::OverridePolicy;
use crate::config_providers::{CONFIG_PROVIDERS, ConfigProviders};
use crate::plugins::Plugins;
use crate::restart;
use connect_config::{
    ClassName, ConfigDef, ConfigErrors, Importance, Key, Properties, Secrets, Validator,
};
use std::sync::Arc;
use std::time::Duration;

pub const BOOTSTRAP_SERVERS: Key<Vec<String>> = Key::new("bootstrap.servers");
pub const KEY_CONVERTER: Key<ClassName> = Key::new("key.converter");
pub const VALUE_CONVERTER: Key<ClassName> = Key::new("value.converter");
pub const HEADER_CONVERTER: Key<ClassName> = Key::new("header.converter");
pub const TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS: Key<i64> =
    Key::new("task.shutdown.graceful.timeout.ms");
pub const OFFSET_FLUSH_INTERVAL_MS: Key<i64> = Key::new("offset.flush.interval.ms");
pub const OFFSET_FLUSH_TIMEOUT_MS: Key<i64> = Key::new("offset.flush.timeout.ms");
pub const OVERRIDE_POLICY: Key<String> = Key::new("connector.client.config.override.policy");
pub const OVERRIDE_ALLOWLIST: Key<Vec<String>> =
    Key::new("connector.client.config.override.allowlist");
pub const TOPIC_CREATION_ENABLE: Key<bool> = Key::new("topic.creation.enable");
pub const OFFSET_STORAGE_FILE_FILENAME: Key<String> = Key::new("offset.storage.file.filename");

pub const SIMPLE_HEADER_CONVERTER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Most that a time in milliseconds counts for: about 35,000 years, far from any overflow.
const MILLISECONDS_MAX: i64 = 1 << 50;

/// A standalone worker's configuration, parsed.
#[derive(Clone)]
pub struct WorkerConfig {
    pub key_converter: String,
    pub value_converter: String,
    pub header_converter: String,
    /// For all tasks that are stopped together.
    pub task_shutdown_graceful_timeout: Duration,
    pub offset_flush_interval: Duration,
    pub offset_flush_timeout: Duration,
    pub override_policy: OverridePolicy,
    pub offset_storage_file: String,
    /// Whether source connectors may have their topics created, by `topic.creation.*`.
    pub topic_creation_enable: bool,
    /// For the configurations of connectors.
    pub providers: Arc<ConfigProviders>,
    /// For the clients and converters: what was written, references replaced.
    pub originals: Properties,
}

pub fn config_def() -> ConfigDef {
    use Importance::{High, Low, Medium};
    restart::define(ConfigDef::new())
        .define(BOOTSTRAP_SERVERS.default(vec!["localhost:9092".to_string()]).importance(High).doc(
            "Kafka brokers to connect to first: host:port, comma separated.",
        ))
        .define(KEY_CONVERTER.required().importance(High).doc(
            "Converter class of record keys, for connectors that name none of their own.",
        ))
        .define(VALUE_CONVERTER.required().importance(High).doc(
            "Converter class of record values, for connectors that name none of their own.",
        ))
        .define(HEADER_CONVERTER.default(SIMPLE_HEADER_CONVERTER).importance(Low).doc(
            "Converter class of record headers, for connectors that name none of their own.",
        ))
        .define(TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS.default(5_000i64).importance(Low).doc(
            "Time that all tasks together get to stop by themselves.",
        ))
        .define(OFFSET_FLUSH_INTERVAL_MS.default(60_000i64).importance(Low).doc(
            "Time between commits of offsets.",
        ))
        .define(OFFSET_FLUSH_TIMEOUT_MS.default(5_000i64).importance(Low).doc(
            "Longest that a commit of offsets may take before it is given up until the next.",
        ))
        .define(OVERRIDE_POLICY.default("All").importance(Medium).doc(
            "Which client settings connectors may override: All, None, Principal, Allowlist.",
        ))
        .define(OVERRIDE_ALLOWLIST.default(Vec::<String>::new()).importance(Medium).doc(
            "With the policy Allowlist: the settings that connectors may override.",
        ))
        .define(
            OFFSET_STORAGE_FILE_FILENAME
                .required()
                .validator(Validator::non_empty())
                .importance(High)
                .doc("File that keeps the offsets of source connectors."),
        )
        .define(TOPIC_CREATION_ENABLE.default(true).importance(Low).doc(
            "Whether source connectors may have their topics created, as their topic.creation.* keys say.",
        ))
        .define(CONFIG_PROVIDERS.default(Vec::<String>::new()).importance(Low).doc(
            "Names of config providers: what stands before the first colon in ${provider:path:key}.",
        ))
}

impl WorkerConfig {
    /// Makes the config providers, puts their values in the place of references, and parses what comes out.
    /// `secrets` hears of these values, and of those of connectors later. Also returns a warning for each
    /// reference that nothing is known for.
    ///
    /// Fails: with every bad key at once; no message shows a value that came from a provider.
    pub fn read(
        raw: &Properties,
        plugins: &Plugins,
        secrets: &Secrets,
    ) -> Result<(Self, Vec<String>), ConfigErrors> {
        // As in Java, parameters of the worker's own providers are taken as written, and those of the
        // connectors' providers may refer to others.
        let own = ConfigProviders::new(raw, plugins, secrets.clone())?.resolve(raw)?;
        let read = || {
            let providers = ConfigProviders::new(&own.properties, plugins, secrets.clone())?;
            let parsed = Self::parse(&own.properties)?;
            Ok(Self {
                providers: Arc::new(providers),
                ..parsed
            })
        };
        let config = read().map_err(|errors: ConfigErrors| secrets.hide_in(&errors))?;
        Ok((config, own.warnings))
    }

    /// Without config providers: references stay as they are written. Reports every bad key at once.
    pub fn parse(properties: &Properties) -> Result<Self, ConfigErrors> {
        let parsed = config_def().parse(properties)?;
        let policy = parsed.get(OVERRIDE_POLICY);
        let Some(override_policy) =
            OverridePolicy::by_name(&policy, parsed.get(OVERRIDE_ALLOWLIST))
        else {
            let message = format!(
                "Invalid value {policy} for configuration {}: must be one of All, None, Principal, Allowlist",
                OVERRIDE_POLICY.name()
            );
            return Err(ConfigErrors::of(OVERRIDE_POLICY.name(), message));
        };
        let at_least = |least: i64, key| {
            Duration::from_millis(i64::clamp(parsed.get(key), least, MILLISECONDS_MAX) as u64)
        };
        let millis = |key| at_least(0, key);
        Ok(Self {
            key_converter: parsed.get(KEY_CONVERTER).as_str().to_string(),
            value_converter: parsed.get(VALUE_CONVERTER).as_str().to_string(),
            header_converter: parsed.get(HEADER_CONVERTER).as_str().to_string(),
            task_shutdown_graceful_timeout: millis(TASK_SHUTDOWN_GRACEFUL_TIMEOUT_MS),
            // A task that is to commit all the time would do nothing else.
            offset_flush_interval: at_least(1, OFFSET_FLUSH_INTERVAL_MS),
            offset_flush_timeout: millis(OFFSET_FLUSH_TIMEOUT_MS),
            override_policy,
            offset_storage_file: parsed.get(OFFSET_STORAGE_FILE_FILENAME),
            topic_creation_enable: parsed.get(TOPIC_CREATION_ENABLE),
            providers: Arc::default(),
            originals: properties.clone(),
        })
    }
}

/// Keys that a Java worker honours and this one does not. A name that ends in `*` stands for all that begin
/// so.
const NOT_HONOURED: &[(&str, &str)] = &[
    ("listeners*", "there is no REST API in standalone mode yet"),
    ("rest.*", "there is no REST API in standalone mode yet"),
    (
        "admin.listeners*",
        "there is no REST API in standalone mode yet",
    ),
    (
        "access.control.*",
        "there is no REST API in standalone mode yet",
    ),
    (
        "response.http.headers.config",
        "there is no REST API in standalone mode yet",
    ),
    (
        "ssl.client.auth",
        "there is no REST API in standalone mode yet",
    ),
    (
        "plugin.path",
        "Java plugins are not loaded; the connectors and converters are built in",
    ),
    (
        "plugin.discovery",
        "Java plugins are not loaded; the connectors and converters are built in",
    ),
    ("metrics.*", "metrics are not exported yet"),
    ("metric.reporters", "metrics are not exported yet"),
    ("auto.include.jmx.reporter", "there is no JMX"),
    (
        "topic.tracking.*",
        "topics that connectors use are not tracked yet",
    ),
    (
        "internal.key.converter*",
        "internal data is always JSON without schemas, as in Kafka Connect since 3.0",
    ),
    (
        "internal.value.converter*",
        "internal data is always JSON without schemas, as in Kafka Connect since 3.0",
    ),
    (
        "key.converter.plugin.version",
        "there is one version of each plugin",
    ),
    (
        "value.converter.plugin.version",
        "there is one version of each plugin",
    ),
    (
        "header.converter.plugin.version",
        "there is one version of each plugin",
    ),
    ("config.storage.*", "it belongs to distributed mode"),
    ("offset.storage.topic", "it belongs to distributed mode"),
    (
        "offset.storage.partitions",
        "it belongs to distributed mode",
    ),
    (
        "offset.storage.replication.factor",
        "it belongs to distributed mode",
    ),
    ("status.storage.*", "it belongs to distributed mode"),
    ("group.id", "it belongs to distributed mode"),
];

/// Keys that belong to others: the clients and converters say what they do not honour themselves.
const OF_OTHERS: &[&str] = &[
    "producer.",
    "consumer.",
    "admin.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "config.providers.",
];

/// What to tell about keys that change nothing, a sentence each.
pub fn warnings(properties: &Properties, client_keys: &dyn Fn(&str) -> bool) -> Vec<String> {
    let matches = |pattern: &str, key: &str| match pattern.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => key == pattern,
    };
    let mut warnings = Vec::new();
    let mut rest = Properties::new();
    for (key, value) in properties.iter() {
        if let Some((_, reason)) = NOT_HONOURED
            .iter()
            .find(|(pattern, _)| matches(pattern, key))
        {
            warnings.push(format!("\"{key}\" has no effect: {reason}"));
        } else if !client_keys(key) && !OF_OTHERS.iter().any(|prefix| key.starts_with(prefix)) {
            rest.set_nullable(key, value.map(str::to_string));
        }
    }
    warnings.extend(
        config_def()
            .unknown_keys(&rest)
            .iter()
            .map(ToString::to_string),
    );
    warnings
}
