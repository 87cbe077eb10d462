//! Committed offsets of a group: list, alter, delete, from outside the group.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::Request;

use super::{Admin, PerItem, outcome, text, topic_name};
use crate::client::{CoordinatorKind, Target};
use crate::error::ClientError;
use crate::metadata::TopicPartition;
use crate::offset::OffsetAndMetadata;

type Outcomes<T> = Vec<(TopicPartition, Result<T, ClientError>)>;

impl Admin {
    /// What a group has committed. `None` asks for all partitions. A partition without a committed
    /// offset is not in the answer; a group that does not exist has none.
    ///
    /// `stable` waits for transactions that are about to commit offsets, as `read_committed` needs.
    pub async fn list_group_offsets(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        stable: bool,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        self.whole("list offsets of a group", |_| {
            self.list_group_offsets_once(group, partitions, stable)
        })
        .await
    }

    async fn list_group_offsets_once(
        &self,
        group: &str,
        partitions: Option<&[TopicPartition]>,
        stable: bool,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let topics = partitions.map(|partitions| {
            let topics = by_topic(partitions).into_iter().map(|(topic, indexes)| {
                OffsetFetchRequestTopics::default()
                    .with_name(topic_name(topic))
                    .with_partition_indexes(indexes)
            });
            topics.collect()
        });
        let wanted = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics);
        let request = OffsetFetchRequest::default()
            .with_groups(vec![wanted])
            .with_require_stable(stable);
        let response = self.at_coordinator(group, &request).await?;
        let mut offsets = BTreeMap::new();
        for answer in response.groups {
            self.checked(group, "OffsetFetch", answer.error_code)?;
            for topic in answer.topics {
                for partition in topic.partitions {
                    self.checked(group, "OffsetFetch", partition.error_code)
                        .map_err(|error| {
                            error.with_topic_partition(&topic.name, partition.partition_index)
                        })?;
                    if partition.committed_offset < 0 {
                        continue;
                    }
                    let committed = OffsetAndMetadata {
                        offset: partition.committed_offset,
                        leader_epoch: Some(partition.committed_leader_epoch)
                            .filter(|epoch| *epoch >= 0),
                        metadata: partition
                            .metadata
                            .map(|text| text.to_string())
                            .unwrap_or_default(),
                    };
                    offsets.insert(
                        TopicPartition::new(topic.name.as_str(), partition.partition_index),
                        committed,
                    );
                }
            }
        }
        Ok(offsets)
    }

    /// Sets committed offsets. `UNKNOWN_MEMBER_ID` while the group has members.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> PerItem<TopicPartition, ()> {
        let keys = offsets.keys().cloned().collect();
        self.per_item("alter offsets of a group", keys, |_, keys| {
            self.alter_group_offsets_once(group, keys, offsets)
        })
        .await
    }

    async fn alter_group_offsets_once(
        &self,
        group: &str,
        keys: Vec<TopicPartition>,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<Outcomes<()>, ClientError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for key in &keys {
            let offset = &offsets[key];
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(key.partition)
                .with_committed_offset(offset.offset)
                .with_committed_leader_epoch(offset.leader_epoch.unwrap_or(-1))
                .with_committed_metadata(Some(text(&offset.metadata)));
            topics.entry(&key.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions)
        });
        // No generation and no member: a commit from outside.
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.collect());
        let response = self.at_coordinator(group, &request).await?;
        let results = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| {
                let committed = self.checked(group, "OffsetCommit", partition.error_code);
                answered(&name, partition.partition_index, committed)
            })
        });
        Ok(results.collect())
    }

    /// Forgets committed offsets. `GROUP_SUBSCRIBED_TO_TOPIC` while a member reads the topic.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> PerItem<TopicPartition, ()> {
        self.per_item(
            "delete offsets of a group",
            partitions.to_vec(),
            |_, keys| self.delete_group_offsets_once(group, keys),
        )
        .await
    }

    async fn delete_group_offsets_once(
        &self,
        group: &str,
        keys: Vec<TopicPartition>,
    ) -> Result<Outcomes<()>, ClientError> {
        let topics = by_topic(&keys).into_iter().map(|(topic, indexes)| {
            let partitions = indexes
                .into_iter()
                .map(|index| OffsetDeleteRequestPartition::default().with_partition_index(index));
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(partitions.collect())
        });
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(topics.collect());
        let response = self.at_coordinator(group, &request).await?;
        self.checked(group, "OffsetDelete", response.error_code)?;
        let results = response.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| {
                let deleted = self.checked(group, "OffsetDelete", partition.error_code);
                answered(&name, partition.partition_index, deleted)
            })
        });
        Ok(results.collect())
    }

    async fn at_coordinator<R: Request + 'static>(
        &self,
        group: &str,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        self.client
            .request(Target::Coordinator(CoordinatorKind::Group, group), request)
            .await
    }

    /// The outcome of a code, after forgetting a coordinator that the code says has moved.
    fn checked(&self, group: &str, api: &'static str, code: i16) -> Result<(), ClientError> {
        outcome(code, None).map_err(|error| {
            self.doubt_coordinator(CoordinatorKind::Group, group, &error);
            error.with("api", api).with("group", group)
        })
    }
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&str, Vec<i32>> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for key in partitions {
        topics.entry(&key.topic).or_default().push(key.partition);
    }
    topics
}

fn answered(
    topic: &str,
    partition: i32,
    outcome: Result<(), ClientError>,
) -> (TopicPartition, Result<(), ClientError>) {
    let outcome = outcome.map_err(|error| error.with_topic_partition(topic, partition));
    (TopicPartition::new(topic, partition), outcome)
}
