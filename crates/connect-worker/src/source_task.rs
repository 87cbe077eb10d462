//! The loop of a source task: poll, convert, produce, commit offsets of what Kafka has.
//!
//! Lives here: the order of things, back-pressure, when to commit, what a failure does. Beside it: what Kafka's answers
//! lead to (`acknowledge`).
//! Lives elsewhere: which offsets may be committed (`submitted_records`), storing them (`source_commits`),
//! conversion (`conversion`), sending (`kafka_client::producer`).
//! Source: `AbstractWorkerSourceTask`, `WorkerSourceTask` in apache/kafka, connect/runtime.

use crate::chain::TransformationChain;
use crate::config_providers::TaskConfig;
use crate::connector_config::ConnectorConfig;
use crate::conversion::{Converters, SourceConversion};
use crate::errors::{Again, DeadLetters, Failure, Retries, Stage, Tolerance, Which, of_client};
use crate::offsets::ConnectorOffsets;
use crate::panics::caught;
use crate::source_commits::Commits;
use crate::status::{ConnectorTaskId, State, TargetState};
use crate::submitted_records::SubmittedRecords;
use crate::task::Target;
use crate::topic_creation::TopicCreation;
use crate::topic_creator::{self, TopicCreator};
use crate::transforms::{SourceBatch, SourceTransforms};
use crate::worker::WorkerParts;
use crate::worker_config::WorkerConfig;
use connect_api::{
    ConnectError, ErrantSourceRecordReporter, OffsetStorageReader, Result, SourceRecord,
    SourceTask, SourceTaskContext, TopicName,
};
use connect_config::{ConfigErrors, Properties};
use kafka_client::Client;
use kafka_client::producer::{
    Acknowledged, Acknowledgements, AppendError, Producer, Record, Run, Topic,
};
use kafka_client::settings::{Parsed, ProducerSettings};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tracing::{debug, info, warn};

mod acknowledge;

use acknowledge::Unanswered;

/// The class that Java's logs name for a failed send.
const PRODUCER_CLASS: &str = "org.apache.kafka.clients.producer.KafkaProducer";
/// How often to say that a topic is not there.
const NO_TOPIC_SAID_EVERY: Duration = Duration::from_secs(30);
/// How soon to say so first: a topic that the broker creates is there by then.
const NO_TOPIC_SAID_AFTER: Duration = Duration::from_secs(3);
/// How long a task waits after a poll that failed for a reason that may pass: it may fail again at once.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// What a source task is started with.
pub struct Parts {
    pub id: ConnectorTaskId,
    pub task: Box<dyn SourceTask>,
    pub task_config: Properties,
    pub config: ConnectorConfig,
    /// Client properties of the producer.
    pub producer: Properties,
    pub converters: Converters,
    pub chain: TransformationChain,
    pub tolerance: Arc<Tolerance>,
    pub offsets: Arc<ConnectorOffsets>,
    pub worker: Arc<WorkerParts>,
    pub target: Target,
}

/// Checks the properties of a producer.
pub fn producer_settings(config: Properties) -> Result<Parsed<ProducerSettings>, ConfigErrors> {
    let properties = config
        .iter()
        .filter_map(|(key, value)| Some((key.to_string(), value?.to_string())));
    ProducerSettings::parse(properties)
        .map_err(|errors| crate::worker::client_errors("producer.override.", errors))
}

/// Checks what a connector says about new topics, and the client that is to create them.
pub fn check_topic_creation(
    worker: &WorkerConfig,
    connector: &Properties,
) -> Result<(), ConfigErrors> {
    match TopicCreation::parse(connector, worker.topic_creation_enable)? {
        Some(_) => topic_creator::admin_settings(&worker.originals, connector, "").map(drop),
        None => Ok(()),
    }
}

