//! Topics come and go: CreateTopics, DeleteTopics, and which names they may have.
//!
//! Source: `ReplicationControlManager` and `Topic` in apache/kafka; messages are Kafka's.

use std::collections::{HashMap, HashSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Call, Refused, refused, text};
use crate::broker::topic_config::{KEYS, TopicOverrides};
use crate::broker::{Broker, NODE_ID};

/// Longest name, so that names of partitions stay within 255.
const NAME_BYTES_MAX: usize = 249;

/// New partitions of one request, in all its topics; Kafka's limit too.
const PARTITIONS_MAX: usize = 10_000;

/// What is left of [`PARTITIONS_MAX`] while a request is worked on.
pub(super) struct PartitionBudget(usize);

impl PartitionBudget {
    pub(super) fn new() -> PartitionBudget {
        PartitionBudget(PARTITIONS_MAX)
    }

    pub(super) fn spend(&mut self, partitions: usize) -> Result<(), Refused> {
        match self.0.checked_sub(partitions) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(refused(
                ResponseError::PolicyViolation,
                format!(
                    "Excessively large number of partitions per request: more than {PARTITIONS_MAX}"
                ),
            )),
        }
    }
}

/// Kafka's words for what is wrong with a topic's name.
pub(super) fn name_error(name: &str) -> Option<String> {
    let what = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > NAME_BYTES_MAX {
        format!("the length of '{name}' is longer than the max allowed length {NAME_BYTES_MAX}")
    } else if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return None;
    };
    Some(format!("Topic name is invalid: {what}"))
}

/// A topic that may be created.
#[derive(Debug)]
struct Wanted {
    partitions: u32,
    overrides: TopicOverrides,
}

pub(super) fn create_topics(call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut times: HashMap<&TopicName, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(&topic.name).or_default() += 1;
    }
    let mut budget = PartitionBudget::new();
    let mut told = HashSet::new();
    let mut results = Vec::new();
    for topic in &request.topics {
        if times[&topic.name] > 1 {
            // Told once, however often it was named.
            if told.insert(&topic.name) {
                let twice = refused(ResponseError::InvalidRequest, "Duplicate topic name.");
                results.push(not_created(&topic.name, twice));
            }
            continue;
        }
        results.push(
            match create_topic(call.broker, topic, &mut budget, request.validate_only) {
                Ok(created) => created,
                Err(refused) => not_created(&topic.name, refused),
            },
        );
    }
    CreateTopicsResponse::default().with_topics(results)
}

fn not_created(name: &TopicName, refused: Refused) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_error_code(refused.code)
        .with_error_message(text(refused.message))
}

