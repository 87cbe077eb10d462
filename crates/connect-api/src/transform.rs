//! Single message transforms and the predicates that guard them.

use crate::Result;
use crate::record::{ConnectRecord, SourceOffset, SourcePartition, TimestampType, TopicPartition};
use connect_config::{ConfigDef, Properties};

/// What a transform did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Keep,
    /// The record goes no further; its offset still counts as done.
    Drop,
}

/// Which side a record comes from, and what only records of that side have. Transforms read it, and cannot change it.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    Source {
        partition: Option<&'a SourcePartition>,
        offset: Option<&'a SourceOffset>,
    },
    Sink {
        kafka_offset: i64,
        timestamp_type: TimestampType,
        /// Topic and partition as consumed, when an earlier transform has changed them.
        original: Option<&'a TopicPartition>,
    },
}

/// Changes records one at a time, in place. Each task has an instance of its own, so it may keep a plan
/// compiled for the last schema.
pub trait Transformation: Send {
    fn config_def(&self) -> ConfigDef;

    /// Called once, before anything else.
    fn configure(&mut self, configs: &Properties) -> Result<()>;

    /// Fails: with `Retriable` the record must be as it was, for it comes again. With any other kind it may be half
    /// changed; the worker drops it or the task fails.
    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome>;
}

/// Decides whether a transform applies to a record.
pub trait Predicate: Send {
    fn config_def(&self) -> ConfigDef;

    /// Called once, before anything else.
    fn configure(&mut self, configs: &Properties) -> Result<()>;

    fn test(&mut self, record: &ConnectRecord) -> Result<bool>;
}
