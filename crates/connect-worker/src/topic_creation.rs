//! Which settings a source connector's new topics get: `topic.creation.*`.
//!
//! Lives here: the groups of a connector's configuration, with Java's messages, and which of them a topic
//! belongs to. Pure.
//! Lives elsewhere: looking for topics and creating them (`topic_creator`).
//! Source: `SourceConnectorConfig`, `TopicCreationConfig`, `TopicCreationGroup` of Apache Kafka 4.3; KIP-158.

use connect_config::{
    AnyClass, ConfigErrors, ConfigException, ConfigType, ConfigValueData, JavaRegex, Properties,
    parse_type,
};
use kafka_client::admin::NewTopic;
use std::collections::BTreeMap;
use std::fmt;

const PREFIX: &str = "topic.creation.";
const GROUPS: &str = "topic.creation.groups";
const DEFAULT_GROUP: &str = "default";
const INCLUDE: &str = "include";
const EXCLUDE: &str = "exclude";
const REPLICATION_FACTOR: &str = "replication.factor";
const PARTITIONS: &str = "partitions";

const BAD_PARTITIONS: &str =
    "Number of partitions must be positive, or -1 to use the broker's default";
const BAD_FACTOR: &str = "Replication factor must be positive and not larger than the number of brokers in the Kafka \
                          cluster, or -1 to use the broker's default";

/// What a connector says about new topics.
#[derive(Clone)]
pub struct TopicCreation {
    /// In the order of `topic.creation.groups`, the default group left out.
    groups: Vec<Group>,
    default: Group,
}

/// Settings of the topics whose names match. Prints as in Java's logs.
#[derive(Clone)]
pub struct Group {
    name: String,
    include: JavaRegex,
    exclude: JavaRegex,
    /// -1: the broker's default.
    partitions: i32,
    /// -1: the broker's default.
    replication_factor: i16,
    configs: BTreeMap<String, String>,
}

impl TopicCreation {
    /// From a connector's configuration. `None`: the worker creates no topics for it, because it may not or
    /// because the configuration has no key that begins with `topic.creation.`; the broker may create them.
    ///
    /// Fails: with every bad key, as far as Java would come: groups are looked at when the default is right.
    pub fn parse(connector: &Properties, is_enabled: bool) -> Result<Option<Self>, ConfigErrors> {
        if !is_enabled || connector.range_with_prefix(PREFIX).next().is_none() {
            return Ok(None);
        }
        let names = group_names(connector)?;
        let mut errors = ConfigErrors::new();
        let factor = short(connector, DEFAULT_GROUP, None, &mut errors);
        let partitions = int(connector, DEFAULT_GROUP, None, &mut errors);
        let (Some(factor), Some(partitions)) = (factor, partitions) else {
            return Err(errors);
        };
        let all = [".*".to_string()];
        let default = Group::new(DEFAULT_GROUP, &all, &[], factor, partitions, connector)
            .map_err(|message| ConfigErrors::of(PREFIX, message))?;
        let mut groups = Vec::new();
        for name in names.iter().filter(|name| *name != DEFAULT_GROUP) {
            let include = patterns(connector, name, INCLUDE, &mut errors);
            let exclude = patterns(connector, name, EXCLUDE, &mut errors);
            let own_factor = short(connector, name, Some(factor), &mut errors);
            let own_partitions = int(connector, name, Some(partitions), &mut errors);
            let (Some(include), Some(exclude)) = (include, exclude) else {
                continue;
            };
            let group = Group::new(
                name,
                &include,
                &exclude,
                own_factor.unwrap_or(factor),
                own_partitions.unwrap_or(partitions),
                connector,
            );
            match group {
                Ok(group) => groups.push(group),
                Err(message) => errors.add(format!("{PREFIX}{name}.{INCLUDE}"), message),
            }
        }
        errors.into_result(Some(Self { groups, default }))
    }

    /// The first group whose patterns match the whole name, else the default group.
    pub fn group_of(&self, topic: &str) -> &Group {
        let mut groups = self.groups.iter();
        groups
            .find(|group| group.matches(topic))
            .unwrap_or(&self.default)
    }
}

