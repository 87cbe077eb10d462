//! The producer's decisions against a simulated cluster: lost answers, requests that arrive after
//! their connection is gone, leaders that move, refusals, time that jumps.
//!
//! Every run is a seed, printed when it fails. Invariants: each record is told about exactly once;
//! what was told as written is in the log; with idempotence nothing is in a log twice and each log
//! is in the order of the appends; limits on requests hold; memory comes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::batch::{split_in_two, with_producer};
use kafka_wire::{
    BatchHeader, BatchKind, Codec, Compressor, Decompressor, ProducerState, RecordBatches,
};
use tokio::time::Instant;

use super::accumulate::{AppendError, Record, Topic};
use super::answer::Outcome;
use super::batch::{Body, Token, add_sequence};
use super::ending::Written;
use super::messages::{Action, Config, Event, Leader, Outgoing, Produced, ProducedBatch};
use super::sequence::ProducerId;
use super::state::State;
use crate::client::Backoff;
use crate::error::{ClientError, KafkaErrorCode as Code};
use crate::settings::Partitioner;

const BROKERS: i32 = 3;
const PARTITIONS: usize = 5;
/// Of the whole cluster; the broker refuses what is larger.
const BATCH_BYTES_MAX: usize = 700;
const REQUEST_BYTES_MAX: usize = 1500;
const LIMIT_BYTES: usize = 1 << 20;

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy)]
struct Faults {
    /// Answers lost, connections lost, retriable errors, leaders moving.
    retriable: bool,
    /// A lost request may arrive later all the same.
    zombies: bool,
    /// Refusals for good, and time that jumps beyond `delivery.timeout.ms`.
    fatal: bool,
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    idempotent: bool,
    max_in_flight: usize,
    codec: Codec,
    faults: Faults,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A partition's log and what its leaders know of producers; replicated, so it survives a move.
#[derive(Default)]
struct Log {
    leader: i32,
    epoch: i32,
    /// The number of each record.
    records: Vec<u64>,
    producers: BTreeMap<i64, Known>,
}

struct Known {
    epoch: i16,
    next: i32,
    /// Base sequence, end sequence and base offset of the last five batches.
    last: VecDeque<(i32, i32, i64)>,
}

impl Log {
    /// As `ProducerAppendInfo.checkSequence` does.
    fn append(&mut self, producer: ProducerState, numbers: &[u64]) -> Result<i64, Code> {
        let offset = self.records.len() as i64;
        let end = add_sequence(producer.base_sequence, numbers.len() as u32);
        if producer.id >= 0 {
            let known = self.producers.get(&producer.id);
            if let Some(known) = known {
                if producer.epoch < known.epoch {
                    return Err(Code::INVALID_PRODUCER_EPOCH);
                }
                let duplicate = known.last.iter().find(|(base, known_end, _)| {
                    (*base, *known_end) == (producer.base_sequence, end)
                });
                if producer.epoch == known.epoch
                    && let Some((_, _, offset)) = duplicate
                {
                    return Ok(*offset);
                }
                let expected = if producer.epoch > known.epoch {
                    0
                } else {
                    known.next
                };
                if producer.base_sequence != expected {
                    return Err(Code::OUT_OF_ORDER_SEQUENCE_NUMBER);
                }
            }
            let fresh = || Known {
                epoch: producer.epoch,
                next: 0,
                last: VecDeque::new(),
            };
            let known = self.producers.entry(producer.id).or_insert_with(fresh);
            if known.epoch != producer.epoch {
                *known = fresh();
            }
            known.next = end;
            known.last.push_back((producer.base_sequence, end, offset));
            if known.last.len() > 5 {
                known.last.pop_front();
            }
        }
        self.records.extend_from_slice(numbers);
        Ok(offset)
    }
}

/// A request on its way to a broker, or there.
struct Request {
    batches: Vec<(Outgoing, Bytes)>,
    answer: Option<Vec<Outcome>>,
}

struct Simulation {
    seed: u64,
    setup: Setup,
    random: Random,
    state: State,
    now: Instant,
    topic: Topic,
    logs: Vec<Log>,
    /// Per broker, in order: what a connection carries.
    wires: BTreeMap<i32, VecDeque<Request>>,
    /// Requests of lost connections that the broker may still process, in order.
    zombies: BTreeMap<i32, VecDeque<Request>>,
    events: Vec<Event>,
    compressor: Compressor,
    healthy: bool,
    appended: Vec<Vec<u64>>,
    next_number: u64,
    told: BTreeMap<u64, Result<Option<i64>, ()>>,
}

impl Simulation {
    fn new(seed: u64, setup: Setup) -> Simulation {
        let config = Config {
            codec: setup.codec,
            idempotent: setup.idempotent,
            batch_size_bytes: 1000,
            buffer_memory_bytes: 20_000,
            max_request_bytes: REQUEST_BYTES_MAX,
            linger: Duration::from_millis(5),
            delivery_timeout: Duration::from_secs(120),
            retries: u32::MAX,
            max_in_flight: setup.max_in_flight,
            partitioner: Partitioner::Default,
            backoff: Backoff::new(
                Duration::from_millis(100),
                Duration::from_secs(1),
                "simulation",
            ),
        };
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut state = State::new(config, seed);
        let topic = state.add_topic("t");
        let log = |leader| Log {
            leader,
            ..Log::default()
        };
        let logs = (0..PARTITIONS)
            .map(|_| log(random.below(BROKERS as usize) as i32))
            .collect();
        let mut simulation = Simulation {
            seed,
            setup,
            random,
            state,
            now: Instant::now(),
            topic,
            logs,
            wires: BTreeMap::new(),
            zombies: BTreeMap::new(),
            events: Vec::new(),
            compressor: Compressor::new(setup.codec, None).unwrap(),
            healthy: false,
            appended: vec![Vec::new(); PARTITIONS],
            next_number: 0,
            told: BTreeMap::new(),
        };
        let leaders = simulation.leaders();
        simulation.state.apply(leaders, simulation.now);
        simulation
    }

