//! One fetch: the request to a broker, and its answer taken apart on the way to the consumer.
//!
//! Lives here: the fetch request, and the work on its answer that must not hold up the consumer:
//! checking, decompressing, leaving aborted transactions out.
//! Lives elsewhere: what is fetched when (`super::poll`), sessions (`super::session`), what an
//! error means (`super::partition`).
//! Never here: a retry.

use std::collections::HashMap;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{CrcCheck, Decompressor};

use super::TopicPartition;
use super::partition::Position;
use super::records::{Aborted, Chunk, Reading};
use super::session::SessionRequest;
use crate::client::Client;
use crate::connection::Connection;
use crate::error::{ClientError, KafkaErrorCode};
use crate::settings::{ConsumerSettings, IsolationLevel};

/// A batch that claims to become larger than this is refused instead of filling the memory. 1 GiB.
const DECOMPRESSED_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// After this much decompressed data a fetch lets other tasks run.
const BYTES_PER_TURN: usize = 1024 * 1024;

/// What all fetches of a consumer have in common.
#[derive(Debug, Clone)]
pub(super) struct FetchOptions {
    pub max_wait: Duration,
    pub min_bytes: i32,
    pub isolation: IsolationLevel,
    pub check_crcs: bool,
    pub rack: StrBytes,
    pub timeout: Duration,
}

impl FetchOptions {
    pub(super) fn new(settings: &ConsumerSettings) -> Self {
        Self {
            max_wait: settings.fetch_max_wait,
            min_bytes: settings.fetch_min_bytes,
            isolation: settings.isolation_level,
            check_crcs: settings.check_crcs,
            rack: StrBytes::from_string(settings.client_rack.clone()),
            timeout: settings.connection.request_timeout,
        }
    }

    fn reading(&self) -> Reading {
        let crc = if self.check_crcs {
            CrcCheck::Verify
        } else {
            CrcCheck::Skip
        };
        Reading {
            isolation: self.isolation,
            crc,
        }
    }
}

/// What a fetch asks of one partition; also of those that the session does not name again.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub tp: TopicPartition,
    pub version: u64,
    pub from: Position,
}

pub(super) struct Fetch {
    pub broker: i32,
    pub asked: Vec<Asked>,
    pub session: SessionRequest,
    pub max_bytes: i32,
    /// Kept from one fetch to the next.
    pub decompressor: Decompressor,
}

pub(super) struct Fetched {
    pub broker: i32,
    pub asked: Vec<Asked>,
    pub answer: Result<Answer, ClientError>,
    pub decompressor: Decompressor,
}

pub(super) struct Answer {
    pub session_id: i32,
    /// By index into `asked`. Partitions without news are missing.
    pub partitions: Vec<(usize, PartitionAnswer)>,
}

pub(super) struct PartitionAnswer {
    pub error: Option<KafkaErrorCode>,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    pub preferred_replica: Option<i32>,
    pub chunk: Option<Chunk>,
}

pub(super) fn decompressor() -> Decompressor {
    Decompressor::new(DECOMPRESSED_BYTES_MAX)
}

/// Sends the request and takes the answer apart.
pub(super) async fn run(client: Client, options: FetchOptions, fetch: Fetch) -> Fetched {
    let Fetch {
        broker,
        asked,
        session,
        max_bytes,
        mut decompressor,
    } = fetch;
    let request = request(&options, session, max_bytes);
    let answer = match answer(&client, broker, &request, options.timeout).await {
        Ok(response) => read(response, &asked, &options, &mut decompressor).await,
        Err(error) => Err(error),
    };
    Fetched {
        broker,
        asked,
        answer,
        decompressor,
    }
}

async fn answer(
    client: &Client,
    broker: i32,
    request: &FetchRequest,
    timeout: Duration,
) -> Result<FetchResponse, ClientError> {
    let connection = match client.ready_connection(broker) {
        Some(connection) => connection,
        None => client.connection(broker).await?,
    };
    connection.enqueue(request, timeout)?.await
}

