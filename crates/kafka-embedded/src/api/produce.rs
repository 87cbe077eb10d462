//! Produce: batches into partitions.
//!
//! Cost: a batch is checked once and written once, from the buffer that it came in.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use tracing::error;

use super::partitions::UNKNOWN;
use super::{Call, Refused, Unanswerable, refused, text};
use crate::broker::{Partition, Topic};
use crate::log::{AppendError, Appended, Refusal, Sound, validate};

/// A batch that is in the log.
struct Stored {
    appended: Appended,
    start_offset: i64,
}

pub(super) async fn produce(
    call: &Call<'_>,
    request: ProduceRequest,
) -> Result<Option<Bytes>, Unanswerable> {
    let acks = request.acks;
    let transactional_id = request.transactional_id.map(|id| id.0);
    let mut written = Vec::new();
    let mut failed = false;
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let known = call.broker.topic(topic.name.as_str());
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let stored = if matches!(acks, -1..=1) {
                append(
                    call,
                    known.as_ref(),
                    index,
                    data.records,
                    transactional_id.as_deref(),
                    &mut written,
                )
            } else {
                let message = format!("acks is {acks}, and may be -1, 0 or 1");
                Err(refused(ResponseError::InvalidRequiredAcks, message))
            };
            failed |= stored.is_err();
            partitions.push(response_of(index, stored));
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_partition_responses(partitions),
        );
    }
    if let Err(cause) = call.broker.synced(&written).await {
        error!(%cause, "records could not be brought to the disk");
        failed = true;
        for partition in responses
            .iter_mut()
            .flat_map(|topic| &mut topic.partition_responses)
        {
            partition.error_code = ResponseError::KafkaStorageError.code();
        }
    }
    if acks == 0 {
        // The only way to say that something went wrong.
        return match failed {
            true => Err(Unanswerable::SilentFailure),
            false => Ok(None),
        };
    }
    call.encode(&ProduceResponse::default().with_responses(responses))
        .map(Some)
}

fn response_of(index: i32, stored: Result<Stored, Refused>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match stored {
        Ok(stored) => response
            .with_base_offset(stored.appended.base_offset)
            .with_log_append_time_ms(stored.appended.log_append_time_ms.unwrap_or(-1))
            .with_log_start_offset(stored.start_offset)
            .with_error_message(None),
        Err(refused) => response
            .with_error_code(refused.code)
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1)
            .with_error_message(text(refused.message)),
    }
}

fn append(
    call: &Call<'_>,
    topic: Option<&Arc<Topic>>,
    index: i32,
    records: Option<Bytes>,
    transactional_id: Option<&str>,
    written: &mut Vec<Arc<Partition>>,
) -> Result<Stored, Refused> {
    let unknown = || refused(ResponseError::UnknownTopicOrPartition, UNKNOWN);
    let topic = topic.ok_or_else(unknown)?;
    let partition = topic.partition(index).ok_or_else(unknown)?;
    let configured = topic.configured();
    let rules = &configured.rules;
    let now_ms = call.broker.now_ms();
    let sound = validate(records.unwrap_or_default(), &rules.batch, now_ms).map_err(refusal)?;
    let write = || store(&partition, &sound, rules, now_ms);
    let stored = if sound.header.is_transactional() {
        let Some(transactional_id) = transactional_id else {
            let message = "a transactional batch comes with a transactional id";
            return Err(refused(
                ResponseError::TransactionalIdAuthorizationFailed,
                message,
            ));
        };
        let producer = sound.header.producer;
        call.broker
            .while_open(
                transactional_id,
                producer,
                topic.name.as_str(),
                index,
                write,
            )
            .map_err(|error| refused(error, error.to_string()))?
    } else {
        write()
    };
    let stored = stored.map_err(|cause| append_error(topic, index, &cause))?;
    if !stored.appended.repeated {
        partition.changed();
        written.push(partition);
    }
    Ok(stored)
}

fn store(
    partition: &Partition,
    sound: &Sound,
    rules: &crate::broker::topic_config::Rules,
    now_ms: i64,
) -> Result<Stored, AppendError> {
    let mut log = partition.log();
    let appended = log.append(sound, rules.roll, now_ms)?;
    let start_offset = log.start_offset();
    if log.unsynced_records() >= rules.flush_records {
        // `flush.messages`: rarely set, and then meant.
        for unsynced in log.take_unsynced() {
            unsynced.sync()?;
        }
    }
    Ok(Stored {
        appended,
        start_offset,
    })
}

fn refusal(refusal: Refusal) -> Refused {
    let error = match &refusal {
        Refusal::Corrupt(_) => ResponseError::CorruptMessage,
        Refusal::Invalid(_) => ResponseError::InvalidRecord,
        Refusal::TooLarge { .. } => ResponseError::MessageTooLarge,
        Refusal::LargerThanSegment { .. } => ResponseError::RecordListTooLarge,
        Refusal::Timestamp { .. } => ResponseError::InvalidTimestamp,
    };
    refused(error, refusal.to_string())
}

fn append_error(topic: &Topic, index: i32, cause: &AppendError) -> Refused {
    let error = match cause {
        AppendError::OutOfOrder { .. } => ResponseError::OutOfOrderSequenceNumber,
        AppendError::OldEpoch { .. } => ResponseError::InvalidProducerEpoch,
        AppendError::Removed => ResponseError::UnknownTopicOrPartition,
        AppendError::Io(_) => {
            error!(topic = topic.name.as_str(), partition = index, "{cause}");
            ResponseError::KafkaStorageError
        }
    };
    refused(error, cause.to_string())
}
