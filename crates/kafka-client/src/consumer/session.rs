//! Fetch sessions: what a broker remembers of our fetches, so that a request names only changes.
//!
//! Lives here: which partitions a request has to name or forget, and what an answer means for the
//! next one.
//! Never here: I/O, positions.
//! Source: KIP-227; `FetchSessionHandler` in apache/kafka, clients.

use std::collections::HashMap;

use super::TopicPartition;
use crate::error::KafkaErrorCode as Code;

/// No session, or the first request of one.
const INITIAL_EPOCH: i32 = 0;
/// Closes the session that the id names.
const FINAL_EPOCH: i32 = -1;

/// What a request says of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub offset: i64,
    /// -1: not known.
    pub leader_epoch: i32,
    pub max_bytes: i32,
}

/// The session with one broker.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
    /// What the broker knows; only kept up to date while there is a session.
    known: HashMap<TopicPartition, Wanted>,
}

/// The session part of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SessionRequest {
    pub id: i32,
    pub epoch: i32,
    pub named: Vec<(TopicPartition, Wanted)>,
    pub forgotten: Vec<TopicPartition>,
}

impl FetchSession {
    /// The request that makes the broker send `wanted`, and nothing else.
    pub(super) fn request(&mut self, wanted: &[(TopicPartition, Wanted)]) -> SessionRequest {
        let (id, epoch) = (self.id, self.epoch);
        if epoch == INITIAL_EPOCH {
            self.known = wanted.iter().cloned().collect();
            return SessionRequest {
                id,
                epoch,
                named: wanted.to_vec(),
                forgotten: Vec::new(),
            };
        }
        let changed = wanted
            .iter()
            .filter(|(tp, wanted)| self.known.get(tp) != Some(wanted));
        let named: Vec<_> = changed.cloned().collect();
        let mut forgotten = Vec::new();
        let added = named
            .iter()
            .filter(|(tp, _)| !self.known.contains_key(tp))
            .count();
        if self.known.len() + added > wanted.len() {
            let next: HashMap<&TopicPartition, Wanted> =
                wanted.iter().map(|(tp, wanted)| (tp, *wanted)).collect();
            self.known.retain(|tp, _| {
                let keep = next.contains_key(tp);
                if !keep {
                    forgotten.push(tp.clone());
                }
                keep
            });
        }
        self.known.extend(named.iter().cloned());
        forgotten.sort_unstable();
        SessionRequest {
            id,
            epoch,
            named,
            forgotten,
        }
    }

    /// The request was answered without an error.
    pub(super) fn answered(&mut self, session_id: i32) {
        if self.epoch != INITIAL_EPOCH {
            // Epochs go on at 1 behind the largest one.
            self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        } else if session_id != 0 {
            self.id = session_id;
            self.epoch = 1;
        } else {
            // The broker has no room for a session; every request names everything.
            self.id = 0;
            self.known.clear();
        }
    }

    /// The request failed as a whole.
    pub(super) fn failed(&mut self, code: Option<Code>) {
        if code == Some(Code::FETCH_SESSION_ID_NOT_FOUND) {
            self.id = 0;
        }
        // Otherwise the old session is closed by the first request of the next one.
        self.epoch = INITIAL_EPOCH;
        self.known.clear();
    }

    /// The request that ends the session, if there is one.
    pub(super) fn close(&self) -> Option<SessionRequest> {
        let open = self.id != 0;
        open.then(|| SessionRequest {
            id: self.id,
            epoch: FINAL_EPOCH,
            named: Vec::new(),
            forgotten: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partitions: &[(i32, i64)]) -> Vec<(TopicPartition, Wanted)> {
        let one = |(partition, offset): &(i32, i64)| {
            let tp = TopicPartition {
                topic: "t".into(),
                partition: *partition,
            };
            (
                tp,
                Wanted {
                    offset: *offset,
                    leader_epoch: 0,
                    max_bytes: 1,
                },
            )
        };
        partitions.iter().map(one).collect()
    }

    /// `id/epoch named=partition@offset,… forgotten=partition,…`
    fn show(request: &SessionRequest) -> String {
        let named: Vec<String> = request
            .named
            .iter()
            .map(|(tp, w)| format!("{}@{}", tp.partition, w.offset))
            .collect();
        let forgotten: Vec<String> = request
            .forgotten
            .iter()
            .map(|tp| tp.partition.to_string())
            .collect();
        format!(
            "{}/{} named={} forgotten={}",
            request.id,
            request.epoch,
            named.join(","),
            forgotten.join(",")
        )
    }

    #[test]
    fn only_changes_are_named() {
        let mut session = FetchSession::default();
        let mut check = |partitions: &[(i32, i64)], session_id: i32, expected: &str| {
            assert_eq!(show(&session.request(&wanted(partitions))), expected);
            session.answered(session_id);
        };
        check(&[(0, 5), (1, 7)], 42, "0/0 named=0@5,1@7 forgotten=");
        check(&[(0, 5), (1, 7)], 42, "42/1 named= forgotten=");
        check(&[(0, 6), (1, 7)], 42, "42/2 named=0@6 forgotten=");
        check(&[(0, 6)], 42, "42/3 named= forgotten=1");
        check(
            &[(0, 6), (1, 7), (2, 0)],
            42,
            "42/4 named=1@7,2@0 forgotten=",
        );
        check(&[(2, 0), (3, 0)], 42, "42/5 named=3@0 forgotten=0,1");
    }

    #[test]
    fn a_broker_without_sessions_is_told_everything() {
        let mut session = FetchSession::default();
        for _ in 0..2 {
            assert_eq!(
                show(&session.request(&wanted(&[(0, 5)]))),
                "0/0 named=0@5 forgotten="
            );
            session.answered(0);
        }
        assert_eq!(session.close(), None);
    }

    #[test]
    fn a_lost_session_starts_again() {
        let rows = [
            (
                Some(Code::FETCH_SESSION_ID_NOT_FOUND),
                "0/0 named=0@5 forgotten=",
            ),
            (
                Some(Code::INVALID_FETCH_SESSION_EPOCH),
                "42/0 named=0@5 forgotten=",
            ),
            (None, "42/0 named=0@5 forgotten="),
        ];
        for (code, expected) in rows {
            let mut session = FetchSession::default();
            session.request(&wanted(&[(0, 4)]));
            session.answered(42);
            session.failed(code);
            assert_eq!(show(&session.request(&wanted(&[(0, 5)]))), expected);
        }
    }
}
