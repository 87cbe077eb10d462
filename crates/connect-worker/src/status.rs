//! What state connectors and tasks are in, and who is told.
//!
//! Never here: how a state is come by.
//! Source: `AbstractStatus` in apache/kafka, connect/runtime.

use crate::errors::trace_of;
use crate::restart::Restart;
use connect_api::ConnectError;
use std::fmt;
use std::sync::Arc;

/// Prints as `orders-sink-3`. `task` counts from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectorTaskId {
    pub connector: Arc<str>,
    pub task: u32,
}

impl fmt::Display for ConnectorTaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// What state a connector or task is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Unassigned,
    Running,
    Paused,
    Stopped,
    Failed {
        /// The form of Java's trace: `class: sentence`, a line for each cause, the stack of a panic.
        trace: String,
        /// Millstream's own: whether and when the worker tries again.
        restart: Restart,
    },
}

impl State {
    /// Failed with this error.
    pub fn failed(error: &ConnectError, restart: Restart) -> Self {
        Self::Failed {
            trace: trace_of(error),
            restart,
        }
    }

    /// The name as REST and the status topic have it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Unassigned => "UNASSIGNED",
            State::Running => "RUNNING",
            State::Paused => "PAUSED",
            State::Stopped => "STOPPED",
            State::Failed { .. } => "FAILED",
        }
    }
}

/// What a user wants a connector and its tasks to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Started,
    Paused,
    Stopped,
}

impl TargetState {
    /// The name as REST and the config topic have it.
    pub fn name(self) -> &'static str {
        match self {
            TargetState::Started => "STARTED",
            TargetState::Paused => "PAUSED",
            TargetState::Stopped => "STOPPED",
        }
    }
}

/// Hears of every change, on whatever thread it happens.
pub trait StatusListener: Send + Sync {
    fn connector_changed(&self, connector: &str, state: State);
    fn task_changed(&self, id: &ConnectorTaskId, state: State);
}
