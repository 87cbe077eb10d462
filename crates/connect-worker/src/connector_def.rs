//! The definition of every connector's configuration: which keys there are, for parsing, forms and reference.
//!
//! Lives here: the keys that all connectors have, those of sources and of sinks, and those that transforms and
//! predicates add by being named.
//! Lives elsewhere: the keys' names and what they become (`connector_config`), the keys of a connector itself.
//! Source: `ConnectorConfig`, `SourceConnectorConfig`, `SinkConnectorConfig` and `EnrichablePlugin` of Apache Kafka 4.3.

use crate::chain::{PREDICATES_PREFIX, TRANSFORMS_PREFIX, guard_def, negate_alone};
use crate::connector_config::*;
use crate::plugins::Plugins;
use crate::restart;
use crate::topic_creation::ensure_unique_groups;
use connect_config::{
    ConfigDef, ConfigErrors, ConfigException, ConfigKey, ConfigType, ConfigValueData, DefaultValue,
    Importance, Properties, Validator, Width,
};
use std::collections::BTreeSet;

const COMMON: &str = "Common";
const TRANSFORMS_GROUP: &str = "Transforms";
const PREDICATES_GROUP: &str = "Predicates";
const ERRORS: &str = "Error Handling";
const TOPIC_CREATION: &str = "Topic Creation";
const EXACTLY_ONCE: &str = "Exactly Once Support";
const OFFSETS_TOPIC: &str = "offsets.topic";

/// There is one version of each plugin: the program's.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn common_def() -> ConfigDef {
    use Importance::{High, Low, Medium};
    let def = ConfigDef::new()
        .define(
            NAME.required()
                .validator(Validator::non_empty_without_control_chars())
                .importance(High)
                .doc("Globally unique name to use for this connector.")
                .group(COMMON, 1)
                .width(Width::Medium)
                .display_name("Connector name"),
        )
        .define(
            CONNECTOR_CLASS
                .required()
                .importance(High)
                .doc("Name or alias of the class for this connector.")
                .group(COMMON, 2)
                .width(Width::Long)
                .display_name("Connector class"),
        )
        .define(version("connector.plugin.version", "Connector version", 3).importance(Medium))
        .define(
            TASKS_MAX
                .default(1)
                .validator(Validator::at_least(1))
                .importance(High)
                .doc("Maximum number of tasks to use for this connector.")
                .group(COMMON, 4)
                .width(Width::Short)
                .display_name("Tasks max"),
        )
        .define(
            TASKS_MAX_ENFORCE
                .default(true)
                .importance(Low)
                .doc("Whether to refuse a connector that makes more tasks than tasks.max.")
                .group(COMMON, 5)
                .width(Width::Short)
                .display_name("Enforce tasks max"),
        )
        .define(converter(KEY_CONVERTER.default_null(), "Key converter", 6, "record keys"))
        .define(version("key.converter.plugin.version", "Key converter version", 7).width(Width::Short))
        .define(converter(VALUE_CONVERTER.default_null(), "Value converter", 8, "record values"))
        .define(version("value.converter.plugin.version", "Value converter version", 9).width(Width::Short))
        .define(converter(HEADER_CONVERTER.default_null(), "Header converter", 10, "record headers"))
        .define(version("header.converter.plugin.version", "Header converter version", 11).width(Width::Short))
        .define(
            TRANSFORMS
                .default(Vec::<String>::new())
                .validator(Validator::custom("unique transformation aliases", unique_aliases))
                .importance(Low)
                .doc("Aliases of the transforms, in the order in which they run.")
                .group(TRANSFORMS_GROUP, 12)
                .width(Width::Long)
                .display_name("Transforms"),
        )
        .define(
            PREDICATES
                .default(Vec::<String>::new())
                .validator(Validator::custom("unique predicate aliases", unique_aliases))
                .importance(Low)
                .doc("Aliases of the predicates that transforms may name.")
                .group(PREDICATES_GROUP, 13)
                .width(Width::Long)
                .display_name("Predicates"),
        )
        .define(
            CONFIG_ACTION_RELOAD
                .default("restart")
                .validator(Validator::in_values(["none", "restart"]))
                .importance(Low)
                .doc("What to do when a config provider's values have expired: restart the connector, or nothing.")
                .group(COMMON, 14)
                .width(Width::Medium)
                .display_name("Reload Action"),
        )
        .define(
            ERRORS_RETRY_TIMEOUT
                .default(0i64)
                .importance(Medium)
                .doc("How long a failed operation is tried again, in milliseconds; -1 without end.")
                .group(ERRORS, 1)
                .width(Width::Medium)
                .display_name("Retry Timeout for Errors"),
        )
        .define(
            ERRORS_RETRY_DELAY_MAX_MS
                .default(60_000i64)
                .importance(Medium)
                .doc("Longest time between two tries, in milliseconds.")
                .group(ERRORS, 2)
                .width(Width::Medium)
                .display_name("Maximum Delay Between Retries for Errors"),
        )
        .define(
            ERRORS_TOLERANCE
                .default(ToleranceType::None)
                .importance(Medium)
                .doc("none: a record that cannot be processed makes the task fail. all: it is skipped.")
                .group(ERRORS, 3)
                .width(Width::Short)
                .display_name("Error Tolerance"),
        )
        .define(
            ERRORS_LOG_ENABLE
                .default(false)
                .importance(Medium)
                .doc("Whether records that fail are logged.")
                .group(ERRORS, 4)
                .width(Width::Short)
                .display_name("Log Errors"),
        )
        .define(
            ERRORS_LOG_INCLUDE_MESSAGES
                .default(false)
                .importance(Medium)
                .doc("Whether the log shows the record itself.")
                .group(ERRORS, 5)
                .width(Width::Short)
                .display_name("Log Error Details"),
        )
        .define(
            TOLERANCE_LIMIT
                .default_null()
                .validator(Validator::at_least(1).or_null())
                .importance(Medium)
                .doc(
                    "With errors.tolerance=all: most records that may fail within the window; one more and the task \
                     fails. Without it there is no limit, as in Kafka Connect.",
                )
                .group(ERRORS, 100)
                .width(Width::Short)
                .display_name("Most errors in a window"),
        )
        .define(
            TOLERANCE_WINDOW_MS
                .default(60_000i64)
                .validator(Validator::at_least(1i64))
                .importance(Medium)
                .doc("Length of that window in milliseconds.")
                .group(ERRORS, 101)
                .width(Width::Short)
                .display_name("Window of errors"),
        );
    restart::define(def)
}

