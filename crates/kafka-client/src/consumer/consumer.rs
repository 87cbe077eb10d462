//! The consumer: what it is told by its user.
//!
//! Lives here: the type, construction, subscription and manual assignment, seeking and pausing,
//! closing.
//! Lives elsewhere: `poll`, `rebalance`, `offsets` beside this file.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_wire::Decompressor;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fetch::{self, FetchOptions};
use super::lookup::GroupOffsets;
use super::partition::{Partition, Policy, Position, ResetTo, Stage};
use super::poll::Done;
use super::rebalance::{GroupSide, Step};
use super::session::FetchSession;
use super::{OffsetAndMetadata, TopicPartition};
use crate::client::Client;
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;
use crate::settings::ConsumerSettings;

/// Reads topics, alone or as a member of a group. See the module for how it works.
///
/// One task owns it and calls it. Fetches run on the runtime that polls; everything that must go
/// on while that one is busy (heartbeats, commits, metadata) runs on the `control` runtime.
pub struct Consumer {
    pub(super) client: Client,
    pub(super) settings: Arc<ConsumerSettings>,
    pub(super) options: FetchOptions,
    pub(super) control: Handle,
    pub(super) subscribed: Subscribed,
    pub(super) partitions: HashMap<TopicPartition, Partition>,
    next_version: u64,
    pub(super) metadata: watch::Receiver<Arc<ClusterMetadata>>,
    pub(super) cluster: Arc<ClusterMetadata>,
    /// Topics that the client keeps in its metadata for us.
    tracked: BTreeSet<String>,
    pub(super) group: Option<GroupSide>,
    pub(super) group_offsets: Option<GroupOffsets>,
    /// What is left to do of a rebalance.
    pub(super) steps: VecDeque<Step>,
    pub(super) brokers: HashMap<i32, BrokerFetches>,
    /// Partitions with chunks, in the order in which the chunks came; one entry per chunk.
    pub(super) ready: VecDeque<TopicPartition>,
    /// Bytes in chunks.
    pub(super) buffered: usize,
    pub(super) decompressors: Vec<Decompressor>,
    pub(super) under_way: JoinSet<Done>,
    pub(super) commits: JoinSet<()>,
    /// Closes when the last commit that was started is complete.
    pub(super) last_commit: Option<oneshot::Receiver<()>>,
    pub(super) next_auto_commit: Instant,
    /// Something may be fetched or looked up that could not before.
    pub(super) stale: bool,
    /// When something that was held back may be asked again.
    pub(super) retry_at: Option<Instant>,
    /// Partitions whose poll answers an error.
    pub(super) failed: Vec<TopicPartition>,
    /// What the next poll answers.
    pub(super) error: Option<ClientError>,
    pub(super) woken: Arc<Notify>,
}

/// Fetches from one broker.
#[derive(Debug, Default)]
pub(super) struct BrokerFetches {
    pub session: FetchSession,
    pub under_way: bool,
}

/// Says of a topic's name whether it is read. Java's regular expressions are not this crate's: whoever knows what
/// a pattern means brings the test. It is asked again for every topic when the metadata changes.
#[derive(Clone)]
pub struct TopicMatcher(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl TopicMatcher {
    pub fn new(matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(matches))
    }

    fn matches(&self, topic: &str) -> bool {
        (self.0)(topic)
    }
}

impl std::fmt::Debug for TopicMatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TopicMatcher")
    }
}

/// What is read.
#[derive(Debug)]
pub(super) enum Subscribed {
    Nothing,
    /// By hand.
    Assigned,
    Topics(BTreeSet<String>),
    Pattern {
        pattern: TopicMatcher,
        topics: BTreeSet<String>,
    },
}

impl Subscribed {
    /// Whether the group decides what is assigned.
    pub(super) fn by_group(&self) -> bool {
        matches!(self, Self::Topics(_) | Self::Pattern { .. })
    }

    pub(super) fn topics(&self) -> BTreeSet<String> {
        match self {
            Self::Nothing | Self::Assigned => BTreeSet::new(),
            Self::Topics(topics) | Self::Pattern { topics, .. } => topics.clone(),
        }
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Nothing | Self::Assigned => false,
            Self::Topics(topics) => topics.contains(topic),
            Self::Pattern { pattern, .. } => pattern.matches(topic),
        }
    }
}