    fn run(mut self) {
        for _ in 0..400 {
            self.round();
        }
        self.healthy = true;
        self.state.flush();
        for _ in 0..5_000 {
            if self.state.is_idle() && self.wires.values().all(VecDeque::is_empty) {
                return self.check();
            }
            self.round();
            self.now += Duration::from_millis(20);
        }
        panic!("{}: does not come to an end", self.name());
    }

    fn name(&self) -> String {
        format!("seed {} of {:?}", self.seed, self.setup)
    }

    fn fault(&mut self, one_in: usize) -> bool {
        !self.healthy && self.setup.faults.retriable && self.random.one_in(one_in)
    }

    fn fatal_fault(&mut self, one_in: usize) -> bool {
        !self.healthy && self.setup.faults.fatal && self.random.one_in(one_in)
    }

    fn round(&mut self) {
        match self.random.below(10) {
            0..=3 if !self.healthy => self.append(),
            4 => self.now += Duration::from_millis(self.random.below(30) as u64),
            _ => {
                for broker in 0..BROKERS {
                    self.broker_works(broker);
                }
            }
        }
        if self.fault(20) {
            let log = self.random.below(PARTITIONS);
            self.logs[log].leader = self.random.below(BROKERS as usize) as i32;
            self.logs[log].epoch += 1;
        }
        if self.fault(25) {
            self.lose_connection();
        }
        if self.fatal_fault(60) {
            self.now += Duration::from_secs(self.random.below(130) as u64);
        }
        self.step();
    }

    fn append(&mut self) {
        for _ in 0..self.random.below(12) {
            let number = self.next_number;
            let partition = self.random.below(PARTITIONS) as i32;
            let mut value = number.to_be_bytes().to_vec();
            value.resize(8 + self.random.below(90), self.random.below(256) as u8);
            let record = Record {
                topic: self.topic,
                partition: Some(partition),
                timestamp_ms: number as i64,
                key: None,
                value: Some(&value),
            };
            let token = Token {
                stream: partition as u32,
                number,
            };
            match self
                .state
                .append(&record, std::iter::empty(), token, self.now)
            {
                Ok(found) => {
                    assert_eq!(found, partition);
                    self.appended[partition as usize].push(number);
                    self.next_number += 1;
                }
                Err(AppendError::Full) => return,
                Err(error) => panic!("{}: {error}", self.name()),
            }
        }
    }

