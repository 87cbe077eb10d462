//! What has failed is started again, on a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use connect_api::ConnectError;
use connect_worker::TargetState;
use support::Bench;

/// So that tests do not wait.
const SOON: &str = "millstream.restart.delay.min.ms=1";

fn later(times: usize) -> impl Iterator<Item = ConnectError> {
    std::iter::repeat_with(|| ConnectError::retriable("the other side is away")).take(times)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_for_a_reason_that_passes_is_started_until_it_works() {
    let Some(mut bench) = Bench::new("restart-task", SOON) else {
        return;
    };
    for class in ["ScriptedSource", "ScriptedSink"] {
        let topic_key = match class {
            "ScriptedSource" => "topic",
            _ => "topics",
        };
        let (shared, config, name) = bench.prepare(class, class, "", topic_key);
        bench.create_topic(&name, 1).await;
        shared.fail_starts(later(2));
        let started = bench.worker.start_connector(config, TargetState::Started);
        started.await.unwrap();
        for _ in 0..2 {
            bench.next_request().await;
        }
        bench.state(&format!("{name}-0 RUNNING")).await;
        let states: Vec<String> = bench.states.borrow().clone();
        let failed = states
            .iter()
            .filter(|it| it.starts_with(&format!("{name}-0 FAILED")));
        let failed: Vec<&str> = failed.map(|it| it.rsplit('\n').next().unwrap()).collect();
        assert_eq!(failed, ["restart 1", "restart 2"]);
        assert!(states.iter().any(|it| it.contains(
            "FAILED org.apache.kafka.connect.errors.RetriableException: the other side is away"
        )));
        // The connector itself was left alone.
        let calls = shared.calls();
        assert_eq!(
            calls.iter().filter(|it| *it == "connector start").count(),
            1
        );
        if class == "ScriptedSink" {
            bench.produce(&name, 0, &["a"]).await;
            shared.called("put a").await;
        } else {
            shared.give(&["a"]);
            shared.sent().await;
        }
        let stopped = bench.worker.set_target(&name, TargetState::Stopped);
        stopped.await.unwrap();
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_budget_is_used_up_the_task_stays_failed() {
    let Some(mut bench) = Bench::new("restart-budget", SOON) else {
        return;
    };
    let settings = "millstream.restart.budget.per.hour=2";
    let (shared, config, name) = bench.prepare("ScriptedSource", "s", settings, "topic");
    shared.fail_starts(later(3));
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    for _ in 0..2 {
        bench.next_request().await;
    }
    shared.called_times("start fails", 3).await;
    let ended = |states: &Vec<String>| states.iter().any(|it| it.contains("\nno restart: "));
    let states = support::wait_for(&mut bench.states, ended).await.unwrap();
    let last = states.last().unwrap();
    assert!(
        last.starts_with(&format!("{name}-0 FAILED "))
            && last.ends_with(
                "\nno restart: 2 restarts within an hour are all that millstream.restart.budget.per.hour allows"
            ),
        "{states:?}"
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_can_mend_stays_failed_and_everything_as_in_java_with_one_key() {
    let Some(mut bench) = Bench::new("restart-never", SOON) else {
        return;
    };
    for (connector, settings, error, reason) in [
        (
            "config",
            "millstream.restart.on=retriable,data,fatal",
            ConnectError::config("no such table"),
            "a configuration error is mended by a change of the configuration",
        ),
        (
            "fatal",
            "",
            ConnectError::fatal("broken"),
            "the error is fatal, which is not in millstream.restart.on",
        ),
        (
            "java",
            "millstream.restart.on=none",
            ConnectError::retriable("away"),
            "the error is retriable, which is not in millstream.restart.on",
        ),
    ] {
        let (shared, config, name) = bench.prepare("ScriptedSource", connector, settings, "topic");
        shared.fail_starts([error]);
        let started = bench.worker.start_connector(config, TargetState::Started);
        started.await.unwrap();
        let state = bench.state(&format!("{name}-0 FAILED")).await;
        assert!(
            state.ends_with(&format!("\nno restart: {reason}")),
            "{state}"
        );
    }
    bench.stop().await;
}

/// Its tasks go on meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_fails_for_a_reason_that_passes_is_stopped_and_started() {
    let Some(mut bench) = Bench::new("restart-connector", SOON) else {
        return;
    };
    let (source, name) = bench.source("s", "").await;
    source.called("start at 0").await;
    let context = source.connector_context();
    context.raise_error(ConnectError::retriable("lost the other side"));
    bench.next_request().await;
    let state = bench.state(&format!("{name} FAILED")).await;
    assert!(state.ends_with("\nrestart 1"), "{state}");
    bench.next_request().await;
    let calls = source.calls();
    assert_eq!(
        calls,
        [
            "connector start",
            "start at 0",
            "connector stop",
            "connector start"
        ]
    );
    let states = bench.states.borrow().clone();
    assert_eq!(states.last(), Some(&format!("{name} RUNNING")));
    // It is sound again.
    let paused = bench.worker.set_target(&name, TargetState::Paused);
    paused.await.unwrap();
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_cannot_start_yet_is_started_until_it_can() {
    let Some(mut bench) = Bench::new("restart-first", SOON) else {
        return;
    };
    let (shared, config, name) = bench.prepare("ScriptedSource", "s", "", "topic");
    bench.create_topic(&name, 1).await;
    shared.fail_connector_starts(later(2));
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    for attempt in ["restart 1", "restart 2"] {
        let state = bench.states.borrow().last().cloned().unwrap_or_default();
        assert!(
            state.starts_with(&format!("{name} FAILED")) && state.ends_with(attempt),
            "{state}"
        );
        bench.next_request().await;
    }
    bench.state(&format!("{name} RUNNING")).await;
    shared.called("start at 0").await;
    shared.give(&["a"]);
    shared.sent().await;
    // What has not started is not stopped either.
    let expected = ["connector start"; 3].into_iter().chain(["start at 0"]);
    assert!(
        shared
            .calls()
            .iter()
            .map(String::as_str)
            .take(4)
            .eq(expected)
    );
    // As Java, where somebody wants that: it is refused, and another may take its name.
    let setting = "millstream.restart.on=none";
    let (shared, config, name) = bench.prepare("ScriptedSource", "java", setting, "topic");
    shared.fail_connector_starts(later(1));
    let started = bench
        .worker
        .start_connector(config.clone(), TargetState::Started);
    let error = started.await.unwrap_err().to_string();
    assert!(error.contains("the other side is away"), "{error}");
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    bench.state(&format!("{name} RUNNING")).await;
    bench.stop().await;
}

/// One that has started and then fails to say its tasks is stopped before it is started again, and restarts that were
/// asked for before a later failure do not count.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_cannot_say_its_tasks_yet_is_stopped_and_started() {
    let Some(mut bench) = Bench::new("restart-tasks", SOON) else {
        return;
    };
    let (shared, config, name) = bench.prepare("ScriptedSource", "s", "", "topic");
    shared.fail_task_configs(later(1));
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    // As long as it waits it cannot be paused, as in Java.
    let paused = bench.worker.set_target(&name, TargetState::Paused).await;
    let error = paused.unwrap_err().to_string();
    assert!(error.contains("since it has failed"), "{error}");
    bench.next_request().await;
    bench.state(&format!("{name} RUNNING")).await;
    shared.called("start at 0").await;
    let expected = [
        "connector start",
        "connector stop",
        "connector start",
        "start at 0",
    ];
    assert_eq!(shared.calls(), expected);
    // Two failures at once lead to one restart.
    let context = shared.connector_context();
    context.raise_error(ConnectError::retriable("lost the other side"));
    context.raise_error(ConnectError::retriable("and once more"));
    for _ in 0..4 {
        bench.next_request().await;
    }
    let starts = shared.calls();
    let starts = starts.iter().filter(|it| *it == "connector start").count();
    assert_eq!(starts, 3);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_or_started_by_hand_meanwhile_is_left_alone() {
    let Some(mut bench) = Bench::new("restart-late", SOON) else {
        return;
    };
    let (shared, config, name) = bench.prepare("ScriptedSource", "s", "", "topic");
    shared.fail_starts(later(1));
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    bench.state(&format!("{name}-0 FAILED")).await;
    for target in [TargetState::Stopped, TargetState::Started] {
        bench.worker.set_target(&name, target).await.unwrap();
    }
    shared.called("start at 0").await;
    bench.next_request().await;
    shared.give(&["a"]);
    shared.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    let starts = shared.calls();
    let starts = starts
        .iter()
        .filter(|it| it.starts_with("start at"))
        .count();
    assert_eq!(starts, 1);
    bench.stop().await;
}
