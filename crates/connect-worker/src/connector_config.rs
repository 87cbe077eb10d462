//! What every connector's configuration has, besides the keys of the connector itself.
//!
//! Lives here: the common keys, those of sources and of sinks, the checks across them.
//! Source: `ConnectorConfig`, `SourceConnectorConfig`, `SinkConnectorConfig` of Apache Kafka 4.3.

use crate::plugins::AnyConnector;
use crate::topic_creation::ensure_unique_groups;
use connect_config::java_regex::JavaRegex;
use connect_config::{
    ClassName, ConfigDef, ConfigEnum, ConfigErrors, Importance, Key, Properties, Validator,
};

pub const NAME: Key<String> = Key::new("name");
pub const CONNECTOR_CLASS: Key<String> = Key::new("connector.class");
pub const TASKS_MAX: Key<i32> = Key::new("tasks.max");
pub const TASKS_MAX_ENFORCE: Key<bool> = Key::new("tasks.max.enforce");
pub const KEY_CONVERTER: Key<Option<ClassName>> = Key::new("key.converter");
pub const VALUE_CONVERTER: Key<Option<ClassName>> = Key::new("value.converter");
pub const HEADER_CONVERTER: Key<Option<ClassName>> = Key::new("header.converter");
pub const TRANSFORMS: Key<Vec<String>> = Key::new("transforms");
pub const PREDICATES: Key<Vec<String>> = Key::new("predicates");
pub const ERRORS_RETRY_TIMEOUT: Key<i64> = Key::new("errors.retry.timeout");
pub const ERRORS_RETRY_DELAY_MAX_MS: Key<i64> = Key::new("errors.retry.delay.max.ms");
pub const ERRORS_TOLERANCE: Key<ToleranceType> = Key::new("errors.tolerance");
pub const ERRORS_LOG_ENABLE: Key<bool> = Key::new("errors.log.enable");
pub const ERRORS_LOG_INCLUDE_MESSAGES: Key<bool> = Key::new("errors.log.include.messages");
pub const CONFIG_ACTION_RELOAD: Key<String> = Key::new("config.action.reload");
pub const TOPICS: Key<Vec<String>> = Key::new("topics");
pub const TOPICS_REGEX: Key<String> = Key::new("topics.regex");
pub const DLQ_TOPIC_NAME: Key<String> = Key::new("errors.deadletterqueue.topic.name");
pub const DLQ_REPLICATION_FACTOR: Key<i16> =
    Key::new("errors.deadletterqueue.topic.replication.factor");
pub const DLQ_CONTEXT_HEADERS: Key<bool> =
    Key::new("errors.deadletterqueue.context.headers.enable");
pub const TOPIC_CREATION_GROUPS: Key<Vec<String>> = Key::new("topic.creation.groups");
pub const EXACTLY_ONCE_SUPPORT: Key<String> = Key::new("exactly.once.support");
pub const TRANSACTION_BOUNDARY: Key<String> = Key::new("transaction.boundary");
pub const TRANSACTION_BOUNDARY_INTERVAL_MS: Key<Option<i64>> =
    Key::new("transaction.boundary.interval.ms");
pub const OFFSETS_STORAGE_TOPIC: Key<Option<String>> = Key::new("offsets.storage.topic");

/// What happens to a record that cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToleranceType {
    /// The task fails.
    None,
    /// The record is skipped.
    All,
}

impl ConfigEnum for ToleranceType {
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("all", Self::All)];
}

/// A connector's common configuration, parsed.
#[derive(Clone)]
pub struct ConnectorConfig {
    pub name: String,
    pub connector_class: String,
    pub tasks_max: usize,
    /// Whether more tasks than `tasks_max` are refused.
    pub tasks_max_enforce: bool,
    pub errors_tolerance: ToleranceType,
    pub errors_log_enable: bool,
    pub errors_log_include_messages: bool,
    pub originals: Properties,
}

