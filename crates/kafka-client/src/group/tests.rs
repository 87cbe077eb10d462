//! The state machine, row by row: what happens, and what it wants done.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::state::Member;
use super::words::*;
use crate::client::Backoff;
use crate::error::{ClientError, KafkaErrorCode as Code};

struct Run {
    member: Member,
    start: Instant,
    now: Instant,
}

impl Run {
    fn new(instance_id: Option<&str>) -> Self {
        let start = Instant::now();
        let settings = GroupSettings {
            group_id: "g".to_owned(),
            group_instance_id: instance_id.map(str::to_owned),
            protocol_type: "consumer".to_owned(),
            user: "consumer",
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1), "g"),
            request_timeout: Duration::from_secs(30),
        };
        Self {
            member: Member::new(settings, start),
            start,
            now: start,
        }
    }

    /// A member of generation 5 with nothing to do.
    fn stable(instance_id: Option<&str>) -> Self {
        let mut run = Self::new(instance_id);
        run.check(Event::RequestRejoin("starts".to_owned()), "rejoin(Revoke)");
        run.check(join(), "find");
        run.check(Event::Coordinator(Ok(1)), "join#1() reason=starts");
        run.check(
            Event::JoinAnswered(1, Ok(joined(5, "m1", "leader"))),
            "sync#2(5 m1) []",
        );
        run.check(
            Event::SyncAnswered(2, Ok(synced())),
            "joined(5 m1 follower)",
        );
        run
    }

    #[track_caller]
    fn check(&mut self, event: Event, expected: &str) {
        let actions = self.member.step(event, self.now);
        let shown: Vec<String> = actions.iter().filter_map(show).collect();
        assert_eq!(shown.join("; "), expected);
    }

    /// Moves the clock to `seconds` after the start.
    #[track_caller]
    fn tick(&mut self, seconds: f64, expected: &str) {
        self.now = self.start + Duration::from_secs_f64(seconds);
        self.check(Event::Tick, expected);
    }

    fn heartbeat(&self, answer: Result<(), Code>) -> Event {
        Event::HeartbeatAnswered(
            self.member.generation().clone(),
            answer.map_err(ClientError::from_code),
        )
    }
}

fn join() -> Event {
    Event::Join(vec![("range".to_owned(), Bytes::from_static(b"bytes"))])
}

fn joined(generation_id: i32, member_id: &str, leader: &str) -> JoinAnswer {
    let leads = leader == member_id;
    let member = JoinedMember {
        member_id: member_id.to_owned(),
        group_instance_id: None,
        metadata: Bytes::new(),
    };
    JoinAnswer {
        generation_id,
        member_id: member_id.to_owned(),
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        leader: leader.to_owned(),
        members: if leads { vec![member] } else { Vec::new() },
        skip_assignment: false,
        member_id_required: false,
    }
}

fn synced() -> SyncAnswer {
    SyncAnswer {
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        assignment: Bytes::from_static(b"a"),
    }
}

fn refused<T>(code: Code) -> Result<T, ClientError> {
    Err(ClientError::from_code(code))
}

fn show(action: &Action) -> Option<String> {
    Some(match action {
        Action::FindCoordinator => "find".to_owned(),
        Action::Join {
            attempt,
            member_id,
            reason,
            ..
        } => format!("join#{attempt}({member_id}) reason={reason}"),
        Action::Sync {
            attempt,
            generation,
            assignments,
        } => {
            let ids: Vec<&str> = assignments.iter().map(|(id, _)| id.as_str()).collect();
            format!(
                "sync#{attempt}({} {}) {ids:?}",
                generation.generation_id, generation.member_id
            )
        }
        Action::Heartbeat(generation) => format!("heartbeat({})", generation.generation_id),
        Action::Leave { member_id, .. } => format!("leave({member_id})"),
        Action::Notify(GroupEvent::Rejoin(prepare)) => format!("rejoin({prepare:?})"),
        Action::Notify(GroupEvent::Elected(election)) => {
            format!("elected({})", election.generation_id)
        }
        Action::Notify(GroupEvent::Joined(joined)) => {
            let role = if joined.leader { "leader" } else { "follower" };
            format!(
                "joined({} {} {role})",
                joined.generation_id, joined.member_id
            )
        }
        Action::Notify(GroupEvent::Failed(error)) => {
            format!("failed({:?})", error.code().expect("a code"))
        }
        Action::Note(_) => return None,
    })
}

