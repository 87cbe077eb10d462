//! A transactional producer, on a connection of its own.
//!
//! Lives here: its id, epoch and sequences; the calls of a transaction, each with the error that it
//! was answered with.
//! Never here: what is right. Only 51 (the transaction before still ends), and what stands for it
//! where a partition asks the coordinator, is waited out: Kafka says it, a broker that ends
//! transactions at once does not.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest,
    InitProducerIdResponse, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_wire::BatchKind;

use super::client::{COORDINATOR_ERRORS, Client, ProducerState, group_id, topic_name, values_from};
use super::wire::text;
use super::{Target, same, until};

/// CONCURRENT_TRANSACTIONS.
const CONCURRENT: i16 = 51;
/// NOT_ENOUGH_REPLICAS: how Kafka tells producers of before 4.0 to try again while it asks the
/// coordinator.
const AGAIN: i16 = 19;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Commit,
    Abort,
}

#[derive(Debug)]
pub struct Producer {
    pub client: Client,
    pub transactional_id: String,
    pub id: i64,
    pub epoch: i16,
    sequences: HashMap<(String, i32), i32>,
}

impl Producer {
    /// A new transactional id with a transaction timeout of a minute.
    pub async fn open(target: &Target) -> Result<Self> {
        let transactional_id = Client::open(target).await?.transactional_id().await?;
        Self::open_as(target, &transactional_id, 60_000).await
    }

    /// Takes over a transactional id.
    pub async fn open_as(target: &Target, transactional_id: &str, timeout_ms: i32) -> Result<Self> {
        let mut client = Client::open(target).await?;
        let answer = init(&mut client, &init_request(transactional_id, timeout_ms)).await?;
        same("InitProducerId", answer.error_code, 0)?;
        Ok(Self {
            client,
            transactional_id: transactional_id.to_owned(),
            id: answer.producer_id.0,
            epoch: answer.producer_epoch,
            sequences: HashMap::new(),
        })
    }

    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(&self.transactional_id))
    }

    pub fn add_request(&self, partitions: &[(&str, i32)]) -> AddPartitionsToTxnRequest {
        let topics = partitions.iter().map(|(topic, partition)| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![*partition])
        });
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.transactional_id())
            .with_v3_and_below_producer_id(self.id.into())
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics.collect())
    }

    /// AddPartitionsToTxn: an error for each of them, in the order of their names.
    pub async fn add(&mut self, partitions: &[(&str, i32)]) -> Result<Vec<i16>> {
        let request = self.add_request(partitions);
        add_partitions(&mut self.client, 3, &request).await
    }

    /// Adds, which must work.
    pub async fn begin(&mut self, topic: &str, partition: i32) -> Result<()> {
        let errors = self.add(&[(topic, partition)]).await?;
        same("AddPartitionsToTxn", errors, vec![0])
    }

    /// The next batch of this producer for a partition.
    pub fn batch(&mut self, topic: &str, partition: i32, values: &[&str]) -> Result<Bytes> {
        let next = self
            .sequences
            .entry((topic.to_owned(), partition))
            .or_default();
        let state = ProducerState {
            id: self.id,
            epoch: self.epoch,
            base_sequence: *next,
        };
        *next += values.len() as i32;
        values_from(state, BatchKind::Transactional, values)
    }

    /// Produces as the next in the sequence. Error and base offset.
    pub async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        values: &[&str],
    ) -> Result<(i16, i64)> {
        let batch = self.batch(topic, partition, values)?;
        self.produce_batch(topic, partition, batch).await
    }

    pub async fn produce_batch(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> Result<(i16, i64)> {
        let id = self.transactional_id.clone();
        until("the transaction before ended", async || {
            let answer = self
                .client
                .produce_in(&id, topic, partition, batch.clone())
                .await?;
            Ok(retried(answer.error_code, &[CONCURRENT, AGAIN])
                .map(|error| (error, answer.base_offset)))
        })
        .await
    }

    /// Adds the partition and produces, which must work. The base offset.
    pub async fn write(&mut self, topic: &str, partition: i32, values: &[&str]) -> Result<i64> {
        self.begin(topic, partition).await?;
        let (error, offset) = self.produce(topic, partition, values).await?;
        same("Produce in a transaction", error, 0)?;
        Ok(offset)
    }

    pub fn end_request(&self, end: End) -> EndTxnRequest {
        EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_committed(end == End::Commit)
    }

    pub async fn end(&mut self, end: End) -> Result<i16> {
        self.end_as(3, end).await
    }

    pub async fn end_as(&mut self, version: i16, end: End) -> Result<i16> {
        let request = self.end_request(end);
        end_transaction(&mut self.client, version, &request).await
    }

    /// Ends, which must work.
    pub async fn finish(&mut self, end: End) -> Result<()> {
        let error = self.end(end).await?;
        same(format!("EndTxn ({end:?})"), error, 0)
    }

    pub async fn add_offsets(&mut self, group: &str) -> Result<i16> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_group_id(group_id(group));
        until("the transaction before ended", async || {
            let answer = self.client.ask(&request).await?;
            Ok(retried(answer.error_code, &[CONCURRENT]))
        })
        .await
    }

    pub fn offsets_request(&self, group: &str, topic: &str, offset: i64) -> TxnOffsetCommitRequest {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset);
        TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(group_id(group))
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default()
                    .with_name(topic_name(topic))
                    .with_partitions(vec![partition]),
            ])
    }

    /// TxnOffsetCommit for partition 0.
    pub async fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) -> Result<i16> {
        let request = self.offsets_request(group, topic, offset);
        self.ask_offsets(&request).await
    }

    pub async fn ask_offsets(&mut self, request: &TxnOffsetCommitRequest) -> Result<i16> {
        until("the transaction before ended", async || {
            let answer = self.client.ask(request).await?;
            let topic = answer.topics.first().context("no topic in the answer")?;
            let partition = topic
                .partitions
                .first()
                .context("no partition in the answer")?;
            Ok(retried(partition.error_code, &[CONCURRENT]))
        })
        .await
    }
}

