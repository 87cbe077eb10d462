//! The connection itself: order, versions; every version of every API once.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::delete_records_request::DeleteRecordsTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, StrBytes};

use super::client::{
    Client, Isolation, creatable, fetch_request, group_id, offsets_request, produce_request,
    topic_name, values,
};
use super::member::{Member, commit_request, committed_request};
use super::producer::init_request;
use super::wire::text;
use super::{Part, Target, same, unique};

pub fn part() -> Part {
    Part::new("server")
        .check("answers come in the order of the requests", order)
        .check("an unknown version closes the connection", unknown_version)
        .check(
            "ApiVersions of version 99: version 0, error 35, one key",
            api_versions_99,
        )
        .check(
            "every advertised version of every API works: topics",
            topic_versions,
        )
        .check(
            "every advertised version of every API works: records",
            record_versions,
        )
        .check(
            "every advertised version of every API works: groups",
            group_versions,
        )
        .check(
            "every advertised version of every API works: transactions",
            transaction_versions,
        )
        .check(
            "every advertised version of every API works: the rest",
            other_versions,
        )
}

async fn order(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    // The first waits; the others may not overtake it. Answers in another order have wrong ids.
    client
        .send(&fetch_request(&topic, 0, 0).with_max_wait_ms(300))
        .await?;
    client
        .send(&produce_request(&topic, 0, values(&["v"])?))
        .await?;
    client
        .send(&offsets_request(&topic, 0, -1, Isolation::Uncommitted))
        .await?;
    client.answer::<FetchRequest>().await?;
    let produced = client.answer::<ProduceRequest>().await?;
    same(
        "produce",
        produced.responses[0].partition_responses[0].error_code,
        0,
    )?;
    let offsets = client.answer::<ListOffsetsRequest>().await?;
    same("ListOffsets -1", offsets.topics[0].partitions[0].offset, 1)
}

async fn unknown_version(target: Target) -> Result<()> {
    for (api_key, version) in [
        (ApiKey::Metadata as i16, 99),
        (ApiKey::Produce as i16, -1),
        (999, 0),
    ] {
        let mut client = Client::open(&target).await?;
        client
            .connection
            .send_bytes(api_key, version, true, &[0; 8])
            .await?;
        let answer = client.connection.frame().await?;
        ensure!(
            answer.is_none(),
            "API {api_key} version {version}: found an answer, expected the end of the connection"
        );
    }
    Ok(())
}

async fn api_versions_99(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    client
        .connection
        .send_bytes(ApiKey::ApiVersions as i16, 99, true, b"\x02a\x02b\x00")
        .await?;
    let mut answer = client
        .connection
        .frame()
        .await?
        .context("the connection was closed")?;
    ensure!(
        answer.len() >= 4 + 2 + 4 + 6,
        "found {} bytes, expected an answer of version 0",
        answer.len()
    );
    same("correlation id", answer.get_i32(), 1)?;
    same("error", answer.get_i16(), 35)?;
    same("number of keys", answer.get_i32(), 1)?;
    same("key", answer.get_i16(), ApiKey::ApiVersions as i16)
}

/// The versions that a target advertises, and a connection.
struct Versions {
    client: Client,
    advertised: HashMap<i16, (i16, i16)>,
}

impl Versions {
    async fn of(target: &Target) -> Result<Self> {
        let mut client = Client::open(target).await?;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(text("checks"))
            .with_client_software_version(text("1"));
        let answer = client.ask(&request).await?;
        let advertised = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(Self { client, advertised })
    }

    /// Asks in each version that is advertised, at most `newest`; `error` reads the error that a
    /// request of `request` is rightly answered with.
    async fn each<R: Request>(
        &mut self,
        newest: i16,
        expected: i16,
        request: impl Fn(i16) -> R,
        error: impl Fn(R::Response) -> Option<i16>,
    ) -> Result<()> {
        let Some((min, max)) = self.advertised.get(&R::KEY).copied() else {
            return Ok(());
        };
        let known = <R as Message>::VERSIONS;
        let (first, last) = (min.max(known.min), max.min(known.max).min(newest));
        ensure!(
            first <= last,
            "API {}: found versions {min} to {max}, expected some of {} to {newest}",
            R::KEY,
            known.min
        );
        for version in first..=last {
            let what = || format!("API {} version {version}", R::KEY);
            let answer = self
                .client
                .connection
                .ask(version, &request(version))
                .await
                .with_context(what)?;
            match error(answer) {
                Some(found) => same(what(), found, expected)?,
                None => bail!("{}: the answer lacks what was asked for", what()),
            }
        }
        Ok(())
    }
}

