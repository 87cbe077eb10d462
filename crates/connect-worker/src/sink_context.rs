//! What a sink task asks of its loop.
//!
//! Lives here: the task's side of the loop: requests are noted here and carried out before the next `put`.

use crate::config_providers::TaskConfig;
use crate::errors::Tolerance;
use connect_api::{ConnectError, ErrantRecordReporter, Result, SinkTaskContext, TopicPartition};
use connect_config::Properties;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shared by the task and its loop.
pub struct SinkContext {
    config: TaskConfig,
    tolerance: Arc<Tolerance>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    assignment: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
    timeout: Option<Duration>,
    requests: Requests,
}

/// What the task has asked for since the loop looked last.
#[derive(Default)]
pub struct Requests {
    pub offsets: Vec<(TopicPartition, i64)>,
    /// Partitions that the task has paused or resumed; [`SinkContext::paused`] says which.
    pub pause_or_resume: BTreeSet<TopicPartition>,
    pub commit: bool,
}

impl SinkContext {
    pub fn new(config: TaskConfig, tolerance: Arc<Tolerance>) -> Self {
        Self {
            config,
            tolerance,
            state: Mutex::default(),
        }
    }

    pub fn take_requests(&self) -> Requests {
        std::mem::take(&mut self.state().requests)
    }

    /// The time after which the task wants `put` again; asked for once.
    pub fn take_timeout(&self) -> Option<Duration> {
        self.state().timeout.take()
    }

    /// Takes over what the loop was assigned. Pauses of partitions that are gone are forgotten.
    pub fn set_assignment<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        let mut state = self.state();
        let State {
            assignment, paused, ..
        } = &mut *state;
        *assignment = partitions.into_iter().cloned().collect();
        paused.retain(|partition| assignment.contains(partition));
    }

    /// The partitions that the task has paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.state().paused.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each request is noted by one statement, so the state is whole also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_assigned(&self, partitions: &[TopicPartition], verb: &str) -> Result<()> {
        match partitions
            .iter()
            .find(|partition| !self.assignment.contains(partition))
        {
            None => Ok(()),
            Some(partition) => Err(ConnectError::fatal(format!(
                "SinkTasks may not {verb} partitions that are not currently assigned to them."
            ))
            .with("partition", partition)),
        }
    }
}

impl SinkTaskContext for SinkContext {
    fn configs(&self) -> Properties {
        self.config.fresh()
    }

    fn offset(&self, partition: TopicPartition, offset: i64) {
        self.state().requests.offsets.push((partition, offset));
    }

    fn timeout(&self, timeout: Duration) {
        self.state().timeout = Some(timeout);
    }

    fn assignment(&self) -> Vec<TopicPartition> {
        self.state().assignment.iter().cloned().collect()
    }

    fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        let mut state = self.state();
        state.check_assigned(partitions, "pause")?;
        state.paused.extend(partitions.iter().cloned());
        let changed = partitions.iter().cloned();
        state.requests.pause_or_resume.extend(changed);
        Ok(())
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        let mut state = self.state();
        state.check_assigned(partitions, "resume")?;
        for partition in partitions {
            state.paused.remove(partition);
        }
        let changed = partitions.iter().cloned();
        state.requests.pause_or_resume.extend(changed);
        Ok(())
    }

    fn request_commit(&self) {
        self.state().requests.commit = true;
    }

    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>> {
        self.tolerance
            .has_reporter()
            .then(|| self.tolerance.clone() as Arc<dyn ErrantRecordReporter>)
    }
}
