//! JoinGroup: how a member comes in, comes again, or comes back under a new id.
//!
//! Lives here: what a join means in each state, ids that are given out first.
//! Never here: when the join is answered (`rebalance`), bytes of answers (`answers`).
//! Source: `GroupMetadataManager.classicGroupJoin` in apache/kafka, group-coordinator.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::JoinGroupRequest;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;

use super::answers;
use super::state::{Barrier, Member, Membership, State, Step, Waiter};
use super::words::{Answer, Call};

/// How long a new member may wait for its first answer before it is given up.
const FIRST_JOIN_MAX: Duration = Duration::from_secs(300);
/// From this version an unknown dynamic member gets an id (79) before it may join: an answer that
/// is lost then leaves no member behind that nobody is.
const JOIN_GIVES_ID_FIRST: i16 = 4;
/// JoinGroup 0 has no rebalance timeout; the session timeout stands for it.
const REBALANCE_TIMEOUT_ABSENT: i32 = -1;

/// A join whose group and times are in order.
pub(super) struct Join<'a> {
    pub(super) call: Call<'a>,
    pub(super) request: &'a JoinGroupRequest,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
}

impl<'a> Join<'a> {
    /// 26 for a session timeout outside the settings.
    pub(super) fn check(
        call: Call<'a>,
        request: &'a JoinGroupRequest,
        step: &Step<'_>,
    ) -> Result<Self, Code> {
        let session_timeout = u64::try_from(request.session_timeout_ms)
            .map(Duration::from_millis)
            .ok()
            .filter(|timeout| {
                (step.settings.session_timeout_min..=step.settings.session_timeout_max)
                    .contains(timeout)
            })
            .ok_or(Code::InvalidSessionTimeout)?;
        let rebalance_timeout = match request.rebalance_timeout_ms {
            REBALANCE_TIMEOUT_ABSENT => session_timeout,
            // Not zero: a barrier that only static members are missing at would be looked at
            // without a pause.
            timeout => Duration::from_millis(u64::try_from(timeout).unwrap_or(0).max(1)),
        };
        Ok(Self {
            call,
            request,
            session_timeout,
            rebalance_timeout,
        })
    }

    fn waiter(&self) -> Waiter {
        Waiter {
            ticket: self.call.ticket,
            version: self.call.version,
        }
    }

    fn instance(&self) -> Option<&str> {
        self.request
            .group_instance_id
            .as_ref()
            .map(|instance| instance.as_str())
    }

    /// Copies, because what a request holds is a slice of its whole frame.
    fn protocols(&self) -> Vec<(String, Bytes)> {
        let copy = |protocol: &JoinGroupRequestProtocol| {
            (
                protocol.name.as_str().to_owned(),
                Bytes::copy_from_slice(&protocol.metadata),
            )
        };
        self.request.protocols.iter().map(copy).collect()
    }

    fn member(&self, id: &str, joined: u64) -> Member {
        Member {
            id: id.to_owned(),
            instance_id: self.instance().map(str::to_owned),
            client_id: self.call.client_id.to_owned(),
            client_host: self.call.client_host.to_owned(),
            session_timeout: self.session_timeout,
            rebalance_timeout: self.rebalance_timeout,
            protocols: self.protocols(),
            assignment: Bytes::new(),
            joined,
            session_ends: self.call.now + FIRST_JOIN_MAX,
            fresh: true,
            joining: Some(self.waiter()),
            syncing: None,
            synced: false,
        }
    }
}

impl Membership {
    /// Answers at once with an error, or now or later with a generation. `new_id` is used when
    /// the member has none.
    pub(super) fn join(
        &mut self,
        join: &Join<'_>,
        new_id: impl FnOnce() -> String,
        step: &mut Step<'_>,
    ) -> Result<(), Code> {
        let member = join.request.member_id.as_str();
        if !self.has_room_for(member, step.settings.members_max) {
            return Err(Code::GroupMaxSizeReached);
        }
        if !self.supports(&join.request.protocol_type, &join.request.protocols) {
            return Err(Code::InconsistentGroupProtocol);
        }
        if !member.is_empty() {
            return self.join_known(join, step);
        }
        let id = new_id();
        let before = join
            .instance()
            .and_then(|instance| self.statics.get(instance))
            .cloned();
        if let Some(before) = before {
            self.come_back(join, &before, id, step);
        } else if join.instance().is_none() && join.call.version >= JOIN_GIVES_ID_FIRST {
            self.pending
                .insert(id.clone(), step.now + join.session_timeout);
            let answer = answers::join_error(join.call.version, &id, Code::MemberIdRequired);
            step.reply(join.call.ticket, answer);
        } else {
            self.add(join, &id, step);
        }
        Ok(())
    }

