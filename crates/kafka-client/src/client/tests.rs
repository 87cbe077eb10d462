//! A client against a cluster made of a closure, under paused time.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, DescribeClusterRequest, DescribeClusterResponse,
    HeartbeatRequest, HeartbeatResponse, MetadataRequest,
};

use super::*;
use crate::fake_broker::{Call, FakeCluster, Reply};
use crate::settings::MetadataRecovery;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> ConnectionSettings {
    ConnectionSettings {
        bootstrap_servers: vec![HostPort::new("fake", 9000)],
        client_id: "me".to_owned(),
        ..ConnectionSettings::default()
    }
}

fn client(cluster: &FakeCluster) -> Client {
    Client::new(settings(), Arc::new(cluster.clone()))
}

/// Negotiates, knows brokers 1 and 2 and topic `t`; the rest is `handler`'s.
fn normal(call: &Call) -> Reply {
    if call.is::<ApiVersionsRequest>() {
        return call.api_versions();
    }
    if call.is::<FindCoordinatorRequest>() {
        let found = Coordinator::default()
            .with_node_id(BrokerId(2))
            .with_host(StrBytes::from_string(call.host.clone()))
            .with_port(9002);
        return call.answer::<FindCoordinatorRequest>(
            &FindCoordinatorResponse::default().with_coordinators(vec![found]),
        );
    }
    if call.is::<HeartbeatRequest>() {
        return call.answer::<HeartbeatRequest>(&HeartbeatResponse::default());
    }
    if call.is::<DescribeClusterRequest>() {
        let response =
            DescribeClusterResponse::default().with_controller_id(BrokerId(call.port.into()));
        return call.answer::<DescribeClusterRequest>(&response);
    }
    call.metadata(&[1, 2], &["t"])
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")
}

#[tokio::test(start_paused = true)]
async fn nobody_at_home_is_one_sentence() {
    let cluster = FakeCluster::with_dial(|_, _| Err(refused()), normal);
    let error = client(&cluster)
        .refresh_metadata(Refresh::Tracked)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not connect to any of bootstrap.servers=fake:9000 (connection refused); \
         is the broker running and the port right?"
    );
    assert!(error.is_retriable() && error.is_disconnect());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_broker_is_not_tried_for_ever() {
    let cluster = FakeCluster::new(|_| Reply::Raw(b"HTTP/1.1 400"));
    let error = client(&cluster)
        .retry("asking", 60 * SECOND, |_| async {
            Err::<(), _>(
                client(&cluster)
                    .refresh_metadata(Refresh::All)
                    .await
                    .unwrap_err(),
            )
        })
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "fake:9000 does not answer like a Kafka broker (it speaks HTTP)"
    );
    assert_eq!(error.kind(), crate::ErrorKind::Fatal);
}

#[tokio::test(start_paused = true)]
async fn requests_go_where_they_belong() {
    let cluster = FakeCluster::new(normal);
    let client = client(&cluster);
    // The fake broker answers with its port as controller.
    let rows = [
        (Target::Broker(2), 9002),
        (Target::Controller, 9001),
        (Target::Coordinator(CoordinatorKind::Group, "g"), 9002),
    ];
    for (target, port) in rows {
        let answer = client
            .request(target, &DescribeClusterRequest::default())
            .await
            .unwrap();
        assert_eq!(answer.controller_id.0, port, "{target:?}");
    }
    let error = client
        .request(Target::Broker(7), &DescribeClusterRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "broker 7 is not in the metadata of the cluster"
    );
    assert!(error.is_retriable());
}

