//! The log as a process, so that it can be killed with SIGKILL: this test program run again.
//!
//! Never here: an assertion.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use connect_testkit::process::{Program, eventually};
use kafka_embedded::{Config, Storage};

/// Set for a process that is the log: the directory, and the port.
const DIRECTORY: &str = "MILLSTREAM_TEST_LOG_DIRECTORY";
const PORT: &str = "MILLSTREAM_TEST_LOG_PORT";

/// How the log says where it listens.
const LISTENS: &str = "the log listens at ";

/// The log has threads of its own, as it has in the program.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime of two threads")
}

/// The log as this program run again, so that it can be killed with SIGKILL.
pub struct Log {
    directory: PathBuf,
    output: PathBuf,
    running: Option<Program>,
    pub address: SocketAddr,
}

impl Log {
    pub fn start(directory: &Path) -> Result<Self> {
        let mut log = Self {
            directory: directory.join("data"),
            output: directory.join("output"),
            running: None,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        log.start_again()?;
        Ok(log)
    }

    /// SIGKILL, and a start with the same directory at the same address.
    pub fn kill_and_start(&mut self) -> Result<()> {
        if let Some(program) = self.running.take() {
            program.kill()?;
        }
        self.start_again()
    }

    /// At the old address, or for the first time at any.
    fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([
                "--exact",
                "killable::the_log_of_another_process",
                "--nocapture",
            ])
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

/// Nothing, unless a test runs this program again: then it is the log, until it is killed.
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
