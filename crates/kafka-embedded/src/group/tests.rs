//! Tests of the group coordinator with explicit time.
//!
//! Lives here: a world of one coordinator whose every answer is encoded in the version it was
//! asked in. Never here: a clock.

mod commits;
mod joining;
mod journal;
mod overview;
mod simulation;
mod static_members;
mod timeouts;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::*;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct TwoTopics;

/// `orders` with partitions 0 to 3, and `paid` with 0.
impl Topics for TwoTopics {
    fn contains(&self, topic: &str) -> bool {
        ["orders", "paid"].contains(&topic)
    }

    fn contains_partition(&self, topic: &str, partition: i32) -> bool {
        match topic {
            "orders" => (0..4).contains(&partition),
            "paid" => partition == 0,
            _ => false,
        }
    }
}

fn settings() -> GroupSettings {
    GroupSettings {
        initial_rebalance_delay: Duration::ZERO,
        ..GroupSettings::default()
    }
}

struct World {
    groups: GroupCoordinator,
    now: Duration,
    next_ticket: u64,
    /// Tickets that wait, and the versions they were asked in.
    open: BTreeMap<Ticket, i16>,
    answers: BTreeMap<Ticket, Answer>,
    /// The group of each join.
    joins: BTreeMap<Ticket, String>,
    journal: Vec<GroupEvent>,
}

