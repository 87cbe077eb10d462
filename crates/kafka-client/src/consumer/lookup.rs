//! Questions about offsets, each sent once.
//!
//! Lives here: ListOffsets and OffsetForLeaderEpoch to the leaders of partitions, OffsetFetch and
//! OffsetCommit to the coordinator of the group.
//! Never here: a retry, a position. What an error means is decided by who asked.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    GroupId, ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::partition::{Position, ResetTo};
use super::{OffsetAndMetadata, TopicPartition};
use crate::client::{Client, CoordinatorKind, Lane, Target};
use crate::connection::{Connection, api_name};
use crate::error::{ClientError, KafkaErrorCode as Code};
use crate::group::Generation;
use crate::settings::IsolationLevel;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// A consumer, not a replica.
const CONSUMER: i32 = -1;
const TIMED_LIST_OFFSETS: i16 = 10;

impl ResetTo {
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => EARLIEST,
            Self::Latest => LATEST,
            Self::Timestamp(timestamp_ms) => timestamp_ms,
        }
    }
}

/// What ListOffsets found: `None` when no record is as new as the given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub position: Position,
    pub timestamp_ms: i64,
}

pub(super) type PerPartition<T> = Vec<(TopicPartition, Result<T, ClientError>)>;

fn topic(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// `items` by topic, in order.
fn by_topic<T, P>(
    items: impl IntoIterator<Item = T>,
    of: impl Fn(&T) -> &TopicPartition,
    make: impl Fn(&T) -> P,
) -> Vec<(TopicName, Vec<P>)> {
    let mut topics: BTreeMap<String, Vec<P>> = BTreeMap::new();
    for item in items {
        let tp = of(&item);
        let partition = make(&item);
        match topics.get_mut(&*tp.topic) {
            Some(partitions) => partitions.push(partition),
            None => _ = topics.insert(tp.topic.to_string(), vec![partition]),
        }
    }
    topics
        .into_iter()
        .map(|(name, partitions)| (topic(&name), partitions))
        .collect()
}

/// Collects the answers; what a broker did not answer is an error of its own.
struct Answers<T> {
    waiting: HashMap<TopicPartition, ()>,
    answers: PerPartition<T>,
}

impl<T> Answers<T> {
    fn new<'a>(asked: impl Iterator<Item = &'a TopicPartition>) -> Self {
        Self {
            waiting: asked.map(|tp| (tp.clone(), ())).collect(),
            answers: Vec::new(),
        }
    }

    fn add(&mut self, topic: &str, partition: i32, code: i16, answer: impl FnOnce() -> T) {
        let tp = TopicPartition {
            topic: topic.into(),
            partition,
        };
        let Some((tp, ())) = self.waiting.remove_entry(&tp) else {
            return;
        };
        let answer = Code::check(code).map(|()| answer()).map_err(|code| {
            ClientError::from_code(code).with_topic_partition(&tp.topic, tp.partition)
        });
        self.answers.push((tp, answer));
    }

    fn finish(mut self) -> PerPartition<T> {
        for (tp, ()) in self.waiting {
            let error = ClientError::retriable("the broker left the partition out of its answer");
            let error = error.with_topic_partition(&tp.topic, tp.partition);
            self.answers.push((tp, Err(error)));
        }
        self.answers
    }
}

