//! Answers about membership, each fit for its version.
//!
//! Lives here: responses of JoinGroup, SyncGroup, Heartbeat and LeaveGroup from values.
//! Never here: a decision. kafka-protocol refuses to encode a field that the version lacks unless
//! it has its default, so each such field is set here and nowhere else.

use bytes::Bytes;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{
    GroupId, HeartbeatResponse, JoinGroupResponse, SyncGroupResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::state::Membership;
use super::words::Answer;

/// JoinGroup 7 and later may have no protocol name.
const JOIN_NULLABLE_PROTOCOL: i16 = 7;
/// JoinGroup 9 can tell a leader that nothing is to be assigned.
pub(super) const JOIN_SKIPS_ASSIGNMENT: i16 = 9;

pub(super) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(super) fn group_name(value: &str) -> GroupId {
    GroupId(text(value))
}

pub(super) fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

pub(super) fn code(result: Result<(), Code>) -> i16 {
    result.err().map_or(0, |code| code.code())
}

pub(super) fn join_error(version: i16, member: &str, error: Code) -> Answer {
    let protocol = (version < JOIN_NULLABLE_PROTOCOL).then(StrBytes::default);
    Answer::JoinGroup(
        JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_protocol_name(protocol)
            .with_member_id(text(member)),
    )
}

/// The current generation for one member. Only its leader sees the members and their bytes.
pub(super) fn joined(group: &Membership, member: &str, version: i16) -> JoinGroupResponse {
    let members = if group.is_leader(member) {
        members(group)
    } else {
        Vec::new()
    };
    generation(group, member, version)
        .with_leader(text(group.leader.as_deref().unwrap_or_default()))
        .with_members(members)
}

/// For a static member that came back under a new id while its group goes on: nothing is to be
/// assigned. `leader_before` is the leader's id before the new one took its place: a leader too old
/// to know `skip_assignment` is told that it does not lead.
pub(super) fn came_back(
    group: &Membership,
    member: &str,
    leader_before: Option<&str>,
    version: i16,
) -> JoinGroupResponse {
    if version < JOIN_SKIPS_ASSIGNMENT {
        return generation(group, member, version)
            .with_leader(text(leader_before.unwrap_or_default()));
    }
    joined(group, member, version).with_skip_assignment(group.is_leader(member))
}

fn generation(group: &Membership, member: &str, version: i16) -> JoinGroupResponse {
    let protocol = group.protocol.as_deref().map(text);
    let protocol = match protocol {
        None if version < JOIN_NULLABLE_PROTOCOL => Some(StrBytes::default()),
        protocol => protocol,
    };
    JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_type(group.protocol_type.as_deref().map(text))
        .with_protocol_name(protocol)
        .with_member_id(text(member))
}

fn members(group: &Membership) -> Vec<JoinGroupResponseMember> {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let described = |member: &super::state::Member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.id))
            .with_group_instance_id(member.instance_id.as_deref().map(text))
            .with_metadata(member.metadata(protocol).cloned().unwrap_or_default())
    };
    group.in_order().into_iter().map(described).collect()
}

pub(super) fn sync_error(error: Code) -> Answer {
    Answer::SyncGroup(SyncGroupResponse::default().with_error_code(error.code()))
}

pub(super) fn synced(group: &Membership, assignment: Bytes) -> Answer {
    Answer::SyncGroup(
        SyncGroupResponse::default()
            .with_protocol_type(group.protocol_type.as_deref().map(text))
            .with_protocol_name(group.protocol.as_deref().map(text))
            .with_assignment(assignment),
    )
}

pub(super) fn heartbeat(result: Result<(), Code>) -> Answer {
    Answer::Heartbeat(HeartbeatResponse::default().with_error_code(code(result)))
}
