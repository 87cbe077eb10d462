//! A log in this process, and programs run against it to their end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use kafka_embedded::{Config, Handle, Storage};

/// A log with a directory and threads of its own, until it is dropped.
pub struct Log {
    pub bootstrap: String,
    log: Option<Handle>,
    runtime: tokio::runtime::Runtime,
    directory: tempfile::TempDir,
}

impl Log {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime of two threads");
        let storage = Storage::Directory(directory.path().join("data"));
        let log = runtime
            .block_on(kafka_embedded::start(Config::new(storage)))
            .expect("it starts");
        Self {
            bootstrap: log.address().expect("it listens").to_string(),
            log: Some(log),
            runtime,
            directory,
        }
    }

    /// For files that a program reads; gone with the log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(log) = self.log.take() {
            self.runtime.block_on(log.shutdown());
        }
    }
}

/// Runs a program to its end with this standard input, and gives what it printed.
///
/// Panics: when it does not end with 0, with what it said.
#[track_caller]
pub fn run(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(input.as_bytes())
        .expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{printed}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}