/// Asks one leader for offsets. `asked`: where to, and the leader epoch that we know.
pub(super) async fn list_offsets(
    client: &Client,
    broker: i32,
    isolation: IsolationLevel,
    asked: Vec<(TopicPartition, ResetTo, i32)>,
) -> Result<PerPartition<Option<Found>>, ClientError> {
    let connection = client.connection_to(Target::Broker(broker)).await?;
    let topics = by_topic(
        &asked,
        |(tp, ..)| tp,
        |(tp, to, epoch)| {
            ListOffsetsPartition::default()
                .with_partition_index(tp.partition)
                .with_current_leader_epoch(*epoch)
                .with_timestamp(to.timestamp())
        },
    );
    let topics = topics.into_iter().map(|(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(name)
            .with_partitions(partitions)
    });
    let timeout = client.settings().request_timeout;
    let mut request = ListOffsetsRequest::default()
        .with_replica_id(CONSUMER.into())
        .with_isolation_level(isolation.code())
        .with_topics(topics.collect());
    if connection.version_of::<ListOffsetsRequest>()? >= TIMED_LIST_OFFSETS {
        request = request.with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
    }
    let response = connection.enqueue(&request, timeout)?.await?;
    let mut answers = Answers::new(asked.iter().map(|(tp, ..)| tp));
    for topic in response.topics {
        for partition in topic.partitions {
            answers.add(
                topic.name.as_str(),
                partition.partition_index,
                partition.error_code,
                || {
                    let epoch = Some(partition.leader_epoch).filter(|epoch| *epoch >= 0);
                    let position = Position {
                        offset: partition.offset,
                        epoch,
                    };
                    let timestamp_ms = partition.timestamp;
                    (partition.offset >= 0).then_some(Found {
                        position,
                        timestamp_ms,
                    })
                },
            );
        }
    }
    Ok(answers.finish())
}

/// Where an epoch ends in a leader's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EpochEnd {
    pub epoch: i32,
    pub end_offset: i64,
}

/// Asks one leader where epochs end. `asked`: the leader epoch that we know, and the epoch in question.
pub(super) async fn epoch_ends(
    client: &Client,
    broker: i32,
    asked: Vec<(TopicPartition, i32, i32)>,
) -> Result<PerPartition<EpochEnd>, ClientError> {
    let connection = client.connection_to(Target::Broker(broker)).await?;
    let topics = by_topic(
        &asked,
        |(tp, ..)| tp,
        |(tp, current, epoch)| {
            OffsetForLeaderPartition::default()
                .with_partition(tp.partition)
                .with_current_leader_epoch(*current)
                .with_leader_epoch(*epoch)
        },
    );
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetForLeaderTopic::default()
            .with_topic(name)
            .with_partitions(partitions)
    });
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(CONSUMER.into())
        .with_topics(topics.collect());
    let response = connection
        .enqueue(&request, client.settings().request_timeout)?
        .await?;
    let mut answers = Answers::new(asked.iter().map(|(tp, ..)| tp));
    for topic in response.topics {
        for partition in topic.partitions {
            answers.add(
                topic.topic.as_str(),
                partition.partition,
                partition.error_code,
                || EpochEnd {
                    epoch: partition.leader_epoch,
                    end_offset: partition.end_offset,
                },
            );
        }
    }
    Ok(answers.finish())
}

/// A group, as its offsets know it.
#[derive(Debug, Clone)]
pub(super) struct GroupOffsets {
    pub client: Client,
    pub group_id: String,
    pub group_instance_id: Option<String>,
}

impl GroupOffsets {
    /// Not the lane on which a join may wait for other members.
    async fn connection(&self) -> Result<Connection, ClientError> {
        let coordinator = self
            .client
            .coordinator(CoordinatorKind::Group, &self.group_id)
            .await?;
        self.client.connection_on(coordinator, Lane::Control).await
    }

    /// Forgets the coordinator when `error` says that it is another one, or gone.
    pub(super) fn doubt(&self, error: &ClientError) {
        let moved = matches!(
            error.code(),
            Some(Code::NOT_COORDINATOR | Code::COORDINATOR_NOT_AVAILABLE)
        );
        if moved || error.is_disconnect() || error.is_timeout() {
            self.client
                .invalidate_coordinator(CoordinatorKind::Group, &self.group_id);
        }
    }

    fn error<R: Request>(&self, code: Code) -> ClientError {
        ClientError::from_code(code)
            .with("api", api_name(R::KEY))
            .with("group", &self.group_id)
    }

