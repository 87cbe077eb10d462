//! Requests that are sound, and requests that are not.
//!
//! Sound ones are made at random along the table of layouts; that the message crate reads each of
//! them, and writes the same bytes again, says that the table is right. Unsound ones are sound ones
//! with random damage. `KAFKA_EMBEDDED_FUZZ_FRAMES` says how many; each prints its seed on failure.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ProducerState};
use tokio::sync::Notify;

use super::{Peer, Unanswerable, answer};
use crate::broker::Broker;
use crate::request::guard::{self, ELEMENTS_MAX, Untrue};
use crate::request::schema::{APIS, Api, Field, Kind};
use crate::{Config, Storage};

/// Counts what this thread allocates.
struct Watchful;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        _ = ALLOCATED.try_with(|total| total.set(total.get().saturating_add(layout.size())));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

struct Writer<'a> {
    random: &'a mut Random,
    out: BytesMut,
    version: i16,
    flexible: bool,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field]) {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.field(&field.kind);
            }
        }
    }

    fn field(&mut self, kind: &Kind) {
        match kind {
            // Also a boolean, and mostly an index or a count.
            Kind::Fixed(bytes) => {
                let value = self.random.below(2) as u128;
                self.out.put_slice(&value.to_be_bytes()[16 - bytes..]);
            }
            Kind::Text => {
                let words = [
                    "",
                    "a",
                    "topic",
                    "transaction-7",
                    "a-group-with-a-longer-name",
                ];
                let word = words[self.random.below(words.len())];
                match self.flexible {
                    true => self.varint(word.len() + 1),
                    false => self.out.put_i16(word.len() as i16),
                }
                self.out.put_slice(word.as_bytes());
            }
            // A batch, or noise.
            Kind::Bytes if self.random.below(2) == 0 => {
                let batch = a_batch(self.random);
                self.count(batch.len());
                self.out.put_slice(&batch);
            }
            Kind::Bytes => {
                let length = self.random.below(200);
                self.count(length);
                for _ in 0..length {
                    let byte = self.random.next() as u8;
                    self.out.put_u8(byte);
                }
            }
            Kind::Array(fields) => {
                let count = self.random.below(4);
                self.count(count);
                for _ in 0..count {
                    self.fields(fields);
                    self.tags();
                }
            }
            Kind::Simple(kind) => {
                let count = self.random.below(4);
                self.count(count);
                for _ in 0..count {
                    self.field(kind);
                }
            }
        }
    }

    fn tags(&mut self) {
        if self.flexible {
            let count = self.random.below(2);
            self.varint(count);
            if count > 0 {
                self.varint(1000);
                self.varint(3);
                self.out.put_slice(b"tag");
            }
        }
    }

    fn count(&mut self, count: usize) {
        match self.flexible {
            true => self.varint(count + 1),
            false => self.out.put_i32(count as i32),
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.put_u8(value as u8);
    }
}

/// As a producer sends it, of some kind and codec.
fn a_batch(random: &mut Random) -> Bytes {
    let kinds = [
        BatchKind::Plain,
        BatchKind::Transactional,
        BatchKind::Control,
    ];
    let codecs = [Codec::None, Codec::Gzip, Codec::Lz4, Codec::Zstd];
    let producer = match random.below(2) {
        0 => ProducerState::NONE,
        _ => ProducerState {
            id: 0,
            epoch: 0,
            base_sequence: random.below(3) as i32,
        },
    };
    let mut builder = BatchBuilder::new(128);
    for _ in 0..=random.below(3) {
        builder.append(1, Some(b"k"), None).expect("it fits");
    }
    let header = BatchHeader::produced(producer, kinds[random.below(kinds.len())]);
    let mut compressor =
        Compressor::new(codecs[random.below(codecs.len())], None).expect("a codec");
    builder
        .finish(&header, &mut compressor)
        .expect("a batch")
        .bytes
}

fn layout_of(api: &Api) -> &'static [Field] {
    Api::of(api.key as i16).expect("it is in the table").1
}

fn body_of(random: &mut Random, api: &Api, version: i16) -> Bytes {
    let mut writer = Writer {
        random,
        out: BytesMut::new(),
        version,
        flexible: version >= api.flexible_from,
    };
    writer.fields(layout_of(api));
    writer.tags();
    writer.out.freeze()
}

