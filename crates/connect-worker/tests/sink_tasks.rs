//! The loop of sink tasks on a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use connect_api::{ConnectError, TopicName, TopicPartition};
use connect_worker::TargetState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::Bench;
use support::plugins::task_config;

/// Records come one at a time, each to a `put` of its own.
const SINGLY: &str = "consumer.override.max.poll.records=1";

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_a_sink_come_in_order_and_offsets_are_committed_before_it_closes() {
    let Some(mut bench) = Bench::new("sink-order", "") else {
        return;
    };
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 1).await;
    bench.produce(&topic, 0, &["a", "b"]).await;
    let (sink, name) = bench.sink("s", SINGLY).await;
    sink.called("put b").await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    let calls = sink.calls();
    let expected = [
        "connector start",
        "start",
        "open 0",
        "put a",
        "put b",
        "pre_commit 0@2",
        "close 0",
        "stop",
        "connector stop",
    ];
    assert_eq!(calls, expected);
    assert_eq!(bench.committed(&name).await, Some(2));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_comes_again_and_nothing_else_meanwhile() {
    let Some(mut bench) = Bench::new("sink-retry", "") else {
        return;
    };
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 1).await;
    bench.produce(&topic, 0, &["a", "b", "c"]).await;
    let (shared, config, _) = bench.prepare("ScriptedSink", "s", SINGLY, "topics");
    let refusals = AtomicU32::new(0);
    shared.on_put(move |context, records| {
        let is_b = records
            .first()
            .is_some_and(|it| it.value.as_str() == Some("b"));
        if is_b && refusals.fetch_add(1, Ordering::Relaxed) < 3 {
            context.timeout(Duration::from_millis(20));
            context.request_commit();
            return Err(ConnectError::retriable("full"));
        }
        Ok(())
    });
    bench
        .worker
        .start_connector(config, TargetState::Started)
        .await
        .unwrap();
    let calls = shared.called("put c").await;
    let puts: Vec<_> = calls.iter().filter(|it| it.starts_with("put")).collect();
    assert_eq!(puts, ["put a", "put b", "put b", "put b", "put b", "put c"]);
    // What is refused is not delivered.
    let commits: Vec<_> = calls
        .iter()
        .filter(|it| it.starts_with("pre_commit"))
        .collect();
    assert!(
        !commits.is_empty() && commits.iter().all(|it| *it == "pre_commit 0@1"),
        "{calls:?}"
    );
    bench.stop().await;
    assert_eq!(
        shared.calls().last().map(String::as_str),
        Some("connector stop")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_not_committed_when_the_task_stops() {
    let Some(mut bench) = Bench::new("sink-refuse", "") else {
        return;
    };
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 1).await;
    bench.produce(&topic, 0, &["a", "b"]).await;
    let (shared, config, name) = bench.prepare("ScriptedSink", "s", SINGLY, "topics");
    shared.on_put(|_, records| match records.first() {
        Some(record) if record.value.as_str() == Some("b") => Err(ConnectError::retriable("full")),
        _ => Ok(()),
    });
    bench
        .worker
        .start_connector(config, TargetState::Started)
        .await
        .unwrap();
    shared.called_times("put b", 2).await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    assert!(
        shared.calls().contains(&"pre_commit 0@1".to_string()),
        "{:?}",
        shared.calls()
    );
    assert_eq!(bench.committed(&name).await, Some(1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_back_by_its_own_wish() {
    let Some(mut bench) = Bench::new("sink-rewind", "") else {
        return;
    };
    let topic: TopicName = format!("{}-s", bench.name).into();
    bench.create_topic(&topic, 1).await;
    bench.produce(&topic, 0, &["a", "b", "c"]).await;
    let (shared, config, name) = bench.prepare("ScriptedSink", "s", SINGLY, "topics");
    let rewound = AtomicU32::new(0);
    shared.on_put(move |context, records| {
        let is_c = records
            .first()
            .is_some_and(|it| it.value.as_str() == Some("c"));
        if is_c && rewound.fetch_add(1, Ordering::Relaxed) == 0 {
            context.offset(TopicPartition::new(topic.clone(), 0), 1);
            // Refused as well: what it goes back to replaces what it has refused.
            return Err(ConnectError::retriable("lost"));
        }
        Ok(())
    });
    bench
        .worker
        .start_connector(config, TargetState::Started)
        .await
        .unwrap();
    let calls = shared.called_times("put c", 2).await;
    let puts: Vec<_> = calls.iter().filter(|it| it.starts_with("put")).collect();
    assert_eq!(puts, ["put a", "put b", "put c", "put b", "put c"]);
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    assert_eq!(bench.committed(&name).await, Some(3));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_paused_by_the_task_and_all_by_the_target() {
    let Some(mut bench) = Bench::new("sink-pause", "") else {
        return;
    };
    let topic: TopicName = format!("{}-s", bench.name).into();
    bench.create_topic(&topic, 2).await;
    let (shared, config, name) = bench.prepare("ScriptedSink", "s", "", "topics");
    let zero = [TopicPartition::new(topic.clone(), 0)];
    shared.on_put(move |context, records| {
        match records.first().and_then(|it| it.value.as_str()) {
            // The last word counts.
            Some("pause") => context.resume(&zero).and(context.pause(&zero)),
            Some("resume") => context.pause(&zero).and(context.resume(&zero)),
            _ => Ok(()),
        }
    });
    bench
        .worker
        .start_connector(config, TargetState::Started)
        .await
        .unwrap();
    shared.called("open 0 1").await;
    bench.produce(&topic, 1, &["pause"]).await;
    shared.called("put pause").await;
    bench.produce(&topic, 0, &["zero"]).await;
    // Records of the other partition come on, and none of the paused one among them.
    bench.produce(&topic, 1, &["one"]).await;
    let calls = shared.called("put one").await;
    assert!(!calls.contains(&"put zero".to_string()), "{calls:?}");

    bench
        .worker
        .set_target(&name, TargetState::Paused)
        .await
        .unwrap();
    bench.state(&format!("{name}-0 PAUSED")).await;
    bench.produce(&topic, 1, &["resume"]).await;
    bench
        .worker
        .set_target(&name, TargetState::Started)
        .await
        .unwrap();
    let calls = shared.called("put zero").await;
    assert!(calls.contains(&"put resume".to_string()), "{calls:?}");
    assert_eq!(
        calls.iter().filter(|it| it.starts_with("open")).count(),
        1,
        "it stayed in its group"
    );
    bench.stop().await;
}

/// The group has two tasks, then one: the partition that moves is committed before it is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_committed_before_another_task_gets_it() {
    let Some(mut bench) = Bench::new("sink-rebalance", "") else {
        return;
    };
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 2).await;
    bench.produce(&topic, 0, &["zero"]).await;
    bench.produce(&topic, 1, &["one"]).await;
    let (first, name) = bench.sink("s", "").await;
    first.called("put zero one").await;
    // Another connector of the same group.
    let settings = format!("topics={topic}\nconsumer.override.group.id=connect-{name}");
    let (second, _) = bench.sink("other", &settings).await;
    let calls = first.called("close 0 1").await;
    assert_eq!(
        calls[calls.len() - 2..],
        ["pre_commit 0@1 1@1", "close 0 1"],
        "{calls:?}"
    );
    // Which of the two gets which partition is for the assignor to say.
    let calls = tokio::select! {
        calls = second.called("open 0") => calls,
        calls = second.called("open 1") => calls,
    };
    let (theirs, ours) = match calls.contains(&"open 0".to_string()) {
        true => (0, 1),
        false => (1, 0),
    };
    bench.produce(&topic, theirs, &["theirs"]).await;
    bench.produce(&topic, ours, &["ours"]).await;
    first.called("put ours").await;
    let calls = second.called("put theirs").await;
    // Nothing that was committed before comes again.
    let puts = calls.iter().filter(|it| it.starts_with("put"));
    assert_eq!(puts.count(), 1, "{calls:?}");
    bench.stop().await;
}

/// A task that cannot write refuses also when it is given nothing. What it keeps in a cooperative rebalance
/// was paused for that, and goes on afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_kept_in_a_rebalance_go_on_after_a_refusal() {
    let Some(mut bench) = Bench::new("sink-cooperative", "") else {
        return;
    };
    let cooperative = "consumer.override.partition.assignment.strategy=\
                       org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 2).await;
    let (first, config, name) = bench.prepare("ScriptedSink", "s", cooperative, "topics");
    let noted = Arc::downgrade(&first);
    first.on_put(move |context, records| {
        let first = noted.upgrade().expect("the test holds it");
        let opened = first
            .calls()
            .iter()
            .filter(|it| it.starts_with("open"))
            .count();
        // Soon again, so that it refuses nothing at all when the partition comes back.
        context.timeout(Duration::from_millis(5));
        if opened == 1 && records.is_empty() {
            return Err(ConnectError::retriable("full"));
        }
        Ok(())
    });
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    first.called("open 0 1").await;
    let settings =
        format!("topics={topic}\n{cooperative}\nconsumer.override.group.id=connect-{name}");
    let (second, second_name) = bench.sink("other", &settings).await;
    let moved = tokio::select! {
        _ = second.called("open 0") => 0,
        _ = second.called("open 1") => 1,
    };
    // From here on it refuses every few milliseconds.
    bench.produce(&topic, 1 - moved, &["begin"]).await;
    first.called("put begin").await;
    let stopped = bench.worker.set_target(&second_name, TargetState::Stopped);
    stopped.await.unwrap();
    first.called(&format!("open {moved}")).await;
    bench.produce(&topic, moved, &["moved"]).await;
    bench.produce(&topic, 1 - moved, &["kept"]).await;
    let calls = first.called_until(|calls| {
        let puts = calls.iter().filter(|it| it.starts_with("put"));
        let all: String = puts.map(String::as_str).collect();
        all.contains("moved") && all.contains("kept")
    });
    calls.await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_task_and_its_partitions_go_to_others_at_once() {
    let Some(mut bench) = Bench::new("sink-panic", "") else {
        return;
    };
    let topic = format!("{}-s", bench.name);
    bench.create_topic(&topic, 1).await;
    let (shared, config, name) = bench.prepare("ScriptedSink", "s", "tasks.max=2", "topics");
    shared.set_task_configs(vec![task_config(&name, "1"), task_config(&name, "2")]);
    let panics = AtomicU32::new(0);
    shared.on_put(move |_, records| {
        let first = !records.is_empty() && panics.fetch_add(1, Ordering::Relaxed) == 0;
        assert!(!first, "told to");
        Ok(())
    });
    bench
        .worker
        .start_connector(config, TargetState::Started)
        .await
        .unwrap();
    shared.called("open 0").await;
    let begin = Instant::now();
    bench.produce(&topic, 0, &["a"]).await;
    // Not committed by the one that panicked, so the other gets it, sooner than a session ends.
    shared.called_times("put a", 2).await;
    let session = Duration::from_secs(45);
    assert!(begin.elapsed() < session / 2, "{:?}", begin.elapsed());
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    assert_eq!(bench.committed(&name).await, Some(1));
    let states = bench.stop().await;
    let failed = states
        .iter()
        .find(|it| it.contains("FAILED"))
        .expect("one failed");
    assert!(
        failed.contains("Exiting WorkerSinkTask due to unrecoverable exception."),
        "{failed}"
    );
    assert!(failed.contains("the plugin panicked: told to"), "{failed}");
}

/// The reporter is there when errors are logged; what it says counts also when the task swallows it.
#[tokio::test(flavor = "multi_thread")]
async fn reported_records_pass_or_fail_the_task_as_the_tolerance_says() {
    let Some(mut bench) = Bench::new("sink-errant", "") else {
        return;
    };
    for (connector, settings, has_reporter, fails) in [
        ("quiet", "errors.tolerance=all", false, false),
        (
            "all",
            "errors.log.enable=true\nerrors.tolerance=all",
            true,
            false,
        ),
        ("none", "errors.log.enable=true", true, true),
    ] {
        let (shared, config, name) = bench.prepare("ScriptedSink", connector, settings, "topics");
        bench.create_topic(&name, 1).await;
        bench.produce(&name, 0, &["a"]).await;
        let noted = Arc::downgrade(&shared);
        shared.on_put(move |context, records| {
            let Some(record) = records.first() else {
                return Ok(());
            };
            let shared = noted.upgrade().expect("the test holds it");
            let Some(reporter) = context.errant_record_reporter() else {
                shared.note("no reporter");
                return Ok(());
            };
            let error = ConnectError::retriable("cannot write it");
            let reported = ready(reporter.report(record, error));
            shared.note(format!("reported {}", reported.is_ok()));
            Ok(())
        });
        bench
            .worker
            .start_connector(config, TargetState::Started)
            .await
            .unwrap();
        match (has_reporter, fails) {
            (false, _) => drop(shared.called("no reporter").await),
            (true, fails) => drop(shared.called(&format!("reported {}", !fails)).await),
        }
        if fails {
            let state = bench.state(&format!("{name}-0 FAILED")).await;
            assert!(
                state.contains("Tolerance exceeded in error handler"),
                "{state}"
            );
        } else {
            bench
                .worker
                .set_target(&name, TargetState::Stopped)
                .await
                .unwrap();
        }
        assert_eq!(
            bench.committed(&name).await,
            (!fails).then_some(1),
            "{connector}"
        );
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_converted_are_left_out_or_fail_the_task() {
    let Some(mut bench) = Bench::new("sink-convert", "") else {
        return;
    };
    let json = "value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false";
    for (connector, tolerance) in [("none", "none"), ("all", "all")] {
        let settings = format!("{json}\nerrors.tolerance={tolerance}");
        let (shared, config, name) = bench.prepare("ScriptedSink", connector, &settings, "topics");
        bench.create_topic(&name, 1).await;
        bench
            .produce(&name, 0, &["\"a\"", "{secret", "\"c\""])
            .await;
        bench
            .worker
            .start_connector(config, TargetState::Started)
            .await
            .unwrap();
        if tolerance == "none" {
            let state = bench.state(&format!("{name}-0 FAILED")).await;
            assert!(
                state.contains(&format!("record={{topic='{name}', partition=0, offset=1}}")),
                "{state}"
            );
            assert!(!state.contains("secret"), "{state}");
            assert!(!shared.calls().iter().any(|it| it.starts_with("put")));
            assert_eq!(bench.committed(&name).await, None);
        } else {
            shared.called("put a c").await;
            bench
                .worker
                .set_target(&name, TargetState::Stopped)
                .await
                .unwrap();
            assert_eq!(bench.committed(&name).await, Some(3));
        }
    }
    bench.stop().await;
}

/// The worker's converter is for connectors without one; its settings reach no other converter.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_brings_its_own_converter_with_its_own_settings() {
    let worker = "value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false";
    let Some(mut bench) = Bench::new("sink-converters", worker) else {
        return;
    };
    let envelope = "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":\"x\"}";
    let own = "value.converter=org.apache.kafka.connect.json.JsonConverter";
    for (connector, settings, expected) in [
        ("workers", "", "put ?"),
        ("own", own, "put x"),
        (
            "text",
            "value.converter=StringConverter",
            &format!("put {envelope}"),
        ),
    ] {
        let (shared, config, name) = bench.prepare("ScriptedSink", connector, settings, "topics");
        bench.create_topic(&name, 1).await;
        bench.produce(&name, 0, &[envelope]).await;
        bench
            .worker
            .start_connector(config, TargetState::Started)
            .await
            .unwrap();
        shared.called(expected).await;
    }
    bench.stop().await;
}

/// The reporter's future is ready at once; `put` of these tests is not async.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a report waits for nothing"),
    }
}
