//! Fetch: batches out of partitions, at once or when there are some.
//!
//! Lives here: the answer, written by hand: records are read from the log straight into it.
//! Lives elsewhere: which batches (`crate::log`).
//! Never here: a fetch session; every request names all its partitions.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::FetchPartition;
use tokio::time::{Instant, timeout_at};
use tracing::error;

use super::list_offsets::{LEADER_EPOCH, READ_COMMITTED};
use super::{Call, Unanswerable};
use crate::broker::{Partition, Topic};
use crate::log::ReadBatches;
use crate::log::producers::Aborted;

/// Records in one answer, unless the first batch is larger; as the broker's `fetch.max.bytes`.
/// Bounds the memory of a connection.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An answer under way.
struct Answer {
    bytes: Vec<u8>,
    records_bytes: usize,
    /// A partition has an error: it is told at once.
    has_error: bool,
}

pub(super) async fn fetch(call: &Call<'_>, request: FetchRequest) -> Result<Bytes, Unanswerable> {
    // A client that believes in a session: it begins anew after this.
    if call.version >= 7 && request.session_epoch > 0 {
        let error = ResponseError::FetchSessionIdNotFound.code();
        let mut bytes = Vec::new();
        put_head(call, &mut bytes, error, 0);
        return finish(bytes);
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait;
    let enough = usize::try_from(request.min_bytes).unwrap_or(0);
    let mut watched = false;
    loop {
        let answer = read(call, &request);
        if answer.has_error || answer.records_bytes >= enough || Instant::now() >= deadline {
            return finish(answer.bytes);
        }
        drop(answer);
        if watched {
            // Whether it is a change or the time, the answer is made again.
            _ = timeout_at(deadline, call.peer.wake.notified()).await;
        }
        // A change between here and the next look leaves a permit.
        watched = watch(call, &request);
    }
}

/// Asks to be woken at the next change of any partition.
fn watch(call: &Call<'_>, request: &FetchRequest) -> bool {
    for topic in &request.topics {
        let Some(known) = call.broker.topic(topic.topic.as_str()) else {
            continue;
        };
        for asked in &topic.partitions {
            if let Some(partition) = known.partition(asked.partition) {
                partition.wake_at_change(&call.peer.wake);
            }
        }
    }
    true
}

/// The answer as it is now.
fn read(call: &Call<'_>, request: &FetchRequest) -> Answer {
    let mut answer = Answer {
        bytes: Vec::new(),
        records_bytes: 0,
        has_error: false,
    };
    let limit = usize::try_from(request.max_bytes)
        .unwrap_or(0)
        .min(ANSWER_BYTES_MAX);
    let committed = request.isolation_level == READ_COMMITTED;
    put_head(call, &mut answer.bytes, 0, request.topics.len());
    for topic in &request.topics {
        let known = call.broker.topic(topic.topic.as_str());
        put_text(&mut answer.bytes, topic.topic.as_str());
        answer.bytes.put_i32(topic.partitions.len() as i32);
        for asked in &topic.partitions {
            if let Err(error) =
                read_partition(call, known.as_ref(), asked, committed, limit, &mut answer)
            {
                answer.has_error = true;
                put_error(call, &mut answer.bytes, asked.partition, error);
            }
        }
    }
    answer
}

/// On failure nothing was added to the answer.
fn read_partition(
    call: &Call<'_>,
    topic: Option<&Arc<Topic>>,
    asked: &FetchPartition,
    committed: bool,
    limit: usize,
    answer: &mut Answer,
) -> Result<(), ResponseError> {
    let unknown = ResponseError::UnknownTopicOrPartition;
    let partition = topic
        .and_then(|topic| topic.partition(asked.partition))
        .ok_or(unknown)?;
    if asked.current_leader_epoch > LEADER_EPOCH {
        return Err(ResponseError::UnknownLeaderEpoch);
    }
    let before = answer.bytes.len();
    let mut attempt = read_once(call, &partition, asked, committed, limit, answer);
    if let Err(ReadError::Io(_)) = attempt {
        // Compaction may just have put another file in its place.
        answer.bytes.truncate(before);
        attempt = read_once(call, &partition, asked, committed, limit, answer);
    }
    attempt.map_err(|failed| {
        answer.bytes.truncate(before);
        match failed {
            ReadError::OutOfRange => ResponseError::OffsetOutOfRange,
            ReadError::Io(cause) => {
                error!(offset = asked.fetch_offset, %cause, "a partition could not be read");
                ResponseError::KafkaStorageError
            }
        }
    })
}

enum ReadError {
    OutOfRange,
    Io(std::io::Error),
}

fn read_once(
    call: &Call<'_>,
    partition: &Partition,
    asked: &FetchPartition,
    committed: bool,
    limit: usize,
    answer: &mut Answer,
) -> Result<(), ReadError> {
    let (plan, end, stable, start, may_overlap) = {
        let log = partition.log();
        let (start, end) = (log.start_offset(), log.end_offset());
        if !(start..=end).contains(&asked.fetch_offset) {
            return Err(ReadError::OutOfRange);
        }
        let stable = log.last_stable_offset();
        let visible = if committed { stable } else { end };
        let plan = partition.plan_read(&log, asked.fetch_offset, visible);
        let may_overlap = committed && log.producers().has_aborted_behind(asked.fetch_offset);
        (plan, end, stable, start, may_overlap)
    };
    let out = &mut answer.bytes;
    out.put_i32(asked.partition);
    out.put_i16(0);
    out.put_i64(end);
    out.put_i64(stable);
    if call.version >= 5 {
        out.put_i64(start);
    }
    let room = limit.saturating_sub(answer.records_bytes);
    let at_least_one = answer.records_bytes == 0;
    let mut bytes = 0;
    match plan.filter(|_| room > 0 || at_least_one) {
        Some(plan) if !may_overlap => {
            put_aborted(out, committed, &[]);
            bytes = put_records(call, out, |out| {
                let most = room.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
                plan.read(most, at_least_one, out)
            })
            .map(|read| note(partition, read))
            .map_err(ReadError::Io)?;
        }
        Some(plan) => {
            // How far it reads decides which aborted transactions are told, in front of it.
            let mut records = Vec::new();
            let most = room.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
            let read = plan
                .read(most, at_least_one, &mut records)
                .map_err(ReadError::Io)?;
            let overlapping: Vec<_> = partition
                .log()
                .producers()
                .aborted_between(asked.fetch_offset, read.next_offset)
                .collect();
            put_aborted(out, committed, &overlapping);
            bytes = note(partition, read);
            put_preferred_replica(call, out);
            out.put_i32(records.len() as i32);
            out.extend_from_slice(&records);
        }
        None => {
            put_aborted(out, committed, &[]);
            put_preferred_replica(call, out);
            out.put_i32(0);
        }
    }
    answer.records_bytes += bytes;
    Ok(())
}

fn note(partition: &Partition, read: ReadBatches) -> usize {
    if let Some(hint) = read.hint {
        partition.note_hint(hint);
    }
    read.bytes
}

/// Records with their length in front, which is known behind them.
fn put_records(
    call: &Call<'_>,
    out: &mut Vec<u8>,
    read: impl FnOnce(&mut Vec<u8>) -> std::io::Result<ReadBatches>,
) -> std::io::Result<ReadBatches> {
    put_preferred_replica(call, out);
    let length_at = out.len();
    out.put_i32(0);
    let batches = read(out)?;
    out[length_at..length_at + 4].copy_from_slice(&(batches.bytes as i32).to_be_bytes());
    Ok(batches)
}

fn put_aborted(out: &mut Vec<u8>, committed: bool, aborted: &[Aborted]) {
    if !committed {
        return out.put_i32(-1);
    }
    out.put_i32(aborted.len() as i32);
    for aborted in aborted {
        out.put_i64(aborted.producer_id);
        out.put_i64(aborted.first_offset);
    }
}

fn put_preferred_replica(call: &Call<'_>, out: &mut Vec<u8>) {
    if call.version >= 11 {
        out.put_i32(-1);
    }
}

fn put_error(call: &Call<'_>, out: &mut Vec<u8>, index: i32, error: ResponseError) {
    out.put_i32(index);
    out.put_i16(error.code());
    out.put_i64(-1);
    out.put_i64(-1);
    if call.version >= 5 {
        out.put_i64(-1);
    }
    out.put_i32(-1);
    put_preferred_replica(call, out);
    out.put_i32(0);
}

/// Up to the topics: all versions here are from before the compact encodings.
fn put_head(call: &Call<'_>, out: &mut Vec<u8>, error: i16, topics: usize) {
    out.put_i32(0);
    out.put_i32(call.correlation_id);
    out.put_i32(0);
    if call.version >= 7 {
        out.put_i16(error);
        out.put_i32(0);
    }
    out.put_i32(topics as i32);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_i16(text.len() as i16);
    out.extend_from_slice(text.as_bytes());
}

/// Fails never: an answer is bounded far below what a frame can hold, but for one batch.
fn finish(mut bytes: Vec<u8>) -> Result<Bytes, Unanswerable> {
    let length = (bytes.len() - 4) as i32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(Bytes::from(bytes))
}
