//! ListOffsets: the first, the next, and the one of a time.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tracing::error;

use super::{Call, each_once};
use crate::broker::Partition;
use crate::log::Found;

/// Questions that are not times.
mod asked {
    pub(super) const LATEST: i64 = -1;
    pub(super) const EARLIEST: i64 = -2;
    pub(super) const MAX_TIMESTAMP: i64 = -3;
}

/// The only leader epoch there is.
pub(super) const LEADER_EPOCH: i32 = 0;

/// Isolation level `read_committed`.
pub(super) const READ_COMMITTED: i8 = 1;

pub(super) fn list_offsets(call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut topics = Vec::new();
    for topic in each_once(request.topics, |topic| topic.name.clone()) {
        let known = call.broker.topic(topic.name.as_str());
        // A search by time reads batches: once for each partition.
        let partitions = each_once(topic.partitions, |asked| asked.partition_index);
        let partition = |asked: &ListOffsetsPartition| {
            let partition = known
                .as_ref()
                .and_then(|topic| topic.partition(asked.partition_index));
            let found = match partition {
                None => Err(ResponseError::UnknownTopicOrPartition),
                Some(_) if asked.current_leader_epoch > LEADER_EPOCH => {
                    Err(ResponseError::UnknownLeaderEpoch)
                }
                Some(partition) => find(call, &partition, asked.timestamp, committed),
            };
            let response = ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_timestamp(-1)
                .with_offset(-1);
            match found {
                Ok(None) => response,
                Ok(Some(found)) => {
                    let response = response
                        .with_offset(found.offset)
                        .with_timestamp(found.timestamp_ms);
                    // Older versions have no such field, and refuse to leave it out.
                    if call.version >= 4 {
                        response.with_leader_epoch(LEADER_EPOCH)
                    } else {
                        response
                    }
                }
                Err(error) => response.with_error_code(error.code()),
            }
        };
        let response = ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.iter().map(partition).collect());
        topics.push(response);
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn find(
    call: &Call<'_>,
    partition: &Partition,
    timestamp: i64,
    committed: bool,
) -> Result<Option<Found>, ResponseError> {
    let log = partition.log();
    let limit = match committed {
        true => log.last_stable_offset(),
        false => log.end_offset(),
    };
    let at = |offset| {
        Ok(Some(Found {
            offset,
            timestamp_ms: -1,
        }))
    };
    let found = match timestamp {
        asked::LATEST => return at(limit),
        asked::EARLIEST => return at(log.start_offset()),
        asked::MAX_TIMESTAMP if call.version >= 7 => log.find_max_time(log.end_offset()),
        ..0 => return Err(ResponseError::UnsupportedVersion),
        time => log.find_time(time, limit),
    };
    found.map_err(|cause| {
        error!(%cause, "a search by time failed");
        ResponseError::KafkaStorageError
    })
}
