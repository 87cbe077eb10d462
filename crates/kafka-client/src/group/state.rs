//! A member of a group, as a pure state machine.
//!
//! Lives here: when to look for the coordinator, to ask the user for the bytes it joins with, to
//! join, to sync, to send a heartbeat, to give a generation up and to leave.
//! Lives elsewhere: requests and timers (`super::membership`), what the members' bytes mean (the
//! user: sink consumers and Connect workers).
//! Never here: a clock, a log line, an `.await`. The same state, event and time give the same
//! actions, so every test is a table or a seeded simulation.
//! Source: `AbstractCoordinator` and `Heartbeat` in apache/kafka, clients. Where Java's thread that
//! polls waits inside a call, this machine is in a [`Phase`] and the user answers an event.

use bytes::Bytes;
use tokio::time::Instant;

use super::words::{
    Action, Election, Event, Generation, GroupEvent, GroupSettings, JoinAnswer, Joined, Note,
    Phase, Prepare, SyncAnswer,
};
use crate::error::{ClientError, ErrorKind, KafkaErrorCode as Code};

/// One member. See the module.
#[derive(Debug)]
pub struct Member {
    settings: GroupSettings,
    phase: Phase,
    generation: Generation,
    leader: bool,
    coordinator: Option<i32>,
    /// A look-up is under way.
    finding: bool,
    /// Look-ups that failed since the last success.
    find_failures: u32,
    find_at: Option<Instant>,
    /// Number of the newest join or sync; answers to older ones are stale.
    attempt: u64,
    request: Request,
    protocols: Vec<(String, Bytes)>,
    /// The next rejoin starts with giving partitions up.
    needs_prepare: bool,
    rejoin_needed: bool,
    rejoin_reason: String,
    heartbeat: Heartbeat,
}

/// Look-ups that fail in a row before an operator hears of it: with the usual back-off, more than
/// a second.
const FIND_FAILURES_WORTH_A_NOTE: u32 = 4;

/// The join or sync request of the current attempt.
#[derive(Debug, Clone, PartialEq)]
enum Request {
    None,
    /// To be sent as soon as there is a coordinator and this time has come.
    Due(Instant),
    InFlight,
}

#[derive(Debug)]
struct Heartbeat {
    in_flight: bool,
    next_at: Instant,
    session_ends_at: Instant,
    poll_ends_at: Instant,
}

impl Member {
    pub fn new(settings: GroupSettings, now: Instant) -> Self {
        Self {
            heartbeat: Heartbeat {
                in_flight: false,
                next_at: now,
                session_ends_at: now + settings.session_timeout,
                poll_ends_at: now + settings.rebalance_timeout,
            },
            settings,
            phase: Phase::Outside,
            generation: Generation::none(),
            leader: false,
            coordinator: None,
            finding: false,
            find_failures: 0,
            find_at: None,
            attempt: 0,
            request: Request::None,
            protocols: Vec::new(),
            needs_prepare: true,
            rejoin_needed: false,
            rejoin_reason: String::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    pub fn coordinator(&self) -> Option<i32> {
        self.coordinator
    }

    pub fn is_leader(&self) -> bool {
        self.leader && self.generation.is_member()
    }

    /// A rebalance was asked for or is under way.
    pub fn rejoin_needed(&self) -> bool {
        self.rejoin_needed
    }

    /// When [`Event::Tick`] is due at the latest.
    pub fn wake_at(&self) -> Option<Instant> {
        let mut times = Vec::with_capacity(4);
        if self.wants_coordinator() && !self.finding {
            times.extend(self.find_at);
        }
        if let (Request::Due(at), Some(_)) = (&self.request, self.coordinator) {
            times.push(*at);
        }
        if self.beats() {
            times.push(self.heartbeat.poll_ends_at);
            if self.coordinator.is_some() {
                times.push(self.heartbeat.session_ends_at);
                if !self.heartbeat.in_flight {
                    times.push(self.heartbeat.next_at);
                }
            }
        }
        times.into_iter().min()
    }

    pub fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Tick => {}
            Event::Polled => {
                let ends_at = now + self.settings.rebalance_timeout;
                self.heartbeat.poll_ends_at = self.heartbeat.poll_ends_at.max(ends_at);
            }
            Event::Join(protocols) => self.on_join(protocols, now),
            Event::Assign(assignments) => self.on_assign(assignments, &mut actions),
            Event::AssignFailed(error) => self.on_assign_failed(error, now, &mut actions),
            Event::RequestRejoin(reason) => self.on_request_rejoin(reason, now, &mut actions),
            Event::Leave(reason) => self.on_leave(reason, &mut actions),
            Event::UserError(generation, code) => {
                self.on_user_error(&generation, code, &mut actions)
            }
            Event::Coordinator(answer) => self.on_coordinator(answer, now, &mut actions),
            Event::JoinAnswered(attempt, answer) if self.is_current(attempt, Phase::Joining) => {
                self.on_join_answered(answer, now, &mut actions);
            }
            Event::SyncAnswered(attempt, answer) if self.is_current(attempt, Phase::Syncing) => {
                self.on_sync_answered(answer, now, &mut actions);
            }
            Event::JoinAnswered(..) | Event::SyncAnswered(..) => {}
            Event::HeartbeatAnswered(generation, answer) => {
                self.on_heartbeat_answered(&generation, answer, now, &mut actions);
            }
        }
        self.proceed(now, &mut actions);
        actions
    }

