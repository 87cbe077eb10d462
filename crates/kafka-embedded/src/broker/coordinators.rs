//! Groups and transactions behind their lock: who waits for which answer, and what an effect means.
//!
//! Lives here: [`Broker::coordinate`], which lets a coordinator decide and carries its effects out
//! in their order; the keeper of its timers.
//! Lives elsewhere: the decisions (`crate::group`, `crate::transaction`).
//! Never here: the state of a group or a transaction.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_wire::batch::transaction_marker;
use kafka_wire::{BatchHeader, BatchKind, ControlType, ProducerState};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, warn};

use super::Broker;
use super::topic::{Partition, Topic};
use crate::config::{Config, Fsync};
use crate::group::{
    Answer, Call, DecodeError, Effect, GroupCoordinator, GroupEvent, GroupSettings,
    MembersAtRestart, Outcome, Ticket, Topics,
};
use crate::journal::Event;
use crate::transaction::{
    self, TransactionCoordinator, TransactionEvent, TransactionSettings, Writing,
};

/// `transaction.max.timeout.ms`.
const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(900);

/// There is one coordinator, and it has never moved.
const COORDINATOR_EPOCH: i32 = 0;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) version: i16,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
}

pub(super) struct Coordinators {
    groups: GroupCoordinator,
    transactions: TransactionCoordinator,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
    /// Effects of transactions that could not be carried out yet, in their order. Empty, unless
    /// the disk refuses markers.
    stuck: VecDeque<transaction::Effect>,
    /// When the keeper of time wakes up.
    wakes_at: Option<Duration>,
}

impl Coordinators {
    pub(super) fn new(config: &Config, seed: u64) -> Coordinators {
        let settings = GroupSettings {
            initial_rebalance_delay: config.initial_rebalance_delay,
            members_at_restart: match config.restore_group_members {
                true => MembersAtRestart::Survive,
                false => MembersAtRestart::Forgotten,
            },
            ..GroupSettings::default()
        };
        let now_ms = u64::try_from(config.clock.now_ms()).unwrap_or(0);
        let transactions = TransactionSettings {
            timeout_max: TRANSACTION_TIMEOUT_MAX,
            wall_clock_at_zero: Duration::from_millis(now_ms),
        };
        Coordinators {
            groups: GroupCoordinator::new(settings, seed),
            transactions: TransactionCoordinator::new(transactions),
            waiting: HashMap::new(),
            next_ticket: 0,
            stuck: VecDeque::new(),
            wakes_at: None,
        }
    }

