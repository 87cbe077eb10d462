//! Joins: ids first, the barrier, the vote, the leader, who sees what.

use super::*;

type Protocols = &'static [(&'static str, &'static str)];

const SESSIONED: Protocols = &[("sessioned", "s"), ("compatible", "c")];
const COMPATIBLE: Protocols = &[("compatible", "c")];

#[test]
fn requests_that_are_refused() {
    let mut world = World::new();
    world.stable_group("taken", 1);
    let good = || join_request("g", "", SESSIONED);
    let none: &[(&str, &str)] = &[];
    let rows = [
        ("empty group", good().with_group_id(GroupId::default()), 24),
        ("short session", good().with_session_timeout_ms(5_999), 26),
        (
            "long session",
            good().with_session_timeout_ms(1_800_001),
            26,
        ),
        ("negative session", good().with_session_timeout_ms(-1), 26),
        ("stranger, no group", good().with_member_id(text("who")), 25),
        ("no protocols", join_request("g", "", none), 23),
        ("no protocol type", good().with_protocol_type(text("")), 23),
        (
            "stranger",
            join_request("taken", "who", &[("range", "")]),
            25,
        ),
        (
            "nothing in common",
            join_request("taken", "", &[("other", "")]),
            23,
        ),
        (
            "other type",
            join_request("taken", "", &[("range", "")]).with_protocol_type(text("consumer")),
            23,
        ),
    ];
    for (name, request, expect) in rows {
        for version in 0..=9 {
            let ticket = world.join(version, request.clone());
            assert_eq!(
                world.joined(ticket).error_code,
                expect,
                "{name}, version {version}"
            );
            assert_eq!(world.joined(ticket).member_id, request.member_id, "{name}");
        }
    }
    let request = ListGroupsRequest::default();
    let ticket = world.call(5, |groups, call, effects| {
        groups.list_groups(call, &request, effects)
    });
    let Answer::ListGroups(listed) = &world.answers[&ticket] else {
        panic!()
    };
    assert_eq!(listed.groups.len(), 1, "refused joins leave no group");
}

#[test]
fn old_versions_join_without_an_id() {
    for version in 0..=9 {
        let mut world = World::new();
        let ticket = world.join(version, join_request("g", "", SESSIONED));
        let expect = if version < 4 { 0 } else { 79 };
        assert_eq!(world.joined(ticket).error_code, expect, "version {version}");
        assert!(world.joined(ticket).member_id.starts_with("client-"));
    }
}

#[test]
fn only_the_leader_sees_members_and_their_bytes() {
    let mut world = World::new();
    let (first, ticket) = world.enter("g", SESSIONED);
    assert_eq!(world.joined(ticket).leader.as_str(), first);
    let (second, second_join) = world.enter("g", &[("sessioned", "s2"), ("compatible", "c2")]);
    assert!(world.waits(second_join));
    assert_eq!(world.heartbeat("g", 1, &first), 27);
    let first_join = world.join(9, join_request("g", &first, SESSIONED));
    let leader = world.joined(first_join);
    assert_eq!(leader.generation_id, 2);
    assert_eq!(leader.leader.as_str(), first);
    assert_eq!(leader.protocol_name.as_deref(), Some("sessioned"));
    assert_eq!(leader.protocol_type.as_deref(), Some("connect"));
    assert!(!leader.skip_assignment);
    let seen: Vec<(&str, &[u8])> = leader
        .members
        .iter()
        .map(|member| (member.member_id.as_str(), &member.metadata[..]))
        .collect();
    assert_eq!(
        seen,
        [(first.as_str(), &b"s"[..]), (second.as_str(), &b"s2"[..])]
    );
    let follower = world.joined(second_join);
    assert_eq!(
        (follower.generation_id, follower.leader.as_str()),
        (2, first.as_str())
    );
    assert!(follower.members.is_empty());
}

#[test]
fn a_pending_id_holds_the_barrier() {
    let mut world = World::new();
    let first = world.stable_group("g", 1).remove(0);
    let given = world.join(9, join_request("g", "", &[("range", "p")]));
    let pending = world.joined(given).member_id.to_string();
    assert_eq!(
        world.heartbeat("g", 1, &first),
        0,
        "an id alone starts no rebalance"
    );
    // The leader joins again; the one with the id is waited for.
    let again = world.join(9, join_request("g", &first, &[("range", "m")]));
    assert!(world.waits(again));
    let joined = world.join(9, join_request("g", &pending, &[("range", "p")]));
    assert_eq!(world.joined(again).members.len(), 2);
    assert_eq!(world.joined(joined).generation_id, 2);

    // An id that leaves, and one whose session ends, release it too.
    for leaves in [true, false] {
        let mut world = World::new();
        let first = world.stable_group("g", 1).remove(0);
        let given = world.join(9, join_request("g", "", &[("range", "p")]));
        let pending = world.joined(given).member_id.to_string();
        let again = world.join(9, join_request("g", &first, &[("range", "m")]));
        if leaves {
            assert_eq!(world.leave("g", &[&pending]), [0]);
        } else {
            world.pass(ms(9_999));
            assert!(world.waits(again));
            world.pass(ms(1));
        }
        assert_eq!(world.joined(again).generation_id, 2);
        let late = world.join(9, join_request("g", &pending, &[("range", "p")]));
        assert_eq!(world.joined(late).error_code, 25);
    }
}