    fn step(&mut self) {
        // Until nothing follows at once.
        for _ in 0..100 {
            let events = std::mem::take(&mut self.events);
            let actions = self.state.step(events, self.now);
            self.take_acknowledged();
            if actions.is_empty() && self.events.is_empty() {
                return;
            }
            for action in actions {
                self.act(action);
            }
        }
        panic!("{}: goes round in circles", self.name());
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { broker } => {
                let failed = ClientError::retriable("refused").with_code(Code::NETWORK_EXCEPTION);
                let event = match self.fault(4) {
                    true => Event::ConnectFailed {
                        broker,
                        error: failed,
                    },
                    false => Event::Connected { broker },
                };
                self.events.push(event);
            }
            Action::RefreshMetadata => {
                let leaders = self.leaders();
                self.events.push(leaders);
            }
            Action::InitProducerId => {
                let result = match self.fault(2) {
                    true => Err(ClientError::from_code(Code::COORDINATOR_LOAD_IN_PROGRESS)),
                    false => Ok(ProducerId { id: 7, epoch: 0 }),
                };
                self.events.push(Event::ProducerId(result));
            }
            Action::Compress { batch, records } => {
                let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
                let (unsealed, buffer) = records.compress(&header, &mut self.compressor).unwrap();
                self.events.push(Event::Compressed {
                    batch,
                    result: Ok(unsealed),
                    buffer,
                });
            }
            Action::Split { batch, bytes } => {
                let mut decompressor = Decompressor::new(LIMIT_BYTES);
                let result = split_in_two(bytes, &mut self.compressor, &mut decompressor);
                self.events.push(Event::Split { batch, result });
            }
            Action::Send { broker, batches } => self.send(broker, batches),
        }
    }

    fn send(&mut self, broker: i32, batches: Vec<Outgoing>) {
        let partitions: BTreeSet<i32> = batches.iter().map(|batch| batch.partition).collect();
        assert_eq!(
            partitions.len(),
            batches.len(),
            "{}: one batch per partition",
            self.name()
        );
        let batches: Vec<_> = batches
            .into_iter()
            .map(|mut batch| {
                let bytes = match std::mem::replace(&mut batch.body, Body::Lent) {
                    Body::Unsealed(unsealed) => unsealed.seal(batch.producer),
                    Body::Sealed(bytes, sealed_as) if sealed_as == batch.producer => bytes,
                    Body::Sealed(bytes, _) => with_producer(bytes, batch.producer),
                    other => panic!("sent without bytes: {other:?}"),
                };
                (batch, bytes)
            })
            .collect();
        let size: usize = batches.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(
            batches.len() == 1 || size <= REQUEST_BYTES_MAX,
            "{}: {size} bytes",
            self.name()
        );
        let wire = self.wires.entry(broker).or_default();
        wire.push_back(Request {
            batches,
            answer: None,
        });
        assert!(wire.len() <= self.setup.max_in_flight, "too many in flight");
    }

    /// The broker processes a request, or an answer arrives.
    fn broker_works(&mut self, broker: i32) {
        if let Some(mut request) = self.zombies.entry(broker).or_default().pop_front() {
            self.process(broker, &mut request);
        }
        let mut wire = self.wires.remove(&broker).unwrap_or_default();
        if let Some(request) = wire.iter_mut().find(|request| request.answer.is_none())
            && self.random.one_in(2)
        {
            self.process(broker, request);
        }
        if self.random.one_in(2)
            && let Some(request) = wire.pop_front_if(|request| request.answer.is_some())
        {
            let outcomes = request.answer.expect("just seen");
            self.end(broker, request.batches, outcomes);
        }
        self.wires.insert(broker, wire);
    }

