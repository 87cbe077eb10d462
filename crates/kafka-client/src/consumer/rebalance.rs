//! The consumer as a member of its group: what it gives up, what it asks for, what it gets.
//!
//! Lives here: eager and cooperative rebalances as lists of steps that polls work off, the bytes
//! that go to the group and come back, the leader's assignment and what it watches afterwards.
//! Lives elsewhere: joining and heartbeats (`crate::group`), who gets what (`super::assignors`).
//! Source: `ConsumerCoordinator` in apache/kafka, clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tracing::{debug, warn};

use super::assignors::{AssignorMemory, GroupMember, RebalanceProtocol, TopicPartitions, assign};
use super::poll::Done;
use super::protocol::{
    Assignment, Subscription, encode_generation_user_data, encode_sticky_user_data,
};
use super::{Consumer, Polled, TopicPartition};
use crate::client::{Client, Refresh};
use crate::error::{ClientError, ErrorKind};
use crate::group::{GroupEvent, GroupSettings, Joined, Membership, MembershipHandle, Prepare};
use crate::metadata::ClusterMetadata;
use crate::settings::{Assignor, ConsumerSettings};

/// What is left to do of a rebalance, in order. `Tell` returns to the user, who acknowledges it
/// by polling again.
#[derive(Debug)]
pub(super) enum Step {
    /// `enable.auto.commit`: before partitions are given up.
    CommitConsumed,
    /// A commit that arrives behind the join would be refused.
    WaitForCommits,
    Tell(Polled),
    Drop(BTreeSet<TopicPartition>),
    /// A pattern is matched against all topics that exist now.
    AskForAllTopics,
    WaitForAllTopics,
    Join,
    Rejoin(&'static str),
    Adopt(BTreeSet<TopicPartition>),
}

/// What a leader was asked, with the metadata it decides by.
pub(super) struct Election {
    election: crate::group::Election,
    members: Vec<GroupMember>,
    metadata: Result<Arc<ClusterMetadata>, ClientError>,
}

/// The consumer's side of its membership.
pub(super) struct GroupSide {
    membership: Membership,
    /// The event that `wait` saw.
    event: Option<GroupEvent>,
    assignors: Vec<Assignor>,
    protocol: RebalanceProtocol,
    rack_id: Option<String>,
    memory: AssignorMemory,
    /// The last assignment and its generation: what sticky assignors remember.
    last: Option<(Vec<TopicPartition>, i32)>,
    /// The topics that the last join named.
    joined: Option<BTreeSet<String>>,
    /// The election that is being worked on; answers to earlier ones are late.
    electing: Option<i32>,
    /// What the leader's last assignment was made from.
    watched: Option<(BTreeSet<String>, TopicPartitions)>,
    failed: Option<ClientError>,
}

impl GroupSide {
    pub(super) fn start(
        client: &Client,
        settings: &ConsumerSettings,
        group_id: &str,
        control: &Handle,
    ) -> Self {
        let group = GroupSettings {
            group_id: group_id.to_owned(),
            group_instance_id: settings.group_instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            user: "consumer",
            session_timeout: settings.session_timeout,
            rebalance_timeout: settings.max_poll_interval,
            heartbeat_interval: settings.heartbeat_interval,
            retry_backoff: client.retry_backoff(),
            request_timeout: settings.connection.request_timeout,
        };
        Self {
            membership: Membership::start(client.clone(), group, control),
            event: None,
            assignors: settings.assignors.clone(),
            protocol: RebalanceProtocol::of(&settings.assignors),
            rack_id: Some(settings.client_rack.clone()).filter(|rack| !rack.is_empty()),
            memory: AssignorMemory::default(),
            last: None,
            joined: None,
            electing: None,
            watched: None,
            failed: None,
        }
    }

    pub(super) fn handle(&self) -> MembershipHandle {
        self.membership.handle().clone()
    }

    pub(super) fn rejoin(&self, reason: &str) {
        self.membership.handle().rejoin(reason);
    }

    pub(super) fn leave(&mut self) {
        self.membership
            .leave("the consumer unsubscribed from all topics");
        self.event = None;
        self.joined = None;
        self.watched = None;
        self.last = None;
    }

    pub(super) async fn close(self, timeout: Duration) {
        self.membership
            .close(timeout, "the consumer is being closed")
            .await;
    }

