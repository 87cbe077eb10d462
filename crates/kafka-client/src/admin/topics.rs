//! Topics and their partitions: create, delete, describe, add partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
};

use super::{Admin, PerItem, outcome, text, topic_name};
use crate::client::{Refresh, Target};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::{TopicId, TopicMetadata};

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    pub name: String,
    pub replicas: Replicas,
    pub configs: BTreeMap<String, String>,
}

/// How many partitions, and where their replicas live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// `None`: the default of the broker.
    Spread {
        partitions: Option<i32>,
        factor: Option<i16>,
    },
    /// Brokers of each partition, the preferred leader first.
    Assigned(Vec<Vec<i32>>),
}

/// Partitions to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// How many there are to be then.
    pub total: i32,
    /// Brokers of each new partition. `None`: the cluster decides.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// Whether a change is made, or only checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validate {
    AndApply,
    Only,
}

/// What the broker made of a [`NewTopic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Zero when only validated.
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
}

impl NewTopic {
    pub fn new(name: impl Into<String>, partitions: Option<i32>, factor: Option<i16>) -> Self {
        Self {
            name: name.into(),
            replicas: Replicas::Spread { partitions, factor },
            configs: BTreeMap::new(),
        }
    }

    pub fn with_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(key.into(), value.into());
        self
    }

    fn creatable(&self) -> CreatableTopic {
        let (partitions, factor, assignments) = match &self.replicas {
            Replicas::Spread { partitions, factor } => {
                (partitions.unwrap_or(-1), factor.unwrap_or(-1), &[][..])
            }
            Replicas::Assigned(assignments) => (-1, -1, assignments.as_slice()),
        };
        let assignments = (0..).zip(assignments).map(|(partition, brokers)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(partition)
                .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
        });
        let configs = self.configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        });
        CreatableTopic::default()
            .with_name(topic_name(&self.name))
            .with_num_partitions(partitions)
            .with_replication_factor(factor)
            .with_assignments(assignments.collect())
            .with_configs(configs.collect())
    }
}