/// Makes a poll of its consumer return early. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// The poll under way, or else the next one, answers `Polled::Nothing` at once.
    pub fn wakeup(&self) {
        self.0.notify_one();
    }
}

impl Consumer {
    /// Connects to nothing yet. `control`: the runtime for heartbeats, commits and metadata.
    ///
    /// Must be called inside a Tokio runtime.
    pub fn new(settings: ConsumerSettings, control: Handle) -> Self {
        let client = {
            let _guard = control.enter();
            Client::connect(settings.connection.clone())
        };
        Self::with_client(client, settings, control)
    }

    /// With a client that was created on the control runtime. A client that others use as well
    /// makes fetches wait for each other, because a broker answers one connection in order.
    pub fn with_client(client: Client, settings: ConsumerSettings, control: Handle) -> Self {
        let mut metadata = client.watch_metadata();
        let cluster = metadata.borrow_and_update().clone();
        let group_offsets = settings.group_id.as_ref().map(|group_id| GroupOffsets {
            client: client.clone(),
            group_id: group_id.clone(),
            group_instance_id: settings.group_instance_id.clone(),
        });
        Self {
            options: FetchOptions::new(&settings),
            next_auto_commit: Instant::now() + settings.auto_commit_interval,
            settings: Arc::new(settings),
            client,
            control,
            subscribed: Subscribed::Nothing,
            partitions: HashMap::new(),
            next_version: 0,
            metadata,
            cluster,
            tracked: BTreeSet::new(),
            group: None,
            group_offsets,
            steps: VecDeque::new(),
            brokers: HashMap::new(),
            ready: VecDeque::new(),
            buffered: 0,
            decompressors: Vec::new(),
            under_way: JoinSet::new(),
            commits: JoinSet::new(),
            last_commit: None,
            stale: true,
            retry_at: None,
            failed: Vec::new(),
            error: None,
            woken: Arc::new(Notify::new()),
        }
    }

    pub fn settings(&self) -> &ConsumerSettings {
        &self.settings
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn waker(&self) -> Waker {
        Waker(self.woken.clone())
    }

    /// Reads these topics as a member of the group; replaces any other subscription.
    ///
    /// Fails without `group.id`, and after [`Self::assign`].
    pub fn subscribe(
        &mut self,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<(), ClientError> {
        let topics: BTreeSet<String> = topics.into_iter().map(Into::into).collect();
        if topics.is_empty() {
            self.unsubscribe();
            return Ok(());
        }
        self.require_group_subscription()?;
        self.client.track_all_topics(false);
        self.track(topics.clone());
        self.subscribed = Subscribed::Topics(topics);
        self.start_membership()
    }

    /// Reads every topic that matches, also those that are created later. New topics are noticed when
    /// the metadata is refreshed, at the latest after `metadata.max.age.ms`.
    ///
    /// Internal topics only match when `exclude.internal.topics` is false.
    pub fn subscribe_matching(&mut self, pattern: TopicMatcher) -> Result<(), ClientError> {
        self.require_group_subscription()?;
        self.client.track_all_topics(true);
        self.subscribed = Subscribed::Pattern {
            pattern,
            topics: BTreeSet::new(),
        };
        self.match_pattern();
        self.start_membership()
    }

    /// Reads these partitions, without sharing them with a group; replaces an earlier assignment.
    ///
    /// Partitions that were assigned before keep their position. Fails after a subscription.
    pub fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), ClientError> {
        if self.subscribed.by_group() {
            return Err(exclusive());
        }
        self.subscribed = Subscribed::Assigned;
        let partitions: BTreeSet<TopicPartition> = partitions.into_iter().collect();
        self.track(partitions.iter().map(|tp| tp.topic.to_string()).collect());
        self.set_partitions(partitions);
        Ok(())
    }

    /// Gives everything up, and leaves the group unless the member is static. Commits nothing.
    pub fn unsubscribe(&mut self) {
        if let Some(group) = &mut self.group {
            group.leave();
        }
        self.steps.clear();
        self.subscribed = Subscribed::Nothing;
        self.client.track_all_topics(false);
        self.track(BTreeSet::new());
        self.set_partitions(BTreeSet::new());
    }

    /// What is assigned now, in order.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let mut assignment: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        assignment.sort_unstable();
        assignment
    }

    /// The topics of the subscription; those that match now when it is a pattern.
    pub fn subscription(&self) -> Vec<String> {
        self.subscribed.topics().into_iter().collect()
    }

