//! The loop of source tasks on a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use connect_api::ConnectError;
use connect_api::data::Value;
use connect_worker::TargetState;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use support::Bench;
use support::plugins::{Step, task_config};

const OFTEN: &str = "offset.flush.interval.ms=50";

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_a_source_come_in_order() {
    let Some(mut bench) = Bench::new("source-order", OFTEN) else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    source.give(&["a", "b"]);
    // The loop hears of acknowledgements while it polls; the task is told when the poll is back.
    source.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Paused)
        .await
        .unwrap();
    source.called("commit_record b @1").await;
    source.called("commit").await;
    let stored = format!("[\"{name}\",{{\"part\":\"only\"}}]={{\"position\":2}}");
    let offsets = bench.offsets.clone();
    let stopped = bench.stop().await;
    let calls = source.calls();
    let place = |call: &str| {
        let found = calls.iter().position(|it| it == call);
        found.unwrap_or_else(|| panic!("no {call} in {calls:?}"))
    };
    let order = [
        "connector start",
        "start at 0",
        "poll",
        "commit_record a @0",
        "commit_record b @1",
        "stop",
    ];
    assert!(order.map(place).is_sorted(), "{calls:?}");
    assert_eq!(calls.last().map(String::as_str), Some("stop"), "{calls:?}");
    assert!(place("commit") < place("stop"));
    use connect_backing_store::OffsetBackingStore;
    let text: Vec<String> = (offsets.snapshot().into_iter())
        .map(|(key, value)| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            format!("{}={}", text(&key), text(&value.unwrap()))
        })
        .collect();
    assert_eq!(text, [stored]);
    assert!(stopped.contains(&format!("{name}-0 UNASSIGNED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_is_not_polled_and_goes_on_where_it_was() {
    let Some(mut bench) = Bench::new("source-pause", "") else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    source.give(&["a"]);
    source.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Paused)
        .await
        .unwrap();
    bench.state(&format!("{name}-0 PAUSED")).await;
    source.called("connector stop").await;
    source.give(&["b"]);
    source.called("commit_record a @0").await;
    assert!(!source.calls().contains(&"commit_record b @1".to_string()));
    bench
        .worker
        .set_target(&name, TargetState::Started)
        .await
        .unwrap();
    source.called_times("poll", 2).await;
    source.sent().await;
    bench.stop().await;
    let calls = source.calls();
    assert!(
        calls.contains(&"commit_record b @1".to_string()),
        "{calls:?}"
    );
    assert_eq!(calls.iter().filter(|it| it.starts_with("start")).count(), 1);
}

/// Java: no task is made before the connector is resumed; a stopped one has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_begins_paused_or_stopped_has_no_tasks() {
    let Some(mut bench) = Bench::new("source-initial", "") else {
        return;
    };
    for (target, state) in [
        (TargetState::Paused, "PAUSED"),
        (TargetState::Stopped, "STOPPED"),
    ] {
        let (source, config, name) = bench.prepare("ScriptedSource", state, "", "topic");
        bench.worker.start_connector(config, target).await.unwrap();
        bench.state(&format!("{name} {state}")).await;
        assert_eq!(source.calls(), Vec::<String>::new());
        bench
            .worker
            .set_target(&name, TargetState::Started)
            .await
            .unwrap();
        source.called("start at 0").await;
        bench
            .worker
            .set_target(&name, TargetState::Stopped)
            .await
            .unwrap();
        assert_eq!(
            source.calls(),
            [
                "connector start",
                "start at 0",
                "commit",
                "stop",
                "connector stop"
            ]
        );
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_task_and_no_other() {
    let Some(mut bench) = Bench::new("source-panic", "") else {
        return;
    };
    let (bad, bad_name) = bench.source("bad", "").await;
    let (good, _) = bench.source("good", "").await;
    bad.give(&["a"]);
    bad.called("poll").await;
    bad.step(Step::Panic);
    let state = bench.state(&format!("{bad_name}-0 FAILED")).await;
    assert!(
        state.contains("the plugin panicked: told to (at "),
        "{state}"
    );
    assert!(state.contains("\n"), "with a stack: {state}");
    assert!(
        bench.stored().contains("{\"position\":1}"),
        "{}",
        bench.stored()
    );
    good.give(&["b"]);
    good.sent().await;
    bench.stop().await;
    assert!(good.calls().contains(&"commit_record b @0".to_string()));
    assert!(
        !bad.calls().contains(&"stop".to_string()),
        "nothing is asked of it any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_polled_again_and_what_not_fails() {
    let Some(mut bench) = Bench::new("source-fail", "") else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    source.step(Step::Fail(ConnectError::retriable("later")));
    source.give(&["a"]);
    source.called("poll").await;
    source.step(Step::Fail(ConnectError::fatal("broken for good")));
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    assert!(state.contains("broken for good"), "{state}");
    // What Kafka had taken is committed, and the task is stopped.
    assert!(bench.stored().contains("{\"position\":1}"));
    let calls = source.calls();
    assert!(
        calls.contains(&"commit_record a @0".to_string()),
        "{calls:?}"
    );
    assert_eq!(calls[calls.len() - 2..], ["commit", "stop"], "{calls:?}");
    bench.stop().await;
}

/// The third record of a batch cannot be converted: those before it are sent.
#[tokio::test(flavor = "multi_thread")]
async fn without_tolerance_the_records_before_a_bad_one_are_sent() {
    let Some(mut bench) = Bench::new("source-none", "") else {
        return;
    };
    let converter = "value.converter=org.apache.kafka.connect.converters.IntegerConverter";
    let (source, name) = bench.source("s", converter).await;
    source.step(Step::Give(vec![
        Value::Int32(1),
        Value::Int32(2),
        Value::from("secret"),
    ]));
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    assert!(
        state.contains("Tolerance exceeded in error handler"),
        "{state}"
    );
    assert!(
        state.contains("VALUE_CONVERTER") && !state.contains("secret"),
        "{state}"
    );
    assert!(
        bench.stored().contains("{\"position\":2}"),
        "{}",
        bench.stored()
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tolerated_records_are_left_out_and_the_task_is_told() {
    let Some(mut bench) = Bench::new("source-all", "") else {
        return;
    };
    let settings = "errors.tolerance=all\nproducer.override.max.request.size=1000\n\
                    value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false";
    let (source, _) = bench.source("s", settings).await;
    let large = "x".repeat(5000);
    // A value that its schema, STRING, does not allow; one too large; a good one.
    source.step(Step::Give(vec![
        Value::Boolean(true),
        Value::from(large.as_str()),
        Value::from("good"),
    ]));
    source.called("commit_record ? dropped").await;
    source
        .called(&format!("commit_record {large} dropped"))
        .await;
    let stored = bench.stored();
    assert_eq!(stored, "", "not yet");
    bench.stop().await;
    assert!(
        source
            .calls()
            .contains(&"commit_record good @0".to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::await_holding_lock,
    reason = "the task's thread waits for the lock meanwhile: that is the test"
)]
async fn a_task_that_does_not_stop_is_abandoned_in_time() {
    let Some(mut bench) = Bench::new("source-hang", "task.shutdown.graceful.timeout.ms=200") else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    source.called("start at 0").await;
    let blocks = source.stop_blocks.clone();
    let held = blocks.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = Instant::now();
    let stopped = bench.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    drop(held);
    assert!(!stopped.contains(&format!("{name}-0 UNASSIGNED")));
    assert!(source.calls().contains(&"connector stop".to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_started_anew_only_when_their_configurations_differ() {
    let Some(mut bench) = Bench::new("source-tasks", "") else {
        return;
    };
    let (source, name) = bench.source("s", "tasks.max=2").await;
    source.give(&["a"]);
    source.sent().await;
    let context = source.connector_context();
    context.request_task_reconfiguration();
    bench.next_request().await;
    assert!(!source.calls().contains(&"stop".to_string()));
    source.set_task_configs(vec![task_config(&name, "2"), task_config(&name, "3")]);
    context.request_task_reconfiguration();
    bench.next_request().await;
    // From the offset that the first one left.
    let calls = source.called_times("start at 1", 2).await;
    assert_eq!(
        calls.iter().filter(|it| *it == "stop").count(),
        1,
        "{calls:?}"
    );

    source.set_task_configs(vec![task_config(&name, "4"); 3]);
    context.request_task_reconfiguration();
    bench.next_request().await;
    let state = bench.state(&format!("{name} FAILED")).await;
    assert!(
        state.contains("has generated 3 tasks, which is greater than 2"),
        "{state}"
    );
    bench.stop().await;
    let calls = source.calls();
    assert_eq!(
        calls.iter().filter(|it| *it == "stop").count(),
        3,
        "{calls:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_connector_keeps_its_tasks_and_cannot_be_resumed() {
    let Some(mut bench) = Bench::new("source-raise", "") else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    let context = source.connector_context();
    context.raise_error(ConnectError::fatal("lost the other side"));
    bench.next_request().await;
    bench
        .state(&format!(
            "{name} FAILED org.apache.kafka.connect.errors.ConnectException: lost the other side"
        ))
        .await;
    source.give(&["a"]);
    source.called("poll").await;
    let refused = bench.worker.set_target(&name, TargetState::Paused).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "WorkerConnector{{id={name}}} Cannot transition connector to PAUSED since it has failed"
        )
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_leaves_nothing_behind() {
    let Some(mut bench) = Bench::new(
        "source-start",
        "connector.client.config.override.policy=None",
    ) else {
        return;
    };
    for (settings, expected) in [
        ("fail.start=no such host", "no such host"),
        ("fail.start=panic", "the plugin panicked: told to"),
        ("tasks.max=0", "Value must be at least 1"),
        ("value.converter=NoSuch", "Class NoSuch could not be found"),
        (
            "producer.override.acks=1",
            "The 'None' policy does not allow 'acks' to be overridden in the connector configuration.",
        ),
    ] {
        let (source, config, name) = bench.prepare("ScriptedSource", "s", settings, "topic");
        let started = bench.worker.start_connector(config, TargetState::Started);
        let error = started.await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!source.calls().contains(&"start at 0".to_string()));
        let gone = bench.worker.set_target(&name, TargetState::Started).await;
        assert_eq!(
            gone.unwrap_err().to_string(),
            format!("Connector {name} not found")
        );
    }
    // One that starts, but wants more tasks than it may have.
    let (source, config, name) = bench.prepare("ScriptedSource", "s", "", "topic");
    source.set_task_configs(vec![task_config(&name, "1"); 2]);
    let started = bench.worker.start_connector(config, TargetState::Started);
    let error = started.await.unwrap_err().to_string();
    assert!(error.contains("has generated 2 tasks"), "{error}");
    assert_eq!(source.calls(), ["connector start", "connector stop"]);
    bench.stop().await;
}
