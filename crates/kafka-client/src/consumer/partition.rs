//! One assigned partition: where it is read from, and what has to happen before it can be.
//!
//! Lives here: the stages from "assigned" to "being fetched", and how answers of brokers move a
//! partition from one to another.
//! Lives elsewhere: asking brokers (`super::lookup`, `super::fetch`), the records (`super::records`).
//! Never here: I/O, a clock, a log line.
//! Source: `SubscriptionState`, `OffsetFetcherUtils` and `FetchCollector` in apache/kafka, clients.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::records::Chunk;
use super::{OffsetAndMetadata, TopicPartition};
use crate::error::{ClientError, KafkaErrorCode as Code};
use crate::metadata::{ClusterMetadata, TopicId};
use crate::settings::AutoOffsetReset;

/// The next record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub offset: i64,
    /// Leader epoch of the record before it, when known: how a truncated log is noticed.
    pub epoch: Option<i32>,
}

/// Where a reset goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResetTo {
    Earliest,
    Latest,
    /// The first record that is not older, in milliseconds since the epoch.
    Timestamp(i64),
}

/// What the partition waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The group's committed offset.
    Committed,
    Reset(ResetTo),
    /// Whether the log of a new leader still holds what was read.
    Validate,
    /// Nothing: it can be fetched.
    Fetch,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub tp: TopicPartition,
    /// Differs after every seek, reset and reassignment, so that answers to older questions are
    /// recognised.
    pub version: u64,
    pub stage: Stage,
    /// What is handed out next.
    position: Option<Position>,
    /// What is fetched next: behind the chunks.
    fetch_from: Option<Position>,
    pub paused: bool,
    pub chunks: VecDeque<Chunk>,
    /// The broker that a fetch of it is under way to.
    pub fetching: Option<i32>,
    pub looking_up: bool,
    /// Nothing is asked about it before.
    pub retry_at: Option<Instant>,
    /// A follower to fetch from, and until when.
    preferred: Option<(i32, Instant)>,
    leader: Option<(i32, i32)>,
    topic_id: TopicId,
    /// End of the log as consumers see it.
    pub high_watermark: Option<i64>,
    pub last_stable_offset: Option<i64>,
    pub log_start_offset: Option<i64>,
    /// What poll answers until somebody seeks.
    pub failed: Option<ClientError>,
}

/// What became of a partition after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Metadata looks out of date.
    Refresh,
    /// The position jumped; worth a warning.
    Moved(String),
}

impl Partition {
    pub(super) fn new(tp: TopicPartition, version: u64, stage: Stage) -> Self {
        Self {
            tp,
            version,
            stage,
            position: None,
            fetch_from: None,
            paused: false,
            chunks: VecDeque::new(),
            fetching: None,
            looking_up: false,
            retry_at: None,
            preferred: None,
            leader: None,
            topic_id: TopicId::default(),
            high_watermark: None,
            last_stable_offset: None,
            log_start_offset: None,
            failed: None,
        }
    }

    /// Known unless it waits for the committed offset or a reset.
    pub(super) fn position(&self) -> Option<Position> {
        match self.stage {
            Stage::Committed | Stage::Reset(_) => None,
            Stage::Validate | Stage::Fetch => self.position,
        }
    }

    pub(super) fn fetch_from(&self) -> Option<Position> {
        self.fetch_from
    }

    /// Forgets all that was read ahead; reading goes on at `position`.
    pub(super) fn seek(&mut self, position: Position, version: u64) {
        self.version = version;
        self.position = Some(position);
        self.fetch_from = Some(position);
        self.chunks.clear();
        self.failed = None;
        self.looking_up = false;
        self.retry_at = None;
        self.stage = self.checked(position);
    }

    /// Forgets where it was; a lookup finds the new position.
    pub(super) fn reset(&mut self, to: ResetTo, version: u64) {
        self.version = version;
        self.position = None;
        self.fetch_from = None;
        self.chunks.clear();
        self.failed = None;
        self.looking_up = false;
        self.retry_at = None;
        self.stage = Stage::Reset(to);
    }

    /// `stage` for a position that somebody else determined: with an epoch the leader is asked first.
    fn checked(&self, position: Position) -> Stage {
        let current = self.leader.is_some_and(|(_, epoch)| epoch >= 0);
        match position.epoch {
            Some(_) if current => Stage::Validate,
            _ => Stage::Fetch,
        }
    }