    fn is_current(&self, attempt: u64, phase: Phase) -> bool {
        self.attempt == attempt && self.phase == phase && self.request == Request::InFlight
    }

    /// Whatever is due now.
    fn proceed(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.beats() && now >= self.heartbeat.poll_ends_at {
            actions.push(Action::Note(Note::PollTimeout));
            let reason = format!("{} poll timeout has expired.", self.settings.user);
            self.leave(&reason, actions);
            self.rejoin_needed = true;
            self.rejoin_reason = format!("{} pro-actively leaving the group", self.settings.user);
        }
        if self.rejoin_needed && matches!(self.phase, Phase::Outside | Phase::Stable) {
            self.phase = Phase::Preparing;
            let prepare = if self.needs_prepare {
                Prepare::Revoke
            } else {
                Prepare::Again
            };
            actions.push(Action::Notify(GroupEvent::Rejoin(prepare)));
        }
        if self.beats() && self.coordinator.is_some() && now >= self.heartbeat.session_ends_at {
            self.lose_coordinator(
                "session timed out without receiving a heartbeat response",
                now,
                actions,
            );
        }
        if self.wants_coordinator() && !self.finding && self.find_at.is_none_or(|at| now >= at) {
            self.finding = true;
            actions.push(Action::FindCoordinator);
        }
        if self.coordinator.is_none() {
            return;
        }
        if self.phase == Phase::Joining && matches!(self.request, Request::Due(at) if now >= at) {
            self.attempt += 1;
            self.request = Request::InFlight;
            actions.push(Action::Join {
                attempt: self.attempt,
                member_id: self.generation.member_id.clone(),
                protocols: self.protocols.clone(),
                reason: self.rejoin_reason.clone(),
            });
        }
        if self.beats() && !self.heartbeat.in_flight && now >= self.heartbeat.next_at {
            self.heartbeat.in_flight = true;
            self.heartbeat.next_at = now + self.settings.heartbeat_interval;
            actions.push(Action::Heartbeat(self.generation.clone()));
        }
    }

    /// Between the answer to a join and the next join the coordinator expects heartbeats.
    fn beats(&self) -> bool {
        self.generation.is_member()
            && matches!(
                self.phase,
                Phase::Preparing | Phase::Assigning | Phase::Syncing | Phase::Stable
            )
    }

    fn wants_coordinator(&self) -> bool {
        self.coordinator.is_none() && (self.phase == Phase::Joining || self.beats())
    }

    fn on_request_rejoin(&mut self, reason: String, now: Instant, actions: &mut Vec<Action>) {
        if self.phase == Phase::Failed {
            self.phase = Phase::Outside;
        }
        if !self.generation.is_member() {
            self.heartbeat.poll_ends_at = now + self.settings.rebalance_timeout;
        }
        if !self.rejoin_needed {
            actions.push(Action::Note(Note::RejoinRequested(reason.clone())));
            self.rejoin_needed = true;
            self.rejoin_reason = reason;
        }
    }

    fn on_join(&mut self, protocols: Vec<(String, Bytes)>, now: Instant) {
        if self.phase != Phase::Preparing {
            return;
        }
        self.phase = Phase::Joining;
        self.needs_prepare = false;
        self.leader = false;
        self.protocols = protocols;
        self.request = Request::Due(now);
    }

