//! The consumer's loop: hand out, fetch, look up, and wait for whatever comes first.
//!
//! Lives here: [`Consumer::poll`], what is handed out and what is asked for.
//! Lives elsewhere: rebalances (`super::rebalance`), what answers do (`super::answers`).
//!
//! Everything under way is a task in `under_way`; its answer is applied when the user polls. A poll
//! that is dropped loses nothing.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::fetch::{self, Asked, Fetch, Fetched};
use super::lookup::{self, EpochEnd, Found, PerPartition};
use super::partition::{ResetTo, Stage};
use super::rebalance::Election;
use super::records::{Handout, PartitionRecords};
use super::session::Wanted;
use super::{Consumer, OffsetAndMetadata, Polled, TopicPartition};
use crate::error::ClientError;
use crate::group::MembershipHandle;

/// A partition that was asked about, and its version then.
pub(super) type Question = (TopicPartition, u64);

/// What a task brought.
pub(super) enum Done {
    Fetched(Fetched),
    Committed(
        Vec<Question>,
        Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    ),
    Offsets(
        Vec<Question>,
        Result<PerPartition<Option<Found>>, ClientError>,
    ),
    EpochEnds(Vec<Question>, Result<PerPartition<EpochEnd>, ClientError>),
    /// Every topic of the cluster is known, for a subscription by pattern.
    AllTopics(Result<(), ClientError>),
    Elected(Election),
}

/// Tells the membership that its user is there, as long as it lives.
struct Alive(Option<MembershipHandle>);

impl Alive {
    fn new(member: Option<MembershipHandle>) -> Self {
        if let Some(member) = &member {
            member.entered_poll();
        }
        Self(member)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(member) = &self.0 {
            member.left_poll();
        }
    }
}

impl Consumer {
    /// Waits for records or a rebalance, at most for `timeout`. See [`Polled`].
    ///
    /// Errors are those that somebody has to do something about: no permission, no offset to start
    /// at, an unreadable batch, a fenced member. The same error comes back until it is resolved,
    /// by a seek for example. What may pass is tried again without a word.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Polled, ClientError> {
        let _alive = Alive::new(self.group.as_ref().map(|group| group.handle()));
        let deadline = Instant::now() + timeout;
        self.retry_membership();
        loop {
            self.take_answers();
            if let Some(polled) = self.proceed_rebalance() {
                return Ok(polled);
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if let Some(error) = self.failure() {
                return Err(error);
            }
            let now = Instant::now();
            if self.stale {
                self.retry_at = None;
                self.look_up(now);
            }
            // Between "revoke" and "join" nothing is handed out that could not be committed.
            let mut advanced = false;
            if self.steps.is_empty() {
                let records = self.hand_out(&mut advanced);
                if self.stale {
                    self.fetch(now);
                }
                self.auto_commit(now);
                if !records.is_empty() {
                    return Ok(Polled::Records(records));
                }
            }
            if advanced || now >= deadline {
                return Ok(Polled::Nothing);
            }
            if self.failure().is_some() || self.error.is_some() {
                continue;
            }
            if self.wait(deadline).await {
                return Ok(Polled::Nothing);
            }
        }
    }

    /// Waits until something happens or it is time. Whether somebody woke it up.
    async fn wait(&mut self, deadline: Instant) -> bool {
        let mut until = deadline.min(self.retry_at.unwrap_or(deadline));
        let listening = self.steps.is_empty();
        if listening && self.settings.enable_auto_commit {
            until = until.min(self.next_auto_commit);
        }
        tokio::select! {
            Some(done) = self.under_way.join_next(), if !self.under_way.is_empty() => self.apply(done),
            Some(_) = self.commits.join_next(), if !self.commits.is_empty() => {}
            () = next_group_event(&mut self.group), if listening && self.group.is_some() => {}
            changed = self.metadata.changed() => {
                // The sender lives as long as our client.
                debug_assert!(changed.is_ok());
                self.on_metadata();
            }
            () = self.woken.notified() => return true,
            () = tokio::time::sleep_until(until) => self.stale |= until < deadline,
        }
        false
    }

    /// As [`Self::wait`], without rebalances: for positions that are needed in the middle of one.
    pub(super) async fn look_up_until(&mut self, deadline: Instant) {
        self.take_answers();
        // Set again below by whatever still has to wait; one that is over would never let this wait.
        // The next poll sees to the fetches that wait.
        self.retry_at = None;
        self.stale = true;
        self.look_up(Instant::now());
        let until = deadline.min(self.retry_at.unwrap_or(deadline));
        tokio::select! {
            Some(done) = self.under_way.join_next(), if !self.under_way.is_empty() => self.apply(done),
            _ = self.metadata.changed() => self.on_metadata(),
            () = tokio::time::sleep_until(until) => {}
        }
    }

