//! Positions and offsets on the user's behalf: what is known, what a group committed, where logs
//! begin and end.
//!
//! Lives here: positions, commits with their retries and their generation, offset questions.
//! Lives elsewhere: the requests themselves (`super::lookup`).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::consumer::{no_group, not_assigned};
use super::lookup::{self, Found, GroupOffsets};
use super::partition::ResetTo;
use super::{Consumer, OffsetAndMetadata, TopicPartition};
use crate::client::{Client, Refresh};
use crate::error::{ClientError, KafkaErrorCode as Code};
use crate::group::{Generation, MembershipHandle, Phase};

/// Offsets to commit.
pub(super) type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

/// Who a consumer is to its group, for offsets that a producer commits in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    pub group_id: String,
    /// -1 outside of a generation.
    pub generation_id: i32,
    pub member_id: String,
    pub group_instance_id: Option<String>,
}

/// The first record that is not older than a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub leader_epoch: Option<i32>,
}

/// A commit under way. It goes on when this is dropped.
#[derive(Debug)]
#[must_use = "the outcome of the commit arrives here"]
pub struct PendingCommit(oneshot::Receiver<Result<(), ClientError>>);

impl PendingCommit {
    /// The outcome if it is there; `None` while the commit is under way. Gives it once.
    pub fn try_result(&mut self) -> Option<Result<(), ClientError>> {
        match self.0.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(ClientError::client_closed())),
        }
    }
}

impl Future for PendingCommit {
    type Output = Result<(), ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| Err(ClientError::client_closed())))
    }
}

impl Consumer {
    /// The offset of the next record that poll hands out, when it is known without asking.
    pub fn known_position(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions
            .get(tp)?
            .position()
            .map(|position| position.offset)
    }

    /// The offset of the next record that poll hands out. Waits for the committed offset or the
    /// reset at most `default.api.timeout.ms`; all other partitions are looked up on the way.
    pub async fn position(&mut self, tp: &TopicPartition) -> Result<i64, ClientError> {
        let timeout = self.settings.default_api_timeout;
        let deadline = Instant::now() + timeout;
        loop {
            let partition = self.partitions.get(tp).ok_or_else(|| not_assigned(tp))?;
            if let Some(error) = &partition.failed {
                return Err(error.clone());
            }
            if let Some(position) = partition.position() {
                return Ok(position.offset);
            }
            if let Some(error) = self.error.take() {
                return Err(error);
            }
            if Instant::now() >= deadline {
                let error = ClientError::timed_out("finding the position", timeout);
                return Err(error.with_topic_partition(&tp.topic, tp.partition));
            }
            self.look_up_until(deadline).await;
        }
    }

    /// Positions of everything that was handed out, ready to be committed.
    pub fn consumed(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let positions = self.partitions.values().filter_map(|partition| {
            let position = partition.position()?;
            let offset = OffsetAndMetadata {
                offset: position.offset,
                leader_epoch: position.epoch,
                metadata: String::new(),
            };
            Some((partition.tp.clone(), offset))
        });
        positions.collect()
    }

    /// Commits and waits, trying again for `default.api.timeout.ms` while the coordinator is away.
    ///
    /// Not tried again: `REBALANCE_IN_PROGRESS` (poll, then commit again), `ILLEGAL_GENERATION` and
    /// `UNKNOWN_MEMBER_ID` (the partitions are with other members by now), `FENCED_INSTANCE_ID`.
    pub async fn commit_sync(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.settings.default_api_timeout;
        self.commit_until(offsets, deadline).await
    }

    pub(super) async fn commit_until(
        &mut self,
        offsets: Offsets,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.start_commit(offsets, Some(deadline)).await
    }

