//! Tests of the transaction coordinator with explicit time.
//!
//! Lives here: a world of one coordinator whose every answer is encoded in the version it was
//! asked in. Never here: a clock.

mod ending;
mod journal;
mod opening;
mod overview;
mod simulation;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::*;
use crate::group::{Call, Outcome, Ticket, Topics};

const WALL_AT_ZERO: Duration = Duration::from_secs(1_700_000_000);

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn settings() -> TransactionSettings {
    TransactionSettings {
        timeout_max: Duration::from_secs(900),
        wall_clock_at_zero: WALL_AT_ZERO,
    }
}

/// Any topic but `nowhere`, partitions 0 to 3.
struct FourPartitions;

impl Topics for FourPartitions {
    fn contains(&self, topic: &str) -> bool {
        topic != "nowhere"
    }

    fn contains_partition(&self, topic: &str, partition: i32) -> bool {
        self.contains(topic) && (0..4).contains(&partition)
    }
}

struct World {
    transactions: TransactionCoordinator,
    now: Duration,
    journal: Vec<TransactionEvent>,
    /// What was to be done in the last call, answers left out.
    done: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        Self {
            transactions: TransactionCoordinator::new(settings()),
            now: Duration::from_secs(100),
            journal: Vec::new(),
            done: Vec::new(),
        }
    }

    fn call(
        &mut self,
        version: i16,
        run: impl FnOnce(&mut TransactionCoordinator, Call<'_>, &mut Vec<Effect>),
    ) -> Answer {
        let call = Call {
            ticket: Ticket(1),
            version,
            now: self.now,
            client_id: "client",
            client_host: "/127.0.0.1",
        };
        let mut effects = Vec::new();
        run(&mut self.transactions, call, &mut effects);
        let Some(Effect::Reply(Ticket(1), answer)) = effects.pop() else {
            panic!("the answer comes last, after {effects:?}");
        };
        assert_encodes(&answer, version);
        self.take(effects);
        answer
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if let Effect::Journal(event) = effect {
                let mut bytes = Vec::new();
                event.encode(&mut bytes);
                assert_eq!(TransactionEvent::decode(&bytes), Ok(event.clone()));
                self.journal.push(event.clone());
            }
            assert!(!matches!(effect, Effect::Reply(..)), "a second answer");
        }
        self.done = effects;
    }

    fn tick(&mut self) {
        let mut effects = Vec::new();
        self.transactions.tick(self.now, &mut effects);
        self.take(effects);
    }

    fn restart(&mut self) {
        self.transactions = TransactionCoordinator::new(settings());
        for event in self.journal.clone() {
            self.transactions.restore(event);
        }
        let mut effects = Vec::new();
        self.transactions.resume(&mut effects);
        self.take(effects);
    }

    /// `(error, producer id, epoch)`.
    fn init_with(
        &mut self,
        version: i16,
        id: Option<&str>,
        timeout_ms: i32,
        claim: (i64, i16),
    ) -> (i16, i64, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id.map(|id| TransactionalId(text(id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(claim.0.into())
            .with_producer_epoch(claim.1);
        let answer = self.call(version, |transactions, call, effects| {
            transactions.init_producer_id(call, &request, effects);
        });
        let Answer::InitProducerId(answer) = answer else {
            panic!()
        };
        (
            answer.error_code,
            answer.producer_id.0,
            answer.producer_epoch,
        )
    }

    fn init(&mut self, id: &str) -> (i64, i16) {
        let (error, producer_id, epoch) = self.init_with(4, Some(id), 60_000, (-1, -1));
        assert_eq!(error, 0);
        (producer_id, epoch)
    }

    /// Error codes in the order of the partitions.
    fn add_with(
        &mut self,
        version: i16,
        id: &str,
        producer: (i64, i16),
        partitions: &[(&str, i32)],
    ) -> Vec<i16> {
        let topic = |(topic, partition): &(&str, i32)| {
            AddPartitionsToTxnTopic::default()
                .with_name(TopicName(text(topic)))
                .with_partitions(vec![*partition])
        };
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_producer_id(producer.0.into())
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(partitions.iter().map(topic).collect());
        let answer = self.call(version, |transactions, call, effects| {
            transactions.add_partitions_to_txn(call, &request, &FourPartitions, effects);
        });
        let Answer::AddPartitionsToTxn(answer) = answer else {
            panic!()
        };
        let results = &answer.results_by_topic_v3_and_below;
        results
            .iter()
            .map(|topic| topic.results_by_partition[0].partition_error_code)
            .collect()
    }

    fn add(&mut self, id: &str, producer: (i64, i16), partition: i32) {
        assert_eq!(self.add_with(3, id, producer, &[("t", partition)]), [0]);
    }

    fn add_offsets(&mut self, version: i16, id: &str, producer: (i64, i16), group: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_group_id(GroupId(text(group)));
        let answer = self.call(version, |transactions, call, effects| {
            transactions.add_offsets_to_txn(call, &request, effects);
        });
        let Answer::AddOffsetsToTxn(answer) = answer else {
            panic!()
        };
        answer.error_code
    }

    fn end_with(&mut self, version: i16, id: &str, producer: (i64, i16), commit: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        let answer = self.call(version, |transactions, call, effects| {
            transactions.end_txn(call, &request, effects);
        });
        let Answer::EndTxn(answer) = answer else {
            panic!()
        };
        answer.error_code
    }

    fn end(&mut self, id: &str, producer: (i64, i16), commit: bool) -> i16 {
        self.end_with(3, id, producer, commit)
    }

    fn may_write(&self, id: &str, producer: (i64, i16), partition: i32) -> i16 {
        let word = self
            .transactions
            .may_write(id, producer.0, producer.1, "t", partition);
        word.err().map_or(0, |code| code.code())
    }

    fn may_commit(&self, id: &str, producer: (i64, i16), group: &str) -> i16 {
        let word = self
            .transactions
            .may_commit_offsets(id, producer.0, producer.1, group);
        word.err().map_or(0, |code| code.code())
    }

    /// Markers of the last call: outcome, epoch, partitions of topic `t`.
    fn markers(&self) -> Vec<(Outcome, i16, Vec<i32>)> {
        let marker = |effect: &Effect| match effect {
            Effect::WriteMarkers(markers) => Some((
                markers.outcome,
                markers.epoch,
                markers.partitions.values().flatten().copied().collect(),
            )),
            _ => None,
        };
        self.done.iter().filter_map(marker).collect()
    }
}

fn assert_encodes(answer: &Answer, version: i16) {
    let mut bytes = BytesMut::new();
    let encoded = match answer {
        Answer::InitProducerId(answer) => answer.encode(&mut bytes, version),
        Answer::AddPartitionsToTxn(answer) => answer.encode(&mut bytes, version),
        Answer::AddOffsetsToTxn(answer) => answer.encode(&mut bytes, version),
        Answer::EndTxn(answer) => answer.encode(&mut bytes, version),
        Answer::ListTransactions(answer) => answer.encode(&mut bytes, version),
        Answer::DescribeTransactions(answer) => answer.encode(&mut bytes, version),
    };
    encoded.unwrap_or_else(|error| panic!("version {version} cannot say {answer:?}: {error}"));
}
