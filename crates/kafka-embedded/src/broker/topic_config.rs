//! The configuration of a topic: Kafka's keys, defaults and limits.
//!
//! Lives here: the table of keys, [`TopicOverrides`], which are what a client set, and [`Rules`],
//! what the log follows.
//! Never here: a setting of the broker that no topic has.
//! Source: `TopicConfig` and `LogConfig` in apache/kafka 4.3.1.
//!
//! Without effect on a single copy, and accepted as Kafka accepts them: `file.delete.delay.ms`,
//! `index.interval.bytes`, `min.insync.replicas`, `preallocate`, `segment.index.bytes`,
//! `segment.jitter.ms`, `unclean.leader.election.enable`, the replication throttles.

use std::collections::BTreeMap;

use kafka_wire::Codec;

use crate::log::{BatchRule, CompactionRule, RetentionRule, RollRule, TimestampRule};

/// Kafka's `ConfigDef.Type`, with the number that DescribeConfigs gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean = 1,
    Text = 2,
    Int = 3,
    Long = 5,
    Double = 6,
    List = 7,
}

#[derive(Debug, Clone, Copy)]
enum Allowed {
    AtLeast(i64),
    Between(f64, f64),
    OneOf(&'static [&'static str]),
    /// Each of a list.
    EachOf(&'static [&'static str]),
    Anything,
}

/// A key that topics have.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    allowed: Allowed,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, allowed: Allowed) -> Key {
    Key {
        name,
        kind,
        default,
        allowed,
    }
}

const NEVER: &str = "9223372036854775807";

/// In alphabetical order.
pub(crate) const KEYS: &[Key] = &[
    key(
        "cleanup.policy",
        Kind::List,
        "delete",
        Allowed::EachOf(&["compact", "delete"]),
    ),
    key(
        "compression.type",
        Kind::Text,
        "producer",
        Allowed::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
    ),
    key(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        Allowed::AtLeast(0),
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        Allowed::AtLeast(0),
    ),
    key("flush.messages", Kind::Long, NEVER, Allowed::AtLeast(1)),
    key("flush.ms", Kind::Long, NEVER, Allowed::AtLeast(0)),
    key(
        "follower.replication.throttled.replicas",
        Kind::List,
        "",
        Allowed::Anything,
    ),
    key(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        Allowed::AtLeast(0),
    ),
    key(
        "leader.replication.throttled.replicas",
        Kind::List,
        "",
        Allowed::Anything,
    ),
    key(
        "max.compaction.lag.ms",
        Kind::Long,
        NEVER,
        Allowed::AtLeast(1),
    ),
    key(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        Allowed::AtLeast(0),
    ),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Allowed::AtLeast(0),
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        NEVER,
        Allowed::AtLeast(0),
    ),
    key(
        "message.timestamp.type",
        Kind::Text,
        "CreateTime",
        Allowed::OneOf(&["CreateTime", "LogAppendTime"]),
    ),
    key(
        "min.cleanable.dirty.ratio",
        Kind::Double,
        "0.5",
        Allowed::Between(0.0, 1.0),
    ),
    key(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        Allowed::AtLeast(0),
    ),
    key("min.insync.replicas", Kind::Int, "1", Allowed::AtLeast(1)),
    key("preallocate", Kind::Boolean, "false", Allowed::Anything),
    key(
        "retention.bytes",
        Kind::Long,
        "-1",
        Allowed::AtLeast(i64::MIN),
    ),
    key(
        "retention.ms",
        Kind::Long,
        "604800000",
        Allowed::AtLeast(-1),
    ),
    key(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        Allowed::AtLeast(1024 * 1024),
    ),
    key(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        Allowed::AtLeast(4),
    ),
    key("segment.jitter.ms", Kind::Long, "0", Allowed::AtLeast(0)),
    key("segment.ms", Kind::Long, "604800000", Allowed::AtLeast(1)),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        Allowed::Anything,
    ),
];

/// A value that a key does not take, or a key that there is not; Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadConfig {
    #[error("Unknown topic config name: {0}")]
    UnknownKey(String),
    #[error("Invalid value {value} for configuration {key}: {what}")]
    Value {
        key: &'static str,
        value: String,
        what: String,
    },
    #[error("Can't {operation} to config key {key} because its type is not LIST.")]
    NotAList {
        key: &'static str,
        operation: &'static str,
    },
}

