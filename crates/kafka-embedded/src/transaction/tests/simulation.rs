//! Producers and their zombies against both coordinators, one log and one journal. The process dies
//! at any point between two effects and starts again from the journal or from a rewritten one.
//!
//! Checked: a transaction ends the way it was decided; each partition with its data gets exactly
//! one marker; epochs never go back and no producer id is given out twice; what a group's offsets
//! say is what the last committed transaction said; a client that heard "committed" is right.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::*;
use crate::group::{self, GroupCoordinator, GroupEvent, GroupSettings};

const SEEDS: u64 = 1_500;
const STEPS: u32 = 200;
const IDS: [&str; 3] = ["x", "y", "z"];

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Data {
        producer: i64,
        transaction: u64,
    },
    Marker {
        producer: i64,
        transaction: u64,
        outcome: Outcome,
    },
}

#[derive(Debug, Clone)]
enum Written {
    Transaction(TransactionEvent),
    Group(GroupEvent),
}

/// What an observer who sees everything knows of one transactional id.
#[derive(Debug, Default)]
struct Truth {
    /// Number of the transaction that is open or was last.
    transaction: u64,
    newest: Option<(i64, i16)>,
    /// The offset that a committed transaction left last, and that of the open one.
    committed: Option<i64>,
    pending: Option<i64>,
}

