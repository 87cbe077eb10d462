//! Connectors that read from another system into Kafka.

use crate::connector::Connector;
use crate::data::Map;
use crate::record::{SourcePartition, SourceRecord, TopicName};
use crate::{ConnectError, Result};
use connect_config::Properties;
use std::sync::Arc;

/// A connector whose tasks read from another system.
#[async_trait::async_trait]
pub trait SourceConnector: Connector {
    /// The Java class name of the task, as `task.class` in task configurations.
    fn task_class(&self) -> &'static str;

    fn new_task(&self) -> Box<dyn SourceTask>;

    /// Whether this configuration can be exactly-once; `None` when the connector does not know.
    fn exactly_once_support(&self, _config: &Properties) -> Option<ExactlyOnceSupport> {
        None
    }

    /// Whether the tasks define transaction boundaries themselves (`transaction.boundary=connector`).
    fn can_define_transaction_boundaries(
        &self,
        _config: &Properties,
    ) -> ConnectorTransactionBoundaries {
        ConnectorTransactionBoundaries::Unsupported
    }

    /// Checks offsets that a user wants to write while the connector is stopped; `None` removes one.
    /// `true`: the connector keeps no offsets of its own that must be altered too.
    ///
    /// Fails: with [`ConnectError::config`] to refuse them.
    async fn alter_offsets(
        &self,
        _config: &Properties,
        _offsets: &[SourceOffsetChange],
    ) -> Result<bool> {
        Ok(false)
    }
}

/// A source offset that a user asks to be written (`None`: removed). `partition` may be null in a request.
pub struct SourceOffsetChange {
    pub partition: Option<Map>,
    pub offset: Option<Map>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    Supported,
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorTransactionBoundaries {
    Supported,
    Unsupported,
}

/// Reads records. All methods are called from one task of the runtime, one at a time:
/// `start`, then `poll` again and again with `commit_record` and `commit` between, then `stop`.
#[async_trait::async_trait]
pub trait SourceTask: Send {
    async fn start(
        &mut self,
        context: Arc<dyn SourceTaskContext>,
        config: &Properties,
    ) -> Result<()>;

    /// The next records, as a batch. `None` or an empty batch: nothing now; the worker asks again at once,
    /// so wait here for up to a second or so when there is nothing to read.
    ///
    /// Cancellation: the worker drops the future at an `.await` when the task is to stop or to pause, never
    /// else. After a pause `poll` is called again, so keep what was read in `self` before waiting.
    ///
    /// Fails: `Retriable` is logged and counts as nothing read; any other kind makes the task FAILED.
    async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>>;

    /// Offsets up to what was acknowledged have been stored. For sources that acknowledge to their side.
    /// Errors are logged.
    async fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether [`Self::commit_record`] is to be called. It costs keeping every record until Kafka has it.
    fn wants_commit_record(&self) -> bool {
        false
    }

    /// Kafka has acknowledged this record; `None` when it was dropped by a transform or skipped by
    /// tolerance. In order per Kafka partition. Errors are logged.
    async fn commit_record(
        &mut self,
        _record: &SourceRecord,
        _metadata: Option<RecordMetadata>,
    ) -> Result<()> {
        Ok(())
    }

    /// Frees what `start` took. Called once, after the last offsets were stored.
    async fn stop(&mut self) -> Result<()>;
}

/// Where Kafka has put a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    pub topic: TopicName,
    pub partition: i32,
    /// -1 with `acks=0`.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

/// What the worker offers to a source task.
#[async_trait::async_trait]
pub trait SourceTaskContext: Send + Sync {
    /// The task's configuration with config provider references resolved afresh.
    fn configs(&self) -> Properties;

    /// Offsets that were stored for the connector.
    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader>;

    /// To report what was read and cannot become a record, as `errors.tolerance` and the dead letter queue say;
    /// `None` when the connector neither logs errors nor has such a queue: then fail. Java has no such thing.
    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantSourceRecordReporter>> {
        None
    }

    /// To define transaction boundaries; `None` unless `transaction.boundary=connector` is in force.
    fn transaction_context(&self) -> Option<Arc<dyn TransactionContext>> {
        None
    }
}

/// Takes records of a source that are not to be sent.
#[async_trait::async_trait]
pub trait ErrantSourceRecordReporter: Send + Sync {
    /// Reports a record that `poll` does not return. Its offset is carried by the records behind it; theirs are not
    /// stored before the report is done.
    ///
    /// Fails: when errors are not tolerated.
    async fn report(&self, record: &SourceRecord, error: ConnectError) -> Result<()>;
}

/// Reads the offsets that were stored for a connector.
#[async_trait::async_trait]
pub trait OffsetStorageReader: Send + Sync {
    /// The stored offset of each partition, in the order asked; `None` where none is stored.
    async fn offsets(&self, partitions: &[SourcePartition]) -> Result<Vec<Option<Map>>>;

    async fn offset(&self, partition: &SourcePartition) -> Result<Option<Map>> {
        let offsets = self.offsets(std::slice::from_ref(partition)).await?;
        offsets
            .into_iter()
            .next()
            .ok_or_else(|| ConnectError::fatal("offset store answered nothing"))
    }
}

/// Lets a task say where a transaction ends.
pub trait TransactionContext: Send + Sync {
    /// Commit after the batch that `poll` returns next.
    fn commit_transaction(&self);
    /// Commit after this record, counted from 0 in the batch that `poll` returns next.
    fn commit_transaction_after(&self, index: usize);
    /// Abort after the batch that `poll` returns next; its source offsets still advance.
    fn abort_transaction(&self);
    fn abort_transaction_after(&self, index: usize);
}
