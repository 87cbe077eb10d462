//! Starting again what has failed.
//!
//! Lives here: asking the account of a task or connector, waiting until its time has come, the start itself.
//! Lives elsewhere: the decision (`restart`).
//! Millstream's own: Java leaves what has failed to a person.

use super::{ConnectorRequest, Life, Worker};
use crate::restart::{Restart, RestartAccount, RestartPolicy, Verdict};
use crate::status::{ConnectorTaskId, State, TargetState};
use crate::task::RunId;
use connect_api::{ConnectError, ErrorKind, Result};
use connect_config::{ConfigErrors, Properties};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info};

type Account = Arc<Mutex<RestartAccount>>;

/// The accounts of a connector and its tasks.
pub(super) struct Restarts {
    policy: RestartPolicy,
    connector: Account,
    /// Of this start of the connector, or of the last restart that was asked for.
    run: RunId,
    tasks: Vec<Account>,
}

impl Restarts {
    /// Fails: with the keys that are wrong.
    pub fn new(worker: &Properties, connector: &Properties) -> Result<Self, ConfigErrors> {
        let policy = RestartPolicy::of(worker, connector)?;
        Ok(Self {
            connector: account(&policy),
            run: RunId::next(),
            tasks: Vec::new(),
            policy,
        })
    }

    pub fn connector_started(&mut self) {
        self.run = RunId::next();
        with(&self.connector, |account| account.started(Instant::now()));
    }

    /// There are so many tasks from now on, and they are others.
    pub fn forget_tasks(&mut self, count: usize) {
        let new = std::iter::repeat_with(|| account(&self.policy));
        self.tasks = new.take(count).collect();
    }
}

fn account(policy: &RestartPolicy) -> Account {
    Arc::new(Mutex::new(RestartAccount::new(
        policy.clone(),
        Instant::now(),
    )))
}

