//! What is decided about a record that failed.
//!
//! Lives here: the order of trying again, logging, writing a letter and counting, for one task.
//! Lives elsewhere: the decisions (`retry`, `limit`), sending letters (`dead_letter_queue`).

use super::held::Held;
use super::letter::Origin;
use super::limit::ToleranceAccount;
use super::source_letter::SourceLetters;
use super::trace::TOLERANCE_EXCEEDED;
use super::{ErrorCounts, Failure, Letter, RetryPolicy, Stage, Which};
use crate::connector_config::ConnectorConfig;
use crate::conversion::{Converters, SourceConversion};
use crate::status::ConnectorTaskId;
use crate::task::Target;
use connect_api::{
    ConnectError, ConnectRecord, ErrantRecordReporter, ErrantSourceRecordReporter, ErrorKind,
    Result, SinkRecord, SourceOffset, SourcePartition, SourceRecord, async_trait,
};
use kafka_client::consumer::PartitionRecords;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tracing::{error, warn};

/// The class that Java's logs name for a record that a task reports.
pub const SINK_TASK_CLASS: &str = "org.apache.kafka.connect.sink.SinkTask";
const SOURCE_TASK_CLASS: &str = "org.apache.kafka.connect.source.SourceTask";

/// Decides about failed records of one task.
pub struct Tolerance {
    id: ConnectorTaskId,
    log: bool,
    log_messages: bool,
    retry: RetryPolicy,
    account: Mutex<ToleranceAccount>,
    counts: ErrorCounts,
    outbox: Option<Outbox>,
}

/// Letters that wait for the task's loop to send them.
struct Outbox {
    /// Whether letters say what failed.
    context_headers: bool,
    letters: Mutex<Vec<Letter>>,
    /// Where letters of sinks get their bytes.
    held: Mutex<Held>,
    /// For a record whose bytes are gone, or that a sink has made itself.
    encoding: Option<Mutex<SourceConversion>>,
    of_sources: Mutex<SourceLetters>,
}

impl Outbox {
    /// The letter of a record that is not held: as the connector's converters write it, else as JSON.
    fn letter_again(&self, record: &ConnectRecord) -> Letter {
        if let Some(encoding) = &self.encoding
            && let Ok(encoded) = lock(encoding).convert(record)
        {
            return Letter::of_encoded(record, &encoded);
        }
        lock(&self.of_sources).of_record(record)
    }
}

/// The attempts at one operation on one record.
#[derive(Debug)]
pub struct Retries {
    begin: Instant,
    failed: u32,
}

/// What to do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Now: the wait is over.
    Yes,
    /// It cannot get better.
    No,
    /// It might, but not within `errors.retry.timeout`. The record is skipped, whatever the tolerance: so does Java.
    GaveUp,
    /// The task was told to stop meanwhile: the record counts as not read.
    Stopped,
}

impl Tolerance {
    /// `converters`: of a sink with a dead letter queue, besides those that its task has.
    pub fn new(
        id: ConnectorTaskId,
        config: &ConnectorConfig,
        converters: Option<Converters>,
    ) -> Self {
        let outbox = config.dead_letter_topic.as_ref().map(|_| Outbox {
            context_headers: config.dead_letter_context_headers,
            letters: Mutex::default(),
            held: Mutex::default(),
            encoding: converters.map(|it| Mutex::new(SourceConversion::new(it))),
            of_sources: Mutex::new(SourceLetters::new()),
        });
        Self {
            id,
            log: config.errors_log_enable,
            log_messages: config.errors_log_include_messages,
            retry: config.errors_retry,
            account: Mutex::new(ToleranceAccount::new(config.errors_tolerance)),
            counts: ErrorCounts::default(),
            outbox,
        }
    }

    /// Counts a failed attempt and waits until the next one is due.
    pub async fn again(
        &self,
        retries: &mut Option<Retries>,
        error: &ConnectError,
        target: &mut Target,
    ) -> Again {
        self.counts.failed();
        if !error.is_retriable() {
            return Again::No;
        }
        let retries = retries.get_or_insert_with(|| Retries {
            begin: Instant::now(),
            failed: 0,
        });
        retries.failed += 1;
        let elapsed = retries.begin.elapsed();
        let Some(wait) = self.retry.wait(retries.failed, elapsed, random()) else {
            return Again::GaveUp;
        };
        tokio::select! {
            biased;
            () = target.stopping() => Again::Stopped,
            () = tokio::time::sleep(wait) => {
                ErrorCounts::count(&self.counts.retries);
                Again::Yes
            }
        }
    }

