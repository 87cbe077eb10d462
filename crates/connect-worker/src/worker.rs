//! A worker: starts connectors and their tasks, keeps them, stops them.
//!
//! Lives here: the life of connectors and tasks on one worker, the time limits of plugin calls.
//! Lives elsewhere: the tasks' loops (`source_task`, `sink_task`), signals and files (the binary).
//! Never here: connector code runs on the data runtime only, so that a plugin that hangs cannot stop the
//! worker.

use crate::chain::TransformationChain;
use crate::client_config;
use crate::connector_config::{self, ConnectorConfig};
use crate::conversion::Converters;
use crate::panics::caught;
use crate::plugins::{AnyConnector, Plugins};
use crate::restart::Restart;
use crate::status::{ConnectorTaskId, State, StatusListener, TargetState};
use crate::task::{RunId, TaskHandle};
use crate::validation;
use crate::worker_config::WorkerConfig;
use crate::{sink_task, source_task, topic_creation};
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
use tracing::{Instrument, debug, error_span, info, warn};

mod reload;
mod restarts;
mod tasks;

use reload::{Origin, Prepared};
use restarts::Restarts;

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
    /// Where group membership and metadata live.
    pub control: Handle,
    /// Where connector calls run. Tasks have threads of their own.
    pub data: Handle,
}

/// Something that is asked for a connector, to be given to [`Worker::on_request`].
pub enum ConnectorRequest {
    /// What its configuration refers to has expired or changed.
    ReloadConfig {
        connector: String,
        reason: String,
    },
    ReconfigureTasks {
        connector: String,
    },
    Failed {
        connector: String,
        error: ConnectError,
    },
    /// It has failed, and its time to be started again has come. Out of date when it was started meanwhile.
    Restart {
        connector: String,
        /// `None`: the connector itself.
        task: Option<u32>,
        run: RunId,
    },
}

pub struct Worker {
    parts: Arc<WorkerParts>,
    connectors: BTreeMap<String, RunningConnector>,
    requests: mpsc::UnboundedSender<ConnectorRequest>,
    /// Where tasks run that have no thread of their own.
    shared_runtime: Option<Handle>,
}

struct RunningConnector {
    config: ConnectorConfig,
    origin: Origin,
    /// `None` after a call that did not come back.
    connector: Option<AnyConnector>,
    life: Life,
    /// What its tasks are to be.
    target: TargetState,
    task_configs: Vec<Properties>,
    tasks: Vec<TaskHandle>,
    restarts: Restarts,
}