impl World {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: GroupSettings) -> Self {
        Self {
            groups: GroupCoordinator::new(settings, 7),
            now: secs(1000),
            next_ticket: 0,
            open: BTreeMap::new(),
            answers: BTreeMap::new(),
            joins: BTreeMap::new(),
            journal: Vec::new(),
        }
    }

    /// Runs one call of the coordinator and keeps what comes of it.
    fn call(
        &mut self,
        version: i16,
        run: impl FnOnce(&mut GroupCoordinator, Call<'_>, &mut Vec<Effect>),
    ) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.open.insert(ticket, version);
        let call = Call {
            ticket,
            version,
            now: self.now,
            client_id: "client",
            client_host: "/127.0.0.1",
        };
        let mut effects = Vec::new();
        run(&mut self.groups, call, &mut effects);
        self.take(effects);
        ticket
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Journal(event) => {
                    let mut bytes = Vec::new();
                    event.encode(&mut bytes);
                    assert_eq!(GroupEvent::decode(&bytes), Ok(event.clone()));
                    self.journal.push(event);
                }
                Effect::Reply(ticket, answer) => {
                    let version = self
                        .open
                        .remove(&ticket)
                        .expect("a ticket is answered once");
                    assert_encodes(&answer, version);
                    self.answers.insert(ticket, answer);
                }
            }
        }
    }

    fn tick(&mut self) {
        let mut effects = Vec::new();
        self.groups.tick(self.now, &mut effects);
        self.take(effects);
    }

    /// Lets time pass from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self
            .groups
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.now = self.now.max(deadline);
            self.tick();
        }
        self.now = end;
    }

    /// A new coordinator from the journal; callers who waited are gone.
    fn restart(&mut self, settings: GroupSettings) {
        self.groups = GroupCoordinator::new(settings, self.next_ticket + 1_000);
        for event in self.journal.clone() {
            self.groups.restore(event);
        }
        self.groups.resume(self.now);
        self.open.clear();
    }

    fn waits(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    fn join(&mut self, version: i16, request: JoinGroupRequest) -> Ticket {
        let ticket = self.call(version, |groups, call, effects| {
            groups.join_group(call, &request, effects)
        });
        self.joins.insert(ticket, request.group_id.to_string());
        ticket
    }

    #[track_caller]
    fn joined(&self, ticket: Ticket) -> &JoinGroupResponse {
        match self.answers.get(&ticket) {
            Some(Answer::JoinGroup(answer)) => answer,
            other => panic!("join waits or is {other:?}"),
        }
    }

    /// A dynamic member that gets its id and joins; the join may wait.
    fn enter(&mut self, group: &str, protocols: &[(&str, &str)]) -> (String, Ticket) {
        let ticket = self.join(9, join_request(group, "", protocols));
        let id = self.joined(ticket).member_id.to_string();
        assert_eq!(self.joined(ticket).error_code, 79);
        (
            id.clone(),
            self.join(9, join_request(group, &id, protocols)),
        )
    }

    fn sync(&mut self, group: &str, generation: i32, id: &str, given: &[(&str, &str)]) -> Ticket {
        let request = sync_request(group, generation, id, given);
        self.call(4, |groups, call, effects| {
            groups.sync_group(call, &request, effects)
        })
    }

    #[track_caller]
    fn synced(&self, ticket: Ticket) -> (i16, Bytes) {
        match self.answers.get(&ticket) {
            Some(Answer::SyncGroup(answer)) => (answer.error_code, answer.assignment.clone()),
            other => panic!("sync waits or is {other:?}"),
        }
    }

    fn heartbeat(&mut self, group: &str, generation: i32, id: &str) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id(generation)
            .with_member_id(text(id));
        let ticket = self.call(4, |groups, call, effects| {
            groups.heartbeat(call, &request, effects)
        });
        match &self.answers[&ticket] {
            Answer::Heartbeat(answer) => answer.error_code,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, group: &str, ids: &[&str]) -> Vec<i16> {
        let member = |id: &&str| MemberIdentity::default().with_member_id(text(id));
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_members(ids.iter().map(member).collect());
        let ticket = self.call(5, |groups, call, effects| {
            groups.leave_group(call, &request, effects)
        });
        match &self.answers[&ticket] {
            Answer::LeaveGroup(answer) => {
                assert_eq!(answer.error_code, 0);
                answer
                    .members
                    .iter()
                    .map(|member| member.error_code)
                    .collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Commits offset 5 of `orders-0`.
    fn commit(&mut self, group: &str, generation: i32, id: &str) -> i16 {
        self.commit_of(group, generation, id, "orders", 0, 5, "")
    }

    #[expect(clippy::too_many_arguments, reason = "a row of a table")]
    fn commit_of(
        &mut self,
        group: &str,
        generation: i32,
        id: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: &str,
    ) -> i16 {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(metadata)));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(text(id))
            .with_topics(vec![topic]);
        let ticket = self.call(8, |groups, call, effects| {
            groups.offset_commit(call, &request, &TwoTopics, effects);
        });
        match &self.answers[&ticket] {
            Answer::OffsetCommit(answer) => answer.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    /// `(offset, metadata, error)`.
    fn committed(&mut self, group: &str, topic: &str, partition: i32) -> (i64, String, i16) {
        self.fetch(group, topic, partition, false)
    }

    fn fetch(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        stable: bool,
    ) -> (i64, String, i16) {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partition_indexes(vec![partition]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(Some(vec![topic]))
            .with_require_stable(stable);
        let ticket = self.call(7, |groups, call, effects| {
            groups.offset_fetch(call, &request, effects)
        });
        match &self.answers[&ticket] {
            Answer::OffsetFetch(answer) => {
                let found = &answer.topics[0].partitions[0];
                let metadata = found.metadata.as_ref().expect("never null");
                (
                    found.committed_offset,
                    metadata.to_string(),
                    found.error_code,
                )
            }
            other => panic!("{other:?}"),
        }
    }

    /// Members enter, the first leads, everybody gets `<number>`; returns their ids.
    fn stable_group(&mut self, group: &str, members: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut tickets = Vec::new();
        for _ in 0..members {
            let (id, ticket) = self.enter(group, &[("range", "m")]);
            ids.push(id);
            tickets.push(ticket);
            // Everybody else hears of the newcomer and joins again.
            for (id, ticket) in ids.iter().zip(&mut tickets) {
                if !self.waits(*ticket) && self.heartbeat(group, self.generation(group), id) == 27 {
                    *ticket = self.join(9, join_request(group, id, &[("range", "m")]));
                }
            }
        }
        let generation = self.joined(tickets[0]).generation_id;
        let numbers: Vec<String> = (0..members).map(|number| number.to_string()).collect();
        let given: Vec<(&str, &str)> = ids
            .iter()
            .map(String::as_str)
            .zip(numbers.iter().map(String::as_str))
            .collect();
        let syncs: Vec<Ticket> = ids
            .iter()
            .map(|id| self.sync(group, generation, id, &given))
            .collect();
        for (number, ticket) in syncs.into_iter().enumerate() {
            assert_eq!(self.synced(ticket), (0, Bytes::from(number.to_string())));
        }
        ids
    }

    /// The newest generation that a join of the group was told.
    fn generation(&self, group: &str) -> i32 {
        let joins = self.joins.iter().filter(|(_, name)| *name == group);
        let generations = joins.filter_map(|(ticket, _)| match self.answers.get(ticket) {
            Some(Answer::JoinGroup(answer)) => Some(answer.generation_id),
            _ => None,
        });
        generations.max().unwrap_or(-1)
    }
}

fn join_request(group: &str, id: &str, protocols: &[(&str, &str)]) -> JoinGroupRequest {
    let protocol = |(name, metadata): &(&str, &str)| {
        JoinGroupRequestProtocol::default()
            .with_name(text(name))
            .with_metadata(Bytes::from((*metadata).to_owned()))
    };
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(id))
        .with_protocol_type(text("connect"))
        .with_protocols(protocols.iter().map(protocol).collect())
}

fn sync_request(
    group: &str,
    generation: i32,
    id: &str,
    given: &[(&str, &str)],
) -> SyncGroupRequest {
    let assignment = |(id, bytes): &(&str, &str)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(id))
            .with_assignment(Bytes::from((*bytes).to_owned()))
    };
    SyncGroupRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_generation_id(generation)
        .with_member_id(text(id))
        .with_assignments(given.iter().map(assignment).collect())
}

fn assert_encodes(answer: &Answer, version: i16) {
    let mut bytes = BytesMut::new();
    let encoded = match answer {
        Answer::JoinGroup(answer) => answer.encode(&mut bytes, version),
        Answer::SyncGroup(answer) => answer.encode(&mut bytes, version),
        Answer::Heartbeat(answer) => answer.encode(&mut bytes, version),
        Answer::LeaveGroup(answer) => answer.encode(&mut bytes, version),
        Answer::OffsetCommit(answer) => answer.encode(&mut bytes, version),
        Answer::TxnOffsetCommit(answer) => answer.encode(&mut bytes, version),
        Answer::OffsetFetch(answer) => answer.encode(&mut bytes, version),
        Answer::OffsetDelete(answer) => answer.encode(&mut bytes, version),
        Answer::DeleteGroups(answer) => answer.encode(&mut bytes, version),
        Answer::DescribeGroups(answer) => answer.encode(&mut bytes, version),
        Answer::ListGroups(answer) => answer.encode(&mut bytes, version),
    };
    encoded.unwrap_or_else(|error| panic!("version {version} cannot say {answer:?}: {error}"));
}

/// SplitMix64, so that a failing seed replays.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

#[test]
fn member_ids_are_never_the_same() {
    let mut seen = BTreeSet::new();
    for seed in [0, 1, u64::MAX] {
        let mut ids = super::member_ids::MemberIds::new(seed);
        for _ in 0..1000 {
            assert!(seen.insert(ids.next("c")));
        }
    }
}
