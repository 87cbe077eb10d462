//! Members with an instance id: they keep their place over a restart, and fence their old self.

use super::*;

fn request(id: &str, instance: &str, protocols: &[(&str, &str)]) -> JoinGroupRequest {
    join_request("g", id, protocols).with_group_instance_id(Some(text(instance)))
}

/// Two static members `a`, the leader, and `b`, stable in generation 2.
fn pair(world: &mut World, protocols: &[(&str, &str)]) -> [String; 2] {
    let a = world.join(9, request("", "a", protocols));
    let a = world.joined(a).member_id.to_string();
    let b = world.join(9, request("", "b", protocols));
    let again = world.join(9, request(&a, "a", protocols));
    assert_eq!(world.joined(again).members.len(), 2);
    let b = world.joined(b).member_id.to_string();
    world.sync("g", 2, &a, &[(&a, "for a"), (&b, "for b")]);
    world.sync("g", 2, &b, &[]);
    [a, b]
}

fn static_heartbeat(world: &mut World, id: &str, instance: &str) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id(2)
        .with_member_id(text(id))
        .with_group_instance_id(Some(text(instance)));
    let ticket = world.call(4, |groups, call, effects| {
        groups.heartbeat(call, &request, effects)
    });
    let Answer::Heartbeat(answer) = &world.answers[&ticket] else {
        panic!()
    };
    answer.error_code
}

#[test]
fn no_id_is_given_out_first() {
    let mut world = World::new();
    let ticket = world.join(9, request("", "a", &[("range", "m")]));
    assert_eq!(world.joined(ticket).error_code, 0);
    assert!(world.joined(ticket).member_id.starts_with("a-"));
    assert_eq!(
        world.joined(ticket).members[0].group_instance_id.as_deref(),
        Some("a")
    );
}

#[test]
fn a_follower_comes_back_into_the_same_generation() {
    for version in [5, 8, 9] {
        let mut world = World::new();
        let [a, b] = pair(&mut world, &[("range", "m")]);
        let back = world.join(version, request("", "b", &[("range", "m")]));
        let answer = world.joined(back).clone();
        assert_eq!((answer.error_code, answer.generation_id), (0, 2));
        assert_ne!(answer.member_id.as_str(), b);
        assert_eq!(answer.leader.as_str(), a);
        assert!(answer.members.is_empty());
        assert!(!answer.skip_assignment);
        let sync = world.sync("g", 2, &answer.member_id, &[]);
        assert_eq!(world.synced(sync), (0, Bytes::from_static(b"for b")));
        assert_eq!(world.heartbeat("g", 2, &a), 0, "nobody hears of it");
        assert_eq!(static_heartbeat(&mut world, &b, "b"), 82);
        assert_eq!(world.heartbeat("g", 2, &b), 25);
        assert_eq!(world.join_code(request(&b, "b", &[("range", "m")])), 82);
    }
}

#[test]
fn a_leader_comes_back_and_assigns_nothing() {
    for (version, skips) in [(8, false), (9, true)] {
        let mut world = World::new();
        let [a, b] = pair(&mut world, &[("range", "m")]);
        let back = world.join(version, request("", "a", &[("range", "m")]));
        let answer = world.joined(back).clone();
        assert_eq!(answer.generation_id, 2);
        assert_eq!(answer.skip_assignment, skips);
        assert_eq!(answer.members.len(), if skips { 2 } else { 0 });
        // Before version 9 it must not think that it leads.
        let leader = if skips {
            answer.member_id.to_string()
        } else {
            a
        };
        assert_eq!(answer.leader.as_str(), leader);
        let sync = world.sync("g", 2, &answer.member_id, &[]);
        assert_eq!(world.synced(sync), (0, Bytes::from_static(b"for a")));
        assert_eq!(world.heartbeat("g", 2, &b), 0);
    }
}

#[test]
fn other_bytes_keep_the_generation_and_another_protocol_ends_it() {
    let both: &[(&str, &str)] = &[("range", "m"), ("sticky", "m")];
    let mut world = World::new();
    let [_, b] = pair(&mut world, both);
    // As in Kafka: what counts is the protocol that the group would agree on.
    let back = world.join(9, request("", "a", &[("range", "n"), ("sticky", "n")]));
    assert_eq!(world.joined(back).generation_id, 2);
    let back = world.join(9, request("", "a", &[("sticky", "m")]));
    assert!(world.waits(back));
    assert_eq!(static_heartbeat(&mut world, &b, "b"), 27);
    let other = world.join(9, request(&b, "b", both));
    assert_eq!(world.joined(other).protocol_name.as_deref(), Some("sticky"));
    assert_eq!(world.joined(back).generation_id, 3);
}

#[test]
fn coming_back_fences_who_waits_in_the_old_name() {
    let mut world = World::new();
    let [a, _] = pair(&mut world, &[("range", "m")]);
    let waiting = world.join(9, request(&a, "a", &[("range", "m")]));
    assert!(world.waits(waiting));
    let back = world.join(9, request("", "a", &[("range", "m")]));
    assert_eq!(world.joined(waiting).error_code, 82);
    assert!(world.waits(back));
}

#[test]
fn a_barrier_passes_without_static_members_but_keeps_their_place() {
    let mut world = World::new();
    let [a, b] = pair(&mut world, &[("range", "m")]);
    let a_again = world.join(9, request(&a, "a", &[("range", "m")]));
    for _ in 0..59 {
        world.pass(secs(1));
        assert_eq!(static_heartbeat(&mut world, &b, "b"), 27);
    }
    world.pass(secs(1));
    assert_eq!(
        world.joined(a_again).members.len(),
        2,
        "b has not joined and is a member"
    );
    assert_eq!(world.joined(a_again).generation_id, 3);
}

#[test]
fn only_static_members_and_none_of_them_here() {
    let mut world = World::new();
    let [a, _] = pair(&mut world, &[("range", "m")]);
    let gone = world.join(9, request(&a, "a", &[("range", "m")]));
    world.leave("g", &[&a]);
    assert_eq!(world.joined(gone).error_code, 25);
    world.pass(secs(9));
    assert!(world.groups.next_deadline().is_some());
    world.pass(secs(200));
    assert_eq!(
        world.groups.next_deadline(),
        None,
        "silence ends its session all the same"
    );
}

#[test]
fn an_admin_client_removes_a_static_member_by_its_instance_id() {
    let mut world = World::new();
    let [_, b] = pair(&mut world, &[("range", "m")]);
    let member = |id: &str, instance: &str| {
        MemberIdentity::default()
            .with_member_id(text(id))
            .with_group_instance_id(Some(text(instance)))
    };
    let request = LeaveGroupRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_members(vec![
            member("", "a"),
            member("", "nobody"),
            member("who", "b"),
            member(&b, "b"),
        ]);
    let ticket = world.call(5, |groups, call, effects| {
        groups.leave_group(call, &request, effects)
    });
    let Answer::LeaveGroup(answer) = &world.answers[&ticket] else {
        panic!()
    };
    let codes: Vec<i16> = answer
        .members
        .iter()
        .map(|member| member.error_code)
        .collect();
    assert_eq!(codes, [0, 25, 82, 0]);
    assert_eq!(world.groups.next_deadline(), None);
}

impl World {
    fn join_code(&mut self, request: JoinGroupRequest) -> i16 {
        let ticket = self.join(9, request);
        self.joined(ticket).error_code
    }
}
