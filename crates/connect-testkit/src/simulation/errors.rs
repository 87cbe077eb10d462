//! Errors that a broker of a larger cluster gives now and then, put into the mouth of this one.
//!
//! Lives here: which API may say what, and whether it has done its work then; answers made from
//! scratch and answers rewritten, frame by frame.
//! Never here: when that happens (`relay`).
//!
//! Only what Kafka's own broker could answer in that place stands here. An error that says that
//! nothing was done is given without asking the log; one that leaves it open, after the log has done it.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable};

use super::Chance;

/// An error instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The log never hears of the request.
    Instead(i16),
    /// The log has carried it out.
    After(i16),
}

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const LEADER_NOT_AVAILABLE: i16 = 5;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const REQUEST_TIMED_OUT: i16 = 7;
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
const REBALANCE_IN_PROGRESS: i16 = 27;
const KAFKA_STORAGE_ERROR: i16 = 56;
const OFFSET_NOT_AVAILABLE: i16 = 78;

/// Any of the faults that fit the API; `None`: it is always answered truly.
pub(super) fn fault(api: ApiKey, version: i16, chance: &mut Chance) -> Option<Fault> {
    use Fault::{After, Instead};
    let coordinator = [
        Instead(COORDINATOR_LOAD_IN_PROGRESS),
        Instead(COORDINATOR_NOT_AVAILABLE),
        Instead(NOT_COORDINATOR),
    ];
    let faults: &[Fault] = match api {
        ApiKey::Produce => &[
            Instead(NOT_LEADER_OR_FOLLOWER),
            Instead(NOT_ENOUGH_REPLICAS),
            Instead(UNKNOWN_TOPIC_OR_PARTITION),
            Instead(KAFKA_STORAGE_ERROR),
            After(REQUEST_TIMED_OUT),
            After(NOT_ENOUGH_REPLICAS_AFTER_APPEND),
            // A leader that lost its place while it waited for replicas.
            After(NOT_LEADER_OR_FOLLOWER),
        ],
        ApiKey::Fetch => &[
            After(NOT_LEADER_OR_FOLLOWER),
            After(UNKNOWN_TOPIC_OR_PARTITION),
            After(KAFKA_STORAGE_ERROR),
            After(OFFSET_NOT_AVAILABLE),
        ],
        ApiKey::ListOffsets if version >= 5 => &[
            Instead(NOT_LEADER_OR_FOLLOWER),
            Instead(UNKNOWN_TOPIC_OR_PARTITION),
            Instead(OFFSET_NOT_AVAILABLE),
        ],
        ApiKey::Metadata => &[
            After(LEADER_NOT_AVAILABLE),
            After(UNKNOWN_TOPIC_OR_PARTITION),
        ],
        ApiKey::FindCoordinator => &[Instead(COORDINATOR_NOT_AVAILABLE)],
        ApiKey::JoinGroup | ApiKey::LeaveGroup | ApiKey::OffsetFetch => &coordinator,
        ApiKey::SyncGroup => &[
            Instead(COORDINATOR_NOT_AVAILABLE),
            Instead(NOT_COORDINATOR),
            Instead(REBALANCE_IN_PROGRESS),
        ],
        ApiKey::Heartbeat => &[
            Instead(COORDINATOR_NOT_AVAILABLE),
            Instead(NOT_COORDINATOR),
            Instead(REBALANCE_IN_PROGRESS),
        ],
        ApiKey::OffsetCommit => &[
            Instead(COORDINATOR_LOAD_IN_PROGRESS),
            Instead(COORDINATOR_NOT_AVAILABLE),
            Instead(NOT_COORDINATOR),
            Instead(REBALANCE_IN_PROGRESS),
            // Java's broker says this when the offsets topic did not confirm in time.
            After(COORDINATOR_NOT_AVAILABLE),
        ],
        ApiKey::InitProducerId => &[Instead(COORDINATOR_LOAD_IN_PROGRESS)],
        ApiKey::CreateTopics => &[After(REQUEST_TIMED_OUT)],
        _ => return None,
    };
    Some(*chance.pick(faults))
}

