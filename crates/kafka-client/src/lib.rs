//! Our one door to Kafka.
//!
//! Lives here: connections, cluster metadata, producer, consumer, group membership, admin, and the
//! translation of Java client properties into typed settings.
//! Lives elsewhere: the bytes of record batches (`kafka_wire`), request and response messages
//! (`kafka_protocol`).
//! Never here: a concept of Kafka Connect.
//!
//! The unit of every interface on the data path is a batch per partition; nothing here runs per record.
//! Everything that does I/O must be called inside a Tokio runtime.

pub mod error;
pub mod settings;

pub mod dial;

pub mod connection;

pub mod metadata;
pub mod offset;

pub mod client;

pub mod admin;

pub mod consumer;
pub mod group;
pub mod producer;

#[cfg(test)]
mod fake_broker;

pub use admin::Admin;
pub use client::{Client, CoordinatorKind, Lane, Target};
pub use connection::{Connection, Pending};
pub use error::{ClientError, ErrorKind, KafkaErrorCode};
pub use metadata::{ClusterMetadata, TopicPartition};
