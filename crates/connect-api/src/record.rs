//! Records on their way between a connector and Kafka.

use crate::data::{Headers, Map, Schema, Str, Value};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

mod topic_name;

pub use topic_name::TopicName;

/// A topic and one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

/// `topic-partition`, as Java prints it.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What source and sink records have in common: what transforms and converters work on.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRecord {
    pub topic: TopicName,
    /// `None` in a source record: the producer chooses.
    pub kafka_partition: Option<i32>,
    pub key_schema: Option<Schema>,
    pub key: Value,
    pub value_schema: Option<Schema>,
    pub value: Value,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    pub headers: Headers,
}

impl ConnectRecord {
    /// A record without key, headers and timestamp.
    pub fn new(
        topic: impl Into<TopicName>,
        value_schema: Option<Schema>,
        value: impl Into<Value>,
    ) -> Self {
        Self {
            topic: topic.into(),
            kafka_partition: None,
            key_schema: None,
            key: Value::Null,
            value_schema,
            value: value.into(),
            timestamp: None,
            headers: Headers::new(),
        }
    }
}

/// Which part of the source a record comes from, such as `{"filename": "orders.txt"}`. Make one per part
/// and clone it into every record: the clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePartition(Arc<Map>);

impl SourcePartition {
    pub fn new(fields: Map) -> Self {
        Self(Arc::new(fields))
    }

    pub fn fields(&self) -> &Map {
        &self.0
    }

    /// Whether both are clones of one. Equal partitions may differ here.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How far a source part was read: what the connector needs to go on behind this record.
#[derive(Clone, Debug)]
pub enum SourceOffset {
    /// One field that holds a number, such as `{"position": 4711}`. Takes no allocation.
    Position(&'static str, i64),
    /// Any other shape. Primitive values only.
    Fields(Map),
}

impl SourceOffset {
    pub fn to_map(&self) -> Map {
        match self {
            SourceOffset::Position(field, number) => {
                Map::from_iter([(Value::text(field), *number)])
            }
            SourceOffset::Fields(fields) => fields.clone(),
        }
    }
}

/// A record that a source task has read.
#[derive(Clone, Debug)]
pub struct SourceRecord {
    pub record: ConnectRecord,
    /// `None` where the source keeps no offsets.
    pub source_partition: Option<SourcePartition>,
    pub source_offset: Option<SourceOffset>,
}

/// When the timestamp of a record on a topic was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    NoTimestampType,
    CreateTime,
    LogAppendTime,
}

impl TimestampType {
    /// The name as Java prints it.
    pub fn name(self) -> &'static str {
        match self {
            TimestampType::NoTimestampType => "NoTimestampType",
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}

/// A record for a sink task.
#[derive(Clone, Debug)]
pub struct SinkRecord {
    pub record: ConnectRecord,
    pub kafka_offset: i64,
    pub timestamp_type: TimestampType,
    /// Topic and partition before the transforms, when a transform has changed them.
    pub original: Option<Box<TopicPartition>>,
}

impl SinkRecord {
    /// The partition of the topic that the record was consumed from.
    pub fn original_partition(&self) -> i32 {
        match &self.original {
            Some(original) => original.partition,
            None => self.record.kafka_partition.unwrap_or_default(),
        }
    }

    /// The topic that the record was consumed from.
    pub fn original_topic(&self) -> &str {
        self.original
            .as_ref()
            .map_or(&self.record.topic, |original| &original.topic)
    }
}

macro_rules! deref_to_record {
    ($($type:ty),*) => { $(
        impl Deref for $type {
            type Target = ConnectRecord;
            fn deref(&self) -> &ConnectRecord {
                &self.record
            }
        }
        impl DerefMut for $type {
            fn deref_mut(&mut self) -> &mut ConnectRecord {
                &mut self.record
            }
        }
    )* };
}

deref_to_record!(SourceRecord, SinkRecord);

/// A header as it stands on the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaHeader {
    pub key: Str,
    pub value: Option<bytes::Bytes>,
}
