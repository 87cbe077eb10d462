//! What the answers of brokers do to the consumer.
//!
//! Lives here: taking in fetches, committed offsets, resets, ends of epochs and metadata.
//! Lives elsewhere: what an answer means for one partition (`super::partition`), when questions
//! are asked (`super::poll`).

use std::collections::HashMap;

use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::fetch::{Asked, Fetched, PartitionAnswer};
use super::lookup::{EpochEnd, Found, PerPartition};
use super::partition::{Outcome, Position, ResetTo, Stage};
use super::poll::{Done, Question};
use super::{Consumer, OffsetAndMetadata, TopicPartition};
use crate::error::{ClientError, ErrorKind, KafkaErrorCode as Code};

impl Consumer {
    pub(super) fn apply(&mut self, done: Result<Done, JoinError>) {
        self.stale = true;
        match done {
            Ok(Done::Fetched(fetched)) => self.on_fetched(fetched),
            Ok(Done::Committed(asked, answer)) => self.on_committed(asked, answer),
            Ok(Done::Offsets(asked, answer)) => {
                let policy_end = |found: Option<Found>| found.map(|found| found.position);
                self.on_answers(&asked, answer, |consumer, tp, found| {
                    consumer.on_offset(tp, policy_end(found))
                });
            }
            Ok(Done::EpochEnds(asked, answer)) => {
                self.on_answers(&asked, answer, |consumer, tp, end| {
                    consumer.on_epoch_end(tp, end)
                });
            }
            Ok(Done::AllTopics(answer)) => self.on_all_topics(answer),
            Ok(Done::Elected(election)) => self.on_elected(election),
            Err(error) if error.is_panic() => {
                self.error = Some(ClientError::fatal(format!(
                    "a task of the consumer panicked: {error}"
                )));
            }
            Err(_) => {}
        }
    }

    fn backoff_until(&self) -> Instant {
        Instant::now() + self.client.retry_backoff().delay(0)
    }

    fn on_fetched(&mut self, fetched: Fetched) {
        let Fetched {
            broker,
            asked,
            answer,
            decompressor,
        } = fetched;
        self.decompressors.push(decompressor);
        let fetches = self.brokers.entry(broker).or_default();
        fetches.under_way = false;
        for Asked { tp, .. } in &asked {
            if let Some(partition) = self.partitions.get_mut(tp)
                && partition.fetching == Some(broker)
            {
                partition.fetching = None;
            }
        }
        match answer {
            Ok(answer) => {
                fetches.session.answered(answer.session_id);
                for (index, answer) in answer.partitions {
                    self.on_partition(&asked[index], answer);
                }
            }
            Err(error) => {
                fetches.session.failed(error.code());
                self.on_fetch_failed(broker, &asked, error);
            }
        }
    }

    fn on_fetch_failed(&mut self, broker: i32, asked: &[Asked], error: ClientError) {
        if matches!(
            error.code(),
            Some(Code::FETCH_SESSION_ID_NOT_FOUND | Code::INVALID_FETCH_SESSION_EPOCH)
        ) {
            debug!(broker, %error, "the broker lost the fetch session, starting another one");
            return;
        }
        if !error.is_retriable() {
            self.error = Some(error);
            return;
        }
        warn!(broker, %error, "a fetch failed, trying again");
        self.client.request_metadata_refresh();
        let until = self.backoff_until();
        for Asked { tp, .. } in asked {
            if let Some(partition) = self.partitions.get_mut(tp) {
                partition.clear_preferred();
                partition.retry_at = Some(until);
            }
        }
    }

    fn on_partition(&mut self, asked: &Asked, answer: PartitionAnswer) {
        let (until, version, policy) = (self.backoff_until(), self.version(), self.policy());
        let Some(partition) = self.partitions.get_mut(&asked.tp) else {
            return;
        };
        if partition.version != asked.version || partition.fetch_from() != Some(asked.from) {
            return;
        }
        if let Some(code) = answer.error {
            let first = partition.retry_at.is_none();
            let outcome = partition.on_fetch_error(code, asked.from, until, version, policy);
            let (partition, offset) = (&asked.tp, asked.from.offset);
            if first && outcome == Outcome::Refresh {
                warn!(%partition, offset, error = %code, "a partition cannot be fetched at the moment, trying again");
            } else {
                debug!(%partition, offset, error = %code, "a partition could not be fetched");
            }
            self.settle(&asked.tp, outcome);
            return;
        }
        let known = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
        partition.retry_at = None;
        partition.high_watermark = known(answer.high_watermark).or(partition.high_watermark);
        partition.last_stable_offset =
            known(answer.last_stable_offset).or(partition.last_stable_offset);
        partition.log_start_offset = known(answer.log_start_offset).or(partition.log_start_offset);
        if let Some(replica) = answer.preferred_replica {
            partition.prefer(
                replica,
                Instant::now() + self.client.settings().metadata_max_age,
            );
        }
        let Some(chunk) = answer.chunk else { return };
        if chunk.end() == asked.from && !chunk.has_error() {
            partition.fail(
                ClientError::fatal(
                    "the broker answered with less than one record batch; max.partition.fetch.bytes may be too small \
                     for this broker",
                )
                .with("offset", asked.from.offset),
            );
            self.failed.push(asked.tp.clone());
            return;
        }
        self.buffered += chunk.bytes();
        partition.push(chunk);
        self.ready.push_back(asked.tp.clone());
    }

