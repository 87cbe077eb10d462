//! What a million records cost. Prints figures; only meaningful with optimisation.

use std::time::{Duration, Instant};

use kafka_client::Client;
use kafka_client::consumer::Polled;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{BatchKind, Codec, ProducerState};

use crate::support::*;

const RECORDS: usize = 1_000_000;
/// About Java's `batch.size` of 16 KiB.
const PER_BATCH: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_records() {
    let Some(broker) = broker() else { return };
    for codec in [Codec::None, Codec::Lz4] {
        let topic = unique("million");
        broker.create_topic(&topic, 1).await;
        fill(&broker.client, &topic, codec).await;
        for max_poll_records in ["500", "100000"] {
            let properties = [
                ("auto.offset.reset", "earliest"),
                ("max.poll.records", max_poll_records),
            ];
            let mut consumer = broker.consumer(&properties);
            consumer.assign([tp(&topic, 0)]).expect("assigned");
            let (mut records, mut bytes, mut polls) = (0, 0, 0);
            let (started, cpu) = (Instant::now(), cpu_time());
            while records < RECORDS {
                let Polled::Records(batches) = consumer.poll(PATIENCE).await.expect("poll") else {
                    continue;
                };
                polls += 1;
                for record in batches.iter().flat_map(|batch| batch.iter()) {
                    bytes += record.expect("a record").value.map_or(0, <[u8]>::len);
                    records += 1;
                }
            }
            let (elapsed, cpu) = (started.elapsed(), cpu_time() - cpu);
            println!(
                "{codec} max.poll.records={max_poll_records}: {records} records, {bytes} bytes, {polls} polls, {:.2} s, \
                 {:.3} µs CPU per record",
                elapsed.as_secs_f64(),
                cpu.as_secs_f64() * 1e6 / records as f64,
            );
            assert_eq!((records, bytes), (RECORDS, RECORDS * 100));
        }
    }
}

async fn fill(client: &Client, topic: &str, codec: Codec) {
    let text = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(9);
    let values: Vec<String> = (0..PER_BATCH)
        .map(|number| text[number..number + 100].to_owned())
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let (leader, _) = client.metadata().leader(topic, 0).expect("created");
    let connection = client.connection(leader).await.expect("a connection");
    let mut under_way = std::collections::VecDeque::new();
    let mut sent = 0;
    while sent < RECORDS {
        let count = PER_BATCH.min(RECORDS - sent);
        let batch = batch(
            &values[..count],
            codec,
            ProducerState::NONE,
            BatchKind::Plain,
        );
        let data = PartitionProduceData::default().with_records(Some(batch));
        let name = TopicName(StrBytes::from_string(topic.to_owned()));
        let data = TopicProduceData::default()
            .with_name(name)
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        under_way.push_back(connection.enqueue(&request, PATIENCE).expect("queued"));
        sent += count;
        if under_way.len() > 50 {
            let response = under_way
                .pop_front()
                .expect("not empty")
                .await
                .expect("produced");
            assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
        }
    }
    for response in under_way {
        response.await.expect("produced");
    }
}

/// Time on a processor of all threads of this process.
fn cpu_time() -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let nanos = tasks.flatten().filter_map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