/// Ends a session; nobody waits for the answer.
pub(super) fn close_session(
    connection: &Connection,
    options: &FetchOptions,
    session: SessionRequest,
) {
    // The session times out at the broker if this fails.
    _ = connection.enqueue(&request(options, session, 0), options.timeout);
}

fn request(options: &FetchOptions, session: SessionRequest, max_bytes: i32) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (tp, wanted) in session.named {
        let partition = FetchPartition::default()
            .with_partition(tp.partition)
            .with_fetch_offset(wanted.offset)
            .with_current_leader_epoch(wanted.leader_epoch)
            .with_partition_max_bytes(wanted.max_bytes);
        match topics.last_mut() {
            Some(last) if *last.topic.0 == *tp.topic => last.partitions.push(partition),
            _ => topics.push(
                FetchTopic::default()
                    .with_topic(topic_name(&tp))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    let mut forgotten: Vec<ForgottenTopic> = Vec::new();
    for tp in session.forgotten {
        match forgotten.last_mut() {
            Some(last) if *last.topic.0 == *tp.topic => last.partitions.push(tp.partition),
            _ => {
                let topic = ForgottenTopic::default().with_topic(topic_name(&tp));
                forgotten.push(topic.with_partitions(vec![tp.partition]));
            }
        }
    }
    FetchRequest::default()
        .with_max_wait_ms(i32::try_from(options.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(options.min_bytes)
        .with_max_bytes(max_bytes)
        .with_isolation_level(options.isolation.code())
        .with_session_id(session.id)
        .with_session_epoch(session.epoch)
        .with_topics(topics)
        .with_forgotten_topics_data(forgotten)
        .with_rack_id(options.rack.clone())
}

fn topic_name(tp: &TopicPartition) -> TopicName {
    TopicName(StrBytes::from_string(tp.topic.to_string()))
}

async fn read(
    response: FetchResponse,
    asked: &[Asked],
    options: &FetchOptions,
    decompressor: &mut Decompressor,
) -> Result<Answer, ClientError> {
    KafkaErrorCode::check(response.error_code).map_err(ClientError::from_code)?;
    let index: HashMap<(&str, i32), usize> = asked
        .iter()
        .enumerate()
        .map(|(index, asked)| ((&*asked.tp.topic, asked.tp.partition), index))
        .collect();
    let mut partitions = Vec::with_capacity(asked.len());
    let mut bytes = 0;
    for topic in response.responses {
        for data in topic.partitions {
            let Some(&index) = index.get(&(topic.topic.0.as_str(), data.partition_index)) else {
                continue;
            };
            let answer = read_partition(data, &asked[index], options, decompressor);
            bytes += answer.chunk.as_ref().map_or(0, Chunk::bytes);
            partitions.push((index, answer));
            if bytes > BYTES_PER_TURN {
                bytes = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(Answer {
        session_id: response.session_id,
        partitions,
    })
}

fn read_partition(
    data: PartitionData,
    asked: &Asked,
    options: &FetchOptions,
    decompressor: &mut Decompressor,
) -> PartitionAnswer {
    let error = KafkaErrorCode::check(data.error_code).err();
    let region = data
        .records
        .filter(|region| error.is_none() && !region.is_empty());
    let chunk = region.map(|region| {
        let aborted = data.aborted_transactions.unwrap_or_default();
        let aborted = aborted.into_iter().map(|transaction| Aborted {
            producer_id: transaction.producer_id.0,
            first_offset: transaction.first_offset,
        });
        Chunk::read(
            &asked.tp,
            region,
            asked.from,
            aborted.collect(),
            options.reading(),
            decompressor,
        )
    });
    PartitionAnswer {
        error,
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        preferred_replica: Some(data.preferred_read_replica.0).filter(|id| *id >= 0),
        chunk,
    }
}