/// How far a connector's own life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// `start` was not called, or `stop` was called since.
    Idle,
    Started,
    /// It has said so itself, and is to be stopped all the same.
    Failed,
    /// `start` failed, or what follows it, after which it was stopped.
    FailedToStart,
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
    pub fn new(mut parts: WorkerParts) -> (Self, mpsc::UnboundedReceiver<ConnectorRequest>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        reload::hide_secrets_in_states(&mut parts);
        (
            Self {
                parts: Arc::new(parts),
                connectors: BTreeMap::new(),
                requests,
                shared_runtime: None,
            },
            receiver,
        )
    }

    /// Tasks that start from now on share this runtime instead of having a thread each: for simulations,
    /// which have one thread and one time.
    pub fn run_tasks_on(&mut self, runtime: Handle) {
        self.shared_runtime = Some(runtime);
    }

    /// Checks a connector's configuration, starts it and its tasks; when `target` is another state than
    /// `Started`, it is only checked, and waits for [`Self::set_target`].
    ///
    /// Fails: with every bad key at once, or with what the connector said when it started. Nothing of it
    /// runs then. What will be started again is no failure of this: a connector whose error may pass
    /// (`millstream.restart.on`), and a task that fails later. Their states say so.
    pub async fn start_connector(
        &mut self,
        properties: Properties,
        target: TargetState,
    ) -> Result<()> {
        let shown = properties.get("name").unwrap_or_default().trim();
        let secrets = self.parts.config.providers.secrets().clone();
        let about = |error: ConnectError, name: &str| {
            reload::without_secrets(error, &secrets).with("connector", name)
        };
        let prepared = self.prepare(&properties).await;
        let Prepared {
            config,
            connector,
            warnings,
            answers,
        } = prepared.map_err(|error| about(error, shown))?;
        let name = config.name.clone();
        if self.connectors.contains_key(&name) {
            let message = format!("Connector with name {name} already exists");
            return Err(about(ConnectError::config(message), &name));
        }
        for warning in warnings {
            warn!(connector = name, "{warning}");
        }
        let restarts = Restarts::new(&self.parts.config.originals, &config.originals)
            .map_err(|errors| about(errors.into(), &name))?;
        let running = RunningConnector {
            restarts,
            origin: self.origin(properties.clone(), &config, answers, Duration::ZERO),
            config,
            connector: Some(connector),
            life: Life::Idle,
            target: TargetState::Stopped,
            task_configs: Vec::new(),
            tasks: Vec::new(),
        };
        self.connectors.insert(name.clone(), running);
        let Err(error) = self.set_target(&name, target).await else {
            return Ok(());
        };
        // Some of its tasks may run, when the last ones could not be made.
        let tasks = std::mem::take(&mut self.known(&name).tasks);
        self.stop_tasks(tasks).await;
        self.did_not_start(&name).await;
        let restart = self.restart_of_connector(&name, &error);
        if let Restart::At { .. } = restart {
            self.say_connector_failed(&name, &error, restart);
            return Ok(());
        }
        self.connectors.remove(&name);
        // Nothing of it is left that could be started again.
        let reason = "it was refused when it was to be started".to_string();
        let state = State::failed(&error, Restart::No { reason });
        self.parts.listener.connector_changed(&name, state);
        Err(about(error, &name))
    }

    /// Brings a connector and its tasks into a state. `Paused` keeps the tasks, with what they hold;
    /// `Stopped` ends them.
    ///
    /// Fails: with Java's message when the connector has failed; with what it said when it started.
    pub async fn set_target(&mut self, name: &str, target: TargetState) -> Result<()> {
        let Some(running) = self.connectors.get_mut(name) else {
            return Err(ConnectError::config(format!("Connector {name} not found")));
        };
        let has_failed = matches!(running.life, Life::Failed | Life::FailedToStart);
        let is_lost = has_failed || running.connector.is_none();
        if is_lost && target != TargetState::Stopped {
            return Err(ConnectError::fatal(format!(
                "WorkerConnector{{id={name}}} Cannot transition connector to {} since it has failed",
                target.name()
            )));
        }
        running.target = target;
        match target {
            TargetState::Started => {
                if running.life == Life::Idle {
                    self.start_plugin(name).await?;
                }
                self.set_task_targets(name, target);
                self.configure_tasks(name).await
            }
            TargetState::Paused => {
                self.set_task_targets(name, target);
                self.stop_connector(name).await;
                self.say(name, State::Paused, "connector paused");
                Ok(())
            }
            TargetState::Stopped => {
                running.task_configs.clear();
                let tasks = std::mem::take(&mut running.tasks);
                self.stop_tasks(tasks).await;
                self.stop_connector(name).await;
                self.say(name, State::Stopped, "connector stopped");
                Ok(())
            }
        }
    }

    async fn start_plugin(&mut self, name: &str) -> Result<()> {
        let Some(running) = self.connectors.get_mut(name) else {
            return Ok(());
        };
        let Some(connector) = running.connector.take() else {
            return Ok(());
        };
        let properties = running.config.originals.clone();
        let context = Arc::new(Context {
            connector: name.to_string(),
            requests: self.requests.clone(),
        });
        let started = self
            .call(
                name,
                connector,
                CONNECTOR_CALL_MAX,
                "start",
                move |connector| {
                    Box::pin(
                        async move { connector.as_connector().start(context, &properties).await },
                    )
                },
            )
            .await?;
        let running = self.known(name);
        let (connector, result) = started;
        running.connector = Some(connector);
        result?;
        running.life = Life::Started;
        running.restarts.connector_started();
        let class = running.config.connector_class.clone();
        self.parts.listener.connector_changed(name, State::Running);
        info!(connector = name, class, "connector started");
        Ok(())
    }

    /// After an attempt to start a connector and its tasks that has failed.
    async fn did_not_start(&mut self, name: &str) {
        self.stop_connector(name).await;
        self.known(name).life = Life::FailedToStart;
    }

    /// Calls the connector's `stop` if it is started. What it says is logged.
    async fn stop_connector(&mut self, name: &str) {
        let Some(running) = self.connectors.get_mut(name) else {
            return;
        };
        let life = std::mem::replace(&mut running.life, Life::Idle);
        if !matches!(life, Life::Started | Life::Failed) {
            return;
        }
        let Some(connector) = running.connector.take() else {
            return;
        };
        let stopped = self
            .call(name, connector, CONNECTOR_STOP_MAX, "stop", stop_plugin)
            .await;
        match stopped {
            Ok((connector, result)) => {
                self.known(name).connector = Some(connector);
                if let Err(error) = result {
                    warn!(connector = name, %error, "connector did not stop cleanly");
                }
            }
            Err(error) => warn!(connector = name, %error, "connector did not stop cleanly"),
        }
    }

    fn set_task_targets(&self, name: &str, target: TargetState) {
        if let Some(running) = self.connectors.get(name) {
            running
                .tasks
                .iter()
                .for_each(|task| task.set_target(target));
        }
    }

    fn say(&self, name: &str, state: State, event: &str) {
        info!(connector = name, "{event}");
        self.parts.listener.connector_changed(name, state);
    }

    /// A connector that is known to be there: only the worker's own methods remove one, and each has the
    /// worker for itself.
    fn known(&mut self, name: &str) -> &mut RunningConnector {
        self.connectors
            .get_mut(name)
            .expect("nobody else removes connectors")
    }

    async fn stop_tasks(&self, tasks: Vec<TaskHandle>) {
        let deadline = Instant::now() + self.parts.config.task_shutdown_graceful_timeout;
        stop_tasks(tasks, deadline).await;
    }

    /// Does what a connector asks for. Errors are logged and shown as its state.
    pub async fn on_request(&mut self, request: ConnectorRequest) {
        let (name, result) = match request {
            ConnectorRequest::ReloadConfig { connector, reason } => {
                self.reload(&connector, &reason).await;
                return;
            }
            ConnectorRequest::ReconfigureTasks { connector } => {
                let result = self.configure_tasks(&connector).await;
                (connector, result)
            }
            ConnectorRequest::Failed { connector, error } => {
                if let Some(running) = self.connectors.get_mut(&connector)
                    && running.life == Life::Started
                {
                    running.life = Life::Failed;
                }
                (connector, Err(error))
            }
            ConnectorRequest::Restart {
                connector,
                task,
                run,
            } => {
                match task {
                    Some(task) => self.restart_task(&connector, task, run).await,
                    None => self.restart_connector(&connector, run).await,
                }
                return;
            }
        };
        if let Err(error) = result {
            self.connector_failed(&name, &error);
        }
    }

    /// Stops all tasks, then all connectors. What does not stop in time is abandoned.
    pub async fn stop(mut self) {
        let tasks: Vec<TaskHandle> = self
            .connectors
            .values_mut()
            .flat_map(|running| std::mem::take(&mut running.tasks))
            .collect();
        self.stop_tasks(tasks).await;
        // All at once: the time limit is for all of them together.
        let mut stopping = Vec::new();
        for (name, running) in std::mem::take(&mut self.connectors) {
            let data = self.parts.data.clone();
            let started = matches!(running.life, Life::Started | Life::Failed);
            let stopped = tokio::spawn(async move {
                let Some(mut connector) = running.connector.filter(|_| started) else {
                    return (name, Ok(()));
                };
                let work = async move { stop_plugin(&mut connector).await };
                let stopped = run_plugin(&data, &name, CONNECTOR_STOP_MAX, "stop", work).await;
                (name, stopped.and_then(|result| result))
            });
            stopping.push(stopped);
        }
        for stopped in stopping {
            let Ok((name, result)) = stopped.await else {
                continue;
            };
            match result {
                Ok(()) => info!(connector = name, "connector stopped"),
                Err(error) => warn!(connector = name, %error, "connector did not stop cleanly"),
            }
            let listener = &self.parts.listener;
            listener.connector_changed(&name, State::Unassigned);
        }
    }

    /// Asks the connector for its task configurations and starts the tasks anew if they have changed. A
    /// connector that is paused or stopped is asked when it goes on.
    async fn configure_tasks(&mut self, name: &str) -> Result<()> {
        let Some(running) = self.connectors.get_mut(name) else {
            return Ok(());
        };
        if running.target != TargetState::Started || running.life != Life::Started {
            return Ok(());
        }
        let Some(connector) = running.connector.take() else {
            return Ok(());
        };
        let (tasks_max, enforce) = (running.config.tasks_max, running.config.tasks_max_enforce);
        let what = "say its task configurations";
        let (connector, answer) = self
            .call(
                name,
                connector,
                CONNECTOR_CALL_MAX,
                what,
                move |connector| {
                    Box::pin(async move {
                        let configs = connector.as_connector().task_configs(tasks_max)?;
                        Ok((configs, connector.task_class()))
                    })
                },
            )
            .await?;
        let running = self.known(name);
        running.connector = Some(connector);
        let (mut configs, task_class) = answer?;
        check_task_count(name, configs.len(), tasks_max, enforce)?;
        for config in &mut configs {
            config.set("task.class", task_class);
            for key in ["topics", "topics.regex"] {
                if let Some(value) = running.config.originals.get(key) {
                    config.set(key, value);
                }
            }
        }
        if configs == running.task_configs {
            return Ok(());
        }
        let tasks = std::mem::take(&mut running.tasks);
        // Until the new ones run there are none, also when making them fails.
        running.task_configs.clear();
        self.stop_tasks(tasks).await;
        let made = self.make_tasks(name, configs.len()).await?;
        self.known(name).restarts.forget_tasks(made.len());
        for (task, (new, task_config)) in made.into_iter().zip(&configs).enumerate() {
            let id = ConnectorTaskId {
                connector: name.into(),
                task: task as u32,
            };
            let handle = self.spawn_task(id, new, task_config.clone())?;
            self.known(name).tasks.push(handle);
        }
        self.known(name).task_configs = configs;
        Ok(())
    }

    /// Runs one call of a connector on the data runtime, no longer than `limit`.
    ///
    /// Fails: when it panics or does not come back; the connector is lost then.
    async fn call<T: Send + 'static>(
        &self,
        name: &str,
        mut connector: AnyConnector,
        limit: Duration,
        what: &'static str,
        call: impl for<'a> FnOnce(&'a mut AnyConnector) -> Called<'a, T> + Send + 'static,
    ) -> Result<(AnyConnector, Result<T>)> {
        let work = async move {
            let result = call(&mut connector).await;
            (connector, result)
        };
        run_plugin(&self.parts.data, name, limit, what, work).await
    }
}

