//! A member of a group, on a connection of its own.
//!
//! Lives here: joining in halves (asked, answered), so that several members can join at once on one
//! thread; syncing, heartbeats, leaving; committed offsets.
//! Never here: what is right.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};

use super::client::{Client, group_id, topic_name};
use super::wire::text;
use super::{Target, same, until};

/// The shortest session that Kafka takes by default.
pub const SESSION_MIN_MS: i32 = 6_000;

/// A member, or one that wants to be.
#[derive(Debug)]
pub struct Member {
    pub client: Client,
    pub group: String,
    pub id: String,
    pub generation: i32,
    pub protocol_type: String,
    /// Name and metadata, in the order of preference.
    pub protocols: Vec<(String, Bytes)>,
    /// What the group chose.
    pub protocol: String,
    pub instance: Option<String>,
    pub session_ms: i32,
    pub rebalance_ms: i32,
}

impl Member {
    /// With protocol type `connect` and the protocol `sessioned`.
    pub async fn worker(target: &Target, group: &str) -> Result<Self> {
        Self::new(target, group, "connect", &[("sessioned", b"url")]).await
    }

    pub async fn new(
        target: &Target,
        group: &str,
        protocol_type: &str,
        protocols: &[(&str, &[u8])],
    ) -> Result<Self> {
        Ok(Self {
            client: Client::open(target).await?,
            group: group.to_owned(),
            id: String::new(),
            generation: -1,
            protocol_type: protocol_type.to_owned(),
            protocols: protocols
                .iter()
                .map(|(name, metadata)| ((*name).to_owned(), Bytes::copy_from_slice(metadata)))
                .collect(),
            protocol: String::new(),
            instance: None,
            session_ms: 30_000,
            rebalance_ms: 30_000,
        })
    }

    pub fn join_request(&self) -> JoinGroupRequest {
        let protocols = self.protocols.iter().map(|(name, metadata)| {
            JoinGroupRequestProtocol::default()
                .with_name(text(name))
                .with_metadata(metadata.clone())
        });
        JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(self.session_ms)
            .with_rebalance_timeout_ms(self.rebalance_ms)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_ref().map(text))
            .with_protocol_type(text(&self.protocol_type))
            .with_protocols(protocols.collect())
    }

    /// Asks to join without an id, and keeps the one that comes with error 79. A static member
    /// needs none.
    pub async fn take_id(&mut self) -> Result<()> {
        let answer = self.client.ask(&self.join_request()).await?;
        same("JoinGroup without a member id", answer.error_code, 79)?;
        ensure!(
            !answer.member_id.is_empty(),
            "error 79 came without a member id"
        );
        self.id = answer.member_id.to_string();
        Ok(())
    }

    pub async fn ask_to_join(&mut self) -> Result<()> {
        self.client.send(&self.join_request()).await
    }

    pub async fn joined(&mut self) -> Result<JoinGroupResponse> {
        let answer = self.client.answer::<JoinGroupRequest>().await?;
        if answer.error_code == 0 {
            self.id = answer.member_id.to_string();
            self.generation = answer.generation_id;
            self.protocol = answer
                .protocol_name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
        }
        Ok(answer)
    }

    /// Joins with the id that it has, or takes one first. Waits for the other members.
    pub async fn join(&mut self) -> Result<JoinGroupResponse> {
        if self.id.is_empty() && self.instance.is_none() {
            self.take_id().await?;
        }
        self.ask_to_join().await?;
        self.joined().await
    }

    pub fn sync_request(&self, assignments: &[(&str, &[u8])]) -> SyncGroupRequest {
        let assignments = assignments.iter().map(|(member, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(*member))
                .with_assignment(Bytes::copy_from_slice(assignment))
        });
        SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_ref().map(text))
            .with_protocol_type(Some(text(&self.protocol_type)))
            .with_protocol_name(Some(text(&self.protocol)))
            .with_assignments(assignments.collect())
    }

    pub async fn sync(&mut self, assignments: &[(&str, &[u8])]) -> Result<SyncGroupResponse> {
        self.client.ask(&self.sync_request(assignments)).await
    }

    pub async fn heartbeat(&mut self) -> Result<i16> {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_ref().map(text));
        Ok(self.client.ask(&request).await?.error_code)
    }

    /// Sends heartbeats until one is answered with `error`.
    pub async fn hear(&mut self, error: i16) -> Result<()> {
        until(
            format!("heartbeat of {} answered with {error}", self.id),
            async || {
                Ok(match self.heartbeat().await? {
                    found if found == error => Ok(()),
                    found => Err(format!("error {found}")),
                })
            },
        )
        .await
    }

    pub async fn leave(&mut self) -> Result<LeaveGroupResponse> {
        let member = MemberIdentity::default()
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_ref().map(text));
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_members(vec![member]);
        self.client.ask(&request).await
    }

    /// Leaves; everything must be answered with 0.
    pub async fn leave_well(&mut self) -> Result<()> {
        let answer = self.leave().await?;
        same("LeaveGroup", answer.error_code, 0)?;
        let errors: Vec<i16> = answer
            .members
            .iter()
            .map(|member| member.error_code)
            .collect();
        same("LeaveGroup, per member", errors, vec![0])
    }

    /// Commits as the member that it is.
    pub async fn commit(&mut self, topic: &str, offset: i64) -> Result<i16> {
        let request = commit_request(&self.group, topic, offset, "")
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.as_ref().map(text));
        commit(&mut self.client, &request).await
    }
}

