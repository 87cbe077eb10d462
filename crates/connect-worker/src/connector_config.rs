//! What every connector's configuration has, besides the keys of the connector itself.
//!
//! Lives here: the common keys, those of sources and of sinks, the checks across them.
//! Source: `ConnectorConfig`, `SourceConnectorConfig`, `SinkConnectorConfig` of Apache Kafka 4.3.

use crate::connector_def::{sink_def, source_def};
use crate::errors::{RetryPolicy, TolerancePolicy};
use crate::plugins::AnyConnector;
use connect_config::java_regex::JavaRegex;
use connect_config::{
    ClassName, ConfigDef, ConfigEnum, ConfigErrors, ConfigException, Key, ParsedConfig, Properties,
};
use std::time::Duration;

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
/// Millstream's own: at most so many errors in a window, where `errors.tolerance=all` has no end.
pub const TOLERANCE_LIMIT: Key<Option<i32>> = Key::new("millstream.errors.tolerance.limit");
pub const TOLERANCE_WINDOW_MS: Key<i64> = Key::new("millstream.errors.tolerance.window.ms");
pub const CONFIG_ACTION_RELOAD: Key<String> = Key::new("config.action.reload");
pub const TOPICS: Key<Vec<String>> = Key::new("topics");
pub const TOPICS_REGEX: Key<String> = Key::new("topics.regex");
pub const DLQ_TOPIC_NAME: Key<String> = Key::new("errors.deadletterqueue.topic.name");
pub const DLQ_REPLICATION_FACTOR: Key<i16> =
    Key::new("errors.deadletterqueue.topic.replication.factor");
pub const DLQ_CONTEXT_HEADERS: Key<bool> =
    Key::new("errors.deadletterqueue.context.headers.enable");
/// Millstream's own: the dead letter queue of sources.
pub const SOURCE_DLQ_TOPIC_NAME: Key<String> =
    Key::new("millstream.errors.deadletterqueue.topic.name");
pub const SOURCE_DLQ_REPLICATION_FACTOR: Key<i16> =
    Key::new("millstream.errors.deadletterqueue.topic.replication.factor");
pub const SOURCE_DLQ_CONTEXT_HEADERS: Key<bool> =
    Key::new("millstream.errors.deadletterqueue.context.headers.enable");
pub const PUT_BISECT: Key<PutBisect> = Key::new("millstream.errors.put.bisect");
pub const TOPIC_CREATION_GROUPS: Key<Vec<String>> = Key::new("topic.creation.groups");
pub const EXACTLY_ONCE_SUPPORT: Key<String> = Key::new("exactly.once.support");
pub const TRANSACTION_BOUNDARY: Key<String> = Key::new("transaction.boundary");
pub const TRANSACTION_BOUNDARY_INTERVAL_MS: Key<Option<i64>> =
    Key::new("transaction.boundary.interval.ms");
pub const OFFSETS_STORAGE_TOPIC: Key<Option<String>> = Key::new("offsets.storage.topic");

/// Millstream's own: what happens to a batch in which a sink's `put` finds fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutBisect {
    /// The task fails, as in Java.
    Off,
    /// Only the guilty records are left out, the others are written once; only for connectors that can.
    Once,
    /// The same for all connectors; what a `put` that failed has written may be written again.
    AtLeastOnce,
}

impl ConfigEnum for PutBisect {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("once", Self::Once),
        ("at-least-once", Self::AtLeastOnce),
    ];
}

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
    pub errors_retry: RetryPolicy,
    pub errors_tolerance: TolerancePolicy,
    pub errors_log_enable: bool,
    pub errors_log_include_messages: bool,
    /// Where records that fail go; `None` without a dead letter queue.
    pub dead_letter_topic: Option<String>,
    pub dead_letter_replication_factor: i16,
    /// Whether letters say what failed.
    pub dead_letter_context_headers: bool,
    /// Of a sink.
    pub put_bisect: PutBisect,
    /// References replaced.
    pub originals: Properties,
    /// The keys whose values had references, with the texts as they were written.
    pub references: Properties,
}