#[tokio::test(start_paused = true)]
async fn many_asks_are_one_request_and_many_callers_one_connection() {
    let cluster = FakeCluster::new(|call| match call.is::<ApiVersionsRequest>() {
        true => Reply::Later(SECOND, Box::new(normal(call))),
        false => normal(call),
    });
    let client = client(&cluster);
    let asks = (0..10).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            client
                .refresh_metadata(Refresh::Topics(&["t"]))
                .await
                .unwrap()
        })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap().leader("t", 0), Some((1, 1)));
    }
    // Asks that come while the first request is under way share a second one.
    assert!(cluster.count::<MetadataRequest>() <= 2);
    let connects = (0..10).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.connection(1).await.unwrap() })
    });
    for connect in connects.collect::<Vec<_>>() {
        assert_eq!(connect.await.unwrap().address(), "fake:9001");
    }
    assert_eq!(
        cluster
            .dials()
            .iter()
            .filter(|(_, port)| *port == 9001)
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn reconnects_back_off_exponentially() {
    let cluster = FakeCluster::with_dial(
        |_, port| match port {
            9001 => Err(refused()),
            _ => Ok(()),
        },
        normal,
    );
    let client = client(&cluster);
    for _ in 0..8 {
        let error = client.connection(1).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not connect to fake:9001: connection refused"
        );
    }
    let dials: Vec<Instant> = cluster
        .dials()
        .into_iter()
        .filter(|(_, port)| *port == 9001)
        .map(|(at, _)| at)
        .collect();
    let waits = dials.windows(2).map(|pair| (pair[1] - pair[0]).as_millis());
    for (wait, centre) in waits.zip([50, 100, 200, 400, 800, 1000, 1000]) {
        assert!(
            (centre * 8 / 10..=centre * 12 / 10 + 1).contains(&wait),
            "{wait} is not about {centre}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_up_at_once_is_not_hammered() {
    let cluster = FakeCluster::new(|call| match call.is::<HeartbeatRequest>() {
        true => Reply::Close,
        false => normal(call),
    });
    let client = client(&cluster);
    let started = Instant::now();
    for _ in 0..20 {
        let request = HeartbeatRequest::default().with_group_instance_id(None);
        let error = client
            .request(Target::Broker(1), &request)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "fake:9001 closed the connection before answering Heartbeat (api=Heartbeat)"
        );
    }
    assert!(
        started.elapsed() >= Duration::from_millis(19 * 40),
        "{:?}",
        started.elapsed()
    );
}

/// `alive`: brokers can be reached. The bootstrap server always can.
fn failing_brokers(alive: &Arc<AtomicBool>) -> FakeCluster {
    let alive = alive.clone();
    FakeCluster::with_dial(
        move |_, port| match port == 9000 || alive.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(refused()),
        },
        normal,
    )
}

