//! The checks of `connect_testkit::broker_checks` on this log: what Apache Kafka passes, it passes.
//!
//! The log that is killed is a process: this test binary, told to be one.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use connect_testkit::broker_checks::restart::Restartable;
use connect_testkit::broker_checks::{Target, all, restart, run};
use kafka_embedded::{Config, Handle, Storage};
use tempfile::TempDir;

/// Set in the process that is to be killed: its directory and its port.
const DIRECTORY: &str = "KAFKA_EMBEDDED_TEST_DIRECTORY";
const PORT: &str = "KAFKA_EMBEDDED_TEST_PORT";

/// In front of the address that it prints.
const ADDRESS: &str = "listens on ";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn check(storage: Storage) -> Result<()> {
    let log: Handle = kafka_embedded::start(Config::new(storage)).await?;
    let address = log.address().context("it listens")?;
    let target = Target {
        bootstrap: address.to_string(),
    };
    run(&target, all()).await.assert_all_hold();
    log.shutdown().await;
    Ok(())
}

#[test]
fn a_log_on_a_disk_passes_all_checks() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let storage = Storage::Directory(directory.path().to_owned());
    runtime().block_on(check(storage))
}

#[test]
fn a_log_in_memory_passes_all_checks() -> Result<()> {
    runtime().block_on(check(Storage::Memory))
}

/// A log that can be killed with SIGKILL.
struct Process {
    directory: TempDir,
    child: Child,
    address: SocketAddr,
}

fn spawn(directory: &TempDir, port: u16) -> Result<(Child, SocketAddr)> {
    let mut child = Command::new(env::current_exe()?)
        .args(["--exact", "be_the_log_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env(PORT, port.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("its output")?;
    for line in BufReader::new(output).lines() {
        if let Some((_, address)) = line?.split_once(ADDRESS) {
            return Ok((child, address.parse()?));
        }
    }
    anyhow::bail!("it ended without an address")
}

impl Process {
    fn start() -> Result<Process> {
        let directory = tempfile::tempdir()?;
        let (child, address) = spawn(&directory, 0)?;
        Ok(Process {
            directory,
            child,
            address,
        })
    }

    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Restartable for Process {
    fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    async fn kill_and_restart(&mut self) -> Result<()> {
        self.kill()?;
        (self.child, self.address) = spawn(&self.directory, self.address.port())?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.kill();
    }
}

#[test]
fn a_log_that_is_killed_passes_the_restart_checks() -> Result<()> {
    let mut log = Process::start()?;
    let report = runtime().block_on(restart::run(&mut log));
    report.assert_all_hold();
    Ok(())
}

/// No test by itself: the process that the one above kills.
#[test]
fn be_the_log_that_is_killed() -> Result<()> {
    let (Ok(directory), Ok(port)) = (env::var(DIRECTORY), env::var(PORT)) else {
        return Ok(());
    };
    runtime().block_on(async {
        let config = Config {
            bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))),
            ..Config::new(Storage::Directory(PathBuf::from(directory)))
        };
        let log = kafka_embedded::start(config).await?;
        println!("{ADDRESS}{}", log.address().context("it listens")?);
        std::future::pending::<Result<()>>().await
    })
}
