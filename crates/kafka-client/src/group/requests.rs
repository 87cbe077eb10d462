//! The requests of a group member, each sent once.
//!
//! Lives here: FindCoordinator, JoinGroup, SyncGroup, Heartbeat and LeaveGroup between the state
//! machine's words and Kafka's messages.
//! Never here: what to do about an error.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::words::{Generation, GroupSettings, JoinAnswer, JoinedMember, SyncAnswer};
use crate::client::{Client, CoordinatorKind, Lane, Target};
use crate::connection::{Connection, api_name};
use crate::error::{ClientError, KafkaErrorCode};

/// A coordinator answers a join when the rebalance timeout is over at the latest; this much later
/// we stop waiting for it. Java's `JOIN_GROUP_TIMEOUT_LAPSE`.
const JOIN_TIMEOUT_LAPSE: Duration = Duration::from_secs(5);

/// Longer reasons are cut, because the broker refuses them.
const REASON_BYTES_MAX: usize = 255;

/// From this version on, a join says why.
const JOIN_WITH_REASON: i16 = 8;
const SYNC_WITH_PROTOCOL: i16 = 5;
const LEAVE_WITH_REASON: i16 = 5;

pub(super) struct Requests {
    client: Client,
    settings: GroupSettings,
}

impl Requests {
    pub(super) fn new(client: Client, settings: GroupSettings) -> Self {
        Self { client, settings }
    }

    /// Asks anew: the state machine only asks when it doubts what it knew.
    pub(super) async fn find_coordinator(&self) -> Result<i32, ClientError> {
        self.client
            .invalidate_coordinator(CoordinatorKind::Group, &self.settings.group_id);
        self.client
            .coordinator(CoordinatorKind::Group, &self.settings.group_id)
            .await
    }

