//! A task's records on their way through its chain, a batch at a time.
//!
//! Lives here: which records of a batch go on, and what a source task must remember of those that were changed.
//! Lives elsewhere: the chain (`chain`), what becomes of a record that fails (`errors`).
//! A task without transforms pays a comparison per batch.

use crate::chain::{StageError, TransformationChain};
use crate::errors::{Again, Failure, Stage, Tolerance, Which};
use crate::task::Target;
use connect_api::data::Value;
use connect_api::{
    ConnectRecord, Origin, Outcome, Result, SinkRecord, SourceOffset, SourceRecord, TopicName,
    TopicPartition,
};
use std::sync::Arc;

/// What became of a record.
#[derive(Clone, Copy, PartialEq)]
enum Passed {
    On,
    /// Dropped, or failed where that is tolerated.
    Out,
    /// The task was told to stop while it waited to try again.
    Stopped,
}

/// Whether a batch was worked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    Done,
    /// The task was told to stop meanwhile: nothing of the batch counts as read.
    Stopped,
}

impl From<Outcome> for Passed {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Keep => Passed::On,
            Outcome::Drop => Passed::Out,
        }
    }
}

/// A chain with what decides about records that fail in it.
struct Guarded {
    chain: TransformationChain,
    tolerance: Arc<Tolerance>,
}

impl Guarded {
    /// After a stage has failed: tries it and those behind it again as long as that may help. `Err`: it did not, and
    /// why there is no other attempt.
    #[cold]
    async fn try_again(
        &mut self,
        mut failed: StageError,
        target: &mut Target,
        record: &mut ConnectRecord,
        origin: Origin<'_>,
    ) -> Result<Passed, (StageError, Again)> {
        let mut retries = None;
        loop {
            let again = self.tolerance.again(&mut retries, &failed.error, target);
            match again.await {
                Again::Yes => match self.chain.apply(failed.stage, record, origin) {
                    Ok(outcome) => return Ok(outcome.into()),
                    Err(more) => failed = more,
                },
                Again::Stopped => return Ok(Passed::Stopped),
                again => return Err((failed, again)),
            }
        }
    }

    /// The record is out of the batch now.
    ///
    /// Fails: when that is not tolerated.
    fn leave_out(&self, failed: (StageError, Again), which: Which<'_>) -> Result<Passed> {
        let (failed, again) = failed;
        let failure = Failure {
            stage: Stage::Transformation,
            class: failed.class,
            error: failed.error,
        };
        self.tolerance.failed(failure, which, again)?;
        Ok(Passed::Out)
    }
}

/// The chain of a sink task.
pub struct SinkTransforms(Guarded);

impl SinkTransforms {
    pub fn new(chain: TransformationChain, tolerance: Arc<Tolerance>) -> Self {
        Self(Guarded { chain, tolerance })
    }

    /// Changes the records in place. Those that are dropped, or that fail and are tolerated, leave the batch; the
    /// others keep their order, and remember the topic and partition that they came from.
    pub async fn apply(
        &mut self,
        batch: &mut Vec<SinkRecord>,
        target: &mut Target,
    ) -> Result<Batch> {
        if self.0.chain.is_empty() {
            return Ok(Batch::Done);
        }
        let mut kept = 0;
        // Mostly all records of a batch come from one partition.
        let mut consumed: Option<TopicPartition> = None;
        for i in 0..batch.len() {
            let record = &mut batch[i];
            if consumed.as_ref().is_none_or(|from| !is_from(record, from)) {
                consumed = Some(TopicPartition {
                    topic: record.topic.clone(),
                    partition: record.kafka_partition.unwrap_or_default(),
                });
            }
            let from = consumed.as_ref().expect("set above");
            let origin = Origin::Sink {
                kafka_offset: record.kafka_offset,
                timestamp_type: record.timestamp_type,
                original: Some(from),
            };
            let passed = match self.0.chain.apply(0, &mut record.record, origin) {
                Ok(outcome) => outcome.into(),
                Err(failed) => {
                    let tried = self.0.try_again(failed, target, &mut record.record, origin);
                    match tried.await {
                        Ok(passed) => passed,
                        Err(failed) => {
                            let which = Which::Consumed {
                                topic: &from.topic,
                                partition: from.partition,
                                offset: record.kafka_offset,
                                timestamp: record.record.timestamp,
                                timestamp_type: record.timestamp_type,
                                raw: None,
                                reported: None,
                            };
                            self.0.leave_out(failed, which)?
                        }
                    }
                }
            };
            match passed {
                Passed::On => {}
                Passed::Out => continue,
                Passed::Stopped => return Ok(Batch::Stopped),
            }
            if !is_from(record, from) {
                record.original = Some(Box::new(from.clone()));
            }
            if kept != i {
                batch.swap(kept, i);
            }
            kept += 1;
        }
        batch.truncate(kept);
        Ok(Batch::Done)
    }
}

