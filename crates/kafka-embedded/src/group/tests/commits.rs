//! Offsets: who may commit, fetch and delete them, and offsets within transactions.

use super::*;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

impl World {
    fn delete_offset(&mut self, group: &str, topic: &str) -> (i16, Option<i16>) {
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![topic]);
        let ticket = self.call(0, |groups, call, effects| {
            groups.offset_delete(call, &request, &TwoTopics, effects);
        });
        match &self.answers[&ticket] {
            Answer::OffsetDelete(answer) => (
                answer.error_code,
                answer
                    .topics
                    .first()
                    .map(|topic| topic.partitions[0].error_code),
            ),
            other => panic!("{other:?}"),
        }
    }

    /// Commits an offset of `orders-0` within a transaction of producer 9.
    pub(super) fn txn_commit(
        &mut self,
        permission: Result<(), Code>,
        member: (i32, &str),
        topic: &str,
        offset: i64,
    ) -> i16 {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(None);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_producer_id(9.into())
            .with_generation_id(member.0)
            .with_member_id(text(member.1))
            .with_topics(vec![topic]);
        let ticket = self.call(3, |groups, call, effects| {
            groups.txn_offset_commit(call, &request, permission, &TwoTopics, effects);
        });
        match &self.answers[&ticket] {
            Answer::TxnOffsetCommit(answer) => answer.topics[0].partitions[0].error_code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        let mut effects = Vec::new();
        self.groups.end_transaction("g", 9, outcome, &mut effects);
        self.take(effects);
    }
}

#[test]
fn who_may_commit() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    assert_eq!(world.commit("g", generation, &ids[0]), 0);
    assert_eq!(world.commit("g", generation - 1, &ids[0]), 22);
    assert_eq!(world.commit("g", generation, "who"), 25);
    assert_eq!(
        world.commit("g", -1, ""),
        25,
        "simple commit to an active group"
    );
    assert_eq!(
        world.commit("new", 1, "who"),
        22,
        "generation to an unknown group"
    );
    assert_eq!(world.commit("simple", -1, ""), 0);
    assert_eq!(
        world.commit("", -1, ""),
        0,
        "the empty group id is accepted"
    );
    assert_eq!(
        world.commit_of("g", generation, &ids[0], "nowhere", 0, 1, ""),
        3
    );
    assert_eq!(
        world.commit_of("g", generation, &ids[0], "orders", 4, 1, ""),
        3
    );
    assert_eq!(
        world.commit_of("g", generation, &ids[0], "paid", 0, 1, &"x".repeat(4097)),
        12
    );
    assert_eq!(
        world.commit_of("g", generation, &ids[0], "paid", 0, 1, &"x".repeat(4096)),
        0
    );
    assert_eq!(world.committed("g", "paid", 0), (1, "x".repeat(4096), 0));
}

#[test]
fn commits_during_a_rebalance() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    let again = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    assert!(world.waits(again));
    assert_eq!(world.commit("g", generation, &ids[1]), 0, "while preparing");
    assert_eq!(world.heartbeat("g", generation, &ids[1]), 27);
    let sync = world.sync("g", generation, &ids[1], &[]);
    assert_eq!(world.synced(sync).0, 27);
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    assert_eq!(
        world.commit("g", generation + 1, &ids[1]),
        27,
        "while completing"
    );
    assert_eq!(
        world.commit("g", generation, &ids[1]),
        22,
        "stale goes first"
    );
    assert_eq!(world.heartbeat("g", generation + 1, &ids[1]), 0);
    world.leave("g", &[&ids[0], &ids[1]]);
    assert_eq!(
        world.commit("g", -1, ""),
        0,
        "simple commit to an emptied group"
    );
}

#[test]
fn what_fetch_answers() {
    let mut world = World::new();
    assert_eq!(
        world.committed("g", "orders", 0),
        (-1, String::new(), 0),
        "unknown group"
    );
    world.commit_of("g", -1, "", "orders", 1, 7, "why");
    world.commit_of("g", -1, "", "orders", 1, 8, "because");
    world.commit_of("h", -1, "", "paid", 0, 9, "");
    assert_eq!(
        world.committed("g", "orders", 1),
        (8, "because".to_owned(), 0)
    );
    assert_eq!(world.committed("g", "orders", 0), (-1, String::new(), 0));
    let group = |name: &str| {
        offset_fetch_request::OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(name)))
            .with_topics(None)
    };
    let request =
        OffsetFetchRequest::default().with_groups(vec![group("g"), group("h"), group("i")]);
    let ticket = world.call(8, |groups, call, effects| {
        groups.offset_fetch(call, &request, effects)
    });
    let Answer::OffsetFetch(answer) = &world.answers[&ticket] else {
        panic!()
    };
    let found: Vec<(&str, Vec<i64>)> = answer
        .groups
        .iter()
        .map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            (
                group.group_id.as_str(),
                partitions.map(|found| found.committed_offset).collect(),
            )
        })
        .collect();
    assert_eq!(found, [("g", vec![8]), ("h", vec![9]), ("i", vec![])]);
    for version in 1..=7 {
        let all = (version >= 2).then_some(OffsetFetchRequest::default().with_topics(None));
        let request = all.unwrap_or_default().with_group_id(GroupId(text("g")));
        let ticket = world.call(version, |groups, call, effects| {
            groups.offset_fetch(call, &request, effects)
        });
        let Answer::OffsetFetch(answer) = &world.answers[&ticket] else {
            panic!()
        };
        assert_eq!(
            answer.topics.len(),
            usize::from(version >= 2),
            "version {version}"
        );
    }
}

