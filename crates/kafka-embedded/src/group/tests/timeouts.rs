//! Members that fall silent, miss a barrier, or never sync.

use super::*;

#[test]
fn silence_ends_a_session() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    world.pass(ms(9_999));
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 0);
    world.pass(ms(1));
    assert_eq!(
        world.heartbeat("g", generation, &ids[1]),
        25,
        "silent for 10 s"
    );
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 27);
    let alone = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    assert_eq!(world.joined(alone).members.len(), 1);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let ids = world.stable_group("g", 1);
    for _ in 0..5 {
        world.pass(secs(9));
        assert_eq!(world.commit("g", 1, &ids[0]), 0);
    }
    world.pass(secs(10));
    assert_eq!(world.commit("g", 1, &ids[0]), 25);
}

#[test]
fn a_barrier_waits_for_the_largest_rebalance_timeout() {
    let mut world = World::new();
    let ids = world.stable_group("g", 3);
    let generation = world.generation("g");
    let again = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    for _ in 0..59 {
        world.pass(secs(1));
        // Alive, but busy: heartbeats alone do not keep its place.
        assert_eq!(world.heartbeat("g", generation, &ids[1]), 27);
        assert!(world.waits(again));
    }
    world.pass(secs(1));
    let members: Vec<&str> = world
        .joined(again)
        .members
        .iter()
        .map(|member| member.member_id.as_str())
        .collect();
    assert_eq!(members, [ids[0].as_str()]);
    assert_eq!(world.heartbeat("g", generation, &ids[1]), 25);
}

#[test]
fn who_waits_for_an_answer_does_not_expire() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    let again = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    for _ in 0..5 {
        world.pass(secs(9));
        assert_eq!(world.heartbeat("g", generation, &ids[1]), 27);
    }
    assert!(world.waits(again), "45 s without a heartbeat of its own");
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    assert_eq!(world.joined(again).members.len(), 2);
    let waiting = world.sync("g", generation + 1, &ids[1], &[]);
    for _ in 0..5 {
        world.pass(secs(9));
        assert_eq!(world.heartbeat("g", generation + 1, &ids[0]), 0);
    }
    assert!(world.waits(waiting));
    world.sync("g", generation + 1, &ids[0], &[(&ids[1], "b")]);
    assert_eq!(world.synced(waiting), (0, Bytes::from_static(b"b")));
    world.pass(ms(9_999));
    assert_eq!(
        world.heartbeat("g", generation + 1, &ids[1]),
        0,
        "its session began anew"
    );
}

#[test]
fn who_never_syncs_is_out_after_the_rebalance_timeout() {
    // `stable`: the leader has handed out the assignment, the follower did not fetch its own.
    for stable in [false, true] {
        let mut world = World::new();
        let ids = world.stable_group("g", 2);
        let generation = world.generation("g") + 1;
        world.join(9, join_request("g", &ids[0], &[("range", "m")]));
        world.join(9, join_request("g", &ids[1], &[("range", "m")]));
        let (here, away) = if stable { (0, 1) } else { (1, 0) };
        let sync = world.sync("g", generation, &ids[here], &[]);
        assert_eq!(world.waits(sync), !stable);
        for _ in 0..59 {
            world.pass(secs(1));
            assert_eq!(world.heartbeat("g", generation, &ids[away]), 0);
            if stable {
                assert_eq!(world.heartbeat("g", generation, &ids[here]), 0);
            }
        }
        world.pass(secs(1));
        assert_eq!(world.heartbeat("g", generation, &ids[away]), 25);
        assert_eq!(world.heartbeat("g", generation, &ids[here]), 27);
        if !stable {
            assert_eq!(world.synced(sync).0, 27);
        }
        let alone = world.join(9, join_request("g", &ids[here], &[("range", "m")]));
        assert_eq!(world.joined(alone).leader.as_str(), ids[here]);
        assert_eq!(world.joined(alone).generation_id, generation + 1);
    }
}

#[test]
fn a_group_whose_members_are_gone_is_empty_and_has_no_deadline() {
    let mut world = World::new();
    world.stable_group("g", 3);
    world.pass(secs(200));
    assert_eq!(world.groups.next_deadline(), None);
    assert_eq!(
        world.commit("g", -1, ""),
        0,
        "a simple commit to an emptied group"
    );
    let Some(GroupEvent::Members(record)) = world
        .journal
        .iter()
        .rev()
        .find(|event| matches!(event, GroupEvent::Members(_)))
    else {
        panic!("the journal knows that the group emptied");
    };
    assert!(record.members.is_empty());
    assert_eq!(record.protocol_type, "connect");
}

#[test]
fn a_new_member_that_waits_five_minutes_is_given_up() {
    let mut world = World::new();
    let ids = world.stable_group("g", 1);
    let slow = join_request("g", &ids[0], &[("range", "m")]).with_rebalance_timeout_ms(900_000);
    world.join(9, slow);
    let (_, newcomer) = world.enter("g", &[("range", "m")]);
    for _ in 0..299 {
        world.pass(secs(1));
        world.heartbeat("g", 2, &ids[0]);
        assert!(world.waits(newcomer));
    }
    world.pass(secs(1));
    assert_eq!(world.joined(newcomer).error_code, 25);
}

#[test]
fn version_0_has_no_rebalance_timeout() {
    let mut world = World::new();
    let request = join_request("g", "", &[("range", "m")]).with_rebalance_timeout_ms(-1);
    let ticket = world.join(0, request);
    assert_eq!(world.joined(ticket).error_code, 0);
    // It never syncs, and its session timeout of 10 s stands for the rebalance timeout.
    let id = world.joined(ticket).member_id.to_string();
    world.pass(ms(9_999));
    assert_eq!(world.heartbeat("g", 1, &id), 0);
    world.pass(ms(1));
    assert_eq!(world.heartbeat("g", 1, &id), 25);
}

#[test]
fn ticking_early_does_nothing() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let lines = world.journal.len();
    for _ in 0..100 {
        world.now += ms(50);
        world.tick();
    }
    assert_eq!(world.journal.len(), lines);
    assert_eq!(world.heartbeat("g", world.generation("g"), &ids[0]), 0);
}