/// The keys that every sink has.
pub fn sink_def() -> ConfigDef {
    use Importance::{High, Medium};
    common_def()
        .define(
            TOPICS
                .default(Vec::<String>::new())
                .validator(Validator::any_non_duplicate_values(true, false))
                .importance(High)
                .doc("Topics to consume, comma separated.")
                .group(COMMON, 4)
                .width(Width::Long)
                .display_name("Topics"),
        )
        .define(
            TOPICS_REGEX
                .default("")
                .importance(High)
                .doc("Java regular expression of the topics to consume, matched against whole names.")
                .group(COMMON, 4)
                .width(Width::Long)
                .display_name("Topics regex"),
        )
        .define(
            DLQ_TOPIC_NAME
                .default("")
                .importance(Medium)
                .doc("Topic for records that cannot be processed.")
                .group(ERRORS, 6)
                .width(Width::Medium)
                .display_name("Dead Letter Queue Topic Name"),
        )
        .define(
            DLQ_REPLICATION_FACTOR
                .default(3i16)
                .importance(Medium)
                .doc("Replication factor of that topic, when it has to be created.")
                .group(ERRORS, 7)
                .width(Width::Medium)
                .display_name("Dead Letter Queue Topic Replication Factor"),
        )
        .define(
            DLQ_CONTEXT_HEADERS
                .default(false)
                .importance(Medium)
                .doc("Whether headers of its records say what failed.")
                .group(ERRORS, 8)
                .width(Width::Medium)
                .display_name("Enable Error Context Headers"),
        )
        .define(
            PUT_BISECT
                .default(PutBisect::Off)
                .importance(Medium)
                .doc(
                    "With errors.tolerance=all, when put fails with a data error. off: the task fails, as in Kafka \
                     Connect. once: the batch is offered in parts, so that only the guilty records are left out; for \
                     connectors that write nothing when put fails. at-least-once: the same for all connectors, which \
                     may write records twice.",
                )
                .group(ERRORS, 102)
                .width(Width::Short)
                .display_name("Bisect refused batches"),
        )
}

