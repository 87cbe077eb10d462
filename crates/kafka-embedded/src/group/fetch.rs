//! OffsetFetch: committed offsets of one group or of several.
//!
//! Lives here: both shapes of the answer, one group up to version 7, several from 8.
//! Never here: changing an offset.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::answers::{text, topic_name};
use super::offsets::GroupOffsets;

/// From this version a request names several groups.
const FETCH_NAMES_GROUPS: i16 = 8;
/// "Nothing committed", and the offset beside an error.
const NO_OFFSET: i64 = -1;
const NO_EPOCH: i32 = -1;

/// What a partition's line says, in either shape.
struct Found {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: StrBytes,
    error: i16,
}

type FoundTopic = (String, Vec<Found>);

/// The answer; `offsets_of` gives a group's offsets. Unknown groups look like empty ones.
pub(super) fn answer<'a>(
    version: i16,
    request: &OffsetFetchRequest,
    offsets_of: impl Fn(&str) -> Option<&'a GroupOffsets>,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if version >= FETCH_NAMES_GROUPS {
        let groups = request.groups.iter().map(|group| {
            let asked = group.topics.as_ref().map(|topics| {
                topics
                    .iter()
                    .map(|topic| (topic.name.as_str(), &topic.partition_indexes[..]))
            });
            let found = find(offsets_of(&group.group_id), asked, stable);
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id.clone())
                .with_topics(found.into_iter().map(topic_from_8).collect())
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let asked = request.topics.as_ref().map(|topics| {
        topics
            .iter()
            .map(|topic| (topic.name.as_str(), &topic.partition_indexes[..]))
    });
    let found = find(offsets_of(&request.group_id), asked, stable);
    OffsetFetchResponse::default().with_topics(found.into_iter().map(topic_to_7).collect())
}

/// Of the partitions asked for, or of all that have an offset.
fn find<'a>(
    offsets: Option<&GroupOffsets>,
    asked: Option<impl Iterator<Item = (&'a str, &'a [i32])>>,
    require_stable: bool,
) -> Vec<FoundTopic> {
    let look = |topic: &str, partition: i32| look(offsets, topic, partition, require_stable);
    if let Some(asked) = asked {
        return asked
            .map(|(topic, partitions)| {
                let found = partitions.iter().map(|partition| look(topic, *partition));
                (topic.to_owned(), found.collect())
            })
            .collect();
    }
    let Some(known) = offsets else {
        return Vec::new();
    };
    let all = known.committed().iter().map(|(topic, partitions)| {
        let found = partitions.keys().map(|partition| look(topic, *partition));
        (topic.clone(), found.collect())
    });
    all.collect()
}

fn look(
    offsets: Option<&GroupOffsets>,
    topic: &str,
    partition: i32,
    require_stable: bool,
) -> Found {
    let mut found = Found {
        partition,
        offset: NO_OFFSET,
        leader_epoch: NO_EPOCH,
        metadata: StrBytes::default(),
        error: 0,
    };
    let Some(offsets) = offsets else {
        return found;
    };
    if require_stable && offsets.is_unstable(topic, partition) {
        found.error = Code::UnstableOffsetCommit.code();
    } else if let Some(committed) = offsets.get(topic, partition) {
        found.offset = committed.offset;
        found.leader_epoch = committed.leader_epoch;
        found.metadata = text(&committed.metadata);
    }
    found
}

fn topic_to_7((topic, found): FoundTopic) -> OffsetFetchResponseTopic {
    let partitions = found.into_iter().map(|found| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(found.metadata))
            .with_error_code(found.error)
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic_name(&topic))
        .with_partitions(partitions.collect())
}

fn topic_from_8((topic, found): FoundTopic) -> OffsetFetchResponseTopics {
    let partitions = found.into_iter().map(|found| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(found.partition)
            .with_committed_offset(found.offset)
            .with_committed_leader_epoch(found.leader_epoch)
            .with_metadata(Some(found.metadata))
            .with_error_code(found.error)
    });
    OffsetFetchResponseTopics::default()
        .with_name(topic_name(&topic))
        .with_partitions(partitions.collect())
}