struct Run {
    seed: u64,
    rng: Rng,
    now: Duration,
    transactions: TransactionCoordinator,
    groups: GroupCoordinator,
    journal: Vec<Written>,
    logs: BTreeMap<i32, Vec<Line>>,
    truths: BTreeMap<&'static str, Truth>,
    /// How each transaction was decided, by its number.
    decided: BTreeMap<u64, Outcome>,
    transactions_begun: u64,
    /// Everyone who was ever told an id and an epoch.
    producers: Vec<(&'static str, (i64, i16))>,
    plain_ids: BTreeSet<i64>,
    /// Effects until the process dies.
    crash_in: Option<u64>,
    crashes: u32,
}

/// The process died within the call: nobody hears an answer.
struct Died;

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng(seed),
            now: Duration::ZERO,
            transactions: TransactionCoordinator::new(settings()),
            groups: GroupCoordinator::new(GroupSettings::default(), seed),
            journal: Vec::new(),
            logs: (0..4).map(|partition| (partition, Vec::new())).collect(),
            truths: IDS.iter().map(|id| (*id, Truth::default())).collect(),
            decided: BTreeMap::new(),
            transactions_begun: 0,
            producers: Vec::new(),
            plain_ids: BTreeSet::new(),
            crash_in: None,
            crashes: 0,
        }
    }

    fn call(
        &mut self,
        run: impl FnOnce(&mut TransactionCoordinator, Call<'_>, &mut Vec<Effect>),
    ) -> Result<Answer, Died> {
        let call = Call {
            ticket: Ticket(1),
            version: 3,
            now: self.now,
            client_id: "",
            client_host: "",
        };
        let mut effects = Vec::new();
        run(&mut self.transactions, call, &mut effects);
        let answer = self.carry_out(effects)?;
        Ok(answer.expect("each call is answered"))
    }

    /// The owner's loop. Stops in the middle when the process dies.
    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Option<Answer>, Died> {
        for effect in effects {
            self.survive()?;
            match effect {
                Effect::Journal(event) => self.write(event),
                Effect::WriteMarkers(markers) => self.mark(&markers)?,
                Effect::EndOffsets {
                    producer_id,
                    groups,
                    outcome,
                } => {
                    for group in groups {
                        let mut effects = Vec::new();
                        self.groups
                            .end_transaction(&group, producer_id, outcome, &mut effects);
                        for effect in effects {
                            self.survive()?;
                            let group::Effect::Journal(event) = effect else {
                                panic!()
                            };
                            self.journal.push(Written::Group(event));
                        }
                    }
                }
                Effect::Reply(_, answer) => return Ok(Some(answer)),
            }
        }
        Ok(None)
    }

    fn survive(&mut self) -> Result<(), Died> {
        match &mut self.crash_in {
            Some(0) => Err(Died),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, event: TransactionEvent) {
        match &event {
            TransactionEvent::Opened {
                transactional_id,
                producer_id,
                epoch,
                ..
            } => {
                self.note_epoch(transactional_id, (*producer_id, *epoch));
            }
            TransactionEvent::Decided {
                transactional_id,
                epoch,
                outcome,
            } => {
                let truth = &self.truths[transactional_id.as_str()];
                let (producer, transaction) = (truth.newest.unwrap().0, truth.transaction);
                self.note_epoch(transactional_id, (producer, *epoch));
                let before = self.decided.insert(transaction, *outcome);
                assert_eq!(before, None, "seed {}: decided twice", self.seed);
                let truth = self.truths.get_mut(transactional_id.as_str()).unwrap();
                let pending = truth.pending.take();
                if *outcome == Outcome::Commit && pending.is_some() {
                    truth.committed = pending;
                }
            }
            TransactionEvent::Added {
                transactional_id, ..
            } => {
                let truth = self.truths.get_mut(transactional_id.as_str()).unwrap();
                let ended = self.decided.contains_key(&truth.transaction);
                if truth.transaction == 0 || ended {
                    self.transactions_begun += 1;
                    truth.transaction = self.transactions_begun;
                }
            }
            _ => {}
        }
        self.journal.push(Written::Transaction(event));
    }

    fn note_epoch(&mut self, id: &str, (producer, epoch): (i64, i16)) {
        let truth = self.truths.get_mut(id).unwrap();
        if let Some(before) = truth.newest {
            assert!(
                (producer, epoch) >= before,
                "seed {}: {id} goes back",
                self.seed
            );
        }
        truth.newest = Some((producer, epoch));
    }

    fn mark(&mut self, markers: &Markers) -> Result<(), Died> {
        let of_producer =
            |truth: &&Truth| truth.newest.map(|newest| newest.0) == Some(markers.producer_id);
        let transaction = self.truths.values().find(of_producer).unwrap().transaction;
        for partition in markers.partitions.values().flatten() {
            self.survive()?;
            let log = self.logs.get_mut(partition).unwrap();
            let of_producer = |line: &&Line| match line {
                Line::Data { producer, .. } | Line::Marker { producer, .. } => {
                    *producer == markers.producer_id
                }
            };
            let last = log.iter().rev().find(of_producer);
            let open = matches!(last, Some(Line::Data { .. }));
            if open || markers.writing == Writing::First {
                let (producer, outcome) = (markers.producer_id, markers.outcome);
                log.push(Line::Marker {
                    producer,
                    transaction,
                    outcome,
                });
            }
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.crashes += 1;
        self.crash_in = None;
        loop {
            self.replay();
            if self.rng.one_in(2) {
                let transactions = self.transactions.snapshot().into_iter();
                let groups = self.groups.snapshot().into_iter();
                self.journal = transactions
                    .map(Written::Transaction)
                    .chain(groups.map(Written::Group))
                    .collect();
                self.replay();
            }
            // It may die again while it makes good.
            self.crash_in = self.rng.one_in(3).then(|| self.rng.below(4));
            let mut effects = Vec::new();
            self.transactions.resume(&mut effects);
            self.groups.resume(self.now);
            let alive = self.carry_out(effects).is_ok();
            self.crash_in = None;
            if alive {
                return;
            }
        }
    }

    fn replay(&mut self) {
        self.transactions = TransactionCoordinator::new(settings());
        self.groups = GroupCoordinator::new(GroupSettings::default(), self.seed);
        for written in self.journal.clone() {
            match written {
                Written::Transaction(event) => self.transactions.restore(event),
                Written::Group(event) => self.groups.restore(event),
            }
        }
    }

    fn step(&mut self) {
        self.crash_in = self.rng.one_in(12).then(|| self.rng.below(6));
        let died = match self.rng.below(20) {
            0 | 1 => self.open(None),
            2 => self.open_own(),
            3 => self.plain_id(),
            4..=9 => self.add_and_write(),
            10..=12 => self.offsets(),
            13..=16 => self.end(),
            17 => {
                self.now += Duration::from_secs(self.rng.below(45));
                let mut effects = Vec::new();
                self.transactions.tick(self.now, &mut effects);
                self.carry_out(effects).map(drop)
            }
            18 if self.rng.one_in(4) => Err(Died),
            _ => Ok(()),
        };
        if died.is_err() {
            self.restart();
        }
        self.crash_in = None;
    }

    fn open(&mut self, claim: Option<(&'static str, (i64, i16))>) -> Result<(), Died> {
        let (id, producer) = match claim {
            Some((id, producer)) => (id, producer),
            None => (IDS[self.rng.index(IDS.len())], (-1, -1)),
        };
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1);
        let answer = self.call(|transactions, call, effects| {
            transactions.init_producer_id(call, &request, effects);
        })?;
        let Answer::InitProducerId(answer) = answer else {
            panic!()
        };
        match answer.error_code {
            0 => {
                let producer = (answer.producer_id.0, answer.producer_epoch);
                assert_eq!(self.truths[id].newest, Some(producer), "seed {}", self.seed);
                assert!(!self.plain_ids.contains(&producer.0), "seed {}", self.seed);
                self.producers.push((id, producer));
            }
            47 => assert!(claim.is_some(), "seed {}", self.seed),
            code => panic!("seed {}: {code}", self.seed),
        }
        Ok(())
    }

    fn open_own(&mut self) -> Result<(), Died> {
        match self.pick() {
            Some(producer) => self.open(Some(producer)),
            None => Ok(()),
        }
    }

    fn plain_id(&mut self) -> Result<(), Died> {
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let answer = self.call(|transactions, call, effects| {
            transactions.init_producer_id(call, &request, effects);
        })?;
        let Answer::InitProducerId(answer) = answer else {
            panic!()
        };
        let id = answer.producer_id.0;
        assert!(self.plain_ids.insert(id), "seed {}: {id} twice", self.seed);
        assert!(
            self.producers.iter().all(|(_, producer)| producer.0 != id),
            "seed {}",
            self.seed
        );
        Ok(())
    }

    /// Mostly the newest producer of an id, now and then a zombie.
    fn pick(&mut self) -> Option<(&'static str, (i64, i16))> {
        if self.producers.is_empty() {
            return None;
        }
        if self.rng.one_in(5) {
            return Some(self.producers[self.rng.index(self.producers.len())]);
        }
        let id = IDS[self.rng.index(IDS.len())];
        self.producers
            .iter()
            .rev()
            .find(|(known, _)| *known == id)
            .copied()
    }

    fn add_and_write(&mut self) -> Result<(), Died> {
        let Some((id, producer)) = self.pick() else {
            return Ok(());
        };
        let partition = i32::try_from(self.rng.below(4)).unwrap();
        if !self.rng.one_in(4) {
            let topic = AddPartitionsToTxnTopic::default()
                .with_name(TopicName(text("t")))
                .with_partitions(vec![partition]);
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(TransactionalId(text(id)))
                .with_v3_and_below_producer_id(producer.0.into())
                .with_v3_and_below_producer_epoch(producer.1)
                .with_v3_and_below_topics(vec![topic]);
            self.call(|transactions, call, effects| {
                transactions.add_partitions_to_txn(call, &request, &FourPartitions, effects);
            })?;
        }
        let word = self
            .transactions
            .may_write(id, producer.0, producer.1, "t", partition);
        if word.is_ok() && !self.rng.one_in(4) {
            let truth = &self.truths[id];
            assert_eq!(
                truth.newest,
                Some(producer),
                "seed {}: a zombie writes",
                self.seed
            );
            let transaction = truth.transaction;
            assert!(
                !self.decided.contains_key(&transaction),
                "seed {}",
                self.seed
            );
            let line = Line::Data {
                producer: producer.0,
                transaction,
            };
            self.logs.get_mut(&partition).unwrap().push(line);
        }
        Ok(())
    }

    /// Offsets of a group per transactional id.
    fn offsets(&mut self) -> Result<(), Died> {
        let Some((id, producer)) = self.pick() else {
            return Ok(());
        };
        if !self.rng.one_in(4) {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(producer.0.into())
                .with_producer_epoch(producer.1)
                .with_group_id(GroupId(text(id)));
            self.call(|transactions, call, effects| {
                transactions.add_offsets_to_txn(call, &request, effects);
            })?;
        }
        let offset = i64::try_from(self.rng.below(1_000_000)).unwrap();
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(TopicName(text("t")))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(GroupId(text(id)))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        let word = self
            .transactions
            .may_commit_offsets(id, producer.0, producer.1, id);
        let call = Call {
            ticket: Ticket(2),
            version: 3,
            now: self.now,
            client_id: "",
            client_host: "",
        };
        let mut effects = Vec::new();
        self.groups
            .txn_offset_commit(call, &request, word, &FourPartitions, &mut effects);
        for effect in effects {
            self.survive()?;
            if let group::Effect::Journal(event) = effect {
                self.journal.push(Written::Group(event));
                self.truths.get_mut(id).unwrap().pending = Some(offset);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Died> {
        let Some((id, producer)) = self.pick() else {
            return Ok(());
        };
        let commit = self.rng.one_in(2);
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        let answer = self.call(|transactions, call, effects| {
            transactions.end_txn(call, &request, effects);
        })?;
        let Answer::EndTxn(answer) = answer else {
            panic!()
        };
        if answer.error_code == 0 {
            let outcome = if commit {
                Outcome::Commit
            } else {
                Outcome::Abort
            };
            let truth = &self.truths[id];
            assert_eq!(
                self.decided[&truth.transaction], outcome,
                "seed {}",
                self.seed
            );
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.crash_in = None;
        self.now += Duration::from_secs(1000);
        let mut effects = Vec::new();
        self.transactions.tick(self.now, &mut effects);
        assert!(self.carry_out(effects).is_ok());
        assert_eq!(
            self.transactions.next_deadline(),
            None,
            "seed {}",
            self.seed
        );
        for (partition, log) in &self.logs {
            self.check_log(*partition, log);
        }
        for (id, truth) in &self.truths {
            let request = OffsetFetchRequest::default()
                .with_group_id(GroupId(text(id)))
                .with_topics(None)
                .with_require_stable(true);
            let call = Call {
                ticket: Ticket(3),
                version: 7,
                now: self.now,
                client_id: "",
                client_host: "",
            };
            let mut effects = Vec::new();
            self.groups.offset_fetch(call, &request, &mut effects);
            let [group::Effect::Reply(_, group::Answer::OffsetFetch(answer))] = &effects[..] else {
                panic!()
            };
            let found = answer
                .topics
                .first()
                .map(|topic| topic.partitions[0].clone());
            assert_eq!(
                found.as_ref().map_or(0, |found| found.error_code),
                0,
                "still pending"
            );
            let found = found.map(|found| found.committed_offset);
            assert_eq!(
                found, truth.committed,
                "seed {}: offsets of {id}",
                self.seed
            );
        }
    }

    /// Runs of one producer's data of one transaction, each with its one marker behind it.
    fn check_log(&self, partition: i32, log: &[Line]) {
        let seed = self.seed;
        let mut open: BTreeMap<i64, u64> = BTreeMap::new();
        let mut marked = BTreeSet::new();
        for line in log {
            match line {
                Line::Data {
                    producer,
                    transaction,
                } => {
                    let before = open.insert(*producer, *transaction);
                    assert!(
                        before.is_none_or(|before| before == *transaction),
                        "seed {seed}"
                    );
                    assert!(
                        !marked.contains(transaction),
                        "seed {seed}: data behind the marker"
                    );
                }
                Line::Marker {
                    producer,
                    transaction,
                    outcome,
                } => {
                    assert!(marked.insert(*transaction), "seed {seed}: a second marker");
                    assert_eq!(self.decided[transaction], *outcome, "seed {seed}");
                    let data = open.remove(producer);
                    assert!(data.is_none_or(|data| data == *transaction), "seed {seed}");
                }
            }
        }
        assert!(
            open.is_empty(),
            "seed {seed}: no marker in partition {partition}: {open:?}"
        );
    }
}

#[test]
fn transactions_end_as_they_were_decided() {
    let (mut begun, mut crashes, mut commits) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.finish();
        begun += run.transactions_begun;
        crashes += u64::from(run.crashes);
        let committed = run
            .decided
            .values()
            .filter(|outcome| **outcome == Outcome::Commit);
        commits += committed.count() as u64;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(begun > 10 * SEEDS, "{begun} transactions");
    assert!(crashes > 5 * SEEDS, "{crashes} crashes");
    assert!(commits > 2 * SEEDS, "{commits} commits");
}
