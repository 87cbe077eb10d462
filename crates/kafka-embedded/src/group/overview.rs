//! What admin clients see of groups: ListGroups and DescribeGroups.
//!
//! Lives here: filters, which bytes of members are shown in which state.
//! Never here: a change.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use super::answers::{group_name, text};
use super::state::{Member, Membership, State};

/// The only type of group here; Kafka's own others need the newer protocol.
const CLASSIC: &str = "classic";
/// Read, delete, describe, describe and alter configs: bits 3, 6, 8, 10 and 11, as Apache Kafka
/// without an authorizer answers.
const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
/// From this version an unknown group is an error; before it is a group in state `Dead`.
const DESCRIBE_MISSES_GROUPS: i16 = 6;

/// One line of ListGroups, if the filters let it pass. They ignore case, as in Kafka.
pub(super) fn listed(
    name: &str,
    group: &Membership,
    request: &ListGroupsRequest,
) -> Option<ListedGroup> {
    let passes = |filter: &[StrBytes], value: &str| {
        filter.is_empty()
            || filter
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let state = group.state.name();
    if !passes(&request.states_filter, state) || !passes(&request.types_filter, CLASSIC) {
        return None;
    }
    Some(
        ListedGroup::default()
            .with_group_id(group_name(name))
            .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
            .with_group_state(text(state))
            .with_group_type(text(CLASSIC)),
    )
}

pub(super) fn unknown(group: &GroupId, version: i16) -> DescribedGroup {
    let dead = DescribedGroup::default()
        .with_group_id(group.clone())
        .with_group_state(text("Dead"));
    if version < DESCRIBE_MISSES_GROUPS {
        return dead;
    }
    dead.with_error_code(Code::GroupIdNotFound.code())
        .with_error_message(Some(text(&format!("Group {} not found.", group.as_str()))))
}

/// Adds what the caller may do, which is everything. Only versions from 3 can ask for it.
pub(super) fn with_operations(group: DescribedGroup) -> DescribedGroup {
    if group.error_code == 0 {
        group.with_authorized_operations(ALL_OPERATIONS)
    } else {
        group
    }
}

/// The protocol and what members say of themselves are shown while the group is stable; in a
/// rebalance members show what they were last assigned.
pub(super) fn described(name: &GroupId, group: &Membership) -> DescribedGroup {
    let stable = matches!(group.state, State::Stable { .. });
    let protocol = group.protocol.as_deref().filter(|_| stable);
    let members = group
        .in_order()
        .into_iter()
        .map(|member| described_member(member, protocol));
    DescribedGroup::default()
        .with_group_id(name.clone())
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol.unwrap_or_default()))
        .with_members(members.collect())
}

fn described_member(member: &Member, protocol: Option<&str>) -> DescribedGroupMember {
    let metadata = protocol.and_then(|protocol| member.metadata(protocol));
    DescribedGroupMember::default()
        .with_member_id(text(&member.id))
        .with_group_instance_id(member.instance_id.as_deref().map(text))
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_member_metadata(metadata.cloned().unwrap_or_default())
        .with_member_assignment(member.assignment.clone())
}