/// Makes these, who have not joined yet, one stable group: the leader gives each member
/// `for <member id>`. The leader's place: the first.
pub async fn form(members: &mut [Member]) -> Result<usize> {
    gather(members).await?;
    sync_all(members, 0).await?;
    Ok(0)
}

/// Brings these, who have not joined yet, into one generation, which still has to be synced. Their
/// answers; the first leads.
///
/// The first joins alone: a broker that gives an empty group no time to gather (Kafka with
/// `group.initial.rebalance.delay.ms=0`) would answer it before the others anyway. From then on ids
/// that were given out hold the group together.
pub async fn gather(members: &mut [Member]) -> Result<Vec<JoinGroupResponse>> {
    let (first, others) = members.split_first_mut().context("a group has members")?;
    let alone = first.join().await?;
    same("JoinGroup of the first", alone.error_code, 0)?;
    if others.is_empty() {
        return Ok(vec![alone]);
    }
    sync_all(std::slice::from_mut(first), 0).await?;
    for member in others.iter_mut() {
        if member.instance.is_none() {
            member.take_id().await?;
        }
    }
    join_all(members).await
}

/// Lets these join again, and sync. The first leads.
pub async fn rejoin(members: &mut [Member]) -> Result<()> {
    join_all(members).await?;
    sync_all(members, 0).await
}

async fn join_all(members: &mut [Member]) -> Result<Vec<JoinGroupResponse>> {
    for member in members.iter_mut() {
        member.ask_to_join().await?;
    }
    let mut answers = Vec::new();
    for member in members.iter_mut() {
        let answer = member.joined().await?;
        same("JoinGroup", answer.error_code, 0)?;
        answers.push(answer);
    }
    let generations: Vec<i32> = answers.iter().map(|answer| answer.generation_id).collect();
    same(
        "generations of the members",
        &generations,
        &vec![generations[0]; members.len()],
    )?;
    same("leader", answers[0].leader.as_str(), members[0].id.as_str())?;
    Ok(answers)
}

/// Syncs all members of a generation, the leader last.
pub async fn sync_all(members: &mut [Member], leader: usize) -> Result<()> {
    let assignments: Vec<(String, Vec<u8>)> = members
        .iter()
        .map(|member| (member.id.clone(), assignment_of(&member.id)))
        .collect();
    let assignments: Vec<(&str, &[u8])> = assignments
        .iter()
        .map(|(id, assignment)| (id.as_str(), assignment.as_slice()))
        .collect();
    for (place, member) in members.iter_mut().enumerate() {
        if place != leader {
            let request = member.sync_request(&[]);
            member.client.send(&request).await?;
        }
    }
    let request = members[leader].sync_request(&assignments);
    members[leader].client.send(&request).await?;
    for member in members.iter_mut() {
        let answer = member.client.answer::<SyncGroupRequest>().await?;
        same("SyncGroup", answer.error_code, 0)?;
        same(
            "the assignment",
            answer.assignment.as_ref(),
            assignment_of(&member.id).as_slice(),
        )?;
    }
    Ok(())
}

/// What [`form`] gives a member: bytes that are no text.
pub fn assignment_of(member: &str) -> Vec<u8> {
    [b"\x00\xff\x80for ".as_slice(), member.as_bytes()].concat()
}

pub fn commit_request(
    group: &str,
    topic: &str,
    offset: i64,
    metadata: &str,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(metadata)));
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![partition]),
        ])
}

/// The error of the only partition.
pub async fn commit(client: &mut Client, request: &OffsetCommitRequest) -> Result<i16> {
    let answer = client.ask(request).await?;
    let topic = answer.topics.first().context("no topic in the answer")?;
    Ok(topic
        .partitions
        .first()
        .context("no partition in the answer")?
        .error_code)
}

/// Commits without being a member.
pub async fn simple_commit(
    client: &mut Client,
    group: &str,
    topic: &str,
    offset: i64,
) -> Result<i16> {
    commit(client, &commit_request(group, topic, offset, "")).await
}

/// What OffsetFetch says of partition 0: offset, metadata, error.
pub async fn committed(
    client: &mut Client,
    group: &str,
    topic: &str,
) -> Result<(i64, Option<String>, i16)> {
    let answer = client.ask(&committed_request(&[group], topic)).await?;
    let answer = answer.groups.first().context("no group in the answer")?;
    same("OffsetFetch", answer.error_code, 0)?;
    let topic = answer.topics.first().context("no topic in the answer")?;
    let partition = topic
        .partitions
        .first()
        .context("no partition in the answer")?;
    Ok((
        partition.committed_offset,
        partition.metadata.as_ref().map(ToString::to_string),
        partition.error_code,
    ))
}

pub fn committed_request(groups: &[&str], topic: &str) -> OffsetFetchRequest {
    let groups = groups.iter().map(|group| {
        let wanted = OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0]);
        OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_topics(Some(vec![wanted]))
    });
    OffsetFetchRequest::default().with_groups(groups.collect())
}

/// What nothing committed looks like.
pub fn nothing_committed() -> (i64, Option<String>, i16) {
    (-1, Some(String::new()), 0)
}