    /// What becomes of a record after [`Self::again`] said `No` or `GaveUp`.
    ///
    /// Fails: when errors are not tolerated; with `Retriable` only for what Kafka refused, where another start may
    /// help. Otherwise the record is to be left out.
    pub fn failed(&self, failed: Failure, record: Which<'_>, again: Again) -> Result<()> {
        ErrorCounts::count(&self.counts.errors);
        self.report(&failed, record);
        if again == Again::GaveUp || self.account().tolerates(Instant::now()) {
            ErrorCounts::count(&self.counts.skipped);
            return Ok(());
        }
        let kind = match (failed.error.kind(), failed.stage) {
            (kind, Stage::KafkaProduce) => kind,
            // The loop would take it for a reason to try again.
            (ErrorKind::Retriable, _) => ErrorKind::Data,
            (kind, _) => kind,
        };
        Err(ConnectError::new(kind, TOLERANCE_EXCEEDED)
            .with("stage", failed.stage.name())
            .with("class", failed.class)
            .with("record", record.position())
            .caused_by(failed.error))
    }

    /// The same for a failure that is not tried again, such as a batch that Kafka refused.
    pub fn failed_at_once(
        &self,
        stage: Stage,
        class: &'static str,
        error: ConnectError,
        record: Which<'_>,
    ) -> Result<()> {
        self.counts.failed();
        let failed = Failure {
            stage,
            class,
            error,
        };
        self.failed(failed, record, Again::No)
    }

    /// Log and dead letter queue hear of every failure, also of one that ends the task.
    fn report(&self, failed: &Failure, record: Which<'_>) {
        if self.log {
            let which = if self.log_messages {
                format!(", where {}", record.text())
            } else {
                String::new()
            };
            let Failure {
                stage,
                class,
                error,
            } = failed;
            error!(
                cause = %error,
                "Error encountered in task {}. Executing stage '{}' with class '{class}'{which}.", self.id, stage.name()
            );
            ErrorCounts::count(&self.counts.logged);
        }
        if let Some(outbox) = &self.outbox {
            self.write_letters(outbox, failed, record);
        }
    }

    fn write_letters(&self, outbox: &Outbox, failed: &Failure, record: Which<'_>) {
        match record {
            Which::Consumed {
                topic,
                partition,
                offset,
                raw,
                reported,
                ..
            } => {
                let letter = match raw {
                    Some(raw) => Some(Letter::of(raw)),
                    None => lock(&outbox.held).letter(topic, partition, offset),
                };
                let letter = letter.or_else(|| Some(outbox.letter_again(reported?)));
                let Some(letter) = letter else {
                    error!(
                        topic,
                        partition,
                        offset,
                        "the bytes of a record are gone; it does not reach the dead letter queue"
                    );
                    ErrorCounts::count(&self.counts.letters_lost);
                    return;
                };
                let from = Origin {
                    topic,
                    partition: Some(partition),
                    offset: Some(offset),
                };
                self.write(outbox, letter, from, failed, None);
            }
            Which::Source {
                record,
                partition,
                offset,
                encoded,
            } => {
                let letter = match encoded {
                    Some(encoded) => Letter::of_encoded(record, encoded),
                    None => lock(&outbox.of_sources).of_record(record),
                };
                let from = Origin {
                    topic: &record.topic,
                    partition: record.kafka_partition,
                    offset: None,
                };
                self.write(outbox, letter, from, failed, Some((partition, offset)));
            }
            Which::Produced {
                topic,
                partition,
                letters,
            } => {
                let from = Origin {
                    topic,
                    partition: Some(partition),
                    offset: None,
                };
                for kept in letters {
                    let position = (kept.partition.as_ref(), kept.offset.as_ref());
                    self.write(outbox, kept.letter.clone(), from, failed, Some(position));
                }
            }
        }
    }

    /// `position`: where a source has read the record.
    fn write(
        &self,
        outbox: &Outbox,
        mut letter: Letter,
        from: Origin<'_>,
        failed: &Failure,
        position: Option<(Option<&SourcePartition>, Option<&SourceOffset>)>,
    ) {
        if outbox.context_headers {
            letter.add_context(&self.id, from, failed);
            if let Some((partition, offset)) = position {
                lock(&outbox.of_sources).add_position(&mut letter, partition, offset);
            }
        }
        lock(&outbox.letters).push(letter);
    }

