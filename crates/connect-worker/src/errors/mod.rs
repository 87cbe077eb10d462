//! Records that fail: tried again, logged, sent to a dead letter queue, skipped or the end of the task.
//!
//! Lives here, in the order of a first reading: which operation on which record failed, and what is decided about it
//! ([`Tolerance`]). Beside it: when to try again (`retry`), how many failures are too many (`limit`), letters and
//! their queue (`letter`, `source_letter`, `dead_letter_queue`), traces as Java has them (`trace`), counts for metrics (`counts`).
//! Source: `RetryWithToleranceOperator`, `LogReporter`, `DeadLetterQueueReporter` in apache/kafka, connect/runtime.

mod counts;
mod dead_letter_queue;
mod held;
mod letter;
mod limit;
mod retry;
mod source_letter;
mod tolerance;
mod trace;

pub use counts::ErrorCounts;
pub use dead_letter_queue::DeadLetters;
pub use letter::Letter;
pub use limit::TolerancePolicy;
pub use retry::RetryPolicy;
pub use source_letter::KeptLetter;
pub use tolerance::{Again, Retries, SINK_TASK_CLASS, Tolerance};
pub use trace::{PUT_FAILED, trace_of};

use crate::conversion::Encoded;
use bytes::Bytes;
use connect_api::{
    ConnectError, ConnectRecord, ErrorKind, SinkRecord, SourceOffset, SourcePartition,
    SourceRecord, TimestampType,
};
use kafka_client::ClientError;
use kafka_client::consumer::RecordView;

/// Where a record failed, by Java's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    TaskPut,
    TaskPoll,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Transformation => "TRANSFORMATION",
            Stage::KeyConverter => "KEY_CONVERTER",
            Stage::ValueConverter => "VALUE_CONVERTER",
            Stage::HeaderConverter => "HEADER_CONVERTER",
            Stage::KafkaProduce => "KAFKA_PRODUCE",
            Stage::TaskPut => "TASK_PUT",
            Stage::TaskPoll => "TASK_POLL",
        }
    }
}

/// An operation of a converter or transform that failed.
#[derive(Debug)]
pub struct Failure {
    pub stage: Stage,
    /// The full Java class name of what failed.
    pub class: &'static str,
    pub error: ConnectError,
}

/// What a client of Kafka that has given up means for its task: what may pass is worth another start.
pub fn of_client(message: &str, cause: ClientError) -> ConnectError {
    let kind = match cause.is_retriable() {
        true => ErrorKind::Retriable,
        false => ErrorKind::Fatal,
    };
    ConnectError::new(kind, message).caused_by(cause)
}

/// A record as it was consumed.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    /// The buffer that the view lies in.
    pub payload: &'a Bytes,
    pub view: &'a RecordView<'a>,
}

/// Which record failed. What is in a record may be a secret: [`Which::position`] never says it, and
/// [`Which::text`] is for logs of those who asked for it.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    Source {
        record: &'a ConnectRecord,
        partition: Option<&'a SourcePartition>,
        offset: Option<&'a SourceOffset>,
        /// Its bytes, where it was converted.
        encoded: Option<&'a Encoded<'a>>,
    },
    Consumed {
        topic: &'a str,
        partition: i32,
        offset: i64,
        timestamp: Option<i64>,
        timestamp_type: TimestampType,
        /// Its bytes, where they are at hand.
        raw: Option<Raw<'a>>,
        /// What the task was given, or has made itself, where it reports a record.
        reported: Option<&'a ConnectRecord>,
    },
    /// All records of a batch that Kafka refused.
    Produced {
        topic: &'a str,
        partition: i32,
        /// One for each record, where the connector has a dead letter queue.
        letters: &'a [KeptLetter],
    },
}

impl<'a> Which<'a> {
    pub fn of_source(record: &'a SourceRecord) -> Self {
        Self::Source {
            record,
            partition: record.source_partition.as_ref(),
            offset: record.source_offset.as_ref(),
            encoded: None,
        }
    }

    /// The same record, which was converted to these bytes.
    pub fn with_bytes(self, bytes: &'a Encoded<'a>) -> Self {
        match self {
            Self::Source {
                record,
                partition,
                offset,
                ..
            } => Self::Source {
                record,
                partition,
                offset,
                encoded: Some(bytes),
            },
            other => other,
        }
    }

    pub fn of_sink(record: &'a SinkRecord) -> Self {
        Self::Consumed {
            topic: record.original_topic(),
            partition: record.original_partition(),
            offset: record.kafka_offset,
            timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
            raw: None,
            reported: Some(record),
        }
    }

    /// Where the record is from, and nothing of what is in it.
    pub fn position(&self) -> String {
        match self {
            Self::Source {
                partition, offset, ..
            } => {
                let partition =
                    partition.map_or_else(|| "null".into(), |p| format!("{:?}", p.fields()));
                let offset = offset.map_or_else(|| "null".into(), |o| format!("{:?}", o.to_map()));
                format!("source partition {partition}, source offset {offset}")
            }
            Self::Consumed {
                topic,
                partition,
                offset,
                ..
            } => format!("{{topic='{topic}', partition={partition}, offset={offset}}}"),
            Self::Produced {
                topic, partition, ..
            } => format!("a batch for {topic}-{partition}"),
        }
    }

    /// As Java's log has it with `errors.log.include.messages`.
    fn text(&self) -> String {
        match self {
            Self::Source { record, .. } => {
                format!("source record is = {record:?}, {}", self.position())
            }
            Self::Consumed {
                topic,
                partition,
                offset,
                timestamp,
                timestamp_type,
                ..
            } => {
                let time = match timestamp_type {
                    TimestampType::NoTimestampType => String::new(),
                    kind => format!(
                        ", timestamp={}, timestampType={}",
                        timestamp.unwrap_or(-1),
                        kind.name()
                    ),
                };
                format!(
                    "consumed record is {{topic='{topic}', partition={partition}, offset={offset}{time}}}"
                )
            }
            Self::Produced { .. } => format!("source records are {}", self.position()),
        }
    }
}
