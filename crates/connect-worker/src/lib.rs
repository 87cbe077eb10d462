//! A Kafka Connect worker: plugins, connectors, and the loops of source and sink tasks.
//!
//! Lives here, in the order of a first reading: the worker ([`worker`]), its configuration and that of
//! connectors, the registry of plugins, the two loops with what they account for, conversion, errors.
//! Lives elsewhere: Kafka (`kafka_client`), storing offsets (`connect_backing_store`), converters.
//! Never here: the group protocol of workers, HTTP, signals.

pub mod worker;

mod source_commits;
mod source_task;
mod submitted_records;
mod topic_creation;
mod topic_creator;

mod sink_batch;
mod sink_context;
mod sink_offsets;
mod sink_task;

pub mod chain;
mod config_watch;
mod conversion;
mod errors;
mod offsets;
mod panics;
mod restart;
mod task;
mod transforms;

pub mod client_config;
pub mod config_providers;
pub mod connector_config;
mod connector_def;
pub mod plugins;
pub mod status;
pub mod validation;
pub mod worker_config;

pub use config_providers::ConfigProviders;
pub use plugins::Plugins;
pub use restart::Restart;
pub use status::{ConnectorTaskId, State, StatusListener, TargetState};
pub use worker::{ConnectorRequest, Worker, WorkerParts};
pub use worker_config::WorkerConfig;
