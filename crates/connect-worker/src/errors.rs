//! Records that cannot be converted: skipped or not, logged or not.
//!
//! Lives here: what `errors.tolerance` and `errors.log.*` make of a failed conversion.
//! Source: `RetryWithToleranceOperator`, `LogReporter` in apache/kafka, connect/runtime.

use crate::connector_config::{ConnectorConfig, ToleranceType};
use crate::status::ConnectorTaskId;
use connect_api::{
    ConnectError, ErrantRecordReporter, ErrorKind, Result, SinkRecord, SourceRecord, TimestampType,
    async_trait,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tracing::{error, warn};

/// The class that Java's logs name for a record that a task reports.
const SINK_TASK_CLASS: &str = "org.apache.kafka.connect.sink.SinkTask";

/// Where a record failed, by Java's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Transformation,
    KeyConverter,
    ValueConverter,
    HeaderConverter,
    KafkaProduce,
    TaskPut,
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
        }
    }
}

/// Which record failed. What is in a record may be a secret: [`Which::position`] never says it, and
/// [`Which::text`] is for logs of those who asked for it.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    Source(&'a SourceRecord),
    Consumed {
        topic: &'a str,
        partition: i32,
        offset: i64,
        timestamp: Option<i64>,
        timestamp_type: TimestampType,
    },
    /// All records of a batch that Kafka refused.
    Produced {
        topic: &'a str,
        partition: i32,
    },
}

impl<'a> Which<'a> {
    pub fn of_sink(record: &'a SinkRecord) -> Self {
        Self::Consumed {
            topic: record.original_topic(),
            partition: record.original_partition(),
            offset: record.kafka_offset,
            timestamp: record.timestamp,
            timestamp_type: record.timestamp_type,
        }
    }

    /// Where the record is from, and nothing of what is in it.
    pub fn position(&self) -> String {
        match self {
            Self::Source(record) => {
                let partition = record
                    .source_partition
                    .as_ref()
                    .map_or_else(|| "null".into(), |p| format!("{:?}", p.fields()));
                let offset = record
                    .source_offset
                    .as_ref()
                    .map_or_else(|| "null".into(), |o| format!("{:?}", o.to_map()));
                format!("source partition {partition}, source offset {offset}")
            }
            Self::Consumed {
                topic,
                partition,
                offset,
                ..
            } => format!("{{topic='{topic}', partition={partition}, offset={offset}}}"),
            Self::Produced { topic, partition } => format!("a batch for {topic}-{partition}"),
        }
    }

