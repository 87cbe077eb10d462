//! InitProducerId: ids, epochs, who is fenced.

use super::*;

#[test]
fn producers_without_transactions_get_ids_of_their_own() {
    let mut world = World::new();
    let mut seen = BTreeSet::new();
    for version in 0..=4 {
        for _ in 0..600 {
            let (error, producer_id, epoch) = world.init_with(version, None, 0, (-1, -1));
            assert_eq!((error, epoch), (0, 0));
            assert!(seen.insert(producer_id));
        }
        world.restart();
    }
    assert!(world.journal.len() < 20, "ids are reserved in blocks");
}

#[test]
fn requests_that_are_refused() {
    let mut world = World::new();
    let producer = world.init("x");
    let (id, epoch) = producer;
    let rows = [
        ("empty id", 4, Some(""), 60_000, (-1, -1), 42),
        ("no timeout", 4, Some("x"), 0, (-1, -1), 50),
        ("negative timeout", 4, Some("x"), -1, (-1, -1), 50),
        ("long timeout", 4, Some("x"), 900_001, (-1, -1), 50),
        ("stale epoch, new", 4, Some("x"), 1, (id, epoch - 1), 90),
        ("stale epoch, old", 3, Some("x"), 1, (id, epoch - 1), 47),
        ("later epoch", 4, Some("x"), 1, (id, epoch + 1), 90),
        ("foreign id", 4, Some("x"), 1, (id + 1, epoch), 90),
    ];
    for (name, version, transactional_id, timeout, claim, expect) in rows {
        let answer = world.init_with(version, transactional_id, timeout, claim);
        assert_eq!(answer, (expect, -1, -1), "{name}");
        assert!(world.done.is_empty(), "{name}");
    }
    assert_eq!(world.init_with(4, Some("x"), 900_000, (-1, -1)).0, 0);
}

#[test]
fn each_opening_is_a_new_epoch() {
    let mut world = World::new();
    let (id, epoch) = world.init("x");
    assert_eq!(epoch, 0);
    assert_eq!(world.init("x"), (id, 1));
    assert_eq!(
        world.init_with(4, Some("x"), 60_000, (id, 1)),
        (0, id, 2),
        "its own"
    );
    assert_eq!(
        world.init_with(4, Some("x"), 60_000, (id, 1)),
        (0, id, 2),
        "the answer was lost"
    );
    assert_eq!(world.init_with(4, Some("x"), 60_000, (id, 0)).0, 90);
    world.restart();
    assert_eq!(
        world.init_with(4, Some("x"), 60_000, (id, 1)),
        (0, id, 2),
        "over a restart too"
    );
    assert_eq!(world.init("x"), (id, 3));
    assert_eq!(
        world.init_with(4, Some("x"), 60_000, (id, 1)).0,
        90,
        "replaced by somebody else"
    );
    assert_ne!(world.init("y").0, id);
    // Recovery from a lost state: a new transactional id takes whatever the producer claims.
    assert_eq!(world.init_with(4, Some("z"), 60_000, (77, 5)).2, 0);
}

#[test]
fn an_open_transaction_is_aborted_and_its_producer_fenced() {
    let mut world = World::new();
    let old = world.init("x");
    world.add("x", old, 1);
    assert_eq!(world.add_offsets(3, "x", old, "g"), 0);
    let new = world.init("x");
    assert_eq!(new, (old.0, 2));
    assert_eq!(world.markers(), [(Outcome::Abort, 1, vec![1])]);
    assert!(world.done.contains(&Effect::EndOffsets {
        producer_id: old.0,
        groups: BTreeSet::from(["g".to_owned()]),
        outcome: Outcome::Abort,
    }));
    for zombie in [old, (old.0, 1)] {
        assert_eq!(world.may_write("x", zombie, 1), 47);
        assert_eq!(world.add_with(3, "x", zombie, &[("t", 1)]), [90]);
        assert_eq!(world.end("x", zombie, true), 90);
        assert_eq!(world.init_with(4, Some("x"), 1, zombie).0, 90);
    }
    world.add("x", new, 1);
    assert_eq!(world.may_write("x", new, 1), 0);
    // A zombie that opens again by its old name harms nobody.
    assert_eq!(world.init_with(4, Some("x"), 1, old).0, 90);
    assert_eq!(world.end("x", new, true), 0);
}

#[test]
fn a_producer_that_opens_over_its_own_transaction() {
    let mut world = World::new();
    let old = world.init("x");
    world.add("x", old, 1);
    // Seen on Apache Kafka 4.3.1: one epoch further, not two.
    assert_eq!(world.init_with(4, Some("x"), 60_000, old), (0, old.0, 1));
    assert_eq!(world.markers(), [(Outcome::Abort, 1, vec![1])]);
    assert_eq!(
        world.init_with(4, Some("x"), 60_000, old),
        (0, old.0, 1),
        "again"
    );
    assert_eq!(world.end("x", (old.0, 1), false), 48, "nothing begun");
}

#[test]
fn epochs_that_are_used_up_give_a_new_producer_id() {
    for open in [false, true] {
        let mut world = World::new();
        let mut producer = world.init("x");
        let mut epochs = 0_u32;
        loop {
            if open {
                world.add("x", producer, 0);
            }
            world.journal.clear();
            let next = world.init("x");
            epochs += 1;
            if next.0 != producer.0 {
                assert_eq!(next.1, 0);
                assert!(producer.1 >= 32_765, "{producer:?}");
                break;
            }
            assert!(next.1 > producer.1 && next.1 <= 32_766);
            producer = next;
        }
        assert_eq!(epochs, if open { 16_384 } else { 32_767 });
    }
}

#[test]
fn a_producer_that_used_up_its_epochs_may_ask_again() {
    let mut world = World::new();
    let mut producer = world.init("x");
    while producer.1 < 32_766 {
        world.journal.clear();
        producer = world.init("x");
    }
    let (error, id, epoch) = world.init_with(4, Some("x"), 1, producer);
    assert_eq!((error, epoch), (0, 0));
    assert_ne!(id, producer.0);
    assert_eq!(world.init_with(4, Some("x"), 1, producer), (0, id, 0));
}