    /// Events of other parts are left alone.
    pub(super) fn restore(&mut self, event: &Event) -> io::Result<()> {
        let other_version = |cause: DecodeError| {
            let what = format!("the journal has an event of another version of the log: {cause}");
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        match event {
            Event::Group(bytes) => {
                let event = GroupEvent::decode(bytes).map_err(other_version)?;
                self.groups.restore(event);
            }
            Event::Transaction(bytes) => {
                let event = TransactionEvent::decode(bytes).map_err(other_version)?;
                self.transactions.restore(event);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn snapshot(&self, state: &mut Vec<Event>) {
        state.extend(self.groups.snapshot().iter().map(group_event));
        let transactions = self.transactions.snapshot();
        state.extend(transactions.iter().map(transaction_event));
    }

    /// A topic was deleted, and its event is in the journal.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.groups.topic_deleted(topic, &mut Vec::new());
        self.transactions.topic_deleted(topic, &mut Vec::new());
    }

    fn next_call<'a>(&mut self, caller: Caller<'a>, now: Duration) -> Call<'a> {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        Call {
            ticket,
            version: caller.version,
            now,
            client_id: caller.client_id,
            client_host: caller.client_host,
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.groups.next_deadline(),
            self.transactions.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Producers and partitions of transactions that are open, or decided and not done.
    fn unfinished(&self) -> HashSet<(i64, String, i32)> {
        let mut producers = HashMap::new();
        let mut unfinished = HashSet::new();
        for event in self.transactions.snapshot() {
            match event {
                TransactionEvent::Opened {
                    transactional_id,
                    producer_id,
                    ..
                } => {
                    producers.insert(transactional_id, producer_id);
                }
                TransactionEvent::Added {
                    transactional_id,
                    partitions,
                    ..
                } => {
                    let producer_id = producers[&transactional_id];
                    for (topic, indexes) in partitions {
                        let key = |index| (producer_id, topic.clone(), index);
                        unfinished.extend(indexes.into_iter().map(key));
                    }
                }
                // What is done has no partitions any more.
                _ => {}
            }
        }
        unfinished
    }
}

fn group_event(event: &GroupEvent) -> Event {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    Event::Group(bytes)
}

fn transaction_event(event: &TransactionEvent) -> Event {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    Event::Transaction(bytes)
}

/// Topics, for a coordinator that decides.
impl Topics for Broker {
    fn contains(&self, topic: &str) -> bool {
        self.topic(topic).is_some()
    }

    fn contains_partition(&self, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition).is_some()
    }
}

impl Broker {
    fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets `run` decide about a caller, and waits for the answer, which may come later.
    pub(crate) async fn coordinate(
        &self,
        caller: Caller<'_>,
        run: impl FnOnce(&mut GroupCoordinator, &TransactionCoordinator, Call<'_>, &mut Vec<Effect>),
    ) -> Option<Answer> {
        let (sender, receiver) = oneshot::channel();
        {
            let coordinators = &mut *self.coordinators();
            let call = coordinators.next_call(caller, self.since_start());
            coordinators.waiting.insert(call.ticket, sender);
            let mut effects = Vec::new();
            run(
                &mut coordinators.groups,
                &coordinators.transactions,
                call,
                &mut effects,
            );
            self.carry_out(coordinators, effects);
            self.set_alarm(coordinators);
        }
        // Without an answer when the log stops.
        receiver.await.ok()
    }

    /// Lets `run` decide about a caller. `None`: what it decided cannot be carried out yet.
    pub(crate) fn decide_transaction(
        &self,
        caller: Caller<'_>,
        run: impl FnOnce(&mut TransactionCoordinator, Call<'_>, &mut Vec<transaction::Effect>),
    ) -> Option<transaction::Answer> {
        let coordinators = &mut *self.coordinators();
        let call = coordinators.next_call(caller, self.since_start());
        let mut effects = Vec::new();
        run(&mut coordinators.transactions, call, &mut effects);
        let answer = self.carry_out_transactions(coordinators, effects, Some(call.ticket));
        self.set_alarm(coordinators);
        answer
    }

    /// Runs `write` when the transaction has the partition; no transaction ends meanwhile.
    pub(crate) fn while_open<T>(
        &self,
        transactional_id: &str,
        producer: ProducerState,
        topic: &str,
        partition: i32,
        write: impl FnOnce() -> T,
    ) -> Result<T, ResponseError> {
        let coordinators = self.coordinators();
        coordinators.transactions.may_write(
            transactional_id,
            producer.id,
            producer.epoch,
            topic,
            partition,
        )?;
        Ok(write())
    }

    fn carry_out(&self, coordinators: &mut Coordinators, effects: Vec<Effect>) {
        let events: Vec<Event> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Journal(event) => Some(group_event(event)),
                Effect::Reply(..) => None,
            })
            .collect();
        if !events.is_empty() {
            self.journal().append(&events);
        }
        for effect in effects {
            if let Effect::Reply(ticket, answer) = effect
                && let Some(waiting) = coordinators.waiting.remove(&ticket)
            {
                // Whoever closed the connection does not hear it.
                _ = waiting.send(answer);
            }
        }
    }

    /// The answer to `ticket`, when its effects could all be carried out.
    fn carry_out_transactions(
        &self,
        coordinators: &mut Coordinators,
        effects: Vec<transaction::Effect>,
        ticket: Option<Ticket>,
    ) -> Option<transaction::Answer> {
        let mut effects = {
            coordinators.stuck.extend(effects);
            std::mem::take(&mut coordinators.stuck)
        };
        let mut found = None;
        while let Some(effect) = effects.pop_front() {
            match effect {
                transaction::Effect::Journal(event) => {
                    self.journal().append(&[transaction_event(&event)]);
                }
                transaction::Effect::WriteMarkers(markers) => {
                    if let Err(cause) = self.write_markers(&markers) {
                        error!(producer_id = markers.producer_id, %cause, "markers of a transaction could not be written; it is tried again");
                        let again = transaction::Markers {
                            writing: Writing::Again,
                            ..markers
                        };
                        effects.push_front(transaction::Effect::WriteMarkers(again));
                        break;
                    }
                }
                transaction::Effect::EndOffsets {
                    producer_id,
                    groups,
                    outcome,
                } => {
                    let mut ended = Vec::new();
                    for group in &groups {
                        let groups = &mut coordinators.groups;
                        groups.end_transaction(group, producer_id, outcome, &mut ended);
                    }
                    self.carry_out(coordinators, ended);
                }
                transaction::Effect::Reply(of, answer) if Some(of) == ticket => {
                    found = Some(answer);
                }
                // Its connection was closed when it could not be answered.
                transaction::Effect::Reply(..) => {}
            }
        }
        coordinators.stuck = effects;
        found
    }