    pub(super) async fn join(
        &self,
        member_id: String,
        protocols: Vec<(String, Bytes)>,
        reason: String,
    ) -> Result<JoinAnswer, ClientError> {
        let connection = self.connection().await?;
        let protocols = protocols.into_iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(metadata)
        });
        let mut request = JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_session_timeout_ms(millis(self.settings.session_timeout))
            .with_rebalance_timeout_ms(millis(self.settings.rebalance_timeout))
            .with_member_id(text(member_id))
            .with_group_instance_id(self.instance())
            .with_protocol_type(text(self.settings.protocol_type.clone()))
            .with_protocols(protocols.collect())
            .with_reason(None);
        if connection.version_of::<JoinGroupRequest>()? >= JOIN_WITH_REASON {
            request = request.with_reason(Some(text(cut(reason))));
        }
        let timeout = self
            .settings
            .request_timeout
            .max(self.settings.rebalance_timeout + JOIN_TIMEOUT_LAPSE);
        let response = self.send(&connection, &request, timeout).await?;
        let member_id_required = response.error_code == KafkaErrorCode::MEMBER_ID_REQUIRED.0;
        if !member_id_required {
            self.check::<JoinGroupRequest>(response.error_code)?;
        }
        let members = response.members.into_iter().map(|member| JoinedMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.map(|id| id.to_string()),
            metadata: member.metadata,
        });
        Ok(JoinAnswer {
            generation_id: response.generation_id,
            member_id: response.member_id.to_string(),
            protocol_type: response.protocol_type.map(|name| name.to_string()),
            protocol: response.protocol_name.map(|name| name.to_string()),
            leader: response.leader.to_string(),
            members: members.collect(),
            skip_assignment: response.skip_assignment,
            member_id_required,
        })
    }

    pub(super) async fn sync(
        &self,
        generation: Generation,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<SyncAnswer, ClientError> {
        let connection = self.connection().await?;
        let assignments = assignments.into_iter().map(|(member_id, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(member_id))
                .with_assignment(assignment)
        });
        let mut request = SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_generation_id(generation.generation_id)
            .with_member_id(text(generation.member_id))
            .with_group_instance_id(self.instance())
            .with_protocol_type(None)
            .with_protocol_name(None)
            .with_assignments(assignments.collect());
        if connection.version_of::<SyncGroupRequest>()? >= SYNC_WITH_PROTOCOL {
            request = request
                .with_protocol_type(Some(text(self.settings.protocol_type.clone())))
                .with_protocol_name(generation.protocol.map(text));
        }
        // Answered when the leader has assigned, which the rebalance timeout bounds.
        let timeout = self
            .settings
            .request_timeout
            .max(self.settings.rebalance_timeout + JOIN_TIMEOUT_LAPSE);
        let response = self.send(&connection, &request, timeout).await?;
        self.check::<SyncGroupRequest>(response.error_code)?;
        let given = |name: Option<StrBytes>| {
            name.map(|name| name.to_string())
                .filter(|name| !name.is_empty())
        };
        Ok(SyncAnswer {
            protocol_type: given(response.protocol_type),
            protocol: given(response.protocol_name),
            assignment: response.assignment,
        })
    }

    pub(super) async fn heartbeat(&self, generation: &Generation) -> Result<(), ClientError> {
        let connection = self.free_connection().await?;
        let request = HeartbeatRequest::default()
            .with_group_id(self.group())
            .with_generation_id(generation.generation_id)
            .with_member_id(text(generation.member_id.clone()))
            .with_group_instance_id(self.instance());
        let response = self
            .send(&connection, &request, self.settings.request_timeout)
            .await?;
        self.check::<HeartbeatRequest>(response.error_code)
    }

    pub(super) async fn leave(&self, member_id: String, reason: String) -> Result<(), ClientError> {
        let connection = self.free_connection().await?;
        let mut member = MemberIdentity::default()
            .with_member_id(text(member_id))
            .with_group_instance_id(None)
            .with_reason(None);
        if connection.version_of::<LeaveGroupRequest>()? >= LEAVE_WITH_REASON {
            member = member.with_reason(Some(text(cut(reason))));
        }
        let request = LeaveGroupRequest::default()
            .with_group_id(self.group())
            .with_members(vec![member]);
        let response = self
            .send(&connection, &request, self.settings.request_timeout)
            .await?;
        self.check::<LeaveGroupRequest>(response.error_code)?;
        match response.members.first() {
            Some(member) => self.check::<LeaveGroupRequest>(member.error_code),
            None => Ok(()),
        }
    }

    /// For requests that must not stand in line behind a join or sync, which the coordinator
    /// answers when the other members are there.
    async fn free_connection(&self) -> Result<Connection, ClientError> {
        let (kind, group) = (CoordinatorKind::Group, &self.settings.group_id);
        let coordinator = self.client.coordinator(kind, group).await?;
        self.client.connection_on(coordinator, Lane::Control).await
    }

    async fn connection(&self) -> Result<Connection, ClientError> {
        self.client
            .connection_to(Target::Coordinator(
                CoordinatorKind::Group,
                &self.settings.group_id,
            ))
            .await
    }

    async fn send<R: Request + 'static>(
        &self,
        connection: &Connection,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let outcome = match connection.enqueue(request, timeout) {
            Ok(pending) => pending.await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.client.request_metadata_refresh();
        }
        outcome
    }

    fn check<R: Request>(&self, code: i16) -> Result<(), ClientError> {
        KafkaErrorCode::check(code).map_err(|code| {
            ClientError::from_code(code)
                .with("api", api_name(R::KEY))
                .with("group", &self.settings.group_id)
        })
    }

    fn group(&self) -> GroupId {
        GroupId(text(self.settings.group_id.clone()))
    }

    fn instance(&self) -> Option<StrBytes> {
        self.settings.group_instance_id.clone().map(text)
    }
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn cut(mut reason: String) -> String {
    let mut end = REASON_BYTES_MAX.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