/// Runs a task until its target state is `Stopped` or it fails.
pub async fn run(mut parts: Parts) -> Result<()> {
    if !wait_while_paused(&mut parts.target, &parts.id, &parts.worker).await {
        return Ok(());
    }
    let parsed = producer_settings(parts.producer)?;
    crate::worker::warn_of_ignored(&parsed.ignored, "producer");
    let client = (parts.worker.connect)(parsed.settings.connection.clone());
    let made = Producer::new(client.clone(), &parsed.settings);
    let (producer, acknowledgements) =
        made.map_err(|cause| ConnectError::config("cannot make the producer").caused_by(cause))?;
    let creation = TopicCreation::parse(
        &parts.config.originals,
        parts.worker.config.topic_creation_enable,
    )?;
    let topic_creator = creation.map(|creation| {
        let client_id = format!("connector-adminclient-{}", parts.id);
        TopicCreator::new(creation, &parts.worker, &parts.config.originals, &client_id)
    });
    let letters = DeadLetters::open(
        &parts.id,
        &parts.config,
        &parts.worker,
        parts.tolerance.clone(),
    );
    let letters = tokio::select! {
        letters = letters => letters?,
        () = parts.target.stopping() => return Ok(()),
    };
    let context = Arc::new(Context {
        config: TaskConfig::new(
            parts.task_config.clone(),
            &parts.config.originals,
            &parts.config.references,
            parts.worker.config.providers.clone(),
        ),
        offsets: parts.offsets.clone(),
        tolerance: parts.tolerance.clone(),
    });
    let wants_commit_record = parts.task.wants_commit_record();
    let transforms =
        SourceTransforms::new(parts.chain, parts.tolerance.clone(), wants_commit_record);
    let mut source = SourceLoop {
        wants_commit_record,
        task: parts.task,
        conversion: SourceConversion::new(parts.converters),
        transforms,
        client,
        producer,
        acknowledgements,
        arrived: Vec::new(),
        topics: HashMap::new(),
        topic_creator: topic_creator.transpose()?,
        last_topic: None,
        unanswered: Unanswered::new(&parts.tolerance),
        kept: HashMap::new(),
        letters,
        tolerance: parts.tolerance,
        commits: Commits::new(
            parts.offsets,
            parts.worker.config.offset_flush_interval,
            parts.worker.config.offset_flush_timeout,
        ),
        dropped: Vec::new(),
        id: parts.id,
        worker: parts.worker,
        target: parts.target,
    };
    let result = match caught(source.task.start(context, &parts.task_config)).await {
        Ok(Ok(())) => {
            info!("source task started");
            source.report(State::Running);
            let result = caught(source.run()).await;
            let plugin = if result.is_ok() {
                Plugin::Sound
            } else {
                Plugin::Panicked
            };
            source.finish(plugin).await;
            result
        }
        failed => failed,
    };
    // Also after a start that failed: what it took is freed.
    if result.is_ok()
        && let Err(error) = source.task.stop().await
    {
        warn!(%error, "task did not stop cleanly");
    }
    source.letters.close().await;
    source.producer.close(Duration::ZERO).await;
    source.tolerance.say_skipped();
    result?
}

/// A task that starts as paused does nothing until it is resumed. `false`: it was stopped instead.
pub async fn wait_while_paused(
    target: &mut Target,
    id: &ConnectorTaskId,
    worker: &WorkerParts,
) -> bool {
    loop {
        match target.get() {
            TargetState::Started => return true,
            TargetState::Stopped => return false,
            TargetState::Paused => {
                worker.listener.task_changed(id, State::Paused);
                target.changed().await;
            }
        }
    }
}

struct Context {
    config: TaskConfig,
    offsets: Arc<ConnectorOffsets>,
    tolerance: Arc<Tolerance>,
}

impl SourceTaskContext for Context {
    fn configs(&self) -> Properties {
        self.config.fresh()
    }

    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader> {
        self.offsets.clone()
    }

    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantSourceRecordReporter>> {
        self.tolerance
            .has_reporter()
            .then(|| self.tolerance.clone() as Arc<dyn ErrantSourceRecordReporter>)
    }
}