/// A call of a connector under way.
type Called<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

fn stop_plugin(connector: &mut AnyConnector) -> Called<'_, ()> {
    Box::pin(async move { connector.as_connector().stop().await })
}

/// Runs plugin code on the data runtime, no longer than `limit`.
///
/// Fails: when it panics or does not come back.
async fn run_plugin<T: Send + 'static>(
    data: &Handle,
    connector: &str,
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let span = error_span!("connector", connector);
    let mut called = data.spawn(caught(work).instrument(span));
    match tokio::time::timeout(limit, &mut called).await {
        Ok(Ok(result)) => result.map_err(ConnectError::from),
        Ok(Err(lost)) => Err(ConnectError::fatal("the connector was lost").caused_by(lost)),
        Err(_) => {
            called.abort();
            let seconds = limit.as_secs();
            Err(ConnectError::fatal(format!(
                "the connector did not {what} within {seconds} seconds and is abandoned"
            )))
        }
    }
}

/// Everything that can be known to be wrong before anything starts, and what is to be told. Calls plugins.
fn check(
    parts: &WorkerParts,
    properties: &Properties,
) -> Result<(ConnectorConfig, AnyConnector, Vec<String>), ConfigErrors> {
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
    if let Err(more) = TransformationChain::new(&parts.plugins, properties) {
        errors.merge(more);
    }
    if let Err(more) = Converters::new(&parts.plugins, &parts.config, properties) {
        errors.merge(more);
    }
    for (key, message) in parts.config.override_policy.refusals(properties) {
        errors.add(key, message);
    }
    let name = properties.get("name").unwrap_or_default().trim();
    let worker = &parts.config.originals;
    let checked = match &connector {
        AnyConnector::Source(_) => {
            if let Err(more) = source_task::check_topic_creation(&parts.config, properties) {
                errors.merge(more);
            }
            source_task::producer_settings(client_config::source_task_producer(
                worker, properties, name, 0,
            ))
            .map(drop)
        }
        AnyConnector::Sink(_) => sink_task::consumer_settings(client_config::sink_task_consumer(
            worker, properties, name, 0,
        ))
        .map(drop),
    };
    if let Err(more) = checked {
        errors.merge(more);
    }
    match config {
        Some(config) => {
            let mut warnings = connector_config::warnings(properties, &mut connector);
            let unknown = validation::unknown_plugin_keys(&parts.plugins, properties);
            warnings.extend(unknown.iter().map(ToString::to_string));
            if let AnyConnector::Source(_) = connector {
                let is_enabled = parts.config.topic_creation_enable;
                warnings.extend(topic_creation::warnings(properties, is_enabled));
            }
            errors.into_result((config, connector, warnings))
        }
        None => Err(errors),
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