#[test]
fn the_protocol_most_prefer_among_those_all_offer_wins() {
    const AB: Protocols = &[("a", "1"), ("b", "2")];
    const BA: Protocols = &[("b", "2"), ("a", "1")];
    let rows: [(&[Protocols], &str); 6] = [
        (&[SESSIONED, SESSIONED], "sessioned"),
        (&[SESSIONED, COMPATIBLE], "compatible"),
        (&[COMPATIBLE, SESSIONED, SESSIONED], "compatible"),
        (&[AB, BA, BA], "b"),
        (&[BA, AB, AB], "a"),
        (&[BA, AB], "b"),
    ];
    for (members, expect) in rows {
        let mut world = World::with(GroupSettings {
            initial_rebalance_delay: secs(3),
            ..GroupSettings::default()
        });
        let tickets: Vec<Ticket> = members
            .iter()
            .map(|protocols| world.enter("g", protocols).1)
            .collect();
        world.pass(secs(60));
        for ticket in tickets {
            assert_eq!(
                world.joined(ticket).protocol_name.as_deref(),
                Some(expect),
                "{members:?}"
            );
        }
    }
}

#[test]
fn first_members_wait_for_a_pause_but_not_for_ever() {
    let mut world = World::with(GroupSettings {
        initial_rebalance_delay: secs(3),
        ..GroupSettings::default()
    });
    let (_, first) = world.enter("g", SESSIONED);
    world.pass(ms(2_999));
    let (_, second) = world.enter("g", SESSIONED);
    world.pass(ms(1));
    assert!(world.waits(first), "somebody joined within the delay");
    world.pass(ms(2_999));
    assert!(world.waits(first));
    world.pass(ms(1));
    assert_eq!(world.joined(first).members.len(), 2);
    assert_eq!(world.joined(second).generation_id, 1);

    let mut world = World::with(GroupSettings {
        initial_rebalance_delay: secs(3),
        ..GroupSettings::default()
    });
    let (_, first) = world.enter("g", SESSIONED);
    for _ in 0..59 {
        world.pass(secs(1));
        world.enter("g", SESSIONED);
        assert!(world.waits(first));
    }
    world.pass(secs(1));
    assert_eq!(
        world.joined(first).members.len(),
        60,
        "the rebalance timeout bounds it"
    );
}

#[test]
fn a_leader_stays_and_the_oldest_follows_it() {
    let mut world = World::new();
    let ids = world.stable_group("g", 3);
    assert_eq!(world.leave("g", &[&ids[0]]), [0]);
    let third = world.join(9, join_request("g", &ids[2], &[("range", "m")]));
    let second = world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    for ticket in [second, third] {
        assert_eq!(world.joined(ticket).leader.as_str(), ids[1]);
        assert_eq!(world.joined(ticket).generation_id, world.generation("g"));
    }
    assert_eq!(world.joined(second).members.len(), 2);
    assert!(world.joined(third).members.is_empty());
}

