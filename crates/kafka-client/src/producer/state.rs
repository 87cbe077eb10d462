//! What a producer decides: which batch goes where and when, and what an answer means.
//!
//! Lives here: [`State`] and its `step`: events in, actions out; drain, epochs, memory.
//! Lives elsewhere: adding records (`accumulate`), what a broker's answer does to a batch (`answer`),
//! how batches end (`ending`), one partition (`partition`), carrying the actions out (`sender`).
//! Never here: an `.await`, a socket, a clock; `now` is an argument.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::batch::UnsealedBatch;
use kafka_wire::{BatchHeader, BatchKind, Codec, Compressor, ProducerState, SplitPart, WireError};
use tokio::time::Instant;

use super::accumulate::TopicState;
use super::batch::{Batch, BatchId, Batches, Body};
use super::ending::Acknowledged;
use super::messages::{Action, Config, Event, Leader, Outgoing, Produced};
use super::partition::{Head, NeedsProducerId, Ordering, Partition};
use super::sequence::ProducerId;
use crate::error::ClientError;

/// The part of `buffer.memory` that is kept as used buffers for new batches, beside it; and that is
/// waited for before a full producer takes records again, so that it does not wake up per batch.
const MEMORY_PART: usize = 8;

#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) topics: Vec<TopicState>,
    pub(super) topic_index: HashMap<Arc<str>, u32>,
    pub(super) partitions: Vec<Partition>,
    pub(super) batches: Batches,
    pub(super) spare_buffers: Vec<Vec<u8>>,
    pub(super) used_bytes: usize,
    /// What the record that found no room needs.
    pub(super) wanted_bytes: Option<usize>,
    pub(super) next_serial: u64,
    /// Why nothing can be appended any more.
    pub(super) refusal: Option<ClientError>,
    pub(super) random: u64,
    /// The sender should look: set by `append`, cleared by `step`.
    pub(super) has_news: bool,
    /// Partitions with work.
    pub(super) active: Vec<u32>,
    brokers: BTreeMap<i32, Broker>,
    producer_id: Id,
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Batches by serial that are not acknowledged; a split batch counts twice.
    pub(super) outstanding: BTreeMap<u64, u32>,
    /// Batches with a smaller serial do not linger.
    flush_before: u64,
    /// Where the next drain starts in `active`, so that every partition gets its turn.
    turn: usize,
    pub(super) to_compress: Vec<BatchId>,
    /// Queued, their bytes lent already, so that they are not sent again as they are.
    pub(super) to_split: Vec<(BatchId, Bytes)>,
    pub(super) wants_metadata: bool,
    metadata_not_before: Option<Instant>,
    pub(super) wake: Option<Instant>,
}

#[derive(Debug)]
struct Broker {
    link: Link,
    in_flight: usize,
    throttled_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Off {
        not_before: Option<Instant>,
        failures: u32,
    },
    Connecting {
        failures: u32,
    },
    On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Unneeded,
    Wanted {
        not_before: Option<Instant>,
        failures: u32,
    },
    Asked {
        failures: u32,
    },
    Known(ProducerId),
}

impl State {
    /// `seed`: for the choice of partitions for records without a key.
    pub fn new(config: Config, seed: u64) -> State {
        State {
            producer_id: match config.idempotent {
                true => Id::Wanted {
                    not_before: None,
                    failures: 0,
                },
                false => Id::Unneeded,
            },
            config,
            topics: Vec::new(),
            topic_index: HashMap::new(),
            partitions: Vec::new(),
            batches: Batches::default(),
            spare_buffers: Vec::new(),
            used_bytes: 0,
            wanted_bytes: None,
            next_serial: 0,
            refusal: None,
            random: seed | 1,
            has_news: false,
            active: Vec::new(),
            brokers: BTreeMap::new(),
            acknowledged: Vec::new(),
            outstanding: BTreeMap::new(),
            flush_before: 0,
            turn: 0,
            to_compress: Vec::new(),
            to_split: Vec::new(),
            wants_metadata: false,
            metadata_not_before: None,
            wake: None,
        }
    }

    /// Same state, events and time give the same actions. Each action is answered by an event,
    /// except `RefreshMetadata`, which ends in `Leaders` sooner or later.
    ///
    /// Cost: O(partitions with work), whatever the number of records.
    pub fn step(&mut self, events: impl IntoIterator<Item = Event>, now: Instant) -> Vec<Action> {
        for event in events {
            self.apply(event, now);
        }
        self.has_news = false;
        self.wake = None;
        let mut actions = Vec::new();
        self.settle(now);
        self.drain(now, &mut actions);
        self.active.retain(|index| {
            let partition = &mut self.partitions[*index as usize];
            partition.is_active = partition.has_work();
            partition.is_active
        });
        self.lend_out(&mut actions);
        self.ask(now, &mut actions);
        actions
    }