    /// Follows the metadata. The answer is a warning when the topic is another one than before.
    pub(super) fn update(
        &mut self,
        metadata: &ClusterMetadata,
        version: u64,
        policy: Policy,
    ) -> Outcome {
        let Some(topic) = metadata.topic(&self.tp.topic) else {
            return Outcome::Done;
        };
        let known = std::mem::replace(&mut self.topic_id, topic.id);
        let leader = metadata.leader(&self.tp.topic, self.tp.partition);
        if known != TopicId::default() && topic.id != TopicId::default() && known != topic.id {
            self.leader = leader;
            self.preferred = None;
            return self.on_recreated(version, policy);
        }
        let Some((id, epoch)) = leader else {
            return Outcome::Done;
        };
        if self.leader == leader {
            return Outcome::Done;
        }
        let newer = self.leader.is_none_or(|(_, known)| epoch > known);
        self.leader = Some((id, epoch));
        self.preferred = None;
        self.retry_at = None;
        if newer
            && epoch >= 0
            && self.stage == Stage::Fetch
            && self.position.is_some_and(|p| p.epoch.is_some())
        {
            self.stage = Stage::Validate;
        }
        Outcome::Done
    }

    /// An offset of a deleted topic means nothing in the one that took its name. (Java goes on at
    /// the same number and so skips what the new topic holds before it.)
    fn on_recreated(&mut self, version: u64, policy: Policy) -> Outcome {
        let Some(position) = self.position else {
            return Outcome::Done;
        };
        let offset = position.offset;
        match policy.reset() {
            Some(to) => {
                self.reset(to, version);
                Outcome::Moved(format!(
                    "the topic was deleted and created again, offset {offset} is reset"
                ))
            }
            None => {
                let error = ClientError::fatal(
                    "the topic was deleted and created again, so the position has no meaning any more; \
                     auto.offset.reset is none, so somebody has to decide where to go on",
                );
                self.fail(error.with("offset", offset));
                Outcome::Done
            }
        }
    }

    /// The broker to fetch from, and the leader epoch to name.
    pub(super) fn read_replica(
        &mut self,
        metadata: &ClusterMetadata,
        now: Instant,
    ) -> Option<(i32, i32)> {
        let (leader, epoch) = self.leader?;
        if let Some((replica, until)) = self.preferred {
            if now < until && metadata.broker(replica).is_some() {
                return Some((replica, epoch));
            }
            self.preferred = None;
        }
        Some((leader, epoch))
    }

    pub(super) fn prefer(&mut self, replica: i32, until: Instant) {
        self.preferred = Some((replica, until));
    }

    /// Whether there was one.
    pub(super) fn clear_preferred(&mut self) -> bool {
        self.preferred.take().is_some()
    }

    /// The broker that leads it, and the epoch of its leadership, -1 when unknown.
    pub(super) fn leader(&self) -> Option<(i32, i32)> {
        self.leader
    }

    /// Whether a fetch may name it: at most one chunk waits while the next one comes.
    pub(super) fn is_fetchable(&self, now: Instant) -> bool {
        self.stage == Stage::Fetch
            && !self.paused
            && self.fetching.is_none()
            && self.chunks.len() < 2
            && self.failed.is_none()
            && !self.chunks.back().is_some_and(Chunk::has_error)
            && self.fetch_from.is_some()
            && self.retry_at.is_none_or(|at| now >= at)
    }

    /// Whether a lookup is due.
    pub(super) fn wants_lookup(&self, now: Instant) -> bool {
        self.stage != Stage::Fetch
            && !self.looking_up
            && self.failed.is_none()
            && self.retry_at.is_none_or(|at| now >= at)
    }

