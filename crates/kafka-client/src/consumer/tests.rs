//! The whole consumer against scripted brokers, under paused time: what a real cluster rarely does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ProducerState};
use tokio::runtime::Handle;

use super::*;
use crate::client::Client;
use crate::error::KafkaErrorCode as Code;
use crate::fake_broker::{Call, FakeCluster, Reply};
use crate::settings::ConsumerSettings;

mod rebalance;

/// One partition on two brokers with the ids 1 and 2, and what they do.
#[derive(Clone)]
struct Log {
    leader: i32,
    epoch: i32,
    /// Epoch and value of each record, from offset 0 on.
    records: Vec<(i32, &'static str)>,
    /// Records per fetch.
    per_fetch: usize,
    /// Told to those who ask the leader.
    preferred: Option<i32>,
    /// This broker hangs up on fetches.
    broken: Option<i32>,
    fetched_from: Vec<i32>,
}

impl Log {
    fn new(values: &[&'static str]) -> Self {
        Self {
            leader: 1,
            epoch: 1,
            records: values.iter().map(|value| (1, *value)).collect(),
            per_fetch: usize::MAX,
            preferred: None,
            broken: None,
            fetched_from: Vec::new(),
        }
    }

    fn end(&self) -> i64 {
        self.records.len() as i64
    }

    fn region(&self, from: usize) -> Bytes {
        let mut region = BytesMut::new();
        for (index, (epoch, value)) in self
            .records
            .iter()
            .enumerate()
            .skip(from)
            .take(self.per_fetch)
        {
            let mut builder = BatchBuilder::new(0);
            builder
                .append(0, None, Some(value.as_bytes()))
                .expect("small");
            let header = BatchHeader {
                base_offset: index as i64,
                leader_epoch: *epoch,
                ..BatchHeader::produced(ProducerState::NONE, BatchKind::Plain)
            };
            let mut compressor = Compressor::new(Codec::None, None).expect("a codec");
            region.extend_from_slice(
                &builder
                    .finish(&header, &mut compressor)
                    .expect("a batch")
                    .bytes,
            );
        }
        region.freeze()
    }

    fn answer(&mut self, call: &Call) -> Reply {
        let broker = i32::from(call.port) - 9000;
        if call.is::<ApiVersionsRequest>() {
            call.api_versions()
        } else if call.is::<MetadataRequest>() {
            call.answer::<MetadataRequest>(&self.metadata(&call.host))
        } else if call.is::<ListOffsetsRequest>() {
            let request: ListOffsetsRequest = call.decode();
            let latest = request.topics[0].partitions[0].timestamp == -1;
            let partition = ListOffsetsPartitionResponse::default()
                .with_offset(if latest { self.end() } else { 0 })
                .with_leader_epoch(self.epoch);
            let topic = ListOffsetsTopicResponse::default()
                .with_name(topic())
                .with_partitions(vec![partition]);
            call.answer::<ListOffsetsRequest>(
                &ListOffsetsResponse::default().with_topics(vec![topic]),
            )
        } else if call.is::<OffsetForLeaderEpochRequest>() {
            let request: OffsetForLeaderEpochRequest = call.decode();
            let asked = request.topics[0].partitions[0].leader_epoch;
            let within = self.records.iter().filter(|(epoch, _)| *epoch <= asked);
            let partition = EpochEndOffset::default()
                .with_leader_epoch(asked)
                .with_end_offset(within.count() as i64);
            let topic = OffsetForLeaderTopicResult::default()
                .with_topic(topic())
                .with_partitions(vec![partition]);
            let response = OffsetForLeaderEpochResponse::default().with_topics(vec![topic]);
            call.answer::<OffsetForLeaderEpochRequest>(&response)
        } else if call.is::<FetchRequest>() {
            self.fetched_from.push(broker);
            self.fetch(call, broker)
        } else {
            Reply::Close
        }
    }

    fn fetch(&self, call: &Call, broker: i32) -> Reply {
        if self.broken == Some(broker) {
            return Reply::Close;
        }
        let request: FetchRequest = call.decode();
        let Some(asked) = request.topics.first().map(|topic| &topic.partitions[0]) else {
            // The end of a session: these brokers keep none.
            return call.answer::<FetchRequest>(&FetchResponse::default());
        };
        let mut data = PartitionData::default()
            .with_high_watermark(self.end())
            .with_last_stable_offset(self.end())
            .with_preferred_read_replica((-1).into())
            .with_aborted_transactions(None)
            .with_records(None);
        let follower = self.preferred == Some(broker);
        if broker != self.leader && !follower {
            data.error_code = Code::NOT_LEADER_OR_FOLLOWER.0;
        } else if asked.current_leader_epoch < self.epoch {
            data.error_code = Code::FENCED_LEADER_EPOCH.0;
        } else if asked.fetch_offset > self.end() {
            data.error_code = Code::OFFSET_OUT_OF_RANGE.0;
        } else if let (Some(preferred), false) = (self.preferred, follower) {
            data.preferred_read_replica = preferred.into();
        } else {
            data.records = Some(self.region(asked.fetch_offset as usize));
        }
        let waits = data.error_code == 0 && data.records.as_ref().is_some_and(Bytes::is_empty);
        let topic = FetchableTopicResponse::default()
            .with_topic(topic())
            .with_partitions(vec![data]);
        let reply =
            call.answer::<FetchRequest>(&FetchResponse::default().with_responses(vec![topic]));
        match waits {
            true => Reply::Later(Duration::from_millis(500), Box::new(reply)),
            false => reply,
        }
    }

    fn metadata(&self, host: &str) -> MetadataResponse {
        let brokers = [1, 2].map(|id| {
            MetadataResponseBroker::default()
                .with_node_id(id.into())
                .with_host(StrBytes::from_string(host.to_owned()))
                .with_port(9000 + id)
                .with_rack(None)
        });
        let partition = MetadataResponsePartition::default()
            .with_leader_id(self.leader.into())
            .with_leader_epoch(self.epoch)
            .with_replica_nodes(vec![1.into(), 2.into()]);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(topic()))
            .with_partitions(vec![partition]);
        MetadataResponse::default()
            .with_controller_id(1.into())
            .with_brokers(brokers.to_vec())
            .with_topics(vec![topic])
    }
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

struct World {
    log: Arc<Mutex<Log>>,
    consumer: Consumer,
}

impl World {
    fn new(log: Log, more: &[(&str, &str)]) -> Self {
        let log = Arc::new(Mutex::new(log));
        let answering = log.clone();
        let cluster =
            FakeCluster::new(move |call| answering.lock().expect("no panic").answer(call));
        let mut properties = vec![
            ("bootstrap.servers", "fake:9001"),
            ("auto.offset.reset", "earliest"),
        ];
        properties.extend_from_slice(more);
        let settings = ConsumerSettings::parse(properties)
            .expect("settings")
            .settings;
        let client = Client::new(settings.connection.clone(), Arc::new(cluster));
        let mut consumer = Consumer::with_client(client, settings, Handle::current());
        consumer
            .assign([TopicPartition::new("t", 0)])
            .expect("assigned");
        Self { log, consumer }
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log.lock().expect("no panic"));
    }