pub(crate) fn key_of(name: &str) -> Result<&'static Key, BadConfig> {
    KEYS.iter()
        .find(|key| key.name == name)
        .ok_or_else(|| BadConfig::UnknownKey(name.to_owned()))
}

impl Key {
    fn check(&self, value: &str) -> Result<(), BadConfig> {
        let bad = |what: String| BadConfig::Value {
            key: self.name,
            value: value.to_owned(),
            what,
        };
        let integer = |min: i64, max: i64| -> Result<i64, BadConfig> {
            let parsed: i128 = value
                .trim()
                .parse()
                .map_err(|_| bad(format!("Not a number of type {}", self.kind.name())))?;
            i64::try_from(parsed)
                .ok()
                .filter(|parsed| (min..=max).contains(parsed))
                .ok_or_else(|| bad(format!("Not a number of type {}", self.kind.name())))
        };
        let number = match self.kind {
            Kind::Boolean => {
                let known = ["true", "false"]
                    .iter()
                    .any(|known| value.trim().eq_ignore_ascii_case(known));
                return if known {
                    Ok(())
                } else {
                    Err(bad("Expected value to be either true or false".to_owned()))
                };
            }
            Kind::Int => Some(integer(i64::from(i32::MIN), i64::from(i32::MAX))?),
            Kind::Long => Some(integer(i64::MIN, i64::MAX)?),
            Kind::Text | Kind::List | Kind::Double => None,
        };
        match (self.allowed, number) {
            (Allowed::AtLeast(least), Some(number)) if number < least => {
                Err(bad(format!("Value must be at least {least}")))
            }
            (Allowed::Between(from, until), _) => {
                let parsed: f64 = value
                    .trim()
                    .parse()
                    .map_err(|_| bad("Not a number of type DOUBLE".to_owned()))?;
                match parsed {
                    _ if parsed < from => Err(bad(format!("Value must be at least {from}"))),
                    _ if parsed > until => Err(bad(format!("Value must be no more than {until}"))),
                    _ if parsed.is_nan() => Err(bad("Not a number of type DOUBLE".to_owned())),
                    _ => Ok(()),
                }
            }
            (Allowed::OneOf(words), _) if !words.contains(&value) => {
                Err(bad(format!("String must be one of: {}", words.join(", "))))
            }
            (Allowed::EachOf(words), _) => {
                let wrong = list_of(value).find(|word| !words.contains(word));
                match wrong {
                    Some(_) => Err(bad(format!("String must be one of: {}", words.join(", ")))),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Text => "STRING",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
        }
    }
}

fn list_of(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// One step of IncrementalAlterConfigs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    Set(&'a str),
    Delete,
    Append(&'a str),
    Subtract(&'a str),
}

/// What was set on a topic, by key; every value was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicOverrides {
    values: BTreeMap<&'static str, String>,
}

impl TopicOverrides {
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), BadConfig> {
        let key = key_of(name)?;
        key.check(value)?;
        self.values.insert(key.name, value.to_owned());
        Ok(())
    }

    pub(crate) fn apply(&mut self, name: &str, change: Change<'_>) -> Result<(), BadConfig> {
        let key = key_of(name)?;
        let (operation, words, keeps) = match change {
            Change::Set(value) => return self.set(name, value),
            Change::Delete => {
                self.values.remove(key.name);
                return Ok(());
            }
            Change::Append(words) => ("APPEND", words, true),
            Change::Subtract(words) => ("SUBTRACT", words, false),
        };
        if key.kind != Kind::List {
            return Err(BadConfig::NotAList {
                key: key.name,
                operation,
            });
        }
        let now = self.get(key).to_owned();
        let mut list: Vec<&str> = list_of(&now).collect();
        for word in list_of(words) {
            list.retain(|there| keeps || *there != word);
            if keeps && !list.contains(&word) {
                list.push(word);
            }
        }
        self.set(name, &list.join(","))
    }

    /// The value that holds for the topic.
    pub(crate) fn get(&self, key: &Key) -> &str {
        self.values
            .get(key.name)
            .map_or(key.default, String::as_str)
    }

    pub(crate) fn is_set(&self, key: &Key) -> bool {
        self.values.contains_key(key.name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    fn value(&self, name: &str) -> &str {
        self.get(key_of(name).expect("rules only name keys of the table"))
            .trim()
    }

    fn long(&self, name: &str) -> i64 {
        self.value(name)
            .parse()
            .expect("it was checked when it was set")
    }

    fn has_policy(&self, policy: &str) -> bool {
        list_of(self.value("cleanup.policy")).any(|word| word == policy)
    }

    /// The values that the log reads, parsed once.
    pub(crate) fn rules(&self) -> Rules {
        let segment_bytes = self.long("segment.bytes") as u64;
        let segment_ms = self.long("segment.ms");
        let timestamps = match self.value("message.timestamp.type") {
            "LogAppendTime" => TimestampRule::LogAppendTime,
            _ => TimestampRule::CreateTime {
                before_max_ms: self.long("message.timestamp.before.max.ms"),
                after_max_ms: self.long("message.timestamp.after.max.ms"),
            },
        };
        let compacts = self.has_policy("compact");
        let codec = match self.value("compression.type") {
            "producer" => None,
            "uncompressed" => Some(Codec::None),
            name => Codec::from_name(name),
        };
        let unlimited = |name: &str| Some(self.long(name)).filter(|value| *value >= 0);
        Rules {
            batch: BatchRule {
                max_bytes: self.long("max.message.bytes") as usize,
                segment_bytes,
                timestamps,
                keys_required: compacts,
                codec,
            },
            roll: RollRule {
                segment_bytes,
                segment_ms,
            },
            retention: self.has_policy("delete").then(|| RetentionRule {
                age_ms: unlimited("retention.ms"),
                bytes: unlimited("retention.bytes").map(|bytes| bytes as u64),
            }),
            compaction: compacts.then(|| CompactionRule {
                min_dirty_ratio: self
                    .value("min.cleanable.dirty.ratio")
                    .parse()
                    .expect("it was checked when it was set"),
                delete_retention_ms: self.long("delete.retention.ms"),
                min_lag_ms: self.long("min.compaction.lag.ms"),
                max_lag_ms: self.long("max.compaction.lag.ms"),
                segment_bytes,
                segment_ms,
            }),
            flush_records: self.long("flush.messages"),
            flush_ms: self.long("flush.ms"),
        }
    }
}

/// What a topic's configuration means to its partitions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) batch: BatchRule,
    pub(crate) roll: RollRule,
    /// `None`: only compaction takes records away.
    pub(crate) retention: Option<RetentionRule>,
    pub(crate) compaction: Option<CompactionRule>,
    pub(crate) flush_records: i64,
    pub(crate) flush_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_the_table_is_sorted() {
        for key in KEYS {
            key.check(key.default).expect(key.name);
        }
        assert!(KEYS.is_sorted_by_key(|key| key.name));
        let rules = TopicOverrides::default().rules();
        assert!(rules.compaction.is_none() && rules.retention.is_some());
    }

    #[test]
    fn values_are_checked() {
        let rows = [
            ("retention.ms", "-1", true),
            ("retention.ms", "-2", false),
            ("retention.ms", "soon", false),
            ("max.message.bytes", "2147483648", false),
            ("cleanup.policy", "compact,delete", true),
            ("cleanup.policy", "compact, shred", false),
            ("compression.type", "lz4", true),
            ("compression.type", "lz5", false),
            ("min.cleanable.dirty.ratio", "0.01", true),
            ("min.cleanable.dirty.ratio", "1.5", false),
            ("message.timestamp.type", "createtime", false),
            ("preallocate", "yes", false),
            ("no.such.key", "1", false),
        ];
        for (name, value, fine) in rows {
            let set = TopicOverrides::default().set(name, value);
            assert_eq!(set.is_ok(), fine, "{name}={value}: {set:?}");
        }
    }

    #[test]
    fn lists_grow_and_shrink() {
        let mut config = TopicOverrides::default();
        let policy = key_of("cleanup.policy").expect("a key");
        let steps = [
            (Change::Append("compact"), "delete,compact"),
            (Change::Append("compact"), "delete,compact"),
            (Change::Subtract("delete"), "compact"),
            (Change::Set("delete"), "delete"),
            (Change::Delete, "delete"),
        ];
        for (change, expected) in steps {
            config.apply("cleanup.policy", change).expect("allowed");
            assert_eq!(config.get(policy), expected);
        }
        assert!(!config.is_set(policy));
        let refused = config.apply("retention.ms", Change::Append("1"));
        assert!(matches!(refused, Err(BadConfig::NotAList { .. })));
    }
}
