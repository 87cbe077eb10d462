//! One connection against a broker made of a closure, under paused time.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, HeartbeatRequest,
    HeartbeatResponse, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::fake_broker::{Call, FakeCluster, Reply};
use crate::settings::RESPONSE_BYTES_MAX;

const SECOND: Duration = Duration::from_secs(1);

fn options() -> ConnectionOptions {
    ConnectionOptions {
        client_id: "me".to_owned(),
        max_idle: Some(540 * SECOND),
        response_bytes_max: RESPONSE_BYTES_MAX,
        negotiate_within: 10 * SECOND,
    }
}

async fn open(cluster: &FakeCluster) -> Result<Connection, ClientError> {
    open_with(cluster, options()).await
}

async fn open_with(
    cluster: &FakeCluster,
    options: ConnectionOptions,
) -> Result<Connection, ClientError> {
    let stream = cluster.stream().await;
    Connection::open(stream, "fake:9000", Some(1), &options, &NoAuthentication).await
}

/// A broker that negotiates, and answers the rest with `handler`.
fn broker(mut handler: impl FnMut(&Call) -> Reply + Send + 'static) -> FakeCluster {
    FakeCluster::new(move |call| match call.is::<ApiVersionsRequest>() {
        true => call.api_versions(),
        false => handler(call),
    })
}

/// Answers a heartbeat with its generation as error code, to tell answers apart.
fn echo(call: &Call) -> Reply {
    let generation = call.decode::<HeartbeatRequest>().generation_id;
    let response = HeartbeatResponse::default().with_error_code(generation as i16);
    call.answer::<HeartbeatRequest>(&response)
}

fn heartbeat(generation: i32) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_generation_id(generation)
        .with_group_instance_id(None)
}

