//! Adding partitions and groups, ending transactions, time running out.

use super::*;

/// Name, version, transactional id, producer, partitions, codes.
type Row = (
    &'static str,
    i16,
    &'static str,
    (i64, i16),
    &'static [(&'static str, i32)],
    &'static [i16],
);

#[test]
fn what_is_added_and_what_is_refused() {
    let mut world = World::new();
    let producer = world.init("x");
    let (id, epoch) = producer;
    let rows: [Row; 8] = [
        (
            "one unknown",
            3,
            "x",
            producer,
            &[("t", 0), ("nowhere", 0), ("t", 9)],
            &[55, 3, 3],
        ),
        ("unknown id", 3, "y", producer, &[("t", 0)], &[49]),
        ("empty id", 3, "", producer, &[("t", 0)], &[42]),
        (
            "other producer",
            3,
            "x",
            (id + 1, epoch),
            &[("t", 0)],
            &[49],
        ),
        ("other epoch", 2, "x", (id, epoch + 1), &[("t", 0)], &[90]),
        (
            "other epoch, old",
            1,
            "x",
            (id, epoch + 1),
            &[("t", 0)],
            &[47],
        ),
        ("good", 3, "x", producer, &[("t", 0), ("u", 1)], &[0, 0]),
        ("again", 0, "x", producer, &[("t", 0)], &[0]),
    ];
    for (name, version, transactional_id, producer, partitions, expect) in rows {
        let codes = world.add_with(version, transactional_id, producer, partitions);
        assert_eq!(codes, expect, "{name}");
        assert_eq!(world.done.is_empty(), name != "good", "{name}");
    }
    for version in 0..=3 {
        assert_eq!(world.add_offsets(version, "y", producer, "g"), 49);
        let fenced = if version < 2 { 47 } else { 90 };
        assert_eq!(
            world.add_offsets(version, "x", (id, epoch + 1), "g"),
            fenced
        );
        assert_eq!(world.add_offsets(version, "x", producer, "g"), 0);
    }
}

#[test]
fn who_may_write() {
    let mut world = World::new();
    let producer = world.init("x");
    assert_eq!(world.may_write("x", producer, 0), 48, "nothing begun");
    world.add("x", producer, 0);
    assert_eq!(world.may_write("x", producer, 0), 0);
    assert_eq!(world.may_write("x", producer, 1), 48, "not added");
    assert_eq!(world.may_write("x", (producer.0, 5), 0), 47);
    assert_eq!(world.may_write("x", (producer.0 + 1, 0), 0), 49);
    assert_eq!(world.may_write("y", producer, 0), 49);
    assert_eq!(world.may_commit("x", producer, "g"), 48);
    assert_eq!(world.add_offsets(3, "x", producer, "g"), 0);
    assert_eq!(world.may_commit("x", producer, "g"), 0);
    assert_eq!(world.may_commit("x", producer, "h"), 48);
    assert_eq!(world.end("x", producer, true), 0);
    assert_eq!(
        world.may_write("x", producer, 0),
        48,
        "right after the commit"
    );
    assert_eq!(world.may_commit("x", producer, "g"), 48);
}

#[test]
fn how_transactions_end() {
    let mut world = World::new();
    let producer = world.init("x");
    assert_eq!(world.end("x", producer, true), 48, "nothing begun");
    for commit in [true, false] {
        world.add("x", producer, 0);
        world.add("x", producer, 2);
        assert_eq!(world.add_offsets(3, "x", producer, "g"), 0);
        assert_eq!(world.end("x", producer, commit), 0);
        let outcome = if commit {
            Outcome::Commit
        } else {
            Outcome::Abort
        };
        let kinds: Vec<&str> = world
            .done
            .iter()
            .map(|effect| match effect {
                Effect::Journal(TransactionEvent::Decided { .. }) => "decided",
                Effect::WriteMarkers(_) => "markers",
                Effect::EndOffsets { .. } => "offsets",
                Effect::Journal(TransactionEvent::Done { .. }) => "done",
                _ => "?",
            })
            .collect();
        assert_eq!(kinds, ["decided", "markers", "offsets", "done"]);
        assert_eq!(world.markers(), [(outcome, producer.1, vec![0, 2])]);
        assert_eq!(world.end("x", producer, commit), 0, "again");
        assert!(world.done.is_empty());
        assert_eq!(world.end("x", producer, !commit), 48, "the other way");
    }
    // The next one begins anew.
    world.add("x", producer, 3);
    assert_eq!(world.end("x", producer, true), 0);
    assert_eq!(world.markers(), [(Outcome::Commit, 0, vec![3])]);
    world.init("x");
    assert_eq!(
        world.end("x", (producer.0, 1), true),
        48,
        "opened again, nothing begun"
    );
}