    fn take_answers(&mut self) {
        if self.metadata.has_changed().unwrap_or(false) {
            self.on_metadata();
        }
        while let Some(done) = self.under_way.try_join_next() {
            self.apply(done);
        }
        while self.commits.try_join_next().is_some() {}
    }

    /// Why a partition cannot be read on.
    fn failure(&mut self) -> Option<ClientError> {
        while let Some(tp) = self.failed.first() {
            match self
                .partitions
                .get(tp)
                .and_then(|partition| partition.failed.clone())
            {
                Some(error) => return Some(error),
                None => _ = self.failed.remove(0),
            }
        }
        None
    }

    /// At most `max.poll.records`, of the oldest chunks first.
    fn hand_out(&mut self, advanced: &mut bool) -> Vec<PartitionRecords> {
        let mut left = self.settings.max_poll_records;
        let mut records = Vec::new();
        let mut current: Option<(TopicPartition, Handout)> = None;
        while left > 0
            && let Some(tp) = self.ready.front()
        {
            let partition = self.partitions.get_mut(tp);
            let Some(partition) =
                partition.filter(|p| !p.paused && p.stage == Stage::Fetch && !p.chunks.is_empty())
            else {
                // Gone, or put back by `requeue` when it can be handed out again.
                self.ready.pop_front();
                continue;
            };
            if current.as_ref().is_none_or(|(known, _)| known != tp) {
                let finished = current.replace((tp.clone(), Handout::new(tp)));
                records.extend(finished.and_then(|(_, handout)| handout.finish()));
            }
            let (_, handout) = current.as_mut().expect("set above");
            let chunk = partition.chunks.front_mut().expect("it has chunks");
            let before = chunk.bytes();
            let taken = handout.take(chunk, left);
            self.buffered -= before - chunk.bytes();
            let drained = chunk.is_drained();
            let error = match taken {
                Ok((count, behind)) => {
                    left -= count;
                    partition.advance(behind);
                    *advanced = true;
                    None
                }
                Err(error) => Some(error),
            };
            if error.is_some() || drained {
                let chunk = partition.chunks.pop_front().expect("it has chunks");
                self.buffered -= chunk.bytes();
                if let Some(error) = error.or(chunk.into_error()) {
                    partition.failed = Some(error);
                    self.failed.push(tp.clone());
                }
                self.ready.pop_front();
                self.stale = true;
            }
        }
        records.extend(current.and_then(|(_, handout)| handout.finish()));
        merge(records)
    }

    /// Asks every idle broker for what can be fetched from it.
    fn fetch(&mut self, now: Instant) {
        let budget = usize::try_from(self.settings.fetch_max_bytes).unwrap_or(usize::MAX);
        let Some(budget) = budget
            .checked_sub(self.buffered)
            .filter(|budget| *budget > 0)
        else {
            return;
        };
        self.stale = false;
        let mut plans: HashMap<i32, Vec<(TopicPartition, Wanted, Asked)>> = HashMap::new();
        let mut leaderless = false;
        for partition in self.partitions.values_mut() {
            if let Some(at) = partition.retry_at.filter(|at| now < *at) {
                self.retry_at = Some(self.retry_at.map_or(at, |known| known.min(at)));
            }
            if !partition.is_fetchable(now) {
                continue;
            }
            let Some((broker, leader_epoch)) = partition.read_replica(&self.cluster, now) else {
                leaderless = true;
                continue;
            };
            if self
                .brokers
                .get(&broker)
                .is_some_and(|fetches| fetches.under_way)
            {
                continue;
            }
            let from = partition.fetch_from().expect("it is fetchable");
            let wanted = Wanted {
                offset: from.offset,
                leader_epoch,
                max_bytes: self.settings.max_partition_fetch_bytes,
            };
            partition.fetching = Some(broker);
            let asked = Asked {
                tp: partition.tp.clone(),
                version: partition.version,
                from,
            };
            plans
                .entry(broker)
                .or_default()
                .push((partition.tp.clone(), wanted, asked));
        }
        if leaderless {
            self.ask_for_leaders(now);
        }
        for (broker, mut plan) in plans {
            plan.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let (wanted, asked): (Vec<_>, Vec<_>) = plan
                .into_iter()
                .map(|(tp, wanted, asked)| ((tp, wanted), asked))
                .unzip();
            let fetches = self.brokers.entry(broker).or_default();
            fetches.under_way = true;
            let fetch = Fetch {
                broker,
                asked,
                session: fetches.session.request(&wanted),
                max_bytes: i32::try_from(budget).unwrap_or(i32::MAX),
                decompressor: self.decompressors.pop().unwrap_or_else(fetch::decompressor),
            };
            let (client, options) = (self.client.clone(), self.options.clone());
            self.under_way
                .spawn(async move { Done::Fetched(fetch::run(client, options, fetch).await) });
        }
    }

