//! A task's records on their way through its chain, a batch at a time.
//!
//! Lives here: which records of a batch go on, and what a source task must remember of those that were changed.
//! Lives elsewhere: the chain (`chain`), what becomes of a record that fails (`errors`).
//! A task without transforms pays a comparison per batch.

use crate::chain::{StageError, TransformationChain};
use crate::errors::{Stage, Tolerance, Which};
use connect_api::{
    ConnectRecord, Origin, Outcome, Result, SinkRecord, SourceRecord, TopicPartition,
};
use std::iter::Peekable;
use std::sync::Arc;

/// The chain of a sink task.
pub struct SinkTransforms {
    chain: TransformationChain,
    tolerance: Arc<Tolerance>,
}

impl SinkTransforms {
    pub fn new(chain: TransformationChain, tolerance: Arc<Tolerance>) -> Self {
        Self { chain, tolerance }
    }

    /// Changes the records in place. Those that are dropped, or that fail and are tolerated, leave the batch; the
    /// others keep their order, and remember the topic and partition that they came from.
    pub fn apply(&mut self, batch: &mut Vec<SinkRecord>) -> Result<()> {
        if self.chain.is_empty() {
            return Ok(());
        }
        let mut kept = 0;
        // Mostly all records of a batch come from one partition.
        let mut consumed: Option<TopicPartition> = None;
        for i in 0..batch.len() {
            let record = &mut batch[i];
            let from = match &mut consumed {
                Some(from) if is_from(record, from) => from,
                other => other.insert(TopicPartition {
                    topic: record.topic.clone(),
                    partition: record.kafka_partition.unwrap_or_default(),
                }),
            };
            if self.apply_to(record, from)? == Outcome::Drop {
                continue;
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
        Ok(())
    }

    /// A failure that is tolerated drops the record.
    fn apply_to(&mut self, record: &mut SinkRecord, from: &TopicPartition) -> Result<Outcome> {
        let origin = Origin::Sink {
            kafka_offset: record.kafka_offset,
            timestamp_type: record.timestamp_type,
            original: Some(from),
        };
        match self.chain.apply(&mut record.record, origin) {
            Ok(outcome) => Ok(outcome),
            Err(StageError { class, error }) => {
                let which = Which::Consumed {
                    topic: &from.topic,
                    partition: from.partition,
                    offset: record.kafka_offset,
                    timestamp: record.record.timestamp,
                    timestamp_type: record.timestamp_type,
                };
                self.tolerance
                    .failed(Stage::Transformation, class, error, which)?;
                Ok(Outcome::Drop)
            }
        }
    }
}

fn is_from(record: &SinkRecord, from: &TopicPartition) -> bool {
    record.kafka_partition == Some(from.partition)
        && (Arc::ptr_eq(&record.topic, &from.topic) || record.topic == from.topic)
}

/// The chain of a source task.
pub struct SourceTransforms {
    chain: TransformationChain,
    tolerance: Arc<Tolerance>,
    /// Whether somebody will ask for records as the task gave them.
    keeps_originals: bool,
}

/// A batch on its way to the producer.
pub struct SourceBatch {
    records: Peekable<std::vec::IntoIter<SourceRecord>>,
    /// The same records before the chain; empty when there is none, or nobody will ask.
    originals: std::vec::IntoIter<ConnectRecord>,
    /// Records that the chain has dropped, as the task gave them where those are kept. Their offsets are carried by
    /// nobody: they count as done with the record behind them, as in Java.
    pub dropped: Vec<SourceRecord>,
    /// Why the records behind these were not looked at.
    pub failed: Result<()>,
}

impl SourceBatch {
    pub fn peek(&mut self) -> Option<&SourceRecord> {
        self.records.peek()
    }

    /// Takes the record that [`Self::peek`] shows, as the task gave it where that is kept.
    pub fn take(&mut self) -> Option<SourceRecord> {
        let mut record = self.records.next()?;
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
        let keeps_originals = wants_commit_record || tolerance.shows_records();
        Self {
            chain,
            tolerance,
            keeps_originals,
        }
    }

    /// Runs the chain over a batch, up to the first record that fails and is not tolerated: those before it are
    /// still sent, as in Java.
    pub fn apply(&mut self, mut records: Vec<SourceRecord>) -> SourceBatch {
        let mut originals = Vec::new();
        let mut dropped = Vec::new();
        let mut failed = Ok(());
        if !self.chain.is_empty() {
            let mut kept = 0;
            for i in 0..records.len() {
                let original = self.keeps_originals.then(|| records[i].record.clone());
                let outcome = self.apply_to(&mut records[i], original.as_ref());
                match outcome {
                    Ok(Outcome::Keep) => {
                        originals.extend(original);
                        records.swap(kept, i);
                        kept += 1;
                    }
                    Ok(Outcome::Drop) => {
                        // Only who keeps originals is told of records that went no further.
                        if let Some(original) = original {
                            dropped.push(SourceRecord {
                                record: original,
                                source_partition: records[i].source_partition.clone(),
                                source_offset: records[i].source_offset.clone(),
                            });
                        }
                    }
                    Err(error) => {
                        failed = Err(error);
                        break;
                    }
                }
            }
            records.truncate(kept);
        }
        SourceBatch {
            records: records.into_iter().peekable(),
            originals: originals.into_iter(),
            dropped,
            failed,
        }
    }

    /// A failure that is tolerated drops the record.
    fn apply_to(
        &mut self,
        record: &mut SourceRecord,
        original: Option<&ConnectRecord>,
    ) -> Result<Outcome> {
        let origin = Origin::Source {
            partition: record.source_partition.as_ref(),
            offset: record.source_offset.as_ref(),
        };
        match self.chain.apply(&mut record.record, origin) {
            Ok(outcome) => Ok(outcome),
            Err(StageError { class, error }) => {
                if let Some(original) = original {
                    record.record = original.clone();
                }
                let which = Which::Source(record);
                self.tolerance
                    .failed(Stage::Transformation, class, error, which)?;
                Ok(Outcome::Drop)
            }
        }
    }
}
