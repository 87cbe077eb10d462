//! What a connection does with what comes.

use kafka_embedded::{Config, Storage};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchResponse, MetadataRequest, MetadataResponse,
    ProduceResponse,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn answers_come_in_the_order_of_the_requests() {
    let log = start_in_memory().await;
    let mut client = Client::new(log.connect());
    client.create("t", &[]).await;
    // The first one waits, and the others with it.
    let fetched = client.send(&fetch("t", 0, 500), 11).await;
    let asked = client.send(&ApiVersionsRequest::default(), 3).await;
    let produced = client.send(&produce("t", plain("v"), 1), 9).await;
    let (first, response) = client.receive::<FetchResponse>(11).await;
    assert_eq!((first, values(&response)), (fetched, (0, vec![])));
    assert_eq!(client.receive::<ApiVersionsResponse>(3).await.0, asked);
    let (third, response) = client.receive::<ProduceResponse>(9).await;
    assert_eq!((third, error_of(&response)), (produced, 0));
}

#[tokio::test(start_paused = true)]
async fn unknown_versions_close_the_connection_but_for_api_versions() {
    let log = start_in_memory().await;
    let mut client = Client::new(log.connect());
    client
        .stream
        .write_all(&[0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 255, 255])
        .await
        .expect("sent");
    let (correlation_id, response) = client.receive::<ApiVersionsResponse>(0).await;
    assert_eq!((correlation_id, response.error_code), (7, 35));
    let keys: Vec<i16> = response.api_keys.iter().map(|api| api.api_key).collect();
    assert_eq!(keys, [18]);
    client
        .stream
        .write_all(&[0, 0, 0, 10, 0, 3, 0, 99, 0, 0, 0, 8, 255, 255])
        .await
        .expect("sent");
    assert_eq!(client.stream.read(&mut [0]).await.expect("closed"), 0);
}

#[tokio::test(start_paused = true)]
async fn acks_0_is_not_answered_and_its_failure_closes() {
    let log = start_in_memory().await;
    let mut client = Client::new(log.connect());
    client.create("t", &[]).await;
    client.send(&produce("t", plain("a"), 0), 9).await;
    assert_eq!(client.fetch("t", 0, 0).await, (0, vec!["a".to_owned()]));
    client.send(&produce("none", plain("a"), 0), 9).await;
    assert_eq!(client.stream.read(&mut [0]).await.expect("closed"), 0);
}

/// What is no client of Kafka is told by its first bytes, and costs nothing.
#[tokio::test]
async fn other_protocols_are_closed() {
    let log = kafka_embedded::start(Config::new(Storage::Memory))
        .await
        .expect("it starts");
    let address = log.address().expect("it listens");
    let tls_hello = [
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    let mut noise = vec![0u8; 100_000];
    let mut state = 7u64;
    for byte in &mut noise {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    noise[0] = 0x80; // A negative length.
    let rows: [(&str, &[u8]); 6] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("TLS", &tls_hello),
        ("noise", &noise),
        ("too short", &[0, 0, 0, 7, 0, 3, 0]),
        ("too long", &[0x06, 0x40, 0x00, 0x01, 0, 3, 0, 12]),
        // A metadata request with 2^31-1 topics.
        (
            "untrue",
            &[
                0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 127, 255, 255, 255,
            ],
        ),
    ];
    for (name, bytes) in rows {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        // It may be closed before all is written.
        _ = stream.write_all(bytes).await;
        let mut left = Vec::new();
        let ended = stream.read_to_end(&mut left).await;
        assert!(left.is_empty(), "{name}: {ended:?}");
    }
    let mut client = Client::new(TcpStream::connect(address).await.expect("connected"));
    let request = MetadataRequest::default().with_topics(None);
    let response: MetadataResponse = client.call(&request, 12).await;
    assert_eq!(response.brokers[0].port, i32::from(address.port()));
    assert_eq!(response.cluster_id.as_deref(), Some(log.cluster_id()));
    log.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn with_a_seed_ids_are_the_same_in_each_run() {
    let ids = || async {
        let config = Config {
            bind: None,
            seed: Some(42),
            ..Config::new(Storage::Memory)
        };
        let log = kafka_embedded::start(config).await.expect("it starts");
        let mut client = Client::new(log.connect());
        client.create("t", &[]).await;
        let request = MetadataRequest::default().with_topics(None);
        let response = client.call(&request, 12).await;
        (log.cluster_id().to_owned(), response.topics[0].topic_id)
    };
    assert_eq!(ids().await, ids().await);
}
