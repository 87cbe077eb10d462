//! Clients in Python. What they do is in the scripts beside this file, which run against any broker:
//! `python tests/clients/librdkafka.py <host:port>`.

use std::process::Command;

use connect_testkit::kafka::python_or_skip;

use crate::support::{Log, run};

#[track_caller]
fn passes(script: &str, name: &str) {
    let Some(python) = python_or_skip() else {
        return;
    };
    let log = Log::start();
    let printed = run(
        Command::new(python).args(["-c", script, &log.bootstrap]),
        "",
    );
    for part in ["admin", "records", "groups", "transactions"] {
        let line = format!("{name}: {part} well");
        assert!(printed.contains(&line), "no line {line:?} in\n{printed}");
    }
}

#[test]
fn librdkafka_works() {
    passes(include_str!("librdkafka.py"), "librdkafka");
}

#[test]
fn kafka_python_works() {
    passes(include_str!("kafka_python.py"), "kafka-python");
}