async fn topic_versions(target: Target) -> Result<()> {
    let mut versions = Versions::of(&target).await?;
    let topic = versions.client.topic(1).await?;
    let name = || topic_name(&topic);
    versions
        .each(
            12,
            0,
            |_| {
                let wanted = MetadataRequestTopic::default().with_name(Some(name()));
                MetadataRequest::default().with_topics(Some(vec![wanted]))
            },
            |answer| Some(answer.topics.first()?.error_code),
        )
        .await?;
    versions
        .each(
            7,
            0,
            |_| {
                CreateTopicsRequest::default().with_topics(vec![creatable(
                    &unique("version"),
                    1,
                    &[],
                )])
            },
            |answer| Some(answer.topics.first()?.error_code),
        )
        .await?;
    let delete = || DeleteTopicsRequest::default().with_timeout_ms(30_000);
    versions
        .each(
            6,
            3,
            |version| match version {
                ..6 => delete().with_topic_names(vec![topic_name(&unique("unknown"))]),
                6.. => delete().with_topics(vec![
                    DeleteTopicState::default().with_name(Some(topic_name(&unique("unknown")))),
                ]),
            },
            |answer| Some(answer.responses.first()?.error_code),
        )
        .await?;
    versions
        .each(
            3,
            37,
            |_| {
                let wanted = CreatePartitionsTopic::default()
                    .with_name(name())
                    .with_count(1)
                    .with_assignments(None);
                CreatePartitionsRequest::default()
                    .with_topics(vec![wanted])
                    .with_timeout_ms(30_000)
            },
            |answer| Some(answer.results.first()?.error_code),
        )
        .await?;
    versions
        .each(
            4,
            0,
            |_| {
                let wanted = DescribeConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text(&topic))
                    .with_configuration_keys(None);
                DescribeConfigsRequest::default().with_resources(vec![wanted])
            },
            |answer| Some(answer.results.first()?.error_code),
        )
        .await?;
    versions
        .each(
            1,
            0,
            |_| {
                let config = AlterableConfig::default()
                    .with_name(text("retention.ms"))
                    .with_value(Some(text("100000000")));
                let wanted = AlterConfigsResource::default()
                    .with_resource_type(2)
                    .with_resource_name(text(&topic))
                    .with_configs(vec![config]);
                IncrementalAlterConfigsRequest::default().with_resources(vec![wanted])
            },
            |answer| Some(answer.responses.first()?.error_code),
        )
        .await
}

async fn record_versions(target: Target) -> Result<()> {
    let mut versions = Versions::of(&target).await?;
    let topic = versions.client.topic(1).await?;
    let batch: Bytes = values(&["v"])?;
    versions
        .each(
            12,
            0,
            |_| produce_request(&topic, 0, batch.clone()),
            |answer| {
                Some(
                    answer
                        .responses
                        .first()?
                        .partition_responses
                        .first()?
                        .error_code,
                )
            },
        )
        .await?;
    versions
        .each(
            12,
            0,
            |_| fetch_request(&topic, 0, 0),
            |answer| {
                let partition = answer
                    .responses
                    .into_iter()
                    .next()?
                    .partitions
                    .into_iter()
                    .next()?;
                partition.records.filter(|records| !records.is_empty())?;
                Some(partition.error_code)
            },
        )
        .await?;
    versions
        .each(
            7,
            0,
            |_| offsets_request(&topic, 0, -1, Isolation::Uncommitted).with_isolation_level(0),
            |answer| Some(answer.topics.first()?.partitions.first()?.error_code),
        )
        .await?;
    versions
        .each(
            2,
            0,
            |_| {
                let partition = delete_records_request::DeleteRecordsPartition::default()
                    .with_partition_index(0)
                    .with_offset(1);
                let wanted = DeleteRecordsTopic::default()
                    .with_name(topic_name(&topic))
                    .with_partitions(vec![partition]);
                DeleteRecordsRequest::default()
                    .with_topics(vec![wanted])
                    .with_timeout_ms(30_000)
            },
            |answer| Some(answer.topics.first()?.partitions.first()?.error_code),
        )
        .await
}

