//! What Kafka's answers lead to: records that are done with, or that have failed.
//!
//! Lives elsewhere: which offsets that makes committable (`submitted_records`), what is tolerated (`errors`).

use super::{PRODUCER_CLASS, SourceLoop};
use crate::conversion::Encoded;
use crate::errors::{KeptLetter, Letter, Stage, Tolerance, Which, of_client};
use crate::submitted_records::SubmittedRecords;
use connect_api::{RecordMetadata, Result, SourceRecord};
use kafka_client::producer::{Acknowledged, Token};
use std::collections::HashMap;
use tracing::warn;

/// What the producer was given and Kafka has not answered yet.
pub struct Unanswered {
    pub submitted: SubmittedRecords,
    /// Records that Kafka refused and that are not tolerated: they are never acknowledged.
    refused: u64,
    /// The bytes of each record, only for connectors with a dead letter queue.
    letters: Option<HashMap<(u32, u64), KeptLetter>>,
}

impl Unanswered {
    pub fn new(tolerance: &Tolerance) -> Self {
        Self {
            submitted: SubmittedRecords::default(),
            refused: 0,
            letters: tolerance.has_letters().then(HashMap::new),
        }
    }

    /// Whether nothing is left to wait for.
    pub fn are_none(&self) -> bool {
        self.submitted.unacknowledged() <= self.refused
    }

    /// Keeps what becomes a letter if Kafka refuses the record that was just appended.
    pub fn keep_letter(&mut self, token: Token, record: &SourceRecord, encoded: &Encoded<'_>) {
        if let Some(letters) = &mut self.letters {
            let kept = KeptLetter {
                letter: Letter::of_encoded(record, encoded),
                partition: record.source_partition.clone(),
                offset: record.source_offset.clone(),
            };
            letters.insert((token.stream, token.number), kept);
        }
    }

    /// Takes note of what Kafka answered for a batch.
    ///
    /// Fails: when it was refused and that is not tolerated. The records stay unacknowledged then, so their offsets
    /// are never committed.
    pub fn settle(&mut self, acknowledged: &Acknowledged, tolerance: &Tolerance) -> Result<()> {
        let letters = match &mut self.letters {
            Some(kept) => {
                let tokens = acknowledged.runs.tokens();
                let of_batch = tokens.filter_map(|it| kept.remove(&(it.stream, it.number)));
                of_batch.collect()
            }
            None => Vec::new(),
        };
        if let Err(cause) = &acknowledged.result {
            let message = "Unrecoverable exception from producer send callback";
            let error = of_client(message, cause.clone())
                .with("topic", &acknowledged.topic)
                .with("partition", acknowledged.partition)
                .with("records", acknowledged.records);
            let which = Which::Produced {
                topic: &acknowledged.topic,
                partition: acknowledged.partition,
                letters: &letters,
            };
            tolerance
                .failed_at_once(Stage::KafkaProduce, PRODUCER_CLASS, error, which)
                .inspect_err(|_| self.refused += u64::from(acknowledged.records))?;
        }
        for run in acknowledged.runs.as_slice() {
            self.submitted.acknowledge(*run);
        }
        Ok(())
    }
}

impl SourceLoop {
    /// Looks at all acknowledgements that were taken.
    ///
    /// Fails: with the first that cannot be tolerated, after it has looked at all.
    pub(super) async fn acknowledge_arrived(&mut self) -> Result<()> {
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut result = Ok(());
        for acknowledged in arrived.drain(..) {
            let this = self.acknowledge(acknowledged).await;
            result = result.and(this);
        }
        self.arrived = arrived;
        self.letters.send().await;
        result
    }

    /// Takes note of what Kafka answered for a batch.
    async fn acknowledge(&mut self, acknowledged: Acknowledged) -> Result<()> {
        self.unanswered.settle(&acknowledged, &self.tolerance)?;
        if self.wants_commit_record {
            self.commit_records(&acknowledged).await;
        }
        Ok(())
    }

    async fn commit_records(&mut self, acknowledged: &Acknowledged) {
        for (index, Token { stream, number }) in acknowledged.runs.tokens().enumerate() {
            let Some(record) = self.kept.remove(&(stream, number)) else {
                continue;
            };
            let metadata = acknowledged
                .result
                .as_ref()
                .ok()
                .map(|written| RecordMetadata {
                    topic: acknowledged.topic.clone().into(),
                    partition: acknowledged.partition,
                    offset: written.base_offset.map_or(-1, |base| base + index as i64),
                    timestamp: written.log_append_time_ms.or(record.timestamp),
                });
            self.commit_record(&record, metadata).await;
        }
    }

    pub(super) async fn commit_record(
        &mut self,
        record: &SourceRecord,
        metadata: Option<RecordMetadata>,
    ) {
        if let Err(error) = self.task.commit_record(record, metadata).await {
            warn!(%error, "the task's commit_record failed; the record itself is safe");
        }
    }
}