    /// Keeps a batch as consumed until others have come, so that a record that fails later still has its bytes.
    pub fn hold(&self, fetched: Vec<PartitionRecords>) {
        if let Some(outbox) = &self.outbox {
            lock(&outbox.held).add(fetched);
        }
    }

    /// The letters written since the last call.
    pub fn take_letters(&self) -> Vec<Letter> {
        match &self.outbox {
            Some(outbox) => std::mem::take(&mut lock(&outbox.letters)),
            None => Vec::new(),
        }
    }

    /// Whether records may be left out.
    pub fn tolerates(&self) -> bool {
        self.account().is_tolerant()
    }

    /// Fails: when [`Self::failed`] has failed before. A task that does not pass on what its reporter
    /// answered fails here.
    pub fn check(&self) -> Result<()> {
        if self.account().is_exceeded() {
            return Err(ConnectError::data(TOLERANCE_EXCEEDED));
        }
        Ok(())
    }

    /// At the end of a task: how many records were left out, if any were.
    pub fn say_skipped(&self) {
        let records = ErrorCounts::get(&self.counts.skipped);
        if records > 0 {
            warn!(
                records,
                "records were left out, as the configuration wants it"
            );
        }
    }

    /// Whether what is in a record that failed is shown, so that somebody keeps it as it was.
    pub fn shows_records(&self) -> bool {
        self.log && self.log_messages
    }

    /// Whether records that fail are kept as letters.
    pub fn has_letters(&self) -> bool {
        self.outbox.is_some()
    }

    /// Whether a task may report records itself.
    pub fn has_reporter(&self) -> bool {
        self.log || self.outbox.is_some()
    }

    pub fn counts(&self) -> &ErrorCounts {
        &self.counts
    }

    fn account(&self) -> MutexGuard<'_, ToleranceAccount> {
        lock(&self.account)
    }
}

/// No statement leaves half a change behind, so what is inside is whole also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In 0..1; only spreads waits.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0u8);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[async_trait]
impl ErrantRecordReporter for Tolerance {
    async fn report(&self, record: &SinkRecord, error: ConnectError) -> Result<()> {
        self.failed_at_once(
            Stage::TaskPut,
            SINK_TASK_CLASS,
            error,
            Which::of_sink(record),
        )
    }
}

#[async_trait]
impl ErrantSourceRecordReporter for Tolerance {
    async fn report(&self, record: &SourceRecord, error: ConnectError) -> Result<()> {
        self.failed_at_once(
            Stage::TaskPoll,
            SOURCE_TASK_CLASS,
            error,
            Which::of_source(record),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::TolerancePolicy;
    use super::*;
    use connect_api::TimestampType;

    fn tolerance(tolerance: TolerancePolicy) -> Tolerance {
        let config = ConnectorConfig {
            errors_tolerance: tolerance,
            errors_log_enable: true,
            ..ConnectorConfig::for_tests()
        };
        let id = ConnectorTaskId {
            connector: "c".into(),
            task: 0,
        };
        Tolerance::new(id, &config, None)
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
                Which::of_source(&source),
                "source partition null, source offset {",
            ),
            (
                Which::of_sink(&sink),
                "record={topic='t', partition=3, offset=7}",
            ),
        ] {
            let failed = tolerance(TolerancePolicy::None).failed_at_once(
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
        assert!(Which::of_source(&source).text().contains("secret"));
        assert_eq!(
            Which::of_sink(&sink).text(),
            "consumed record is {topic='t', partition=3, offset=7, timestamp=5, timestampType=CreateTime}"
        );
    }

    #[tokio::test]
    async fn what_a_task_reports_is_not_tried_again() {
        let none = tolerance(TolerancePolicy::None);
        assert!(none.check().is_ok());
        let error = ConnectError::retriable("later");
        let reported = ErrantRecordReporter::report(&none, &sink_record(), error).await;
        assert_eq!(reported.unwrap_err().kind(), ErrorKind::Data);
        assert!(none.check().is_err(), "also when the task swallows it");

        let all = tolerance(TolerancePolicy::All);
        let error = ConnectError::data("bad");
        ErrantRecordReporter::report(&all, &sink_record(), error)
            .await
            .unwrap();
        assert_eq!(ErrorCounts::get(&all.counts().skipped), 1);
        assert!(all.check().is_ok());
    }
}
