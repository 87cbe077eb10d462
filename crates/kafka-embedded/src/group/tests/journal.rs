//! What a restart finds, and damaged events.

use super::*;

#[test]
fn members_survive_a_restart_with_fresh_sessions() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    world.commit("g", generation, &ids[0]);
    world.pass(secs(8));
    world.restart(settings());
    world.pass(ms(9_999));
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 0);
    assert_eq!(world.heartbeat("g", generation, &ids[1]), 0);
    let sync = world.sync("g", generation, &ids[1], &[]);
    assert_eq!(world.synced(sync), (0, Bytes::from_static(b"1")));
    let again = world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    assert_eq!(
        world.joined(again).generation_id,
        generation,
        "a follower with the same bytes"
    );
    assert_eq!(world.committed("g", "orders", 0).0, 5);
    world.pass(secs(10));
    assert_eq!(
        world.heartbeat("g", generation, &ids[0]),
        25,
        "silent ones end as ever"
    );
}

#[test]
fn members_can_be_forgotten() {
    let mut world = World::new();
    let ids = world.stable_group("g", 1);
    world.commit("g", 1, &ids[0]);
    world.restart(GroupSettings {
        members_at_restart: MembersAtRestart::Forgotten,
        ..settings()
    });
    assert_eq!(world.heartbeat("g", 1, &ids[0]), 25);
    assert_eq!(world.committed("g", "orders", 0).0, 5);
    assert_eq!(world.groups.next_deadline(), None);
    let (_, ticket) = world.enter("g", &[("range", "m")]);
    assert_eq!(world.joined(ticket).generation_id, 2, "generations go on");
}

#[test]
fn a_crash_in_a_rebalance_finds_the_generation_before() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    assert_eq!(world.heartbeat("g", generation + 1, &ids[0]), 0);
    // A journal rewritten at this moment must not know more than the one before.
    for rewritten in [false, true] {
        if rewritten {
            world.journal = world.groups.snapshot();
        }
        world.restart(settings());
        assert_eq!(world.heartbeat("g", generation + 1, &ids[0]), 22);
        assert_eq!(world.heartbeat("g", generation, &ids[0]), 0);
    }
}

#[test]
fn a_static_member_is_known_under_its_new_id() {
    let mut world = World::new();
    let request =
        |id: &str| join_request("g", id, &[("range", "m")]).with_group_instance_id(Some(text("a")));
    let first = world.join(9, request(""));
    let first = world.joined(first).member_id.to_string();
    world.sync("g", 1, &first, &[(&first, "x")]);
    let back = world.join(9, request(""));
    let back = world.joined(back).member_id.to_string();
    world.restart(settings());
    let sync = world.sync("g", 1, &back, &[]);
    assert_eq!(world.synced(sync), (0, Bytes::from_static(b"x")));
    let fenced = world.join(9, request(&first));
    assert_eq!(world.joined(fenced).error_code, 82);
}

#[test]
fn everything_comes_back_from_journal_and_snapshot() {
    let mut world = World::new();
    world.stable_group("members", 2);
    world.commit("offsets", -1, "");
    world.commit_of("offsets", -1, "", "paid", 0, 3, "m");
    world.commit("deleted", -1, "");
    world.txn_commit(Ok(()), (-1, ""), "paid", 4);
    let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("deleted"))]);
    world.call(2, |groups, call, effects| {
        groups.delete_groups(call, &request, effects)
    });
    let before = world.groups.snapshot();
    assert_eq!(before.len(), 3);
    world.restart(settings());
    assert_eq!(world.groups.snapshot(), before);
    world.journal = before.clone();
    world.restart(settings());
    assert_eq!(world.groups.snapshot(), before);
    assert_eq!(
        world.fetch("g", "paid", 0, true).2,
        88,
        "the transaction is still open"
    );
}

#[test]
fn damaged_events_are_refused() {
    let mut world = World::new();
    world.stable_group("g", 1);
    world.commit("g", 1, "who");
    world.commit("offsets", -1, "");
    world.txn_commit(Ok(()), (-1, ""), "orders", 4);
    world.end(Outcome::Abort);
    for event in &world.journal {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        for length in 0..bytes.len() {
            assert!(
                GroupEvent::decode(&bytes[..length]).is_err(),
                "{event:?} cut at {length}"
            );
        }
        bytes.push(0);
        assert_eq!(GroupEvent::decode(&bytes), Err(DecodeError::Long(1)));
    }
    // Counts that promise more than is there.
    let mut rng = Rng(1);
    for event in &world.journal {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        for _ in 0..2000 {
            let mut damaged = bytes.clone();
            let at = usize::try_from(rng.below(damaged.len() as u64)).unwrap();
            damaged[at] = 0xff;
            let _ = GroupEvent::decode(&damaged);
        }
    }
}
