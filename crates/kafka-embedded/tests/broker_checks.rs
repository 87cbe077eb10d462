//! The checks that real Apache Kafka passes (`connect_testkit::broker_checks`), unchanged, on this log.
//!
//! Lives here: the log in this process for the checks, and in a process of its own for those that
//! kill it.
//! Never here: a check. What only this log does is tested beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use connect_testkit::broker_checks::restart::Restartable;
use connect_testkit::broker_checks::{Target, all, restart, run};
use connect_testkit::process::{Program, eventually};
use kafka_embedded::{Config, Storage};

/// Set for a process that is the log: the directory, and the port.
const DIRECTORY: &str = "BROKER_CHECKS_DIRECTORY";
const PORT: &str = "BROKER_CHECKS_PORT";

/// How the log says where it listens.
const LISTENS: &str = "the log listens at ";

/// The log has threads of its own, as it has in the program.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime of two threads")
}

fn passes_all_checks(storage: Storage) {
    runtime().block_on(async {
        let log = kafka_embedded::start(Config::new(storage))
            .await
            .expect("starts");
        let bootstrap = log.address().expect("it listens").to_string();
        let report = run(&Target { bootstrap }, all()).await;
        log.shutdown().await;
        report.assert_all_hold();
    });
}

#[test]
fn the_log_in_memory_passes_all_checks() {
    passes_all_checks(Storage::Memory);
}

#[test]
fn the_log_in_a_directory_passes_all_checks() {
    let directory = tempfile::tempdir().expect("a directory");
    passes_all_checks(Storage::Directory(directory.path().to_owned()));
}

/// The log as this program run again, so that it can be killed with SIGKILL.
struct Log {
    directory: PathBuf,
    output: PathBuf,
    running: Option<Program>,
    address: SocketAddr,
}

impl Log {
    fn start(directory: &Path) -> Result<Self> {
        let mut log = Self {
            directory: directory.join("data"),
            output: directory.join("output"),
            running: None,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        log.start_again()?;
        Ok(log)
    }

    /// At the old address, or for the first time at any.
    fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--exact", "the_log_of_another_process", "--nocapture"])
            .env(DIRECTORY, &self.directory)
            .env(PORT, self.address.port().to_string());
        let _ = std::fs::remove_file(&self.output);
        let mut program = Program::start(&mut command, &self.output)?;
        let mut address = None;
        eventually(Duration::from_secs(30), "the log to listen", || {
            anyhow::ensure!(program.is_running()?, "the log ended:\n{}", program.log());
            address = address_in(&program.log());
            Ok(address.is_some())
        })?;
        self.address = address.context("it listens")?;
        self.running = Some(program);
        Ok(())
    }
}

fn address_in(output: &str) -> Option<SocketAddr> {
    let (_, behind) = output.split_once(LISTENS)?;
    let (address, _) = behind.split_once('\n')?;
    address.parse().ok()
}

impl Restartable for Log {
    fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    async fn kill_and_restart(&mut self) -> Result<()> {
        if let Some(program) = self.running.take() {
            program.kill()?;
        }
        self.start_again()
    }
}

#[test]
fn a_killed_log_passes_the_restart_checks() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut log = Log::start(directory.path()).expect("starts");
    let report = runtime().block_on(restart::run(&mut log));
    report.assert_all_hold();
}

/// Nothing, unless the test above runs this program again: then it is the log, until it is killed.
#[test]
fn the_log_of_another_process() {
    let (Some(directory), Ok(port)) = (std::env::var_os(DIRECTORY), std::env::var(PORT)) else {
        return;
    };
    runtime().block_on(async {
        let port = port.parse().expect("a port");
        let config = Config {
            bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            ..Config::new(Storage::Directory(directory.into()))
        };
        let log = kafka_embedded::start(config).await.expect("starts");
        println!("{LISTENS}{}", log.address().expect("it listens"));
        std::future::pending::<()>().await;
        drop(log);
    });
}
