//! The checks that real Apache Kafka passes (`connect_testkit::broker_checks`), unchanged, on this log.
//!
//! Lives here: the log in this process for the checks, and in a process of its own for those that
//! kill it.
//! Never here: a check. What only this log does is tested beside it.

mod killable;

use std::time::Duration;

use anyhow::Result;
use connect_testkit::broker_checks::restart::Restartable;
use connect_testkit::broker_checks::{Target, all, restart, run};
use kafka_embedded::{Config, Storage};

use killable::{Log, runtime};

fn passes_all_checks(config: Config) {
    runtime().block_on(async {
        let log = kafka_embedded::start(config).await.expect("starts");
        let bootstrap = log.address().expect("it listens").to_string();
        let report = run(&Target { bootstrap }, all()).await;
        log.shutdown().await;
        report.assert_all_hold();
    });
}

#[test]
fn the_log_in_memory_passes_all_checks() {
    passes_all_checks(Config::new(Storage::Memory));
}

#[test]
fn the_log_in_a_directory_passes_all_checks() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Storage::Directory(directory.path().to_owned());
    passes_all_checks(Config::new(storage));
}

/// As a cluster does, for which our own code must be ready: the switches are for tests of that code.
#[test]
fn the_log_that_takes_its_time_passes_all_checks() {
    passes_all_checks(Config {
        topic_readable_after: Duration::from_millis(100),
        initial_rebalance_delay: Duration::from_millis(100),
        ..Config::new(Storage::Memory)
    });
}

impl Restartable for Log {
    fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    async fn kill_and_restart(&mut self) -> Result<()> {
        self.kill_and_start()
    }
}

#[test]
fn a_killed_log_passes_the_restart_checks() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = Log::start(directory.path()).expect("starts");
    let report = runtime().block_on(restart::run(&mut log));
    report.assert_all_hold();
}