    /// Partitions without a leader wait for the metadata; it is asked for once per back-off.
    fn ask_for_leaders(&mut self, now: Instant) {
        self.client.request_metadata_refresh();
        let again = now + self.client.retry_backoff().delay(3);
        self.retry_at = Some(self.retry_at.map_or(again, |known| known.min(again)));
    }

    /// Asks for committed offsets, resets and the ends of epochs, wherever one is needed.
    fn look_up(&mut self, now: Instant) {
        let mut committed = Vec::new();
        let mut resets: HashMap<i32, Vec<(TopicPartition, ResetTo, i32, u64)>> = HashMap::new();
        let mut epochs: HashMap<i32, Vec<(TopicPartition, i32, i32, u64)>> = HashMap::new();
        let mut leaderless = false;
        for partition in self.partitions.values_mut() {
            if !partition.wants_lookup(now) {
                if let Some(at) = partition.retry_at.filter(|at| now < *at) {
                    self.retry_at = Some(self.retry_at.map_or(at, |known| known.min(at)));
                }
                continue;
            }
            let (tp, version) = (partition.tp.clone(), partition.version);
            match (partition.stage, partition.leader()) {
                (Stage::Fetch, _) => continue,
                (Stage::Committed, _) => committed.push((tp, version)),
                (_, None) => {
                    leaderless = true;
                    continue;
                }
                (Stage::Reset(to), Some((leader, epoch))) => {
                    resets
                        .entry(leader)
                        .or_default()
                        .push((tp, to, epoch, version));
                }
                (Stage::Validate, Some((leader, current))) => {
                    match partition.position().and_then(|position| position.epoch) {
                        Some(epoch) => epochs
                            .entry(leader)
                            .or_default()
                            .push((tp, current, epoch, version)),
                        None => {
                            partition.stage = Stage::Fetch;
                            continue;
                        }
                    }
                }
            }
            partition.looking_up = true;
        }
        if leaderless {
            self.ask_for_leaders(now);
        }
        if let (false, Some(group)) = (committed.is_empty(), self.group_offsets.clone()) {
            let asked: Vec<TopicPartition> = committed.iter().map(|(tp, _)| tp.clone()).collect();
            let work = async move {
                let answer = group.committed(&asked).await;
                Done::Committed(committed, answer)
            };
            self.under_way.spawn_on(work, &self.control);
        }
        for (leader, asked) in resets {
            let (client, isolation) = (self.client.clone(), self.settings.isolation_level);
            let questions = asked
                .iter()
                .map(|(tp, _, _, version)| (tp.clone(), *version))
                .collect();
            let asked = asked
                .into_iter()
                .map(|(tp, to, epoch, _)| (tp, to, epoch))
                .collect();
            let work = async move {
                Done::Offsets(
                    questions,
                    lookup::list_offsets(&client, leader, isolation, asked).await,
                )
            };
            self.under_way.spawn_on(work, &self.control);
        }
        for (leader, asked) in epochs {
            let client = self.client.clone();
            let questions = asked
                .iter()
                .map(|(tp, _, _, version)| (tp.clone(), *version))
                .collect();
            let asked = asked
                .into_iter()
                .map(|(tp, current, epoch, _)| (tp, current, epoch))
                .collect();
            let work = async move {
                Done::EpochEnds(questions, lookup::epoch_ends(&client, leader, asked).await)
            };
            self.under_way.spawn_on(work, &self.control);
        }
    }

    fn auto_commit(&mut self, now: Instant) {
        if !self.settings.enable_auto_commit || now < self.next_auto_commit {
            return;
        }
        self.next_auto_commit = now + self.settings.auto_commit_interval;
        self.commit_consumed();
    }

    /// Commits what was handed out, and does not wait for it.
    pub(super) fn commit_consumed(&mut self) {
        let offsets = self.consumed();
        if offsets.is_empty() || self.group_offsets.is_none() {
            return;
        }
        let pending = self.commit_async(offsets);
        let group = self.settings.group_id.clone();
        self.commits.spawn_on(
            async move {
                if let Err(error) = pending.await {
                    warn!(group, %error, "automatic offset commit failed, the next one covers it");
                }
            },
            &self.control,
        );
    }
}

async fn next_group_event(group: &mut Option<super::rebalance::GroupSide>) {
    match group {
        Some(group) => group.wait().await,
        None => std::future::pending().await,
    }
}

/// One entry per partition: chunks of one partition are not always neighbours.
fn merge(records: Vec<PartitionRecords>) -> Vec<PartitionRecords> {
    let mut merged: Vec<PartitionRecords> = Vec::with_capacity(records.len());
    for records in records {
        let known = merged
            .iter_mut()
            .find(|known| known.partition == records.partition && known.topic == records.topic);
        match known {
            Some(known) => known.append(records),
            None => merged.push(records),
        }
    }
    merged
}
