//! Connectors and what their configurations refer to: resolved before a start, and again for a restart.
//!
//! Lives here: the way from a raw configuration to a checked one; the restart with fresh values.
//! Lives elsewhere: asking providers (`config_providers`), when to restart (`config_watch`).
//! Source: `WorkerConfigTransformer`, `config.action.reload` (KIP-297). Java restarts the connector alone; its
//! tasks go on with the old values. Here the tasks start anew when the configuration has changed.

use super::restarts::Restarts;
use super::{CONNECTOR_CALL_MAX, Life, RunningConnector, Worker, WorkerParts, check, run_plugin};
use crate::config_providers::{Answer, references_of};
use crate::config_watch::Watch;
use crate::connector_config::{CONFIG_ACTION_RELOAD, ConnectorConfig};
use crate::plugins::AnyConnector;
use crate::status::{ConnectorTaskId, State, StatusListener};
use connect_api::{ConnectError, Result};
use connect_config::{Properties, Secrets};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info};

/// After fresh values were of no use: how long until they are asked for again at the earliest.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// A connector that can start.
pub(super) struct Prepared {
    pub config: ConnectorConfig,
    pub connector: AnyConnector,
    pub warnings: Vec<String>,
    pub answers: Vec<Answer>,
}

/// Where a connector's configuration came from.
pub(super) struct Origin {
    /// With its references.
    raw: Properties,
    /// What they stood for.
    answers: Vec<Answer>,
    /// Dropped, it asks for no more restarts.
    _watch: Option<Watch>,
}

impl Worker {
    /// Asks the config providers for what a configuration refers to, and checks it. Calls plugins, bounded in
    /// time. An error shows no value that came from a provider.
    pub(super) async fn prepare(&self, raw: &Properties) -> Result<Prepared> {
        let shown = raw.get("name").unwrap_or_default().trim();
        let (parts, copy) = (self.parts.clone(), raw.clone());
        let work = async move {
            let providers = &parts.config.providers;
            let resolved = providers.resolve(&copy)?;
            let (mut config, connector, mut warnings) = check(&parts, &resolved.properties)
                .map_err(|errors| providers.secrets().hide_in(&errors))?;
            warnings.extend(resolved.warnings);
            config.references = references_of(&copy);
            Ok::<_, connect_config::ConfigErrors>(Prepared {
                config,
                connector,
                warnings,
                answers: resolved.answers,
            })
        };
        let what = "come to an end with checking its configuration";
        let checked = run_plugin(&self.parts.data, shown, CONNECTOR_CALL_MAX, what, work).await;
        checked.and_then(|checked| checked.map_err(ConnectError::from))
    }

    /// Remembers where a configuration came from, and watches over it as `config.action.reload` says.
    pub(super) fn origin(
        &self,
        raw: Properties,
        config: &ConnectorConfig,
        answers: Vec<Answer>,
        at_least: Duration,
    ) -> Origin {
        let parts = &self.parts;
        let watch = wants_reload(&config.originals).then(|| {
            Watch::start(
                &config.name,
                answers.clone(),
                at_least,
                parts.config.providers.clone(),
                self.requests.clone(),
                (&parts.control, &parts.data),
            )
        });
        Origin {
            raw,
            answers,
            _watch: watch.flatten(),
        }
    }

    /// Asks the config providers again for what a connector uses, and restarts it with its tasks if a value has
    /// changed; returns whether that was done. For whoever is about to start a task anew: as in Java, it starts
    /// with what the providers say now. When they say nothing, nothing has changed.
    pub async fn reload_if_changed(&mut self, name: &str) -> bool {
        let Some(running) = self.connectors.get(name) else {
            return false;
        };
        let (answers, parts) = (running.origin.answers.clone(), self.parts.clone());
        if answers.is_empty() {
            return false;
        }
        let work = async move {
            let providers = &parts.config.providers;
            let differs = |used: &Answer| providers.ask_again(used).is_ok_and(|it| it != used.data);
            answers.iter().any(differs)
        };
        let what = "come to an end with asking its config providers";
        let asked = run_plugin(&self.parts.data, name, CONNECTOR_CALL_MAX, what, work).await;
        let has_changed = asked.unwrap_or(false);
        if has_changed {
            self.reload(name, "values of its config providers have changed")
                .await;
        }
        has_changed
    }

