//! Connectors that write from Kafka into another system.

use crate::connector::Connector;
use crate::record::{SinkRecord, TopicPartition};
use crate::{ConnectError, Result};
use connect_config::Properties;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Per partition the offset of the next record to consume.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// A connector whose tasks write to another system.
#[async_trait::async_trait]
pub trait SinkConnector: Connector {
    /// The Java class name of the task, as `task.class` in task configurations.
    fn task_class(&self) -> &'static str;

    fn new_task(&self) -> Box<dyn SinkTask>;

    /// Checks consumer offsets that a user wants to write while the connector is stopped; `None` removes
    /// one. `true`: the connector keeps no offsets of its own that must be altered too.
    ///
    /// Fails: with [`ConnectError::config`] to refuse them.
    async fn alter_offsets(
        &self,
        _config: &Properties,
        _offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<bool> {
        Ok(false)
    }
}

/// Writes records. All methods are called from one task of the runtime, one at a time: `start`, `open`,
/// `put` again and again with `pre_commit` between, `close`, `stop`.
#[async_trait::async_trait]
pub trait SinkTask: Send {
    async fn start(&mut self, context: Arc<dyn SinkTaskContext>, config: &Properties)
    -> Result<()>;

    /// These partitions are ours from now on.
    async fn open(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// Takes the next records, none of them too. They may be written later, but not later than `flush`.
    ///
    /// Fails: after `Retriable` the worker offers all of `records` again: twice is allowed, lost is not. Any
    /// other kind makes the task FAILED, unless `millstream.errors.put.bisect` is set and the kind is `Data`,
    /// which says that one or more of exactly these records cannot be written, whenever they are offered: the
    /// worker offers them again in parts, in their order, until it knows which. Never answer `Data` for a record
    /// of an earlier call, nor for what another attempt may mend.
    async fn put(&mut self, records: &[SinkRecord]) -> Result<()>;

    /// Whether a [`Self::put`] that fails with `Data` has written nothing of its records and keeps none of them
    /// to be written later: the whole batch was checked before, or is one transaction that was rolled back. Then
    /// the worker can leave out the guilty records and have each other record written once
    /// (`millstream.errors.put.bisect=once`), as long as it is not killed meanwhile. Asked before `start`.
    fn failed_put_writes_nothing(&self) -> bool {
        false
    }

    /// Writes what `put` has taken, so that these offsets may be committed.
    async fn flush(&mut self, _offsets: &Offsets) -> Result<()> {
        Ok(())
    }

    /// The offsets that are safe to commit, out of those that `put` was given. Leave a partition out to
    /// keep what was committed before.
    ///
    /// Fails: the worker goes back to the last committed offsets and offers the records again.
    async fn pre_commit(&mut self, offsets: Offsets) -> Result<Offsets> {
        self.flush(&offsets).await?;
        Ok(offsets)
    }

    /// These partitions are no longer ours. As in Kafka Connect, what `pre_commit` answered just before is
    /// committed right after this call, whether it fails or not; nothing is committed of lost partitions.
    async fn close(&mut self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }

    /// Frees what `start` took.
    async fn stop(&mut self) -> Result<()>;
}

/// What the worker offers to a sink task. Requests take effect before the next `put`.
pub trait SinkTaskContext: Send + Sync {
    /// The task's configuration with config provider references resolved afresh.
    fn configs(&self) -> Properties;

    /// Go on reading this partition from this offset.
    fn offset(&self, partition: TopicPartition, offset: i64);

    /// Call `put` again after at most this time; once.
    fn timeout(&self, timeout: Duration);

    /// The partitions that the task has.
    fn assignment(&self) -> Vec<TopicPartition>;

    /// Read nothing from these partitions until they are resumed.
    ///
    /// Fails: when one of them is not the task's.
    fn pause(&self, partitions: &[TopicPartition]) -> Result<()>;

    /// Fails: when one of them is not the task's.
    fn resume(&self, partitions: &[TopicPartition]) -> Result<()>;

    /// Commit offsets as soon as possible.
    fn request_commit(&self);

    /// To report records that cannot be written; `None` when the connector neither logs errors nor has a
    /// dead letter queue: then fail.
    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>>;
}

/// Takes records that cannot be written, as `errors.tolerance` and the dead letter queue say.
#[async_trait::async_trait]
pub trait ErrantRecordReporter: Send + Sync {
    /// Reports a record. Offsets behind it are not committed before the report is done.
    ///
    /// Fails: when errors are not tolerated.
    async fn report(&self, record: &SinkRecord, error: ConnectError) -> Result<()>;
}
