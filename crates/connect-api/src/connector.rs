//! What source and sink connectors share.

use crate::{ConnectError, Result};
use connect_config::{ConfigDef, Properties};

/// The part of a connector that does not depend on its direction: its configuration, its life, its tasks.
///
/// Life: `start`, then any number of `task_configs`, then `stop`; after that, or after a `start` that has failed, it may
/// be started again. The worker calls one method at a time,
/// never while it holds a lock, and drops a connector that does not come back in time.
#[async_trait::async_trait]
pub trait Connector: Send {
    /// The version that REST shows.
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// The keys that this connector understands, besides those that every connector has.
    fn config_def(&self) -> ConfigDef;

    /// Takes its configuration. Look-ups that need the other side belong here or into a task the connector
    /// owns; what it starts must end with `stop`.
    async fn start(&mut self, context: ConnectorHandle, config: &Properties) -> Result<()>;

    /// The configuration of each task, at most `max_tasks` (from 1). Called again after
    /// [`ConnectorContext::request_task_reconfiguration`].
    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Properties>>;

    async fn stop(&mut self) -> Result<()>;
}

/// What a connector can ask of its worker.
pub trait ConnectorContext: Send + Sync {
    /// Has `task_configs` called again, and the tasks restarted if the answer is another one.
    fn request_task_reconfiguration(&self);

    /// Makes the connector FAILED with this error. Its tasks go on.
    fn raise_error(&self, error: ConnectError);
}

/// A context that a connector may keep and hand to what it starts.
pub type ConnectorHandle = std::sync::Arc<dyn ConnectorContext>;

/// How a plugin is known: by the name of its Java class, so that existing configurations find it.
pub trait Plugin {
    /// The full Java class name. The simple name, and the simple name without the suffix of its kind
    /// (`Connector`, `Converter`, …), are aliases.
    const CLASS: &'static str;
}
