//! A worker: starts connectors and their tasks, keeps them, stops them.
//!
//! Lives here: the life of connectors and tasks on one worker, the time limits of plugin calls.
//! Lives elsewhere: the tasks' loops (`source_task`, `sink_task`), signals and files (the binary).
//! Never here: connector code runs on the data runtime only, so that a plugin that hangs cannot stop the
//! worker.

use crate::client_config;
use crate::connector_config::{self, ConnectorConfig};
use crate::conversion::Converters;
use crate::errors::Tolerance;
use crate::offsets::ConnectorOffsets;
use crate::panics::caught;
use crate::plugins::{AnyConnector, Plugins};
use crate::status::{ConnectorTaskId, State, StatusListener, TargetState};
use crate::task::TaskHandle;
use crate::worker_config::WorkerConfig;
use crate::{sink_task, source_task};
use connect_api::{ConnectError, ConnectorContext, Result};
use connect_backing_store::OffsetBackingStore;
use connect_config::{ConfigErrors, Properties};
use kafka_client::Client;
use kafka_client::settings::{ConnectionSettings, Ignored, SettingsErrors, Weight};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Longest that a connector may take to start or to say its tasks. Java has no bound in standalone mode.
const CONNECTOR_CALL_MAX: Duration = Duration::from_secs(90);
/// Longest that a connector may take to stop, as Java's `CONNECTOR_GRACEFUL_SHUTDOWN_TIMEOUT_MS`.
const CONNECTOR_STOP_MAX: Duration = Duration::from_secs(5);

/// What a worker is made of.
pub struct WorkerParts {
    pub config: WorkerConfig,
    pub plugins: Arc<Plugins>,
    pub offsets: Arc<dyn OffsetBackingStore>,
    /// Makes a Kafka client: over TCP, or over pipes in a simulation.
    pub connect: Arc<dyn Fn(ConnectionSettings) -> Client + Send + Sync>,
    pub listener: Arc<dyn StatusListener>,
    /// Where group membership lives.
    pub control: Handle,
    /// Where connectors and tasks live.
    pub data: Handle,
}

/// Something that a connector asks for, to be given to [`Worker::on_request`].
pub enum ConnectorRequest {
    ReconfigureTasks {
        connector: String,
    },
    Failed {
        connector: String,
        error: ConnectError,
    },
}

pub struct Worker {
    parts: Arc<WorkerParts>,
    connectors: BTreeMap<String, RunningConnector>,
    requests: mpsc::UnboundedSender<ConnectorRequest>,
}

struct RunningConnector {
    config: ConnectorConfig,
    /// `None` after a call that did not come back.
    connector: Option<AnyConnector>,
    task_configs: Vec<Properties>,
    tasks: Vec<TaskHandle>,
}

/// What a connector's context does: it asks, the worker decides.
struct Context {
    connector: String,
    requests: mpsc::UnboundedSender<ConnectorRequest>,
}

impl ConnectorContext for Context {
    fn request_task_reconfiguration(&self) {
        // A worker that is gone has no tasks to configure.
        let _ = self.requests.send(ConnectorRequest::ReconfigureTasks {
            connector: self.connector.clone(),
        });
    }

    fn raise_error(&self, error: ConnectError) {
        let _ = self.requests.send(ConnectorRequest::Failed {
            connector: self.connector.clone(),
            error,
        });
    }
}

impl Worker {
    /// A worker without connectors, and the requests that its connectors will make.
    pub fn new(parts: WorkerParts) -> (Self, mpsc::UnboundedReceiver<ConnectorRequest>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        (
            Self {
                parts: Arc::new(parts),
                connectors: BTreeMap::new(),
                requests,
            },
            receiver,
        )
    }

    /// Checks a connector's configuration, starts it and its tasks.
    ///
    /// Fails: with every bad key at once, or with what the connector said when it started. Nothing of it
    /// runs then. A task that fails later does not show here: its state says so.
    pub async fn start_connector(
        &mut self,
        properties: Properties,
        target: TargetState,
    ) -> Result<()> {
        let name = properties.get("name").unwrap_or_default().to_string();
        let about = |error: ConnectError| error.with("connector", name.clone());
        let (config, mut connector) = self
            .checked(&properties)
            .map_err(|errors| about(errors.into()))?;
        if self.connectors.contains_key(&name) {
            return Err(ConnectError::config(format!(
                "Connector with name {name} already exists"
            )));
        }
        for warning in connector_config::warnings(&properties, &mut connector) {
            warn!(connector = name, "{warning}");
        }
        let context = Arc::new(Context {
            connector: name.clone(),
            requests: self.requests.clone(),
        });
        let started = self
            .call(connector, CONNECTOR_CALL_MAX, "start", move |connector| {
                Box::pin(async move { connector.as_connector().start(context, &properties).await })
            })
            .await;
        let (connector, result) = started.map_err(about)?;
        if let Err(error) = result {
            self.parts.listener.connector_changed(
                &name,
                State::Failed {
                    trace: error.to_string(),
                },
            );
            return Err(about(error));
        }
        self.parts.listener.connector_changed(&name, State::Running);
        info!(
            connector = name,
            class = config.connector_class,
            "connector started"
        );
        let running = RunningConnector {
            config,
            connector: Some(connector),
            task_configs: Vec::new(),
            tasks: Vec::new(),
        };
        self.connectors.insert(name.clone(), running);
        self.configure_tasks(&name, target).await
    }

