//! What happens to partitions: CreatePartitions, DeleteRecords, and what they hold:
//! DescribeProducers, DescribeLogDirs.

use std::collections::{HashMap, HashSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::topics::PartitionBudget;
use super::{Call, Refused, each_once, refused, text};
use crate::broker::{Broker, NODE_ID, Partition};
use crate::config::Storage;

/// Kafka's words of UNKNOWN_TOPIC_OR_PARTITION.
pub(super) const UNKNOWN: &str = "This server does not host this topic-partition.";

/// DeleteRecords: up to the end.
const HIGH_WATERMARK: i64 = -1;

pub(super) fn create_partitions(
    call: &Call<'_>,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut times: HashMap<&TopicName, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut budget = PartitionBudget::new();
    let result = |topic: &CreatePartitionsTopic| {
        let grown = if times[&topic.name] > 1 {
            Err(refused(
                ResponseError::InvalidRequest,
                "Duplicate topic name.",
            ))
        } else {
            grow(call.broker, topic, &mut budget, request.validate_only)
        };
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        match grown {
            Ok(()) => result.with_error_message(None),
            Err(refused) => result
                .with_error_code(refused.code)
                .with_error_message(text(refused.message)),
        }
    };
    CreatePartitionsResponse::default().with_results(request.topics.iter().map(result).collect())
}

fn grow(
    broker: &Broker,
    asked: &CreatePartitionsTopic,
    budget: &mut PartitionBudget,
    validate_only: bool,
) -> Result<(), Refused> {
    let topic = broker
        .topic(asked.name.as_str())
        .ok_or_else(|| refused(ResponseError::UnknownTopicOrPartition, UNKNOWN))?;
    let have = topic.partition_count();
    let invalid = |message: String| refused(ResponseError::InvalidPartitions, message);
    let wanted = usize::try_from(asked.count).unwrap_or(0);
    if wanted == have {
        return Err(invalid(format!("Topic already has {have} partition(s).")));
    }
    if wanted < have {
        return Err(invalid(format!(
            "The topic {} currently has {have} partition(s); {} would not be an increase.",
            asked.name.as_str(),
            asked.count
        )));
    }
    budget.spend(wanted - have)?;
    if let Some(assignments) = &asked.assignments {
        let fits = assignments.len() == wanted - have
            && assignments
                .iter()
                .all(|assignment| assignment.broker_ids == [NODE_ID]);
        if !fits {
            let message = format!(
                "each of the {} new partitions needs an assignment to the only broker, {NODE_ID}",
                wanted - have
            );
            return Err(refused(ResponseError::InvalidReplicaAssignment, message));
        }
    }
    if !validate_only {
        // Somebody who was faster has made as many.
        _ = broker.add_partitions(&topic, wanted as u32);
    }
    Ok(())
}

pub(super) fn delete_records(
    call: &Call<'_>,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let mut topics = Vec::new();
    for topic in &request.topics {
        let partition = |asked: &DeleteRecordsPartition| {
            let result =
                DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            match delete_before(call.broker, &topic.name, asked) {
                Ok(low_watermark) => result.with_low_watermark(low_watermark),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            }
        };
        let result = DeleteRecordsTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(topic.partitions.iter().map(partition).collect());
        topics.push(result);
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

fn delete_before(
    broker: &Broker,
    name: &TopicName,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ResponseError> {
    let index = asked.partition_index;
    let unknown = ResponseError::UnknownTopicOrPartition;
    let topic = broker.topic(name.as_str()).ok_or(unknown)?;
    let partition = topic.partition(index).ok_or(unknown)?;
    if topic.configured().rules.retention.is_none() {
        return Err(ResponseError::PolicyViolation);
    }
    let end = partition.log().end_offset();
    let offset = match asked.offset {
        HIGH_WATERMARK => end,
        offset if (0..=end).contains(&offset) => offset,
        _ => return Err(ResponseError::OffsetOutOfRange),
    };
    Ok(broker.raise_start(&topic, index, &partition, offset))
}

pub(super) fn describe_producers(
    call: &Call<'_>,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut topics = Vec::new();
    for topic in each_once(request.topics, |topic| topic.name.clone()) {
        let known = call.broker.topic(topic.name.as_str());
        let indexes = each_once(topic.partition_indexes, |index| *index);
        let partition = |index: &i32| {
            let response = PartitionResponse::default().with_partition_index(*index);
            match known.as_ref().and_then(|topic| topic.partition(*index)) {
                Some(partition) => response
                    .with_error_message(None)
                    .with_active_producers(producers(&partition)),
                None => response
                    .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                    .with_error_message(text(UNKNOWN)),
            }
        };
        let response = TopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(indexes.iter().map(partition).collect());
        topics.push(response);
    }
    DescribeProducersResponse::default().with_topics(topics)
}

fn producers(partition: &Partition) -> Vec<ProducerState> {
    let log = partition.log();
    let mut states: Vec<_> = log
        .producers()
        .iter()
        .map(|(id, producer)| {
            ProducerState::default()
                .with_producer_id(ProducerId(id))
                .with_producer_epoch(i32::from(producer.epoch))
                .with_last_sequence(producer.last_sequence())
                .with_last_timestamp(producer.last_seen_ms)
                .with_coordinator_epoch(producer.coordinator_epoch)
                .with_current_txn_start_offset(producer.transaction_start.unwrap_or(-1))
        })
        .collect();
    states.sort_by_key(|state| state.producer_id);
    states
}

pub(super) fn describe_log_dirs(
    call: &Call<'_>,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let asked = request.topics.as_ref().map(|topics| {
        let mut asked: HashSet<(&TopicName, i32)> = HashSet::new();
        for topic in topics {
            let indexes = topic.partitions.iter();
            asked.extend(indexes.map(|index| (&topic.topic, *index)));
        }
        asked
    });
    let wanted = |name: &TopicName, index: i32| match &asked {
        None => true,
        Some(asked) => asked.contains(&(name, index)),
    };
    let mut topics = Vec::new();
    for topic in call.broker.topics() {
        let partitions: Vec<_> = (0i32..)
            .zip(topic.partitions())
            .filter(|(index, _)| wanted(&topic.name, *index))
            .map(|(index, partition)| {
                DescribeLogDirsPartition::default()
                    .with_partition_index(index)
                    .with_partition_size(partition.log().size_bytes() as i64)
            })
            .collect();
        if !partitions.is_empty() {
            let described = DescribeLogDirsTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions);
            topics.push(described);
        }
    }
    let directory = match &call.broker.config.storage {
        Storage::Directory(path) => path.display().to_string(),
        Storage::Memory => "memory".to_owned(),
    };
    let result = DescribeLogDirsResult::default()
        .with_log_dir(StrBytes::from_string(directory))
        .with_topics(topics);
    DescribeLogDirsResponse::default().with_results(vec![result])
}
