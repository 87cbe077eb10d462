//! What a restart finds, and damaged events.

use super::*;

#[test]
fn a_decision_is_carried_out_after_a_crash() {
    for commit in [true, false] {
        let mut world = World::new();
        let producer = world.init("x");
        world.add("x", producer, 0);
        assert_eq!(world.add_offsets(3, "x", producer, "g"), 0);
        world.end("x", producer, commit);
        let done = world.journal.pop();
        assert!(matches!(done, Some(TransactionEvent::Done { .. })));
        for rewritten in [false, true] {
            if rewritten {
                let mut bare = TransactionCoordinator::new(settings());
                world
                    .journal
                    .iter()
                    .cloned()
                    .for_each(|event| bare.restore(event));
                world.journal = bare.snapshot();
            }
            let lines = world.journal.len();
            world.restart();
            let Effect::WriteMarkers(markers) = &world.done[0] else {
                panic!()
            };
            assert_eq!(markers.writing, Writing::Again);
            let outcome = if commit {
                Outcome::Commit
            } else {
                Outcome::Abort
            };
            assert_eq!((markers.outcome, markers.epoch), (outcome, 0));
            assert!(matches!(&world.done[1], Effect::EndOffsets { .. }));
            assert_eq!(world.journal.len(), lines + 1);
            assert_eq!(world.end("x", producer, commit), 0, "the client asks again");
            world.journal.pop();
        }
    }
}

#[test]
fn an_open_transaction_stays_open_with_its_groups() {
    let mut world = World::new();
    let producer = world.init("x");
    world.add("x", producer, 0);
    assert_eq!(world.add_offsets(3, "x", producer, "g"), 0);
    let deadline = world.transactions.next_deadline();
    world.restart();
    assert!(world.done.is_empty());
    assert_eq!(world.may_write("x", producer, 0), 0);
    assert_eq!(world.may_commit("x", producer, "g"), 0);
    assert_eq!(
        world.transactions.next_deadline(),
        deadline,
        "its time goes on"
    );
    assert_eq!(world.init("x"), (producer.0, 2));
    assert_eq!(world.markers(), [(Outcome::Abort, 1, vec![0])]);
}

#[test]
fn everything_comes_back_from_journal_and_snapshot() {
    let mut world = World::new();
    world.init_with(4, None, 0, (-1, -1));
    world.init("empty");
    for (id, ends) in [
        ("open", None),
        ("committed", Some(true)),
        ("aborted", Some(false)),
    ] {
        let producer = world.init(id);
        world.add(id, producer, 0);
        world.add_offsets(3, id, producer, "g");
        if let Some(commit) = ends {
            world.end(id, producer, commit);
        }
    }
    let own = world.init("own");
    world.init_with(4, Some("own"), 60_000, own);
    let before = world.transactions.snapshot();
    world.restart();
    assert_eq!(world.transactions.snapshot(), before);
    world.journal = before.clone();
    world.restart();
    assert_eq!(world.transactions.snapshot(), before);
    let fresh = world.init_with(4, None, 0, (-1, -1)).1;
    assert!(fresh >= 1000, "no producer id twice: {fresh}");
    for event in before {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        for length in 0..bytes.len() {
            assert!(
                TransactionEvent::decode(&bytes[..length]).is_err(),
                "{event:?} at {length}"
            );
        }
        bytes.push(0);
        assert!(TransactionEvent::decode(&bytes).is_err());
    }
}