async fn group_versions(target: Target) -> Result<()> {
    let mut versions = Versions::of(&target).await?;
    let (topic, group) = (
        versions.client.topic(1).await?,
        versions.client.group().await?,
    );
    let worker = Member::worker(&target, &group).await?;
    versions
        .each(
            4,
            0,
            |version| match version {
                ..4 => FindCoordinatorRequest::default().with_key(text(&group)),
                4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![text(&group)]),
            },
            |answer| {
                Some(
                    answer
                        .coordinators
                        .first()
                        .map_or(answer.error_code, |found| found.error_code),
                )
            },
        )
        .await?;
    versions
        .each(
            8,
            0,
            |_| commit_request(&group, &topic, 1, "m"),
            |answer| Some(answer.topics.first()?.partitions.first()?.error_code),
        )
        .await?;
    versions
        .each(
            8,
            0,
            |version| match version {
                ..8 => {
                    let wanted = OffsetFetchRequestTopic::default()
                        .with_name(topic_name(&topic))
                        .with_partition_indexes(vec![0]);
                    OffsetFetchRequest::default()
                        .with_group_id(group_id(&group))
                        .with_topics(Some(vec![wanted]))
                }
                8.. => committed_request(&[&group], &topic),
            },
            |answer| match answer.groups.first() {
                Some(group) => Some(group.topics.first()?.partitions.first()?.error_code),
                None => Some(answer.topics.first()?.partitions.first()?.error_code),
            },
        )
        .await?;
    // An id that nobody gave out: 25 in each version.
    let stranger = || text("somebody");
    versions
        .each(
            9,
            25,
            |version| {
                let request = worker.join_request().with_member_id(stranger());
                match version {
                    0 => request.with_rebalance_timeout_ms(-1),
                    _ => request,
                }
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            5,
            25,
            |version| {
                let request = worker
                    .sync_request(&[])
                    .with_member_id(stranger())
                    .with_generation_id(1);
                match version {
                    ..5 => request.with_protocol_type(None).with_protocol_name(None),
                    5.. => request.with_protocol_name(Some(text("sessioned"))),
                }
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            4,
            25,
            |_| {
                HeartbeatRequest::default()
                    .with_group_id(group_id(&group))
                    .with_member_id(stranger())
                    .with_generation_id(1)
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            5,
            25,
            |version| match version {
                ..3 => LeaveGroupRequest::default()
                    .with_group_id(group_id(&group))
                    .with_member_id(stranger()),
                3.. => LeaveGroupRequest::default()
                    .with_group_id(group_id(&group))
                    .with_members(vec![MemberIdentity::default().with_member_id(stranger())]),
            },
            |answer| {
                Some(
                    answer
                        .members
                        .first()
                        .map_or(answer.error_code, |member| member.error_code),
                )
            },
        )
        .await?;
    versions
        .each(
            6,
            0,
            |_| DescribeGroupsRequest::default().with_groups(vec![group_id(&group)]),
            |answer| Some(answer.groups.first()?.error_code),
        )
        .await?;
    versions
        .each(
            5,
            0,
            |_| ListGroupsRequest::default(),
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            2,
            69,
            |_| {
                DeleteGroupsRequest::default().with_groups_names(vec![group_id(&unique("unknown"))])
            },
            |answer| Some(answer.results.first()?.error_code),
        )
        .await?;
    versions
        .each(
            0,
            69,
            |_| OffsetDeleteRequest::default().with_group_id(group_id(&unique("unknown"))),
            |answer| Some(answer.error_code),
        )
        .await
}

async fn transaction_versions(target: Target) -> Result<()> {
    let mut versions = Versions::of(&target).await?;
    let (topic, group) = (
        versions.client.topic(1).await?,
        versions.client.group().await?,
    );
    let id = versions.client.transactional_id().await?;
    // So that its coordinator is ready.
    super::producer::init(&mut versions.client, &init_request(&id, 60_000)).await?;
    let id = || TransactionalId(text(&id));
    versions
        .each(
            4,
            0,
            |_| InitProducerIdRequest::default().with_transactional_id(None),
            |answer| Some(answer.error_code),
        )
        .await?;
    // A producer id that nobody gave out: 49 in each version.
    versions
        .each(
            3,
            49,
            |_| {
                let wanted = AddPartitionsToTxnTopic::default()
                    .with_name(topic_name(&topic))
                    .with_partitions(vec![0]);
                AddPartitionsToTxnRequest::default()
                    .with_v3_and_below_transactional_id(id())
                    .with_v3_and_below_producer_id(i64::MAX.into())
                    .with_v3_and_below_topics(vec![wanted])
            },
            |answer| {
                Some(
                    answer
                        .results_by_topic_v3_and_below
                        .first()?
                        .results_by_partition
                        .first()?
                        .partition_error_code,
                )
            },
        )
        .await?;
    versions
        .each(
            3,
            49,
            |_| {
                AddOffsetsToTxnRequest::default()
                    .with_transactional_id(id())
                    .with_producer_id(i64::MAX.into())
                    .with_group_id(group_id(&group))
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            3,
            49,
            |_| {
                EndTxnRequest::default()
                    .with_transactional_id(id())
                    .with_producer_id(i64::MAX.into())
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            3,
            3,
            |_| {
                let partition =
                    txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
                let wanted = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                    .with_name(topic_name(&unique("unknown")))
                    .with_partitions(vec![partition]);
                TxnOffsetCommitRequest::default()
                    .with_transactional_id(id())
                    .with_group_id(group_id(&group))
                    .with_producer_id(i64::MAX.into())
                    .with_topics(vec![wanted])
            },
            |answer| Some(answer.topics.first()?.partitions.first()?.error_code),
        )
        .await?;
    versions
        .each(
            1,
            0,
            |version| {
                let request =
                    ListTransactionsRequest::default().with_transactional_id_pattern(None);
                match version {
                    0 => request,
                    _ => request.with_duration_filter(-1),
                }
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            0,
            105,
            |_| {
                DescribeTransactionsRequest::default()
                    .with_transactional_ids(vec![TransactionalId(text(unique("unknown")))])
            },
            |answer| Some(answer.transaction_states.first()?.error_code),
        )
        .await?;
    versions
        .each(
            0,
            0,
            |_| {
                let wanted = TopicRequest::default()
                    .with_name(topic_name(&topic))
                    .with_partition_indexes(vec![0]);
                DescribeProducersRequest::default().with_topics(vec![wanted])
            },
            |answer| Some(answer.topics.first()?.partitions.first()?.error_code),
        )
        .await
}

async fn other_versions(target: Target) -> Result<()> {
    let mut versions = Versions::of(&target).await?;
    let software = |version| match version {
        ..3 => StrBytes::default(),
        3.. => text("checks"),
    };
    versions
        .each(
            4,
            0,
            |version| {
                ApiVersionsRequest::default()
                    .with_client_software_name(software(version))
                    .with_client_software_version(software(version))
            },
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            1,
            0,
            |_| DescribeClusterRequest::default(),
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            1,
            0,
            |_| ListConfigResourcesRequest::default(),
            |answer| Some(answer.error_code),
        )
        .await?;
    versions
        .each(
            4,
            0,
            |_| DescribeLogDirsRequest::default().with_topics(None),
            |answer| Some(answer.results.first()?.error_code),
        )
        .await?;
    versions
        .each(
            3,
            54,
            |version| {
                DescribeAclsRequest::default()
                    .with_resource_type_filter(1)
                    .with_resource_name_filter(None)
                    .with_pattern_type_filter(if version == 0 { 3 } else { 1 })
                    .with_principal_filter(None)
                    .with_host_filter(None)
                    .with_operation(1)
                    .with_permission_type(1)
            },
            |answer| Some(answer.error_code),
        )
        .await
}