/// No method leaves half a change behind, so the account is whole also after a panic.
fn with<T>(account: &Account, call: impl FnOnce(&mut RestartAccount) -> T) -> T {
    call(&mut account.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Decides about a failure, and has `request` made when its time has come.
fn decide(
    account: &Account,
    kind: ErrorKind,
    request: ConnectorRequest,
    requests: &mpsc::UnboundedSender<ConnectorRequest>,
    control: &Handle,
) -> Restart {
    match with(account, |it| it.failed(kind, Instant::now(), random())) {
        Verdict::Stay(reason) => Restart::No {
            reason: reason.to_string(),
        },
        Verdict::Restart { attempt, after } => {
            let requests = requests.clone();
            control.spawn(async move {
                tokio::time::sleep(after).await;
                // A worker that is gone restarts nothing.
                let _ = requests.send(request);
            });
            let time = SystemTime::now() + after;
            Restart::At { time, attempt }
        }
    }
}

/// In 0..1; only spreads waits.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0u8);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

impl Worker {
    /// What is done when a task fails that is about to be started.
    pub(super) fn on_task_failure(
        &self,
        id: &ConnectorTaskId,
        run: RunId,
    ) -> impl FnOnce(&ConnectError) -> Restart + Send + use<> {
        let restarts = &self.connectors[&*id.connector].restarts;
        let account = restarts.tasks.get(id.task as usize).cloned();
        let account = account.unwrap_or_else(|| self::account(&restarts.policy));
        with(&account, |it| it.started(Instant::now()));
        let (requests, control) = (self.requests.clone(), self.parts.control.clone());
        let request = ConnectorRequest::Restart {
            connector: id.connector.to_string(),
            task: Some(id.task),
            run,
        };
        move |error| decide(&account, error.kind(), request, &requests, &control)
    }

    /// Says that a connector has failed, and has it started again if that may help.
    pub(super) fn connector_failed(&mut self, name: &str, error: &ConnectError) {
        let restart = self.restart_of_connector(name, error);
        self.say_connector_failed(name, error, restart);
    }

    /// Whether and when a connector that has failed is started again, which is asked for here and now. What was asked
    /// for before does not count any more.
    pub(super) fn restart_of_connector(&mut self, name: &str, error: &ConnectError) -> Restart {
        let Some(running) = self.connectors.get_mut(name) else {
            return Restart::No {
                reason: "it is gone".into(),
            };
        };
        running.restarts.run = RunId::next();
        decide(
            &running.restarts.connector,
            error.kind(),
            ConnectorRequest::Restart {
                connector: name.to_string(),
                task: None,
                run: running.restarts.run,
            },
            &self.requests,
            &self.parts.control,
        )
    }

    pub(super) fn say_connector_failed(&self, name: &str, error: &ConnectError, restart: Restart) {
        match &restart {
            Restart::At { time, attempt } => {
                let wait = time.duration_since(SystemTime::now()).unwrap_or_default();
                let wait_ms = wait.as_millis() as u64;
                error!(
                    connector = name, %error, attempt, wait_ms,
                    "connector failed, and the worker starts it again after wait_ms; tasks that it has go on"
                );
            }
            Restart::No { reason } => {
                error!(connector = name, %error, reason, "connector failed; tasks that it has go on");
            }
        }
        let state = State::failed(error, restart);
        self.parts.listener.connector_changed(name, state);
    }

    /// Starts a task again that has failed, unless somebody else has done so.
    pub(super) async fn restart_task(&mut self, name: &str, task: u32, run: RunId) {
        let is_same = |worker: &Self| {
            let running = worker.connectors.get(name)?;
            let handle = running.tasks.get(task as usize)?;
            (handle.run == run).then_some(())
        };
        if is_same(self).is_none() {
            return;
        }
        // With what the config providers say now; that restarts all tasks when it is something else.
        if self.reload_if_changed(name).await || is_same(self).is_none() {
            return;
        }
        info!(connector = name, task, "restarting the task");
        let id = ConnectorTaskId {
            connector: name.into(),
            task,
        };
        if let Err(error) = self.start_task_again(&id).await {
            let on_failure = self.on_task_failure(&id, run);
            let restart = on_failure(&error);
            error!(connector = name, task, %error, ?restart, "the task could not be restarted");
            let state = State::failed(&error, restart);
            self.parts.listener.task_changed(&id, state);
        }
    }

    async fn start_task_again(&mut self, id: &ConnectorTaskId) -> Result<()> {
        let name = &*id.connector;
        let made = self.make_tasks(name, 1).await?;
        let running = self.known(name);
        let config = running.task_configs.get(id.task as usize).cloned();
        let (Some(new), Some(config)) = (made.into_iter().next(), config) else {
            return Err(ConnectError::fatal("the connector makes no tasks any more"));
        };
        let handle = self.spawn_task(id.clone(), new, config)?;
        let running = self.known(name);
        let failed = std::mem::replace(&mut running.tasks[id.task as usize], handle);
        // Its loop has ended before this was asked for.
        failed.ended(Instant::now() + Duration::from_secs(1)).await;
        Ok(())
    }

    /// Stops and starts a connector that has failed, unless somebody else has done so.
    pub(super) async fn restart_connector(&mut self, name: &str, run: RunId) {
        let Some(running) = self.connectors.get_mut(name) else {
            return;
        };
        if running.restarts.run != run || running.target != TargetState::Started {
            return;
        }
        info!(connector = name, "restarting the connector");
        self.stop_connector(name).await;
        let plugins = self.parts.plugins.clone();
        let running = self.known(name);
        running.life = Life::Idle;
        if running.connector.is_none() {
            // The last one did not come back from a call.
            running.connector = plugins.new_connector(&running.config.connector_class).ok();
        }
        if let Err(error) = self.set_target(name, TargetState::Started).await {
            self.did_not_start(name).await;
            self.connector_failed(name, &error);
        }
    }
}
