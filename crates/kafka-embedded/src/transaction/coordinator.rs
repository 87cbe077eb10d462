//! All transactional ids: one method per API, timeouts, replay.
//!
//! Lives here: what a request does, in which order its effects come, when a transaction is aborted
//! without being asked.
//! Never here: what epochs allow (`state`), markers' bytes, groups.
//! Source: `TransactionCoordinator` in apache/kafka, transaction-coordinator; protocol version 1.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse,
    ListTransactionsRequest, ListTransactionsResponse,
};

use super::events::TransactionEvent;
use super::overview;
use super::producer_ids::ProducerIds;
use super::state::{Next, State, Transaction};
use super::words::{Answer, Effect, Markers, Partitions, TransactionSettings, Writing};
use crate::group::{Call, Outcome, Topics};

/// Versions from which an API's clients know 90 PRODUCER_FENCED; before, they are told 47.
const INIT_KNOWS_FENCED: i16 = 4;
const TRANSACTION_KNOWS_FENCED: i16 = 2;
/// InitProducerId without a producer of its own.
const NO_PRODUCER: i64 = -1;

/// Coordinates every transaction. Nothing waits here: each call answers its ticket at once.
pub struct TransactionCoordinator {
    settings: TransactionSettings,
    producer_ids: ProducerIds,
    transactions: BTreeMap<String, Transaction>,
    /// Ids whose transaction is open, so that many idle ones cost nothing.
    ongoing: BTreeSet<String>,
}

impl TransactionCoordinator {
    pub fn new(settings: TransactionSettings) -> Self {
        Self {
            settings,
            producer_ids: ProducerIds::default(),
            transactions: BTreeMap::new(),
            ongoing: BTreeSet::new(),
        }
    }

    /// Gives a producer its id and epoch. An open transaction of the same transactional id is
    /// aborted first, with an epoch between the old one and the new, so that its producer can do
    /// nothing more. Kafka answers 51 meanwhile; here all of it happens in this call.
    pub fn init_producer_id(
        &mut self,
        call: Call<'_>,
        request: &InitProducerIdRequest,
        effects: &mut Vec<Effect>,
    ) {
        let answer = match self.try_init(request, effects) {
            Ok((producer_id, epoch)) => InitProducerIdResponse::default()
                .with_producer_id(producer_id.into())
                .with_producer_epoch(epoch),
            Err(error) => InitProducerIdResponse::default()
                .with_error_code(told(error, call.version, INIT_KNOWS_FENCED).code())
                .with_producer_epoch(-1),
        };
        effects.push(Effect::Reply(call.ticket, Answer::InitProducerId(answer)));
    }

    fn try_init(
        &mut self,
        request: &InitProducerIdRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(i64, i16), Code> {
        let Some(id) = request.transactional_id.as_ref().map(|id| id.as_str()) else {
            return Ok((self.new_producer_id(effects), 0));
        };
        let id = checked_name(id)?;
        let timeout = u64::try_from(request.transaction_timeout_ms)
            .map(Duration::from_millis)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= self.settings.timeout_max)
            .ok_or(Code::InvalidTransactionTimeout)?;
        let claim = (request.producer_id.0 != NO_PRODUCER)
            .then_some((request.producer_id.0, request.producer_epoch));
        let Some(known) = self.transactions.get(id) else {
            let producer_id = self.new_producer_id(effects);
            return Ok(self.open(id, (producer_id, 0), None, timeout, effects));
        };
        if let State::Prepared(_) = known.state {
            return Err(Code::ConcurrentTransactions);
        }
        let producer_id = known.producer_id;
        let unchanged = (producer_id, known.epoch);
        let next = known.next(claim)?;
        if known.state == State::Ongoing {
            self.abort_and_fence(id, effects);
        }
        Ok(match next {
            Next::Unchanged => unchanged,
            Next::Epoch { epoch, last } => {
                self.open(id, (producer_id, epoch), last, timeout, effects)
            }
            Next::NewProducer { last } => {
                let producer_id = self.new_producer_id(effects);
                self.open(id, (producer_id, 0), last, timeout, effects)
            }
        })
    }