fn frame_of(api: &Api, version: i16, body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(api.key as i16);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(2);
    frame.put_slice(b"me");
    if version >= api.flexible_from {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame
}

/// The same bytes, decoded and encoded again.
fn again(api: &Api, version: i16, body: &Bytes) -> Option<Bytes> {
    fn through<R: Decodable + Encodable>(version: i16, body: &Bytes) -> Bytes {
        let mut rest = body.clone();
        let request = R::decode(&mut rest, version).expect("it is read");
        assert!(rest.is_empty(), "{} bytes are left", rest.len());
        let mut out = BytesMut::new();
        request.encode(&mut out, version).expect("it is written");
        out.freeze()
    }
    macro_rules! by_key {
        ($($key:ident => $request:ty,)*) => {
            match api.key {
                $(ApiKey::$key => Some(through::<$request>(version, body)),)*
                _ => None,
            }
        };
    }
    by_key! {
        Produce => ProduceRequest,
        Fetch => FetchRequest,
        ListOffsets => ListOffsetsRequest,
        Metadata => MetadataRequest,
        OffsetCommit => OffsetCommitRequest,
        OffsetFetch => OffsetFetchRequest,
        FindCoordinator => FindCoordinatorRequest,
        JoinGroup => JoinGroupRequest,
        Heartbeat => HeartbeatRequest,
        LeaveGroup => LeaveGroupRequest,
        SyncGroup => SyncGroupRequest,
        DescribeGroups => DescribeGroupsRequest,
        ListGroups => ListGroupsRequest,
        ApiVersions => ApiVersionsRequest,
        CreateTopics => CreateTopicsRequest,
        DeleteTopics => DeleteTopicsRequest,
        DeleteRecords => DeleteRecordsRequest,
        InitProducerId => InitProducerIdRequest,
        AddPartitionsToTxn => AddPartitionsToTxnRequest,
        AddOffsetsToTxn => AddOffsetsToTxnRequest,
        EndTxn => EndTxnRequest,
        TxnOffsetCommit => TxnOffsetCommitRequest,
        DescribeAcls => DescribeAclsRequest,
        DescribeConfigs => DescribeConfigsRequest,
        DescribeLogDirs => DescribeLogDirsRequest,
        CreatePartitions => CreatePartitionsRequest,
        DeleteGroups => DeleteGroupsRequest,
        OffsetDelete => OffsetDeleteRequest,
        IncrementalAlterConfigs => IncrementalAlterConfigsRequest,
        DescribeCluster => DescribeClusterRequest,
        DescribeProducers => DescribeProducersRequest,
        DescribeTransactions => DescribeTransactionsRequest,
        ListTransactions => ListTransactionsRequest,
        ListConfigResources => ListConfigResourcesRequest,
    }
}

#[test]
fn the_table_is_the_layout_that_the_decoder_reads() {
    let mut random = Random(1);
    for api in APIS {
        for version in api.min_version..=api.max_version {
            for _ in 0..50 {
                let body = body_of(&mut random, api, version);
                let checked = guard::check(api, layout_of(api), version, &body);
                assert_eq!(checked, Ok(()), "{:?} version {version}", api.key);
                let written = again(api, version, &body).expect("every key is listed here");
                assert_eq!(written, body, "{:?} version {version}", api.key);
            }
        }
    }
}

/// Cut anywhere, a request is refused by the guard alone.
#[test]
fn a_request_that_ends_early_is_refused() {
    let mut random = Random(2);
    for api in APIS {
        for version in api.min_version..=api.max_version {
            let body = body_of(&mut random, api, version);
            for length in 0..body.len() {
                let checked = guard::check(api, layout_of(api), version, &body[..length]);
                assert!(checked.is_err(), "{:?} version {version}", api.key);
            }
        }
    }
}

#[test]
fn counts_are_bounded_even_when_they_are_true() {
    let (api, layout) = Api::of(ApiKey::Metadata as i16).expect("advertised");
    let topics = |count: usize| {
        let mut body = BytesMut::new();
        body.put_i32(count as i32);
        body.put_bytes(0, count * 2);
        body
    };
    let check = |body: &[u8]| guard::check(api, layout, 0, body);
    assert_eq!(check(&topics(ELEMENTS_MAX)), Ok(()));
    assert_eq!(check(&topics(ELEMENTS_MAX + 1)), Err(Untrue::TooMany));
    assert_eq!(check(&(-2i32).to_be_bytes()), Err(Untrue::Negative));
    assert_eq!(check(&i32::MAX.to_be_bytes()), Err(Untrue::TooMany));
    assert_eq!(check(&9i32.to_be_bytes()), Err(Untrue::Short));
}

fn peer() -> Peer {
    Peer {
        host: "/127.0.0.1".to_owned(),
        reached: ("127.0.0.1".to_owned(), 9092),
        wake: Arc::new(Notify::new()),
    }
}

fn broker() -> Arc<Broker> {
    let broker = Broker::open(Config::new(Storage::Memory)).expect("in memory");
    let topic = broker.create_topic("topic", 2, Default::default());
    assert!(topic.is_some());
    Arc::new(broker)
}

/// Each advertised version of each request gets an answer: none has a field that it lacks.
#[tokio::test(start_paused = true)]
async fn every_advertised_version_is_answered() {
    let mut random = Random(3);
    let peer = peer();
    for api in APIS {
        for version in api.min_version..=api.max_version {
            let broker = broker();
            for _ in 0..20 {
                let body = body_of(&mut random, api, version);
                let frame = frame_of(api, version, &body).freeze();
                let answered = within_a_day(answer(&broker, &peer, frame)).await;
                match answered {
                    // acks=0, and the damaged batch was refused.
                    Err(Unanswerable::SilentFailure) | Ok(None) if api.key == ApiKey::Produce => {}
                    Ok(Some(bytes)) => assert_eq!(bytes[4..8], 77i32.to_be_bytes()),
                    other => panic!("{:?} version {version}: {other:?}", api.key),
                }
            }
        }
    }
}

/// Nothing that a client asks for takes longer than a day of paused time.
async fn within_a_day<T>(future: impl Future<Output = T>) -> T {
    let day = std::time::Duration::from_secs(86_400 * 30);
    tokio::time::timeout(day, future)
        .await
        .expect("it is answered")
}

/// A request of a few bytes cannot make more partitions than one is allowed.
#[tokio::test(start_paused = true)]
async fn partitions_are_bounded_by_request() {
    let topic = |index: i32| {
        let name = StrBytes::from_string(format!("many-{index}"));
        create_topics_request::CreatableTopic::default()
            .with_name(TopicName(name))
            .with_num_partitions(4_000)
            .with_replication_factor(1)
    };
    let request = CreateTopicsRequest::default().with_topics((0..100).map(topic).collect());
    let mut body = BytesMut::new();
    request.encode(&mut body, 7).expect("it is written");
    let api = Api::of(ApiKey::CreateTopics as i16).expect("advertised").0;
    let frame = frame_of(api, 7, &body).freeze();
    let answered = answer(&broker(), &peer(), frame).await.expect("answered");
    let mut answered = answered.expect("an answer").slice(9..);
    let response = CreateTopicsResponse::decode(&mut answered, 7).expect("it is read");
    let errors: Vec<i16> = response
        .topics
        .iter()
        .map(|topic| topic.error_code)
        .collect();
    assert_eq!(errors[..3], [0, 0, 44]);
    assert!(errors[2..].iter().all(|error| *error == 44));
}

fn damage(random: &mut Random, frame: &mut BytesMut) {
    for _ in 0..=random.below(3) {
        if frame.is_empty() {
            return;
        }
        let at = random.below(frame.len());
        match random.below(7) {
            0 => frame[at] = random.next() as u8,
            1 => frame[at] ^= 1 << random.below(8),
            2 => frame.truncate(at),
            // A count of thousands of millions, in either encoding.
            3 => frame[at..].iter_mut().take(5).for_each(|byte| *byte = 0xff),
            4 => {
                let large = [0x7f, 0xff, 0xff, 0xff];
                let tail = frame[at..].iter_mut();
                tail.zip(large).for_each(|(byte, large)| *byte = large);
            }
            5 => {
                let part = frame.split_off(at);
                frame.put_slice(&part);
                frame.put_slice(&part);
            }
            _ => {
                let more = random.below(64);
                for _ in 0..more {
                    let byte = random.next() as u8;
                    frame.put_u8(byte);
                }
            }
        }
    }
}

/// Damaged requests are answered or refused, and take no more memory than sound ones.
#[tokio::test(start_paused = true)]
async fn damaged_requests_do_no_harm() {
    let frames = std::env::var("KAFKA_EMBEDDED_FUZZ_FRAMES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000u64);
    let peer = peer();
    let mut broker = broker();
    for seed in 0..frames {
        if seed % 1000 == 0 {
            broker = self::broker();
        }
        let mut random = Random(seed.wrapping_mul(0x0005_deec_e66d));
        let api = &APIS[random.below(APIS.len())];
        let versions = (api.max_version - api.min_version + 1) as usize;
        let version = api.min_version + random.below(versions) as i16;
        let body = body_of(&mut random, api, version);
        let mut frame = frame_of(api, version, &body);
        damage(&mut random, &mut frame);
        ALLOCATED.with(|total| total.set(0));
        _ = within_a_day(answer(&broker, &peer, frame.freeze())).await;
        let allocated = ALLOCATED.with(Cell::get);
        assert!(
            allocated < 64 * 1024 * 1024,
            "seed {seed}: {allocated} bytes for {:?} version {version}",
            api.key
        );
    }
}