fn create_topic(
    broker: &Broker,
    asked: &CreatableTopic,
    budget: &mut PartitionBudget,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refused> {
    let name = asked.name.as_str();
    let exists = || {
        let message = format!("Topic '{name}' already exists.");
        refused(ResponseError::TopicAlreadyExists, message)
    };
    if let Some(what) = name_error(name) {
        return Err(refused(ResponseError::InvalidTopicException, what));
    }
    if broker.known_topic(name).is_some() {
        return Err(exists());
    }
    if let Some(other) = broker.colliding_topic(name) {
        let what = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(refused(ResponseError::InvalidTopicException, what));
    }
    let wanted = Wanted {
        partitions: partitions_of(asked, broker.config.default_partitions, budget)?,
        overrides: overrides_of(asked)?,
    };
    let described = |id: Uuid| {
        CreatableTopicResult::default()
            .with_name(asked.name.clone())
            .with_topic_id(id)
            .with_error_message(None)
            .with_num_partitions(wanted.partitions as i32)
            .with_replication_factor(1)
            .with_configs(Some(configs(&wanted.overrides)))
    };
    if validate_only {
        return Ok(described(Uuid::nil()));
    }
    let created = broker.create_topic(name, wanted.partitions, wanted.overrides.clone());
    Ok(described(created.ok_or_else(exists)?.id))
}

fn partitions_of(
    asked: &CreatableTopic,
    default: u32,
    budget: &mut PartitionBudget,
) -> Result<u32, Refused> {
    let count = if asked.assignments.is_empty() {
        if asked.num_partitions == 0 || asked.num_partitions < -1 {
            return Err(refused(
                ResponseError::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        match asked.replication_factor {
            -1 | 1 => {}
            factor if factor <= 0 => {
                return Err(refused(
                    ResponseError::InvalidReplicationFactor,
                    "Replication factor was set to an invalid non-positive value.",
                ));
            }
            factor => {
                let message = format!(
                    "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be reached because only 1 broker(s) are registered."
                );
                return Err(refused(ResponseError::InvalidReplicationFactor, message));
            }
        }
        match asked.num_partitions {
            -1 => default as usize,
            count => count as usize,
        }
    } else {
        for (value, what) in [
            (i32::from(asked.replication_factor), "replication factor"),
            (asked.num_partitions, "numPartitions"),
        ] {
            if value != -1 {
                let message = format!(
                    "A manual partition assignment was specified, but {what} was not set to -1."
                );
                return Err(refused(ResponseError::InvalidRequest, message));
            }
        }
        let mut indexes: Vec<i32> = asked
            .assignments
            .iter()
            .map(|assignment| assignment.partition_index)
            .collect();
        indexes.sort_unstable();
        let consecutive = indexes.iter().copied().eq(0..indexes.len() as i32);
        let here = asked
            .assignments
            .iter()
            .all(|assignment| assignment.broker_ids == [NODE_ID]);
        if !consecutive {
            return Err(refused(
                ResponseError::InvalidReplicaAssignment,
                "partitions should be a consecutive 0-based integer sequence.",
            ));
        }
        if !here {
            let message =
                format!("the only broker is {NODE_ID}, and each replica is on another one");
            return Err(refused(ResponseError::InvalidReplicaAssignment, message));
        }
        indexes.len()
    };
    budget.spend(count)?;
    Ok(count as u32)
}

fn overrides_of(asked: &CreatableTopic) -> Result<TopicOverrides, Refused> {
    let mut overrides = TopicOverrides::default();
    for config in &asked.configs {
        let Some(value) = &config.value else {
            let message = format!(
                "Null value not supported for topic configs: {}",
                config.name.as_str()
            );
            return Err(refused(ResponseError::InvalidConfig, message));
        };
        overrides
            .set(config.name.as_str(), value.as_str())
            .map_err(|bad| refused(ResponseError::InvalidConfig, bad.to_string()))?;
    }
    Ok(overrides)
}

fn configs(overrides: &TopicOverrides) -> Vec<CreatableTopicConfigs> {
    let config = |key: &'static crate::broker::topic_config::Key| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(key.name))
            .with_value(text(overrides.get(key)))
            .with_config_source(super::configs::source_of(overrides, key))
    };
    KEYS.iter().map(config).collect()
}

pub(super) fn delete_topics(call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name = |name: TopicName| DeleteTopicState::default().with_name(Some(name));
    let wanted = match call.version {
        ..=5 => request.topic_names.into_iter().map(by_name).collect(),
        _ => request.topics,
    };
    let results = wanted.iter().map(|topic| delete_topic(call.broker, topic));
    DeleteTopicsResponse::default().with_responses(results.collect())
}

fn delete_topic(broker: &Broker, wanted: &DeleteTopicState) -> DeletableTopicResult {
    let failed = |error: ResponseError, message: &str| {
        DeletableTopicResult::default()
            .with_name(wanted.name.clone())
            .with_topic_id(wanted.topic_id)
            .with_error_code(error.code())
            .with_error_message(text(message))
    };
    let (topic, unknown) = match &wanted.name {
        Some(_) if !wanted.topic_id.is_nil() => {
            return failed(
                ResponseError::InvalidRequest,
                "You may not specify both topic name and topic id.",
            );
        }
        Some(name) => (
            broker.known_topic(name.as_str()),
            ResponseError::UnknownTopicOrPartition,
        ),
        None => (
            broker.topic_by_id(&wanted.topic_id),
            ResponseError::UnknownTopicId,
        ),
    };
    let deleted = topic.filter(|topic| broker.delete_topic(topic));
    match deleted {
        Some(topic) => DeletableTopicResult::default()
            .with_name(Some(topic.name.clone()))
            .with_topic_id(topic.id)
            .with_error_message(None),
        None => failed(unknown, "This server does not host this topic."),
    }
}