    /// Does what a connector asks for. Errors are logged and shown as its state.
    pub async fn on_request(&mut self, request: ConnectorRequest) {
        let (name, result) = match request {
            ConnectorRequest::ReconfigureTasks { connector } => {
                let result = self.configure_tasks(&connector, TargetState::Started).await;
                (connector, result)
            }
            ConnectorRequest::Failed { connector, error } => (connector, Err(error)),
        };
        if let Err(error) = result {
            tracing::error!(connector = name, %error, "connector failed; its tasks go on");
            self.parts.listener.connector_changed(
                &name,
                State::Failed {
                    trace: error.to_string(),
                },
            );
        }
    }

    /// Stops all tasks, then all connectors. What does not stop in time is abandoned.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + self.parts.config.task_shutdown_graceful_timeout;
        let tasks: Vec<TaskHandle> = self
            .connectors
            .values_mut()
            .flat_map(|running| std::mem::take(&mut running.tasks))
            .collect();
        stop_tasks(tasks, deadline).await;
        let connectors = std::mem::take(&mut self.connectors);
        for (name, running) in connectors {
            let Some(connector) = running.connector else {
                continue;
            };
            let stopped = self
                .call(connector, CONNECTOR_STOP_MAX, "stop", |connector| {
                    Box::pin(async move { connector.as_connector().stop().await })
                })
                .await;
            match stopped.and_then(|(_, result)| result) {
                Ok(()) => info!(connector = name, "connector stopped"),
                Err(error) => warn!(connector = name, %error, "connector did not stop cleanly"),
            }
            self.parts
                .listener
                .connector_changed(&name, State::Unassigned);
        }
    }

    /// Everything that can be known to be wrong before anything starts.
    fn checked(
        &self,
        properties: &Properties,
    ) -> Result<(ConnectorConfig, AnyConnector), ConfigErrors> {
        let parts = &self.parts;
        let Some(class) = properties.get("connector.class") else {
            let message =
                "Missing required configuration \"connector.class\" which has no default value.";
            return Err(ConfigErrors::of("connector.class", message));
        };
        let mut connector = parts
            .plugins
            .new_connector(class.trim())
            .map_err(|message| ConfigErrors::of("connector.class", message))?;
        let mut errors = ConfigErrors::new();
        let config = match ConnectorConfig::parse(properties, &mut connector) {
            Ok(config) => Some(config),
            Err(more) => {
                errors.merge(more);
                None
            }
        };
        if let Err(more) = Converters::new(&parts.plugins, &parts.config, properties) {
            errors.merge(more);
        }
        for (key, message) in parts.config.override_policy.refusals(properties) {
            errors.add(key, message);
        }
        let name = properties.get("name").unwrap_or_default();
        let worker = &parts.config.originals;
        let checked = match &connector {
            AnyConnector::Source(_) => source_task::producer_settings(
                client_config::source_task_producer(worker, properties, name, 0),
            )
            .map(drop),
            AnyConnector::Sink(_) => sink_task::consumer_settings(
                client_config::sink_task_consumer(worker, properties, name, 0),
            )
            .map(drop),
        };
        if let Err(more) = checked {
            errors.merge(more);
        }
        match config {
            Some(config) => errors.into_result((config, connector)),
            None => Err(errors),
        }
    }

    /// Asks the connector for its task configurations and starts the tasks anew if they have changed.
    async fn configure_tasks(&mut self, name: &str, target: TargetState) -> Result<()> {
        let Some(running) = self.connectors.get_mut(name) else {
            return Ok(());
        };
        let Some(connector) = running.connector.take() else {
            return Ok(());
        };
        let (tasks_max, enforce) = (running.config.tasks_max, running.config.tasks_max_enforce);
        let originals = running.config.originals.clone();
        let task_class = connector.task_class();
        let (connector, configs) = self
            .call(
                connector,
                CONNECTOR_CALL_MAX,
                "say its task configurations",
                move |connector| {
                    Box::pin(async move { connector.as_connector().task_configs(tasks_max) })
                },
            )
            .await?;
        let running = self
            .connectors
            .get_mut(name)
            .expect("nobody else removes connectors");
        running.connector = Some(connector);
        let mut configs = configs?;
        check_task_count(name, configs.len(), tasks_max, enforce)?;
        for config in &mut configs {
            config.set("task.class", task_class);
            for key in ["topics", "topics.regex"] {
                if let Some(value) = originals.get(key) {
                    config.set(key, value);
                }
            }
        }
        if configs == running.task_configs {
            return Ok(());
        }
        let deadline = Instant::now() + self.parts.config.task_shutdown_graceful_timeout;
        stop_tasks(std::mem::take(&mut running.tasks), deadline).await;
        running.task_configs = configs.clone();
        for (task, task_config) in configs.into_iter().enumerate() {
            let id = ConnectorTaskId {
                connector: name.into(),
                task: task as u32,
            };
            let handle = self.spawn_task(id, task_config, target)?;
            self.connectors
                .get_mut(name)
                .expect("nobody else removes connectors")
                .tasks
                .push(handle);
        }
        Ok(())
    }

    fn spawn_task(
        &self,
        id: ConnectorTaskId,
        task_config: Properties,
        target: TargetState,
    ) -> Result<TaskHandle> {
        let parts = self.parts.clone();
        let running = &self.connectors[&*id.connector];
        let config = running.config.clone();
        let tolerance = Arc::new(Tolerance::new(id.clone(), &config));
        let converters = Converters::new(&parts.plugins, &parts.config, &config.originals)?;
        let listener = parts.listener.clone();
        let connector = running
            .connector
            .as_ref()
            .expect("present after its task configurations came back");
        Ok(match connector {
            AnyConnector::Source(connector) => {
                let task = connector.new_task();
                let offsets = Arc::new(ConnectorOffsets::new(&id.connector, parts.offsets.clone()));
                TaskHandle::spawn(
                    &parts.data.clone(),
                    id.clone(),
                    target,
                    listener,
                    |target| {
                        let producer = client_config::source_task_producer(
                            &parts.config.originals,
                            &config.originals,
                            &id.connector,
                            id.task,
                        );
                        source_task::run(source_task::Parts {
                            id,
                            task,
                            task_config,
                            producer,
                            converters,
                            tolerance,
                            offsets,
                            worker: parts,
                            target,
                        })
                    },
                )
            }
            AnyConnector::Sink(connector) => {
                let task = connector.new_task();
                TaskHandle::spawn(
                    &parts.data.clone(),
                    id.clone(),
                    target,
                    listener,
                    |target| {
                        let consumer = client_config::sink_task_consumer(
                            &parts.config.originals,
                            &config.originals,
                            &id.connector,
                            id.task,
                        );
                        sink_task::run(sink_task::Parts {
                            id,
                            task,
                            task_config,
                            consumer,
                            converters,
                            tolerance,
                            worker: parts,
                            target,
                        })
                    },
                )
            }
        })
    }

    /// Runs one call of a connector on the data runtime, no longer than `limit`.
    ///
    /// Fails: when it panics or does not come back; the connector is lost then.
    async fn call<T: Send + 'static>(
        &self,
        mut connector: AnyConnector,
        limit: Duration,
        what: &'static str,
        call: impl for<'a> FnOnce(
            &'a mut AnyConnector,
        ) -> Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>
        + Send
        + 'static,
    ) -> Result<(AnyConnector, Result<T>)> {
        let called = self.parts.data.spawn(async move {
            let result = caught(call(&mut connector)).await;
            result.map(|result| (connector, result))
        });
        match tokio::time::timeout(limit, called).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(panic))) => Err(ConnectError::fatal(format!("{panic}\n{}", panic.trace()))),
            Ok(Err(lost)) => Err(ConnectError::fatal("the connector was lost").caused_by(lost)),
            Err(_) => {
                let seconds = limit.as_secs();
                Err(ConnectError::fatal(format!(
                    "the connector did not {what} within {seconds} seconds and is abandoned"
                )))
            }
        }
    }
}