#[test]
fn a_new_member_is_given_an_id_and_may_lead() {
    let mut run = Run::new(None);
    run.check(Event::RequestRejoin("starts".to_owned()), "rejoin(Revoke)");
    run.check(join(), "find");
    run.check(Event::Coordinator(Ok(1)), "join#1() reason=starts");
    let id = JoinAnswer {
        member_id_required: true,
        ..joined(-1, "m1", "")
    };
    run.check(
        Event::JoinAnswered(1, Ok(id)),
        "join#2(m1) reason=need to re-join with the given member-id: m1",
    );
    run.check(
        Event::JoinAnswered(2, Ok(joined(1, "m1", "m1"))),
        "elected(1)",
    );
    run.check(
        Event::Assign(vec![("m1".to_owned(), Bytes::new())]),
        "sync#3(1 m1) [\"m1\"]",
    );
    run.check(Event::SyncAnswered(3, Ok(synced())), "joined(1 m1 leader)");
    assert!(run.member.is_leader());
}

#[test]
fn heartbeats_tell_of_rebalances_and_losses() {
    let mut run = Run::stable(None);
    run.tick(2.9, "");
    run.tick(3.0, "heartbeat(5)");
    run.check(run.heartbeat(Ok(())), "");
    run.tick(6.0, "heartbeat(5)");
    run.check(
        run.heartbeat(Err(Code::REBALANCE_IN_PROGRESS)),
        "rejoin(Revoke)",
    );
    // While the user revokes, the heart goes on beating.
    run.tick(9.0, "heartbeat(5)");
    run.check(run.heartbeat(Err(Code::REBALANCE_IN_PROGRESS)), "");
    run.check(join(), "join#3(m1) reason=group is already rebalancing");
    // The coordinator knows that we are there while we wait for the others.
    run.tick(30.0, "");
    run.check(
        Event::JoinAnswered(3, Ok(joined(6, "m1", "leader"))),
        "sync#4(6 m1) []",
    );
    run.check(
        Event::SyncAnswered(4, Ok(synced())),
        "joined(6 m1 follower)",
    );
    run.tick(33.0, "heartbeat(6)");
    run.check(
        run.heartbeat(Err(Code::UNKNOWN_MEMBER_ID)),
        "rejoin(Revoke)",
    );
    assert!(!run.member.generation().is_member());
    run.check(
        join(),
        "join#5() reason=encountered UNKNOWN_MEMBER_ID from HEARTBEAT response",
    );
}

#[test]
fn an_illegal_generation_keeps_the_member_id() {
    let mut run = Run::stable(None);
    run.tick(3.0, "heartbeat(5)");
    run.check(
        run.heartbeat(Err(Code::ILLEGAL_GENERATION)),
        "rejoin(Revoke)",
    );
    run.check(
        join(),
        "join#3(m1) reason=encountered ILLEGAL_GENERATION from HEARTBEAT response",
    );
}

#[test]
fn answers_to_an_earlier_generation_mean_nothing() {
    let mut run = Run::stable(None);
    let old = Generation {
        generation_id: 4,
        ..run.member.generation().clone()
    };
    for code in [
        Code::UNKNOWN_MEMBER_ID,
        Code::ILLEGAL_GENERATION,
        Code::FENCED_INSTANCE_ID,
    ] {
        run.check(Event::HeartbeatAnswered(old.clone(), refused(code)), "");
        run.check(Event::UserError(old.clone(), code), "");
    }
    run.check(Event::JoinAnswered(1, Ok(joined(9, "m1", "m1"))), "");
    run.check(Event::SyncAnswered(1, Ok(synced())), "");
}

#[test]
fn a_coordinator_that_moved_is_looked_for_and_membership_stays() {
    let mut run = Run::stable(None);
    run.tick(3.0, "heartbeat(5)");
    run.check(run.heartbeat(Err(Code::NOT_COORDINATOR)), "find");
    run.check(
        Event::Coordinator(refused(Code::COORDINATOR_NOT_AVAILABLE)),
        "",
    );
    run.tick(3.05, "");
    run.tick(3.5, "find");
    run.check(Event::Coordinator(Ok(2)), "heartbeat(5)");
    run.check(run.heartbeat(Ok(())), "");
    assert_eq!(run.member.coordinator(), Some(2));
    // Nothing is heard for a whole session.
    run.tick(6.5, "heartbeat(5)");
    run.tick(14.0, "find");
}