/// What has no effect, or not the one that a reader may think of, a sentence each.
pub fn warnings(connector: &Properties, is_enabled: bool) -> Vec<String> {
    let mut keys = connector
        .range_with_prefix(PREFIX)
        .map(|(key, _)| key)
        .peekable();
    if keys.peek().is_none() {
        return Vec::new();
    }
    if !is_enabled {
        return vec![format!(
            "\"{PREFIX}*\" has no effect: the worker has topic.creation.enable=false"
        )];
    }
    let Ok(names) = group_names(connector) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if names.iter().any(|name| name == DEFAULT_GROUP) {
        warnings.push(format!(
            "'{DEFAULT_GROUP}' topic creation group always exists and does not need to be listed explicitly"
        ));
    }
    for key in keys.filter(|key| *key != GROUPS) {
        let rest = &key[PREFIX.len()..];
        // Names of groups may have dots.
        let of_group = |name: &str| {
            rest.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'))
                .filter(|option| !option.is_empty())
        };
        match of_group(DEFAULT_GROUP) {
            Some(INCLUDE | EXCLUDE) => warnings.push(format!(
                "\"{key}\" has no effect: the default group is for all topics of no other group"
            )),
            Some(_) => {}
            None if names.iter().any(|name| of_group(name).is_some()) => {}
            None => warnings.push(format!(
                "\"{key}\" has no effect: {GROUPS} names no group for it"
            )),
        }
    }
    warnings
}

impl Group {
    fn new(
        name: &str,
        include: &[String],
        exclude: &[String],
        replication_factor: i16,
        partitions: i32,
        connector: &Properties,
    ) -> Result<Self, String> {
        let regex = |parts: &[String]| {
            JavaRegex::new(&parts.join("|"))
                .map_err(|error| format!("Syntax error in regular expression: {error}"))
        };
        let own = connector.originals_with_prefix(&format!("{PREFIX}{name}."));
        let configs = own.iter().filter_map(|(key, value)| {
            let is_topic_config =
                ![INCLUDE, EXCLUDE, REPLICATION_FACTOR, PARTITIONS].contains(&key);
            Some((key.to_string(), value?.to_string())).filter(|_| is_topic_config)
        });
        Ok(Self {
            name: name.to_string(),
            include: regex(include)?,
            exclude: regex(exclude)?,
            partitions,
            replication_factor,
            configs: configs.collect(),
        })
    }

    fn matches(&self, topic: &str) -> bool {
        // A pattern that gives up matches nothing.
        let matches = |regex: &JavaRegex| regex.matches(topic).unwrap_or(false);
        !matches(&self.exclude) && matches(&self.include)
    }

    /// A topic with the settings of this group.
    pub fn new_topic(&self, topic: &str) -> NewTopic {
        NewTopic {
            configs: self.configs.clone(),
            ..NewTopic::new(
                topic,
                (self.partitions != -1).then_some(self.partitions),
                (self.replication_factor != -1).then_some(self.replication_factor),
            )
        }
    }

    /// A new topic as Java's logs have it.
    pub fn described(&self, topic: &str) -> String {
        format!(
            "(name={topic}, numPartitions={}, replicationFactor={}, replicasAssignments=null, configs={})",
            self.partitions,
            self.replication_factor,
            JavaMap(&self.configs)
        )
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TopicCreationGroup{{name='{}', inclusionPattern={}, exclusionPattern={}, numPartitions={}, \
             replicationFactor={}, otherConfigs={}}}",
            self.name,
            self.include.as_str(),
            self.exclude.as_str(),
            self.partitions,
            self.replication_factor,
            JavaMap(&self.configs)
        )
    }
}

struct JavaMap<'a>(&'a BTreeMap<String, String>);

impl fmt::Display for JavaMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter().map(|(key, value)| format!("{key}={value}"));
        write!(f, "{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }
}

/// The table of common keys says whether they are unique.
fn group_names(connector: &Properties) -> Result<Vec<String>, ConfigErrors> {
    let Some(text) = connector.get_nullable(GROUPS) else {
        return Ok(Vec::new());
    };
    let value = parse_type(GROUPS, text, ConfigType::List, &AnyClass);
    value
        .map(list)
        .map_err(|error| ConfigErrors::of(GROUPS, error.into_message()))
}

/// The check of `topic.creation.groups`.
pub fn ensure_unique_groups(name: &str, value: &ConfigValueData) -> Result<(), ConfigException> {
    let ConfigValueData::List(items) = value else {
        return Err(ConfigException::invalid(
            name,
            value,
            "entry must be non null",
        ));
    };
    if (1..items.len()).any(|at| items[..at].contains(&items[at])) {
        return Err(ConfigException::invalid(
            name,
            value,
            "Duplicate alias provided.",
        ));
    }
    Ok(())
}

fn list(value: ConfigValueData) -> Vec<String> {
    match value {
        ConfigValueData::List(items) => items,
        _ => Vec::new(),
    }
}

