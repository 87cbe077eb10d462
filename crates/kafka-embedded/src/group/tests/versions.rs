//! A life of a member in every version of every API: each answer can be encoded, which `World` sees
//! to, and says the same.

use super::*;

use kafka_protocol::ResponseError as Code;

/// Joins, syncs, beats, commits, leaves, in this version or the nearest that the API has.
fn live(version: i16) {
    let mut world = World::new();
    let protocols = &[("range", "m")];
    let mut ticket = world.join(version, join_request("g", "", protocols));
    if version >= 4 {
        assert_eq!(world.joined(ticket).error_code, 79);
        let id = world.joined(ticket).member_id.to_string();
        ticket = world.join(version, join_request("g", &id, protocols));
    }
    let joined = world.joined(ticket).clone();
    assert_eq!(
        (joined.error_code, joined.generation_id),
        (0, 1),
        "version {version}"
    );
    assert_eq!(joined.members.len(), 1);
    let id = joined.member_id.to_string();

    let sync = sync_request("g", 1, &id, &[(&id, "mine")])
        .with_protocol_type(Some(text("connect")))
        .with_protocol_name(Some(text("range")));
    let ticket = world.call(version.min(5), |groups, call, effects| {
        groups.sync_group(call, &sync, effects);
    });
    assert_eq!(world.synced(ticket), (0, Bytes::from_static(b"mine")));

    let beat = HeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id(1)
        .with_member_id(text(&id));
    let ticket = world.call(version.min(4), |groups, call, effects| {
        groups.heartbeat(call, &beat, effects)
    });
    let Answer::Heartbeat(answer) = &world.answers[&ticket] else {
        panic!()
    };
    assert_eq!(answer.error_code, 0);

    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(5)
        .with_committed_leader_epoch(if version >= 6 { 3 } else { -1 })
        .with_committed_metadata(None);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id_or_member_epoch(1)
        .with_member_id(text(&id))
        .with_topics(vec![topic]);
    let ticket = world.call(version.clamp(2, 8), |groups, call, effects| {
        groups.offset_commit(call, &commit, &TwoTopics, effects);
    });
    let Answer::OffsetCommit(answer) = &world.answers[&ticket] else {
        panic!()
    };
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);

    // Both shapes at once: the version decides which one is read.
    let topics = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partition_indexes(vec![0, 1]);
    let topics_8 = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(TopicName(text("orders")))
        .with_partition_indexes(vec![0, 1]);
    let group = offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topics_8]));
    let fetch = OffsetFetchRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topics]))
        .with_groups(vec![group]);
    let fetch_version = version.clamp(1, 8);
    let ticket = world.call(fetch_version, |groups, call, effects| {
        groups.offset_fetch(call, &fetch, effects);
    });
    let Answer::OffsetFetch(answer) = &world.answers[&ticket] else {
        panic!()
    };
    let offsets: Vec<i64> = if fetch_version < 8 {
        answer.topics[0]
            .partitions
            .iter()
            .map(|found| found.committed_offset)
            .collect()
    } else {
        let partitions = &answer.groups[0].topics[0].partitions;
        partitions
            .iter()
            .map(|found| found.committed_offset)
            .collect()
    };
    assert_eq!(offsets, [5, -1], "version {fetch_version}");

    let leave_version = version.min(5);
    let leave = LeaveGroupRequest::default().with_group_id(GroupId(text("g")));
    let leave = if leave_version < 3 {
        leave.with_member_id(text(&id))
    } else {
        leave.with_members(vec![MemberIdentity::default().with_member_id(text(&id))])
    };
    let ticket = world.call(leave_version, |groups, call, effects| {
        groups.leave_group(call, &leave, effects);
    });
    let Answer::LeaveGroup(answer) = &world.answers[&ticket] else {
        panic!()
    };
    assert_eq!(answer.error_code, 0);
    assert!(answer.members.iter().all(|member| member.error_code == 0));

    let txn_commit = TxnOffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id(-1)
        .with_topics(vec![
            txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                .with_name(TopicName(text("orders")))
                .with_partitions(vec![Default::default()]),
        ]);
    for permission in [Ok(()), Err(Code::InvalidTxnState)] {
        world.call(version.min(3), |groups, call, effects| {
            groups.txn_offset_commit(call, &txn_commit, permission, &TwoTopics, effects);
        });
    }
    let delete = DeleteGroupsRequest::default()
        .with_groups_names(vec![GroupId(text("g")), GroupId(text("nobody's"))]);
    world.call(version.min(2), |groups, call, effects| {
        groups.delete_groups(call, &delete, effects)
    });
}

#[test]
fn every_version_of_every_api_has_its_answers() {
    for version in 0..=9 {
        live(version);
    }
}

/// Old LeaveGroup and errors on top of it.
#[test]
fn every_version_can_say_no() {
    for version in 0..=9 {
        let mut world = World::new();
        world.join(version, join_request("g", "who", &[("range", "m")]));
        let sync = sync_request("g", 1, "who", &[]);
        world.call(version.min(5), |groups, call, effects| {
            groups.sync_group(call, &sync, effects)
        });
        for group in ["", "g"] {
            let leave = LeaveGroupRequest::default()
                .with_group_id(GroupId(text(group)))
                .with_member_id(text("who"));
            let ticket = world.call(version.min(5), |groups, call, effects| {
                groups.leave_group(call, &leave, effects);
            });
            let Answer::LeaveGroup(answer) = &world.answers[&ticket] else {
                panic!()
            };
            let expect = match (group, version) {
                ("", _) => 24,
                (_, 0..=2) => 25,
                _ => 0,
            };
            assert_eq!(answer.error_code, expect, "version {version}");
        }
        assert_eq!(world.open.len(), 0);
    }
}