    /// Commits without waiting, and without trying again.
    pub fn commit_async(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> PendingCommit {
        self.start_commit(offsets, None)
    }

    fn start_commit(&mut self, offsets: Offsets, retry_until: Option<Instant>) -> PendingCommit {
        let (sender, receiver) = oneshot::channel();
        let Some(group) = self.group_offsets.clone() else {
            _ = sender.send(Err(no_group()));
            return PendingCommit(receiver);
        };
        // Forget the commits that are complete.
        while self.commits.try_join_next().is_some() {}
        let member = match self.subscribed.by_group() {
            true => self.group.as_ref().map(|group| group.handle()),
            false => None,
        };
        let commit = Commit {
            group,
            member,
            offsets,
        };
        let (complete, last) = oneshot::channel::<()>();
        let before = self.last_commit.replace(last);
        self.commits.spawn_on(
            async move {
                // In order, so that an earlier position never replaces a later one.
                if let Some(before) = before {
                    _ = before.await;
                }
                let outcome = commit.run(retry_until).await;
                drop(complete);
                // Nobody may be waiting any more.
                _ = sender.send(outcome);
            },
            &self.control,
        );
        PendingCommit(receiver)
    }

    /// The group's committed offsets; partitions without one are missing. Tries again for
    /// `default.api.timeout.ms`.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let group = self.group_offsets.clone().ok_or_else(no_group)?;
        let partitions = partitions.to_vec();
        let client = self.client.clone();
        let timeout = self.settings.default_api_timeout;
        let work = async move {
            client
                .retry("finding committed offsets", timeout, |_| {
                    group.committed(&partitions)
                })
                .await
        };
        on(&self.control, work).await
    }

    /// The first offset of each partition.
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, ClientError> {
        let asked = partitions
            .iter()
            .map(|tp| (tp.clone(), ResetTo::Earliest))
            .collect();
        Ok(offsets_of(self.list(asked).await?))
    }

    /// The offset behind the last record of each partition; with `read_committed`, behind the last
    /// one that no open transaction holds back.
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, i64>, ClientError> {
        let asked = partitions
            .iter()
            .map(|tp| (tp.clone(), ResetTo::Latest))
            .collect();
        Ok(offsets_of(self.list(asked).await?))
    }

    /// Per partition the first record that is not older than the given time, in milliseconds since
    /// the epoch; partitions without one are missing.
    pub async fn offsets_for_times(
        &self,
        times: &[(TopicPartition, i64)],
    ) -> Result<HashMap<TopicPartition, OffsetAndTimestamp>, ClientError> {
        let asked = times
            .iter()
            .map(|(tp, time)| (tp.clone(), ResetTo::Timestamp((*time).max(0))))
            .collect();
        let found = self.list(asked).await?.into_iter().map(|(tp, found)| {
            let found = OffsetAndTimestamp {
                offset: found.position.offset,
                timestamp_ms: found.timestamp_ms,
                leader_epoch: found.position.epoch,
            };
            (tp, found)
        });
        Ok(found.collect())
    }

    async fn list(
        &self,
        asked: Vec<(TopicPartition, ResetTo)>,
    ) -> Result<Vec<(TopicPartition, Found)>, ClientError> {
        let client = self.client.clone();
        let isolation = self.settings.isolation_level;
        let timeout = self.settings.default_api_timeout;
        let work = async move {
            client
                .retry("finding offsets", timeout, |attempt| {
                    list_once(&client, isolation, &asked, attempt)
                })
                .await
        };
        on(&self.control, work).await
    }

    /// Who this consumer is to its group. `None` without `group.id`.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let group_id = self.settings.group_id.clone()?;
        let generation = self
            .group
            .as_ref()
            .map(|group| group.handle().snapshot().generation);
        Some(GroupMetadata {
            group_id,
            generation_id: generation
                .as_ref()
                .map_or(Generation::NONE_ID, |g| g.generation_id),
            member_id: generation
                .map(|generation| generation.member_id)
                .unwrap_or_default(),
            group_instance_id: self.settings.group_instance_id.clone(),
        })
    }
}

fn offsets_of(found: Vec<(TopicPartition, Found)>) -> HashMap<TopicPartition, i64> {
    found
        .into_iter()
        .map(|(tp, found)| (tp, found.position.offset))
        .collect()
}

/// Runs on another runtime; stops there when the caller stops waiting.
async fn on<T: Send + 'static>(
    runtime: &tokio::runtime::Handle,
    work: impl Future<Output = Result<T, ClientError>> + Send + 'static,
) -> Result<T, ClientError> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn_on(work, runtime);
    match tasks.join_next().await {
        Some(Ok(outcome)) => outcome,
        _ => Err(ClientError::client_closed()),
    }
}