/// What a sink reads.
#[derive(Clone, Debug)]
pub enum TopicsChoice {
    List(Vec<String>),
    /// Matched against whole names.
    Pattern(JavaRegex),
}

fn common_def() -> ConfigDef {
    use Importance::{High, Low, Medium};
    ConfigDef::new()
        .define(
            NAME.required()
                .validator(Validator::non_empty_without_control_chars())
                .importance(High)
                .doc("Globally unique name to use for this connector."),
        )
        .define(CONNECTOR_CLASS.required().importance(High).doc("Name or alias of the class for this connector."))
        .define(
            TASKS_MAX
                .default(1)
                .validator(Validator::at_least(1))
                .importance(High)
                .doc("Maximum number of tasks to use for this connector."),
        )
        .define(TASKS_MAX_ENFORCE.default(true).importance(Low).doc(
            "Whether to refuse a connector that makes more tasks than tasks.max.",
        ))
        .define(KEY_CONVERTER.default_null().importance(Low).doc("Converter class of record keys."))
        .define(VALUE_CONVERTER.default_null().importance(Low).doc("Converter class of record values."))
        .define(HEADER_CONVERTER.default_null().importance(Low).doc("Converter class of record headers."))
        .define(TRANSFORMS.default(Vec::<String>::new()).importance(Low).doc("Aliases of the transforms, in order."))
        .define(PREDICATES.default(Vec::<String>::new()).importance(Low).doc("Aliases of the predicates."))
        .define(
            CONFIG_ACTION_RELOAD
                .default("restart")
                .validator(Validator::in_values(["none", "restart"]))
                .importance(Low)
                .doc("What to do when a config provider's values have expired."),
        )
        .define(ERRORS_RETRY_TIMEOUT.default(0i64).importance(Medium).doc(
            "How long a failed operation is tried again, in milliseconds; -1 without end.",
        ))
        .define(ERRORS_RETRY_DELAY_MAX_MS.default(60_000i64).importance(Medium).doc(
            "Longest time between two tries, in milliseconds.",
        ))
        .define(ERRORS_TOLERANCE.default(ToleranceType::None).importance(Medium).doc(
            "none: a record that cannot be converted makes the task fail. all: it is skipped.",
        ))
        .define(ERRORS_LOG_ENABLE.default(false).importance(Medium).doc("Whether skipped records are logged."))
        .define(ERRORS_LOG_INCLUDE_MESSAGES.default(false).importance(Medium).doc(
            "Whether the log says which record it was.",
        ))
}

fn sink_def() -> ConfigDef {
    use Importance::{High, Medium};
    common_def()
        .define(
            TOPICS
                .default(Vec::<String>::new())
                .importance(High)
                .doc("Topics to consume, comma separated."),
        )
        .define(
            TOPICS_REGEX
                .default("")
                .importance(High)
                .doc("Regular expression of the topics to consume."),
        )
        .define(
            DLQ_TOPIC_NAME
                .default("")
                .importance(Medium)
                .doc("Topic for records that cannot be processed."),
        )
        .define(
            DLQ_REPLICATION_FACTOR
                .default(3i16)
                .importance(Medium)
                .doc("Replication factor of that topic."),
        )
        .define(
            DLQ_CONTEXT_HEADERS
                .default(false)
                .importance(Medium)
                .doc("Whether its records say what failed."),
        )
}