fn is_from(record: &SinkRecord, from: &TopicPartition) -> bool {
    record.kafka_partition == Some(from.partition) && record.topic == from.topic
}

/// The chain of a source task.
pub struct SourceTransforms {
    guarded: Guarded,
    /// Whether somebody will ask for records as the task gave them.
    keeps_originals: bool,
    /// Whether the task is told of records that go no further.
    wants_commit_record: bool,
}

/// A batch on its way to the producer.
pub struct SourceBatch {
    /// Stay where they are until all are done: to move one costs more than all else that is done to it here.
    records: Vec<SourceRecord>,
    /// The first that is not done.
    next: usize,
    /// The same records before the chain; empty when there is none, or nobody will ask.
    originals: std::vec::IntoIter<ConnectRecord>,
    /// Records that the chain has dropped, as the task gave them where those are kept. Their offsets are carried by
    /// nobody: they count as done with the record behind them, as in Java.
    pub dropped: Vec<SourceRecord>,
    /// Why the records behind these were not looked at.
    pub failed: Result<()>,
}

impl SourceBatch {
    #[inline]
    pub fn peek(&self) -> Option<&SourceRecord> {
        self.records.get(self.next)
    }

    /// Steps over the record that [`Self::peek`] shows and takes its offset.
    #[inline]
    pub fn pass(&mut self) -> Option<SourceOffset> {
        let record = self.records.get_mut(self.next)?;
        self.next += 1;
        self.originals.next();
        record.source_offset.take()
    }

    /// Takes the record that [`Self::peek`] shows, as the task gave it where that is kept.
    pub fn take(&mut self) -> Option<SourceRecord> {
        let next = self.records.get_mut(self.next)?;
        self.next += 1;
        let hollow = SourceRecord {
            record: ConnectRecord::new(TopicName::default(), None, Value::Null),
            source_partition: None,
            source_offset: None,
        };
        let mut record = std::mem::replace(next, hollow);
        if let Some(original) = self.originals.next() {
            record.record = original;
        }
        Some(record)
    }
}

impl SourceTransforms {
    pub fn new(
        chain: TransformationChain,
        tolerance: Arc<Tolerance>,
        wants_commit_record: bool,
    ) -> Self {
        let keeps_originals =
            wants_commit_record || tolerance.shows_records() || tolerance.has_letters();
        Self {
            guarded: Guarded { chain, tolerance },
            keeps_originals,
            wants_commit_record,
        }
    }

    /// Runs the chain over a batch, up to the first record that fails and is not tolerated: those before it are
    /// still sent, as in Java. Nothing, when the task was told to stop while it waited to try again.
    pub async fn apply(
        &mut self,
        mut records: Vec<SourceRecord>,
        target: &mut Target,
    ) -> Option<SourceBatch> {
        let mut originals = Vec::new();
        let mut dropped = Vec::new();
        let mut failed = Ok(());
        if !self.guarded.chain.is_empty() {
            let mut kept = 0;
            for i in 0..records.len() {
                let original = self.keeps_originals.then(|| records[i].record.clone());
                match self.pass(&mut records[i], original.as_ref(), target).await {
                    Ok(Passed::On) => {
                        originals.extend(original);
                        records.swap(kept, i);
                        kept += 1;
                    }
                    Ok(Passed::Out) => {
                        if self.wants_commit_record
                            && let Some(original) = original
                        {
                            dropped.push(SourceRecord {
                                record: original,
                                source_partition: records[i].source_partition.clone(),
                                source_offset: records[i].source_offset.clone(),
                            });
                        }
                    }
                    Ok(Passed::Stopped) => return None,
                    Err(error) => {
                        failed = Err(error);
                        break;
                    }
                }
            }
            records.truncate(kept);
        }
        Some(SourceBatch {
            records,
            next: 0,
            originals: originals.into_iter(),
            dropped,
            failed,
        })
    }

    async fn pass(
        &mut self,
        record: &mut SourceRecord,
        original: Option<&ConnectRecord>,
        target: &mut Target,
    ) -> Result<Passed> {
        let SourceRecord {
            record,
            source_partition,
            source_offset,
        } = record;
        let (partition, offset) = (source_partition.as_ref(), source_offset.as_ref());
        let origin = Origin::Source { partition, offset };
        match self.guarded.chain.apply(0, record, origin) {
            Ok(outcome) => Ok(outcome.into()),
            Err(failed) => {
                let tried = self.guarded.try_again(failed, target, record, origin);
                match tried.await {
                    Ok(passed) => Ok(passed),
                    Err(failed) => {
                        let which = Which::Source {
                            // Half changed where nobody has kept it; what is in it is asked for only where it was kept.
                            record: original.unwrap_or(record),
                            partition,
                            offset,
                            encoded: None,
                        };
                        self.guarded.leave_out(failed, which)
                    }
                }
            }
        }
    }
}