#[tokio::test(start_paused = true)]
async fn requests_are_pipelined_and_answers_matched_in_order() {
    let connection = open(&broker(echo)).await.unwrap();
    let pending: Vec<_> = (1..=100)
        .map(|number| connection.enqueue(&heartbeat(number), SECOND).unwrap())
        .collect();
    assert_eq!(connection.in_flight(), 100);
    for (number, pending) in (1..).zip(pending) {
        assert_eq!(pending.await.unwrap().error_code, number);
    }
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_closes_the_connection_and_fails_the_others_as_disconnected() {
    let connection = open(&broker(|_| Reply::Silence)).await.unwrap();
    let late = connection.enqueue(&heartbeat(1), SECOND).unwrap();
    let other = connection.enqueue(&heartbeat(2), 30 * SECOND).unwrap();
    let started = Instant::now();
    let (late, other) = (late.await.unwrap_err(), other.await.unwrap_err());
    assert_eq!(started.elapsed().as_secs(), 1);
    assert_eq!(
        late.to_string(),
        "Heartbeat request to fake:9000 timed out after 1000 ms"
    );
    assert!(late.is_timeout() && late.is_retriable());
    assert_eq!(
        other.to_string(),
        "the connection to fake:9000 was closed because a Heartbeat request timed out (api=Heartbeat)"
    );
    assert!(other.is_disconnect() && other.is_retriable());
    connection.closed().await;
    let after = connection.enqueue(&heartbeat(3), SECOND).err().unwrap();
    assert_eq!(
        after.to_string(),
        "the connection to fake:9000 is closed (api=Heartbeat)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shorter_timeout_behind_a_longer_one_is_kept() {
    let connection = open(&broker(|_| Reply::Silence)).await.unwrap();
    let started = Instant::now();
    let long = connection.enqueue(&heartbeat(1), 300 * SECOND).unwrap();
    let short = connection.enqueue(&heartbeat(2), 5 * SECOND).unwrap();
    assert!(short.await.unwrap_err().is_timeout());
    assert!(long.await.unwrap_err().is_disconnect());
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_but_not_while_an_answer_is_awaited() {
    let later = |call: &Call| Reply::Later(100 * SECOND, Box::new(echo(call)));
    let options = ConnectionOptions {
        max_idle: Some(10 * SECOND),
        ..options()
    };
    let connection = open_with(&broker(later), options).await.unwrap();
    let started = Instant::now();
    let answer = connection
        .enqueue(&heartbeat(7), 200 * SECOND)
        .unwrap()
        .await
        .unwrap();
    assert_eq!((answer.error_code, started.elapsed().as_secs()), (7, 100));
    connection.closed().await;
    // The timer that watched the request finds out, so not at once, but no later than its deadline.
    assert!(
        (110..=210).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_lets_answers_arrive_first() {
    let later = |call: &Call| Reply::Later(SECOND, Box::new(echo(call)));
    let connection = open(&broker(later)).await.unwrap();
    let pending = connection.enqueue(&heartbeat(7), 30 * SECOND).unwrap();
    drop(connection);
    assert_eq!(pending.await.unwrap().error_code, 7);
}

#[tokio::test(start_paused = true)]
async fn closing_fails_what_is_under_way() {
    let connection = open(&broker(|_| Reply::Silence)).await.unwrap();
    let pending = connection.enqueue(&heartbeat(7), 30 * SECOND).unwrap();
    connection.close();
    let error = pending.await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the connection to fake:9000 was closed: closed by this client (api=Heartbeat)"
    );
}

#[tokio::test(start_paused = true)]
async fn produce_without_acknowledgement_resolves_when_written() {
    let connection = open(&broker(|_| Reply::Silence)).await.unwrap();
    let request = ProduceRequest::default()
        .with_acks(0)
        .with_transactional_id(None);
    let response = connection.enqueue(&request, SECOND).unwrap().await.unwrap();
    assert!(response.responses.is_empty());
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_response_arrives_whole() {
    let records = Bytes::from(vec![9; 3_000_000]);
    let sent = records.clone();
    let cluster = broker(move |call| {
        let partition = PartitionData::default().with_records(Some(sent.clone()));
        let topic = FetchableTopicResponse::default()
            .with_topic(TopicName(StrBytes::from_static_str("t")))
            .with_partitions(vec![partition]);
        call.answer::<FetchRequest>(&FetchResponse::default().with_responses(vec![topic]))
    });
    let connection = open(&cluster).await.unwrap();
    let response = connection
        .enqueue(&FetchRequest::default(), SECOND)
        .unwrap()
        .await
        .unwrap();
    assert_eq!(response.responses[0].partitions[0].records, Some(records));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_kafka_broker_is_named() {
    type Server = fn(&Call) -> Reply;
    let rows: [(Server, &str); 7] = [
        (
            |_| Reply::Raw(b"HTTP/1.1 400 Bad Request\r\n"),
            "fake:9000 does not answer like a Kafka broker (it speaks HTTP)",
        ),
        (
            |_| Reply::Raw(&[0x15, 3, 3, 0, 2, 2, 80]),
            "fake:9000 does not answer like a Kafka broker (it speaks TLS; set security.protocol=SSL or SASL_SSL)",
        ),
        (
            |_| Reply::Raw(b"\0\0\0\x0cgarbage bytes"),
            "fake:9000 does not answer like a Kafka broker (response to request 1734439522, expected 0)",
        ),
        (
            // An array of a billion entries in a small frame.
            |_| Reply::Raw(&[0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0]),
            "fake:9000 does not answer like a Kafka broker (its answer to ApiVersions makes no sense)",
        ),
        (
            |call| call.answer::<ApiVersionsRequest>(&ApiVersionsResponse::default()),
            "fake:9000 does not answer like a Kafka broker (its answer to ApiVersions makes no sense)",
        ),
        (
            |_| Reply::Silence,
            "fake:9000 did not answer within 10000 ms; is it a Kafka broker?",
        ),
        (
            |_| Reply::Close,
            "fake:9000 closed the connection instead of answering ApiVersions; \
             is security.protocol the one of that listener?",
        ),
    ];
    for (handler, expected) in rows {
        let error = open(&FakeCluster::new(handler)).await.expect_err(expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_later_ends_the_connection() {
    let cluster = broker(|call| {
        let response = HeartbeatResponse::default();
        Reply::Frame(call.frame::<HeartbeatRequest>(
            999,
            &response,
            call.header.request_api_version,
        ))
    });
    let connection = open(&cluster).await.unwrap();
    let error = connection
        .enqueue(&heartbeat(1), SECOND)
        .unwrap()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake:9000 does not answer like a Kafka broker (response to request 999, expected 1)"
    );
    connection.closed().await;
}

#[tokio::test(start_paused = true)]
async fn older_brokers_are_asked_again_in_their_version() {
    // What the broker says it speaks, and the versions in which it is asked then.
    for (theirs, expected) in [
        (Some(2), vec![4, 2]),
        (Some(3), vec![4, 3]),
        (None, vec![4, 0]),
    ] {
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = asked.clone();
        let cluster = FakeCluster::new(move |call| {
            let version = call.header.request_api_version;
            log.lock().unwrap().push(version);
            if version == 4 {
                let range = theirs.map(|max| {
                    ApiVersion::default()
                        .with_api_key(ApiVersionsRequest::KEY)
                        .with_max_version(max)
                });
                let refusal = ApiVersionsResponse::default()
                    .with_error_code(KafkaErrorCode::UNSUPPORTED_VERSION.0)
                    .with_api_keys(range.into_iter().collect());
                return Reply::Frame(call.frame::<ApiVersionsRequest>(
                    call.header.correlation_id,
                    &refusal,
                    0,
                ));
            }
            call.api_versions()
        });
        let connection = open(&cluster).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), expected);
        assert_eq!(connection.version_of::<MetadataRequest>().unwrap(), 13);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_api_is_an_error_before_anything_is_sent() {
    let cluster = FakeCluster::new(|call| call.api_versions_without(&[HeartbeatRequest::KEY]));
    let connection = open(&cluster).await.unwrap();
    let error = connection.enqueue(&heartbeat(1), SECOND).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the broker does not support Heartbeat in a version that this client speaks (3 to 4): \
         it does not offer it; Apache Kafka 3.0 or newer is needed (broker=fake:9000)"
    );
    assert_eq!(cluster.count::<HeartbeatRequest>(), 0);
}