fn source_def() -> ConfigDef {
    use Importance::{Low, Medium};
    common_def()
        .define(
            TOPIC_CREATION_GROUPS
                .default(Vec::<String>::new())
                .validator(Validator::custom(
                    "unique topic creation groups",
                    ensure_unique_groups,
                ))
                .importance(Low)
                .doc("Groups of created topics."),
        )
        .define(
            EXACTLY_ONCE_SUPPORT
                .default("requested")
                .validator(Validator::in_ignoring_case(["requested", "required"]))
                .importance(Medium)
                .doc("Whether the connector must be exactly-once."),
        )
        .define(
            TRANSACTION_BOUNDARY
                .default("poll")
                .validator(Validator::in_ignoring_case([
                    "poll",
                    "interval",
                    "connector",
                ]))
                .importance(Medium)
                .doc("Where transactions end."),
        )
        .define(
            TRANSACTION_BOUNDARY_INTERVAL_MS
                .default_null()
                .importance(Low)
                .doc("Time between transactions."),
        )
        .define(
            OFFSETS_STORAGE_TOPIC
                .default_null()
                .importance(Low)
                .doc("Own topic for source offsets."),
        )
}

impl ConnectorConfig {
    /// Checks the configuration as a whole, the connector's own keys too. Reports every bad key at once.
    pub fn parse(
        properties: &Properties,
        connector: &mut AnyConnector,
    ) -> Result<Self, ConfigErrors> {
        let def = match connector {
            AnyConnector::Source(_) => source_def(),
            AnyConnector::Sink(_) => sink_def(),
        };
        let mut errors = unsupported(properties, connector);
        if let Err(own) = connector.as_connector().config_def().parse(properties) {
            errors.merge(own);
        }
        if let AnyConnector::Sink(_) = connector
            && let Err(more) = topics_of(properties)
        {
            errors.merge(more);
        }
        match def.parse(properties) {
            Err(more) => {
                errors.merge(more);
                Err(errors)
            }
            Ok(parsed) => errors.into_result(Self {
                name: parsed.get(NAME),
                connector_class: parsed.get(CONNECTOR_CLASS),
                tasks_max: parsed.get(TASKS_MAX).max(1) as usize,
                tasks_max_enforce: parsed.get(TASKS_MAX_ENFORCE),
                errors_tolerance: parsed.get(ERRORS_TOLERANCE),
                errors_log_enable: parsed.get(ERRORS_LOG_ENABLE),
                errors_log_include_messages: parsed.get(ERRORS_LOG_INCLUDE_MESSAGES),
                originals: properties.clone(),
            }),
        }
    }
}

/// What a sink reads, from `topics` or `topics.regex`.
pub fn topics_of(properties: &Properties) -> Result<TopicsChoice, ConfigErrors> {
    let parsed = ConfigDef::new()
        .define(TOPICS.default(Vec::<String>::new()))
        .define(TOPICS_REGEX.default(""))
        .parse(properties)?;
    let (topics, pattern) = (parsed.get(TOPICS), parsed.get(TOPICS_REGEX));
    let both = |message: &str| {
        let mut errors = ConfigErrors::of(TOPICS.name(), message);
        errors.add(TOPICS_REGEX.name(), message);
        errors
    };
    match (topics.is_empty(), pattern.trim().is_empty()) {
        (true, true) => Err(both("Must configure one of topics or topics.regex")),
        (false, false) => Err(both(
            "topics and topics.regex are mutually exclusive options, but both are set.",
        )),
        (false, true) => Ok(TopicsChoice::List(topics)),
        (true, false) => JavaRegex::new(&pattern)
            .map(TopicsChoice::Pattern)
            .map_err(|error| {
                ConfigErrors::of(TOPICS_REGEX.name(), format!("Invalid regex: {error}"))
            }),
    }
}

/// Keys whose meaning would be lost without a word: refused until they are honoured.
fn unsupported(properties: &Properties, connector: &AnyConnector) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    let is_set = |key: &str| {
        properties
            .get(key)
            .is_some_and(|value| !value.trim().is_empty())
    };
    for key in ["transforms", "predicates"] {
        if is_set(key) {
            errors.add(
                key,
                format!("{key} are not supported yet; remove the key to run without them"),
            );
        }
    }
    match connector {
        AnyConnector::Sink(_) => {
            if is_set(DLQ_TOPIC_NAME.name()) {
                errors.add(
                    DLQ_TOPIC_NAME.name(),
                    "dead letter queues are not supported yet; remove the key",
                );
            }
        }
        AnyConnector::Source(_) => {
            if properties
                .get(EXACTLY_ONCE_SUPPORT.name())
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("required"))
            {
                let message = "exactly-once sources need distributed mode; a standalone worker is at-least-once";
                errors.add(EXACTLY_ONCE_SUPPORT.name(), message);
            }
        }
    }
    errors
}