    async fn read(&mut self, count: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..100 {
            if let Polled::Records(records) = self
                .consumer
                .poll(Duration::from_secs(1))
                .await
                .expect("poll")
            {
                let values = records.iter().flat_map(|records| records.iter());
                seen.extend(values.map(|record| {
                    String::from_utf8(record.expect("a record").value.expect("a value").to_vec())
                        .expect("text")
                }));
            }
            if seen.len() >= count {
                return seen;
            }
        }
        panic!("only {seen:?} arrived");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_is_followed() {
    let mut world = World::new(Log::new(&["a", "b"]), &[]);
    assert_eq!(world.read(2).await, ["a", "b"]);
    world.change(|log| {
        log.leader = 2;
        log.epoch = 2;
        log.records.push((2, "c"));
    });
    assert_eq!(world.read(1).await, ["c"]);
    assert_eq!(
        world.consumer.known_position(&TopicPartition::new("t", 0)),
        Some(3)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unclean_election_goes_back_to_where_logs_part() {
    for policy in ["earliest", "none"] {
        let mut world = World::new(
            Log::new(&["a", "b", "c", "d"]),
            &[("auto.offset.reset", policy)],
        );
        world
            .consumer
            .seek(&TopicPartition::new("t", 0), 0)
            .expect("assigned");
        assert_eq!(world.read(4).await, ["a", "b", "c", "d"]);
        world.change(|log| {
            log.leader = 2;
            log.epoch = 2;
            log.records.truncate(2);
            log.records.extend([(2, "x"), (2, "y"), (2, "z")]);
        });
        if policy == "earliest" {
            assert_eq!(world.read(3).await, ["x", "y", "z"]);
            continue;
        }
        let error = loop {
            match world.consumer.poll(Duration::from_secs(1)).await {
                Ok(Polled::Records(records)) => panic!("{records:?} behind a truncation"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(
            error
                .to_string()
                .contains("offset=4 first_divergent_offset=2 topic=t partition=0"),
            "{error}"
        );
        world
            .consumer
            .seek(&TopicPartition::new("t", 0), 2)
            .expect("assigned");
        assert_eq!(world.read(3).await, ["x", "y", "z"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_follower_that_the_leader_names_is_read_until_it_fails() {
    let mut log = Log::new(&["a"]);
    log.preferred = Some(2);
    let mut world = World::new(log, &[("client.rack", "r2")]);
    assert_eq!(world.read(1).await, ["a"]);
    world.change(|log| {
        assert_eq!(log.fetched_from[..2], [1, 2]);
        log.broken = Some(2);
        log.preferred = None;
        log.records.push((1, "b"));
        log.fetched_from.clear();
    });
    assert_eq!(world.read(1).await, ["b"]);
    world.change(|log| assert_eq!(log.fetched_from.last(), Some(&1)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_user_stops_the_fetching() {
    let mut log = Log::new(&["v"; 100]);
    log.per_fetch = 10;
    let mut world = World::new(log, &[("max.poll.records", "5")]);
    assert_eq!(world.read(5).await.len(), 5);
    // Half a chunk is left, and the next one is fetched while that is worked on.
    tokio::time::advance(Duration::from_secs(60)).await;
    world.change(|log| assert_eq!(log.fetched_from.len(), 2));
    assert_eq!(world.read(5).await.len(), 5);
    tokio::time::advance(Duration::from_secs(60)).await;
    world.change(|log| assert_eq!(log.fetched_from.len(), 3));
    assert_eq!(world.read(90).await.len(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_loses_nothing() {
    let mut log = Log::new(&["a", "b", "c"]);
    log.per_fetch = 1;
    let mut world = World::new(log, &[]);
    assert_eq!(world.read(1).await, ["a"]);
    world.change(|log| log.broken = Some(1));
    let mut seen = Vec::new();
    for _ in 0..3 {
        if let Polled::Records(records) = world
            .consumer
            .poll(Duration::from_secs(1))
            .await
            .expect("poll")
        {
            seen.push(records[0].next_offset());
        }
    }
    world.change(|log| log.broken = None);
    let rest = world.read(2 - seen.len()).await;
    assert_eq!(rest, ["b", "c"][seen.len()..]);
}
