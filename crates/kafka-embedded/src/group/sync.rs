//! SyncGroup, Heartbeat and LeaveGroup: what members do between joins.
//!
//! Lives here: who gets which assignment and when, signs of life, leaving.
//! Never here: the barrier of a join (`rebalance`), offsets.
//! Source: `GroupMetadataManager.classicGroupSync`, `classicGroupHeartbeat`, `classicGroupLeave`.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{HeartbeatRequest, SyncGroupRequest};
use kafka_protocol::protocol::StrBytes;

use super::answers;
use super::state::{Membership, State, Step, Waiter};
use super::words::Call;

/// From this version SyncGroup says which protocol the member believes in, and must.
const SYNC_NAMES_PROTOCOL: i16 = 5;

impl Membership {
    pub(super) fn sync(
        &mut self,
        call: Call<'_>,
        request: &SyncGroupRequest,
        step: &mut Step<'_>,
    ) -> Result<(), Code> {
        let id = request.member_id.as_str();
        self.check_sync(call.version, request)?;
        match self.state {
            State::Empty => return Err(Code::UnknownMemberId),
            State::Preparing(_) => return Err(Code::RebalanceInProgress),
            State::Completing { .. } => {
                let member = self.members.get_mut(id).ok_or(Code::UnknownMemberId)?;
                member.synced = true;
                let waiter = Waiter {
                    ticket: call.ticket,
                    version: call.version,
                };
                // A second sync of one member: the caller of the first must ask again.
                if let Some(waiter) = member.syncing.replace(waiter) {
                    step.reply(
                        waiter.ticket,
                        answers::sync_error(Code::RebalanceInProgress),
                    );
                }
                if self.is_leader(id) {
                    self.hand_out(request, step);
                }
            }
            State::Stable { .. } => {
                let member = self.members.get_mut(id).ok_or(Code::UnknownMemberId)?;
                member.synced = true;
                let assignment = member.assignment.clone();
                step.reply(call.ticket, answers::synced(self, assignment));
                if self.all_synced() {
                    self.state = State::Stable { sync_until: None };
                }
            }
        }
        Ok(())
    }

    fn check_sync(&self, version: i16, request: &SyncGroupRequest) -> Result<(), Code> {
        let instance = request.group_instance_id.as_ref().map(StrBytes::as_str);
        let names = [
            (&request.protocol_type, &self.protocol_type),
            (&request.protocol_name, &self.protocol),
        ];
        if version >= SYNC_NAMES_PROTOCOL && names.iter().any(|(given, _)| given.is_none()) {
            return Err(Code::InconsistentGroupProtocol);
        }
        self.check_member(&request.member_id, instance)?;
        if request.generation_id != self.generation {
            return Err(Code::IllegalGeneration);
        }
        for (given, ours) in names {
            if let (Some(given), Some(ours)) = (given, ours)
                && given.as_str() != ours
            {
                return Err(Code::InconsistentGroupProtocol);
            }
        }
        Ok(())
    }

    /// The leader's assignment makes the generation stable. A member that it left out gets nothing.
    fn hand_out(&mut self, request: &SyncGroupRequest, step: &mut Step<'_>) {
        let mut assigned: HashMap<&str, &Bytes> = HashMap::new();
        for assignment in &request.assignments {
            assigned.insert(assignment.member_id.as_str(), &assignment.assignment);
        }
        let mut answered = Vec::new();
        for member in self.members.values_mut() {
            let bytes = assigned.get(member.id.as_str()).copied();
            member.assignment = bytes
                .map(|bytes| Bytes::copy_from_slice(bytes))
                .unwrap_or_default();
            if let Some(waiter) = member.syncing.take() {
                member.renew(step.now);
                answered.push((waiter, member.assignment.clone()));
            }
        }
        let sync_until = match self.state {
            State::Completing { sync_until } if !self.all_synced() => Some(sync_until),
            _ => None,
        };
        self.state = State::Stable { sync_until };
        self.journal(step);
        for (waiter, assignment) in answered {
            step.reply(waiter.ticket, answers::synced(self, assignment));
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        step: &Step<'_>,
    ) -> Result<(), Code> {
        let instance = request.group_instance_id.as_ref().map(StrBytes::as_str);
        self.check_member(&request.member_id, instance)?;
        if request.generation_id != self.generation {
            return Err(Code::IllegalGeneration);
        }
        self.sign_of_life(&request.member_id, step);
        match self.state {
            State::Empty => Err(Code::UnknownMemberId),
            State::Preparing(_) => Err(Code::RebalanceInProgress),
            State::Completing { .. } | State::Stable { .. } => Ok(()),
        }
    }

    pub(super) fn sign_of_life(&mut self, id: &str, step: &Step<'_>) {
        if let Some(member) = self.members.get_mut(id) {
            member.renew(step.now);
        }
    }

    /// Takes all of them out, then rebalances once.
    pub(super) fn leave(
        &mut self,
        leaving: &[MemberIdentity],
        step: &mut Step<'_>,
    ) -> Vec<MemberResponse> {
        let members = self.members.len();
        let results = leaving
            .iter()
            .map(|identity| left(identity, self.leave_one(identity, step)))
            .collect();
        if self.members.len() < members {
            self.after_removal(step);
        } else {
            // An id that never joined may have been all that the others waited for.
            self.close_if_all_joined(step);
        }
        results
    }

    fn leave_one(&mut self, identity: &MemberIdentity, step: &mut Step<'_>) -> Result<(), Code> {
        let instance = identity.group_instance_id.as_ref().map(StrBytes::as_str);
        let mut id = identity.member_id.as_str().to_owned();
        if id.is_empty() {
            // Admin clients name a static member by its instance id alone.
            let owner = instance.and_then(|instance| self.statics.get(instance));
            id.clone_from(owner.ok_or(Code::UnknownMemberId)?);
        } else if self.pending.remove(&id).is_some() {
            return Ok(());
        } else {
            self.check_member(&id, instance)?;
        }
        self.remove(&id, step);
        Ok(())
    }
}

pub(super) fn left(identity: &MemberIdentity, result: Result<(), Code>) -> MemberResponse {
    MemberResponse::default()
        .with_member_id(identity.member_id.clone())
        .with_group_instance_id(identity.group_instance_id.clone())
        .with_error_code(answers::code(result))
}