struct SourceLoop {
    id: ConnectorTaskId,
    task: Box<dyn SourceTask>,
    conversion: SourceConversion,
    transforms: SourceTransforms,
    client: Client,
    producer: Producer,
    acknowledgements: Acknowledgements,
    /// Acknowledgements that were taken and not looked at yet. Its room is used again.
    arrived: Vec<Acknowledged>,
    topics: HashMap<TopicName, Topic>,
    /// `None`: topics are the broker's or the user's to create.
    topic_creator: Option<TopicCreator>,
    /// The topic of the last record: successive records mostly share it.
    last_topic: Option<(TopicName, Topic)>,
    unanswered: Unanswered,
    /// Records that were left out, only for tasks that want `commit_record`.
    dropped: Vec<SourceRecord>,
    wants_commit_record: bool,
    /// Records until they are acknowledged, only for tasks that want `commit_record`.
    kept: HashMap<(u32, u64), SourceRecord>,
    tolerance: Arc<Tolerance>,
    letters: DeadLetters,
    commits: Commits,
    worker: Arc<WorkerParts>,
    target: Target,
}

/// Whether the task may be called: after a panic what it holds is dropped, and nothing asked of it.
#[derive(PartialEq)]
enum Plugin {
    Sound,
    Panicked,
}

/// What ended a wait.
enum Woken {
    Polled(Result<Option<Vec<SourceRecord>>>),
    Target,
}

/// How far records were appended.
enum Appended {
    All,
    UntilFull,
    UntilUnknownTopic(TopicName),
    UntilUnknownPartition {
        topic: Topic,
        partition: i32,
    },
    /// The next record cannot be converted.
    UntilFailure(Failure),
}

/// Whether the loop goes on.
#[derive(PartialEq)]
enum Flow {
    GoOn,
    Stop,
}

impl SourceLoop {
    async fn run(&mut self) -> Result<()> {
        loop {
            match self.target.get() {
                TargetState::Stopped => return Ok(()),
                TargetState::Paused => {
                    self.pause().await?;
                    continue;
                }
                TargetState::Started => {}
            }
            self.acknowledgements.try_recv(&mut self.arrived);
            self.acknowledge_arrived().await?;
            self.commit_if_due().await;
            let polled = self.poll().await?;
            // What the task has reported, whatever it made of the answer.
            self.letters.send().await;
            self.tolerance.check()?;
            let records = match polled {
                Woken::Target => continue,
                Woken::Polled(Ok(records)) => records.unwrap_or_default(),
                Woken::Polled(Err(error)) if error.is_retriable() => {
                    warn!(%error, "poll failed for a reason that may pass; trying again");
                    tokio::select! {
                        () = self.target.changed() => {}
                        () = tokio::time::sleep(RETRY_WAIT) => {}
                    }
                    continue;
                }
                Woken::Polled(Err(error)) => return Err(error),
            };
            // A task that never waits must not keep a thread from all others.
            if records.is_empty() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::task::coop::consume_budget().await;
            if self.send(records).await? == Flow::Stop {
                return Ok(());
            }
        }
    }

    /// Polls the task; acknowledgements and commits go on meanwhile.
    async fn poll(&mut self) -> Result<Woken> {
        let Self {
            task,
            acknowledgements,
            arrived,
            target,
            commits,
            unanswered,
            tolerance,
            letters,
            wants_commit_record,
            ..
        } = self;
        let mut polled = task.poll();
        loop {
            tokio::select! {
                biased;
                result = &mut polled => return Ok(Woken::Polled(result)),
                () = target.changed() => return Ok(Woken::Target),
                true = acknowledgements.recv(arrived) => {
                    if !tolerance.tolerates() && arrived.iter().any(|it| it.result.is_err()) {
                        // The task is about to fail: no use in reading on.
                        return Ok(Woken::Target);
                    }
                    // Those that want `commit_record` hear of it when `poll` is back.
                    if !*wants_commit_record {
                        for acknowledged in arrived.drain(..) {
                            unanswered.settle(&acknowledged, tolerance)?;
                        }
                        letters.send().await;
                    }
                }
                () = commits.due() => commits.step(&mut unanswered.submitted, letters).await,
            }
        }
    }

