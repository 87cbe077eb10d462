//! `millstream kafka`: the embedded log by itself, for programs that want a broker on this machine.
//!
//! Lives here: the command, and how any command of this program starts the log.
//! Lives elsewhere: the log (`kafka_embedded`).

use crate::cli::{FsyncChoice, KafkaArgs, LogArgs};
use crate::exit::Exit;
use crate::signals::Signals;
use crate::standalone::{fail, on_two_runtimes};
use kafka_embedded::{Config, Fsync, StartError, Storage};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Runs the log until a signal.
pub fn run(args: &KafkaArgs) -> Exit {
    on_two_runtimes(|log, signals| serve(args, log, signals))
}

async fn serve(args: &KafkaArgs, runtime: Handle, mut signals: Signals) -> Exit {
    let mut config = config_of(&args.log, args.log.dir.clone());
    config.bind = Some(SocketAddr::new(args.bind, args.log.kafka_port));
    let log = match start(config, &runtime).await {
        Ok(log) => log,
        Err(message) => return fail(Exit::WorkerFailed, &message),
    };
    // One line for people and scripts: the address is what they came for.
    println!("bootstrap.servers={}", bootstrap_servers(&log));
    signals.first().await;
    // On its own runtime, or its tasks would end where nobody runs them.
    let _ = runtime.spawn(log.shutdown()).await;
    Exit::Success
}

/// The settings that every command of ours has for the log.
pub fn config_of(args: &LogArgs, dir: PathBuf) -> Config {
    let mut config = Config::new(Storage::Directory(dir));
    config.bind = Some(SocketAddr::from(([127, 0, 0, 1], args.kafka_port)));
    config.fsync = match args.fsync {
        FsyncChoice::Never => Fsync::Never,
        FsyncChoice::Always => Fsync::EveryAppend,
        FsyncChoice::Every(interval) => Fsync::Interval(interval),
    };
    config
}

/// Starts the log on a runtime of its own, so that nothing else on this one holds it up.
///
/// Fails: with one sentence that says what to do.
pub async fn start(config: Config, runtime: &Handle) -> Result<kafka_embedded::Handle, String> {
    let port = config.bind.map(|address| address.port());
    let started = runtime.spawn(kafka_embedded::start(config)).await;
    let started = started.map_err(|cause| format!("the log could not be started: {cause}"))?;
    started.map_err(|error| match (&error, port) {
        (StartError::Bind { cause, .. }, Some(port))
            if cause.kind() == std::io::ErrorKind::AddrInUse =>
        {
            format!(
                "port {port} is in use by another program; choose another with --kafka-port, or 0 for any free one"
            )
        }
        _ => error.to_string(),
    })
}

/// What clients of the log are configured with.
pub fn bootstrap_servers(log: &kafka_embedded::Handle) -> String {
    match log.address() {
        // Whoever binds all addresses is reached on this one from here.
        Some(address) if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        Some(address) => address.to_string(),
        None => String::new(),
    }
}