    fn process(&mut self, broker: i32, request: &mut Request) {
        let mut outcomes = Vec::new();
        for (batch, bytes) in &request.batches {
            outcomes.push(self.process_batch(broker, batch.partition, bytes));
        }
        request.answer = Some(outcomes);
    }

    fn process_batch(&mut self, broker: i32, partition: i32, bytes: &Bytes) -> Outcome {
        let refused = |code, leader| Outcome::Refused {
            code,
            message: None,
            leader,
        };
        let tells_leader = self.random.one_in(2);
        let log = &self.logs[partition as usize];
        if log.leader != broker {
            let leader = Leader {
                broker: Some(log.leader),
                epoch: log.epoch,
            };
            return refused(Code::NOT_LEADER_OR_FOLLOWER, tells_leader.then_some(leader));
        }
        if self.fault(15) {
            return refused(Code::NOT_ENOUGH_REPLICAS, None);
        }
        if self.fatal_fault(40) {
            return refused(Code::TOPIC_AUTHORIZATION_FAILED, None);
        }
        if bytes.len() > BATCH_BYTES_MAX {
            return refused(Code::MESSAGE_TOO_LARGE, None);
        }
        let batch = RecordBatches::new(bytes.clone()).next().unwrap().unwrap();
        let producer = batch.producer();
        let decoded = batch.decode(&mut Decompressor::new(LIMIT_BYTES)).unwrap();
        let number = |value: &[u8]| u64::from_be_bytes(*value.first_chunk().unwrap());
        let numbers: Vec<u64> = decoded
            .records()
            .map(|record| number(record.unwrap().value.unwrap()))
            .collect();
        match self.logs[partition as usize].append(producer, &numbers) {
            Err(code) => refused(code, None),
            Ok(_) if self.fault(15) => refused(Code::NOT_ENOUGH_REPLICAS_AFTER_APPEND, None),
            Ok(offset) => Outcome::Written(Written {
                base_offset: Some(offset),
                log_append_time_ms: None,
            }),
        }
    }

    /// Everything under way on one connection ends without an answer. The broker has processed some
    /// of it; with zombies it processes the rest later.
    fn lose_connection(&mut self) {
        let broker = self.random.below(BROKERS as usize) as i32;
        let wire = self.wires.remove(&broker).unwrap_or_default();
        for request in wire {
            let lost = ClientError::retriable("lost").with_code(Code::NETWORK_EXCEPTION);
            let outcomes = vec![Outcome::Lost(lost); request.batches.len()];
            if request.answer.is_none() && self.setup.faults.zombies {
                let copies = request.batches.iter().map(|(batch, bytes)| {
                    let Outgoing {
                        id,
                        topic,
                        partition,
                        producer,
                        ..
                    } = batch;
                    let (id, topic, partition) = (*id, topic.clone(), *partition);
                    let body = Body::Lent;
                    (
                        Outgoing {
                            id,
                            topic,
                            partition,
                            body,
                            producer: *producer,
                        },
                        bytes.clone(),
                    )
                });
                let zombie = Request {
                    batches: copies.collect(),
                    answer: None,
                };
                self.zombies.entry(broker).or_default().push_back(zombie);
            }
            self.end(broker, request.batches, outcomes);
        }
    }

    fn end(&mut self, broker: i32, batches: Vec<(Outgoing, Bytes)>, outcomes: Vec<Outcome>) {
        let batches = batches
            .into_iter()
            .zip(outcomes)
            .map(|((batch, bytes), outcome)| ProducedBatch {
                id: batch.id,
                bytes,
                producer: batch.producer,
                outcome,
            })
            .collect();
        let throttle = Duration::from_millis(if self.fault(10) { 50 } else { 0 });
        self.events.push(Event::Produced(Produced {
            broker,
            throttle,
            batches,
        }));
    }

    fn leaders(&self) -> Event {
        let leader = |log: &Log| Leader {
            broker: Some(log.leader),
            epoch: log.epoch,
        };
        let partitions = Some(self.logs.iter().map(leader).collect());
        Event::Leaders {
            topic: self.topic.0,
            partitions,
        }
    }