/// The patterns of a group, each a regular expression. `None`: an error was noted.
fn patterns(
    connector: &Properties,
    group: &str,
    option: &str,
    errors: &mut ConfigErrors,
) -> Option<Vec<String>> {
    let key = format!("{PREFIX}{group}.{option}");
    let text = connector.get_nullable(&key).unwrap_or(Some(""));
    let checked = parse_type(&key, text, ConfigType::List, &AnyClass).and_then(|value| {
        // Java names the option without its prefix here.
        let invalid = |reason: String| Err(ConfigException::invalid(option, &value, reason));
        let ConfigValueData::List(items) = &value else {
            return invalid("entry must be non null".to_string());
        };
        for item in items {
            if let Err(error) = JavaRegex::new(item) {
                return invalid(format!("Syntax error in regular expression: {error}"));
            }
        }
        Ok(items.clone())
    });
    noted(key, checked, errors)
}

fn short(
    connector: &Properties,
    group: &str,
    default: Option<i16>,
    errors: &mut ConfigErrors,
) -> Option<i16> {
    let key = format!("{PREFIX}{group}.{REPLICATION_FACTOR}");
    let checked = number(connector, &key, default.map(ConfigValueData::Short));
    let checked = checked.and_then(|value| match value {
        ConfigValueData::Short(factor) if factor == -1 || factor >= 1 => Ok(factor),
        other => Err(ConfigException::invalid(
            REPLICATION_FACTOR,
            other,
            BAD_FACTOR,
        )),
    });
    noted(key, checked, errors)
}

fn int(
    connector: &Properties,
    group: &str,
    default: Option<i32>,
    errors: &mut ConfigErrors,
) -> Option<i32> {
    let key = format!("{PREFIX}{group}.{PARTITIONS}");
    let checked = number(connector, &key, default.map(ConfigValueData::Int));
    let checked = checked.and_then(|value| match value {
        ConfigValueData::Int(partitions) if partitions == -1 || partitions >= 1 => Ok(partitions),
        other => Err(ConfigException::invalid(PARTITIONS, other, BAD_PARTITIONS)),
    });
    noted(key, checked, errors)
}

/// A number of the type of `default`, or of the one that the key has.
fn number(
    connector: &Properties,
    key: &str,
    default: Option<ConfigValueData>,
) -> Result<ConfigValueData, ConfigException> {
    let config_type = match key.ends_with(PARTITIONS) {
        true => ConfigType::Int,
        false => ConfigType::Short,
    };
    match (connector.get_nullable(key), default) {
        (Some(text), _) => parse_type(key, text, config_type, &AnyClass),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(ConfigException::new(format!(
            "Missing required configuration \"{key}\" which has no default value."
        ))),
    }
}