    /// When `step` is wanted again if nothing happens before.
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Whether every batch was acknowledged.
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Whether all batches opened before `serial` are acknowledged.
    pub fn is_done_before(&self, serial: u64) -> bool {
        self.outstanding
            .first_key_value()
            .is_none_or(|(first, _)| *first >= serial)
    }

    /// All records appended so far are sent without lingering. Gives the serial for `is_done_before`.
    pub fn flush(&mut self) -> u64 {
        self.flush_before = self.next_serial;
        self.flush_before
    }

    /// As `has_room`, with enough of it that it is worth waking somebody up.
    pub fn has_plenty_of_room(&self) -> bool {
        let limit = self.config.buffer_memory_bytes;
        self.has_room() && self.used_bytes <= limit - limit / MEMORY_PART
    }

    /// Whether the record that found no room would find it now.
    pub fn has_room(&self) -> bool {
        let wanted = self.wanted_bytes.unwrap_or(0);
        self.used_bytes + wanted <= self.config.buffer_memory_bytes || self.used_bytes == 0
    }

    /// Takes note of an event; what follows from it comes with the next step.
    pub fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Leaders { topic, partitions } => self.on_leaders(topic, partitions),
            Event::Connected { broker } => self.broker(broker).link = Link::On,
            Event::ConnectFailed { broker, error } => self.on_connect_failed(broker, error, now),
            Event::ProducerId(result) => self.on_producer_id(result, now),
            Event::Compressed {
                batch,
                result,
                buffer,
            } => self.on_compressed(batch, result, buffer),
            Event::Split { batch, result } => self.on_split(batch, result),
            Event::Produced(produced) => self.on_produced(produced, now),
            Event::Close => {
                self.flush_before = u64::MAX;
                self.refusal = Some(ClientError::fatal("the producer is closed"));
            }
            Event::Abort(error) => self.abort(error),
        }
    }

    fn on_leaders(&mut self, topic: u32, leaders: Option<Vec<Leader>>) {
        let leaders = leaders.unwrap_or_default();
        for (number, leader) in leaders.iter().enumerate() {
            let state = &mut self.topics[topic as usize];
            if number == state.partitions.len() {
                state.partitions.push(self.partitions.len() as u32);
                self.partitions.push(Partition::new(topic, number as i32));
            }
            self.learn_leader(self.topics[topic as usize].partitions[number], *leader);
        }
        // A topic that is gone may come back: its batches wait for that, or run out of time.
        for index in self.topics[topic as usize]
            .partitions
            .iter()
            .skip(leaders.len())
        {
            self.partitions[*index as usize].leader = None;
        }
    }

    /// Takes over a leader that is not older than the known one. A new leader is worth an immediate
    /// retry.
    pub(super) fn learn_leader(&mut self, index: u32, leader: Leader) {
        let partition = &mut self.partitions[index as usize];
        if leader.epoch >= 0 && leader.epoch < partition.leader_epoch {
            return;
        }
        let moved = leader.broker.is_some() && leader.broker != partition.leader;
        partition.leader = leader.broker;
        partition.leader_epoch = leader.epoch;
        if moved {
            for id in &partition.queue {
                self.batches[*id].retry_at = None;
            }
        }
    }

    fn on_connect_failed(&mut self, broker: i32, error: ClientError, now: Instant) {
        let backoff = self.config.backoff.clone();
        let state = self.broker(broker);
        let failures = match state.link {
            Link::Connecting { failures } | Link::Off { failures, .. } => failures,
            Link::On => 0,
        };
        state.link = Link::Off {
            not_before: Some(now + backoff.delay(failures)),
            failures: failures.saturating_add(1),
        };
        self.wants_metadata = true;
        if error.is_retriable() {
            return;
        }
        // Credentials, TLS: the same would happen again. Java fails what waits for the broker too.
        for index in self.active.clone() {
            if self.partitions[index as usize].leader == Some(broker) {
                self.fail_queued(index, &error);
            }
        }
    }

    fn on_producer_id(&mut self, result: Result<ProducerId, ClientError>, now: Instant) {
        let failures = match self.producer_id {
            Id::Asked { failures } | Id::Wanted { failures, .. } => failures,
            Id::Unneeded | Id::Known(_) => 0,
        };
        match result {
            Ok(id) => self.producer_id = Id::Known(id),
            Err(error) if error.is_retriable() => {
                let not_before = Some(now + self.config.backoff.delay(failures));
                self.producer_id = Id::Wanted {
                    not_before,
                    failures: failures.saturating_add(1),
                };
            }
            Err(error) => self.abort(error),
        }
    }

    fn on_compressed(
        &mut self,
        id: BatchId,
        result: Result<UnsealedBatch, WireError>,
        buffer: Option<Vec<u8>>,
    ) {
        if let Some(buffer) = buffer {
            self.keep_buffer(buffer);
        }
        match result {
            Ok(unsealed) => {
                let bytes = unsealed.size_bytes();
                let batch = &mut self.batches[id];
                let ratio = bytes as f32 / batch.uncompressed_bytes.max(1) as f32;
                let freed = batch.reserved_bytes.saturating_sub(bytes);
                batch.reserved_bytes -= freed;
                batch.body = Body::Unsealed(unsealed);
                let (partition, expired) = (batch.partition, batch.expired);
                self.release(freed);
                self.learn_ratio(partition, ratio);
                if expired {
                    self.remove_queued(id);
                }
            }
            Err(error) => self.fail_queued_batch(id, ClientError::fatal(error.to_string())),
        }
    }

    fn on_split(&mut self, id: BatchId, result: Result<[SplitPart; 2], WireError>) {
        let parts = match result {
            _ if self.batches[id].expired => return self.remove_queued(id),
            Ok(parts) => parts,
            Err(error) => return self.fail_queued_batch(id, ClientError::fatal(error.to_string())),
        };
        let index = self.batches[id].partition;
        let at = self.partitions[index as usize]
            .queue
            .iter()
            .position(|queued| *queued == id);
        let at = at.expect("a batch that is being split stays queued");
        self.partitions[index as usize].queue.remove(at);
        let whole = self.batches.remove(id);
        let [first, second] = parts;
        let mut first_runs = whole.runs;
        let second_runs = first_runs.split_off(u64::from(first.records));
        let mut producer = whole.producer;
        let mut order = whole.order;
        let mut ids = Vec::with_capacity(2);
        for (part, runs) in [(first, first_runs), (second, second_runs)] {
            let sealed_as = ProducerState {
                base_sequence: i32::MIN,
                ..ProducerState::NONE
            };
            ids.push(self.batches.insert(Batch {
                partition: whole.partition,
                runs,
                records: part.records,
                created: whole.created,
                serial: whole.serial,
                order,
                reserved_bytes: part.bytes.len(),
                uncompressed_bytes: whole.uncompressed_bytes / 2,
                // Numbers may have changed meanwhile; a state that cannot be makes the sender set them.
                body: Body::Sealed(part.bytes, sealed_as),
                producer,
                attempts: 0,
                sent_to: None,
                maybe_written: whole.maybe_written,
                retry_at: None,
                expired: false,
            }));
            order += u64::from(part.records);
            producer = producer.map(|producer| ProducerState {
                base_sequence: super::batch::add_sequence(producer.base_sequence, part.records),
                ..producer
            });
        }
        for id in ids.into_iter().rev() {
            self.used_bytes += self.batches[id].reserved_bytes;
            self.partitions[index as usize].queue.insert(at, id);
        }
        *self.outstanding.entry(whole.serial).or_default() += 1;
        self.release(whole.reserved_bytes);
    }

    /// Expired batches and sequence numbers, for every partition with work.
    fn settle(&mut self, now: Instant) {
        for at in 0..self.active.len() {
            let index = self.active[at];
            self.expire(index, now);
            if let Id::Known(current) = self.producer_id {
                let partition = &mut self.partitions[index as usize];
                let needs = partition.settle_sequences(&mut self.batches, current);
                if needs == NeedsProducerId::Yes {
                    self.producer_id = Id::Wanted {
                        not_before: None,
                        failures: 0,
                    };
                }
            }
        }
    }

    /// One request per broker and round, until no broker can take more.
    fn drain(&mut self, now: Instant, actions: &mut Vec<Action>) {
        loop {
            let mut requests: BTreeMap<i32, (Vec<Outgoing>, usize)> = BTreeMap::new();
            let count = self.active.len();
            let first = self.turn;
            for at in 0..count {
                let position = (first + at) % count;
                let index = self.active[position];
                let Some((broker, id)) = self.sendable(index, now) else {
                    continue;
                };
                let size = self.batches[id]
                    .size_bytes()
                    .expect("a sendable batch has its bytes");
                let (request, bytes) = requests.entry(broker).or_default();
                if !request.is_empty() && *bytes + size > self.config.max_request_bytes {
                    // It comes first in the next round.
                    self.turn = position;
                    continue;
                }
                *bytes += size;
                request.push(self.put_on_wire(id));
            }
            if requests.is_empty() {
                return;
            }
            for (broker, (batches, _)) in requests {
                self.broker(broker).in_flight += 1;
                actions.push(Action::Send { broker, batches });
            }
        }
    }

    /// The batch of a partition that can go now, and to which broker. Notes when to look again.
    fn sendable(&mut self, index: u32, now: Instant) -> Option<(i32, BatchId)> {
        let ordering = self.ordering();
        let partition = &self.partitions[index as usize];
        let Some(leader) = partition.leader else {
            self.wants_metadata |= partition.open.is_some() || !partition.queue.is_empty();
            return None;
        };
        let head = partition.head(&self.batches, ordering, now);
        if head == Head::Empty {
            let open = partition.open.as_ref()?;
            let due = self.is_due(open.serial, open.created, now);
            if let Err(later) = due {
                self.wake = earliest(self.wake, later);
                return None;
            }
        }
        if !self.can_take(leader, now) {
            return None;
        }
        match head {
            Head::Ready(id) => Some((leader, id)),
            Head::BackingOff(until) => {
                self.wake = earliest(self.wake, until);
                None
            }
            Head::Waiting => None,
            Head::Empty => {
                self.close_open(index);
                let partition = &self.partitions[index as usize];
                match partition.head(&self.batches, ordering, now) {
                    Head::Ready(id) => Some((leader, id)),
                    _ => None,
                }
            }
        }
    }

    /// Whether an open batch goes now; else until when it lingers.
    fn is_due(&self, serial: u64, created: Instant, now: Instant) -> Result<(), Instant> {
        let linger_until = created + self.config.linger;
        // A record waits for memory: what there is must go.
        let exhausted = self.wanted_bytes.is_some();
        if exhausted || serial < self.flush_before || linger_until <= now {
            Ok(())
        } else {
            Err(linger_until)
        }
    }

    fn can_take(&mut self, leader: i32, now: Instant) -> bool {
        let max_in_flight = self.config.max_in_flight;
        let broker = self.broker(leader);
        let throttled_until = broker.throttled_until.filter(|until| *until > now);
        let can = broker.link == Link::On
            && broker.in_flight < max_in_flight
            && throttled_until.is_none();
        if let Some(until) = throttled_until {
            self.wake = earliest(self.wake, until);
        }
        can
    }

    fn ordering(&self) -> Ordering {
        match self.producer_id {
            Id::Known(id) => Ordering::Sequenced(id),
            Id::Wanted { .. } | Id::Asked { .. } => Ordering::AwaitingProducerId,
            Id::Unneeded if self.config.max_in_flight == 1 => Ordering::OneInFlight,
            Id::Unneeded => Ordering::None,
        }
    }

    fn put_on_wire(&mut self, id: BatchId) -> Outgoing {
        let batch = &mut self.batches[id];
        let partition = &mut self.partitions[batch.partition as usize];
        let front = partition.queue.pop_front();
        debug_assert_eq!(
            front,
            Some(id),
            "only the first batch of a partition is sent"
        );
        partition.on_wire.push(id);
        if let Some(sequences) = &mut partition.sequences
            && batch.producer.is_none()
        {
            batch.producer = Some(sequences.assign(batch.records));
        }
        batch.attempts += 1;
        batch.sent_to = partition.leader;
        batch.retry_at = None;
        Outgoing {
            id,
            topic: self.topics[partition.topic as usize].name.clone(),
            partition: partition.number,
            body: std::mem::replace(&mut batch.body, Body::Lent),
            producer: batch.producer.unwrap_or(ProducerState::NONE),
        }
    }

    /// Batches to compress and to split.
    fn lend_out(&mut self, actions: &mut Vec<Action>) {
        for batch in std::mem::take(&mut self.to_compress) {
            match std::mem::replace(&mut self.batches[batch].body, Body::Lent) {
                Body::Records(records) => actions.push(Action::Compress { batch, records }),
                other => self.batches[batch].body = other,
            }
        }
        let split = self.to_split.drain(..);
        actions.extend(split.map(|(batch, bytes)| Action::Split { batch, bytes }));
    }

    /// Connections, metadata and the producer id.
    fn ask(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for index in &self.active {
            let Some(leader) = self.partitions[*index as usize].leader else {
                continue;
            };
            let broker = self.brokers.entry(leader).or_insert_with(Broker::new);
            if let Link::Off {
                not_before,
                failures,
            } = broker.link
            {
                match not_before.filter(|until| *until > now) {
                    Some(until) => self.wake = earliest(self.wake, until),
                    None => {
                        broker.link = Link::Connecting { failures };
                        actions.push(Action::Connect { broker: leader });
                    }
                }
            }
        }
        if self.wants_metadata {
            match self.metadata_not_before.filter(|until| *until > now) {
                Some(until) => self.wake = earliest(self.wake, until),
                None => {
                    self.wants_metadata = false;
                    self.metadata_not_before = Some(now + self.config.backoff.delay(0));
                    actions.push(Action::RefreshMetadata);
                }
            }
        }
        if let Id::Wanted {
            not_before,
            failures,
        } = self.producer_id
        {
            match not_before.filter(|until| *until > now) {
                Some(until) => self.wake = earliest(self.wake, until),
                None => {
                    self.producer_id = Id::Asked { failures };
                    actions.push(Action::InitProducerId);
                }
            }
        }
    }

    fn broker(&mut self, id: i32) -> &mut Broker {
        self.brokers.entry(id).or_insert_with(Broker::new)
    }

    /// The end of a request on this broker.
    pub(super) fn on_request_end(&mut self, produced: &Produced, lost: bool, now: Instant) {
        let broker = self.broker(produced.broker);
        broker.in_flight = broker.in_flight.saturating_sub(1);
        if !produced.throttle.is_zero() {
            broker.throttled_until = Some(now + produced.throttle);
        }
        if lost {
            // The client has its own back-off between connections.
            broker.link = Link::Off {
                not_before: None,
                failures: 0,
            };
            self.wants_metadata = true;
        }
    }

    /// The open batch of a partition becomes the last in its queue.
    pub(super) fn close_open(&mut self, index: u32) {
        let partition = &mut self.partitions[index as usize];
        let Some(open) = partition.open.take() else {
            return;
        };
        let records = open.builder.record_count();
        let uncompressed_bytes = open.builder.size_bytes();
        let compressed = self.config.codec != Codec::None;
        let body = if compressed {
            Body::Records(open.builder)
        } else {
            let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
            let (unsealed, _) = open
                .builder
                .compress(&header, &mut Compressor::none())
                .expect("writing a header cannot fail");
            Body::Unsealed(unsealed)
        };
        let id = self.batches.insert(Batch {
            partition: index,
            runs: open.runs,
            records,
            created: open.created,
            serial: open.serial,
            order: partition.closed_records,
            body,
            producer: None,
            attempts: 0,
            sent_to: None,
            maybe_written: false,
            retry_at: None,
            expired: false,
            reserved_bytes: open.reserved_bytes,
            uncompressed_bytes,
        });
        partition.closed_records += u64::from(records);
        partition.queue.push_back(id);
        if compressed {
            self.to_compress.push(id);
        }
    }

    pub(super) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        let usual = buffer.capacity() >= self.config.batch_size_bytes / 2
            && buffer.capacity() <= self.config.batch_size_bytes.saturating_mul(4);
        let spare_bytes = self.config.batch_size_bytes * self.spare_buffers.len();
        if usual && spare_bytes < self.config.buffer_memory_bytes / MEMORY_PART {
            self.spare_buffers.push(buffer);
        }
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
        if self.has_plenty_of_room() {
            self.wanted_bytes = None;
        }
    }

    /// Whether the sender could do something with a batch of this partition that was just opened or
    /// closed. When requests to its leader are at their limit, the next answer wakes the sender.
    pub(super) fn is_news(&self, index: u32) -> bool {
        let leader = self.partitions[index as usize].leader;
        let busy = leader
            .and_then(|leader| self.brokers.get(&leader))
            .is_some_and(|broker| {
                broker.link == Link::On && broker.in_flight >= self.config.max_in_flight
            });
        !busy || self.config.codec != Codec::None
    }
}

impl Broker {
    fn new() -> Broker {
        Broker {
            link: Link::Off {
                not_before: None,
                failures: 0,
            },
            in_flight: 0,
            throttled_until: None,
        }
    }
}

pub(super) fn earliest(known: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(known.map_or(other, |known| known.min(other)))
}