#[tokio::test(start_paused = true)]
async fn bootstrap_servers_help_when_no_known_broker_answers() {
    for (recovery, expected) in [
        (MetadataRecovery::Rebootstrap, true),
        (MetadataRecovery::None, false),
    ] {
        let alive = Arc::new(AtomicBool::new(false));
        let cluster = failing_brokers(&alive);
        let settings = ConnectionSettings {
            metadata_recovery: recovery,
            ..settings()
        };
        let client = Client::new(settings, Arc::new(cluster.clone()));
        client.refresh_metadata(Refresh::Tracked).await.unwrap();
        // Its bootstrap connection is gone now, and the brokers are not there.
        let again = client.refresh_metadata(Refresh::Tracked).await;
        assert_eq!(again.is_ok(), expected, "{recovery:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn coordinators_are_remembered_until_the_connection_is_lost() {
    let heartbeats = Arc::new(AtomicUsize::new(0));
    let counted = heartbeats.clone();
    let cluster = FakeCluster::new(move |call| {
        let third = call.is::<HeartbeatRequest>() && counted.fetch_add(1, Ordering::SeqCst) == 2;
        match third {
            true => Reply::Close,
            false => normal(call),
        }
    });
    let client = client(&cluster);
    let target = Target::Coordinator(CoordinatorKind::Group, "g");
    let request = HeartbeatRequest::default().with_group_instance_id(None);
    client.request(target, &request).await.unwrap();
    client.request(target, &request).await.unwrap();
    assert_eq!(cluster.count::<FindCoordinatorRequest>(), 1);
    client.request(target, &request).await.unwrap_err();
    client.request(target, &request).await.unwrap();
    assert_eq!(cluster.count::<FindCoordinatorRequest>(), 2);
}

#[tokio::test(start_paused = true)]
async fn tracked_topics_are_refreshed_when_they_are_old() {
    let cluster = FakeCluster::new(|call| {
        if call.is::<MetadataRequest>() {
            let topics = call
                .decode::<MetadataRequest>()
                .topics
                .expect("named topics");
            let names: Vec<String> = topics
                .iter()
                .map(|topic| topic.name.as_ref().expect("a name").to_string())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return call.metadata(&[1], &names);
        }
        normal(call)
    });
    let client = client(&cluster);
    client.track_topics(["a"]);
    client.refresh_metadata(Refresh::Tracked).await.unwrap();
    let first = client
        .refresh_metadata(Refresh::Topics(&["b"]))
        .await
        .unwrap();
    assert!(first.topic("a").is_some() && first.topic("b").is_some());
    let started = Instant::now();
    let second = client.wait_for_metadata_change(first.generation).await;
    assert_eq!(started.elapsed().as_secs(), 300);
    assert!(second.topic("a").is_some() && second.topic("b").is_none());
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_last_reason() {
    let cluster = FakeCluster::new(normal);
    let client = client(&cluster);
    let started = Instant::now();
    let outcome: Result<(), _> = client
        .retry("describing g", 5 * SECOND, |_| async {
            Err(ClientError::from_code(
                KafkaErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ))
        })
        .await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "describing g timed out after 5000 ms: COORDINATOR_LOAD_IN_PROGRESS: \
         The coordinator is loading and hence can't process requests"
    );
    assert!((4..=5).contains(&started.elapsed().as_secs()));

    let attempts = AtomicUsize::new(0);
    let outcome = client
        .retry("trying", 5 * SECOND, |number| {
            attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                match number {
                    0..3 => Err(ClientError::from_code(KafkaErrorCode::NOT_COORDINATOR)),
                    3 => Ok("done"),
                    _ => Err(ClientError::fatal("too many")),
                }
            }
        })
        .await;
    assert_eq!((outcome.unwrap(), attempts.into_inner()), ("done", 4));
}

#[tokio::test(start_paused = true)]
async fn a_tracked_topic_is_asked_for_until_it_has_a_leader() {
    let answers = Arc::new(AtomicUsize::new(0));
    let counted = answers.clone();
    let cluster = FakeCluster::new(move |call| {
        if !call.is::<MetadataRequest>() {
            return normal(call);
        }
        match counted.fetch_add(1, Ordering::SeqCst) {
            // The topic is not there at first, and once the broker hangs up.
            0 | 1 => call.metadata(&[1], &[]),
            2 => Reply::Close,
            _ => call.metadata(&[1], &["t"]),
        }
    });
    let client = client(&cluster);
    client.track_topics(["t"]);
    client.request_metadata_refresh();
    let mut watch = client.watch_metadata();
    let started = Instant::now();
    watch
        .wait_for(|metadata| metadata.leader("t", 0).is_some())
        .await
        .unwrap();
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
    assert_eq!(answers.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_client_closes_its_connections() {
    let cluster = FakeCluster::new(normal);
    let client = client(&cluster);
    let connection = client.connection(1).await.unwrap();
    client
        .request(Target::Broker(2), &DescribeClusterRequest::default())
        .await
        .unwrap();
    drop(client);
    // A connection that somebody still holds goes on.
    let request = HeartbeatRequest::default().with_group_instance_id(None);
    connection.enqueue(&request, SECOND).unwrap().await.unwrap();
    drop(connection);
    cluster.all_hung_up().await;
}