/// An answer, or what it was when it has to be asked again.
fn retried(error: i16, again: &[i16]) -> std::result::Result<i16, String> {
    match again.contains(&error) || COORDINATOR_ERRORS.contains(&error) {
        true => Err(format!("error {error}")),
        false => Ok(error),
    }
}

pub fn init_request(transactional_id: &str, timeout_ms: i32) -> InitProducerIdRequest {
    InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(transactional_id))))
        .with_transaction_timeout_ms(timeout_ms)
}

pub async fn init(
    client: &mut Client,
    request: &InitProducerIdRequest,
) -> Result<InitProducerIdResponse> {
    init_as(client, 4, request).await
}

pub async fn init_as(
    client: &mut Client,
    version: i16,
    request: &InitProducerIdRequest,
) -> Result<InitProducerIdResponse> {
    until("the transaction before ended", async || {
        let answer = client.connection.ask(version, request).await?;
        Ok(retried(answer.error_code, &[CONCURRENT]).map(|_| answer))
    })
    .await
}

/// An id for a producer without transactions.
pub async fn idempotent_id(client: &mut Client) -> Result<(i64, i16)> {
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let answer = init(client, &request).await?;
    same("InitProducerId", answer.error_code, 0)?;
    Ok((answer.producer_id.0, answer.producer_epoch))
}

/// The errors of an AddPartitionsToTxn of at most version 3, in the order of the topics' names.
pub async fn add_partitions(
    client: &mut Client,
    version: i16,
    request: &AddPartitionsToTxnRequest,
) -> Result<Vec<i16>> {
    until("the transaction before ended", async || {
        let answer = client.connection.ask(version, request).await?;
        let mut topics = answer.results_by_topic_v3_and_below;
        topics.sort_by(|one, other| one.name.0.as_str().cmp(other.name.0.as_str()));
        let errors: Vec<i16> = topics
            .iter()
            .flat_map(|topic| &topic.results_by_partition)
            .map(|partition| partition.partition_error_code)
            .collect();
        Ok(
            match errors
                .iter()
                .all(|error| retried(*error, &[CONCURRENT]).is_ok())
            {
                true => Ok(errors),
                false => Err(format!("errors {errors:?}")),
            },
        )
    })
    .await
}

pub async fn end_transaction(
    client: &mut Client,
    version: i16,
    request: &EndTxnRequest,
) -> Result<i16> {
    until("the transaction before ended", async || {
        let answer = client.connection.ask(version, request).await?;
        Ok(retried(answer.error_code, &[CONCURRENT]))
    })
    .await
}
