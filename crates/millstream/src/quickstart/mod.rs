//! `millstream quickstart`: a log and a worker in one process, with an example that moves data.
//!
//! Lives here: what is started in which order, what a newcomer reads, and how it all stops.
//! Lives elsewhere: the example's files (`example`), its orders (`orders`), the live line (`live`), the log
//! (`kafka_embedded`), the worker (`connect_worker`).

mod example;
mod live;
mod orders;

use crate::cli::QuickstartArgs;
use crate::exit::Exit;
use crate::kafka::{bootstrap_servers, config_of, start};
use crate::plugins::plugins;
use crate::signals::Signals;
use crate::standalone::{fail, on_two_runtimes, open_worker, serve, start_connector, stop};
use connect_config::Secrets;
use connect_worker::{Worker, WorkerConfig};
use example::Folder;
use std::time::Instant;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tracing::{error, warn};

/// Runs until a signal.
pub fn run(args: &QuickstartArgs, secrets: &Secrets) -> Exit {
    let begin = Instant::now();
    // The log has threads of its own: a connector that blocks does not keep it from answering.
    let log = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("log")
        .enable_all()
        .build();
    match log {
        Ok(log) => {
            let exit = on_two_runtimes(|data, signals| {
                live_through(args, secrets, log.handle().clone(), data, signals, begin)
            });
            log.shutdown_background();
            exit
        }
        Err(cause) => fail(
            Exit::WorkerFailed,
            &format!("cannot start threads: {cause}"),
        ),
    }
}

async fn live_through(
    args: &QuickstartArgs,
    secrets: &Secrets,
    log_runtime: Handle,
    data: Handle,
    mut signals: Signals,
    begin: Instant,
) -> Exit {
    let folder = match Folder::prepare(&args.log.dir, args.example()) {
        Ok(folder) => folder,
        Err(message) => return fail(Exit::WorkerFailed, &message),
    };
    let mut config = config_of(&args.log, folder.kafka());
    // The worker ends with the log: a member that was killed must not hold its group.
    config.restore_group_members = false;
    let log = match start(config, &log_runtime).await {
        Ok(log) => log,
        Err(message) => return fail(Exit::WorkerFailed, &message),
    };
    let servers = bootstrap_servers(&log);
    let exit = match open(&folder, &servers, secrets, data).await {
        Ok((mut worker, requests)) => {
            let mut background = JoinSet::new();
            // Before the connectors: the source finds its file.
            if args.example() {
                background.spawn(orders::keep_coming(folder.orders()));
                tokio::task::yield_now().await;
            }
            let failed = start_connectors(&mut worker, &folder).await;
            print!("{}", folder.welcome(&servers, args.example(), begin));
            for message in &failed {
                error!("{message}");
            }
            background.spawn(live::show(servers.clone()));
            serve(&mut worker, requests, &mut signals).await;
            background.shutdown().await;
            println!("\nStopping. The next start goes on where this one ends.");
            stop(worker, &mut signals).await
        }
        Err(message) => fail(Exit::WorkerFailed, &message),
    };
    let _ = log_runtime.spawn(log.shutdown()).await;
    exit
}

type Opened = (
    Worker,
    tokio::sync::mpsc::UnboundedReceiver<connect_worker::ConnectorRequest>,
);

async fn open(
    folder: &Folder,
    servers: &str,
    secrets: &Secrets,
    data: Handle,
) -> Result<Opened, String> {
    let properties = folder.worker_properties(servers)?;
    let plugins = plugins();
    let (config, warnings) = WorkerConfig::read(&properties, &plugins, secrets)
        .map_err(|errors| format!("{}: {errors}", folder.worker_file().display()))?;
    for warning in warnings {
        warn!("{warning}");
    }
    open_worker(config, plugins, data).await
}

/// Every file in the folder's `connectors`. One that cannot be started keeps no other from it.
async fn start_connectors(worker: &mut Worker, folder: &Folder) -> Vec<String> {
    let files = match folder.connector_files() {
        Ok(files) => files,
        Err(message) => return vec![message],
    };
    let mut failed = Vec::new();
    for file in files {
        if let Err(message) = start_connector(worker, &file).await {
            failed.push(message);
        }
    }
    failed
}