    async fn pause(&mut self) -> Result<()> {
        info!("source task paused");
        self.report(State::Paused);
        // Those that came while the task was polled.
        self.acknowledge_arrived().await?;
        while self.target.get() == TargetState::Paused {
            tokio::select! {
                () = self.target.changed() => {}
                true = self.acknowledgements.recv(&mut self.arrived) => self.acknowledge_arrived().await?,
                () = self.commits.due() => self.commit_if_due().await,
            }
        }
        if self.target.get() == TargetState::Started {
            info!("source task resumed");
            self.report(State::Running);
        }
        Ok(())
    }

    /// Converts and appends. `Stop`: told to stop while Kafka did not take more; what was not sent is read
    /// again after the next start.
    async fn send(&mut self, records: Vec<SourceRecord>) -> Result<Flow> {
        let Some(mut batch) = self.transforms.apply(records, &mut self.target).await else {
            return Ok(Flow::Stop);
        };
        self.letters.send().await;
        // Of the record that is the next one.
        let mut retries = None;
        for record in std::mem::take(&mut batch.dropped) {
            self.commit_record(&record, None).await;
        }
        loop {
            let appended = self.append(&mut batch)?;
            self.letters.send().await;
            for record in std::mem::take(&mut self.dropped) {
                self.commit_record(&record, None).await;
            }
            let flow = match appended {
                Appended::All => return batch.failed.map(|()| Flow::GoOn),
                Appended::UntilFull => self.wait_for_room().await?,
                Appended::UntilUnknownTopic(topic) => self.resolve(topic).await?,
                Appended::UntilUnknownPartition { topic, partition } => {
                    self.await_partition(topic, partition).await?
                }
                Appended::UntilFailure(failure) => {
                    let flow = self
                        .after_failure(&mut batch, &mut retries, failure)
                        .await?;
                    self.letters.send().await;
                    for record in std::mem::take(&mut self.dropped) {
                        self.commit_record(&record, None).await;
                    }
                    flow
                }
            };
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
    }

    /// Appends until something has to be waited for; that record is then still the next one.
    fn append(&mut self, records: &mut SourceBatch) -> Result<Appended> {
        let Self {
            producer,
            conversion,
            unanswered,
            topics,
            last_topic,
            kept,
            tolerance,
            dropped,
            ..
        } = self;
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis() as i64;
        // Holds the producer's lock, and no `.await` is below.
        let mut appender = producer.appender();
        while let Some(record) = records.peek() {
            let topic = match last_topic {
                Some((name, topic)) if name.ptr_eq(&record.topic) => *topic,
                _ => match topics.get(&record.topic) {
                    Some(topic) => {
                        *last_topic = Some((record.topic.clone(), *topic));
                        *topic
                    }
                    None => {
                        // As in Java, no topic is looked for, or created, for a record that goes nowhere.
                        return Ok(match conversion.convert(record) {
                            Ok(_) => Appended::UntilUnknownTopic(record.topic.clone()),
                            Err(failure) => Appended::UntilFailure(failure),
                        });
                    }
                },
            };
            let encoded = match conversion.convert(record) {
                Ok(encoded) => encoded,
                Err(failure) => return Ok(Appended::UntilFailure(failure)),
            };
            let token = unanswered.submitted.next_token(&record.source_partition);
            let to_append = Record {
                topic,
                partition: record.kafka_partition,
                timestamp_ms: checked_timestamp(record)?.unwrap_or(now_ms),
                key: encoded.key,
                value: encoded.value,
            };
            let appended = if encoded.headers.is_empty() {
                appender.append(&to_append, token)
            } else {
                let headers = encoded
                    .headers
                    .iter()
                    .map(|header| (header.key.as_bytes(), header.value.as_deref()));
                appender.append_with_headers(&to_append, headers, token)
            };
            match appended {
                Ok(_) => {
                    unanswered.keep_letter(token, record, &encoded);
                    let submitted = &mut unanswered.submitted;
                    if !self.wants_commit_record {
                        submitted.submit(token, records.pass());
                        continue;
                    }
                    let Some(mut record) = records.take() else {
                        break;
                    };
                    submitted.submit(token, record.source_offset.take());
                    kept.insert((token.stream, token.number), record);
                }
                Err(AppendError::Full) => return Ok(Appended::UntilFull),
                Err(AppendError::UnknownPartition(_)) => {
                    let partition = record.kafka_partition.unwrap_or_default();
                    return Ok(Appended::UntilUnknownPartition { topic, partition });
                }
                Err(AppendError::RecordTooLarge(cause)) => {
                    let error =
                        ConnectError::data("the record is too large for a topic").caused_by(cause);
                    tolerance.failed_at_once(
                        Stage::KafkaProduce,
                        PRODUCER_CLASS,
                        error,
                        Which::of_source(record).with_bytes(&encoded),
                    )?;
                    let Some(mut record) = records.take() else {
                        break;
                    };
                    let submitted = &mut unanswered.submitted;
                    // As a record that Kafka has refused: done with, and its offset counts.
                    submitted.submit(token, record.source_offset.take());
                    submitted.acknowledge(Run {
                        stream: token.stream,
                        first: token.number,
                        count: 1,
                    });
                    if self.wants_commit_record {
                        dropped.push(record);
                    }
                }
                Err(AppendError::Closed(cause)) => {
                    return Err(
                        ConnectError::fatal("the producer takes no more records").caused_by(cause)
                    );
                }
            }
        }
        Ok(Appended::All)
    }

    /// After the next record could not be converted: waits until it is tried again, or leaves it out.
    #[cold]
    async fn after_failure(
        &mut self,
        batch: &mut SourceBatch,
        retries: &mut Option<Retries>,
        failure: Failure,
    ) -> Result<Flow> {
        let again = self
            .tolerance
            .again(retries, &failure.error, &mut self.target);
        match again.await {
            Again::Yes => Ok(Flow::GoOn),
            Again::Stopped => Ok(Flow::Stop),
            again => {
                *retries = None;
                let Some(record) = batch.take() else {
                    return Ok(Flow::GoOn);
                };
                let which = Which::of_source(&record);
                self.tolerance.failed(failure, which, again)?;
                if self.wants_commit_record {
                    self.dropped.push(record);
                }
                Ok(Flow::GoOn)
            }
        }
    }

    /// Acknowledgements are not waited for here: one wake-up for plenty of room is enough.
    async fn wait_for_room(&mut self) -> Result<Flow> {
        let Self {
            producer,
            acknowledgements,
            arrived,
            target,
            commits,
            unanswered,
            letters,
            ..
        } = self;
        let Some(ready) = attended(
            producer.ready_and_take(acknowledgements, arrived),
            target,
            commits,
            &mut unanswered.submitted,
            letters,
        )
        .await
        else {
            return Ok(Flow::Stop);
        };
        ready.map_err(|cause| of_client("Kafka takes no more records", cause))?;
        self.acknowledgements.try_recv(&mut self.arrived);
        self.acknowledge_arrived().await?;
        Ok(Flow::GoOn)
    }

    async fn await_partition(&mut self, topic: Topic, partition: i32) -> Result<Flow> {
        let Self {
            producer,
            target,
            commits,
            unanswered,
            letters,
            ..
        } = self;
        let there = producer.await_partition(topic, partition);
        match attended(there, target, commits, &mut unanswered.submitted, letters).await {
            None => Ok(Flow::Stop),
            Some(Ok(())) => Ok(Flow::GoOn),
            Some(Err(cause)) => {
                let message = "the record names a partition that is not there";
                Err(of_client(message, cause))
            }
        }
    }

    /// Looks a topic up, which is created first if the connector has that done. `Stop`: told to stop while
    /// waiting for it.
    async fn resolve(&mut self, name: TopicName) -> Result<Flow> {
        let Self {
            producer,
            client,
            topic_creator,
            target,
            commits,
            unanswered,
            letters,
            ..
        } = self;
        if let Some(creator) = topic_creator {
            let created = attended(
                creator.ensure(&name),
                target,
                commits,
                &mut unanswered.submitted,
                letters,
            )
            .await;
            let Some(created) = created else {
                return Ok(Flow::Stop);
            };
            created?;
        }
        let resolved = async {
            let begin = Instant::now();
            let mut said = begin + NO_TOPIC_SAID_AFTER;
            let mut resolving = pin!(producer.topic(&name));
            loop {
                tokio::select! {
                    topic = &mut resolving => return topic,
                    () = tokio::time::sleep_until(said) => {
                        said += NO_TOPIC_SAID_EVERY;
                        let reason = client.metadata().topic_error(&name).map(|code| code.to_string());
                        warn!(
                            topic = &*name,
                            waited_s = begin.elapsed().as_secs(),
                            reason,
                            "the topic is not there and the broker does not create it; create it and the task goes on"
                        );
                    }
                }
            }
        };
        let Some(topic) = attended(
            resolved,
            target,
            commits,
            &mut unanswered.submitted,
            letters,
        )
        .await
        else {
            return Ok(Flow::Stop);
        };
        let topic = topic.map_err(|cause| {
            of_client("the topic cannot be written to", cause).with("topic", &name)
        })?;
        self.topics.insert(name, topic);
        Ok(Flow::GoOn)
    }

    async fn commit_if_due(&mut self) {
        if self.commits.is_due() {
            let submitted = &mut self.unanswered.submitted;
            self.commits.step(submitted, &mut self.letters).await;
        }
        self.tell_committed().await;
    }

    async fn tell_committed(&mut self) {
        if self.commits.take_done()
            && let Err(error) = self.task.commit().await
        {
            warn!(%error, "the task's commit failed; the offsets are stored");
        }
    }

    /// Waits for what is under way, then stores offsets once more.
    async fn finish(&mut self, plugin: Plugin) {
        if plugin == Plugin::Panicked {
            self.wants_commit_record = false;
        }
        let mut patience = self.commits.timeout;
        if self.target.is_stopping() {
            // Some of the time to stop is for storing what Kafka has by then.
            let graceful = self.worker.config.task_shutdown_graceful_timeout;
            patience = patience.min(graceful * 4 / 5);
        }
        let deadline = Instant::now() + patience;
        // What lingers goes out now; the acknowledgements are waited for below.
        let _ = tokio::time::timeout(Duration::ZERO, self.producer.flush()).await;
        loop {
            if let Err(error) = self.acknowledge_arrived().await {
                debug!(%error, "one more batch was refused");
            }
            if self.unanswered.are_none() {
                break;
            }
            match tokio::time::timeout_at(deadline, self.acknowledgements.recv(&mut self.arrived))
                .await
            {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    warn!(
                        records = self.unanswered.submitted.unacknowledged(),
                        "Kafka did not acknowledge in time; these records are read again after the next start"
                    );
                    break;
                }
            }
        }
        let submitted = &mut self.unanswered.submitted;
        self.commits.finish(submitted, &mut self.letters).await;
        if plugin == Plugin::Sound {
            self.tell_committed().await;
        }
    }

    fn report(&self, state: State) {
        self.worker.listener.task_changed(&self.id, state);
    }
}

/// Waits for the producer while offsets are stored as ever. `None`: told to stop first.
async fn attended<T>(
    waiting: impl Future<Output = T>,
    target: &mut Target,
    commits: &mut Commits,
    submitted: &mut SubmittedRecords,
    letters: &mut DeadLetters,
) -> Option<T> {
    let mut waiting = pin!(waiting);
    loop {
        tokio::select! {
            biased;
            () = target.stopping() => return None,
            output = &mut waiting => return Some(output),
            () = commits.due() => commits.step(submitted, letters).await,
        }
    }
}

/// Java's rule: -1 is no timestamp, any other negative one an error.
fn checked_timestamp(record: &SourceRecord) -> Result<Option<i64>> {
    match record.timestamp {
        None | Some(-1) => Ok(None),
        Some(negative) if negative < 0 => {
            let message = format!("Invalid record timestamp {negative}");
            Err(ConnectError::data(message).with("record", Which::of_source(record).position()))
        }
        there => Ok(there),
    }
}
