//! What the end of a produce request means for each of its batches.
//!
//! Lives here: written, failed, sent again or split; which leaves sequence numbers in order.
//! Lives elsewhere: decoding the response (`sender`), the sequence rules (`sequence`).
//! Never here: I/O.
//! Source: `Sender.completeBatch` and `TransactionManager.canRetry` in apache/kafka, clients.

use tokio::time::Instant;

use super::batch::{BatchId, Body};
use super::ending::Written;
use super::messages::{Leader, Produced, ProducedBatch};
use super::state::State;
use crate::error::{ClientError, KafkaErrorCode};

/// What is known about a batch after its request.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Written(Written),
    Refused {
        code: KafkaErrorCode,
        message: Option<String>,
        /// Who leads now, if the broker told.
        leader: Option<Leader>,
    },
    /// No byte left this process.
    NotSent(ClientError),
    /// It may be in the log, or not.
    Lost(ClientError),
}

impl Outcome {
    /// Whether the batch may be in the log, by this outcome alone. When in doubt it may.
    fn may_be_written(&self) -> bool {
        use KafkaErrorCode as Code;
        match self {
            Outcome::Written(_) | Outcome::Lost(_) => true,
            Outcome::NotSent(_) => false,
            Outcome::Refused { code, .. } => !matches!(
                *code,
                Code::MESSAGE_TOO_LARGE
                    | Code::RECORD_LIST_TOO_LARGE
                    | Code::INVALID_RECORD
                    | Code::INVALID_TIMESTAMP
                    | Code::INVALID_TOPIC_EXCEPTION
                    | Code::TOPIC_AUTHORIZATION_FAILED
                    | Code::CLUSTER_AUTHORIZATION_FAILED
                    | Code::UNSUPPORTED_FOR_MESSAGE_FORMAT
                    | Code::UNSUPPORTED_COMPRESSION_TYPE
                    | Code::NOT_LEADER_OR_FOLLOWER
                    | Code::UNKNOWN_TOPIC_OR_PARTITION
                    | Code::NOT_ENOUGH_REPLICAS
                    | Code::OUT_OF_ORDER_SEQUENCE_NUMBER
                    | Code::INVALID_PRODUCER_EPOCH
            ),
        }
    }
}

/// What a refused or lost batch gets.
enum Verdict {
    Written(Written),
    Retry,
    Split,
    Fail(ClientError),
}

impl State {
    pub(super) fn on_produced(&mut self, produced: Produced, now: Instant) {
        let lost = produced
            .batches
            .iter()
            .any(|batch| matches!(batch.outcome, Outcome::Lost(_) | Outcome::NotSent(_)));
        self.on_request_end(&produced, lost, now);
        for batch in produced.batches {
            self.on_batch_end(batch, produced.broker, now);
        }
    }

    fn on_batch_end(&mut self, produced: ProducedBatch, broker: i32, now: Instant) {
        let ProducedBatch {
            id,
            bytes,
            producer,
            outcome,
        } = produced;
        let index = self.batches[id].partition;
        self.partitions[index as usize].take_from_wire(id);
        if let Outcome::Refused {
            leader: Some(leader),
            ..
        } = &outcome
        {
            self.learn_leader(index, *leader);
        }
        let batch = &mut self.batches[id];
        batch.body = Body::Sealed(bytes, producer);
        batch.maybe_written |= outcome.may_be_written();
        let never_written = !batch.maybe_written;
        match self.verdict(id, &outcome) {
            Verdict::Written(written) => self.complete(id, written),
            // The caller has been told that it failed; do not write it after all.
            Verdict::Retry | Verdict::Split if self.batches[id].expired => {
                self.end_failed(id, never_written);
            }
            Verdict::Retry => self.retry(id, &outcome, broker, now),
            Verdict::Split => {
                self.forget_ratio(index);
                if let Body::Sealed(bytes, _) =
                    std::mem::replace(&mut self.batches[id].body, Body::Lent)
                {
                    self.to_split.push((id, bytes));
                }
                self.partitions[index as usize].requeue(&self.batches, id);
            }
            Verdict::Fail(error) => {
                if !self.batches[id].expired {
                    let error = self.in_context(id, error);
                    self.acknowledge(id, Err(error));
                }
                self.end_failed(id, never_written);
            }
        }
    }