/// The body of an answer that says `code` to every part of a request. `None`: the request is not
/// understood, and goes to the log.
pub(super) fn answer_with(api: ApiKey, version: i16, body: Bytes, code: i16) -> Option<Bytes> {
    match api {
        ApiKey::Produce => {
            let request: ProduceRequest = decoded(body, version)?;
            let topics = request.topic_data.iter().map(|topic| {
                let partitions = topic.partition_data.iter().map(|partition| {
                    PartitionProduceResponse::default()
                        .with_index(partition.index)
                        .with_error_code(code)
                        .with_base_offset(-1)
                });
                TopicProduceResponse::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partition_responses(partitions.collect())
            });
            encoded(
                &ProduceResponse::default().with_responses(topics.collect()),
                version,
            )
        }
        ApiKey::ListOffsets => {
            let request: ListOffsetsRequest = decoded(body, version)?;
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    ListOffsetsPartitionResponse::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code)
                });
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions.collect())
            });
            encoded(
                &ListOffsetsResponse::default().with_topics(topics.collect()),
                version,
            )
        }
        ApiKey::FindCoordinator => {
            let request: FindCoordinatorRequest = decoded(body, version)?;
            let nobody = || BrokerId(-1);
            let answer = match version {
                0..=3 => FindCoordinatorResponse::default()
                    .with_error_code(code)
                    .with_node_id(nobody())
                    .with_port(-1),
                _ => {
                    let coordinators = request.coordinator_keys.iter().map(|key| {
                        Coordinator::default()
                            .with_key(key.clone())
                            .with_error_code(code)
                            .with_node_id(nobody())
                            .with_port(-1)
                    });
                    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
                }
            };
            encoded(&answer, version)
        }
        ApiKey::JoinGroup => {
            let request: JoinGroupRequest = decoded(body, version)?;
            encoded(
                &JoinGroupResponse::default()
                    .with_error_code(code)
                    .with_generation_id(-1)
                    .with_member_id(request.member_id),
                version,
            )
        }
        ApiKey::SyncGroup => encoded(&SyncGroupResponse::default().with_error_code(code), version),
        ApiKey::Heartbeat => encoded(&HeartbeatResponse::default().with_error_code(code), version),
        ApiKey::LeaveGroup => encoded(
            &LeaveGroupResponse::default().with_error_code(code),
            version,
        ),
        ApiKey::InitProducerId => encoded(
            &InitProducerIdResponse::default()
                .with_error_code(code)
                .with_producer_id(ProducerId(-1)),
            version,
        ),
        ApiKey::OffsetCommit => {
            let request: OffsetCommitRequest = decoded(body, version)?;
            let topics = request.topics.iter().map(|topic| {
                let partitions = topic.partitions.iter().map(|partition| {
                    OffsetCommitResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(code)
                });
                OffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_partitions(partitions.collect())
            });
            encoded(
                &OffsetCommitResponse::default().with_topics(topics.collect()),
                version,
            )
        }
        ApiKey::OffsetFetch if version >= 8 => {
            let request: OffsetFetchRequest = decoded(body, version)?;
            let groups = request.groups.iter().map(|group| {
                OffsetFetchResponseGroup::default()
                    .with_group_id(group.group_id.clone())
                    .with_error_code(code)
            });
            encoded(
                &OffsetFetchResponse::default().with_groups(groups.collect()),
                version,
            )
        }
        _ => None,
    }
}

/// The body of an answer, with `code` in every place. `None`: it stays as it is.
pub(super) fn rewritten(api: ApiKey, version: i16, body: Bytes, code: i16) -> Option<Bytes> {
    match api {
        ApiKey::Produce => {
            let mut answer: ProduceResponse = decoded(body, version)?;
            let partitions = answer
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partition_responses);
            for partition in partitions.filter(|partition| partition.error_code == 0) {
                partition.error_code = code;
                partition.base_offset = -1;
                partition.log_start_offset = -1;
                partition.log_append_time_ms = -1;
            }
            encoded(&answer, version)
        }
        ApiKey::Fetch => {
            let mut answer: FetchResponse = decoded(body, version)?;
            let partitions = answer
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions);
            for partition in partitions.filter(|partition| partition.error_code == 0) {
                partition.error_code = code;
                partition.high_watermark = -1;
                partition.last_stable_offset = -1;
                partition.log_start_offset = -1;
                partition.aborted_transactions = None;
                partition.records = Some(Bytes::new());
            }
            encoded(&answer, version)
        }
        ApiKey::Metadata => {
            let mut answer: MetadataResponse = decoded(body, version)?;
            for topic in answer
                .topics
                .iter_mut()
                .filter(|topic| topic.error_code == 0)
            {
                match code {
                    LEADER_NOT_AVAILABLE => {
                        for partition in &mut topic.partitions {
                            partition.error_code = code;
                            partition.leader_id = BrokerId(-1);
                        }
                    }
                    code => {
                        topic.error_code = code;
                        topic.partitions.clear();
                    }
                }
            }
            encoded(&answer, version)
        }
        ApiKey::OffsetCommit => {
            let mut answer: OffsetCommitResponse = decoded(body, version)?;
            let partitions = answer
                .topics
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions);
            for partition in partitions.filter(|partition| partition.error_code == 0) {
                partition.error_code = code;
            }
            encoded(&answer, version)
        }
        ApiKey::CreateTopics => {
            let mut answer: CreateTopicsResponse = decoded(body, version)?;
            for topic in answer
                .topics
                .iter_mut()
                .filter(|topic| topic.error_code == 0)
            {
                *topic = CreatableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_error_code(code);
            }
            encoded(&answer, version)
        }
        _ => None,
    }
}

fn decoded<M: Decodable>(mut body: Bytes, version: i16) -> Option<M> {
    M::decode(&mut body, version).ok()
}

fn encoded<M: Encodable>(answer: &M, version: i16) -> Option<Bytes> {
    let mut body = BytesMut::new();
    answer.encode(&mut body, version).ok()?;
    Some(body.freeze())
}
