//! All groups: one method per API, timers, replay.
//!
//! Lives here: which group a request means, and what happens where there is none.
//! Never here: what happens inside a group (`join`, `rebalance`, `sync`, `commit`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
    ListGroupsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, SyncGroupRequest, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::answers::{self, code};
use super::commit::{self, Committer, Sorter};
use super::events::GroupEvent;
use super::fetch;
use super::join::Join;
use super::member_ids::MemberIds;
use super::offsets::GroupOffsets;
use super::overview;
use super::state::{Membership, Step};
use super::sync;
#[cfg(test)]
use super::words::Ticket;
use super::words::{Answer, Call, Effect, GroupSettings, MembersAtRestart, Outcome, Topics};

/// Up to this version LeaveGroup names one member, and its error is the answer's.
const LEAVE_NAMES_ONE: i16 = 2;

struct Group {
    members: Membership,
    offsets: GroupOffsets,
}

impl Group {
    fn new() -> Self {
        Self {
            members: Membership::new(),
            offsets: GroupOffsets::default(),
        }
    }
}

/// Coordinates every group. A method that takes a `Call` answers its ticket exactly once: with
/// an effect of its own, of another member's call, or of a later `tick`.
pub struct GroupCoordinator {
    pub(super) settings: GroupSettings,
    ids: MemberIds,
    groups: BTreeMap<String, Group>,
    /// Groups with something to wait for, so that thousands that only have offsets cost nothing.
    timed: BTreeSet<String>,
}

impl GroupCoordinator {
    /// `seed` makes member ids that no earlier run gave out; take it from chance.
    pub fn new(settings: GroupSettings, seed: u64) -> Self {
        Self {
            settings,
            ids: MemberIds::new(seed),
            groups: BTreeMap::new(),
            timed: BTreeSet::new(),
        }
    }

    /// The answer may come at a later `tick`, or with another member's call.
    pub fn join_group(
        &mut self,
        call: Call<'_>,
        request: &JoinGroupRequest,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(error) = self.try_join(call, request, effects) {
            let answer = answers::join_error(call.version, &request.member_id, error);
            effects.push(Effect::Reply(call.ticket, answer));
        }
        self.note_timers(&request.group_id);
    }