    /// Does what an answer left to do outside of its partition.
    fn settle(&mut self, tp: &TopicPartition, outcome: Outcome) {
        match outcome {
            Outcome::Done => {}
            Outcome::Refresh => self.client.request_metadata_refresh(),
            Outcome::Moved(why) => {
                warn!(partition = %tp, "{why}");
                self.recount();
            }
        }
        let Some(partition) = self.partitions.get(tp) else {
            return;
        };
        if partition.failed.is_some() {
            self.failed.push(tp.clone());
        } else if partition.stage == Stage::Fetch && !partition.chunks.is_empty() {
            self.requeue(tp);
        }
    }

    /// After chunks were dropped.
    fn recount(&mut self) {
        self.buffered = self
            .partitions
            .values()
            .map(super::consumer::buffered)
            .sum();
    }

    /// The partitions of `asked` that nobody moved since.
    fn still_asked(&mut self, asked: &[Question]) -> HashMap<TopicPartition, u64> {
        let mut still = HashMap::new();
        for (tp, version) in asked {
            if let Some(partition) = self.partitions.get_mut(tp)
                && partition.version == *version
            {
                partition.looking_up = false;
                still.insert(tp.clone(), *version);
            }
        }
        still
    }

    /// A lookup failed for these; retriable errors are tried again, others are for the user.
    fn on_lookup_failed<'a>(
        &mut self,
        partitions: impl Iterator<Item = &'a TopicPartition>,
        error: &ClientError,
    ) {
        let until = self.backoff_until();
        let retry = error.is_retriable()
            || matches!(
                error.code(),
                Some(Code::FENCED_LEADER_EPOCH | Code::UNKNOWN_LEADER_EPOCH)
            );
        if retry {
            debug!(%error, "an offset lookup failed, trying again");
            self.client.request_metadata_refresh();
        }
        for tp in partitions {
            let Some(partition) = self.partitions.get_mut(tp) else {
                continue;
            };
            if retry {
                partition.retry_at = Some(until);
            } else if error.kind() == ErrorKind::Unsupported && partition.stage == Stage::Validate {
                // A broker that cannot tell leaves it unchecked, as in Java.
                partition.stage = Stage::Fetch;
            } else {
                partition.failed = Some(match error.context("partition") {
                    Some(_) => error.clone(),
                    None => error.clone().with_topic_partition(&tp.topic, tp.partition),
                });
                self.failed.push(tp.clone());
            }
        }
    }

    fn on_committed(
        &mut self,
        asked: Vec<Question>,
        answer: Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    ) {
        let still = self.still_asked(&asked);
        let committed = match answer {
            Ok(committed) => committed,
            Err(error) => return self.on_lookup_failed(still.keys(), &error),
        };
        let policy = self.policy();
        for tp in still.keys() {
            let version = self.version();
            let Some(partition) = self.partitions.get_mut(tp) else {
                continue;
            };
            partition.on_committed(committed.get(tp), version, policy);
            debug!(partition = %tp, committed = ?committed.get(tp).map(|offset| offset.offset), "found the committed offset");
            if partition.failed.is_some() {
                self.failed.push(tp.clone());
            }
        }
    }

    fn on_answers<T>(
        &mut self,
        asked: &[Question],
        answer: Result<PerPartition<T>, ClientError>,
        mut take: impl FnMut(&mut Self, &TopicPartition, T),
    ) {
        let still = self.still_asked(asked);
        match answer {
            Err(error) => self.on_lookup_failed(still.keys(), &error),
            Ok(answers) => {
                for (tp, answer) in answers.into_iter().filter(|(tp, _)| still.contains_key(tp)) {
                    match answer {
                        Ok(answer) => take(self, &tp, answer),
                        Err(error) => self.on_lookup_failed(std::iter::once(&tp), &error),
                    }
                }
            }
        }
    }

    fn on_offset(&mut self, tp: &TopicPartition, found: Option<Position>) {
        let version = self.version();
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        match found {
            Some(position) => {
                partition.on_reset(position, version);
                debug!(partition = %tp, offset = position.offset, "position reset");
            }
            // No record is as new as the time that was asked for: the next ones will be.
            None => partition.reset(ResetTo::Latest, version),
        }
    }

    fn on_epoch_end(&mut self, tp: &TopicPartition, end: EpochEnd) {
        let (version, policy) = (self.version(), self.policy());
        let Some(partition) = self.partitions.get_mut(tp) else {
            return;
        };
        let outcome = partition.on_epoch_end(end.epoch, end.end_offset, version, policy);
        self.settle(tp, outcome);
        self.recount();
    }

    /// Takes in a new snapshot of the metadata.
    pub(super) fn on_metadata(&mut self) {
        self.cluster = self.metadata.borrow_and_update().clone();
        self.stale = true;
        self.match_pattern();
        let tps: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        let policy = self.policy();
        for tp in tps {
            let version = self.version();
            let Some(partition) = self.partitions.get_mut(&tp) else {
                continue;
            };
            let outcome = partition.update(&self.cluster, version, policy);
            if outcome != Outcome::Done || partition.failed.is_some() {
                self.settle(&tp, outcome);
            }
        }
        for topic in self.subscribed.topics() {
            if let Some(code @ (Code::TOPIC_AUTHORIZATION_FAILED | Code::INVALID_TOPIC_EXCEPTION)) =
                self.cluster.topic_error(&topic)
            {
                self.error = Some(ClientError::from_code(code).with("topic", topic));
            }
        }
        self.watch_group();
    }
}
