//! Who may commit and delete offsets, and what is kept.
//!
//! Lives here: OffsetCommit, TxnOffsetCommit after the transaction coordinator's word, OffsetDelete.
//! Never here: reading offsets (`fetch`), transactions.
//! Source: `OffsetMetadataManager` and `ClassicGroup.validateOffsetCommit` in apache/kafka.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::protocol::StrBytes;

use super::answers::code;
use super::offsets::{CommittedOffset, OffsetTable};
use super::state::{Membership, State};
use super::words::{GroupSettings, Topics};

/// In whose name offsets are committed.
pub(super) struct Committer<'a> {
    pub(super) member: &'a str,
    pub(super) instance: Option<&'a str>,
    /// -1: nobody's; a simple commit.
    pub(super) generation: i32,
    pub(super) transactional: bool,
}

impl Committer<'_> {
    /// Where no group is, only a commit without a generation makes one.
    pub(super) fn check_absent_group(&self) -> Result<(), Code> {
        if self.generation < 0 {
            Ok(())
        } else {
            Err(Code::IllegalGeneration)
        }
    }

    pub(super) fn check(&self, group: &Membership) -> Result<(), Code> {
        if self.generation < 0 && group.is_empty() {
            return Ok(());
        }
        if self.generation >= 0 || !self.member.is_empty() || self.instance.is_some() {
            group.check_member(self.member, self.instance)?;
            if self.generation != group.generation {
                return Err(Code::IllegalGeneration);
            }
        } else if !self.transactional && !group.is_empty() {
            return Err(Code::UnknownMemberId);
        }
        match group.state {
            State::Completing { .. } if !self.transactional => Err(Code::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}

/// The word on each partition of a topic.
type TopicWords = (StrBytes, Vec<(i32, Result<(), Code>)>);

/// What of a request may be kept, and the word on each of its partitions.
pub(super) struct Sorted {
    pub(super) accepted: OffsetTable,
    pub(super) words: Vec<TopicWords>,
}

/// One partition of a request.
struct Asked<'a> {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&'a StrBytes>,
}

/// Sorts out partitions that do not exist (3) or say too much (12). `permission` is the group's
/// word on the rest.
pub(super) struct Sorter<'a> {
    pub(super) topics: &'a dyn Topics,
    pub(super) settings: &'a GroupSettings,
    pub(super) permission: Result<(), Code>,
    pub(super) order: u64,
}

/// What is asked in a request; the types of both requests have the same fields and nothing else in common.
macro_rules! asked_in {
    ($topics:expr) => {
        $topics.iter().map(|topic| {
            let asked = topic.partitions.iter().map(|partition| Asked {
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.as_ref(),
            });
            (&topic.name.0, asked.collect())
        })
    };
}

impl Sorter<'_> {
    fn word(&self, topic: &str, asked: &Asked<'_>) -> Result<(), Code> {
        if !self.topics.contains_partition(topic, asked.partition) {
            return Err(Code::UnknownTopicOrPartition);
        }
        self.permission?;
        let length = asked
            .metadata
            .map_or(0, |metadata| metadata.encode_utf16().count());
        if length > self.settings.offset_metadata_max {
            return Err(Code::OffsetMetadataTooLarge);
        }
        Ok(())
    }

    fn sort<'b>(&self, request: impl Iterator<Item = (&'b StrBytes, Vec<Asked<'b>>)>) -> Sorted {
        let mut sorted = Sorted {
            accepted: BTreeMap::new(),
            words: Vec::new(),
        };
        for (topic, partitions) in request {
            let mut words = Vec::with_capacity(partitions.len());
            for asked in partitions {
                let word = self.word(topic, &asked);
                words.push((asked.partition, word));
                if word.is_ok() {
                    let committed = CommittedOffset {
                        offset: asked.offset,
                        leader_epoch: asked.leader_epoch,
                        metadata: asked
                            .metadata
                            .map(|text| text.to_string())
                            .unwrap_or_default(),
                        order: self.order,
                    };
                    let kept = sorted.accepted.entry(topic.to_string()).or_default();
                    kept.insert(asked.partition, committed);
                }
            }
            sorted.words.push((topic.clone(), words));
        }
        sorted
    }

    pub(super) fn sort_commit(&self, request: &[OffsetCommitRequestTopic]) -> Sorted {
        self.sort(asked_in!(request))
    }

    pub(super) fn sort_txn_commit(&self, request: &[TxnOffsetCommitRequestTopic]) -> Sorted {
        self.sort(asked_in!(request))
    }
}

impl Sorted {
    pub(super) fn commit_answer(self) -> Vec<OffsetCommitResponseTopic> {
        let answered = |(topic, words): TopicWords| {
            let partitions = words.into_iter().map(|(partition, word)| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition)
                    .with_error_code(code(word))
            });
            OffsetCommitResponseTopic::default()
                .with_name(topic.into())
                .with_partitions(partitions.collect())
        };
        self.words.into_iter().map(answered).collect()
    }

    pub(super) fn txn_commit_answer(self) -> Vec<TxnOffsetCommitResponseTopic> {
        let answered = |(topic, words): TopicWords| {
            let partitions = words.into_iter().map(|(partition, word)| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition)
                    .with_error_code(code(word))
            });
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.into())
                .with_partitions(partitions.collect())
        };
        self.words.into_iter().map(answered).collect()
    }
}

/// 68 while the group has members, unless they are consumers: for those each topic is asked for.
pub(super) fn check_delete(group: &Membership) -> Result<(), Code> {
    if group.is_empty() || group.is_consumer() {
        Ok(())
    } else {
        Err(Code::NonEmptyGroup)
    }
}

/// The word on each partition whose offset is to go, and what goes.
pub(super) fn sort_delete(
    request: &[OffsetDeleteRequestTopic],
    group: &Membership,
    topics: &dyn Topics,
) -> (Vec<OffsetDeleteResponseTopic>, Vec<(String, i32)>) {
    let mut gone = Vec::new();
    let mut answer = Vec::new();
    for topic in request {
        let name = topic.name.as_str();
        let word = if !topics.contains(name) {
            Err(Code::UnknownTopicOrPartition)
        } else if group.is_subscribed(name) {
            Err(Code::GroupSubscribedToTopic)
        } else {
            Ok(())
        };
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            if word.is_ok() {
                gone.push((name.to_owned(), partition.partition_index));
            }
            partitions.push(
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(code(word)),
            );
        }
        answer.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    (answer, gone)
}
