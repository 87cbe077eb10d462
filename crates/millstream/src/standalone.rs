//! Standalone mode: one worker, connectors from files, offsets in a file.
//!
//! Lives here: reading the files, the runtimes, signals, the order of starting and stopping.
//! Lives elsewhere: connectors and tasks (`connect_worker`).
//! Source: `ConnectStandalone` of Apache Kafka 4.3.

use crate::cli::StandaloneArgs;
use crate::exit::Exit;
use crate::plugins::plugins;
use crate::signals::{Signals, end_at_once};
use connect_backing_store::FileOffsetBackingStore;
use connect_config::{ConnectorFile, InitialState, Properties, Secrets};
use connect_worker::worker_config;
use connect_worker::{
    ConnectorRequest, ConnectorTaskId, Plugins, State, StatusListener, TargetState, Worker,
    WorkerConfig, WorkerParts,
};
use kafka_client::client::Refresh;
use kafka_client::settings::{self, AdminSettings, ClientKind};
use kafka_client::{Client, ClientError};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// How often to say that Kafka does not answer yet.
const NO_KAFKA_SAID_EVERY: Duration = Duration::from_secs(5);

/// Runs until a signal. Every failure has been logged when this returns.
pub fn run(args: &StandaloneArgs, secrets: &Secrets) -> Exit {
    let begin = Instant::now();
    on_two_runtimes(|data, signals| run_worker(args, secrets, data, signals, begin))
}

/// Runs a future on the control runtime, with the data runtime and the signals that end it. Connectors have
/// threads of their own: one that blocks stops neither heartbeats nor signals.
pub fn on_two_runtimes<F: Future<Output = Exit>>(run: impl FnOnce(Handle, Signals) -> F) -> Exit {
    let data = Builder::new_multi_thread()
        .thread_name("data")
        .enable_all()
        .build();
    let control = Builder::new_current_thread().enable_all().build();
    let (data, control) = match (data, control) {
        (Ok(data), Ok(control)) => (data, control),
        (Err(cause), _) | (_, Err(cause)) => {
            return fail(
                Exit::WorkerFailed,
                &format!("cannot start threads: {cause}"),
            );
        }
    };
    let exit = control.block_on(async {
        match Signals::new() {
            Ok(signals) => run(data.handle().clone(), signals).await,
            Err(cause) => fail(
                Exit::WorkerFailed,
                &format!("cannot listen to signals: {cause}"),
            ),
        }
    });
    // Nor a plugin that still blocks a thread, nor a name server that does not answer, keeps the process.
    data.shutdown_background();
    control.shutdown_background();
    exit
}

async fn run_worker(
    args: &StandaloneArgs,
    secrets: &Secrets,
    data: Handle,
    mut signals: Signals,
    begin: Instant,
) -> Exit {
    let plugins = plugins();
    let config = match read_worker(&args.worker, &plugins, secrets) {
        Ok(config) => config,
        Err(message) => return fail(Exit::WorkerFailed, &message),
    };
    let opened = tokio::select! {
        opened = open_worker(config, plugins, data) => opened,
        () = signals.first() => return Exit::Success,
    };
    let (mut worker, requests) = match opened {
        Ok(opened) => opened,
        Err(message) => return fail(Exit::WorkerFailed, &message),
    };
    for path in &args.connectors {
        let started = tokio::select! {
            started = start_connector(&mut worker, path) => started,
            () = signals.first() => return stop(worker, &mut signals).await,
        };
        if let Err(message) = started {
            let exit = fail(Exit::ConnectorFailed, &message);
            stop(worker, &mut signals).await;
            return exit;
        }
    }
    info!(
        connectors = args.connectors.len(),
        took_ms = begin.elapsed().as_millis() as u64,
        "worker started"
    );
    serve(&mut worker, requests, &mut signals).await;
    stop(worker, &mut signals).await
}

/// A worker without connectors, once its offsets are open and Kafka answers.
///
/// Fails: with a sentence that names the file or the broker.
pub async fn open_worker(
    config: WorkerConfig,
    plugins: Plugins,
    data: Handle,
) -> Result<(Worker, mpsc::UnboundedReceiver<ConnectorRequest>), String> {
    let offsets = FileOffsetBackingStore::open(&config.offset_storage_file)
        .map_err(|cause| cause.to_string())?;
    let cluster = find_kafka(&config.originals).await?;
    info!(cluster_id = cluster, "connected to Kafka");
    Ok(Worker::new(WorkerParts {
        config,
        plugins: Arc::new(plugins),
        offsets: Arc::new(offsets),
        connect: Arc::new(Client::connect),
        listener: Arc::new(LoggedStatus),
        control: Handle::current(),
        data,
    }))
}