impl Admin {
    /// Creates topics. An existing one answers `TOPIC_ALREADY_EXISTS`. A created topic may be unknown
    /// to some brokers for a moment.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate: Validate,
    ) -> PerItem<String, CreatedTopic> {
        let names = topics.iter().map(|topic| topic.name.clone()).collect();
        self.per_item("create topics", names, |_, names| {
            self.create_topics_once(topics, names, validate)
        })
        .await
    }

    async fn create_topics_once(
        &self,
        topics: &[NewTopic],
        names: Vec<String>,
        validate: Validate,
    ) -> Result<Vec<(String, Result<CreatedTopic, ClientError>)>, ClientError> {
        let wanted = topics.iter().filter(|topic| names.contains(&topic.name));
        let request = CreateTopicsRequest::default()
            .with_topics(wanted.map(NewTopic::creatable).collect())
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(validate == Validate::Only);
        let response = self.client.request(Target::Controller, &request).await?;
        let results = response.topics.into_iter().map(|topic| {
            let created =
                outcome(topic.error_code, topic.error_message.as_ref()).map(|()| CreatedTopic {
                    id: TopicId(topic.topic_id.into_bytes()),
                    partitions: topic.num_partitions,
                    replication_factor: topic.replication_factor,
                });
            (
                topic.name.to_string(),
                created.map_err(|error| about(error, "CreateTopics", &topic.name)),
            )
        });
        Ok(results.collect())
    }

    /// Deletes topics with all their records.
    pub async fn delete_topics(&self, topics: &[&str]) -> PerItem<String, ()> {
        let names = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.per_item("delete topics", names, |_, names| {
            self.delete_topics_once(names)
        })
        .await
    }

    async fn delete_topics_once(
        &self,
        names: Vec<String>,
    ) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
        let topics = names
            .iter()
            .map(|name| DeleteTopicState::default().with_name(Some(topic_name(name))));
        let request = DeleteTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(self.timeout_ms());
        let response = self.client.request(Target::Controller, &request).await?;
        let results = response.responses.into_iter().filter_map(|topic| {
            let name = topic.name?.to_string();
            let deleted = outcome(topic.error_code, topic.error_message.as_ref());
            let deleted =
                deleted.map_err(|error| about(unknown_is_final(error), "DeleteTopics", &name));
            Some((name, deleted))
        });
        Ok(results.collect())
    }

    /// What is known about topics, fresh from a broker. `UNKNOWN_TOPIC_OR_PARTITION` for one that
    /// does not exist, at once and without creating it unless the settings allow that.
    pub async fn describe_topics(&self, topics: &[&str]) -> PerItem<String, Arc<TopicMetadata>> {
        let names = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.per_item("describe topics", names, |_, names| {
            self.describe_topics_once(names)
        })
        .await
    }

    async fn describe_topics_once(
        &self,
        names: Vec<String>,
    ) -> Result<Vec<(String, Result<Arc<TopicMetadata>, ClientError>)>, ClientError> {
        let topics: Vec<&str> = names.iter().map(String::as_str).collect();
        let metadata = self
            .client
            .refresh_metadata(Refresh::Topics(&topics))
            .await?;
        let described = names.into_iter().map(|name| {
            let described = match (metadata.topic_error(&name), metadata.topic(&name)) {
                (None, Some(topic)) => Ok(topic.clone()),
                (code, _) => {
                    let code = code.unwrap_or(KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    Err(about(
                        unknown_is_final(ClientError::from_code(code)),
                        "Metadata",
                        &name,
                    ))
                }
            };
            (name, described)
        });
        Ok(described.collect())
    }

    /// Every topic that we may see, internal ones too, in order of their names.
    pub async fn list_topics(&self) -> Result<Vec<Arc<TopicMetadata>>, ClientError> {
        let metadata = self
            .whole("list topics", |_| {
                self.client.refresh_metadata(Refresh::All)
            })
            .await?;
        let mut topics: Vec<Arc<TopicMetadata>> = metadata.topics().cloned().collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Adds partitions to topics.
    pub async fn create_partitions(
        &self,
        topics: &BTreeMap<String, NewPartitions>,
        validate: Validate,
    ) -> PerItem<String, ()> {
        let names = topics.keys().cloned().collect();
        self.per_item("create partitions", names, |_, names| {
            self.create_partitions_once(topics, names, validate)
        })
        .await
    }

    async fn create_partitions_once(
        &self,
        topics: &BTreeMap<String, NewPartitions>,
        names: Vec<String>,
        validate: Validate,
    ) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
        let wanted =
            topics
                .iter()
                .filter(|(name, _)| names.contains(name))
                .map(|(name, partitions)| {
                    let assignments = partitions.assignments.as_ref().map(|assignments| {
                        let assigned = assignments.iter().map(|brokers| {
                            CreatePartitionsAssignment::default()
                                .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
                        });
                        assigned.collect()
                    });
                    CreatePartitionsTopic::default()
                        .with_name(topic_name(name))
                        .with_count(partitions.total)
                        .with_assignments(assignments)
                });
        let request = CreatePartitionsRequest::default()
            .with_topics(wanted.collect())
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(validate == Validate::Only);
        let response = self.client.request(Target::Controller, &request).await?;
        let results = response.results.into_iter().map(|topic| {
            let created = outcome(topic.error_code, topic.error_message.as_ref());
            let created = created
                .map_err(|error| about(unknown_is_final(error), "CreatePartitions", &topic.name));
            (topic.name.to_string(), created)
        });
        Ok(results.collect())
    }
}

fn about(error: ClientError, api: &'static str, topic: &str) -> ClientError {
    error.with("api", api).with("topic", topic)
}

/// Java's admin client does not wait for an unknown topic to appear, unlike its producer.
fn unknown_is_final(error: ClientError) -> ClientError {
    let unknown = [
        KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        KafkaErrorCode::UNKNOWN_TOPIC_ID,
    ];
    match unknown.into_iter().any(|code| error.is(code)) {
        true => error.into_fatal(),
        false => error,
    }
}