/// What a sink reads.
#[derive(Clone, Debug)]
pub enum TopicsChoice {
    List(Vec<String>),
    /// Matched against whole names.
    Pattern(JavaRegex),
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
        let topics = match connector {
            AnyConnector::Sink(_) => Some(topics_of(properties)),
            AnyConnector::Source(_) => None,
        };
        if let Some(Err(more)) = &topics {
            errors.merge(more.clone());
        }
        let parsed = match def.parse(properties) {
            Ok(parsed) => parsed,
            Err(more) => {
                errors.merge(more);
                return Err(errors);
            }
        };
        let put_bisect = match connector {
            AnyConnector::Sink(_) => parsed.get(PUT_BISECT),
            AnyConnector::Source(_) => PutBisect::Off,
        };
        let dead_letters = match connector {
            AnyConnector::Sink(_) => DeadLetters::of_sink(&parsed),
            AnyConnector::Source(_) => DeadLetters::of_source(&parsed),
        };
        if let Some(Ok(topics)) = &topics
            && let Err(more) = dead_letters.check(topics)
        {
            errors.merge(more);
        }
        errors.into_result(Self {
            name: parsed.get(NAME),
            connector_class: parsed.get(CONNECTOR_CLASS),
            tasks_max: parsed.get(TASKS_MAX).max(1) as usize,
            tasks_max_enforce: parsed.get(TASKS_MAX_ENFORCE),
            errors_retry: RetryPolicy::of_ms(
                parsed.get(ERRORS_RETRY_TIMEOUT),
                parsed.get(ERRORS_RETRY_DELAY_MAX_MS),
            ),
            errors_tolerance: tolerance_of(&parsed),
            errors_log_enable: parsed.get(ERRORS_LOG_ENABLE),
            errors_log_include_messages: parsed.get(ERRORS_LOG_INCLUDE_MESSAGES),
            dead_letter_topic: dead_letters.topic,
            dead_letter_replication_factor: dead_letters.replication_factor,
            dead_letter_context_headers: dead_letters.context_headers,
            put_bisect,
            originals: properties.clone(),
            references: Properties::new(),
        })
    }

    /// One of which tests change what they are about.
    #[cfg(test)]
    pub fn for_tests() -> Self {
        Self {
            name: "c".into(),
            connector_class: "C".into(),
            tasks_max: 1,
            tasks_max_enforce: true,
            errors_retry: RetryPolicy::of_ms(0, 60_000),
            errors_tolerance: TolerancePolicy::None,
            errors_log_enable: false,
            errors_log_include_messages: false,
            dead_letter_topic: None,
            dead_letter_replication_factor: 3,
            dead_letter_context_headers: false,
            put_bisect: PutBisect::Off,
            originals: Properties::default(),
            references: Properties::new(),
        }
    }
}

fn tolerance_of(parsed: &ParsedConfig) -> TolerancePolicy {
    match (parsed.get(ERRORS_TOLERANCE), parsed.get(TOLERANCE_LIMIT)) {
        (ToleranceType::None, _) => TolerancePolicy::None,
        (ToleranceType::All, None) => TolerancePolicy::All,
        (ToleranceType::All, Some(errors)) => TolerancePolicy::Limited {
            errors: errors.unsigned_abs(),
            window: Duration::from_millis(parsed.get(TOLERANCE_WINDOW_MS).unsigned_abs()),
        },
    }
}

/// A blank name is none.
fn topic_in(name: String) -> Option<String> {
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_string())
}

/// What a configuration says of its dead letter queue.
pub struct DeadLetters {
    topic: Option<String>,
    replication_factor: i16,
    context_headers: bool,
}

impl DeadLetters {
    pub fn of_sink(parsed: &ParsedConfig) -> Self {
        Self {
            topic: topic_in(parsed.get(DLQ_TOPIC_NAME)),
            replication_factor: parsed.get(DLQ_REPLICATION_FACTOR),
            context_headers: parsed.get(DLQ_CONTEXT_HEADERS),
        }
    }

    fn of_source(parsed: &ParsedConfig) -> Self {
        Self {
            topic: topic_in(parsed.get(SOURCE_DLQ_TOPIC_NAME)),
            replication_factor: parsed.get(SOURCE_DLQ_REPLICATION_FACTOR),
            context_headers: parsed.get(SOURCE_DLQ_CONTEXT_HEADERS),
        }
    }

    /// Fails: when the queue's topic would be read by the connector itself, with Java's messages.
    pub fn check(&self, topics: &TopicsChoice) -> Result<(), ConfigErrors> {
        let Some(name) = &self.topic else {
            return Ok(());
        };
        match topics {
            TopicsChoice::List(topics) if topics.contains(name) => Err(ConfigErrors::of(
                TOPICS.name(),
                format!(
                    "The DLQ topic '{name}' may not be included in the list of topics ('topics=[{}]') consumed by the \
                     connector",
                    topics.join(", ")
                ),
            )),
            TopicsChoice::Pattern(pattern) if pattern.matches(name).unwrap_or(true) => {
                Err(ConfigErrors::of(
                    TOPICS_REGEX.name(),
                    format!(
                        "The DLQ topic '{name}' may not be matched by the regex for the topics \
                         ('topics.regex={pattern}') consumed by the connector"
                    ),
                ))
            }
            _ => Ok(()),
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
                let key = TOPICS_REGEX.name();
                let reason = format!("Invalid regex: {error}");
                let message = ConfigException::invalid(key, &pattern, reason).into_message();
                ConfigErrors::of(key, message)
            }),
    }
}

/// Keys whose meaning would be lost without a word: refused until they are honoured.
fn unsupported(properties: &Properties, connector: &AnyConnector) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    match connector {
        AnyConnector::Sink(_) => {}
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
        let unclosed = "Invalid value ( for configuration topics.regex: Invalid regex: Unclosed group near index 1\n(";
        check_topics("topics.regex=(", unclosed);
        let none = "Must configure one of topics or topics.regex";
        check_topics("", &format!("{none}; {none}"));
        let both = "topics and topics.regex are mutually exclusive options, but both are set.";
        check_topics("topics=a\ntopics.regex=b", &format!("{both}; {both}"));
    }
}
