//! Rebalances that cross with what else a member hears, against a scripted coordinator.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use tokio::runtime::Handle;

use super::{Log, topic};
use crate::client::Client;
use crate::consumer::{Consumer, TopicPartition};
use crate::error::KafkaErrorCode as Code;
use crate::fake_broker::{Call, FakeCluster, Reply};
use crate::settings::ConsumerSettings;

/// A group of one, whose leader it is. Its topic is known once the leader has decided.
struct Group {
    log: Log,
    generation_id: i32,
    topic_is_known: bool,
}

impl Group {
    fn answer(&mut self, call: &Call) -> Reply {
        if call.is::<MetadataRequest>() && !self.topic_is_known {
            let mut answer = self.log.metadata(&call.host);
            answer.topics = vec![
                MetadataResponseTopic::default()
                    .with_name(Some(topic()))
                    .with_error_code(Code::UNKNOWN_TOPIC_OR_PARTITION.0),
            ];
            call.answer::<MetadataRequest>(&answer)
        } else if call.is::<FindCoordinatorRequest>() {
            let coordinator = Coordinator::default()
                .with_key(StrBytes::from_static_str("g"))
                .with_node_id(1.into())
                .with_host(StrBytes::from_string(call.host.clone()))
                .with_port(9001);
            call.answer::<FindCoordinatorRequest>(
                &FindCoordinatorResponse::default().with_coordinators(vec![coordinator]),
            )
        } else if call.is::<JoinGroupRequest>() {
            let request: JoinGroupRequest = call.decode();
            self.generation_id += 1;
            let protocol = &request.protocols[0];
            let member_id = StrBytes::from_static_str("m");
            let member = JoinGroupResponseMember::default()
                .with_member_id(member_id.clone())
                .with_metadata(protocol.metadata.clone());
            call.answer::<JoinGroupRequest>(
                &JoinGroupResponse::default()
                    .with_generation_id(self.generation_id)
                    .with_protocol_type(Some(request.protocol_type))
                    .with_protocol_name(Some(protocol.name.clone()))
                    .with_leader(member_id.clone())
                    .with_member_id(member_id)
                    .with_members(vec![member]),
            )
        } else if call.is::<SyncGroupRequest>() {
            let request: SyncGroupRequest = call.decode();
            self.topic_is_known = true;
            let answer = SyncGroupResponse::default()
                .with_protocol_type(request.protocol_type)
                .with_protocol_name(request.protocol_name)
                .with_assignment(request.assignments[0].assignment.clone());
            // Long enough for the metadata to come first.
            let answer = call.answer::<SyncGroupRequest>(&answer);
            Reply::Later(Duration::from_secs(3), Box::new(answer))
        } else if call.is::<HeartbeatRequest>() {
            call.answer::<HeartbeatRequest>(&HeartbeatResponse::default())
        } else if call.is::<OffsetFetchRequest>() {
            let partition = OffsetFetchResponsePartitions::default()
                .with_committed_offset(-1)
                .with_metadata(None);
            let topics = OffsetFetchResponseTopics::default()
                .with_name(topic())
                .with_partitions(vec![partition]);
            let group = OffsetFetchResponseGroup::default()
                .with_group_id(GroupId(StrBytes::from_static_str("g")))
                .with_topics(vec![topics]);
            call.answer::<OffsetFetchRequest>(
                &OffsetFetchResponse::default().with_groups(vec![group]),
            )
        } else {
            self.log.answer(call)
        }
    }
}

/// Seed 648 of the simulated group: metadata that came while the leader waited for the answer to its
/// SyncGroup asked for a rebalance, the end of the join forgot it, and the partitions had no owner.
#[tokio::test(start_paused = true)]
async fn what_the_leader_learns_while_it_syncs_leads_to_a_rebalance() {
    let mut group = Group {
        log: Log::new(&["a"]),
        generation_id: 0,
        topic_is_known: false,
    };
    let cluster = FakeCluster::new(move |call| group.answer(call));
    let settings = ConsumerSettings::parse([
        ("bootstrap.servers", "fake:9001"),
        ("auto.offset.reset", "earliest"),
        ("group.id", "g"),
    ]);
    let settings = settings.expect("settings").settings;
    let client = Client::new(settings.connection.clone(), Arc::new(cluster));
    let mut consumer = Consumer::with_client(client, settings, Handle::current());
    consumer.subscribe(["t"]).expect("a group is set");
    let assigned = async {
        while consumer.assignment() != [TopicPartition::new("t", 0)] {
            consumer.poll(Duration::from_secs(1)).await.expect("poll");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), assigned)
        .await
        .expect("the partition finds its owner");
}