#[test]
fn who_joins_a_stable_group_again() {
    let rows = [
        ("leader, same bytes", 0, "m", true),
        ("leader, other bytes", 0, "n", true),
        ("follower, same bytes", 1, "m", false),
        ("follower, other bytes", 1, "n", true),
    ];
    for (name, member, metadata, rebalances) in rows {
        let mut world = World::new();
        let ids = world.stable_group("g", 2);
        let generation = world.generation("g");
        let ticket = world.join(9, join_request("g", &ids[member], &[("range", metadata)]));
        assert_eq!(world.waits(ticket), rebalances, "{name}");
        let expect = if rebalances { 27 } else { 0 };
        assert_eq!(
            world.heartbeat("g", generation, &ids[1 - member]),
            expect,
            "{name}"
        );
        if rebalances {
            // Cooperative: the other still syncs nothing and commits what it has.
            assert_eq!(world.commit("g", generation, &ids[1 - member]), 0, "{name}");
            let sync = world.sync("g", generation, &ids[1 - member], &[]);
            assert_eq!(world.synced(sync).0, 27, "{name}");
            world.join(9, join_request("g", &ids[1 - member], &[("range", "m")]));
            assert_eq!(world.joined(ticket).generation_id, generation + 1, "{name}");
        } else {
            assert_eq!(world.joined(ticket).generation_id, generation, "{name}");
            assert!(world.joined(ticket).members.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_lost_answer_is_given_again_while_completing() {
    let mut world = World::new();
    let (id, ticket) = world.enter("g", SESSIONED);
    assert_eq!(world.joined(ticket).generation_id, 1);
    let again = world.join(9, join_request("g", &id, SESSIONED));
    assert_eq!(world.joined(again).generation_id, 1);
    assert_eq!(world.joined(again).members.len(), 1);
    let changed = world.join(9, join_request("g", &id, COMPATIBLE));
    assert_eq!(world.joined(changed).error_code, 0);
    assert_eq!(
        world.joined(changed).generation_id,
        2,
        "other bytes: next generation"
    );
}

#[test]
fn waiting_syncs_hear_of_a_new_rebalance() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    let waiting = world.sync("g", generation + 1, &ids[1], &[]);
    assert!(world.waits(waiting));
    let (_, newcomer) = world.enter("g", &[("range", "x")]);
    assert_eq!(world.synced(waiting).0, 27);
    assert!(world.waits(newcomer));
}

#[test]
fn a_second_call_in_one_name_sends_the_first_away() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let first = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    let second = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    assert_eq!(world.joined(first).error_code, 27);
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    let generation = world.joined(second).generation_id;
    let first = world.sync("g", generation, &ids[1], &[]);
    let second = world.sync("g", generation, &ids[1], &[]);
    assert_eq!(world.synced(first).0, 27);
    world.sync("g", generation, &ids[0], &[(&ids[1], "b")]);
    assert_eq!(world.synced(second), (0, Bytes::from_static(b"b")));
}

#[test]
fn who_may_sync_and_what_it_gets() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    let with = |kind: &str, name: &str| {
        sync_request("g", generation, &ids[1], &[])
            .with_protocol_type(Some(text(kind)))
            .with_protocol_name(Some(text(name)))
    };
    let rows = [
        ("again, stable", 5, with("connect", "range"), 0, "1"),
        ("other type", 5, with("consumer", "range"), 23, ""),
        ("other name", 5, with("connect", "sticky"), 23, ""),
        (
            "no names in 5",
            5,
            sync_request("g", generation, &ids[1], &[]),
            23,
            "",
        ),
        (
            "no names in 4",
            4,
            sync_request("g", generation, &ids[1], &[]),
            0,
            "1",
        ),
        (
            "stale",
            4,
            sync_request("g", generation - 1, &ids[1], &[]),
            22,
            "",
        ),
        (
            "stranger",
            4,
            sync_request("g", generation, "who", &[]),
            25,
            "",
        ),
        (
            "unknown group",
            4,
            sync_request("other", 1, &ids[1], &[]),
            25,
            "",
        ),
        (
            "empty group id",
            4,
            sync_request("", 1, &ids[1], &[]),
            24,
            "",
        ),
    ];
    for (name, version, request, error, bytes) in rows {
        let ticket = world.call(version, |groups, call, effects| {
            groups.sync_group(call, &request, effects)
        });
        assert_eq!(world.synced(ticket), (error, Bytes::from(bytes)), "{name}");
    }
    // A member that the leader forgot gets nothing; bytes for strangers are ignored.
    let join = world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    let generation = world.joined(join).generation_id;
    let follower = world.sync("g", generation, &ids[1], &[]);
    let opaque = "\0\u{1}\u{7f}";
    let leader = world.sync("g", generation, &ids[0], &[(&ids[0], opaque), ("who", "x")]);
    assert_eq!(world.synced(leader), (0, Bytes::from(opaque)));
    assert_eq!(world.synced(follower), (0, Bytes::new()));
}

#[test]
fn signs_of_life_and_leaving() {
    let mut world = World::new();
    let ids = world.stable_group("g", 2);
    let generation = world.generation("g");
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 0);
    assert_eq!(world.heartbeat("g", generation - 1, &ids[0]), 22);
    assert_eq!(world.heartbeat("g", generation, "who"), 25);
    assert_eq!(world.heartbeat("other", generation, &ids[0]), 25);
    assert_eq!(world.heartbeat("", generation, &ids[0]), 24);
    assert_eq!(world.leave("other", &["who", "else"]), [25, 25]);
    assert_eq!(world.leave("g", &["who"]), [25]);
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 0);
    assert_eq!(world.leave("g", &[&ids[0], "who", &ids[1]]), [0, 25, 0]);
    assert_eq!(world.heartbeat("g", generation, &ids[0]), 25);
    // One member by the old shape of the request.
    for version in 0..=2 {
        let ids = world.stable_group("g", 1);
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(text(&ids[0]));
        let expect = [0, 25];
        for expect in expect {
            let ticket = world.call(version, |groups, call, effects| {
                groups.leave_group(call, &request, effects)
            });
            let Answer::LeaveGroup(answer) = &world.answers[&ticket] else {
                panic!()
            };
            assert_eq!(answer.error_code, expect, "version {version}");
        }
    }
}

#[test]
fn a_group_has_a_largest_size() {
    let mut world = World::with(GroupSettings {
        members_max: 2,
        ..settings()
    });
    let ids = world.stable_group("g", 2);
    let ticket = world.join(9, join_request("g", "", &[("range", "m")]));
    assert_eq!(world.joined(ticket).error_code, 81);
    let ticket = world.join(9, join_request("g", &ids[1], &[("range", "m")]));
    assert_eq!(world.joined(ticket).error_code, 0);
}