    /// Waits for an event, which [`Self::take`] gives. Cancel safe.
    pub(super) async fn wait(&mut self) {
        if self.event.is_none() {
            self.event = match self.membership.next_event().await {
                Some(event) => Some(event),
                // Only when the control runtime is gone.
                None => std::future::pending().await,
            };
        }
    }

    fn take(&mut self) -> Option<GroupEvent> {
        self.event
            .take()
            .or_else(|| self.membership.try_next_event())
    }

    fn is_member(&self) -> bool {
        self.membership.handle().snapshot().generation.is_member()
    }

    /// The bytes of each protocol that the member offers.
    fn protocols(
        &mut self,
        topics: &BTreeSet<String>,
        owned: Vec<TopicPartition>,
    ) -> Vec<(String, Bytes)> {
        let generation_id = self.membership.handle().snapshot().generation.generation_id;
        self.joined = Some(topics.clone());
        let bytes = |assignor: &Assignor| {
            let user_data = match (assignor, &self.last) {
                (Assignor::Sticky, Some((partitions, generation))) => {
                    Some(encode_sticky_user_data(partitions, *generation))
                }
                (Assignor::CooperativeSticky, last) => Some(encode_generation_user_data(
                    last.as_ref().map_or(-1, |(_, generation)| *generation),
                )),
                _ => None,
            };
            let subscription = Subscription {
                topics: topics.iter().cloned().collect(),
                user_data,
                owned_partitions: owned.clone(),
                generation_id,
                rack_id: self.rack_id.clone(),
            };
            (assignor.name().to_owned(), subscription.encode())
        };
        self.assignors.iter().map(bytes).collect()
    }
}

impl Consumer {
    /// Works off what can be done without waiting. What it answers is for the user.
    pub(super) fn proceed_rebalance(&mut self) -> Option<Polled> {
        loop {
            while let Some(step) = self.steps.pop_front() {
                match self.step(step) {
                    Progress::On => {}
                    Progress::Tell(polled) => return Some(polled),
                    Progress::Wait(step) => {
                        self.steps.push_front(step);
                        return None;
                    }
                }
            }
            let event = match &mut self.group {
                Some(group) if self.subscribed.by_group() => group.take()?,
                _ => return None,
            };
            self.on_group_event(event);
        }
    }

    fn step(&mut self, step: Step) -> Progress {
        match step {
            Step::CommitConsumed => self.commit_consumed(),
            Step::WaitForCommits => {
                while self.commits.try_join_next().is_some() {}
                if !self.commits.is_empty() {
                    return Progress::Wait(Step::WaitForCommits);
                }
            }
            Step::Tell(polled) => return Progress::Tell(polled),
            Step::Drop(gone) => {
                let kept = self
                    .partitions
                    .keys()
                    .filter(|tp| !gone.contains(tp))
                    .cloned()
                    .collect();
                self.set_partitions(kept);
            }
            Step::AskForAllTopics => {
                let client = self.client.clone();
                let ask = async move {
                    Done::AllTopics(client.refresh_metadata(Refresh::All).await.map(|_| ()))
                };
                self.under_way.spawn_on(ask, &self.control);
                return Progress::Wait(Step::WaitForAllTopics);
            }
            Step::WaitForAllTopics => return Progress::Wait(Step::WaitForAllTopics),
            Step::Join => self.join(),
            Step::Rejoin(reason) => {
                if let Some(group) = &self.group {
                    group.rejoin(reason);
                }
            }
            Step::Adopt(partitions) => self.set_partitions(partitions),
        }
        Progress::On
    }

    /// The metadata of all topics arrived; the steps behind it may go on.
    pub(super) fn on_all_topics(&mut self, answer: Result<(), ClientError>) {
        if !matches!(self.steps.front(), Some(Step::WaitForAllTopics)) {
            return;
        }
        self.steps.pop_front();
        match answer {
            Ok(()) => {
                self.cluster = self.metadata.borrow_and_update().clone();
                self.match_pattern();
            }
            Err(error) => {
                warn!(%error, "the topics of the cluster could not be listed, trying again");
                self.steps.push_front(Step::AskForAllTopics);
            }
        }
    }

    fn on_group_event(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::Rejoin(prepare) => self.on_rejoin(prepare),
            GroupEvent::Elected(election) => self.start_election(election),
            GroupEvent::Joined(joined) => self.on_joined(joined),
            GroupEvent::Failed(error) => {
                if let Some(group) = &mut self.group {
                    group.failed = Some(error.clone());
                }
                self.error = Some(error);
            }
        }
    }

