//! Groups of either protocol type: list, describe, delete.

use bytes::Bytes;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
};

use super::{Admin, PerItem, outcome, text};
use crate::client::{CoordinatorKind, Refresh, Target};
use crate::error::{ClientError, KafkaErrorCode};

/// A group, as every broker lists its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group_id: String,
    /// `consumer`, `connect`, or empty for a group that only has offsets.
    pub protocol_type: String,
    /// `Stable`, `Empty`, … Empty when the broker does not tell.
    pub state: String,
    /// `Classic`, `Consumer`, `Share`, `Streams`. Empty when the broker does not tell.
    pub group_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group_id: String,
    /// `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty` or `Dead`.
    pub state: String,
    pub protocol_type: String,
    /// What the members agreed on, `range` for example.
    pub protocol: String,
    pub members: Vec<GroupMember>,
    /// The broker that coordinates the group.
    pub coordinator: i32,
}

/// Metadata and assignment are bytes of the group's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

impl Admin {
    /// Groups of all brokers, in order of their ids. `states` and `types` narrow it down; empty: all.
    pub async fn list_groups(
        &self,
        states: &[&str],
        types: &[&str],
    ) -> Result<Vec<GroupListing>, ClientError> {
        self.whole("list groups", |_| self.list_groups_once(states, types))
            .await
    }

    async fn list_groups_once(
        &self,
        states: &[&str],
        types: &[&str],
    ) -> Result<Vec<GroupListing>, ClientError> {
        let metadata = self.client.refresh_metadata(Refresh::Tracked).await?;
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(state)).collect())
            .with_types_filter(types.iter().map(|name| text(name)).collect());
        let mut groups = Vec::new();
        for broker in metadata.brokers() {
            let response = self
                .client
                .request(Target::Broker(broker.id), &request)
                .await?;
            outcome(response.error_code, None)
                .map_err(|error| error.with("api", "ListGroups").with("broker", broker))?;
            groups.extend(response.groups.into_iter().map(|group| GroupListing {
                group_id: group.group_id.to_string(),
                protocol_type: group.protocol_type.to_string(),
                state: group.group_state.to_string(),
                group_type: group.group_type.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        // While a coordinator moves, two brokers may list the same group.
        groups.dedup_by(|a, b| a.group_id == b.group_id);
        Ok(groups)
    }

    /// `GROUP_ID_NOT_FOUND` for a group that does not exist, whatever the broker's version.
    pub async fn describe_groups(&self, groups: &[&str]) -> PerItem<String, GroupDescription> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.per_item("describe groups", groups, |_, groups| {
            self.describe_groups_once(groups)
        })
        .await
    }

    async fn describe_groups_once(
        &self,
        groups: Vec<String>,
    ) -> Result<Vec<(String, Result<GroupDescription, ClientError>)>, ClientError> {
        let (coordinators, mut outcomes) =
            self.by_coordinator(CoordinatorKind::Group, groups).await;
        for (coordinator, groups) in coordinators {
            let request = DescribeGroupsRequest::default().with_groups(group_ids(&groups));
            match self
                .client
                .request(Target::Broker(coordinator), &request)
                .await
            {
                Ok(response) => outcomes.extend(response.groups.into_iter().map(|group| {
                    let id = group.group_id.to_string();
                    (id, described(group, coordinator))
                })),
                Err(error) => {
                    outcomes.extend(groups.into_iter().map(|group| (group, Err(error.clone()))));
                }
            }
        }
        self.doubt_coordinators(&outcomes);
        Ok(outcomes)
    }

    /// Deletes groups with their offsets. `NON_EMPTY_GROUP` while a group has members.
    pub async fn delete_groups(&self, groups: &[&str]) -> PerItem<String, ()> {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.per_item("delete groups", groups, |_, groups| {
            self.delete_groups_once(groups)
        })
        .await
    }

    async fn delete_groups_once(
        &self,
        groups: Vec<String>,
    ) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
        let (coordinators, mut outcomes) =
            self.by_coordinator(CoordinatorKind::Group, groups).await;
        for (coordinator, groups) in coordinators {
            let request = DeleteGroupsRequest::default().with_groups_names(group_ids(&groups));
            match self
                .client
                .request(Target::Broker(coordinator), &request)
                .await
            {
                Ok(response) => outcomes.extend(response.results.into_iter().map(|group| {
                    let id = group.group_id.to_string();
                    let deleted = outcome(group.error_code, None);
                    let deleted = deleted
                        .map_err(|error| error.with("api", "DeleteGroups").with("group", &id));
                    (id, deleted)
                })),
                Err(error) => {
                    outcomes.extend(groups.into_iter().map(|group| (group, Err(error.clone()))));
                }
            }
        }
        self.doubt_coordinators(&outcomes);
        Ok(outcomes)
    }

    fn doubt_coordinators<T>(&self, outcomes: &[(String, Result<T, ClientError>)]) {
        for (group, outcome) in outcomes {
            if let Err(error) = outcome {
                self.doubt_coordinator(CoordinatorKind::Group, group, error);
            }
        }
    }
}

fn group_ids(groups: &[String]) -> Vec<GroupId> {
    groups.iter().map(|group| GroupId(text(group))).collect()
}

fn described(group: DescribedGroup, coordinator: i32) -> Result<GroupDescription, ClientError> {
    let id = group.group_id.to_string();
    // Before version 6 a broker says `Dead` and no error.
    let unknown =
        group.error_code == 0 && group.group_state.as_str() == "Dead" && group.members.is_empty();
    let code = match unknown {
        true => KafkaErrorCode::GROUP_ID_NOT_FOUND.0,
        false => group.error_code,
    };
    outcome(code, group.error_message.as_ref())
        .map_err(|error| error.with("api", "DescribeGroups").with("group", &id))?;
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        metadata: member.member_metadata,
        assignment: member.member_assignment,
    });
    Ok(GroupDescription {
        group_id: id,
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members: members.collect(),
        coordinator,
    })
}
