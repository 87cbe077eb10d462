//! A worker with connectors that do what a test tells them, on a real broker.
//!
//! Lives here: [`Bench`], the worker and what a test asks of it and of Kafka.
//! Lives elsewhere: the connectors (`plugins`), the tests.
//! Never here: sleeping; every wait is for something that happens, and panics when it does not.

#![allow(dead_code, reason = "each test program uses its own part")]

pub mod plugins;
pub mod topic;
pub mod transform;

use connect_backing_store::{MemoryOffsetBackingStore, OffsetBackingStore};
use connect_config::{Properties, Secrets};
use connect_worker::{
    ConnectorRequest, ConnectorTaskId, Plugins, Restart, State, StatusListener, TargetState,
    Worker, WorkerConfig, WorkerParts,
};
use kafka_client::admin::{NewTopic, Validate};
use kafka_client::producer::{Producer, Record, Token};
use kafka_client::settings::{AdminSettings, ProducerSettings};
use kafka_client::{Admin, Client, TopicPartition};
use plugins::{ScriptedConfigProvider, ScriptedSink, ScriptedSource, Shared};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};

/// Longest wait for anything; only a test that fails waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub worker: Worker,
    requests: mpsc::UnboundedReceiver<ConnectorRequest>,
    pub states: watch::Receiver<Vec<String>>,
    pub offsets: Arc<MemoryOffsetBackingStore>,
    pub admin: Admin,
    pub servers: String,
    /// Unique in the cluster; begins the names of topics, connectors and groups.
    pub name: String,
    data: DataRuntime,
}

/// Not waited for at the end: some tests leave a plugin that blocks.
struct DataRuntime(Option<Runtime>);

impl Drop for DataRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Every change of a state, as `name STATE`, with the first line of the trace.
struct Listener(Mutex<watch::Sender<Vec<String>>>);

impl Listener {
    fn note(&self, who: &str, state: &State) {
        let what = match state {
            State::Failed { trace, restart } => match restart {
                Restart::At { attempt, .. } => format!("FAILED {trace}\nrestart {attempt}"),
                Restart::No { reason } => format!("FAILED {trace}\nno restart: {reason}"),
            },
            state => state.name().to_string(),
        };
        let sender = self.0.lock().expect("no test panics in here");
        sender.send_modify(|states| states.push(format!("{who} {what}")));
    }
}

impl StatusListener for Listener {
    fn connector_changed(&self, connector: &str, state: State) {
        self.note(connector, &state);
    }

    fn task_changed(&self, id: &ConnectorTaskId, state: State) {
        self.note(&id.to_string(), &state);
    }
}

