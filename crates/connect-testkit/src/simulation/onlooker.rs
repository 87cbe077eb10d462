//! What is in the log, for invariants.
//!
//! Lives here: [`Onlooker`], whom the weather does not reach: topics made, partitions read to their
//! end, offsets of a group.
//! Never here: a producer, a consumer: what is proved is not proved by itself.

use std::time::Duration;

use bytes::Bytes;
use kafka_client::client::Refresh;
use kafka_client::settings::{ConnectionSettings, HostPort};
use kafka_client::{Client, Target};
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use kafka_protocol::messages::{BrokerId, GroupId, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use kafka_wire::{Decompressor, RecordBatches};

use super::Network;

/// A record as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// Longer than a log is away.
const PATIENCE: Duration = Duration::from_secs(600);

/// Looks at the log past the weather. While the log is not there, it waits.
pub struct Onlooker {
    client: Client,
}

impl Onlooker {
    pub fn new(network: &Network) -> Onlooker {
        let settings = ConnectionSettings {
            bootstrap_servers: vec![HostPort::new("embedded", 9092)],
            client_id: "onlooker".to_owned(),
            ..ConnectionSettings::default()
        };
        Onlooker {
            client: Client::new(settings, network.calm_dial("onlooker")),
        }
    }

    pub async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        });
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let answer = self.ask(Target::Controller, &request).await;
        let created = &answer.topics[0];
        assert_eq!(created.error_code, 0, "{:?}", created.error_message);
    }

    /// Every record of a partition, in order.
    pub async fn read(&self, topic: &str, partition: i32) -> Vec<Stored> {
        let topics = [topic];
        let ask = |_| self.client.refresh_metadata(Refresh::Topics(&topics));
        let metadata = self.client.retry("look at the topic", PATIENCE, ask).await;
        let metadata = metadata.expect("the log answers the onlooker");
        let Some((leader, _)) = metadata.leader(topic, partition) else {
            return Vec::new();
        };
        let mut records = Vec::new();
        let mut decompressor = Decompressor::new(1 << 30);
        let mut offset = 0;
        loop {
            let asked = FetchPartition::default()
                .with_partition(partition)
                .with_fetch_offset(offset)
                .with_partition_max_bytes(8 << 20);
            let topics = FetchTopic::default()
                .with_topic(TopicName(text(topic)))
                .with_partitions(vec![asked]);
            let request = FetchRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_max_bytes(32 << 20)
                .with_topics(vec![topics]);
            let mut answer = self.ask(Target::Broker(leader), &request).await;
            let data = answer.responses.remove(0).partitions.remove(0);
            assert_eq!(
                data.error_code, 0,
                "fetch of {topic}-{partition} at {offset}"
            );
            for batch in RecordBatches::new(data.records.unwrap_or_default()) {
                let batch = batch.expect("the log has good batches");
                let decoded = batch
                    .decode(&mut decompressor)
                    .expect("the log has good batches");
                for record in decoded.records() {
                    let record = record.expect("the log has good records");
                    assert_eq!(record.offset, offset, "{topic}-{partition} has a gap");
                    offset += 1;
                    records.push(Stored {
                        offset: record.offset,
                        key: record.key.map(Bytes::copy_from_slice),
                        value: record.value.map(Bytes::copy_from_slice),
                    });
                }
            }
            if offset >= data.high_watermark {
                return records;
            }
        }
    }

    async fn ask<R: Request + 'static>(&self, target: Target<'_>, request: &R) -> R::Response {
        let ask = |_| self.client.request(target, request);
        let answer = self.client.retry("look at the log", PATIENCE, ask).await;
        answer.expect("the log answers the onlooker")
    }

    /// What a group has committed, by topic and partition.
    pub async fn committed(&self, group: &str) -> Vec<(String, i32, i64)> {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(None);
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer = self.ask(Target::Any, &request).await;
        let mut committed = Vec::new();
        for topic in &answer.groups[0].topics {
            for partition in &topic.partitions {
                let (index, offset) = (partition.partition_index, partition.committed_offset);
                committed.push((topic.name.to_string(), index, offset));
            }
        }
        committed.sort();
        committed
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