/// The keys that every source has.
pub fn source_def() -> ConfigDef {
    use Importance::{Low, Medium};
    common_def()
        .define(
            SOURCE_DLQ_TOPIC_NAME
                .default("")
                .importance(Medium)
                .doc("Topic for records that cannot be sent. Kafka Connect has none for sources.")
                .group(ERRORS, 102)
                .width(Width::Medium)
                .display_name("Dead Letter Queue Topic Name"),
        )
        .define(
            SOURCE_DLQ_REPLICATION_FACTOR
                .default(3i16)
                .importance(Medium)
                .doc("Replication factor of that topic, when it has to be created.")
                .group(ERRORS, 103)
                .width(Width::Medium)
                .display_name("Dead Letter Queue Topic Replication Factor"),
        )
        .define(
            SOURCE_DLQ_CONTEXT_HEADERS
                .default(true)
                .importance(Medium)
                .doc("Whether headers of its records say what failed and where they were read.")
                .group(ERRORS, 104)
                .width(Width::Medium)
                .display_name("Enable Error Context Headers"),
        )
        .define(
            TOPIC_CREATION_GROUPS
                .default(Vec::<String>::new())
                .validator(Validator::custom(
                    "unique topic creation groups",
                    ensure_unique_groups,
                ))
                .importance(Low)
                .doc("Groups of topics that are created with settings of their own.")
                .group(TOPIC_CREATION, 1)
                .width(Width::Long)
                .display_name("Topic Creation Groups"),
        )
        .define(
            EXACTLY_ONCE_SUPPORT
                .default("requested")
                // The order in which Java's messages list them.
                .validator(Validator::in_ignoring_case(["required", "requested"]))
                .importance(Medium)
                .doc("Whether the connector must be exactly-once.")
                .group(EXACTLY_ONCE, 2)
                .width(Width::Short)
                .display_name("Exactly once support"),
        )
        .define(
            TRANSACTION_BOUNDARY
                .default("poll")
                .validator(Validator::in_ignoring_case([
                    "interval",
                    "poll",
                    "connector",
                ]))
                .importance(Medium)
                .doc("Where transactions end.")
                .group(EXACTLY_ONCE, 3)
                .width(Width::Short)
                .display_name("Transaction Boundary"),
        )
        .define(
            TRANSACTION_BOUNDARY_INTERVAL_MS
                .default_null()
                .validator(Validator::at_least(0i64).or_null())
                .importance(Low)
                .doc("Time between transactions, in milliseconds.")
                .group(EXACTLY_ONCE, 4)
                .width(Width::Short)
                .display_name("Transaction boundary interval"),
        )
        .define(
            OFFSETS_STORAGE_TOPIC
                .default_null()
                .importance(Low)
                .doc("A topic of its own for the connector's source offsets.")
                .group(OFFSETS_TOPIC, 1)
                .width(Width::Long)
                .display_name("Offsets topic"),
        )
}

fn converter(key: ConfigKey, name: &str, order: i32, of: &str) -> ConfigKey {
    key.importance(Importance::Low)
        .doc(format!(
            "Converter class of {of}; the worker's when it is left out."
        ))
        .group(COMMON, order)
        .width(Width::Short)
        .display_name(format!("{name} class"))
}

/// Accepted, and shown; there is one version to choose from.
fn version(key: &str, name: &str, order: i32) -> ConfigKey {
    ConfigKey::new(key, ConfigType::String)
        .default_value(DefaultValue::Value(ConfigValueData::from(VERSION)))
        .importance(Importance::Low)
        .doc("Version of the plugin. There is one version of each, so this has no effect.")
        .group(COMMON, order)
        .width(Width::Medium)
        .display_name(name)
}

