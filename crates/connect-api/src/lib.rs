//! What a Kafka Connect plugin sees: the data model, the records, the plugin traits and their errors.
//!
//! Lives here: schemas, values, structs, headers ([`data`]), records ([`record`]), the traits that
//! connectors, tasks, converters, transforms, predicates and config providers implement, the contexts
//! that the worker hands to them, and [`ConnectError`] with its kinds.
//! Lives elsewhere: configuration tables (`connect_config`), the loops that call these traits
//! (`connect_worker`), the plugins themselves (`connect_converters`, `connectors/*`).
//! Never here: a runtime, a socket, a clock.
//!
//! # A whole connector
//!
//! A source that counts. It needs nothing but this crate, `connect_config`, and a line in the program's list
//! of plugins: `plugins.source::<CounterSourceConnector>()`.
//!
//! ```
//! use connect_api::connector::{Connector, ConnectorHandle};
//! use connect_api::data::{Map, Schema, Value};
//! use connect_api::{
//!     ConnectError, ConnectRecord, Plugin, Result, SourceConnector, SourceOffset, SourcePartition, SourceRecord,
//!     SourceTask, SourceTaskContext, TopicName, async_trait,
//! };
//! use connect_config::{ConfigDef, Importance, Key, Properties, Validator};
//! use std::sync::Arc;
//!
//! const TOPIC: Key<String> = Key::new("topic");
//! const UP_TO: Key<i64> = Key::new("counter.up.to");
//!
//! fn config_def() -> ConfigDef {
//!     ConfigDef::new()
//!         .define(TOPIC.required().importance(Importance::High).doc("Topic to count into."))
//!         .define(UP_TO.default(100i64).validator(Validator::at_least(1i64)).doc("Last number."))
//! }
//!
//! #[derive(Default)]
//! struct CounterSourceConnector {
//!     config: Properties,
//! }
//!
//! impl Plugin for CounterSourceConnector {
//!     const CLASS: &'static str = "com.example.CounterSourceConnector";
//! }
//!
//! #[async_trait]
//! impl Connector for CounterSourceConnector {
//!     fn config_def(&self) -> ConfigDef {
//!         config_def()
//!     }
//!
//!     async fn start(&mut self, _context: ConnectorHandle, config: &Properties) -> Result<()> {
//!         config_def().parse(config)?; // every bad key at once
//!         self.config = config.clone();
//!         Ok(())
//!     }
//!
//!     fn task_configs(&mut self, _max_tasks: usize) -> Result<Vec<Properties>> {
//!         Ok(vec![self.config.clone()]) // counting is work for one
//!     }
//!
//!     async fn stop(&mut self) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! #[async_trait]
//! impl SourceConnector for CounterSourceConnector {
//!     fn task_class(&self) -> &'static str {
//!         "com.example.CounterSourceTask"
//!     }
//!
//!     fn new_task(&self) -> Box<dyn SourceTask> {
//!         Box::<CounterSourceTask>::default()
//!     }
//! }
//!
//! #[derive(Default)]
//! struct CounterSourceTask {
//!     topic: TopicName,
//!     up_to: i64,
//!     last: i64,
//!     partition: Option<SourcePartition>,
//! }
//!
//! #[async_trait]
//! impl SourceTask for CounterSourceTask {
//!     async fn start(&mut self, context: Arc<dyn SourceTaskContext>, config: &Properties) -> Result<()> {
//!         let config = config_def().parse(config)?;
//!         self.topic = config.get(TOPIC).into();
//!         self.up_to = config.get(UP_TO);
//!         let partition = SourcePartition::new(Map::from_iter([(Value::text("counter"), "only")]));
//!         let stored = context.offset_storage_reader().offset(&partition).await?;
//!         self.last = match stored.as_ref().and_then(|offset| offset.get_str("last")) {
//!             None => 0,
//!             Some(Value::Int64(last)) => *last,
//!             Some(other) => return Err(ConnectError::config(format!("stored offset is no number: {other:?}"))),
//!         };
//!         self.partition = Some(partition);
//!         Ok(())
//!     }
//!
//!     async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>> {
//!         if self.last == self.up_to {
//!             return Ok(None); // a real task waits here for a while
//!         }
//!         self.last += 1;
//!         Ok(Some(vec![SourceRecord {
//!             record: ConnectRecord::new(self.topic.clone(), Some(Schema::INT64), self.last),
//!             source_partition: self.partition.clone(),
//!             source_offset: Some(SourceOffset::Position("last", self.last)),
//!         }]))
//!     }
//!
//!     async fn stop(&mut self) -> Result<()> {
//!         Ok(())
//!     }
//! }
//! # fn registered<C: SourceConnector + Plugin + Default + 'static>() {}
//! # registered::<CounterSourceConnector>();
//! ```

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
    TimestampType, TopicName, TopicPartition,
};
pub use sink::{ErrantRecordReporter, Offsets, SinkConnector, SinkTask, SinkTaskContext};
pub use source::{
    ConnectorTransactionBoundaries, ErrantSourceRecordReporter, ExactlyOnceSupport,
    OffsetStorageReader, RecordMetadata, SourceConnector, SourceOffsetChange, SourceTask,
    SourceTaskContext, TransactionContext,
};
pub use transform::{Origin, Outcome, Predicate, Transformation};

/// Re-exported so that a plugin's crate needs no version of its own.
pub use async_trait::async_trait;