pub async fn stop(worker: Worker, signals: &mut Signals) -> Exit {
    info!("stopping; a second signal ends at once");
    tokio::select! {
        () = worker.stop() => info!("worker stopped"),
        number = signals.next() => end_at_once(number),
    }
    Exit::Success
}

/// Until the first signal: what connectors ask for.
pub async fn serve(
    worker: &mut Worker,
    mut requests: mpsc::UnboundedReceiver<ConnectorRequest>,
    signals: &mut Signals,
) {
    loop {
        tokio::select! {
            () = signals.first() => return,
            Some(request) = requests.recv() => {
                let mut done = pin!(worker.on_request(request));
                tokio::select! {
                    () = &mut done => continue,
                    () = signals.first() => info!("told to stop; first ending what a connector has asked for"),
                }
                tokio::select! {
                    () = done => return,
                    number = signals.next() => end_at_once(number),
                }
            }
        }
    }
}

/// Reads and checks a worker's configuration, references resolved.
///
/// Fails: with a sentence that names the file.
pub fn read_worker(
    path: &Path,
    plugins: &Plugins,
    secrets: &Secrets,
) -> Result<WorkerConfig, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|cause| format!("cannot read the worker configuration {shown}: {cause}"))?;
    let properties = Properties::from_bytes(&bytes).map_err(|cause| {
        format!("the worker configuration {shown} is no properties file: {cause}")
    })?;
    let is_client_key = |key: &str| settings::knows(ClientKind::Admin, key);
    for warning in worker_config::warnings(&properties, &is_client_key) {
        warn!(file = %shown, "{warning}");
    }
    let (config, warnings) = WorkerConfig::read(&properties, plugins, secrets)
        .map_err(|errors| format!("{shown}: {errors}"))?;
    for warning in warnings {
        warn!(file = %shown, "{warning}");
    }
    Ok(config)
}

/// Starts the connector that a file describes.
///
/// Fails: with a sentence that names the file.
pub async fn start_connector(worker: &mut Worker, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|cause| format!("cannot read the connector configuration {shown}: {cause}"))?;
    let file =
        ConnectorFile::parse(&bytes, &shown.to_string()).map_err(|cause| cause.to_string())?;
    let target = match file.initial_state {
        None | Some(InitialState::Running) => TargetState::Started,
        Some(InitialState::Paused) => TargetState::Paused,
        Some(InitialState::Stopped) => TargetState::Stopped,
    };
    let started = worker.start_connector(file.config, target).await;
    started.map_err(|cause| format!("{shown}: {cause}"))
}

/// Waits until a broker answers, no longer than an admin client would. Returns the cluster's id.
async fn find_kafka(worker: &Properties) -> Result<String, String> {
    let config =
        connect_worker::client_config::admin(worker, &Properties::new(), "connect-cluster-id");
    let known = config
        .iter()
        .filter(|(key, _)| settings::knows(ClientKind::Admin, key));
    let known = known.filter_map(|(key, value)| Some((key.to_string(), value?.to_string())));
    let parsed = AdminSettings::parse(known).map_err(|errors| errors.to_string())?;
    for ignored in &parsed.ignored {
        debug!("{ignored}");
    }
    let patience = parsed.settings.default_api_timeout;
    let client = Client::connect(parsed.settings.connection);
    let begin = Instant::now();
    let mut said = begin;
    let mut pause = Duration::from_millis(50);
    loop {
        let error: ClientError = match client.refresh_metadata(Refresh::Tracked).await {
            Ok(metadata) => return Ok(metadata.cluster_id.clone().unwrap_or_default()),
            Err(error) => error,
        };
        if !error.is_retriable() || begin.elapsed() + pause >= patience {
            return Err(format!(
                "no Kafka after {} s: {error}",
                begin.elapsed().as_secs()
            ));
        }
        if said == begin || said.elapsed() >= NO_KAFKA_SAID_EVERY {
            said = Instant::now();
            warn!(
                wait_s = patience.as_secs(),
                "no Kafka yet, trying on: {error}"
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

pub fn fail(exit: Exit, message: &str) -> Exit {
    error!("{message}");
    exit
}

/// Task and connector states of a standalone worker are its log lines, which the worker writes itself.
struct LoggedStatus;

impl StatusListener for LoggedStatus {
    fn connector_changed(&self, connector: &str, state: State) {
        debug!(connector, state = state.name(), "connector state");
    }

    fn task_changed(&self, id: &ConnectorTaskId, state: State) {
        debug!(connector = %id.connector, task = id.task, state = state.name(), "task state");
    }
}