/// Keys that have no effect here, and those that nothing knows, a sentence each.
pub fn warnings(properties: &Properties, connector: &mut AnyConnector) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut say = |key: &str, reason: &str| {
        if properties.get(key).is_some() {
            warnings.push(format!("\"{key}\" has no effect: {reason}"));
        }
    };
    say(
        "connector.plugin.version",
        "there is one version of each plugin",
    );
    say(
        "key.converter.plugin.version",
        "there is one version of each plugin",
    );
    say(
        "value.converter.plugin.version",
        "there is one version of each plugin",
    );
    say(
        "header.converter.plugin.version",
        "there is one version of each plugin",
    );
    say(
        ERRORS_RETRY_TIMEOUT.name(),
        "conversions do not fail for reasons that pass",
    );
    say(
        ERRORS_RETRY_DELAY_MAX_MS.name(),
        "conversions do not fail for reasons that pass",
    );
    say(
        OFFSETS_STORAGE_TOPIC.name(),
        "a standalone worker keeps offsets in its file, as Kafka Connect does",
    );
    say(
        TRANSACTION_BOUNDARY.name(),
        "a standalone worker has no transactions, as Kafka Connect",
    );
    say(
        TRANSACTION_BOUNDARY_INTERVAL_MS.name(),
        "a standalone worker has no transactions, as Kafka Connect",
    );
    let def = match connector {
        AnyConnector::Source(_) => source_def(),
        AnyConnector::Sink(_) => sink_def(),
    };
    let own = connector.as_connector().config_def();
    const OF_OTHERS: &[&str] = &[
        "key.converter.",
        "value.converter.",
        "header.converter.",
        "producer.override.",
        "consumer.override.",
        "admin.override.",
        "transforms.",
        "predicates.",
        "topic.creation.",
        "connector.plugin.version",
    ];
    let mut rest = Properties::new();
    for (key, value) in properties.iter() {
        if !OF_OTHERS.iter().any(|prefix| key.starts_with(prefix)) {
            rest.set_nullable(key, value.map(str::to_string));
        }
    }
    let mut all = def;
    for key in own.keys() {
        // A connector may name a common key again; either row says that it is known.
        let _ = all.try_define(key.clone());
    }
    warnings.extend(all.unknown_keys(&rest).iter().map(ToString::to_string));
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_topics(text: &str, expected: &str) {
        let actual = match topics_of(&Properties::from_text(text).unwrap()) {
            Ok(TopicsChoice::List(topics)) => topics.join("+"),
            Ok(TopicsChoice::Pattern(pattern)) => pattern.to_string(),
            Err(errors) => errors.messages().collect::<Vec<_>>().join("; "),
        };
        assert_eq!(actual, expected);
    }

    #[test]
    fn topics_or_a_pattern_of_topics() {
        check_topics("topics=a, b", "a+b");
        check_topics("topics.regex=a|b", "a|b");
        check_topics("topics.regex=(?!a).*", "(?!a).*");
        let unclosed = "Invalid regex: Unclosed group near index 1\n(";
        check_topics("topics.regex=(", unclosed);
        let none = "Must configure one of topics or topics.regex";
        check_topics("", &format!("{none}; {none}"));
        let both = "topics and topics.regex are mutually exclusive options, but both are set.";
        check_topics("topics=a\ntopics.regex=b", &format!("{both}; {both}"));
    }
}