fn unique_aliases(name: &str, value: &ConfigValueData) -> Result<(), ConfigException> {
    let ConfigValueData::List(aliases) = value else {
        return Ok(());
    };
    let different: BTreeSet<&String> = aliases.iter().collect();
    match different.len() == aliases.len() {
        true => Ok(()),
        false => Err(ConfigException::invalid(
            name,
            value,
            "Duplicate alias provided.",
        )),
    }
}

/// The definition with the keys of every transform and predicate that a configuration names: their class, and the
/// class's own keys behind their prefix. What is wrong with a class is an error under `….type`.
pub fn enriched(
    mut def: ConfigDef,
    plugins: &Plugins,
    config: &Properties,
) -> (ConfigDef, ConfigErrors) {
    let mut errors = ConfigErrors::new();
    for alias in aliases(config, TRANSFORMS.name()) {
        let plugin = Named {
            prefix: format!("{TRANSFORMS_PREFIX}{alias}."),
            group: format!("{TRANSFORMS_GROUP}: {alias}"),
            kind: "Transformation",
            alias,
        };
        let own = plugins.transformation_of(config, &plugin.type_key());
        let own = own.and_then(|(_, make)| {
            let negate = format!("{}negate", plugin.prefix);
            let predicate = format!("{}predicate", plugin.prefix);
            if config.contains_key(&negate) && !config.contains_key(&predicate) {
                let message = negate_alone(&plugin.prefix);
                return Err(ConfigErrors::of(plugin.type_key(), message));
            }
            let mut own = make().config_def();
            for key in guard_def().keys() {
                // A key of the transform with this name is hidden by the chain's.
                own.remove(key.name());
                let _ = own.try_define(key.clone());
            }
            Ok(own)
        });
        plugin.define(&mut def, own, &mut errors);
    }
    for alias in aliases(config, PREDICATES.name()) {
        let plugin = Named {
            prefix: format!("{PREDICATES_PREFIX}{alias}."),
            group: format!("{PREDICATES_GROUP}: {alias}"),
            kind: "Predicate",
            alias,
        };
        let own = plugins.predicate_of(config, &plugin.type_key());
        let own = own.map(|(_, make)| make().config_def());
        plugin.define(&mut def, own, &mut errors);
    }
    (def, errors)
}

/// A transform or predicate under its alias.
struct Named {
    alias: String,
    prefix: String,
    group: String,
    kind: &'static str,
}

impl Named {
    fn type_key(&self) -> String {
        format!("{}type", self.prefix)
    }

    fn define(
        &self,
        def: &mut ConfigDef,
        own: Result<ConfigDef, ConfigErrors>,
        errors: &mut ConfigErrors,
    ) {
        let Self {
            alias,
            prefix,
            group,
            kind,
        } = self;
        let class = ConfigKey::new(self.type_key(), ConfigType::Class)
            .importance(Importance::High)
            .doc(format!("Class for the '{alias}' {}.", kind.to_lowercase()))
            .group(group, 0)
            .width(Width::Long)
            .display_name(format!("{kind} type for {alias}"));
        let version = version(
            &format!("{prefix}plugin.version"),
            &format!("{kind} version for {alias}"),
            1,
        )
        .importance(Importance::High)
        .group(group, 1)
        .width(Width::Long);
        // An alias that stands twice has its keys once.
        let _ = def.try_define(class);
        let _ = def.try_define(version);
        match own {
            Ok(own) => {
                let _ = def.embed(prefix, group, 2, &own);
            }
            Err(more) => errors.merge(more),
        }
    }
}

fn aliases(config: &Properties, key: &str) -> Vec<String> {
    let mut aliases: Vec<String> = Vec::new();
    for alias in config
        .get(key)
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
    {
        if !alias.is_empty() && !aliases.iter().any(|known| known == alias) {
            aliases.push(alias.to_string());
        }
    }
    aliases
}
