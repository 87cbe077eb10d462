//! What a Kafka Connect plugin sees: the data model, the records, the plugin traits and their errors.
//!
//! Lives here: schemas, values, structs, headers ([`data`]), records ([`record`]), the traits that
//! connectors, tasks, converters, transforms, predicates and config providers implement, the contexts
//! that the worker hands to them, and [`ConnectError`] with its kinds.
//! Lives elsewhere: configuration tables (`connect_config`), the loops that call these traits
//! (`connect_worker`), the plugins themselves (`connect_converters`, `connectors/*`).
//! Never here: a runtime, a socket, a clock.

pub mod converter;
pub mod data;
pub mod error;
pub mod record;

pub use converter::{Converter, ConverterType, HeaderConverter};
pub use error::{ConnectError, ErrorKind, Result};
pub use record::{
    ConnectRecord, KafkaHeader, SinkRecord, SourceOffset, SourcePartition, SourceRecord,
    TimestampType, TopicPartition,
};