impl Bench {
    /// A worker with these settings besides the usual ones; `None` when there is no broker.
    pub fn new(test: &str, settings: &str) -> Option<Self> {
        let servers = connect_testkit::kafka::bootstrap_or_skip()?;
        let config = format!(
            "bootstrap.servers={servers}\nkey.converter=StringConverter\nvalue.converter=StringConverter\n\
             offset.storage.file.filename=none\n{settings}"
        );
        let config = Properties::from_text(&config).expect("properties");
        let mut plugins = Plugins::default();
        for (class, make) in connect_converters::converters() {
            plugins.converter(class, *make);
        }
        for (class, make) in connect_converters::header_converters() {
            plugins.header_converter(class, *make);
        }
        plugins.source::<ScriptedSource>().sink::<ScriptedSink>();
        plugins.transformation("test.ScriptedTransform", || {
            Box::<transform::ScriptedTransform>::default()
        });
        plugins.config_provider("test.ScriptedConfigProvider", || {
            Box::<ScriptedConfigProvider>::default()
        });
        let (sender, states) = watch::channel(Vec::new());
        let data = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let offsets = Arc::new(MemoryOffsetBackingStore::default());
        let (worker, requests) = Worker::new(WorkerParts {
            config: WorkerConfig::read(&config, &plugins, &Secrets::default())
                .expect("a worker's configuration")
                .0,
            plugins: Arc::new(plugins),
            offsets: offsets.clone(),
            connect: Arc::new(Client::connect),
            listener: Arc::new(Listener(Mutex::new(sender))),
            control: Handle::current(),
            data: data.handle().clone(),
        });
        let parsed = AdminSettings::parse([("bootstrap.servers", servers.as_str())]);
        let admin = Admin::connect(parsed.expect("settings").settings);
        Some(Self {
            worker,
            requests,
            states,
            offsets,
            admin,
            servers,
            name: format!("{test}-{}", now().as_nanos()),
            data: DataRuntime(Some(data)),
        })
    }

    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let topic = NewTopic::new(topic, Some(partitions), Some(1));
        let created = self.admin.create_topics(&[topic], Validate::AndApply).await;
        for created in created.into_values() {
            created.expect("created");
        }
    }

    /// A new scripted source that writes to a topic of the connector's name.
    pub async fn source(&mut self, connector: &str, settings: &str) -> (Arc<Shared>, String) {
        self.scripted("ScriptedSource", connector, settings, "topic")
            .await
    }

    /// A new scripted sink that reads from a topic of the connector's name.
    pub async fn sink(&mut self, connector: &str, settings: &str) -> (Arc<Shared>, String) {
        self.scripted("ScriptedSink", connector, settings, "topics")
            .await
    }

    async fn scripted(
        &mut self,
        class: &str,
        connector: &str,
        settings: &str,
        topic_key: &str,
    ) -> (Arc<Shared>, String) {
        let (shared, config, name) = self.prepare(class, connector, settings, topic_key);
        let started = self.worker.start_connector(config, TargetState::Started);
        started.await.expect("started");
        (shared, name)
    }

    /// What a connector would be started with.
    pub fn prepare(
        &self,
        class: &str,
        connector: &str,
        settings: &str,
        topic_key: &str,
    ) -> (Arc<Shared>, Properties, String) {
        let name = format!("{}-{connector}", self.name);
        let config =
            format!("name={name}\nconnector.class={class}\n{topic_key}={name}\n{settings}");
        let shared = plugins::share(&name);
        let config = Properties::from_text(&config).expect("properties");
        (shared, config, name)
    }

    /// Writes values to a partition, and waits until the broker has them.
    pub async fn produce(&self, topic: &str, partition: i32, values: &[&str]) {
        let settings = [
            ("bootstrap.servers", self.servers.as_str()),
            ("key.serializer", "b"),
            ("value.serializer", "b"),
        ];
        let settings = ProducerSettings::parse(settings)
            .expect("settings")
            .settings;
        let client = Client::connect(settings.connection.clone());
        let (mut producer, mut acknowledgements) =
            Producer::new(client, &settings).expect("a producer");
        let topic = producer.topic(topic).await.expect("a topic");
        // Not a time in the past: a broker may delete old records at any moment.
        let timestamp_ms = now().as_millis() as i64;
        for (number, value) in values.iter().enumerate() {
            let record = Record {
                topic,
                partition: Some(partition),
                timestamp_ms,
                key: None,
                value: Some(value.as_bytes()),
            };
            let token = Token {
                stream: 0,
                number: number as u64,
            };
            producer.appender().append(&record, token).expect("room");
        }
        producer.flush().await;
        let mut acknowledged = Vec::new();
        acknowledgements.try_recv(&mut acknowledged);
        acknowledged
            .iter()
            .for_each(|batch| assert!(batch.result.is_ok(), "{batch:?}"));
    }

    /// What the group of a sink has committed for partition 0 of the topic of its name.
    pub async fn committed(&self, connector: &str) -> Option<i64> {
        let group = format!("connect-{connector}");
        let offsets = self.admin.list_group_offsets(&group, None, false).await;
        let partition = TopicPartition {
            topic: connector.into(),
            partition: 0,
        };
        offsets
            .expect("offsets")
            .get(&partition)
            .map(|it| it.offset)
    }

    /// What is stored of a source, keys and values.
    pub fn stored(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let stored = self.offsets.snapshot();
        let stored = stored.iter().map(|(key, value)| {
            format!(
                "{}={}",
                text(key),
                value.as_deref().map(text).unwrap_or_default()
            )
        });
        stored.collect::<Vec<_>>().join(" ")
    }

    /// Waits for a state that begins so.
    pub async fn state(&mut self, expected: &str) -> String {
        let there = |states: &Vec<String>| states.iter().any(|it| it.starts_with(expected));
        let states = match wait_for(&mut self.states, there).await {
            Ok(states) => states,
            Err(states) => panic!("no state {expected}: {states:?}"),
        };
        let mut found = states.into_iter().rev();
        found
            .find(|it| it.starts_with(expected))
            .expect("waited for")
    }

    /// Carries out the next thing that a connector asks for.
    pub async fn next_request(&mut self) {
        let request = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        let request = request.expect("a request").expect("the worker lives");
        self.worker.on_request(request).await;
    }

    /// Stops the worker and gives the states that there were.
    pub async fn stop(self) -> Vec<String> {
        self.worker.stop().await;
        drop(self.data);
        self.states.borrow().clone()
    }
}

fn now() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
}

/// The value when it is as wanted, or the value that it was all the time.
pub async fn wait_for<T: Clone>(
    watched: &mut watch::Receiver<T>,
    wanted: impl FnMut(&T) -> bool,
) -> Result<T, T> {
    let waited = tokio::time::timeout(PATIENCE, watched.wait_for(wanted)).await;
    if let Ok(value) = waited.map(|value| value.map(|value| value.clone())) {
        return Ok(value.expect("the sender lives"));
    }
    Err(watched.borrow().clone())
}
