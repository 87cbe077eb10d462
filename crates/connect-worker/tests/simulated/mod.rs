//! A worker with one connector in a simulated cluster.
//!
//! Lives here: [`Life`], a worker from its start to its crash.
//! Lives elsewhere: the cluster (`connect_testkit::simulation`), connectors and invariants (the tests).
//! Never here: a thread; tasks run on the runtime of the simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use connect_backing_store::MemoryOffsetBackingStore;
use connect_config::{Properties, Secrets};
use connect_testkit::simulation::{Chance, Network, Trace};
use connect_worker::{
    ConnectorTaskId, Plugins, State, StatusListener, TargetState, Worker, WorkerConfig, WorkerParts,
};
use kafka_client::Client;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What tasks choose by: plugins are made without arguments, and a run has its process for itself.
static CHANCE: Mutex<Option<Chance>> = Mutex::new(None);

/// A stream of choices for a new task.
pub fn task_chance() -> Chance {
    let mut chance = CHANCE.lock().unwrap_or_else(PoisonError::into_inner);
    let chance = chance.as_mut().expect("a worker was started");
    chance.fork()
}

/// What all workers of a run have in common.
pub struct Ways {
    pub network: Network,
    pub trace: Trace,
    pub offsets: Arc<MemoryOffsetBackingStore>,
    pub worker: BTreeMap<&'static str, String>,
    pub connector: BTreeMap<&'static str, String>,
    /// Adds the connector's class.
    pub plugin: fn(&mut Plugins),
}

/// A worker, from its start to its crash.
pub struct Life {
    worker: Worker,
    trace: Trace,
    failure: watch::Receiver<Option<String>>,
}

impl Life {
    /// `name` stands in the trace.
    pub async fn start(ways: &Ways, name: &str, chance: Chance) -> Life {
        let mut plugins = Plugins::default();
        for (class, make) in connect_converters::converters() {
            plugins.converter(class, *make);
        }
        for (class, make) in connect_converters::header_converters() {
            plugins.header_converter(class, *make);
        }
        (ways.plugin)(&mut plugins);
        *CHANCE.lock().unwrap_or_else(PoisonError::into_inner) = Some(chance);
        let settings = Properties::from_iter(ways.worker.clone());
        let config = WorkerConfig::read(&settings, &plugins, &Secrets::default());
        let (sender, failure) = watch::channel(None);
        let dial = ways.network.dial(name);
        let (mut worker, _requests) = Worker::new(WorkerParts {
            config: config.expect("a worker's configuration").0,
            plugins: Arc::new(plugins),
            offsets: ways.offsets.clone(),
            connect: Arc::new(move |settings| Client::new(settings, dial.clone())),
            listener: Arc::new(Listener {
                trace: ways.trace.clone(),
                failure: sender,
            }),
            control: Handle::current(),
            data: Handle::current(),
        });
        worker.run_tasks_on(Handle::current());
        let connector = Properties::from_iter(ways.connector.clone());
        let started = worker.start_connector(connector, TargetState::Started);
        started.await.expect("started");
        Life {
            worker,
            trace: ways.trace.clone(),
            failure,
        }
    }

    /// When one of its tasks has failed.
    pub async fn failed(&mut self) -> String {
        let failed = self.failure.wait_for(Option::is_some).await;
        let failed = failed.expect("the worker has its listener").clone();
        failed.expect("waited for")
    }

    /// With a short `task.shutdown.graceful.timeout.ms` a crash.
    pub async fn end(self) {
        self.trace.note(format_args!("the worker ends"));
        self.worker.stop().await;
    }
}

struct Listener {
    trace: Trace,
    failure: watch::Sender<Option<String>>,
}

impl StatusListener for Listener {
    fn connector_changed(&self, connector: &str, state: State) {
        self.trace
            .note(format_args!("{connector} {}", state.name()));
    }

    fn task_changed(&self, id: &ConnectorTaskId, state: State) {
        self.trace.note(format_args!("{id} {}", state.name()));
        if let State::Failed { trace, .. } = state {
            self.trace.note(format_args!("{trace}"));
            self.failure.send_replace(Some(trace));
        }
    }
}