    /// Restarts a connector with fresh values. Its tasks are started anew when any value has changed. When the
    /// fresh values are not to be had or not valid, it goes on with those that it has, and an error is logged.
    pub(super) async fn reload(&mut self, name: &str, reason: &str) {
        let Some(running) = self.connectors.get(name) else {
            return;
        };
        let raw = running.origin.raw.clone();
        info!(
            connector = name,
            reason, "restarting the connector with fresh values"
        );
        let prepared = match self.prepare(&raw).await {
            Ok(prepared) if prepared.config.name == name => Ok(prepared),
            Ok(_) => Err(ConnectError::config(
                "the name of a connector cannot change",
            )),
            Err(error) => Err(error),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                error!(
                    connector = name,
                    %error,
                    "the fresh values are of no use; the connector goes on with those that it has"
                );
                let running = self.known(name);
                let (config, answers) = (running.config.clone(), running.origin.answers.clone());
                let origin = self.origin(raw, &config, answers, AFTER_FAILURE);
                self.known(name).origin = origin;
                return;
            }
        };
        let running = self.known(name);
        let target = running.target;
        if running.config.originals != prepared.config.originals {
            running.task_configs.clear();
            let tasks = std::mem::take(&mut running.tasks);
            self.stop_tasks(tasks).await;
        }
        self.stop_connector(name).await;
        let origin = self.origin(raw, &prepared.config, prepared.answers, Duration::ZERO);
        let restarts = Restarts::new(&self.parts.config.originals, &prepared.config.originals).ok();
        let running: &mut RunningConnector = self.known(name);
        // Unless the configuration has changed it is the same connector, whose restarts count on.
        if running.config.originals != prepared.config.originals
            && let Some(restarts) = restarts
        {
            running.restarts = restarts;
        }
        running.config = prepared.config;
        running.connector = Some(prepared.connector);
        running.life = Life::Idle;
        running.origin = origin;
        if let Err(error) = self.set_target(name, target).await {
            self.did_not_start(name).await;
            self.connector_failed(name, &error);
        }
    }
}

/// `config.action.reload`, which has been checked: anything but `none` means a restart.
fn wants_reload(connector: &Properties) -> bool {
    let action = connector.get(CONFIG_ACTION_RELOAD.name());
    action.is_none_or(|action| action.trim() != "none")
}

/// What a plugin said, without values that came from a config provider.
pub(super) fn without_secrets(error: ConnectError, secrets: &Secrets) -> ConnectError {
    let text = error.to_string();
    match secrets.hide(&text) {
        std::borrow::Cow::Borrowed(_) => error,
        std::borrow::Cow::Owned(hidden) => ConnectError::new(error.kind(), hidden),
    }
}

/// Puts a listener behind one that takes such values out of every trace.
pub(super) fn hide_secrets_in_states(parts: &mut WorkerParts) {
    parts.listener = Arc::new(HidesSecrets {
        secrets: parts.config.providers.secrets().clone(),
        listener: parts.listener.clone(),
    });
}

struct HidesSecrets {
    secrets: Secrets,
    listener: Arc<dyn StatusListener>,
}

impl HidesSecrets {
    fn hidden(&self, state: State) -> State {
        match state {
            State::Failed { trace, restart } => State::Failed {
                trace: self.secrets.hide(&trace).into_owned(),
                restart,
            },
            state => state,
        }
    }
}

impl StatusListener for HidesSecrets {
    fn connector_changed(&self, connector: &str, state: State) {
        self.listener
            .connector_changed(connector, self.hidden(state));
    }

    fn task_changed(&self, id: &ConnectorTaskId, state: State) {
        self.listener.task_changed(id, self.hidden(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_of_a_reload() {
        for (action, expected) in [
            (None, true),
            (Some("restart"), true),
            (Some(" none "), false),
        ] {
            let mut connector = Properties::new();
            if let Some(action) = action {
                connector.set(CONFIG_ACTION_RELOAD.name(), action);
            }
            assert_eq!(wants_reload(&connector), expected, "{action:?}");
        }
    }
}