async fn list_once(
    client: &Client,
    isolation: crate::settings::IsolationLevel,
    asked: &[(TopicPartition, ResetTo)],
    attempt: u32,
) -> Result<Vec<(TopicPartition, Found)>, ClientError> {
    let mut metadata = client.metadata();
    if attempt > 0
        || asked
            .iter()
            .any(|(tp, _)| metadata.leader(&tp.topic, tp.partition).is_none())
    {
        let topics: Vec<&str> = asked.iter().map(|(tp, _)| &*tp.topic).collect();
        metadata = client.refresh_metadata(Refresh::Topics(&topics)).await?;
    }
    let mut by_leader: HashMap<i32, Vec<(TopicPartition, ResetTo, i32)>> = HashMap::new();
    for (tp, to) in asked {
        let Some((leader, epoch)) = metadata.leader(&tp.topic, tp.partition) else {
            let code = metadata
                .topic_error(&tp.topic)
                .unwrap_or(Code::LEADER_NOT_AVAILABLE);
            return Err(ClientError::from_code(code).with_topic_partition(&tp.topic, tp.partition));
        };
        by_leader
            .entry(leader)
            .or_default()
            .push((tp.clone(), *to, epoch));
    }
    let mut found = Vec::with_capacity(asked.len());
    for (leader, asked) in by_leader {
        for (tp, answer) in lookup::list_offsets(client, leader, isolation, asked).await? {
            found.extend(answer?.map(|answer| (tp, answer)));
        }
    }
    Ok(found)
}

/// One commit, in the name of whoever the consumer is when it is sent.
struct Commit {
    group: GroupOffsets,
    /// `None`: partitions were assigned by hand.
    member: Option<MembershipHandle>,
    offsets: Offsets,
}

impl Commit {
    async fn run(self, retry_until: Option<Instant>) -> Result<(), ClientError> {
        if self.offsets.is_empty() {
            return Ok(());
        }
        let request_timeout = self.group.client.settings().request_timeout;
        let Some(deadline) = retry_until else {
            return self.attempt(request_timeout).await;
        };
        let timeout = deadline.saturating_duration_since(Instant::now());
        let client = &self.group.client;
        client
            .retry("committing offsets", timeout, |_| {
                self.attempt(request_timeout)
            })
            .await
    }

    async fn attempt(&self, timeout: Duration) -> Result<(), ClientError> {
        let generation = match &self.member {
            Some(member) => Some(self.generation(member)?),
            None => None,
        };
        let outcome = self
            .group
            .commit(generation.as_ref(), &self.offsets, timeout)
            .await;
        let Err(error) = outcome else { return Ok(()) };
        if let (Some(member), Some(generation), Some(code)) =
            (&self.member, generation, error.code())
        {
            member.report(generation, code);
        }
        Err(match error.code() {
            Some(code @ (Code::UNKNOWN_MEMBER_ID | Code::ILLEGAL_GENERATION)) => {
                self.not_a_member(code)
            }
            Some(code @ Code::REBALANCE_IN_PROGRESS) => rebalancing(code),
            _ => error,
        })
    }

    /// A commit between two generations would be refused.
    fn generation(&self, member: &MembershipHandle) -> Result<Generation, ClientError> {
        let snapshot = member.snapshot();
        match snapshot.phase {
            Phase::Stable | Phase::Preparing if snapshot.generation.is_member() => {
                Ok(snapshot.generation)
            }
            Phase::Joining | Phase::Assigning | Phase::Syncing => {
                Err(rebalancing(Code::REBALANCE_IN_PROGRESS))
            }
            _ => Err(self.not_a_member(Code::UNKNOWN_MEMBER_ID)),
        }
    }

    fn not_a_member(&self, code: Code) -> ClientError {
        ClientError::fatal(
            "offsets cannot be committed, because the consumer is no longer part of the group; most likely no poll \
             came for longer than max.poll.interval.ms, and its partitions are with other members",
        )
        .with_code(code)
        .with("group", &self.group.group_id)
    }
}

fn rebalancing(code: Code) -> ClientError {
    ClientError::fatal(
        "offsets cannot be committed while the group rebalances; poll, then commit again",
    )
    .with_code(code)
}
