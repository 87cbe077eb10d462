//! Offsets of partitions: where they begin and end, what lies at a time, and deleting from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, DeleteRecordsRequest, ListOffsetsRequest};

use super::{Admin, PerItem, outcome, topic_name};
use crate::client::{Refresh, Target};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::TopicPartition;
use crate::settings::IsolationLevel;

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    /// One past the last record; with `read_committed` one past the last that is decided.
    Latest,
    /// The record with the largest timestamp.
    MaxTimestamp,
    /// The first record whose timestamp is at least this, in milliseconds since 1970.
    TimestampMs(i64),
}

/// An answer. `offset` is -1 when no record fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    pub offset: i64,
    /// -1 unless a record was found by time.
    pub timestamp_ms: i64,
    /// `None` when the broker does not tell.
    pub leader_epoch: Option<i32>,
}

impl OffsetSpec {
    /// As in a ListOffsets request.
    pub fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::TimestampMs(ms) => ms,
        }
    }
}

type Outcomes<T> = Vec<(TopicPartition, Result<T, ClientError>)>;

impl Admin {
    /// Asks the leader of each partition. Waits for partitions that have no leader or are not known
    /// yet, as Java does, for they may be about to appear.
    pub async fn list_offsets(
        &self,
        partitions: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation: IsolationLevel,
    ) -> PerItem<TopicPartition, ListedOffset> {
        let keys = partitions.keys().cloned().collect();
        self.per_item("list offsets", keys, |number, keys| {
            self.at_leaders(number, keys, move |leader, keys| {
                self.list_offsets_of(leader, keys, partitions, isolation)
            })
        })
        .await
    }

    async fn list_offsets_of(
        &self,
        leader: i32,
        keys: Vec<TopicPartition>,
        partitions: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation: IsolationLevel,
    ) -> Result<Outcomes<ListedOffset>, ClientError> {
        let topics = by_topic(&keys).into_iter().map(|(topic, indexes)| {
            let indexes = indexes.into_iter().map(|key| {
                ListOffsetsPartition::default()
                    .with_partition_index(key.partition)
                    .with_timestamp(partitions[key].code())
            });
            ListOffsetsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(indexes.collect())
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation.code())
            .with_topics(topics.collect());
        let response = self
            .client
            .request(Target::Broker(leader), &request)
            .await?;
        let results = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| {
                let listed = outcome(partition.error_code, None).map(|()| ListedOffset {
                    offset: partition.offset,
                    timestamp_ms: partition.timestamp,
                    leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
                });
                answered(&name, partition.partition_index, "ListOffsets", listed)
            })
        });
        Ok(results.collect())
    }

    /// Deletes the records before an offset; -1 deletes all. Answers the new first offset.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> PerItem<TopicPartition, i64> {
        let keys = before.keys().cloned().collect();
        self.per_item("delete records", keys, |number, keys| {
            self.at_leaders(number, keys, move |leader, keys| {
                self.delete_records_of(leader, keys, before)
            })
        })
        .await
    }

    async fn delete_records_of(
        &self,
        leader: i32,
        keys: Vec<TopicPartition>,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Outcomes<i64>, ClientError> {
        let topics = by_topic(&keys).into_iter().map(|(topic, indexes)| {
            let indexes = indexes.into_iter().map(|key| {
                DeleteRecordsPartition::default()
                    .with_partition_index(key.partition)
                    .with_offset(before[key])
            });
            DeleteRecordsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(indexes.collect())
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(self.timeout_ms());
        let response = self
            .client
            .request(Target::Broker(leader), &request)
            .await?;
        let results = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| {
                let deleted = outcome(partition.error_code, None).map(|()| partition.low_watermark);
                answered(&name, partition.partition_index, "DeleteRecords", deleted)
            })
        });
        Ok(results.collect())
    }

    /// Sends each partition to its leader, with fresh metadata from the second attempt on.
    async fn at_leaders<T, F, Fut>(
        &self,
        attempt: u32,
        partitions: Vec<TopicPartition>,
        mut send: F,
    ) -> Result<Outcomes<T>, ClientError>
    where
        F: FnMut(i32, Vec<TopicPartition>) -> Fut,
        Fut: Future<Output = Result<Outcomes<T>, ClientError>>,
    {
        let mut metadata = self.client.metadata();
        let known = partitions
            .iter()
            .all(|key| metadata.leader(&key.topic, key.partition).is_some());
        if attempt > 0 || !known {
            let topics: BTreeSet<&str> = partitions.iter().map(|key| &*key.topic).collect();
            let topics: Vec<&str> = topics.into_iter().collect();
            metadata = self
                .client
                .refresh_metadata(Refresh::Topics(&topics))
                .await?;
        }
        let mut leaders: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        let mut outcomes = Vec::new();
        for key in partitions {
            let code = match metadata.topic_error(&key.topic) {
                Some(code) => code,
                None => match metadata.partition(&key.topic, key.partition) {
                    None => KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    Some(partition) => match partition.leader {
                        None => KafkaErrorCode::LEADER_NOT_AVAILABLE,
                        Some(leader) => {
                            leaders.entry(leader).or_default().push(key);
                            continue;
                        }
                    },
                },
            };
            outcomes.push(answered(
                &key.topic,
                key.partition,
                "Metadata",
                Err(code.into()),
            ));
        }
        for (leader, keys) in leaders {
            match send(leader, keys.clone()).await {
                Ok(answered) => outcomes.extend(answered),
                Err(error) => {
                    outcomes.extend(keys.into_iter().map(|key| (key, Err(error.clone()))))
                }
            }
        }
        Ok(outcomes)
    }
}

fn by_topic(keys: &[TopicPartition]) -> BTreeMap<&str, Vec<&TopicPartition>> {
    let mut topics: BTreeMap<&str, Vec<&TopicPartition>> = BTreeMap::new();
    for key in keys {
        topics.entry(&key.topic).or_default().push(key);
    }
    topics
}

fn answered<T>(
    topic: &str,
    partition: i32,
    api: &'static str,
    outcome: Result<T, ClientError>,
) -> (TopicPartition, Result<T, ClientError>) {
    let outcome = outcome.map_err(|error: ClientError| {
        error
            .with("api", api)
            .with_topic_partition(topic, partition)
    });
    (TopicPartition::new(topic, partition), outcome)
}