    fn write_markers(&self, markers: &transaction::Markers) -> io::Result<()> {
        for (name, indexes) in &markers.partitions {
            let Some(topic) = self.known_topic(name) else {
                continue;
            };
            for partition in indexes.iter().filter_map(|index| topic.partition(*index)) {
                let producer_id = markers.producer_id;
                let is_open = partition.log().producers().is_open(producer_id);
                if markers.writing == Writing::First || is_open {
                    let commits = markers.outcome == Outcome::Commit;
                    self.write_marker(&topic, &partition, producer_id, markers.epoch, commits)?;
                }
            }
        }
        Ok(())
    }

    fn write_marker(
        &self,
        topic: &Topic,
        partition: &Partition,
        producer_id: i64,
        epoch: i16,
        commits: bool,
    ) -> io::Result<()> {
        let now_ms = self.now_ms();
        let producer = ProducerState {
            id: producer_id,
            epoch,
            base_sequence: -1,
        };
        let control = match commits {
            true => ControlType::Commit,
            false => ControlType::Abort,
        };
        let header = BatchHeader::produced(producer, BatchKind::Control);
        let marker = transaction_marker(control, COORDINATOR_EPOCH, now_ms, &header)
            .map_err(io::Error::other)?;
        let unsynced = {
            let mut log = partition.log();
            let roll = topic.configured().rules.roll;
            log.append_marker(&marker, commits, COORDINATOR_EPOCH, roll, now_ms)?;
            match self.config.fsync {
                Fsync::EveryAppend => log.take_unsynced(),
                Fsync::Never | Fsync::Interval(_) => Vec::new(),
            }
        };
        // Before the journal says that the transaction is done.
        unsynced.iter().try_for_each(|store| store.sync())?;
        partition.changed();
        Ok(())
    }

    /// After the last event of the journal, and when all partitions are there: what was decided is
    /// done.
    pub(super) fn resume_coordinators(&self) {
        let coordinators = &mut *self.coordinators();
        coordinators.groups.resume(self.since_start());
        let mut effects = Vec::new();
        coordinators.transactions.resume(&mut effects);
        self.carry_out_transactions(coordinators, effects, None);
        self.abort_hanging(coordinators);
    }

    /// A power cut may take a marker and leave the journal that says that it is written. Nobody
    /// would end such a transaction, and readers of committed records would wait for ever.
    fn abort_hanging(&self, coordinators: &Coordinators) {
        let unfinished = coordinators.unfinished();
        for topic in self.topics() {
            for (index, partition) in (0i32..).zip(topic.partitions()) {
                let open = partition.log().producers().open();
                for (producer_id, epoch) in open {
                    let key = (producer_id, topic.name.to_string(), index);
                    if unfinished.contains(&key) {
                        continue;
                    }
                    warn!(
                        topic = topic.name.as_str(),
                        partition = index,
                        producer_id,
                        "a transaction that nobody knows any more is aborted"
                    );
                    let written = self.write_marker(&topic, &partition, producer_id, epoch, false);
                    if let Err(cause) = written {
                        error!(%cause, "its marker could not be written; it is tried at the next start");
                    }
                }
            }
        }
    }

    /// Tries again what the disk refused.
    pub(super) fn retry_stuck(&self) {
        let coordinators = &mut *self.coordinators();
        if !coordinators.stuck.is_empty() {
            self.carry_out_transactions(coordinators, Vec::new(), None);
        }
    }

    /// Wakes the keeper of time when something is due before it would wake up.
    fn set_alarm(&self, coordinators: &Coordinators) {
        let earlier = match (coordinators.next_deadline(), coordinators.wakes_at) {
            (Some(next), Some(wakes_at)) => next < wakes_at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            self.earlier.notify_one();
        }
    }
}

/// Does what is due in groups and transactions when it is due. Ends only when it is dropped.
pub(crate) async fn keep_time(broker: Arc<Broker>) {
    loop {
        let wakes_at = {
            let coordinators = &mut *broker.coordinators();
            let now = broker.since_start();
            let mut effects = Vec::new();
            coordinators.groups.tick(now, &mut effects);
            broker.carry_out(coordinators, effects);
            let mut effects = Vec::new();
            coordinators.transactions.tick(now, &mut effects);
            broker.carry_out_transactions(coordinators, effects, None);
            coordinators.wakes_at = coordinators.next_deadline();
            coordinators.wakes_at
        };
        let sleep = async {
            match wakes_at {
                // Timers are in milliseconds: never too early.
                Some(deadline) => {
                    let at: Instant = broker.started + deadline + Duration::from_millis(1);
                    tokio::time::sleep_until(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In the same order in every simulated run.
            biased;
            () = sleep => {}
            () = broker.earlier.notified() => {}
        }
    }
}