    fn on_join_answered(
        &mut self,
        answer: Result<JoinAnswer, ClientError>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.request = Request::None;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.on_join_error(error, now, actions),
        };
        if answer.member_id_required {
            self.generation = Generation {
                member_id: answer.member_id,
                ..Generation::none()
            };
            self.rejoin_reason = format!(
                "need to re-join with the given member-id: {}",
                self.generation.member_id
            );
            self.request = Request::Due(now);
            return;
        }
        let protocol = match answer.protocol {
            Some(protocol) if self.is_own_type(&answer.protocol_type) => protocol,
            _ => return self.fail(self.inconsistent(answer.protocol_type.as_deref()), actions),
        };
        self.generation = Generation {
            generation_id: answer.generation_id,
            member_id: answer.member_id,
            protocol: Some(protocol.clone()),
        };
        self.reset_timeouts(now);
        self.leader = answer.leader == self.generation.member_id;
        if self.leader {
            self.phase = Phase::Assigning;
            actions.push(Action::Notify(GroupEvent::Elected(Election {
                generation_id: answer.generation_id,
                leader_id: answer.leader,
                protocol,
                members: answer.members,
                skip_assignment: answer.skip_assignment,
            })));
        } else {
            self.send_sync(Vec::new(), actions);
        }
    }

    fn on_join_error(&mut self, error: ClientError, now: Instant, actions: &mut Vec<Action>) {
        let retry_at = now + self.settings.retry_backoff.delay(0);
        match error.code() {
            Some(Code::UNKNOWN_MEMBER_ID) => {
                self.lose_generation(
                    "encountered UNKNOWN_MEMBER_ID from JOIN_GROUP response",
                    Forget::MemberId,
                    actions,
                );
            }
            Some(Code::ILLEGAL_GENERATION | Code::REBALANCE_IN_PROGRESS) => {
                self.request = Request::Due(now)
            }
            Some(Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR) => {
                self.lose_coordinator(&error.to_string(), now, actions);
                self.request = Request::Due(retry_at);
            }
            _ if error.is_disconnect() || error.is_timeout() => {
                self.lose_coordinator(&error.to_string(), now, actions);
                self.request = Request::Due(retry_at);
            }
            _ if error.is_retriable() => self.request = Request::Due(retry_at),
            _ => self.fail(error, actions),
        }
    }

    fn on_assign(&mut self, assignments: Vec<(String, Bytes)>, actions: &mut Vec<Action>) {
        if self.phase == Phase::Assigning {
            self.send_sync(assignments, actions);
        }
    }

    fn on_assign_failed(&mut self, error: ClientError, now: Instant, actions: &mut Vec<Action>) {
        if self.phase != Phase::Assigning {
            return;
        }
        if error.is_retriable() {
            self.rejoin_reason = format!("rebalance failed due to {}", error.message());
            self.phase = Phase::Joining;
            self.request = Request::Due(now + self.settings.retry_backoff.delay(0));
        } else {
            self.fail(error, actions);
        }
    }

    fn send_sync(&mut self, assignments: Vec<(String, Bytes)>, actions: &mut Vec<Action>) {
        self.phase = Phase::Syncing;
        self.attempt += 1;
        self.request = Request::InFlight;
        actions.push(Action::Sync {
            attempt: self.attempt,
            generation: self.generation.clone(),
            assignments,
        });
    }

    fn on_sync_answered(
        &mut self,
        answer: Result<SyncAnswer, ClientError>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.request = Request::None;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.on_sync_error(error, now, actions),
        };
        let protocol = self.generation.protocol.clone().unwrap_or_default();
        if !self.is_own_type(&answer.protocol_type)
            || answer.protocol.is_some_and(|name| name != protocol)
        {
            return self.fail(self.inconsistent(answer.protocol_type.as_deref()), actions);
        }
        self.phase = Phase::Stable;
        self.rejoin_needed = false;
        self.rejoin_reason.clear();
        self.needs_prepare = true;
        let Generation {
            generation_id,
            member_id,
            ..
        } = self.generation.clone();
        actions.push(Action::Note(Note::Joined {
            generation_id,
            leader: self.leader,
        }));
        actions.push(Action::Notify(GroupEvent::Joined(Joined {
            generation_id,
            member_id,
            protocol,
            leader: self.leader,
            assignment: answer.assignment,
        })));
    }

    fn on_sync_error(&mut self, error: ClientError, now: Instant, actions: &mut Vec<Action>) {
        let code = error.code();
        let again = |member: &mut Self| {
            // The generation of the new join is in the bytes that the user gives, so ask again.
            member.rejoin_needed = true;
            member.rejoin_reason = format!("rebalance failed due to {}", error.message());
            member.phase = Phase::Outside;
        };
        match code {
            Some(Code::REBALANCE_IN_PROGRESS) => again(self),
            Some(Code::UNKNOWN_MEMBER_ID) => {
                self.lose_generation(
                    "encountered UNKNOWN_MEMBER_ID from SYNC_GROUP response",
                    Forget::MemberId,
                    actions,
                );
            }
            Some(Code::ILLEGAL_GENERATION) => {
                let reason = "encountered ILLEGAL_GENERATION from SYNC_GROUP response";
                self.lose_generation(reason, Forget::GenerationOnly, actions);
            }
            Some(Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR) => {
                self.lose_coordinator(&error.to_string(), now, actions);
                again(self);
            }
            _ if error.is_disconnect() || error.is_timeout() => {
                self.lose_coordinator(&error.to_string(), now, actions);
                again(self);
            }
            _ if error.is_retriable() => again(self),
            _ => self.fail(error, actions),
        }
    }

    fn on_heartbeat_answered(
        &mut self,
        sent: &Generation,
        answer: Result<(), ClientError>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.heartbeat.in_flight = false;
        let error = match answer {
            Ok(()) => {
                self.heartbeat.session_ends_at = now + self.settings.session_timeout;
                return;
            }
            Err(error) => error,
        };
        let unchanged = *sent == self.generation;
        match error.code() {
            Some(Code::REBALANCE_IN_PROGRESS) => {
                self.heartbeat.session_ends_at = now + self.settings.session_timeout;
                if self.phase == Phase::Stable && unchanged {
                    self.ask_to_rejoin("group is already rebalancing", actions);
                }
            }
            Some(Code::UNKNOWN_MEMBER_ID | Code::ILLEGAL_GENERATION | Code::FENCED_INSTANCE_ID)
                if !unchanged => {}
            Some(Code::FENCED_INSTANCE_ID) => self.fail(error, actions),
            Some(code @ (Code::UNKNOWN_MEMBER_ID | Code::ILLEGAL_GENERATION)) => {
                let reason = format!("encountered {code} from HEARTBEAT response");
                self.lose_generation(&reason, Forget::of(code), actions);
            }
            Some(Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR) => {
                self.lose_coordinator(&error.to_string(), now, actions);
                self.heartbeat.next_at = now + self.settings.retry_backoff.delay(0);
            }
            _ if error.is_disconnect() || error.is_timeout() => {
                self.lose_coordinator(&error.to_string(), now, actions);
                self.heartbeat.next_at = now + self.settings.retry_backoff.delay(0);
            }
            _ if error.is_retriable() => {
                self.heartbeat.next_at = now + self.settings.retry_backoff.delay(0);
            }
            _ if unchanged => self.fail(error, actions),
            _ => {}
        }
    }

    fn on_user_error(&mut self, sent: &Generation, code: Code, actions: &mut Vec<Action>) {
        let current = *sent == self.generation;
        match code {
            Code::COORDINATOR_NOT_AVAILABLE | Code::NOT_COORDINATOR
                if self.coordinator.take().is_some() =>
            {
                let lost = Note::CoordinatorLost(format!("error response {code}"));
                actions.push(Action::Note(lost));
                self.find_at = None;
            }
            Code::REBALANCE_IN_PROGRESS if current && self.phase == Phase::Stable => {
                let reason = "offset commit failed since group is already rebalancing";
                self.ask_to_rejoin(reason, actions);
            }
            Code::UNKNOWN_MEMBER_ID | Code::ILLEGAL_GENERATION if current => {
                let reason = format!("encountered {code} from OFFSET_COMMIT response");
                self.lose_generation(&reason, Forget::of(code), actions);
            }
            _ => {}
        }
    }

    fn on_coordinator(
        &mut self,
        answer: Result<i32, ClientError>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.finding = false;
        match answer {
            Ok(broker) => {
                self.coordinator = Some(broker);
                self.find_failures = 0;
                self.find_at = None;
                self.heartbeat.session_ends_at = now + self.settings.session_timeout;
                actions.push(Action::Note(Note::CoordinatorFound(broker)));
            }
            Err(error) if error.is_retriable() || error.is(Code::COORDINATOR_NOT_AVAILABLE) => {
                if self.find_failures == FIND_FAILURES_WORTH_A_NOTE {
                    actions.push(Action::Note(Note::CoordinatorNotFound(error.to_string())));
                }
                self.find_at = Some(now + self.settings.retry_backoff.delay(self.find_failures));
                self.find_failures = self.find_failures.saturating_add(1);
            }
            Err(error) => self.fail(error, actions),
        }
    }

    fn on_leave(&mut self, reason: String, actions: &mut Vec<Action>) {
        self.leave(&reason, actions);
        self.phase = Phase::Outside;
        self.rejoin_needed = false;
    }

    /// Says goodbye, unless the member is static: its place is kept for the session.
    fn leave(&mut self, reason: &str, actions: &mut Vec<Action>) {
        let joined = !matches!(self.phase, Phase::Outside | Phase::Failed);
        let member_id = self.generation.member_id.clone();
        if self.settings.group_instance_id.is_none()
            && joined
            && !member_id.is_empty()
            && self.coordinator.is_some()
        {
            actions.push(Action::Leave {
                member_id,
                reason: reason.to_owned(),
            });
        }
        self.reset_but_asked(Forget::MemberId);
    }

    fn ask_to_rejoin(&mut self, reason: &str, actions: &mut Vec<Action>) {
        if !self.rejoin_needed {
            actions.push(Action::Note(Note::RejoinRequested(reason.to_owned())));
        }
        self.rejoin_needed = true;
        self.rejoin_reason = reason.to_owned();
    }

    fn lose_generation(&mut self, reason: &str, forget: Forget, actions: &mut Vec<Action>) {
        actions.push(Action::Note(Note::GenerationLost(reason.to_owned())));
        self.reset_but_asked(forget);
        self.rejoin_needed = true;
        self.rejoin_reason = reason.to_owned();
    }

    /// A user that was asked to prepare and has not answered is not asked again; it will see that
    /// all is lost.
    fn reset_but_asked(&mut self, forget: Forget) {
        let asked = self.phase == Phase::Preparing;
        self.reset(forget);
        if asked {
            self.phase = Phase::Preparing;
        }
    }

    fn reset(&mut self, forget: Forget) {
        self.phase = Phase::Outside;
        self.leader = false;
        self.needs_prepare = true;
        self.request = Request::None;
        self.heartbeat.in_flight = false;
        self.generation = match forget {
            Forget::MemberId => Generation::none(),
            Forget::GenerationOnly => Generation {
                member_id: std::mem::take(&mut self.generation.member_id),
                ..Generation::none()
            },
        };
    }

    fn lose_coordinator(&mut self, reason: &str, now: Instant, actions: &mut Vec<Action>) {
        if self.coordinator.take().is_some() {
            actions.push(Action::Note(Note::CoordinatorLost(reason.to_owned())));
            self.find_at = Some(now);
            // An answer that still comes is not waited for.
            self.heartbeat.in_flight = false;
        }
    }

    fn reset_timeouts(&mut self, now: Instant) {
        self.heartbeat = Heartbeat {
            in_flight: false,
            next_at: now + self.settings.heartbeat_interval,
            session_ends_at: now + self.settings.session_timeout,
            poll_ends_at: now + self.settings.rebalance_timeout,
        };
    }

    fn fail(&mut self, error: ClientError, actions: &mut Vec<Action>) {
        let error = match error.context("group") {
            Some(_) => error,
            None => error.with("group", &self.settings.group_id),
        };
        self.reset(if error.kind() == ErrorKind::Fenced {
            Forget::MemberId
        } else {
            Forget::GenerationOnly
        });
        self.phase = Phase::Failed;
        self.rejoin_needed = false;
        actions.push(Action::Notify(GroupEvent::Failed(error)));
    }

    fn is_own_type(&self, answered: &Option<String>) -> bool {
        answered
            .as_ref()
            .is_none_or(|name| *name == self.settings.protocol_type)
    }

    fn inconsistent(&self, found: Option<&str>) -> ClientError {
        ClientError::from_code(Code::INCONSISTENT_GROUP_PROTOCOL)
            .with("expected_type", &self.settings.protocol_type)
            .with("found_type", found.unwrap_or("none"))
    }
}

/// What of the identity is given up with a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forget {
    MemberId,
    GenerationOnly,
}

impl Forget {
    fn of(code: Code) -> Self {
        if code == Code::ILLEGAL_GENERATION {
            Self::GenerationOnly
        } else {
            Self::MemberId
        }
    }
}
