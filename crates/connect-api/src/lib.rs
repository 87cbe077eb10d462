//! What a Kafka Connect plugin sees: the data model, the records, the plugin traits and their errors.
//!
//! Lives here: schemas, values, structs, headers ([`data`]), records ([`record`]), the traits that
//! connectors, tasks, converters, transforms, predicates and config providers implement, the contexts
//! that the worker hands to them, and [`ConnectError`] with its kinds.
//! Lives elsewhere: configuration tables (`connect_config`), the loops that call these traits
//! (`connect_worker`), the plugins themselves (`connect_converters`, `connectors/*`).
//! Never here: a runtime, a socket, a clock.

pub mod config_provider;
pub mod connector;
pub mod converter;
pub mod data;
pub mod error;
pub mod record;
pub mod sink;
pub mod source;
pub mod transform;

pub use config_provider::{ConfigData, ConfigProvider};
pub use connector::{Connector, ConnectorContext, ConnectorHandle, Plugin};
pub use converter::{Converter, ConverterType, HeaderConverter};
pub use error::{ConnectError, ErrorKind, Result};
pub use record::{
    ConnectRecord, KafkaHeader, SinkRecord, SourceOffset, SourcePartition, SourceRecord,
    TimestampType, TopicPartition,
};
pub use sink::{ErrantRecordReporter, Offsets, SinkConnector, SinkTask, SinkTaskContext};
pub use source::{
    ConnectorTransactionBoundaries, ExactlyOnceSupport, OffsetStorageReader, RecordMetadata,
    SourceConnector, SourceOffsetChange, SourceTask, SourceTaskContext, TransactionContext,
};
pub use transform::{Outcome, Predicate, Transformation};

/// Re-exported so that a plugin's crate needs no version of its own.
pub use async_trait::async_trait;