#[test]
fn a_join_is_sent_again_after_errors_that_pass() {
    let rows = [
        (
            Code::COORDINATOR_LOAD_IN_PROGRESS,
            "join#4(m1) reason=again",
        ),
        (Code::REBALANCE_IN_PROGRESS, ""),
        (Code::NOT_COORDINATOR, ""),
    ];
    for (code, after_backoff) in rows {
        let mut run = Run::stable(None);
        run.check(Event::RequestRejoin("again".to_owned()), "rejoin(Revoke)");
        run.check(join(), "join#3(m1) reason=again");
        let at_once = match code {
            Code::REBALANCE_IN_PROGRESS => "join#4(m1) reason=again",
            Code::NOT_COORDINATOR => "find",
            _ => "",
        };
        run.check(Event::JoinAnswered(3, refused(code)), at_once);
        run.tick(1.0, after_backoff);
    }
}

#[test]
fn a_sync_that_came_too_late_asks_for_the_bytes_again() {
    let mut run = Run::stable(None);
    run.check(Event::RequestRejoin("again".to_owned()), "rejoin(Revoke)");
    run.check(join(), "join#3(m1) reason=again");
    run.check(
        Event::JoinAnswered(3, Ok(joined(6, "m1", "leader"))),
        "sync#4(6 m1) []",
    );
    // What was to be revoked is revoked; only the bytes are made anew.
    run.check(
        Event::SyncAnswered(4, refused(Code::REBALANCE_IN_PROGRESS)),
        "rejoin(Again)",
    );
    assert!(run.member.generation().is_member());
}

#[test]
fn errors_that_stay_end_the_membership_until_somebody_asks() {
    for code in [
        Code::GROUP_AUTHORIZATION_FAILED,
        Code::INCONSISTENT_GROUP_PROTOCOL,
        Code::INVALID_SESSION_TIMEOUT,
        Code::GROUP_MAX_SIZE_REACHED,
        Code::FENCED_INSTANCE_ID,
    ] {
        let mut run = Run::stable(Some("one"));
        run.check(Event::RequestRejoin("again".to_owned()), "rejoin(Revoke)");
        run.check(join(), "join#3(m1) reason=again");
        run.check(
            Event::JoinAnswered(3, refused(code)),
            &format!("failed({code:?})"),
        );
        run.tick(100.0, "");
        run.check(
            Event::RequestRejoin("once more".to_owned()),
            "rejoin(Revoke)",
        );
    }
    let mut run = Run::stable(Some("one"));
    run.tick(3.0, "heartbeat(5)");
    run.check(
        run.heartbeat(Err(Code::FENCED_INSTANCE_ID)),
        &format!("failed({:?})", Code::FENCED_INSTANCE_ID),
    );
}

#[test]
fn a_user_that_stays_away_leaves_the_group() {
    for (instance_id, leaves) in [
        (None, "leave(m1); rejoin(Revoke)"),
        (Some("one"), "rejoin(Revoke)"),
    ] {
        let mut run = Run::stable(instance_id);
        let mut seconds = 3.0;
        while seconds < 60.0 {
            run.tick(seconds, "heartbeat(5)");
            run.check(run.heartbeat(Ok(())), "");
            seconds += 3.0;
        }
        run.tick(60.0, leaves);
        // Silent until the user comes back.
        run.tick(500.0, "");
        run.check(
            join(),
            "join#3() reason=consumer pro-actively leaving the group",
        );
    }
    // A poll moves the limit, also when the loop hears of it later.
    let mut run = Run::stable(None);
    let seen = run.start + Duration::from_secs(5);
    assert!(
        run.member
            .step(Event::Polled, seen)
            .iter()
            .all(|action| show(action).is_some())
    );
    run.check(run.heartbeat(Ok(())), "");
    for seconds in (8..=62).step_by(3) {
        run.tick(f64::from(seconds), "heartbeat(5)");
        run.check(run.heartbeat(Ok(())), "");
    }
    run.tick(65.0, "leave(m1); rejoin(Revoke)");
}

#[test]
fn leaving_is_for_dynamic_members() {
    let mut run = Run::stable(None);
    run.check(Event::Leave("closed".to_owned()), "leave(m1)");
    run.tick(100.0, "");
    let mut run = Run::stable(Some("one"));
    run.check(Event::Leave("closed".to_owned()), "");
    run.tick(100.0, "");
}
