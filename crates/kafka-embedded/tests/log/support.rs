//! A client that knows nothing but frames.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_embedded::{Config, Handle, Storage};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use kafka_wire::{
    BatchBuilder, BatchHeader, BatchKind, Compressor, Decompressor, ProducerState, RecordBatches,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub async fn start_in_memory() -> Handle {
    let config = Config {
        bind: None,
        ..Config::new(Storage::Memory)
    };
    kafka_embedded::start(config).await.expect("it starts")
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

pub struct Client<S> {
    pub stream: S,
    correlation_id: i32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S) -> Client<S> {
        Client {
            stream,
            correlation_id: 0,
        }
    }

    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        frame.put_i16(R::KEY);
        frame.put_i16(version);
        frame.put_i32(self.correlation_id);
        frame.put_i16(4);
        frame.put_slice(b"test");
        if R::header_version(version) >= 2 {
            frame.put_u8(0);
        }
        request.encode(&mut frame, version).expect("it is written");
        let length = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await.expect("it is sent");
        self.correlation_id
    }

    pub async fn receive<R: Decodable + HeaderVersion>(&mut self, version: i16) -> (i32, R) {
        let length = self.stream.read_i32().await.expect("a length");
        let mut bytes = vec![0; length as usize];
        self.stream.read_exact(&mut bytes).await.expect("a frame");
        let mut bytes = Bytes::from(bytes);
        let correlation_id = bytes.get_i32();
        if R::header_version(version) >= 1 {
            assert_eq!(bytes.get_u8(), 0);
        }
        let response = R::decode(&mut bytes, version).expect("it is read");
        assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
        (correlation_id, response)
    }

    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let sent = self.send(request, version).await;
        let (answered, response) = self.receive(version).await;
        assert_eq!(sent, answered);
        response
    }

    pub async fn create(&mut self, topic: &str, configs: &[(&str, &str)]) -> i16 {
        let config = |(name, value): &(&str, &str)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(1)
            .with_replication_factor(1)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        self.call(&request, 7).await.topics[0].error_code
    }

    /// Error and base offset.
    pub async fn produce(&mut self, topic: &str, batch: Bytes) -> (i16, i64) {
        let response = self.call(&produce(topic, batch, -1), 9).await;
        let response = &response.responses[0].partition_responses[0];
        (response.error_code, response.base_offset)
    }

    /// Error and values from `offset` on.
    pub async fn fetch(&mut self, topic: &str, offset: i64, wait_ms: i32) -> (i16, Vec<String>) {
        let request = fetch(topic, offset, wait_ms);
        values(&self.call(&request, 11).await)
    }
}

pub fn produce(topic: &str, batch: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch));
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_topic_data(vec![topic])
}

pub fn fetch(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

pub fn values(response: &FetchResponse) -> (i16, Vec<String>) {
    let partition = &response.responses[0].partitions[0];
    let records = partition.records.clone().unwrap_or_default();
    let mut values = Vec::new();
    for batch in RecordBatches::new(records) {
        let decoded = batch
            .and_then(|batch| batch.decode(&mut Decompressor::new(1 << 20)))
            .expect("sound");
        for record in decoded.records() {
            let value = record.expect("sound").value.unwrap_or_default().to_vec();
            values.push(String::from_utf8(value).expect("text"));
        }
    }
    (partition.error_code, values)
}

/// A batch of one record, as an idempotent producer sends it.
pub fn batch(producer: ProducerState, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(128);
    builder
        .append(1_000, Some(value.as_bytes()), Some(value.as_bytes()))
        .expect("it fits");
    let header = BatchHeader::produced(producer, BatchKind::Plain);
    let finished = builder.finish(&header, &mut Compressor::none());
    finished.expect("a batch").bytes
}

pub fn plain(value: &str) -> Bytes {
    batch(ProducerState::NONE, value)
}

pub fn error_of(response: &ProduceResponse) -> i16 {
    response.responses[0].partition_responses[0].error_code
}