    fn has_room_for(&self, member: &str, max: usize) -> bool {
        self.members.contains_key(member)
            || self.pending.contains_key(member)
            || self.members.len() + self.pending.len() < max
    }

    fn join_known(&mut self, join: &Join<'_>, step: &mut Step<'_>) -> Result<(), Code> {
        let id = join.request.member_id.as_str();
        if self.pending.contains_key(id) {
            self.add(join, id, step);
            return Ok(());
        }
        self.check_member(id, join.instance())?;
        let member = self.members.get_mut(id).ok_or(Code::UnknownMemberId)?;
        let same = member.matches(&join.request.protocols);
        let answered_at_once = match self.state {
            State::Empty => return Err(Code::UnknownMemberId),
            State::Preparing(_) => false,
            // Most likely the answer of the first join was lost.
            State::Completing { .. } => same,
            State::Stable { .. } => same && !self.is_leader(id),
        };
        if answered_at_once {
            let answer = answers::joined(self, id, join.call.version);
            step.reply(join.call.ticket, Answer::JoinGroup(answer));
        } else {
            self.update(join, id, step);
            self.rebalance(step);
        }
        Ok(())
    }

    fn add(&mut self, join: &Join<'_>, id: &str, step: &mut Step<'_>) {
        if let State::Preparing(Barrier::Initial { joined_since, .. }) = &mut self.state {
            *joined_since = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.request.protocol_type.as_str().to_owned());
        }
        let joined = self.take_joined();
        self.pending.remove(id);
        self.members.insert(id.to_owned(), join.member(id, joined));
        if let Some(instance) = join.instance() {
            self.statics.insert(instance.to_owned(), id.to_owned());
        }
        if self.leader.is_none() {
            self.leader = Some(id.to_owned());
        }
        self.rebalance(step);
    }

    /// Takes over what a member says of itself, and lets it wait.
    fn update(&mut self, join: &Join<'_>, id: &str, step: &mut Step<'_>) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.protocols = join.protocols();
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        // A second join of one member: the caller of the first is gone, or must ask again.
        if let Some(waiter) = member.joining.replace(join.waiter()) {
            let answer = answers::join_error(waiter.version, id, Code::RebalanceInProgress);
            step.reply(waiter.ticket, answer);
        }
    }

    /// A static member under a new id takes the place of its old one, which is fenced (82). The
    /// generation goes on unless the group would now agree on another protocol.
    fn come_back(&mut self, join: &Join<'_>, before: &str, id: String, step: &mut Step<'_>) {
        let leader_before = self.leader.clone();
        let Some(mut member) = self.members.remove(before) else {
            return;
        };
        if let Some(waiter) = member.joining.take() {
            let answer = answers::join_error(waiter.version, before, Code::FencedInstanceId);
            step.reply(waiter.ticket, answer);
        }
        if let Some(waiter) = member.syncing.take() {
            step.reply(waiter.ticket, answers::sync_error(Code::FencedInstanceId));
        }
        if self.is_leader(before) {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &member.instance_id {
            self.statics.insert(instance.clone(), id.clone());
        }
        member.id.clone_from(&id);
        member.client_id = join.call.client_id.to_owned();
        member.client_host = join.call.client_host.to_owned();
        self.members.insert(id.clone(), member);
        self.update(join, &id, step);
        if let Some(member) = self.members.get_mut(&id) {
            member.renew(step.now);
        }
        let goes_on =
            matches!(self.state, State::Stable { .. }) && self.select_protocol() == self.protocol;
        if !goes_on {
            self.rebalance(step);
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = None;
        }
        self.journal(step);
        let version = join.call.version;
        let answer = answers::came_back(self, &id, leader_before.as_deref(), version);
        step.reply(join.call.ticket, Answer::JoinGroup(answer));
    }
}