    /// Takes in what a fetch from `fetch_from` brought.
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.fetch_from = Some(chunk.end());
        self.chunks.push_back(chunk);
    }

    /// Records up to here were handed out.
    pub(super) fn advance(&mut self, behind: Position) {
        self.position = Some(behind);
    }

    pub(super) fn fail(&mut self, error: ClientError) {
        self.failed = Some(error.with_topic_partition(&self.tp.topic, self.tp.partition));
    }

    /// The group's offset, `None` when it has none.
    pub(super) fn on_committed(
        &mut self,
        committed: Option<&OffsetAndMetadata>,
        version: u64,
        policy: Policy,
    ) {
        match (committed, policy.reset()) {
            (Some(committed), _) => {
                self.seek(
                    Position {
                        offset: committed.offset,
                        epoch: committed.leader_epoch,
                    },
                    version,
                );
            }
            (None, Some(to)) => self.reset(to, version),
            (None, None) => self.fail(ClientError::fatal(
                "the group has no committed offset for the partition and auto.offset.reset is none",
            )),
        }
    }

    /// The offset that a reset looked for.
    pub(super) fn on_reset(&mut self, found: Position, version: u64) {
        self.seek(found, version);
        // The leader itself gave it out.
        self.stage = Stage::Fetch;
    }

    /// Where the epoch of the last record ends in the leader's log; -1 when it does not know.
    pub(super) fn on_epoch_end(
        &mut self,
        epoch: i32,
        end_offset: i64,
        version: u64,
        policy: Policy,
    ) -> Outcome {
        let Some(position) = self.position else {
            return Outcome::Done;
        };
        let unknown = epoch < 0 || end_offset < 0;
        if !unknown && end_offset >= position.offset {
            self.stage = Stage::Fetch;
            if self
                .fetch_from
                .is_some_and(|ahead| end_offset < ahead.offset)
            {
                // What was read ahead is not in the new leader's log.
                self.version = version;
                self.chunks.clear();
                self.fetch_from = self.position;
            }
            return Outcome::Done;
        }
        let offset = position.offset;
        match (policy.reset(), unknown) {
            (Some(_), false) => {
                let found = Position {
                    offset: end_offset,
                    epoch: Some(epoch),
                };
                self.seek(found, version);
                self.stage = Stage::Fetch;
                Outcome::Moved(format!(
                    "the log was truncated: offset {offset} is gone, going on at {end_offset}, the first that may differ"
                ))
            }
            (Some(to), true) => {
                self.reset(to, version);
                Outcome::Moved(format!(
                    "the log was truncated: offset {offset} is gone, resetting"
                ))
            }
            (None, _) => {
                let mut error = ClientError::fatal(
                    "the log was truncated behind the position (unclean leader election) and auto.offset.reset \
                     is none, so somebody has to decide where to go on",
                )
                .with("offset", offset);
                if !unknown {
                    error = error.with("first_divergent_offset", end_offset);
                }
                self.fail(error);
                Outcome::Done
            }
        }
    }

    /// A fetch of this partition from `asked` was answered with an error. `backoff_until` holds
    /// further questions back.
    pub(super) fn on_fetch_error(
        &mut self,
        code: Code,
        asked: Position,
        backoff_until: Instant,
        version: u64,
        policy: Policy,
    ) -> Outcome {
        match code {
            Code::OFFSET_OUT_OF_RANGE => {
                if self.clear_preferred() {
                    // The follower may lag behind; ask the leader.
                    return Outcome::Done;
                }
                if self.chunks.is_empty() {
                    return self.on_out_of_range(asked, version, policy);
                }
                // What was read before is still good; the leader tells again afterwards.
                self.retry_at = Some(backoff_until);
                Outcome::Done
            }
            Code::NOT_LEADER_OR_FOLLOWER
            | Code::REPLICA_NOT_AVAILABLE
            | Code::KAFKA_STORAGE_ERROR
            | Code::FENCED_LEADER_EPOCH
            | Code::OFFSET_NOT_AVAILABLE
            | Code::UNKNOWN_TOPIC_OR_PARTITION
            | Code::UNKNOWN_TOPIC_ID
            | Code::INCONSISTENT_TOPIC_ID
            | Code::UNKNOWN_LEADER_EPOCH
            | Code::UNKNOWN_SERVER_ERROR => {
                self.clear_preferred();
                self.retry_at = Some(backoff_until);
                Outcome::Refresh
            }
            Code::CORRUPT_MESSAGE => {
                let error = ClientError::from_code(code).with("offset", asked.offset);
                self.fail(error);
                Outcome::Done
            }
            code => {
                self.clear_preferred();
                if code.is_retriable() {
                    self.retry_at = Some(backoff_until);
                    return Outcome::Refresh;
                }
                self.fail(ClientError::from_code(code).with("offset", asked.offset));
                Outcome::Done
            }
        }
    }

    fn on_out_of_range(&mut self, asked: Position, version: u64, policy: Policy) -> Outcome {
        match policy.reset() {
            Some(to) => {
                self.reset(to, version);
                Outcome::Moved(format!(
                    "offset {} is out of range, resetting",
                    asked.offset
                ))
            }
            None => {
                let mut error =
                    ClientError::from_code(Code::OFFSET_OUT_OF_RANGE).with("offset", asked.offset);
                // As of the last fetch that was answered with data.
                if let (Some(start), Some(end)) = (self.log_start_offset, self.high_watermark) {
                    error = error.with("log_start", start).with("log_end", end);
                }
                self.fail(error.with("auto.offset.reset", "none"));
                Outcome::Done
            }
        }
    }
}

/// `auto.offset.reset`, with the time of the question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub reset: AutoOffsetReset,
    /// Wall clock, milliseconds since the epoch.
    pub now_ms: i64,
}

impl Policy {
    fn reset(self) -> Option<ResetTo> {
        match self.reset {
            AutoOffsetReset::Earliest => Some(ResetTo::Earliest),
            AutoOffsetReset::Latest => Some(ResetTo::Latest),
            AutoOffsetReset::None => None,
            AutoOffsetReset::ByDuration(duration) => {
                let age_ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                Some(ResetTo::Timestamp(
                    self.now_ms.saturating_sub(age_ms).max(0),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
