//! Retention and compaction as they run by themselves, under a clock of the test's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_embedded::{Clock, Config, Handle, Storage};
use kafka_wire::{BatchBuilder, BatchHeader, BatchKind, Compressor, ProducerState};
use tokio::io::DuplexStream;

use crate::support::*;

const DAY_MS: i64 = 86_400_000;

/// A log whose time of day the test decides; Tokio's time is paused.
struct Fixture {
    now_ms: Arc<AtomicI64>,
    log: Handle,
}

impl Fixture {
    async fn start() -> Fixture {
        let now_ms = Arc::new(AtomicI64::new(1_000 * DAY_MS));
        let clock = now_ms.clone();
        let config = Config {
            bind: None,
            clock: Clock::new(move || clock.load(Ordering::Relaxed)),
            ..Config::new(Storage::Memory)
        };
        let log = kafka_embedded::start(config).await.expect("it starts");
        Fixture { now_ms, log }
    }

    fn connect(&self) -> Client<DuplexStream> {
        Client::new(self.log.connect())
    }

    async fn advance(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).expect("not for ever");
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
        tokio::time::sleep(time).await;
    }

    fn batch(&self, pairs: &[(String, Option<String>)]) -> Bytes {
        let mut builder = BatchBuilder::new(1024);
        let now_ms = self.now_ms.load(Ordering::Relaxed);
        for (key, value) in pairs {
            let value = value.as_ref().map(String::as_bytes);
            builder
                .append(now_ms, Some(key.as_bytes()), value)
                .expect("it fits");
        }
        let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
        let finished = builder.finish(&header, &mut Compressor::none());
        finished.expect("a batch").bytes
    }
}

#[tokio::test(start_paused = true)]
async fn old_records_go_after_the_topics_retention() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect();
    client.create("t", &[("retention.ms", "3600000")]).await;
    for value in ["a", "b"] {
        let batch = fixture.batch(&[("k".to_owned(), Some(value.to_owned()))]);
        client.produce("t", batch).await;
        fixture.advance(Duration::from_secs(1800)).await;
    }
    // Both are in one segment, which is as old as its newest record.
    assert_eq!(client.fetch("t", 0, 0).await.1, ["a", "b"]);
    fixture.advance(Duration::from_secs(3600)).await;
    assert_eq!(client.fetch("t", 0, 0).await.0, 1);
    assert_eq!(client.fetch("t", 2, 0).await, (0, vec![]));
    let batch = fixture.batch(&[("k".to_owned(), Some("c".to_owned()))]);
    assert_eq!(client.produce("t", batch).await, (0, 2));
}

/// As Connect writes its offsets: few keys, for ever. A reader that starts anew reads little, ends
/// up with the newest values, and reaches the end.
#[tokio::test(start_paused = true)]
async fn a_compacted_topic_stays_short_and_complete() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect();
    let config = [("cleanup.policy", "compact"), ("segment.bytes", "1048576")];
    assert_eq!(client.create("t", &config).await, 0);
    let mut expected = BTreeMap::new();
    let mut end = 0;
    let padding = "x".repeat(200);
    for round in 0..60 {
        for part in 0..20 {
            let pairs: Vec<_> = (0..50)
                .map(|index| {
                    let key = format!("key-{}", (part * 50 + index) % 300);
                    let value = (index != 7).then(|| format!("{key}={round}-{part}-{padding}"));
                    (key, value)
                })
                .collect();
            let (error, base) = client.produce("t", fixture.batch(&pairs)).await;
            assert_eq!((error, base), (0, end));
            end += 50;
            expected.extend(pairs);
        }
        fixture.advance(Duration::from_secs(60)).await;
    }
    let mut seen = BTreeMap::new();
    let mut offset = 0;
    let mut records = 0;
    while offset < end {
        let response = client.call(&fetch("t", offset, 0), 11).await;
        let batches = &response.responses[0].partitions[0].records;
        let mut decompressor = kafka_wire::Decompressor::new(1 << 20);
        let before = offset;
        for batch in kafka_wire::RecordBatches::new(batches.clone().expect("records")) {
            let batch = batch.expect("sound");
            offset = batch.last_offset() + 1;
            let decoded = batch.decode(&mut decompressor).expect("sound");
            for record in decoded.records() {
                let record = record.expect("sound");
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let key = text(record.key.expect("a key"));
                seen.insert(key, record.value.map(text));
                records += 1;
            }
        }
        assert!(
            offset > before,
            "no batch at {before}, and the end is {end}"
        );
    }
    assert_eq!(seen, expected);
    assert!(records < 15_000, "{records} of {end} records are left");
}