    fn group(&self) -> GroupId {
        GroupId(StrBytes::from_string(self.group_id.clone()))
    }

    /// The committed offsets; partitions without one are missing. Waits for none that is in an
    /// open transaction: that is the retriable error `UNSTABLE_OFFSET_COMMIT`.
    pub(super) async fn committed(
        &self,
        asked: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let answer = self.committed_once(asked).await;
        if let Err(error) = &answer {
            self.doubt(error);
        }
        answer
    }

    async fn committed_once(
        &self,
        asked: &[TopicPartition],
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let connection = self.connection().await?;
        let topics = by_topic(asked, |tp| tp, |tp| tp.partition);
        let topics = topics.into_iter().map(|(name, partitions)| {
            OffsetFetchRequestTopics::default()
                .with_name(name)
                .with_partition_indexes(partitions)
        });
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(self.group())
            .with_member_id(None)
            .with_topics(Some(topics.collect()));
        let request = OffsetFetchRequest::default()
            .with_groups(vec![group])
            .with_require_stable(true);
        let response = connection
            .enqueue(&request, self.client.settings().request_timeout)?
            .await?;
        let mut committed = HashMap::new();
        for group in response.groups {
            Code::check(group.error_code).map_err(|code| self.error::<OffsetFetchRequest>(code))?;
            for topic in group.topics {
                let name: std::sync::Arc<str> = topic.name.as_str().into();
                for partition in topic.partitions {
                    Code::check(partition.error_code).map_err(|code| {
                        self.error::<OffsetFetchRequest>(code)
                            .with_topic_partition(&name, partition.partition_index)
                    })?;
                    if partition.committed_offset < 0 {
                        continue;
                    }
                    let tp = TopicPartition {
                        topic: name.clone(),
                        partition: partition.partition_index,
                    };
                    let offset = OffsetAndMetadata {
                        offset: partition.committed_offset,
                        leader_epoch: Some(partition.committed_leader_epoch)
                            .filter(|epoch| *epoch >= 0),
                        metadata: partition
                            .metadata
                            .map(|text| text.to_string())
                            .unwrap_or_default(),
                    };
                    committed.insert(tp, offset);
                }
            }
        }
        Ok(committed)
    }

    /// Commits in the name of a member, or of nobody (a group without members).
    pub(super) async fn commit(
        &self,
        generation: Option<&Generation>,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let answer = self.commit_once(generation, offsets, timeout).await;
        if let Err(error) = &answer {
            self.doubt(error);
        }
        answer
    }

    async fn commit_once(
        &self,
        generation: Option<&Generation>,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        let topics = by_topic(
            offsets,
            |(tp, _)| tp,
            |(tp, offset)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(tp.partition)
                    .with_committed_offset(offset.offset)
                    .with_committed_leader_epoch(offset.leader_epoch.unwrap_or(-1))
                    .with_committed_metadata(Some(StrBytes::from_string(offset.metadata.clone())))
            },
        );
        let topics = topics.into_iter().map(|(name, partitions)| {
            OffsetCommitRequestTopic::default()
                .with_name(name)
                .with_partitions(partitions)
        });
        let mut request = OffsetCommitRequest::default()
            .with_group_id(self.group())
            .with_topics(topics.collect());
        if let Some(generation) = generation {
            request = request
                .with_generation_id_or_member_epoch(generation.generation_id)
                .with_member_id(StrBytes::from_string(generation.member_id.clone()))
                .with_group_instance_id(self.group_instance_id.clone().map(StrBytes::from_string));
        }
        let response = connection.enqueue(&request, timeout)?.await?;
        for topic in response.topics {
            for partition in topic.partitions {
                Code::check(partition.error_code).map_err(|code| {
                    self.error::<OffsetCommitRequest>(code)
                        .with_topic_partition(topic.name.as_str(), partition.partition_index)
                })?;
            }
        }
        Ok(())
    }
}
