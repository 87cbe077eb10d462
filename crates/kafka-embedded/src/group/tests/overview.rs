//! ListGroups, DescribeGroups, DeleteGroups.

use super::*;

fn describe(
    world: &mut World,
    version: i16,
    group: &str,
) -> describe_groups_response::DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
    let ticket = world.call(version, |groups, call, effects| {
        groups.describe_groups(call, &request, effects)
    });
    match &world.answers[&ticket] {
        Answer::DescribeGroups(answer) => answer.groups[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn states_as_admin_clients_see_them() {
    let mut world = World::new();
    let ids = world.stable_group("g", 1);
    for version in 0..=6 {
        let stable = describe(&mut world, version, "g");
        assert_eq!(stable.group_state.as_str(), "Stable");
        assert_eq!(stable.protocol_type.as_str(), "connect");
        assert_eq!(stable.protocol_data.as_str(), "range");
        let member = &stable.members[0];
        assert_eq!(member.member_id.as_str(), ids[0]);
        assert_eq!(member.client_id.as_str(), "client");
        assert_eq!(member.client_host.as_str(), "/127.0.0.1");
        assert_eq!(
            (&member.member_metadata[..], &member.member_assignment[..]),
            (&b"m"[..], &b"0"[..])
        );
        let unknown = describe(&mut world, version, "nobody's");
        assert_eq!(unknown.group_state.as_str(), "Dead");
        assert_eq!(
            unknown.error_code,
            if version < 6 { 0 } else { 69 },
            "version {version}"
        );
        assert_eq!(unknown.error_message.is_some(), version >= 6);
    }
    world.join(9, join_request("g", &ids[0], &[("range", "m")]));
    let completing = describe(&mut world, 6, "g");
    assert_eq!(completing.group_state.as_str(), "CompletingRebalance");
    assert_eq!(completing.protocol_data.as_str(), "");
    assert!(completing.members[0].member_metadata.is_empty());
    assert_eq!(
        &completing.members[0].member_assignment[..],
        b"0",
        "the last one"
    );
    let newcomer = world.enter("g", &[("range", "m")]);
    assert!(world.waits(newcomer.1));
    assert_eq!(
        describe(&mut world, 6, "g").group_state.as_str(),
        "PreparingRebalance"
    );
    world.leave("g", &[&ids[0], &newcomer.0]);
    let empty = describe(&mut world, 6, "g");
    assert_eq!((empty.group_state.as_str(), empty.error_code), ("Empty", 0));
    assert_eq!(empty.protocol_type.as_str(), "connect");
}

#[test]
fn who_asks_may_do_everything() {
    let mut world = World::new();
    world.commit("g", -1, "");
    let names = ["g", "nobody's"].map(|name| GroupId(text(name)));
    for version in 3..=6 {
        let request = DescribeGroupsRequest::default()
            .with_groups(names.to_vec())
            .with_include_authorized_operations(true);
        let ticket = world.call(version, |groups, call, effects| {
            groups.describe_groups(call, &request, effects)
        });
        let Answer::DescribeGroups(answer) = &world.answers[&ticket] else {
            panic!()
        };
        let operations: Vec<i32> = answer
            .groups
            .iter()
            .map(|group| group.authorized_operations)
            .collect();
        assert_eq!(
            operations,
            [3400, if version < 6 { 3400 } else { i32::MIN }]
        );
    }
}

#[test]
fn listing_with_filters() {
    let mut world = World::new();
    world.stable_group("active", 1);
    world.commit("offsets", -1, "");
    let rows: [(&[&str], &[&str], &[&str]); 6] = [
        (
            &[],
            &[],
            &["active connect Stable classic", "offsets  Empty classic"],
        ),
        (&["Stable"], &[], &["active connect Stable classic"]),
        (&["empty", "Dead"], &[], &["offsets  Empty classic"]),
        (&["Nonsense"], &[], &[]),
        (
            &[],
            &["Classic"],
            &["active connect Stable classic", "offsets  Empty classic"],
        ),
        (&[], &["consumer"], &[]),
    ];
    for (states, types, expect) in rows {
        let texts = |values: &[&str]| values.iter().map(|value| text(value)).collect();
        let request = ListGroupsRequest::default()
            .with_states_filter(texts(states))
            .with_types_filter(texts(types));
        for version in 0..=5 {
            let ticket = world.call(version, |groups, call, effects| {
                groups.list_groups(call, &request, effects)
            });
            let Answer::ListGroups(answer) = &world.answers[&ticket] else {
                panic!()
            };
            let listed: Vec<String> = answer
                .groups
                .iter()
                .map(|group| {
                    let (id, kind) = (group.group_id.as_str(), &group.protocol_type);
                    format!("{id} {kind} {} {}", group.group_state, group.group_type)
                })
                .collect();
            assert_eq!(listed, expect, "{states:?} {types:?}");
        }
    }
}

#[test]
fn deleting_groups() {
    let mut world = World::new();
    world.stable_group("active", 1);
    world.commit("offsets", -1, "");
    let names = ["active", "offsets", "offsets", "nobody's"];
    let request = DeleteGroupsRequest::default()
        .with_groups_names(names.iter().map(|name| GroupId(text(name))).collect());
    let ticket = world.call(2, |groups, call, effects| {
        groups.delete_groups(call, &request, effects)
    });
    let Answer::DeleteGroups(answer) = &world.answers[&ticket] else {
        panic!()
    };
    let results: Vec<i16> = answer
        .results
        .iter()
        .map(|result| result.error_code)
        .collect();
    assert_eq!(results, [68, 0, 69, 69]);
    assert_eq!(world.committed("offsets", "orders", 0).0, -1);
    assert_eq!(
        describe(&mut world, 5, "offsets").group_state.as_str(),
        "Dead"
    );
}
