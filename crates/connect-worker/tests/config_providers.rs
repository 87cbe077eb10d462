//! Connectors whose configurations refer to config providers, on a real broker.

mod support;

use connect_api::ConnectError;
use connect_worker::TargetState;
use support::{Bench, plugins};

const PROVIDER: &str =
    "config.providers=vault\nconfig.providers.vault.class=ScriptedConfigProvider";
const LOOK: &str = "config.providers.vault.param.millstream.reload.interval.ms=1";

fn count(calls: &[String], call: &str) -> usize {
    calls.iter().filter(|it| *it == call).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_value_restarts_connector_and_tasks() {
    let Some(mut bench) = Bench::new("providers-change", &format!("{PROVIDER}\n{LOOK}")) else {
        return;
    };
    let path = bench.name.clone();
    plugins::provide(&path, &[("password", "first-password"), ("other", "x")]);
    let settings = format!("password=${{vault:{path}:password}}");
    let (source, name) = bench.source("s", &settings).await;
    source.give(&["a"]);
    source.sent().await;
    // What the connector does not use may change.
    plugins::provide(&path, &[("password", "first-password"), ("other", "y")]);
    plugins::provide(&path, &[("password", "second-password"), ("other", "y")]);
    bench.next_request().await;
    let calls = source.called("start at 1").await;
    let around: Vec<&str> = calls
        .iter()
        .map(String::as_str)
        .filter(|it| it.starts_with("connector") || it.starts_with("st"))
        .collect();
    assert_eq!(
        around,
        [
            "connector start",
            "start at 0",
            "stop",
            "connector stop",
            "connector start",
            "start at 1"
        ]
    );
    bench.state(&format!("{name} RUNNING")).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_values_of_no_use_leave_the_connector_running() {
    let Some(mut bench) = Bench::new("providers-bad", &format!("{PROVIDER}\n{LOOK}")) else {
        return;
    };
    let path = bench.name.clone();
    plugins::provide(&path, &[("tasks", "1")]);
    let settings = format!("tasks.max=${{vault:{path}:tasks}}");
    let (source, name) = bench.source("s", &settings).await;
    source.called("start at 0").await;
    plugins::provide(&path, &[("tasks", "many")]);
    bench.next_request().await;
    source.give(&["a"]);
    source.sent().await;
    assert_eq!(count(&source.calls(), "connector start"), 1);
    let states = bench.stop().await;
    assert!(!states.iter().any(|it| it.contains("FAILED")), "{states:?}");
    assert!(
        states.contains(&format!("{name}-0 UNASSIGNED")),
        "{states:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_values_that_are_still_the_same_restart_the_connector_alone() {
    let Some(mut bench) = Bench::new("providers-ttl", PROVIDER) else {
        return;
    };
    let path = bench.name.clone();
    plugins::provide(&path, &[("password", "first-password"), ("ttl", "0")]);
    let settings = format!("password=${{vault:{path}:password}}");
    let (source, _) = bench.source("s", &settings).await;
    source.called("start at 0").await;
    bench.next_request().await;
    let calls = source.called_times("connector start", 2).await;
    assert_eq!(count(&calls, "connector stop"), 1, "{calls:?}");
    assert_eq!(count(&calls, "stop"), 0, "{calls:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_what_the_providers_say_now() {
    let Some(mut bench) = Bench::new("providers-now", PROVIDER) else {
        return;
    };
    let path = bench.name.clone();
    plugins::provide(&path, &[("password", "first-password"), ("other", "x")]);
    let settings = format!("password=${{vault:{path}:password}}\nconfig.action.reload=none");
    let (source, name) = bench.source("s", &settings).await;
    source.called("start at 0").await;
    plugins::provide(&path, &[("password", "first-password"), ("other", "y")]);
    assert!(!bench.worker.reload_if_changed(&name).await);
    assert!(!bench.worker.reload_if_changed("nobody").await);
    assert_eq!(count(&source.calls(), "connector start"), 1);
    plugins::provide(&path, &[("password", "second-password")]);
    assert!(bench.worker.reload_if_changed(&name).await);
    source.called_times("start at 0", 2).await;
    assert!(!bench.worker.reload_if_changed(&name).await);
    bench.stop().await;
}

/// Nobody who reads an error or a state learns a value; they learn where it came from.
#[tokio::test(flavor = "multi_thread")]
async fn errors_and_states_show_no_value() {
    let Some(mut bench) = Bench::new("providers-hide", PROVIDER) else {
        return;
    };
    let path = bench.name.clone();
    let secret = "hunter2-hunter2";
    plugins::provide(&path, &[("x", secret), ("short", "abc")]);
    let refers = |key: &str| format!("${{vault:{path}:{key}}}");
    for (settings, expected) in [
        (
            format!("tasks.max={}", refers("x")),
            format!(
                "Invalid value {} for configuration tasks.max: Not a number of type INT",
                refers("x")
            ),
        ),
        (
            format!("tasks.max=1{}", refers("short")),
            format!(
                "Invalid value 1{} for configuration tasks.max",
                refers("short")
            ),
        ),
        (
            format!("tasks.max={}", refers("short")),
            format!(
                "Invalid value {} for configuration tasks.max",
                refers("short")
            ),
        ),
        (
            format!("value.converter={}", refers("x")),
            format!("Class {} could not be found", refers("x")),
        ),
        (
            format!("producer.override.acks={}", refers("x")),
            refers("x"),
        ),
        (
            format!("fail.start=no {}", refers("x")),
            format!("no {}", refers("x")),
        ),
        (
            format!("password=${{vault:{path}-gone:x}}"),
            format!("password: no secrets under {path}-gone (provider=vault path={path}-gone)"),
        ),
    ] {
        let (_, config, _) = bench.prepare("ScriptedSource", "s", &settings, "topic");
        let started = bench
            .worker
            .start_connector(config, TargetState::Started)
            .await;
        let error = started.unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains(&expected), "{text}");
            assert!(!text.contains(secret), "{text}");
        }
    }
    let (source, name) = bench
        .source("s", &format!("password={}", refers("x")))
        .await;
    source.step(plugins::Step::Fail(ConnectError::fatal(format!(
        "login with {secret} refused"
    ))));
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    assert!(
        state.contains(&format!("login with {} refused", refers("x"))),
        "{state}"
    );
    let states = bench.stop().await;
    assert!(!states.iter().any(|it| it.contains(secret)), "{states:?}");
}