    fn new_producer_id(&mut self, effects: &mut Vec<Effect>) -> i64 {
        let (producer_id, reserved) = self.producer_ids.take();
        if let Some(next) = reserved {
            effects.push(Effect::Journal(TransactionEvent::ProducerIds { next }));
        }
        producer_id
    }

    fn open(
        &mut self,
        id: &str,
        (producer_id, epoch): (i64, i16),
        last: Option<(i64, i16)>,
        timeout: Duration,
        effects: &mut Vec<Effect>,
    ) -> (i64, i16) {
        let transactional_id = id.to_owned();
        let opened = TransactionEvent::Opened {
            transactional_id,
            producer_id,
            epoch,
            last,
            timeout,
        };
        self.record(opened, effects);
        (producer_id, epoch)
    }

    pub fn add_partitions_to_txn(
        &mut self,
        call: Call<'_>,
        request: &AddPartitionsToTxnRequest,
        topics: &dyn Topics,
        effects: &mut Vec<Effect>,
    ) {
        let asked = &request.v3_and_below_topics;
        let exists = |topic: &str, partition: i32| topics.contains_partition(topic, partition);
        let all_exist = asked.iter().all(|topic| {
            topic
                .partitions
                .iter()
                .all(|partition| exists(&topic.name, *partition))
        });
        let result = if all_exist {
            let mut partitions = Partitions::new();
            for topic in asked {
                let known = partitions.entry(topic.name.to_string()).or_default();
                known.extend(topic.partitions.iter().copied());
            }
            self.add(
                &request.v3_and_below_transactional_id,
                (
                    request.v3_and_below_producer_id.0,
                    request.v3_and_below_producer_epoch,
                ),
                (partitions, BTreeSet::new()),
                call.now,
                effects,
            )
        } else {
            Err(Code::OperationNotAttempted)
        };
        let told = result.map_err(|error| told(error, call.version, TRANSACTION_KNOWS_FENCED));
        let word = |topic: &str, partition: i32| match told {
            Err(Code::OperationNotAttempted) if !exists(topic, partition) => {
                Code::UnknownTopicOrPartition.code()
            }
            told => code(told),
        };
        let results = asked.iter().map(|topic| {
            let results = topic.partitions.iter().map(|partition| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*partition)
                    .with_partition_error_code(word(&topic.name, *partition))
            });
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic.name.clone())
                .with_results_by_partition(results.collect())
        });
        let answer = AddPartitionsToTxnResponse::default()
            .with_results_by_topic_v3_and_below(results.collect());
        effects.push(Effect::Reply(
            call.ticket,
            Answer::AddPartitionsToTxn(answer),
        ));
    }

    pub fn add_offsets_to_txn(
        &mut self,
        call: Call<'_>,
        request: &AddOffsetsToTxnRequest,
        effects: &mut Vec<Effect>,
    ) {
        let result = self.add(
            &request.transactional_id,
            (request.producer_id.0, request.producer_epoch),
            (
                Partitions::new(),
                BTreeSet::from([request.group_id.to_string()]),
            ),
            call.now,
            effects,
        );
        let told = result.map_err(|error| told(error, call.version, TRANSACTION_KNOWS_FENCED));
        let answer = AddOffsetsToTxnResponse::default().with_error_code(code(told));
        effects.push(Effect::Reply(call.ticket, Answer::AddOffsetsToTxn(answer)));
    }

    /// Takes what is new into the transaction, and begins it if need be.
    fn add(
        &mut self,
        id: &str,
        (producer_id, epoch): (i64, i16),
        (mut partitions, mut groups): (Partitions, BTreeSet<String>),
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Code> {
        let wall = self.wall(now);
        let known = self.checked(id, producer_id, epoch)?;
        let mut began = wall;
        let begins = known.state != State::Ongoing;
        if !begins {
            began = known.began.unwrap_or(wall);
            for (topic, asked) in &mut partitions {
                asked.retain(|partition| !known.contains(topic, *partition));
            }
            groups.retain(|group| !known.groups.contains(group));
        }
        partitions.retain(|_, asked| !asked.is_empty());
        // A request without partitions begins a transaction too, as in Kafka.
        if begins || !partitions.is_empty() || !groups.is_empty() {
            let transactional_id = id.to_owned();
            let added = TransactionEvent::Added {
                transactional_id,
                began,
                partitions,
                groups,
            };
            self.record(added, effects);
        }
        Ok(())
    }

    /// Whether a transactional Produce may append to the partition: 49 unknown transactional id or
    /// other producer, 47 another epoch, 48 the partition was not added or nothing is open.
    /// Cost: three look-ups, no allocation; once per batch.
    pub fn may_write(
        &self,
        transactional_id: &str,
        producer_id: i64,
        epoch: i16,
        topic: &str,
        partition: i32,
    ) -> Result<(), Code> {
        let known = self.writable(transactional_id, producer_id, epoch)?;
        match known.state {
            State::Ongoing if known.contains(topic, partition) => Ok(()),
            _ => Err(Code::InvalidTxnState),
        }
    }

    /// Whether TxnOffsetCommit may leave offsets of the group in the transaction: as `may_write`,
    /// and 48 when AddOffsetsToTxn has not named the group.
    pub fn may_commit_offsets(
        &self,
        transactional_id: &str,
        producer_id: i64,
        epoch: i16,
        group: &str,
    ) -> Result<(), Code> {
        let known = self.writable(transactional_id, producer_id, epoch)?;
        match known.state {
            State::Ongoing if known.groups.contains(group) => Ok(()),
            _ => Err(Code::InvalidTxnState),
        }
    }

    fn writable(&self, id: &str, producer_id: i64, epoch: i16) -> Result<&Transaction, Code> {
        self.checked(id, producer_id, epoch)
            .map_err(|error| match error {
                Code::ProducerFenced => Code::InvalidProducerEpoch,
                error => error,
            })
    }

    fn checked(&self, id: &str, producer_id: i64, epoch: i16) -> Result<&Transaction, Code> {
        let known = self.transactions.get(checked_name(id)?);
        let known = known.ok_or(Code::InvalidProducerIdMapping)?;
        known.check(producer_id, epoch)?;
        Ok(known)
    }

    /// Decision, markers, offsets, "done", answer, in this order.
    pub fn end_txn(&mut self, call: Call<'_>, request: &EndTxnRequest, effects: &mut Vec<Effect>) {
        let id = request.transactional_id.as_str();
        let outcome = if request.committed {
            Outcome::Commit
        } else {
            Outcome::Abort
        };
        let checked = self.checked(id, request.producer_id.0, request.producer_epoch);
        let result = match checked.map(|known| (known.state, known.epoch)) {
            Ok((State::Ongoing, epoch)) => {
                self.end(id, epoch, outcome, effects);
                Ok(())
            }
            // The client asks again: it did not hear the first answer.
            Ok((State::Complete(ended), _)) if ended == outcome => Ok(()),
            Ok(_) => Err(Code::InvalidTxnState),
            Err(error) => Err(told(error, call.version, TRANSACTION_KNOWS_FENCED)),
        };
        let answer = EndTxnResponse::default().with_error_code(code(result));
        effects.push(Effect::Reply(call.ticket, Answer::EndTxn(answer)));
    }

    fn end(&mut self, id: &str, epoch: i16, outcome: Outcome, effects: &mut Vec<Effect>) {
        let transactional_id = id.to_owned();
        self.record(
            TransactionEvent::Decided {
                transactional_id,
                epoch,
                outcome,
            },
            effects,
        );
        self.carry_out(id, Writing::First, effects);
    }

    /// Ends an open transaction that its producer shall know nothing of any more.
    fn abort_and_fence(&mut self, id: &str, effects: &mut Vec<Effect>) {
        if let Some(known) = self.transactions.get(id) {
            // At most `EPOCH_MAX` before, so that one more is a number still.
            let epoch = known.epoch.saturating_add(1);
            self.end(id, epoch, Outcome::Abort, effects);
        }
    }

    /// What a decision asks for, up to "done".
    fn carry_out(&mut self, id: &str, writing: Writing, effects: &mut Vec<Effect>) {
        let Some(known) = self.transactions.get(id) else {
            return;
        };
        let State::Prepared(outcome) = known.state else {
            return;
        };
        let (producer_id, epoch) = (known.producer_id, known.epoch);
        if !known.partitions.is_empty() {
            let partitions = known.partitions.clone();
            let markers = Markers {
                producer_id,
                epoch,
                outcome,
                partitions,
                writing,
            };
            effects.push(Effect::WriteMarkers(markers));
        }
        if !known.groups.is_empty() {
            let groups = known.groups.clone();
            effects.push(Effect::EndOffsets {
                producer_id,
                groups,
                outcome,
            });
        }
        self.record(
            TransactionEvent::Done {
                transactional_id: id.to_owned(),
            },
            effects,
        );
    }

    pub fn list_transactions(
        &self,
        call: Call<'_>,
        request: &ListTransactionsRequest,
        effects: &mut Vec<Effect>,
    ) {
        let wall = self.wall(call.now);
        let listed = self
            .transactions
            .iter()
            .filter_map(|(id, transaction)| overview::listed(id, transaction, request, wall));
        let answer = ListTransactionsResponse::default()
            .with_unknown_state_filters(overview::unknown_states(request))
            .with_transaction_states(listed.collect());
        effects.push(Effect::Reply(call.ticket, Answer::ListTransactions(answer)));
    }

    pub fn describe_transactions(
        &self,
        call: Call<'_>,
        request: &DescribeTransactionsRequest,
        effects: &mut Vec<Effect>,
    ) {
        let described =
            request
                .transactional_ids
                .iter()
                .map(|id| match self.transactions.get(id.as_str()) {
                    Some(transaction) => overview::described(id, transaction),
                    None => overview::unknown(id),
                });
        let answer =
            DescribeTransactionsResponse::default().with_transaction_states(described.collect());
        effects.push(Effect::Reply(
            call.ticket,
            Answer::DescribeTransactions(answer),
        ));
    }

    /// A deleted topic takes no markers; a new one of its name must not get them. Also for the
    /// replay of the topic's deletion: the effects may then be dropped.
    pub fn topic_deleted(&mut self, topic: &str, effects: &mut Vec<Effect>) {
        let involved = self
            .transactions
            .values()
            .any(|known| known.partitions.contains_key(topic));
        if involved {
            self.record(
                TransactionEvent::TopicDeleted {
                    topic: topic.to_owned(),
                },
                effects,
            );
        }
    }

    /// Aborts transactions older than their timeout, with an epoch that fences their producers.
    /// Cost: O(open transactions).
    pub fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let wall = self.wall(now);
        let expired = |id: &&String| {
            let known = self.transactions.get(*id);
            known
                .and_then(Transaction::expires)
                .is_some_and(|expires| expires <= wall)
        };
        let old: Vec<String> = self.ongoing.iter().filter(expired).cloned().collect();
        for id in old {
            self.abort_and_fence(&id, effects);
        }
    }

    /// When `tick` has something to do at the latest. Cost: O(open transactions).
    pub fn next_deadline(&self) -> Option<Duration> {
        let open = self
            .ongoing
            .iter()
            .filter_map(|id| self.transactions.get(id));
        let first = open.filter_map(Transaction::expires).min()?;
        Some(first.saturating_sub(self.settings.wall_clock_at_zero))
    }

    fn wall(&self, now: Duration) -> Duration {
        self.settings.wall_clock_at_zero + now
    }

    fn record(&mut self, event: TransactionEvent, effects: &mut Vec<Effect>) {
        self.apply(event.clone());
        effects.push(Effect::Journal(event));
    }

    /// Replays one event of the journal. After the last one call `resume`.
    pub fn restore(&mut self, event: TransactionEvent) {
        self.apply(event);
    }

    fn apply(&mut self, event: TransactionEvent) {
        match event {
            TransactionEvent::ProducerIds { next } => self.producer_ids.restore(next),
            TransactionEvent::Opened {
                transactional_id,
                producer_id,
                epoch,
                last,
                timeout,
            } => {
                self.ongoing.remove(&transactional_id);
                let mut opened = Transaction::new(producer_id, epoch);
                opened.last = last;
                opened.timeout = timeout;
                self.transactions.insert(transactional_id, opened);
            }
            TransactionEvent::Added {
                transactional_id,
                began,
                partitions,
                groups,
            } => {
                if let Some(known) = self.transactions.get_mut(&transactional_id) {
                    known.state = State::Ongoing;
                    known.began = Some(began);
                    for (topic, added) in partitions {
                        known.partitions.entry(topic).or_default().extend(added);
                    }
                    known.groups.extend(groups);
                    self.ongoing.insert(transactional_id);
                }
            }
            TransactionEvent::Decided {
                transactional_id,
                epoch,
                outcome,
            } => {
                self.ongoing.remove(&transactional_id);
                if let Some(known) = self.transactions.get_mut(&transactional_id) {
                    known.state = State::Prepared(outcome);
                    known.epoch = epoch;
                }
            }
            TransactionEvent::Done { transactional_id } => {
                if let Some(known) = self.transactions.get_mut(&transactional_id)
                    && let State::Prepared(outcome) = known.state
                {
                    known.state = State::Complete(outcome);
                    known.partitions.clear();
                    known.groups.clear();
                }
            }
            TransactionEvent::TopicDeleted { topic } => {
                for known in self.transactions.values_mut() {
                    known.partitions.remove(&topic);
                }
            }
        }
    }

    /// After replay: ends what was decided and not done. Open transactions stay open until their
    /// producer comes again or their time is over.
    pub fn resume(&mut self, effects: &mut Vec<Effect>) {
        let prepared = |(id, known): (&String, &Transaction)| {
            matches!(known.state, State::Prepared(_)).then(|| id.clone())
        };
        let decided: Vec<String> = self.transactions.iter().filter_map(prepared).collect();
        for id in decided {
            self.carry_out(&id, Writing::Again, effects);
        }
    }

    /// Events whose replay gives this state, for a journal that is written anew.
    pub fn snapshot(&self) -> Vec<TransactionEvent> {
        let mut events = vec![TransactionEvent::ProducerIds {
            next: self.producer_ids.reserved(),
        }];
        for (id, known) in &self.transactions {
            let transactional_id = || id.clone();
            events.push(TransactionEvent::Opened {
                transactional_id: transactional_id(),
                producer_id: known.producer_id,
                epoch: known.epoch,
                last: known.last,
                timeout: known.timeout,
            });
            if let Some(began) = known.began {
                events.push(TransactionEvent::Added {
                    transactional_id: transactional_id(),
                    began,
                    partitions: known.partitions.clone(),
                    groups: known.groups.clone(),
                });
            }
            if let State::Prepared(outcome) | State::Complete(outcome) = known.state {
                let (transactional_id, epoch) = (transactional_id(), known.epoch);
                events.push(TransactionEvent::Decided {
                    transactional_id,
                    epoch,
                    outcome,
                });
            }
            if let State::Complete(_) = known.state {
                events.push(TransactionEvent::Done {
                    transactional_id: transactional_id(),
                });
            }
        }
        events
    }
}

/// 42 for an empty transactional id.
fn checked_name(id: &str) -> Result<&str, Code> {
    if id.is_empty() {
        Err(Code::InvalidRequest)
    } else {
        Ok(id)
    }
}

/// What clients of an old version are told instead of 90.
fn told(error: Code, version: i16, knows_fenced: i16) -> Code {
    match error {
        Code::ProducerFenced if version < knows_fenced => Code::InvalidProducerEpoch,
        error => error,
    }
}

fn code(result: Result<(), Code>) -> i16 {
    result.err().map_or(0, |code| code.code())
}