    fn owned(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    fn on_rejoin(&mut self, prepare: Prepare) {
        let Some(group) = &self.group else { return };
        let owned = self.owned();
        let (member, protocol) = (group.is_member(), group.protocol);
        let mut steps = Vec::new();
        if !member {
            // Also when nothing is told: the join has to show that nothing is owned.
            if !owned.is_empty() {
                steps.push(Step::Tell(Polled::Lost(owned.iter().cloned().collect())));
                steps.push(Step::Drop(owned));
            }
        } else if prepare == Prepare::Revoke {
            if self.settings.enable_auto_commit {
                steps.push(Step::CommitConsumed);
                steps.push(Step::WaitForCommits);
            }
            let revoked: BTreeSet<TopicPartition> = match protocol {
                RebalanceProtocol::Eager => owned,
                RebalanceProtocol::Cooperative => owned
                    .into_iter()
                    .filter(|tp| !self.subscribed.matches(&tp.topic))
                    .collect(),
            };
            if !revoked.is_empty() {
                steps.push(Step::Tell(Polled::Revoking(
                    revoked.iter().cloned().collect(),
                )));
                steps.push(Step::WaitForCommits);
                steps.push(Step::Drop(revoked));
            }
        }
        if matches!(self.subscribed, super::consumer::Subscribed::Pattern { .. }) {
            steps.push(Step::AskForAllTopics);
        }
        steps.push(Step::Join);
        self.steps.extend(steps);
    }

    fn join(&mut self) {
        let owned: Vec<TopicPartition> = self.assignment();
        let topics = self.subscribed.topics();
        let Some(group) = &mut self.group else { return };
        if !group.is_member() && !owned.is_empty() {
            // Lost since the steps were laid out.
            let lost = owned.iter().cloned().collect();
            self.steps.push_front(Step::Join);
            self.steps.push_front(Step::Drop(lost));
            self.steps.push_front(Step::Tell(Polled::Lost(owned)));
            return;
        }
        let protocols = group.protocols(&topics, owned);
        group.membership.join(protocols);
    }

    fn start_election(&mut self, election: crate::group::Election) {
        let members: Result<Vec<GroupMember>, ClientError> = election
            .members
            .iter()
            .map(|member| {
                Ok(GroupMember {
                    member_id: member.member_id.clone(),
                    group_instance_id: member.group_instance_id.clone(),
                    subscription: Subscription::decode(&member.metadata)?,
                })
            })
            .collect();
        let Some(group) = &mut self.group else { return };
        let members = match members {
            Ok(members) => members,
            Err(error) => return group.membership.assign_failed(error),
        };
        group.electing = Some(election.generation_id);
        let topics: BTreeSet<String> = members
            .iter()
            .flat_map(|member| member.subscription.topics.iter().cloned())
            .collect();
        let known = |topic: &String| {
            self.cluster.topic(topic).is_some() || self.cluster.topic_error(topic).is_some()
        };
        let fresh = topics.iter().all(known);
        self.track(topics);
        let (client, cluster) = (self.client.clone(), self.cluster.clone());
        let work = async move {
            let metadata = match fresh {
                true => Ok(cluster),
                false => client.refresh_metadata(Refresh::Tracked).await,
            };
            Done::Elected(Election {
                election,
                members,
                metadata,
            })
        };
        self.under_way.spawn_on(work, &self.control);
    }

    pub(super) fn on_elected(&mut self, work: Election) {
        let Some(group) = &mut self.group else { return };
        let Election {
            election,
            members,
            metadata,
        } = work;
        if group.electing != Some(election.generation_id) {
            return;
        }
        group.electing = None;
        let metadata = match metadata {
            Ok(metadata) => metadata,
            Err(error) => return group.membership.assign_failed(error),
        };
        let topics: BTreeSet<String> = members
            .iter()
            .flat_map(|member| member.subscription.topics.iter().cloned())
            .collect();
        let partitions = topic_partitions(&metadata, &topics);
        let assignments = if election.skip_assignment {
            Vec::new()
        } else {
            let assignor = group
                .assignors
                .iter()
                .find(|assignor| assignor.name() == election.protocol);
            let Some(assignor) = assignor else {
                let error = ClientError::fatal(
                    "the group chose an assignor that this member did not offer",
                )
                .with("assignor", &election.protocol);
                return group.membership.assign_failed(error);
            };
            let assigned = assign(*assignor, &partitions, &members, &mut group.memory);
            debug!(
                generation_id = election.generation_id,
                members = members.len(),
                assignor = assignor.name(),
                "assigned partitions to the members of the group"
            );
            let assignments = members.iter().zip(assigned).map(|(member, partitions)| {
                let assignment = Assignment {
                    partitions,
                    user_data: None,
                };
                (member.member_id.clone(), assignment.encode())
            });
            assignments.collect()
        };
        group.watched = Some((topics, partitions));
        group.membership.assign(assignments);
    }

    fn on_joined(&mut self, joined: Joined) {
        let owned = self.owned();
        let Some(group) = &mut self.group else { return };
        group.failed = None;
        if group
            .membership
            .handle()
            .snapshot()
            .generation
            .generation_id
            != joined.generation_id
        {
            // Lost before it was heard of; the next event says so.
            return;
        }
        if !joined.leader {
            group.watched = None;
        }
        let assigned: BTreeSet<TopicPartition> = match Assignment::decode(&joined.assignment) {
            Ok(assignment) => assignment.partitions.into_iter().collect(),
            Err(error) => {
                self.error = Some(error.with("generation", joined.generation_id));
                return;
            }
        };
        if !assigned.iter().all(|tp| self.subscribed.matches(&tp.topic)) {
            group.rejoin("received assignment does not match the current subscription");
            return;
        }
        group.last = Some((assigned.iter().cloned().collect(), joined.generation_id));
        if let super::consumer::Subscribed::Pattern { topics, .. } = &mut self.subscribed {
            // The leader may know topics that we have not heard of.
            let new = assigned.iter().map(|tp| tp.topic.to_string());
            topics.extend(new.clone());
            group.joined.get_or_insert_default().extend(new);
        }
        let added: Vec<TopicPartition> = assigned.difference(&owned).cloned().collect();
        let revoked: BTreeSet<TopicPartition> = owned.difference(&assigned).cloned().collect();
        if !revoked.is_empty() {
            if self.settings.enable_auto_commit {
                self.steps.push_back(Step::CommitConsumed);
                self.steps.push_back(Step::WaitForCommits);
            }
            self.steps.push_back(Step::Tell(Polled::Revoking(
                revoked.iter().cloned().collect(),
            )));
            self.steps.push_back(Step::WaitForCommits);
            self.steps.push_back(Step::Drop(revoked));
            self.steps
                .push_back(Step::Rejoin("need to revoke partitions and re-join"));
        }
        self.steps.push_back(Step::Adopt(assigned));
        self.steps.push_back(Step::Tell(Polled::Assigned(added)));
        // Whatever was heard since the member joined came too late for this assignment.
        self.watch_group();
    }

    /// Asks for a rebalance when what the last one was based on has changed.
    ///
    /// Not only once: what is asked for while a rebalance is under way ends with that one.
    pub(super) fn watch_group(&mut self) {
        let topics = self.subscribed.topics();
        let by_group = self.subscribed.by_group();
        let Some(group) = &mut self.group else { return };
        if !by_group {
            return;
        }
        if group
            .joined
            .as_ref()
            .is_some_and(|joined| *joined != topics)
        {
            group.rejoin("subscription has changed");
        }
        if let Some((topics, partitions)) = &group.watched
            && topic_partitions(&self.cluster, topics) != *partitions
        {
            group.rejoin("cached metadata has changed");
        }
    }

    /// The poll behind one that reported a failed membership tries again, unless a newer instance
    /// took this member's place.
    pub(super) fn retry_membership(&mut self) {
        let Some(group) = &mut self.group else { return };
        match &group.failed {
            Some(error) if error.kind() == ErrorKind::Fenced => self.error = Some(error.clone()),
            Some(_) => {
                group.failed = None;
                group.rejoin("joining again after an error");
            }
            None => {}
        }
    }
}

enum Progress {
    On,
    Tell(Polled),
    Wait(Step),
}

/// The partitions of topics that exist, with the racks of their replicas.
fn topic_partitions(metadata: &ClusterMetadata, topics: &BTreeSet<String>) -> TopicPartitions {
    let rack = |id: &i32| metadata.broker(*id).and_then(|broker| broker.rack.clone());
    let known = topics.iter().filter_map(|topic| metadata.topic(topic));
    let partitions: BTreeMap<_, _> = known
        .map(|topic| {
            let racks = topic
                .partitions
                .iter()
                .map(|partition| partition.replicas.iter().filter_map(rack).collect());
            (topic.name.clone(), racks.collect())
        })
        .collect();
    partitions
}