#[test]
fn deleting_offsets() {
    let mut world = World::new();
    assert_eq!(world.delete_offset("g", "orders"), (69, None));
    world.stable_group("g", 1);
    assert_eq!(
        world.delete_offset("g", "orders"),
        (68, None),
        "active, not consumers"
    );
    world.commit_of("simple", -1, "", "orders", 0, 7, "");
    assert_eq!(world.delete_offset("simple", "nowhere"), (0, Some(3)));
    assert_eq!(world.delete_offset("simple", "orders"), (0, Some(0)));
    assert_eq!(
        world.committed("simple", "orders", 0),
        (-1, String::new(), 0)
    );
    let lines = world.journal.len();
    assert_eq!(
        world.delete_offset("simple", "orders"),
        (0, Some(0)),
        "nothing there"
    );
    assert_eq!(world.journal.len(), lines);

    // A consumer group that reads `orders`.
    let subscription = "\0\0\0\0\0\x01\0\x06orders\0\0\0\0";
    let request =
        join_request("c", "", &[("range", subscription)]).with_protocol_type(text("consumer"));
    let ticket = world.join(3, request);
    let id = world.joined(ticket).member_id.to_string();
    world.sync("c", 1, &id, &[]);
    world.commit_of("c", 1, &id, "orders", 0, 7, "");
    world.commit_of("c", 1, &id, "paid", 0, 7, "");
    assert_eq!(world.delete_offset("c", "orders"), (0, Some(86)));
    assert_eq!(world.delete_offset("c", "paid"), (0, Some(0)));
    assert_eq!(world.committed("c", "orders", 0).0, 7);
    assert_eq!(world.committed("c", "paid", 0).0, -1);
    world.leave("c", &[&id]);
    assert_eq!(world.delete_offset("c", "orders"), (0, Some(0)));
}

#[test]
fn offsets_of_a_deleted_topic_vanish() {
    let mut world = World::new();
    world.commit("g", -1, "");
    world.commit_of("g", -1, "", "paid", 0, 1, "");
    assert_eq!(world.txn_commit(Ok(()), (-1, ""), "orders", 3), 0);
    let mut effects = Vec::new();
    world.groups.topic_deleted("orders", &mut effects);
    world.groups.topic_deleted("orders", &mut effects);
    assert_eq!(
        effects.len(),
        1,
        "the second time there is nothing to write"
    );
    world.take(effects);
    world.end(Outcome::Commit);
    assert_eq!(world.committed("g", "orders", 0).0, -1);
    assert_eq!(world.committed("g", "paid", 0).0, 1);
}

#[test]
fn offsets_in_a_transaction() {
    for (outcome, expect) in [(Outcome::Commit, 9), (Outcome::Abort, 5)] {
        let mut world = World::new();
        world.commit("g", -1, "");
        assert_eq!(world.txn_commit(Ok(()), (-1, ""), "orders", 9), 0);
        assert_eq!(world.fetch("g", "orders", 0, false), (5, String::new(), 0));
        assert_eq!(world.fetch("g", "orders", 0, true), (-1, String::new(), 88));
        assert_eq!(world.fetch("g", "orders", 1, true), (-1, String::new(), 0));
        world.end(outcome);
        assert_eq!(
            world.fetch("g", "orders", 0, true),
            (expect, String::new(), 0)
        );
        let lines = world.journal.len();
        world.end(outcome);
        assert_eq!(world.journal.len(), lines, "again does nothing");
    }
}

#[test]
fn who_may_commit_in_a_transaction() {
    let mut world = World::new();
    assert_eq!(
        world.txn_commit(Ok(()), (3, "who"), "orders", 9),
        22,
        "no such group"
    );
    let ids = world.stable_group("g", 1);
    let invalid = Err(Code::InvalidTxnState);
    assert_eq!(world.txn_commit(invalid, (1, &ids[0]), "orders", 9), 48);
    assert_eq!(world.txn_commit(invalid, (1, &ids[0]), "nowhere", 9), 3);
    assert_eq!(world.txn_commit(Ok(()), (1, "who"), "orders", 9), 25);
    assert_eq!(world.txn_commit(Ok(()), (7, &ids[0]), "orders", 9), 22);
    assert_eq!(world.txn_commit(Ok(()), (1, &ids[0]), "orders", 9), 0);
    assert_eq!(
        world.txn_commit(Ok(()), (-1, ""), "orders", 9),
        0,
        "producers before KIP-447"
    );
    world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    assert_eq!(
        world.txn_commit(Ok(()), (2, &ids[0]), "orders", 9),
        0,
        "while completing"
    );
}

#[test]
fn of_a_plain_and_a_transactional_commit_the_later_one_wins() {
    let mut world = World::new();
    world.txn_commit(Ok(()), (-1, ""), "orders", 9);
    world.commit("g", -1, "");
    let snapshot = world.groups.snapshot();
    world.end(Outcome::Commit);
    assert_eq!(world.committed("g", "orders", 0).0, 5);
    world.journal = snapshot;
    world.restart(settings());
    world.end(Outcome::Commit);
    assert_eq!(
        world.committed("g", "orders", 0).0,
        5,
        "also after a restart between"
    );
}
