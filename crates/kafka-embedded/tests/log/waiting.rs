//! Requests that wait: for records, for a topic.

use std::time::Duration;

use kafka_embedded::{Config, Storage};
use tokio::time::{Instant, timeout};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn an_empty_poll_waits_as_long_as_it_said() {
    let log = start_in_memory().await;
    let mut client = Client::new(log.connect());
    client.create("t", &[]).await;
    let begin = Instant::now();
    assert_eq!(client.fetch("t", 0, 750).await, (0, vec![]));
    assert_eq!(begin.elapsed().as_millis(), 750);
}

#[tokio::test(start_paused = true)]
async fn a_record_wakes_all_that_wait_for_it_at_once() {
    let log = start_in_memory().await;
    let mut producer = Client::new(log.connect());
    producer.create("t", &[]).await;
    producer.create("other", &[]).await;
    let begin = Instant::now();
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut reader = Client::new(log.connect());
        readers.push(tokio::spawn(async move {
            let first = reader.fetch("t", 0, 60_000).await;
            let second = reader.fetch("t", 1, 60_000).await;
            (first, second)
        }));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    producer.produce("other", plain("no")).await;
    producer.produce("t", plain("a")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    producer.produce("t", plain("b")).await;
    for reader in readers {
        let seen = reader.await.expect("a reader");
        let one = |value: &str| (0, vec![value.to_owned()]);
        assert_eq!(seen, (one("a"), one("b")));
    }
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_wakes_its_readers() {
    use kafka_protocol::messages::DeleteTopicsRequest;
    let log = start_in_memory().await;
    let mut client = Client::new(log.connect());
    client.create("t", &[]).await;
    let mut reader = Client::new(log.connect());
    let reader = tokio::spawn(async move { reader.fetch("t", 0, 60_000).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t")]);
    assert_eq!(client.call(&request, 5).await.responses[0].error_code, 0);
    let seen = timeout(Duration::from_secs(1), reader).await;
    assert_eq!(seen.expect("at once").expect("a reader"), (3, vec![]));
}

/// What a cluster does to clients that are too quick, on request.
#[tokio::test(start_paused = true)]
async fn a_new_topic_can_take_its_time() {
    let config = Config {
        bind: None,
        topic_readable_after: Duration::from_millis(100),
        ..Config::new(Storage::Memory)
    };
    let log = kafka_embedded::start(config).await.expect("it starts");
    let mut client = Client::new(log.connect());
    assert_eq!(client.create("t", &[]).await, 0);
    assert_eq!(client.create("t", &[]).await, 36);
    assert_eq!(client.produce("t", plain("a")).await, (3, -1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.produce("t", plain("a")).await, (0, 0));
}