    fn verdict(&mut self, id: BatchId, outcome: &Outcome) -> Verdict {
        use KafkaErrorCode as Code;
        let batch = &self.batches[id];
        let exhausted = batch.attempts > self.config.retries;
        match outcome {
            Outcome::Written(written) => Verdict::Written(*written),
            Outcome::NotSent(error) | Outcome::Lost(error) => {
                if error.is_retriable() && !exhausted {
                    Verdict::Retry
                } else {
                    Verdict::Fail(error.clone())
                }
            }
            // It is in the log; the broker only forgot where.
            Outcome::Refused {
                code: Code::DUPLICATE_SEQUENCE_NUMBER,
                ..
            } => Verdict::Written(Written {
                base_offset: None,
                log_append_time_ms: None,
            }),
            Outcome::Refused {
                code: Code::MESSAGE_TOO_LARGE,
                ..
            } if batch.records > 1 => Verdict::Split,
            Outcome::Refused { code, message, .. } => {
                if !exhausted && (self.settles_sequence(id, *code) || code.is_retriable()) {
                    Verdict::Retry
                } else {
                    Verdict::Fail(ClientError::from_code_and_message(
                        *code,
                        message.as_deref(),
                    ))
                }
            }
        }
    }

    /// Whether an error is about the order of an idempotent producer, which a retry settles.
    fn settles_sequence(&mut self, id: BatchId, code: KafkaErrorCode) -> bool {
        use KafkaErrorCode as Code;
        let batch = &self.batches[id];
        let partition = &mut self.partitions[batch.partition as usize];
        let Some(producer) = batch.producer else {
            return false;
        };
        let is_first = !partition.has_unanswered_before(&self.batches, producer.base_sequence);
        let Some(sequences) = &mut partition.sequences else {
            return false;
        };
        match code {
            Code::OUT_OF_ORDER_SEQUENCE_NUMBER => {
                sequences.out_of_order(producer.base_sequence, is_first);
                true
            }
            Code::UNKNOWN_PRODUCER_ID
            | Code::INVALID_PRODUCER_EPOCH
            | Code::INVALID_PRODUCER_ID_MAPPING => {
                sequences.forgotten();
                true
            }
            _ => false,
        }
    }

    fn complete(&mut self, id: BatchId, written: Written) {
        let batch = &self.batches[id];
        let end = batch.end_sequence();
        if let (Some(end), Some(sequences)) = (
            end,
            &mut self.partitions[batch.partition as usize].sequences,
        ) {
            sequences.acknowledged(end);
        }
        if !batch.expired {
            self.acknowledge(id, Ok(written));
        }
        self.forget(id);
    }

    fn retry(&mut self, id: BatchId, outcome: &Outcome, broker: i32, now: Instant) {
        let refresh = match outcome {
            Outcome::Refused { code, .. } => code.needs_metadata_refresh(),
            Outcome::Lost(_) | Outcome::NotSent(_) => true,
            Outcome::Written(_) => false,
        };
        let index = self.batches[id].partition;
        let partition = &mut self.partitions[index as usize];
        // Another broker leads by now: there is nothing to ask and nothing to wait for.
        let redirected = refresh && partition.leader.is_some_and(|leader| leader != broker);
        self.wants_metadata |= refresh && !redirected;
        let batch = &mut self.batches[id];
        batch.retry_at = (!redirected)
            .then(|| now + self.config.backoff.delay(batch.attempts.saturating_sub(1)));
        partition.requeue(&self.batches, id);
    }

    /// The end of a batch that was on the wire and is not in the log, as far as anybody knows.
    fn end_failed(&mut self, id: BatchId, never_written: bool) {
        let batch = &self.batches[id];
        let (base, end) = (
            batch.producer.map(|producer| producer.base_sequence),
            batch.end_sequence(),
        );
        let sequences = &mut self.partitions[batch.partition as usize].sequences;
        if let (Some(base), Some(end), Some(sequences)) = (base, end, sequences) {
            sequences.failed(base, end, never_written);
        }
        self.forget(id);
    }

    fn in_context(&self, id: BatchId, error: ClientError) -> ClientError {
        let partition = &self.partitions[self.batches[id].partition as usize];
        error.with_topic_partition(
            &self.topics[partition.topic as usize].name,
            partition.number,
        )
    }
}
