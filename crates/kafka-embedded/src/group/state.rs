//! One group's members and where the group stands.
//!
//! Lives here: the state, a member, which protocol and which leader a generation gets, who is a
//! member at all.
//! Never here: what moves the group from state to state (`join`, `rebalance`, `sync`), offsets.
//! Source: `ClassicGroup` in apache/kafka, group-coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use super::events::{GroupEvent, MemberRecord, MembersRecord};
use super::words::{Answer, Effect, GroupSettings, Ticket};

/// A caller that waits for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) version: i16,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    /// Static members have one: they keep their place over a restart.
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// In the member's order of preference; the bytes are opaque.
    pub(super) protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// Lower joined earlier.
    pub(super) joined: u64,
    pub(super) session_ends: Duration,
    /// No join of it has been answered yet.
    pub(super) fresh: bool,
    pub(super) joining: Option<Waiter>,
    pub(super) syncing: Option<Waiter>,
    /// It has sent SyncGroup in this generation.
    pub(super) synced: bool,
}

/// What a rebalance waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barrier {
    /// First members of an empty group: for a pause in which nobody joins, within limits.
    Initial {
        until: Duration,
        left: Duration,
        joined_since: bool,
    },
    /// For everybody, or until then.
    Rejoin { until: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Empty,
    Preparing(Barrier),
    /// Joins are answered, the leader's assignment is not there.
    Completing {
        sync_until: Duration,
    },
    /// `sync_until` while members are missing that have not fetched their assignment.
    Stable {
        sync_until: Option<Duration>,
    },
}

impl State {
    /// As Kafka prints it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing(_) => "PreparingRebalance",
            Self::Completing { .. } => "CompletingRebalance",
            Self::Stable { .. } => "Stable",
        }
    }
}

/// What one step of a group needs beside the group.
pub(super) struct Step<'a> {
    pub(super) group: &'a str,
    pub(super) now: Duration,
    pub(super) settings: &'a GroupSettings,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    pub(super) fn reply(&mut self, ticket: Ticket, answer: Answer) {
        self.effects.push(Effect::Reply(ticket, answer));
    }
}

#[derive(Debug)]
pub(super) struct Membership {
    pub(super) state: State,
    pub(super) generation: i32,
    /// Kept when the group empties; none in a group that only has offsets.
    pub(super) protocol_type: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: BTreeMap<String, Member>,
    /// Member ids of static members by their instance ids.
    pub(super) statics: BTreeMap<String, String>,
    /// Ids that were given out (79) and have not joined, with the end of their session.
    pub(super) pending: BTreeMap<String, Duration>,
    /// What a restart would find. In a rebalance this is the generation before it.
    journaled: Option<MembersRecord>,
    next_joined: u64,
}

