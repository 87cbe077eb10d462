//! What source and sink tasks have in common: an id, a target state, an end.
//!
//! Lives here: running a task's loop to its end, its panic or its time limit, and saying so.
//! Lives elsewhere: the loops (`source_task`, `sink_task`).

use crate::panics::caught;
use crate::restart::Restart;
use crate::status::{ConnectorTaskId, State, StatusListener, TargetState};
use connect_api::ConnectError;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tracing::{Instrument, error, error_span, info, warn};

/// A task that was started. Dropping it without [`TaskHandle::ended`] lets the task run on.
pub struct TaskHandle {
    pub id: ConnectorTaskId,
    /// Which of all tasks of this process; a task that is started again has another.
    pub run: RunId,
    target: watch::Sender<TargetState>,
    cancel: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
}

/// Tells one start of a task or connector from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u64);

impl RunId {
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a task's loop sees of the worker's wishes.
#[derive(Clone)]
pub struct Target(watch::Receiver<TargetState>);

impl Target {
    pub fn get(&self) -> TargetState {
        *self.0.borrow()
    }

    pub fn is_stopping(&self) -> bool {
        self.get() == TargetState::Stopped
    }

    /// Returns when the target is another than when it was last seen here.
    pub async fn changed(&mut self) {
        // A worker that is gone wants nothing any more.
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub async fn stopping(&mut self) {
        if self
            .0
            .wait_for(|target| *target == TargetState::Stopped)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl TaskHandle {
    /// Starts a task on a thread of its own, as Kafka Connect does. `run` makes the loop's future.
    ///
    /// One thread per task: a plugin that blocks harms its own task only, and what a task hands to its
    /// producer or consumer stays on one thread, so that no two threads wake each other for it.
    ///
    /// With `shared` it runs on that runtime instead: a simulation has one thread and one time.
    /// `on_failure`: asked once when the task has failed, what is done about it.
    ///
    /// Fails: when the system gives no thread.
    pub fn spawn<F>(
        id: ConnectorTaskId,
        run_id: RunId,
        target: TargetState,
        listener: Arc<dyn StatusListener>,
        shared: Option<&Handle>,
        on_failure: impl FnOnce(&ConnectError) -> Restart + Send + 'static,
        run: impl FnOnce(Target) -> F,
    ) -> std::io::Result<Self>
    where
        F: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let (sender, receiver) = watch::channel(target);
        let receiver = Target(receiver);
        let looped = run(receiver.clone());
        let span = error_span!("task", connector = %id.connector, task = id.task);
        let task_id = id.clone();
        let watched = async move {
            let result = caught(looped).await;
            let is_stopping = receiver.is_stopping();
            finish(&task_id, result, is_stopping, &*listener, on_failure);
        };
        let (cancel, cancelled) = oneshot::channel::<()>();
        let (ended, end) = oneshot::channel();
        let until_cancelled = async move {
            tokio::select! {
                () = watched.instrument(span) => {}
                // A handle that is dropped lets the task run on.
                Ok(()) = cancelled => {}
            }
        };
        // Nobody waits any more for a task that was abandoned.
        let end_of_task = move || _ = ended.send(());
        if let Some(shared) = shared {
            shared.spawn(async move {
                until_cancelled.await;
                end_of_task();
            });
        } else {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("task-thread-{id}"));
            thread.spawn(move || {
                runtime.block_on(until_cancelled);
                // What still blocks a helper thread must not keep this one.
                runtime.shutdown_background();
                end_of_task();
            })?;
        }
        Ok(Self {
            id,
            run: run_id,
            target: sender,
            cancel,
            end,
        })
    }

    pub fn set_target(&self, target: TargetState) {
        self.target.send_replace(target);
    }

    /// Waits for the end of a task that was told to stop; after `deadline` it is abandoned: it ends at its
    /// next `.await` and commits nothing any more. Returns whether it ended by itself.
    pub async fn ended(mut self, deadline: Instant) -> bool {
        if tokio::time::timeout_at(deadline, &mut self.end)
            .await
            .is_ok()
        {
            return true;
        }
        warn!(
            connector = %self.id.connector,
            task = self.id.task,
            "task did not stop within task.shutdown.graceful.timeout.ms and is abandoned; what it did not commit comes again"
        );
        // It may have ended just now.
        let _ = self.cancel.send(());
        false
    }
}

fn finish(
    id: &ConnectorTaskId,
    result: Result<Result<(), ConnectError>, crate::panics::Panic>,
    stopping: bool,
    listener: &dyn StatusListener,
    on_failure: impl FnOnce(&ConnectError) -> Restart,
) {
    let error = match result {
        Ok(Ok(())) => {
            info!("task stopped");
            listener.task_changed(id, State::Unassigned);
            return;
        }
        Ok(Err(error)) => error,
        Err(panic) => ConnectError::from(panic),
    };
    if stopping {
        warn!(%error, "task failed while it stopped");
        listener.task_changed(id, State::Unassigned);
        return;
    }
    let restart = on_failure(&error);
    match &restart {
        Restart::At { time, attempt } => {
            let wait = time.duration_since(SystemTime::now()).unwrap_or_default();
            let wait_ms = wait.as_millis() as u64;
            error!(%error, attempt, wait_ms, "task failed; the worker starts it again after wait_ms");
        }
        Restart::No { reason } => {
            error!(%error, reason, "task failed and stays so until it is restarted");
        }
    }
    listener.task_changed(id, State::failed(&error, restart));
}
