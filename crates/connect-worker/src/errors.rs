//! Records that cannot be converted: skipped or not, logged or not.
//!
//! Lives here: what `errors.tolerance` and `errors.log.*` make of a failed conversion.
//! Source: `RetryWithToleranceOperator`, `LogReporter` in apache/kafka, connect/runtime.

use crate::connector_config::{ConnectorConfig, ToleranceType};
use crate::status::ConnectorTaskId;
use connect_api::{ConnectError, ErrantRecordReporter, Result, SinkRecord, async_trait};
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::error;

/// Where a record failed, by Java's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    TaskPut,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::KeyConverter => "KEY_CONVERTER",
            Stage::ValueConverter => "VALUE_CONVERTER",
            Stage::HeaderConverter => "HEADER_CONVERTER",
            Stage::KafkaProduce => "KAFKA_PRODUCE",
            Stage::TaskPut => "TASK_PUT",
        }
    }
}

/// Decides about failed records of one task.
pub struct Tolerance {
    id: ConnectorTaskId,
    tolerance: ToleranceType,
    log: bool,
    log_messages: bool,
    skipped: AtomicU64,
}

impl Tolerance {
    pub fn new(id: ConnectorTaskId, config: &ConnectorConfig) -> Self {
        Self {
            id,
            tolerance: config.errors_tolerance,
            log: config.errors_log_enable,
            log_messages: config.errors_log_include_messages,
            skipped: AtomicU64::new(0),
        }
    }

    /// Takes note of a record that failed. `record` says which one it was.
    ///
    /// Fails: when errors are not tolerated. Otherwise the record is to be left out.
    pub fn failed(
        &self,
        stage: Stage,
        class: &str,
        error: ConnectError,
        record: impl Fn() -> String,
    ) -> Result<()> {
        if self.log {
            let which = if self.log_messages {
                format!(", where {}", record())
            } else {
                String::new()
            };
            error!(
                cause = %error,
                "Error encountered in task {}. Executing stage '{}' with class '{class}'{which}.", self.id, stage.name()
            );
        }
        match self.tolerance {
            ToleranceType::All => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            ToleranceType::None => Err(ConnectError::new(
                error.kind(),
                "Tolerance exceeded in error handler",
            )
            .with("stage", stage.name())
            .with("class", class)
            .with("record", record())
            .caused_by(error)),
        }
    }

    /// Records that were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Whether a task may report records itself.
    pub fn has_reporter(&self) -> bool {
        self.log
    }
}

/// Names a record of a topic, for messages.
pub fn describe(topic: &str, partition: i32, offset: i64) -> String {
    format!("consumed record is {{topic='{topic}', partition={partition}, offset={offset}}}")
}

#[async_trait]
impl ErrantRecordReporter for Tolerance {
    async fn report(&self, record: &SinkRecord, error: ConnectError) -> Result<()> {
        self.failed(Stage::TaskPut, "the sink task", error, || {
            describe(
                record.original_topic(),
                record.original_partition(),
                record.kafka_offset,
            )
        })
    }
}