    /// As Java's log has it with `errors.log.include.messages`.
    fn text(&self) -> String {
        match self {
            Self::Source(record) => format!("source record is = {record:?}"),
            Self::Consumed {
                topic,
                partition,
                offset,
                timestamp,
                timestamp_type,
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

/// Decides about failed records of one task.
pub struct Tolerance {
    id: ConnectorTaskId,
    tolerance: ToleranceType,
    log: bool,
    log_messages: bool,
    skipped: AtomicU64,
    exceeded: AtomicBool,
}

impl Tolerance {
    pub fn new(id: ConnectorTaskId, config: &ConnectorConfig) -> Self {
        Self {
            id,
            tolerance: config.errors_tolerance,
            log: config.errors_log_enable,
            log_messages: config.errors_log_include_messages,
            skipped: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
        }
    }

    /// Takes note of a record that failed.
    ///
    /// Fails: when errors are not tolerated, never with `Retriable`. Otherwise the record is to be left out.
    pub fn failed(
        &self,
        stage: Stage,
        class: &str,
        error: ConnectError,
        record: Which<'_>,
    ) -> Result<()> {
        if self.log {
            let which = if self.log_messages {
                format!(", where {}", record.text())
            } else {
                String::new()
            };
            error!(
                cause = %error,
                "Error encountered in task {}. Executing stage '{}' with class '{class}'{which}.", self.id, stage.name()
            );
        }
        if self.tolerates() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.exceeded.store(true, Ordering::Relaxed);
        Err(Self::exceeded_error(error.kind())
            .with("stage", stage.name())
            .with("class", class)
            .with("record", record.position())
            .caused_by(error))
    }

    /// Whether records may be left out.
    pub fn tolerates(&self) -> bool {
        self.tolerance == ToleranceType::All
    }

    /// Fails: when [`Self::failed`] has failed before. A task that does not pass on what its reporter
    /// answered fails here.
    pub fn check(&self) -> Result<()> {
        if self.exceeded.load(Ordering::Relaxed) {
            return Err(Self::exceeded_error(ErrorKind::Data));
        }
        Ok(())
    }

    fn exceeded_error(kind: ErrorKind) -> ConnectError {
        let kind = match kind {
            // What is not tolerated is not tried again either.
            ErrorKind::Retriable => ErrorKind::Data,
            kind => kind,
        };
        ConnectError::new(kind, "Tolerance exceeded in error handler")
    }

    /// At the end of a task: how many records were left out, if any were.
    pub fn say_skipped(&self) {
        let records = self.skipped.load(Ordering::Relaxed);
        if records > 0 {
            warn!(
                records,
                "records were left out, as errors.tolerance=all wants it"
            );
        }
    }

    /// Whether what is in a record that failed is shown, so that somebody keeps it as it was.
    pub fn shows_records(&self) -> bool {
        self.log && self.log_messages
    }

    /// Whether a task may report records itself.
    pub fn has_reporter(&self) -> bool {
        self.log
    }
}

#[async_trait]
impl ErrantRecordReporter for Tolerance {
    async fn report(&self, record: &SinkRecord, error: ConnectError) -> Result<()> {
        self.failed(
            Stage::TaskPut,
            SINK_TASK_CLASS,
            error,
            Which::of_sink(record),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::{ConnectRecord, SourceOffset};

    fn tolerance(tolerance: ToleranceType) -> Tolerance {
        let config = ConnectorConfig {
            name: "c".into(),
            connector_class: "C".into(),
            tasks_max: 1,
            tasks_max_enforce: true,
            errors_tolerance: tolerance,
            errors_log_enable: true,
            errors_log_include_messages: false,
            originals: Default::default(),
        };
        let id = ConnectorTaskId {
            connector: "c".into(),
            task: 0,
        };
        Tolerance::new(id, &config)
    }

    fn sink_record() -> SinkRecord {
        let mut record = ConnectRecord::new("t", None, "secret");
        record.kafka_partition = Some(3);
        record.timestamp = Some(5);
        SinkRecord {
            record,
            kafka_offset: 7,
            timestamp_type: TimestampType::CreateTime,
            original: None,
        }
    }

    #[test]
    fn errors_say_where_a_record_is_from_and_not_what_is_in_it() {
        let source = SourceRecord {
            record: ConnectRecord::new("t", None, "secret"),
            source_partition: None,
            source_offset: Some(SourceOffset::Position("position", 12)),
        };
        let sink = sink_record();
        for (which, expected) in [
            (
                Which::Source(&source),
                "source partition null, source offset {",
            ),
            (
                Which::of_sink(&sink),
                "record={topic='t', partition=3, offset=7}",
            ),
        ] {
            let failed = tolerance(ToleranceType::None).failed(
                Stage::ValueConverter,
                "C",
                ConnectError::data("bad"),
                which,
            );
            let error = failed.unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains("secret"),
                "{error}"
            );
        }
        assert!(Which::Source(&source).text().contains("secret"));
        assert_eq!(
            Which::of_sink(&sink).text(),
            "consumed record is {topic='t', partition=3, offset=7, timestamp=5, timestampType=CreateTime}"
        );
    }

    #[tokio::test]
    async fn what_a_task_reports_is_not_tried_again() {
        let none = tolerance(ToleranceType::None);
        assert!(none.check().is_ok());
        let error = ConnectError::retriable("later");
        let reported = none.report(&sink_record(), error).await.unwrap_err();
        assert_eq!(reported.kind(), ErrorKind::Data);
        assert!(none.check().is_err(), "also when the task swallows it");

        let all = tolerance(ToleranceType::All);
        let error = ConnectError::data("bad");
        all.report(&sink_record(), error).await.unwrap();
        assert_eq!(all.skipped.load(Ordering::Relaxed), 1);
        assert!(all.check().is_ok());
    }
}
