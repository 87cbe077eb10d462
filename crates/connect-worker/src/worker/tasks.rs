//! Making the tasks of a connector and starting them.
//!
//! Lives elsewhere: which tasks there are to be (`worker`), their loops (`source_task`, `sink_task`).

use super::{CONNECTOR_CALL_MAX, Worker};
use crate::chain::TransformationChain;
use crate::client_config;
use crate::conversion::Converters;
use crate::errors::Tolerance;
use crate::offsets::ConnectorOffsets;
use crate::plugins::AnyConnector;
use crate::status::ConnectorTaskId;
use crate::task::{RunId, TaskHandle};
use crate::{sink_task, source_task};
use connect_api::{ConnectError, Result, SinkTask, SourceTask};
use connect_config::Properties;
use std::sync::Arc;

/// A task and what it converts with, made by plugins.
pub(super) struct NewTask {
    task: AnyTask,
    converters: Converters,
    /// The same once more, for dead letters of a sink.
    spare_converters: Option<Converters>,
    chain: TransformationChain,
}

enum AnyTask {
    Source(Box<dyn SourceTask>),
    Sink(Box<dyn SinkTask>),
}

impl Worker {
    pub(super) async fn make_tasks(&mut self, name: &str, count: usize) -> Result<Vec<NewTask>> {
        let parts = self.parts.clone();
        let running = self.known(name);
        let originals = running.config.originals.clone();
        let has_letters = running.config.dead_letter_topic.is_some();
        let Some(connector) = running.connector.take() else {
            return Ok(Vec::new());
        };
        let (connector, made) = self
            .call(
                name,
                connector,
                CONNECTOR_CALL_MAX,
                "make its tasks",
                move |connector| {
                    let wants_spare = has_letters && matches!(connector, AnyConnector::Sink(_));
                    let one = move || {
                        Ok(NewTask {
                            task: match connector {
                                AnyConnector::Source(connector) => {
                                    AnyTask::Source(connector.new_task())
                                }
                                AnyConnector::Sink(connector) => {
                                    AnyTask::Sink(connector.new_task())
                                }
                            },
                            converters: Converters::new(&parts.plugins, &parts.config, &originals)?,
                            spare_converters: match wants_spare {
                                true => Some(Converters::new(
                                    &parts.plugins,
                                    &parts.config,
                                    &originals,
                                )?),
                                false => None,
                            },
                            chain: TransformationChain::new(&parts.plugins, &originals)?,
                        })
                    };
                    Box::pin(async move { std::iter::repeat_with(one).take(count).collect() })
                },
            )
            .await?;
        self.known(name).connector = Some(connector);
        made
    }

    /// Starts a task on a thread of its own.
    ///
    /// Fails: when the system gives no thread.
    pub(super) fn spawn_task(
        &self,
        id: ConnectorTaskId,
        new: NewTask,
        task_config: Properties,
    ) -> Result<TaskHandle> {
        let parts = self.parts.clone();
        let running = &self.connectors[&*id.connector];
        let (config, target) = (running.config.clone(), running.target);
        let tolerance = Arc::new(Tolerance::new(id.clone(), &config, new.spare_converters));
        let (converters, chain) = (new.converters, new.chain);
        let listener = parts.listener.clone();
        let shared = self.shared_runtime.as_ref();
        let run = RunId::next();
        let on_failure = self.on_task_failure(&id, run);
        let spawned = match new.task {
            AnyTask::Source(task) => {
                let offsets = Arc::new(ConnectorOffsets::new(&id.connector, parts.offsets.clone()));
                TaskHandle::spawn(
                    id.clone(),
                    run,
                    target,
                    listener,
                    shared,
                    on_failure,
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
                            config,
                            producer,
                            converters,
                            chain,
                            tolerance,
                            offsets,
                            worker: parts,
                            target,
                        })
                    },
                )
            }
            AnyTask::Sink(task) => TaskHandle::spawn(
                id.clone(),
                run,
                target,
                listener,
                shared,
                on_failure,
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
                        config,
                        consumer,
                        converters,
                        chain,
                        tolerance,
                        worker: parts,
                        target,
                    })
                },
            ),
        };
        spawned.map_err(|cause| {
            ConnectError::fatal("the system gives no thread for the task").caused_by(cause)
        })
    }
}