    fn try_join(
        &mut self,
        call: Call<'_>,
        request: &JoinGroupRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Code> {
        let group = checked_name(&request.group_id)?;
        let settings = &self.settings;
        let mut step = Step {
            group,
            now: call.now,
            settings,
            effects,
        };
        let join = Join::check(call, request, &step)?;
        let name = request
            .group_instance_id
            .as_ref()
            .map_or(call.client_id, StrBytes::as_str);
        let new_id = || self.ids.next(name);
        if let Some(known) = self.groups.get_mut(group) {
            return known.members.join(&join, new_id, &mut step);
        }
        if !request.member_id.is_empty() {
            return Err(Code::UnknownMemberId);
        }
        // A join that is refused leaves no group behind.
        let mut new = Group::new();
        new.members.join(&join, new_id, &mut step)?;
        self.groups.insert(group.to_owned(), new);
        Ok(())
    }

    /// Answered when the group's leader has said who gets what.
    pub fn sync_group(
        &mut self,
        call: Call<'_>,
        request: &SyncGroupRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.within(&request.group_id, call.now, effects, |members, step| {
            members.sync(call, request, step)
        });
        if let Err(error) = result {
            effects.push(Effect::Reply(call.ticket, answers::sync_error(error)));
        }
    }

    pub fn heartbeat(
        &mut self,
        call: Call<'_>,
        request: &HeartbeatRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.within(&request.group_id, call.now, effects, |members, step| {
            members.heartbeat(request, step)
        });
        effects.push(Effect::Reply(call.ticket, answers::heartbeat(result)));
    }

    pub fn leave_group(
        &mut self,
        call: Call<'_>,
        request: &LeaveGroupRequest,
        effects: &mut Vec<Effect>,
    ) {
        let one = [MemberIdentity::default().with_member_id(request.member_id.clone())];
        let names_one = call.version <= LEAVE_NAMES_ONE;
        let leaving = if names_one {
            &one[..]
        } else {
            &request.members[..]
        };
        let left = self.within(&request.group_id, call.now, effects, |members, step| {
            Ok(members.leave(leaving, step))
        });
        let stranger = |identity| sync::left(identity, Err(Code::UnknownMemberId));
        let answer = match left {
            Err(error @ Code::InvalidGroupId) => {
                LeaveGroupResponse::default().with_error_code(error.code())
            }
            left => {
                let members = left.unwrap_or_else(|_| leaving.iter().map(stranger).collect());
                if names_one {
                    let error = members.first().map_or(0, |member| member.error_code);
                    LeaveGroupResponse::default().with_error_code(error)
                } else {
                    LeaveGroupResponse::default().with_members(members)
                }
            }
        };
        effects.push(Effect::Reply(call.ticket, Answer::LeaveGroup(answer)));
    }

    /// Runs a step of a group that is there, else 25; 24 without a name.
    fn within<T>(
        &mut self,
        group: &str,
        now: Duration,
        effects: &mut Vec<Effect>,
        run: impl FnOnce(&mut Membership, &mut Step<'_>) -> Result<T, Code>,
    ) -> Result<T, Code> {
        let group = checked_name(group)?;
        let known = self.groups.get_mut(group).ok_or(Code::UnknownMemberId)?;
        let mut step = Step {
            group,
            now,
            settings: &self.settings,
            effects,
        };
        let result = run(&mut known.members, &mut step);
        self.note_timers(group);
        result
    }

    pub fn offset_commit(
        &mut self,
        call: Call<'_>,
        request: &OffsetCommitRequest,
        topics: &dyn Topics,
        effects: &mut Vec<Effect>,
    ) {
        let group = request.group_id.as_str();
        let committer = Committer {
            member: &request.member_id,
            instance: request.group_instance_id.as_ref().map(StrBytes::as_str),
            generation: request.generation_id_or_member_epoch,
            transactional: false,
        };
        let permission = self.permit(group, &committer, call.now, effects);
        let sorter = Sorter {
            topics,
            permission,
            order: self.next_order(group),
            settings: &self.settings,
        };
        let mut sorted = sorter.sort_commit(&request.topics);
        let offsets = std::mem::take(&mut sorted.accepted);
        if !offsets.is_empty() {
            let group = group.to_owned();
            self.record(GroupEvent::OffsetsCommitted { group, offsets }, effects);
        }
        let answer = OffsetCommitResponse::default().with_topics(sorted.commit_answer());
        effects.push(Effect::Reply(call.ticket, Answer::OffsetCommit(answer)));
    }

    /// Offsets within a transaction. `permission` is the word of
    /// `TransactionCoordinator::may_commit_offsets` for the request's transactional id, producer
    /// and group. Offsets stay invisible until `end_transaction`.
    pub fn txn_offset_commit(
        &mut self,
        call: Call<'_>,
        request: &TxnOffsetCommitRequest,
        permission: Result<(), Code>,
        topics: &dyn Topics,
        effects: &mut Vec<Effect>,
    ) {
        let group = request.group_id.as_str();
        let committer = Committer {
            member: &request.member_id,
            instance: request.group_instance_id.as_ref().map(StrBytes::as_str),
            generation: request.generation_id,
            transactional: true,
        };
        let permission =
            permission.and_then(|()| self.permit(group, &committer, call.now, effects));
        let sorter = Sorter {
            topics,
            permission,
            order: self.next_order(group),
            settings: &self.settings,
        };
        let mut sorted = sorter.sort_txn_commit(&request.topics);
        let offsets = std::mem::take(&mut sorted.accepted);
        if !offsets.is_empty() {
            let (group, producer_id) = (group.to_owned(), request.producer_id.0);
            self.record(
                GroupEvent::OffsetsPending {
                    group,
                    producer_id,
                    offsets,
                },
                effects,
            );
        }
        let answer = TxnOffsetCommitResponse::default().with_topics(sorted.txn_commit_answer());
        effects.push(Effect::Reply(call.ticket, Answer::TxnOffsetCommit(answer)));
    }

    fn permit(
        &mut self,
        group: &str,
        committer: &Committer<'_>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Code> {
        let Some(known) = self.groups.get_mut(group) else {
            return committer.check_absent_group();
        };
        committer.check(&known.members)?;
        let step = Step {
            group,
            now,
            settings: &self.settings,
            effects,
        };
        known.members.sign_of_life(committer.member, &step);
        Ok(())
    }

    fn next_order(&self, group: &str) -> u64 {
        self.groups
            .get(group)
            .map_or(0, |known| known.offsets.next_order())
    }

    /// A transaction has ended: its offsets of the group become visible, or are dropped. Does
    /// nothing when the group has none of the producer, so that it may be repeated.
    pub fn end_transaction(
        &mut self,
        group: &str,
        producer_id: i64,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        if self
            .groups
            .get(group)
            .is_some_and(|known| known.offsets.is_pending(producer_id))
        {
            let group = group.to_owned();
            self.record(
                GroupEvent::TransactionEnded {
                    group,
                    producer_id,
                    outcome,
                },
                effects,
            );
        }
    }

    pub fn offset_fetch(
        &self,
        call: Call<'_>,
        request: &OffsetFetchRequest,
        effects: &mut Vec<Effect>,
    ) {
        let offsets_of = |group: &str| self.groups.get(group).map(|known| &known.offsets);
        let answer = fetch::answer(call.version, request, offsets_of);
        effects.push(Effect::Reply(call.ticket, Answer::OffsetFetch(answer)));
    }

    pub fn offset_delete(
        &mut self,
        call: Call<'_>,
        request: &OffsetDeleteRequest,
        topics: &dyn Topics,
        effects: &mut Vec<Effect>,
    ) {
        let group = request.group_id.as_str();
        let known = self.groups.get(group).ok_or(Code::GroupIdNotFound);
        let checked = known.and_then(|known| {
            commit::check_delete(&known.members)?;
            Ok(commit::sort_delete(&request.topics, &known.members, topics))
        });
        let answer = match checked {
            Err(error) => OffsetDeleteResponse::default().with_error_code(error.code()),
            Ok((answer, mut gone)) => {
                gone.retain(|(topic, partition)| self.has_offset(group, topic, *partition));
                if !gone.is_empty() {
                    let group = group.to_owned();
                    let deleted = GroupEvent::OffsetsDeleted {
                        group,
                        partitions: gone,
                    };
                    self.record(deleted, effects);
                }
                OffsetDeleteResponse::default().with_topics(answer)
            }
        };
        effects.push(Effect::Reply(call.ticket, Answer::OffsetDelete(answer)));
    }

    fn has_offset(&self, group: &str, topic: &str, partition: i32) -> bool {
        let offsets = self.groups.get(group).map(|known| &known.offsets);
        offsets.is_some_and(|offsets| offsets.get(topic, partition).is_some())
    }

    pub fn delete_groups(
        &mut self,
        call: Call<'_>,
        request: &DeleteGroupsRequest,
        effects: &mut Vec<Effect>,
    ) {
        let mut results = Vec::new();
        for group in &request.groups_names {
            let result = self.delete_group(group, effects);
            results.push(
                DeletableGroupResult::default()
                    .with_group_id(group.clone())
                    .with_error_code(code(result)),
            );
        }
        let answer = DeleteGroupsResponse::default().with_results(results);
        effects.push(Effect::Reply(call.ticket, Answer::DeleteGroups(answer)));
    }

    fn delete_group(&mut self, group: &str, effects: &mut Vec<Effect>) -> Result<(), Code> {
        let known = self.groups.get(group).ok_or(Code::GroupIdNotFound)?;
        if !known.members.is_empty() {
            return Err(Code::NonEmptyGroup);
        }
        self.record(
            GroupEvent::GroupDeleted {
                group: group.to_owned(),
            },
            effects,
        );
        Ok(())
    }

    pub fn describe_groups(
        &self,
        call: Call<'_>,
        request: &DescribeGroupsRequest,
        effects: &mut Vec<Effect>,
    ) {
        let operations = request.include_authorized_operations;
        let groups = request.groups.iter().map(|group| {
            let described = match self.groups.get(group.as_str()) {
                Some(known) => overview::described(group, &known.members),
                None => overview::unknown(group, call.version),
            };
            if operations {
                overview::with_operations(described)
            } else {
                described
            }
        });
        let answer = DescribeGroupsResponse::default().with_groups(groups.collect());
        effects.push(Effect::Reply(call.ticket, Answer::DescribeGroups(answer)));
    }

    pub fn list_groups(
        &self,
        call: Call<'_>,
        request: &ListGroupsRequest,
        effects: &mut Vec<Effect>,
    ) {
        let listed =
            |(name, known): (&String, &Group)| overview::listed(name, &known.members, request);
        let groups = self.groups.iter().filter_map(listed).collect();
        let answer = ListGroupsResponse::default().with_groups(groups);
        effects.push(Effect::Reply(call.ticket, Answer::ListGroups(answer)));
    }

    /// Committed offsets of a deleted topic vanish from every group. Also for the replay of the
    /// topic's deletion: the effects may then be dropped.
    pub fn topic_deleted(&mut self, topic: &str, effects: &mut Vec<Effect>) {
        let mut known = false;
        for group in self.groups.values_mut() {
            known |= group.offsets.forget_topic(topic);
        }
        if known {
            let topic = topic.to_owned();
            effects.push(Effect::Journal(GroupEvent::TopicDeleted { topic }));
        }
    }

    /// Does what is due at `now`. Early calls do nothing. Cost: O(members of groups that have any).
    pub fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let due: Vec<String> = self
            .timed
            .iter()
            .filter(|group| {
                let members = self.groups.get(*group).map(|known| &known.members);
                members
                    .and_then(Membership::next_deadline)
                    .is_none_or(|deadline| deadline <= now)
            })
            .cloned()
            .collect();
        for group in &due {
            if let Some(known) = self.groups.get_mut(group) {
                let mut step = Step {
                    group,
                    now,
                    settings: &self.settings,
                    effects,
                };
                known.members.tick(&mut step);
            }
            self.note_timers(group);
        }
    }

    /// When `tick` has something to do at the latest. Cost: O(members of groups that have any).
    pub fn next_deadline(&self) -> Option<Duration> {
        let timed = self.timed.iter().filter_map(|group| self.groups.get(group));
        timed
            .filter_map(|known| known.members.next_deadline())
            .min()
    }

    fn note_timers(&mut self, group: &str) {
        let members = self.groups.get(group).map(|known| &known.members);
        if members.and_then(Membership::next_deadline).is_some() {
            if !self.timed.contains(group) {
                self.timed.insert(group.to_owned());
            }
        } else {
            self.timed.remove(group);
        }
    }

    fn record(&mut self, event: GroupEvent, effects: &mut Vec<Effect>) {
        self.apply(event.clone());
        effects.push(Effect::Journal(event));
    }

    /// Replays one event of the journal. After the last one call `resume`.
    pub fn restore(&mut self, event: GroupEvent) {
        self.apply(event);
    }

    fn apply(&mut self, event: GroupEvent) {
        match event {
            GroupEvent::OffsetsCommitted { group, offsets } => {
                self.group(group).offsets.commit(offsets);
            }
            GroupEvent::OffsetsDeleted { group, partitions } => {
                let offsets = &mut self.group(group).offsets;
                for (topic, partition) in partitions {
                    offsets.delete(&topic, partition);
                }
            }
            GroupEvent::OffsetsPending {
                group,
                producer_id,
                offsets,
            } => {
                self.group(group)
                    .offsets
                    .commit_pending(producer_id, offsets);
            }
            GroupEvent::TransactionEnded {
                group,
                producer_id,
                outcome,
            } => {
                self.group(group)
                    .offsets
                    .end_transaction(producer_id, outcome);
            }
            GroupEvent::Members(mut record) => {
                if self.settings.members_at_restart == MembersAtRestart::Forgotten {
                    record.members.clear();
                }
                let group = record.group.clone();
                self.group(group).members = Membership::restore(record);
            }
            GroupEvent::GroupDeleted { group } => {
                self.groups.remove(&group);
                self.timed.remove(&group);
            }
            GroupEvent::TopicDeleted { topic } => {
                for group in self.groups.values_mut() {
                    group.offsets.forget_topic(&topic);
                }
            }
        }
    }

    fn group(&mut self, name: String) -> &mut Group {
        self.groups.entry(name).or_insert_with(Group::new)
    }

    /// After replay: every member that survived gets a fresh session from `now`.
    pub fn resume(&mut self, now: Duration) {
        for (name, group) in &mut self.groups {
            for member in group.members.members.values_mut() {
                member.renew(now);
            }
            if group.members.next_deadline().is_some() {
                self.timed.insert(name.clone());
            }
        }
    }

    /// Events whose replay gives this state, for a journal that is written anew. Who waits, and ids
    /// that have not joined, are not part of it: their callers ask again.
    pub fn snapshot(&self) -> Vec<GroupEvent> {
        let mut events = Vec::new();
        for (name, known) in &self.groups {
            let group = || name.clone();
            events.extend(known.members.journaled().cloned().map(GroupEvent::Members));
            if !known.offsets.committed().is_empty() {
                let offsets = known.offsets.committed().clone();
                events.push(GroupEvent::OffsetsCommitted {
                    group: group(),
                    offsets,
                });
            }
            for (producer_id, offsets) in known.offsets.pending() {
                let (producer_id, offsets) = (*producer_id, offsets.clone());
                events.push(GroupEvent::OffsetsPending {
                    group: group(),
                    producer_id,
                    offsets,
                });
            }
        }
        events
    }

    /// Every ticket that waits.
    #[cfg(test)]
    pub fn waiting(&self) -> Vec<Ticket> {
        let members = self
            .groups
            .values()
            .flat_map(|known| known.members.members.values());
        members
            .flat_map(|member| [member.joining, member.syncing])
            .flatten()
            .map(|waiter| waiter.ticket)
            .collect()
    }
}

fn checked_name(group: &str) -> Result<&str, Code> {
    if group.is_empty() {
        Err(Code::InvalidGroupId)
    } else {
        Ok(group)
    }
}