fn noted<T>(
    key: String,
    checked: Result<T, ConfigException>,
    errors: &mut ConfigErrors,
) -> Option<T> {
    match checked {
        Ok(value) => Some(value),
        Err(error) => {
            errors.add(key, error.into_message());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str =
        "topic.creation.default.partitions=3\ntopic.creation.default.replication.factor=1\n";

    fn parse(text: &str) -> Result<Option<TopicCreation>, ConfigErrors> {
        TopicCreation::parse(&Properties::from_text(text).unwrap(), true)
    }

    /// Messages of Apache Kafka 4.3.1, which stops at the first.
    #[test]
    fn what_is_wrong_is_said_as_in_java() {
        const FACTOR: &str = "Replication factor must be positive and not larger than the number of brokers in the \
                              Kafka cluster, or -1 to use the broker's default";
        const COUNT: &str =
            "Number of partitions must be positive, or -1 to use the broker's default";
        let missing = |key: &str| {
            format!(
                "Missing required configuration \"topic.creation.default.{key}\" which has no default value."
            )
        };
        let with_default = |text: &str| format!("{DEFAULT}{text}");
        for (text, expected) in [
            ("topic.creation.default.partitions=3".into(), missing("replication.factor")),
            ("topic.creation.default.replication.factor=1".into(), missing("partitions")),
            (
                "topic.creation.groups=a".into(),
                format!("{}; {}", missing("replication.factor"), missing("partitions")),
            ),
            (
                "topic.creation.x=3".into(),
                format!("{}; {}", missing("replication.factor"), missing("partitions")),
            ),
            (
                with_default("topic.creation.default.partitions=0"),
                format!("Invalid value 0 for configuration partitions: {COUNT}"),
            ),
            (
                with_default("topic.creation.default.partitions=x"),
                "Invalid value x for configuration topic.creation.default.partitions: Not a number of type INT".into(),
            ),
            (
                with_default("topic.creation.default.replication.factor=-2"),
                format!("Invalid value -2 for configuration replication.factor: {FACTOR}"),
            ),
            (
                with_default("topic.creation.default.replication.factor=40000"),
                "Invalid value 40000 for configuration topic.creation.default.replication.factor: Not a number of \
                 type SHORT"
                    .into(),
            ),
            (
                with_default(
                    "topic.creation.groups=a\ntopic.creation.a.include=(\ntopic.creation.a.partitions=0",
                ),
                format!(
                    "Invalid value [(] for configuration include: Syntax error in regular expression: Unclosed group \
                     near index 1\n(; Invalid value 0 for configuration partitions: {COUNT}"
                ),
            ),
            (
                with_default("topic.creation.groups=a\ntopic.creation.a.exclude=x,("),
                "Invalid value [x, (] for configuration exclude: Syntax error in regular expression: Unclosed group \
                 near index 1\n("
                    .into(),
            ),
        ] {
            let text: String = text;
            let messages = match parse(&text) {
                Ok(_) => String::new(),
                Err(errors) => errors.messages().collect::<Vec<_>>().join("; "),
            };
            assert_eq!(messages, expected, "{text}");
        }
    }

    /// The group of a topic and the topic, as Apache Kafka 4.3.1 prints them.
    #[test]
    fn topics_belong_to_groups_as_in_java() {
        let groups = format!(
            "{DEFAULT}topic.creation.default.include=(\ntopic.creation.default.retention.ms=5\n\
             topic.creation.groups=a,default,b,empty\n\
             topic.creation.a.include=f.*,b\ntopic.creation.a.exclude=fx\ntopic.creation.a.cleanup.policy=compact\n\
             topic.creation.b.include=f(?!oo).*\ntopic.creation.b.partitions=-1\n\
             topic.creation.b.replication.factor=2\ntopic.creation.zz.include=.*"
        );
        let creation = parse(&groups).unwrap().unwrap();
        for (topic, expected) in [
            (
                "foo",
                "TopicCreationGroup{name='a', inclusionPattern=f.*|b, exclusionPattern=fx, numPartitions=3, \
                 replicationFactor=1, otherConfigs={cleanup.policy=compact}} (name=foo, numPartitions=3, \
                 replicationFactor=1, replicasAssignments=null, configs={cleanup.policy=compact})",
            ),
            (
                "fx",
                "TopicCreationGroup{name='b', inclusionPattern=f(?!oo).*, exclusionPattern=, numPartitions=-1, \
                 replicationFactor=2, otherConfigs={}} (name=fx, numPartitions=-1, replicationFactor=2, \
                 replicasAssignments=null, configs={})",
            ),
            (
                "xfoo",
                "TopicCreationGroup{name='default', inclusionPattern=.*, exclusionPattern=, numPartitions=3, \
                 replicationFactor=1, otherConfigs={retention.ms=5}} (name=xfoo, numPartitions=3, \
                 replicationFactor=1, replicasAssignments=null, configs={retention.ms=5})",
            ),
        ] {
            let group = creation.group_of(topic);
            assert_eq!(format!("{group} {}", group.described(topic)), expected);
        }
        let topic = creation.group_of("fx").new_topic("fx");
        assert_eq!(topic, NewTopic::new("fx", None, Some(2)));
        let topic = creation.group_of("b").new_topic("b");
        let expected =
            NewTopic::new("b", Some(3), Some(1)).with_config("cleanup.policy", "compact");
        assert_eq!(topic, expected);
    }

    #[test]
    fn groups_are_unique() {
        let check = |items: &[&str]| {
            let items = items.iter().map(ToString::to_string).collect();
            let checked = ensure_unique_groups(GROUPS, &ConfigValueData::List(items));
            checked.map_err(ConfigException::into_message)
        };
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["a", "b"]), Ok(()));
        let message = "Invalid value [a, b, a] for configuration topic.creation.groups: Duplicate alias provided.";
        assert_eq!(check(&["a", "b", "a"]), Err(message.to_string()));
    }

    #[test]
    fn nothing_is_created_without_keys_or_without_leave() {
        assert!(parse("topic=t").unwrap().is_none());
        let wrong = Properties::from_text("topic.creation.groups=a,a").unwrap();
        assert!(TopicCreation::parse(&wrong, false).unwrap().is_none());
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let of = |text: &str, is_enabled| {
            warnings(&Properties::from_text(text).unwrap(), is_enabled).join("; ")
        };
        assert_eq!(of("topic=t", false), "");
        assert_eq!(of(DEFAULT, true), "");
        assert_eq!(
            of(DEFAULT, false),
            "\"topic.creation.*\" has no effect: the worker has topic.creation.enable=false"
        );
        let text = "topic.creation.groups=default,a.b\ntopic.creation.a.b.include=x\ntopic.creation.a.include=x\n\
                    topic.creation.default.exclude=x";
        assert_eq!(
            of(&format!("{DEFAULT}{text}"), true),
            "'default' topic creation group always exists and does not need to be listed explicitly; \
             \"topic.creation.a.include\" has no effect: topic.creation.groups names no group for it; \
             \"topic.creation.default.exclude\" has no effect: the default group is for all topics of no other group"
        );
    }
}