#[test]
fn no_partitions_begin_a_transaction_too() {
    let mut world = World::new();
    let producer = world.init("x");
    assert!(world.add_with(3, "x", producer, &[]).is_empty());
    assert_eq!(world.end("x", producer, true), 0);
    assert_eq!(world.markers(), []);
}

#[test]
fn who_may_not_end_it() {
    let mut world = World::new();
    let producer = world.init("x");
    let (id, epoch) = producer;
    world.add("x", producer, 0);
    for version in 0..=3 {
        assert_eq!(world.end_with(version, "y", producer, true), 49);
        assert_eq!(world.end_with(version, "", producer, true), 42);
        assert_eq!(world.end_with(version, "x", (id + 1, epoch), true), 49);
        let fenced = if version < 2 { 47 } else { 90 };
        assert_eq!(world.end_with(version, "x", (id, epoch + 1), true), fenced);
        assert!(world.done.is_empty());
    }
    assert_eq!(world.end("x", producer, true), 0);
}

#[test]
fn a_transaction_of_offsets_alone_has_no_markers() {
    let mut world = World::new();
    let producer = world.init("x");
    assert_eq!(world.add_offsets(3, "x", producer, "g"), 0);
    assert_eq!(world.end("x", producer, true), 0);
    assert_eq!(world.markers(), []);
    assert!(
        world
            .done
            .iter()
            .any(|effect| matches!(effect, Effect::EndOffsets { .. }))
    );
}

#[test]
fn time_runs_out() {
    let mut world = World::new();
    let producer = world.init("x");
    assert_eq!(world.transactions.next_deadline(), None);
    world.add("x", producer, 0);
    let deadline = world.now + Duration::from_secs(60);
    assert_eq!(world.transactions.next_deadline(), Some(deadline));
    world.now += Duration::from_secs(30);
    world.add("x", producer, 1);
    assert_eq!(
        world.transactions.next_deadline(),
        Some(deadline),
        "it counts from the start"
    );
    world.now = deadline - Duration::from_millis(1);
    world.tick();
    assert!(world.done.is_empty());
    world.now = deadline;
    world.tick();
    assert_eq!(world.markers(), [(Outcome::Abort, 1, vec![0, 1])]);
    assert_eq!(world.transactions.next_deadline(), None);
    assert_eq!(world.may_write("x", producer, 0), 47);
    assert_eq!(world.end("x", producer, true), 90);
    assert_eq!(world.init("x"), (producer.0, 2));
}

#[test]
fn a_deleted_topic_takes_no_markers() {
    let mut world = World::new();
    let producer = world.init("x");
    assert_eq!(
        world.add_with(3, "x", producer, &[("t", 0), ("gone", 0)]),
        [0, 0]
    );
    for journaled in [true, false] {
        let mut effects = Vec::new();
        world.transactions.topic_deleted("gone", &mut effects);
        assert_eq!(!effects.is_empty(), journaled);
        world.take(effects);
    }
    world.restart();
    assert_eq!(world.end("x", producer, true), 0);
    let Effect::WriteMarkers(markers) = &world.done[1] else {
        panic!("{:?}", world.done)
    };
    assert_eq!(markers.partitions.keys().collect::<Vec<_>>(), ["t"]);
}
