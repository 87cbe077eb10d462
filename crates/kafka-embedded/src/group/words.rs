//! The words between a coordinator and its owner.
//!
//! Lives here: who calls, what is to be done about it, what the coordinator asks the outside
//! world, and the settings. The transaction coordinator uses `Ticket`, `Call` and `Topics` too.
//! Never here: a decision.

use std::time::Duration;

use kafka_protocol::messages::{
    DeleteGroupsResponse, DescribeGroupsResponse, HeartbeatResponse, JoinGroupResponse,
    LeaveGroupResponse, ListGroupsResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, SyncGroupResponse, TxnOffsetCommitResponse,
};

use super::events::GroupEvent;

/// Stands for a caller who waits. The owner gives it out and must not use it twice; each ticket
/// gets exactly one answer, at once or after a `tick`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who sent a request, how, and when.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub ticket: Ticket,
    /// The version of the API that the request came in. Answers fit this version.
    pub version: i16,
    /// Time since a start of the owner's choice; it must not go back.
    pub now: Duration,
    /// `client.id` of the request's header; empty when it was null.
    pub client_id: &'a str,
    /// Where the connection comes from, as Kafka prints it: `/127.0.0.1`.
    pub client_host: &'a str,
}

/// What the outside world knows about topics.
pub trait Topics {
    fn contains(&self, topic: &str) -> bool;
    fn contains_partition(&self, topic: &str, partition: i32) -> bool;
}

/// What the group coordinator wants done. The owner carries effects out in their order: what
/// is journaled before an answer must be in the journal before that answer leaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Journal(GroupEvent),
    Reply(Ticket, Answer),
}

/// An answer that can be encoded in the version its request came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    OffsetFetch(OffsetFetchResponse),
    OffsetDelete(OffsetDeleteResponse),
    DeleteGroups(DeleteGroupsResponse),
    DescribeGroups(DescribeGroupsResponse),
    ListGroups(ListGroupsResponse),
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    Abort,
}

/// Whether members that the journal knows are members again after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersAtRestart {
    /// As in Kafka: each gets a fresh session and goes on without a rebalance.
    Survive,
    /// For a log whose members end with it: a member that cannot come back would hold its group
    /// until its session ends. Offsets and the generation number stay.
    Forgotten,
}

/// Kafka's broker properties of the same names.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long the first join of an empty group waits for
    /// others. Kafka's default is 3 s; zero answers at once.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`, 6 s. A join below it gets 26.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`, 30 min. A join above it gets 26.
    pub session_timeout_max: Duration,
    /// `group.max.size`: more members, or ids that were given out, get 81.
    pub members_max: usize,
    /// `offset.metadata.max.bytes`, 4096, counted as Java counts characters. More gets 12.
    pub offset_metadata_max: usize,
    pub members_at_restart: MembersAtRestart,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::from_millis(100),
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(1800),
            members_max: 10_000,
            offset_metadata_max: 4096,
            members_at_restart: MembersAtRestart::Survive,
        }
    }
}