    /// The next poll hands out the record at `offset`, or the first one behind it.
    pub fn seek(&mut self, tp: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.seek_to(tp, &OffsetAndMetadata::new(offset))
    }

    /// As [`Self::seek`]; with a leader epoch it is checked that the log was not truncated since.
    pub fn seek_to(
        &mut self,
        tp: &TopicPartition,
        to: &OffsetAndMetadata,
    ) -> Result<(), ClientError> {
        if to.offset < 0 {
            return Err(
                ClientError::fatal("seek offset must not be a negative number")
                    .with_topic_partition(&tp.topic, tp.partition)
                    .with("offset", to.offset),
            );
        }
        let version = self.version();
        let position = Position {
            offset: to.offset,
            epoch: to.leader_epoch,
        };
        let partition = self.assigned_mut(tp)?;
        let freed = buffered(partition);
        partition.seek(position, version);
        self.buffered -= freed;
        self.moved(tp);
        Ok(())
    }

    /// The next poll that needs the position asks for the first offset.
    pub fn seek_to_beginning<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), ClientError> {
        partitions
            .into_iter()
            .try_for_each(|tp| self.reset(tp, ResetTo::Earliest))
    }

    /// The next poll that needs the position asks for the end of the log, or of its committed part.
    pub fn seek_to_end<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), ClientError> {
        partitions
            .into_iter()
            .try_for_each(|tp| self.reset(tp, ResetTo::Latest))
    }

    /// Hands nothing out of these until they are resumed. What is fetched already stays.
    pub fn pause<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), ClientError> {
        for tp in partitions {
            self.assigned_mut(tp)?.paused = true;
        }
        Ok(())
    }

    pub fn resume<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), ClientError> {
        for tp in partitions {
            self.assigned_mut(tp)?.paused = false;
            self.requeue(tp);
        }
        self.stale = true;
        Ok(())
    }

    pub fn paused(&self) -> Vec<TopicPartition> {
        let paused = self
            .partitions
            .values()
            .filter(|partition| partition.paused);
        paused.map(|partition| partition.tp.clone()).collect()
    }

    /// Records between the position and the end of the log, as of the last fetch. `None` before.
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let partition = self.partitions.get(tp)?;
        let end = match self.settings.isolation_level {
            crate::settings::IsolationLevel::ReadCommitted => partition.last_stable_offset?,
            crate::settings::IsolationLevel::ReadUncommitted => partition.high_watermark?,
        };
        Some((end - partition.position()?.offset).max(0))
    }

    /// Commits what was handed out when `enable.auto.commit` is on, waits for commits under way,
    /// and leaves the group unless the member is static. All of it within `timeout`.
    ///
    /// What has to happen before the partitions are given up is the caller's to do before; see
    /// [`Self::assignment`]. The error is that of the commit; the rest is done nevertheless.
    pub async fn close(mut self, timeout: Duration) -> Result<(), ClientError> {
        let deadline = Instant::now() + timeout;
        let mut outcome = Ok(());
        if self.settings.enable_auto_commit {
            let offsets = self.consumed();
            if !offsets.is_empty() {
                outcome = self.commit_until(offsets, deadline).await;
            }
        }
        let commits = async { while self.commits.join_next().await.is_some() {} };
        _ = tokio::time::timeout_at(deadline, commits).await;
        self.under_way.abort_all();
        for (broker, fetches) in &self.brokers {
            let session = fetches.session.close();
            if let (Some(session), Some(connection)) =
                (session, self.client.ready_connection(*broker))
            {
                fetch::close_session(&connection, &self.options, session);
            }
        }
        if let Some(group) = self.group.take() {
            let left = deadline.saturating_duration_since(Instant::now());
            group.close(left).await;
        }
        outcome
    }

    fn require_group_subscription(&self) -> Result<(), ClientError> {
        if self.settings.group_id.is_none() {
            return Err(no_group());
        }
        match self.subscribed {
            Subscribed::Assigned => Err(exclusive()),
            _ => Ok(()),
        }
    }

    fn start_membership(&mut self) -> Result<(), ClientError> {
        let group = match &mut self.group {
            Some(group) => group,
            None => {
                let group_id = self.settings.group_id.as_deref().ok_or_else(no_group)?;
                self.group.insert(GroupSide::start(
                    &self.client,
                    &self.settings,
                    group_id,
                    &self.control,
                ))
            }
        };
        group.rejoin("the consumer subscribed");
        self.client.request_metadata_refresh();
        Ok(())
    }

    /// Keeps these topics in the metadata, and no others.
    pub(super) fn track(&mut self, topics: BTreeSet<String>) {
        let gone: Vec<String> = self.tracked.difference(&topics).cloned().collect();
        let new: Vec<String> = topics.difference(&self.tracked).cloned().collect();
        if !gone.is_empty() {
            self.client.untrack_topics(gone);
        }
        if !new.is_empty() {
            self.client.track_topics(new);
            self.client.request_metadata_refresh();
        }
        self.tracked = topics;
    }

    /// The topics that the pattern matches now. Whether they changed.
    pub(super) fn match_pattern(&mut self) -> bool {
        let exclude_internal = self.settings.exclude_internal_topics;
        let Subscribed::Pattern { pattern, topics } = &mut self.subscribed else {
            return false;
        };
        let matching = self.cluster.topics().filter(|topic| {
            pattern.matches(&topic.name) && !(exclude_internal && topic.is_internal)
        });
        let matching: BTreeSet<String> = matching.map(|topic| topic.name.to_string()).collect();
        let changed = matching != *topics;
        *topics = matching;
        changed
    }

    /// Makes exactly these assigned. Those that were keep all they have.
    pub(super) fn set_partitions(&mut self, partitions: BTreeSet<TopicPartition>) {
        self.partitions.retain(|tp, _| partitions.contains(tp));
        let stage = match self.group_offsets {
            Some(_) => Stage::Committed,
            None => Stage::Reset(ResetTo::Latest),
        };
        for tp in partitions {
            if self.partitions.contains_key(&tp) {
                continue;
            }
            let version = self.version();
            let policy = self.policy();
            let mut partition = Partition::new(tp.clone(), version, stage);
            partition.update(&self.cluster, version, policy);
            if self.group_offsets.is_none() {
                partition.on_committed(None, version, policy);
                if partition.failed.is_some() {
                    self.failed.push(tp.clone());
                }
            }
            self.partitions.insert(tp, partition);
        }
        self.buffered = self.partitions.values().map(buffered).sum();
        self.stale = true;
    }

    pub(super) fn version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    pub(super) fn policy(&self) -> Policy {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Policy {
            reset: self.settings.auto_offset_reset,
            now_ms: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn reset(&mut self, tp: &TopicPartition, to: ResetTo) -> Result<(), ClientError> {
        let version = self.version();
        let partition = self.assigned_mut(tp)?;
        let freed = buffered(partition);
        partition.reset(to, version);
        self.buffered -= freed;
        self.moved(tp);
        Ok(())
    }

    /// After a position jumped.
    fn moved(&mut self, tp: &TopicPartition) {
        self.failed.retain(|failed| failed != tp);
        self.stale = true;
    }

    /// Its chunks take part in the hand-out again.
    pub(super) fn requeue(&mut self, tp: &TopicPartition) {
        let Some(partition) = self.partitions.get(tp) else {
            return;
        };
        let waiting: HashSet<&TopicPartition> = self.ready.iter().collect();
        if waiting.contains(tp) {
            return;
        }
        for _ in 0..partition.chunks.len() {
            self.ready.push_back(tp.clone());
        }
    }

    pub(super) fn assigned_mut(
        &mut self,
        tp: &TopicPartition,
    ) -> Result<&mut Partition, ClientError> {
        self.partitions.get_mut(tp).ok_or_else(|| not_assigned(tp))
    }
}

pub(super) fn buffered(partition: &Partition) -> usize {
    partition
        .chunks
        .iter()
        .map(super::records::Chunk::bytes)
        .sum()
}

pub(super) fn not_assigned(tp: &TopicPartition) -> ClientError {
    ClientError::fatal("the partition is not assigned to this consumer")
        .with_topic_partition(&tp.topic, tp.partition)
}

pub(super) fn no_group() -> ClientError {
    ClientError::config(
        "To use the group management or offset commit APIs, you must provide a valid group.id in the consumer \
         configuration.",
    )
}

fn exclusive() -> ClientError {
    ClientError::fatal("Subscription to topics, partitions and pattern are mutually exclusive")
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("group_id", &self.settings.group_id)
            .field("subscribed", &self.subscribed)
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}