impl Membership {
    pub(super) fn new() -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            journaled: None,
            next_joined: 0,
        }
    }

    pub(super) fn take_joined(&mut self) -> u64 {
        self.next_joined += 1;
        self.next_joined - 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    pub(super) fn is_leader(&self, member: &str) -> bool {
        self.leader.as_deref() == Some(member)
    }

    pub(super) fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// 25 for a stranger, 82 for a static member whose place another id has taken.
    pub(super) fn check_member(&self, member: &str, instance: Option<&str>) -> Result<(), Code> {
        match instance {
            Some(instance) => match self.statics.get(instance) {
                None => Err(Code::UnknownMemberId),
                Some(owner) if owner != member => Err(Code::FencedInstanceId),
                Some(_) => Ok(()),
            },
            None if self.members.contains_key(member) => Ok(()),
            None => Err(Code::UnknownMemberId),
        }
    }

    /// Whether a member of this type and with these protocols could be one of the group.
    pub(super) fn supports(
        &self,
        protocol_type: &str,
        protocols: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|protocol| self.all_offer(&protocol.name))
    }

    fn all_offer(&self, protocol: &str) -> bool {
        self.members
            .values()
            .all(|member| member.metadata(protocol).is_some())
    }

    /// Among the protocols that all offer, the one that is the first choice of most; of equals,
    /// the one that the oldest member prefers. None without members.
    /// Cost: O(all members' protocols).
    pub(super) fn select_protocol(&self) -> Option<String> {
        let mut offers: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let names: BTreeSet<&str> = member.protocol_names().collect();
            for name in names {
                *offers.entry(name).or_default() += 1;
            }
        }
        let all_offer = |name: &&str| offers.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(choice) = member.protocol_names().find(all_offer) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        let mut names = self.oldest(|_| true)?.protocol_names();
        names
            .find(|name| votes.get(name) == Some(&most))
            .map(str::to_owned)
    }

    pub(super) fn oldest(&self, which: impl Fn(&Member) -> bool) -> Option<&Member> {
        self.members
            .values()
            .filter(|member| which(member))
            .min_by_key(|member| member.joined)
    }

    pub(super) fn in_order(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.values().collect();
        members.sort_by_key(|member| member.joined);
        members
    }

    /// The largest of the members': how long a rebalance waits.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    pub(super) fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some())
    }

    pub(super) fn all_synced(&self) -> bool {
        self.members.values().all(|member| member.synced)
    }

    /// When `tick` has something to do at the latest. Cost: O(members).
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let state = match self.state {
            State::Empty => None,
            State::Preparing(Barrier::Initial { until, .. } | Barrier::Rejoin { until }) => {
                Some(until)
            }
            State::Completing { sync_until } => Some(sync_until),
            State::Stable { sync_until } => sync_until,
        };
        let sessions = self.members.values().filter_map(Member::expires);
        sessions
            .chain(self.pending.values().copied())
            .chain(state)
            .min()
    }

    pub(super) fn journaled(&self) -> Option<&MembersRecord> {
        self.journaled.as_ref()
    }

    /// A restart shall find the group as it is now.
    pub(super) fn journal(&mut self, step: &mut Step<'_>) {
        let record = self.record(step.group);
        step.effects
            .push(Effect::Journal(GroupEvent::Members(record.clone())));
        self.journaled = Some(record);
    }

    fn record(&self, group: &str) -> MembersRecord {
        MembersRecord {
            group: group.to_owned(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.in_order().into_iter().map(Member::record).collect(),
        }
    }

    /// The membership that the journal knew. Sessions end at zero until `resume` renews them.
    pub(super) fn restore(record: MembersRecord) -> Self {
        let mut restored = Self::new();
        restored.journaled = Some(record.clone());
        restored.generation = record.generation;
        restored.protocol_type = Some(record.protocol_type).filter(|name| !name.is_empty());
        for member in record.members {
            let joined = restored.take_joined();
            if let Some(instance) = &member.instance_id {
                restored.statics.insert(instance.clone(), member.id.clone());
            }
            restored
                .members
                .insert(member.id.clone(), Member::restore(member, joined));
        }
        if !restored.members.is_empty() {
            restored.state = State::Stable { sync_until: None };
            restored.protocol = record.protocol;
            restored.leader = record.leader;
        }
        restored
    }
}

impl Member {
    fn protocol_names(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata)
    }

    /// Same protocols, same bytes, same order.
    pub(super) fn matches(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|((name, metadata), other)| {
                    *name == *other.name && *metadata == other.metadata
                })
    }

    /// A member that waits for an answer of ours is alive; only a first join may take so long
    /// that it is given up.
    pub(super) fn expires(&self) -> Option<Duration> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.fresh || !waits).then_some(self.session_ends)
    }

    pub(super) fn renew(&mut self, now: Duration) {
        self.session_ends = now + self.session_timeout;
    }

    fn record(&self) -> MemberRecord {
        MemberRecord {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            protocols: self.protocols.clone(),
            assignment: self.assignment.clone(),
        }
    }

    fn restore(record: MemberRecord, joined: u64) -> Self {
        Self {
            id: record.id,
            instance_id: record.instance_id,
            client_id: record.client_id,
            client_host: record.client_host,
            session_timeout: record.session_timeout,
            rebalance_timeout: record.rebalance_timeout,
            protocols: record.protocols,
            assignment: record.assignment,
            joined,
            session_ends: Duration::ZERO,
            fresh: false,
            joining: None,
            syncing: None,
            synced: true,
        }
    }
}
