//! The words between a member of a group, its user and its loop.
//!
//! Lives here: settings, what the user is told and answers, what the state machine is told and
//! wants done.
//! Never here: a decision.

use std::time::Duration;

use bytes::Bytes;

use crate::client::Backoff;
use crate::error::{ClientError, KafkaErrorCode as Code};

/// How one member behaves. All times are those of the Java properties of the same name.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    pub group_id: String,
    /// `group.instance.id`: a static member keeps its place over a restart and never leaves.
    pub group_instance_id: Option<String>,
    /// `consumer` or `connect`.
    pub protocol_type: String,
    /// What the user is called in logs here and at the coordinator: `consumer`, `worker`.
    pub user: &'static str,
    pub session_timeout: Duration,
    /// `max.poll.interval.ms` of consumers, `rebalance.timeout.ms` of workers: how long the others
    /// wait for this member in a rebalance, and how long its user may be away.
    pub rebalance_timeout: Duration,
    pub heartbeat_interval: Duration,
    pub retry_backoff: Backoff,
    pub request_timeout: Duration,
}

/// Who this member is, to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// -1: not a member, or no longer.
    pub generation_id: i32,
    /// Empty until the coordinator gave one out.
    pub member_id: String,
    /// The protocol that the group agreed on.
    pub protocol: Option<String>,
}

impl Generation {
    pub const NONE_ID: i32 = -1;

    pub(super) fn none() -> Self {
        Self {
            generation_id: Self::NONE_ID,
            member_id: String::new(),
            protocol: None,
        }
    }

    pub fn is_member(&self) -> bool {
        self.generation_id != Self::NONE_ID && !self.member_id.is_empty()
    }
}

/// What the user of a membership is told. Each but `Failed` asks for one answer.
#[derive(Debug, Clone)]
pub enum GroupEvent {
    /// The group rebalances, or this member is not in it: answer with `join`.
    ///
    /// `Prepare::Revoke`: first give up what the rebalance protocol says. When the member has lost
    /// its generation by now (see [`Generation::is_member`]) everything is lost already.
    Rejoin(Prepare),
    /// This member leads: answer with `assign`.
    Elected(Election),
    /// The rebalance is complete; nothing to answer.
    Joined(Joined),
    /// The group cannot be joined. Nothing more happens until the user asks to rejoin.
    Failed(ClientError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepare {
    Revoke,
    /// The rebalance started over before it was complete; what was to be revoked has been.
    Again,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub metadata: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    pub generation_id: i32,
    pub leader_id: String,
    pub protocol: String,
    pub members: Vec<JoinedMember>,
    /// A static leader came back to a group that did not change: nothing is to be assigned, but the
    /// leader has to watch for changes again. (JoinGroup 9)
    pub skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub generation_id: i32,
    pub member_id: String,
    pub protocol: String,
    pub leader: bool,
    pub assignment: Bytes,
}

/// What wakes the machine.
#[derive(Debug, Clone)]
pub enum Event {
    Tick,
    /// The user was alive at the time of the step, which may lie in the past.
    Polled,
    /// Answer to [`GroupEvent::Rejoin`]: protocols in the order of preference.
    Join(Vec<(String, Bytes)>),
    /// Answer to [`GroupEvent::Elected`].
    Assign(Vec<(String, Bytes)>),
    /// The user cannot assign; the rebalance fails and is tried again when the error is retriable.
    AssignFailed(ClientError),
    /// The user wants a rebalance, or to be in the group at all.
    RequestRejoin(String),
    Leave(String),
    /// A request of the user (a commit) was answered with an error about the membership it was sent with.
    UserError(Generation, Code),
    Coordinator(Result<i32, ClientError>),
    JoinAnswered(u64, Result<JoinAnswer, ClientError>),
    SyncAnswered(u64, Result<SyncAnswer, ClientError>),
    HeartbeatAnswered(Generation, Result<(), ClientError>),
}

#[derive(Debug, Clone)]
pub struct JoinAnswer {
    pub generation_id: i32,
    pub member_id: String,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: String,
    /// Only the leader is told.
    pub members: Vec<JoinedMember>,
    pub skip_assignment: bool,
    /// With `MEMBER_ID_REQUIRED` only `member_id` means something.
    pub member_id_required: bool,
}

#[derive(Debug, Clone)]
pub struct SyncAnswer {
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub assignment: Bytes,
}

/// What the loop has to do. Answers come back as events with the same number or generation.
#[derive(Debug, Clone)]
pub enum Action {
    FindCoordinator,
    Join {
        attempt: u64,
        member_id: String,
        protocols: Vec<(String, Bytes)>,
        reason: String,
    },
    Sync {
        attempt: u64,
        generation: Generation,
        assignments: Vec<(String, Bytes)>,
    },
    Heartbeat(Generation),
    Leave {
        member_id: String,
        reason: String,
    },
    Notify(GroupEvent),
    /// For the log of the loop.
    Note(Note),
}

/// What an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    CoordinatorFound(i32),
    /// Several times in a row; one failure is nothing while a coordinator starts or moves.
    CoordinatorNotFound(String),
    CoordinatorLost(String),
    GenerationLost(String),
    /// The user was away for longer than `rebalance_timeout`.
    PollTimeout,
    Joined {
        generation_id: i32,
        leader: bool,
    },
    RejoinRequested(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not in the group and not asked to be.
    Outside,
    /// The user was told to prepare and has not answered.
    Preparing,
    /// The join is to be sent, or is under way.
    Joining,
    /// Leads, and the user has not answered with assignments.
    Assigning,
    Syncing,
    Stable,
    /// Gave up with an error.
    Failed,
}
