//! Connectors that note every call and do what the test has told them.

#![allow(
    clippy::unwrap_used,
    reason = "a lock that is poisoned is a test that failed"
)]

use connect_api::connector::{Connector, ConnectorHandle};
use connect_api::data::{Map, Schema, Value};
use connect_api::{
    ConfigData, ConfigProvider, ConnectError, ConnectRecord, Offsets, Plugin, RecordMetadata,
    Result, SinkConnector, SinkRecord, SinkTask, SinkTaskContext, SourceConnector, SourceOffset,
    SourcePartition, SourceRecord, SourceTask, SourceTaskContext, TopicName, TopicPartition,
    async_trait,
};
use connect_config::{ConfigDef, Properties};
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What a source does at a poll.
pub enum Step {
    /// Gives these: numbers without a schema, all others as if they were text.
    Give(Vec<Value>),
    Nothing,
    /// Reports a record with this value, and gives nothing.
    Report(&'static str),
    Fail(ConnectError),
    Panic,
}

/// What a sink does in `put`, given its context and the records.
pub type OnPut = Box<dyn FnMut(&Arc<dyn SinkTaskContext>, &[SinkRecord]) -> Result<()> + Send>;

/// What a test and its connector share.
#[derive(Default)]
pub struct Shared {
    calls: watch::Sender<Vec<String>>,
    steps: Mutex<VecDeque<Step>>,
    given: watch::Sender<u64>,
    on_put: Mutex<Option<OnPut>>,
    context: Mutex<Option<ConnectorHandle>>,
    failed_put_writes_nothing: AtomicBool,
    start_errors: Mutex<VecDeque<ConnectError>>,
    connector_errors: Mutex<VecDeque<ConnectError>>,
    task_configs_errors: Mutex<VecDeque<ConnectError>>,
    task_configs: Mutex<Vec<Properties>>,
    /// `stop` of the task blocks its thread until this lock is free.
    pub stop_blocks: Arc<Mutex<()>>,
}

static ALL: Mutex<BTreeMap<String, Arc<Shared>>> = Mutex::new(BTreeMap::new());

/// Makes what the connector of this name finds when it starts. One task, unless told otherwise.
pub fn share(name: &str) -> Arc<Shared> {
    let shared = Arc::new(Shared::default());
    *shared.task_configs.lock().unwrap() = vec![task_config(name, "1")];
    ALL.lock().unwrap().insert(name.to_string(), shared.clone());
    shared
}

/// A task configuration; another `version` makes it another one.
pub fn task_config(name: &str, version: &str) -> Properties {
    Properties::from_iter([("name", name), ("version", version)])
}

fn shared_of(config: &Properties) -> Arc<Shared> {
    let name = config.get("name").expect("a name");
    ALL.lock().unwrap().get(name).expect("shared").clone()
}

impl Shared {
    pub fn note(&self, call: impl Into<String>) {
        self.calls.send_modify(|calls| calls.push(call.into()));
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    /// Waits for a call.
    #[track_caller]
    pub fn called(&self, call: &str) -> impl Future<Output = Vec<String>> {
        self.called_times(call, 1)
    }

    #[track_caller]
    pub fn called_times(&self, call: &str, times: usize) -> impl Future<Output = Vec<String>> {
        let call = call.to_string();
        self.called_until(move |calls| calls.iter().filter(|it| **it == call).count() >= times)
    }

    /// Waits until the calls are as wanted.
    #[track_caller]
    pub fn called_until(
        &self,
        wanted: impl FnMut(&Vec<String>) -> bool,
    ) -> impl Future<Output = Vec<String>> {
        let (mut calls, asked) = (self.calls.subscribe(), Location::caller());
        async move {
            match super::wait_for(&mut calls, wanted).await {
                Ok(calls) => calls,
                Err(calls) => panic!("not called as wanted at {asked}: {calls:?}"),
            }
        }
    }

    pub fn give(&self, values: &[&str]) {
        self.step(Step::Give(
            values.iter().map(|it| Value::from(*it)).collect(),
        ));
    }

    /// Waits for one more poll: what was given before is with the producer then.
    pub async fn sent(&self) {
        let before = self
            .calls()
            .iter()
            .filter(|it| *it == "poll nothing")
            .count();
        self.step(Step::Nothing);
        self.called_times("poll nothing", before + 1).await;
    }

    pub fn step(&self, step: Step) {
        self.steps.lock().unwrap().push_back(step);
        self.given.send_modify(|given| *given += 1);
    }

    pub fn on_put(
        &self,
        on_put: impl FnMut(&Arc<dyn SinkTaskContext>, &[SinkRecord]) -> Result<()> + Send + 'static,
    ) {
        *self.on_put.lock().unwrap() = Some(Box::new(on_put));
    }

    /// The next starts of its tasks fail so.
    pub fn fail_starts(&self, errors: impl IntoIterator<Item = ConnectError>) {
        self.start_errors.lock().unwrap().extend(errors);
    }

    /// The next starts of its connector fail so.
    pub fn fail_connector_starts(&self, errors: impl IntoIterator<Item = ConnectError>) {
        self.connector_errors.lock().unwrap().extend(errors);
    }

    /// The next questions for its task configurations fail so.
    pub fn fail_task_configs(&self, errors: impl IntoIterator<Item = ConnectError>) {
        self.task_configs_errors.lock().unwrap().extend(errors);
    }

    /// What the next start of a task is to say.
    fn start_result(&self) -> Result<()> {
        match self.start_errors.lock().unwrap().pop_front() {
            Some(error) => {
                self.note("start fails");
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// What the sink's task declares.
    pub fn set_failed_put_writes_nothing(&self) {
        self.failed_put_writes_nothing
            .store(true, Ordering::Relaxed);
    }

    pub fn set_task_configs(&self, configs: Vec<Properties>) {
        *self.task_configs.lock().unwrap() = configs;
    }

    pub fn connector_context(&self) -> ConnectorHandle {
        let context = self.context.lock().unwrap();
        context.clone().expect("started")
    }
}

#[derive(Default)]
pub struct ScriptedSource(Option<Arc<Shared>>);
#[derive(Default)]
pub struct ScriptedSink(Option<Arc<Shared>>);

impl Plugin for ScriptedSource {
    const CLASS: &'static str = "test.ScriptedSource";
}

impl Plugin for ScriptedSink {
    const CLASS: &'static str = "test.ScriptedSink";
}

macro_rules! connector {
    ($type:ty) => {
        #[async_trait]
        impl Connector for $type {
            fn config_def(&self) -> ConfigDef {
                ConfigDef::new()
            }

            async fn start(&mut self, context: ConnectorHandle, config: &Properties) -> Result<()> {
                let shared = shared_of(config);
                shared.note("connector start");
                *shared.context.lock().unwrap() = Some(context);
                self.0 = Some(shared.clone());
                if let Some(error) = shared.connector_errors.lock().unwrap().pop_front() {
                    return Err(error);
                }
                match config.get("fail.start") {
                    Some("panic") => panic!("told to"),
                    Some(message) => Err(ConnectError::fatal(message)),
                    None => Ok(()),
                }
            }

            fn task_configs(&mut self, _max_tasks: usize) -> Result<Vec<Properties>> {
                let shared = self.0.as_ref().expect("started");
                match shared.task_configs_errors.lock().unwrap().pop_front() {
                    Some(error) => Err(error),
                    None => Ok(shared.task_configs.lock().unwrap().clone()),
                }
            }

            async fn stop(&mut self) -> Result<()> {
                self.0.as_ref().expect("started").note("connector stop");
                Ok(())
            }
        }
    };
}

connector!(ScriptedSource);
connector!(ScriptedSink);

#[async_trait]
impl SourceConnector for ScriptedSource {
    fn task_class(&self) -> &'static str {
        "test.ScriptedSourceTask"
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::<ScriptedSourceTask>::default()
    }
}

#[async_trait]
impl SinkConnector for ScriptedSink {
    fn task_class(&self) -> &'static str {
        "test.ScriptedSinkTask"
    }

    fn new_task(&self) -> Box<dyn SinkTask> {
        let shared = self.0.as_ref().expect("started");
        Box::new(ScriptedSinkTask {
            failed_put_writes_nothing: shared.failed_put_writes_nothing.load(Ordering::Relaxed),
            ..ScriptedSinkTask::default()
        })
    }
}

#[derive(Default)]
struct ScriptedSourceTask {
    context: Option<Arc<dyn SourceTaskContext>>,
    shared: Option<Arc<Shared>>,
    topic: TopicName,
    position: i64,
}

impl ScriptedSourceTask {
    fn shared(&self) -> &Arc<Shared> {
        self.shared.as_ref().expect("started")
    }
}

#[async_trait]
impl SourceTask for ScriptedSourceTask {
    async fn start(
        &mut self,
        context: Arc<dyn SourceTaskContext>,
        config: &Properties,
    ) -> Result<()> {
        let shared = shared_of(config);
        self.shared = Some(shared.clone());
        shared.start_result()?;
        let stored = context.offset_storage_reader().offset(&partition()).await?;
        let stored = stored.and_then(|offset| match offset.get_str("position") {
            Some(Value::Int64(position)) => Some(*position),
            _ => None,
        });
        self.position = stored.unwrap_or(0);
        shared.note(format!("start at {}", self.position));
        self.topic = config.get("name").expect("a name").into();
        self.context = Some(context);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>> {
        let shared = self.shared().clone();
        let mut given = shared.given.subscribe();
        let step = loop {
            if let Some(step) = shared.steps.lock().unwrap().pop_front() {
                break step;
            }
            given.changed().await.expect("the sender is shared");
        };
        match step {
            Step::Give(values) => {
                shared.note("poll");
                let records = values.into_iter().map(|value| {
                    self.position += 1;
                    let schema = match value {
                        Value::Int32(_) => None,
                        _ => Some(Schema::STRING),
                    };
                    let mut record = ConnectRecord::new(self.topic.clone(), schema, value);
                    record.kafka_partition = Some(0);
                    SourceRecord {
                        record,
                        source_partition: Some(partition()),
                        source_offset: Some(SourceOffset::Position("position", self.position)),
                    }
                });
                Ok(Some(records.collect()))
            }
            Step::Nothing => {
                shared.note("poll nothing");
                Ok(None)
            }
            Step::Report(value) => {
                self.position += 1;
                let record = SourceRecord {
                    record: ConnectRecord::new(self.topic.clone(), Some(Schema::STRING), value),
                    source_partition: Some(partition()),
                    source_offset: Some(SourceOffset::Position("position", self.position)),
                };
                let context = self.context.as_ref().expect("started");
                let reporter = context.errant_record_reporter().expect("there is a queue");
                let error = ConnectError::data("no such type");
                let reported = reporter.report(&record, error).await;
                shared.note(format!("reported {}", reported.is_ok()));
                Ok(None)
            }
            Step::Fail(error) => {
                shared.note("poll fails");
                Err(error)
            }
            Step::Panic => panic!("told to"),
        }
    }

    async fn commit(&mut self) -> Result<()> {
        self.shared().note("commit");
        Ok(())
    }

    fn wants_commit_record(&self) -> bool {
        true
    }

    async fn commit_record(
        &mut self,
        record: &SourceRecord,
        metadata: Option<RecordMetadata>,
    ) -> Result<()> {
        let what = match (&record.value, metadata) {
            (value, Some(metadata)) => format!(
                "commit_record {} @{}",
                value.as_str().unwrap_or("?"),
                metadata.offset
            ),
            (value, None) => format!("commit_record {} dropped", value.as_str().unwrap_or("?")),
        };
        self.shared().note(what);
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        let shared = self.shared().clone();
        shared.note("stop");
        drop(shared.stop_blocks.lock().unwrap());
        Ok(())
    }
}

/// A value of its own for each record, as simple connectors do it.
fn partition() -> SourcePartition {
    SourcePartition::new(Map::from_iter([(Value::text("part"), "only")]))
}

#[derive(Default)]
struct ScriptedSinkTask {
    failed_put_writes_nothing: bool,
    shared: Option<Arc<Shared>>,
    context: Option<Arc<dyn SinkTaskContext>>,
}

impl ScriptedSinkTask {
    fn note(&self, call: String) {
        self.shared.as_ref().expect("started").note(call);
    }
}

#[async_trait]
impl SinkTask for ScriptedSinkTask {
    async fn start(
        &mut self,
        context: Arc<dyn SinkTaskContext>,
        config: &Properties,
    ) -> Result<()> {
        self.shared = Some(shared_of(config));
        self.context = Some(context);
        self.shared.as_ref().expect("set above").start_result()?;
        self.note("start".into());
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.note(format!("open {}", numbers(partitions)));
        Ok(())
    }

    async fn put(&mut self, records: &[SinkRecord]) -> Result<()> {
        let shared = self.shared.as_ref().expect("started");
        if !records.is_empty() {
            let values = records.iter().map(|it| it.value.as_str().unwrap_or("?"));
            shared.note(format!("put {}", values.collect::<Vec<_>>().join(" ")));
        }
        // A test may have told it to panic in here before.
        let on_put = shared.on_put.lock();
        match (
            &mut *on_put.unwrap_or_else(PoisonError::into_inner),
            &self.context,
        ) {
            (Some(on_put), Some(context)) => on_put(context, records),
            _ => Ok(()),
        }
    }

    fn failed_put_writes_nothing(&self) -> bool {
        self.failed_put_writes_nothing
    }

    async fn pre_commit(&mut self, offsets: Offsets) -> Result<Offsets> {
        let all = offsets
            .iter()
            .map(|(it, offset)| format!("{}@{offset}", it.partition));
        self.note(format!("pre_commit {}", all.collect::<Vec<_>>().join(" ")));
        Ok(offsets)
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.note(format!("close {}", numbers(partitions)));
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        self.note("stop".into());
        let shared = self.shared.as_ref().expect("started");
        drop(shared.stop_blocks.lock().unwrap());
        Ok(())
    }
}

fn numbers(partitions: &[TopicPartition]) -> String {
    let mut numbers: Vec<_> = partitions
        .iter()
        .map(|it| it.partition.to_string())
        .collect();
    numbers.sort();
    numbers.join(" ")
}

/// What a config provider knows by its paths.
static PROVIDED: Mutex<BTreeMap<String, BTreeMap<String, String>>> = Mutex::new(BTreeMap::new());

/// Sets what the config provider knows under a path. A key `ttl` is how long it is good, in milliseconds.
pub fn provide(path: &str, data: &[(&str, &str)]) {
    let data = data
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    PROVIDED
        .lock()
        .unwrap()
        .insert(path.to_string(), data.collect());
}

#[derive(Default)]
pub struct ScriptedConfigProvider;

impl ConfigProvider for ScriptedConfigProvider {
    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn get(&self, path: &str, _: Option<&[&str]>) -> Result<ConfigData> {
        let provided = PROVIDED.lock().unwrap();
        let Some(data) = provided.get(path) else {
            return Err(ConnectError::config(format!("no secrets under {path}")));
        };
        let ttl = data.get("ttl").and_then(|ttl| ttl.parse().ok());
        Ok(ConfigData {
            data: data.clone(),
            ttl: ttl.map(std::time::Duration::from_millis),
        })
    }
}