async fn stop_tasks(tasks: Vec<TaskHandle>, deadline: Instant) {
    for task in &tasks {
        task.set_target(TargetState::Stopped);
    }
    for task in tasks {
        task.ended(deadline).await;
    }
}

/// Java's check that a connector keeps to `tasks.max`.
fn check_task_count(connector: &str, count: usize, max: usize, enforce: bool) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let generated = format!(
        "The connector {connector} has generated {count} tasks, which is greater than {max}, the maximum number of tasks it \
         is configured to create. "
    );
    if enforce {
        return Err(ConnectError::fatal(format!(
            "{generated}This behaviour should be considered a bug and is disallowed. If necessary, it can be permitted by \
             reconfiguring the connector with 'tasks.max.enforce' set to false; however, this option will be removed in a \
             future release of Kafka Connect."
        )));
    }
    warn!(
        connector,
        "{generated}This behaviour should be considered a bug."
    );
    Ok(())
}

/// Errors of client settings as errors of a connector's configuration.
pub(crate) fn client_errors(prefix: &str, errors: SettingsErrors) -> ConfigErrors {
    let mut all = ConfigErrors::new();
    for error in errors.0 {
        all.add(format!("{prefix}{}", error.key), error.message);
    }
    all
}

/// Says which client settings have no effect.
pub(crate) fn warn_of_ignored(ignored: &[Ignored], client: &str) {
    for setting in ignored {
        match setting.weight {
            Weight::Warning => warn!(client, "{setting}"),
            Weight::Harmless => debug!(client, "{setting}"),
        }
    }
}