    fn take_acknowledged(&mut self) {
        let mut acknowledged = Vec::new();
        self.state.take_acknowledged(&mut acknowledged);
        for batch in acknowledged {
            assert_eq!(batch.runs.tokens().count(), batch.records as usize);
            for (at, token) in (0i64..).zip(batch.runs.tokens()) {
                assert_eq!(token.stream, batch.partition as u32);
                let result = match &batch.result {
                    Ok(written) => Ok(written.base_offset.map(|offset| offset + at)),
                    Err(_) => Err(()),
                };
                let before = self.told.insert(token.number, result);
                assert!(
                    before.is_none(),
                    "{}: record {} told twice",
                    self.name(),
                    token.number
                );
            }
        }
    }

    fn check(self) {
        let name = self.name();
        assert_eq!(
            self.told.len() as u64,
            self.next_number,
            "{name}: every record is told about"
        );
        for (partition, log) in self.logs.iter().enumerate() {
            let mut first_at = BTreeMap::new();
            let mut in_order = Vec::new();
            for (offset, number) in log.records.iter().enumerate() {
                let duplicate = first_at.contains_key(number);
                assert!(
                    !(duplicate && self.setup.idempotent),
                    "{name}: record {number} is written twice"
                );
                if !duplicate {
                    first_at.insert(*number, offset as i64);
                    in_order.push(*number);
                }
            }
            if self.setup.idempotent || self.setup.max_in_flight == 1 {
                assert!(
                    in_order.is_sorted(),
                    "{name}: partition {partition} is out of order: {in_order:?}"
                );
            }
            for number in &self.appended[partition] {
                match (self.told[number], first_at.get(number)) {
                    (Ok(_), None) => panic!("{name}: record {number} is lost"),
                    (Ok(Some(told)), Some(offset)) if self.setup.idempotent => {
                        assert_eq!(told, *offset, "{name}: offset of record {number}");
                    }
                    (Err(()), _) if !self.setup.faults.fatal => {
                        panic!("{name}: record {number} failed")
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(self.state.used_bytes, 0, "{name}: memory comes back");
    }
}

/// `MILLSTREAM_SEEDS=20` runs twenty times as many seeds.
fn run_seeds(setups: impl IntoIterator<Item = Setup>, seeds: u64) {
    let factor = std::env::var("MILLSTREAM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    for setup in setups {
        for seed in 0..seeds * factor.unwrap_or(1) {
            Simulation::new(seed, setup).run();
        }
    }
}

fn every_codec_and_flight(idempotent: bool, faults: Faults) -> Vec<Setup> {
    let mut setups = Vec::new();
    for codec in [Codec::None, Codec::Lz4] {
        for max_in_flight in [1, 2, 5] {
            setups.push(Setup {
                idempotent,
                max_in_flight,
                codec,
                faults,
            });
        }
    }
    setups
}

#[test]
fn with_idempotence_no_fault_that_passes_loses_doubles_or_reorders() {
    let faults = Faults {
        retriable: true,
        zombies: true,
        fatal: false,
    };
    run_seeds(every_codec_and_flight(true, faults), 20);
}

#[test]
fn with_idempotence_no_failure_doubles_or_reorders_what_is_left() {
    let faults = Faults {
        retriable: true,
        zombies: false,
        fatal: true,
    };
    run_seeds(every_codec_and_flight(true, faults), 20);
}

#[test]
fn without_idempotence_nothing_is_lost_and_one_in_flight_keeps_order() {
    for fatal in [false, true] {
        let faults = Faults {
            retriable: true,
            zombies: false,
            fatal,
        };
        run_seeds(every_codec_and_flight(false, faults), 10);
    }
}

#[test]
fn without_faults_all_is_written() {
    let faults = Faults {
        retriable: false,
        zombies: false,
        fatal: false,
    };
    run_seeds(every_codec_and_flight(true, faults), 10);
}
