//! The loop of a sink task: consume, convert, put, commit what the task has delivered.
//!
//! Lives here: the order of things, rebalances, when to commit. Beside it: making a batch of what was fetched
//! (`intake`), giving it to the task and what a `put` that fails leads to (`put`).
//! Lives elsewhere: what may be committed (`sink_offsets`), the batch (`sink_batch`), the task's requests
//! (`sink_context`), fetching and group membership (`kafka_client::consumer`).
//! Source: `WorkerSinkTask` in apache/kafka, connect/runtime.

use crate::chain::TransformationChain;
use crate::config_providers::TaskConfig;
use crate::connector_config::{ConnectorConfig, TopicsChoice, topics_of};
use crate::conversion::Converters;
use crate::errors::{DeadLetters, Tolerance, of_client};
use crate::panics::caught;
use crate::sink_batch::SinkBatch;
use crate::sink_context::SinkContext;
use crate::sink_offsets::{CommitPlan, Ignored, SinkOffsets};
use crate::source_task::wait_while_paused;
use crate::status::{ConnectorTaskId, State, TargetState};
use crate::task::Target;
use crate::transforms::Batch;
use crate::worker::WorkerParts;
use connect_api::{ConnectError, Offsets, Result, SinkTask, TopicPartition};
use connect_config::java_regex::JavaRegex;
use connect_config::{ConfigErrors, Properties};
use kafka_client::ClientError;
use kafka_client::consumer::{self, Consumer, OffsetAndMetadata, PendingCommit, Polled};
use kafka_client::settings::{ConsumerSettings, Parsed};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

mod intake;
mod put;

use intake::Intake;
use put::{Bisect, Redelivery, unrecoverable};

/// Longest that leaving the group may take.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// What a sink task is started with.
pub struct Parts {
    pub id: ConnectorTaskId,
    pub task: Box<dyn SinkTask>,
    pub task_config: Properties,
    pub config: ConnectorConfig,
    /// Client properties of the consumer.
    pub consumer: Properties,
    pub converters: Converters,
    pub chain: TransformationChain,
    pub tolerance: Arc<Tolerance>,
    pub worker: Arc<WorkerParts>,
    pub target: Target,
}

/// Checks the properties of a consumer.
pub fn consumer_settings(config: Properties) -> Result<Parsed<ConsumerSettings>, ConfigErrors> {
    let properties = config
        .iter()
        .filter_map(|(key, value)| Some((key.to_string(), value?.to_string())));
    ConsumerSettings::parse(properties)
        .map_err(|errors| crate::worker::client_errors("consumer.override.", errors))
}

/// Runs a task until its target state is `Stopped` or it fails.
pub async fn run(mut parts: Parts) -> Result<()> {
    if !wait_while_paused(&mut parts.target, &parts.id, &parts.worker).await {
        return Ok(());
    }
    let topics = topics_of(&parts.task_config)?;
    let parsed = consumer_settings(parts.consumer)?;
    crate::worker::warn_of_ignored(&parsed.ignored, "consumer");
    if parsed.settings.enable_auto_commit {
        warn!(
            "enable.auto.commit=true commits records that the task may not have written yet: a crash loses them; \
             leave it out, the worker commits what the task has delivered"
        );
    }
    let client = {
        let _on_control = parts.worker.control.enter();
        (parts.worker.connect)(parsed.settings.connection.clone())
    };
    let mut consumer = Consumer::with_client(client, parsed.settings, parts.worker.control.clone());
    match topics {
        TopicsChoice::List(topics) => consumer.subscribe(topics),
        TopicsChoice::Pattern(pattern) => consumer.subscribe_matching(topics_matching(pattern)),
    }
    .map_err(|cause| ConnectError::config("cannot subscribe").caused_by(cause))?;
    let bisect = Bisect::of(parts.config.put_bisect, &*parts.task, &parts.task_config)?;
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
    let context = Arc::new(SinkContext::new(
        TaskConfig::new(
            parts.task_config.clone(),
            &parts.config.originals,
            &parts.config.references,
            parts.worker.config.providers.clone(),
        ),
        parts.tolerance.clone(),
    ));
    let now = Instant::now();
    let mut sink = SinkLoop {
        task: parts.task,
        intake: Intake::new(parts.converters, parts.chain, parts.tolerance.clone()),
        bisect,
        letters,
        tolerance: parts.tolerance,
        consumer,
        context: context.clone(),
        offsets: SinkOffsets::default(),
        batch: SinkBatch::default(),
        redelivery: Redelivery::None,
        paused: Paused::No,
        next_commit: now + parts.worker.config.offset_flush_interval,
        commit_requested: false,
        committing: None,
        id: parts.id,
        worker: parts.worker,
        target: parts.target,
    };
    let result = caught(sink.live(context, &parts.task_config)).await;
    // Also of the record that ended the task.
    sink.letters.close().await;
    // After a panic what the task holds is dropped, and nothing asked of it: it might say that records are
    // safe which it has lost. The others of its group need not wait for its partitions.
    if let Err(error) = sink.consumer.close(LEAVE_MAX).await {
        debug!(%error, "consumer did not leave its group");
    }
    sink.tolerance.say_skipped();
    result.unwrap_or_else(|panic| Err(unrecoverable(panic.into())))
}

/// `topics.regex` as the consumer asks for it.
fn topics_matching(pattern: JavaRegex) -> consumer::TopicMatcher {
    consumer::TopicMatcher::new(move |topic| match pattern.matches(topic) {
        Ok(matches) => matches,
        Err(error) => {
            error!(topic, %pattern, %error, "cannot tell whether topics.regex matches; the topic is not read");
            false
        }
    })
}

struct SinkLoop {
    id: ConnectorTaskId,
    task: Box<dyn SinkTask>,
    intake: Intake,
    bisect: Bisect,
    letters: DeadLetters,
    tolerance: Arc<Tolerance>,
    consumer: Consumer,
    context: Arc<SinkContext>,
    offsets: SinkOffsets,
    /// What `put` is given; kept while the task refuses it. Its room is used again.
    batch: SinkBatch,
    redelivery: Redelivery,
    paused: Paused,
    next_commit: Instant,
    commit_requested: bool,
    committing: Option<Committing>,
    worker: Arc<WorkerParts>,
    target: Target,
}

#[derive(Clone, Copy, PartialEq)]
enum Paused {
    No,
    Yes,
}

/// A commit that Kafka has not answered yet.
struct Committing {
    number: u64,
    offsets: Offsets,
    deadline: Instant,
    answer: PendingCommit,
}

impl SinkLoop {
    /// The task's life: started, fed, closed, stopped.
    async fn live(&mut self, context: Arc<SinkContext>, config: &Properties) -> Result<()> {
        let mut result = self.task.start(context, config).await;
        if result.is_ok() {
            info!("sink task started");
            self.report(State::Running);
            result = self.run().await;
        }
        let all: Vec<TopicPartition> = self.offsets.assignment().cloned().collect();
        let closed = self.close_partitions(&all).await;
        // The first error is the one that counts.
        match (&result, closed) {
            (Ok(()), closed) => result = closed,
            (Err(_), Ok(())) => {}
            (Err(_), Err(error)) => warn!(%error, "partitions did not close cleanly"),
        }
        if let Err(error) = self.task.stop().await {
            warn!(%error, "task did not stop cleanly");
        }
        result
    }

    async fn run(&mut self) -> Result<()> {
        loop {
            if self.target.is_stopping() {
                return Ok(());
            }
            self.follow_target();
            self.do_requests();
            let now = Instant::now();
            if self.committing.is_none() && (self.commit_requested || now >= self.next_commit) {
                self.commit_requested = false;
                self.next_commit = now + self.worker.config.offset_flush_interval;
                self.begin_commit().await?;
            }
            if let Some(committing) = &self.committing
                && now >= committing.deadline
            {
                warn!("Commit of offsets timed out");
                self.committing = None;
            }
            let Some(polled) = self.poll().await? else {
                continue;
            };
            match polled {
                Polled::Assigned(partitions) => self.open_partitions(partitions).await?,
                Polled::Revoking(partitions) => {
                    self.close_partitions(&convert_all(partitions)).await?
                }
                Polled::Lost(partitions) => self.lose_partitions(&convert_all(partitions)).await?,
                Polled::Records(records) => {
                    let taken = self
                        .intake
                        .take_in(records, &mut self.batch, &mut self.target)
                        .await?;
                    self.letters.send().await;
                    if taken == Batch::Stopped {
                        return Ok(());
                    }
                    self.put().await?;
                }
                Polled::Nothing => self.put().await?,
            }
        }
    }

    /// Waits for records, but not beyond the next commit, the task's wish or a change of the target state.
    async fn poll(&mut self) -> Result<Option<Polled>> {
        let now = Instant::now();
        // One commit after the other: the next waits for the end of this one.
        let mut until = match &self.committing {
            Some(committing) => committing.deadline,
            None => self.next_commit,
        };
        if let Redelivery::At(time) = self.redelivery {
            until = until.min(time);
        }
        if let Some(timeout) = self.context.take_timeout() {
            until = until.min(now + timeout);
        }
        loop {
            let committed = async {
                match &mut self.committing {
                    Some(committing) => (&mut committing.answer).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.target.changed() => return Ok(None),
                answer = committed => {
                    self.end_commit(answer);
                    if self.commit_requested {
                        return Ok(None);
                    }
                    until = until.min(self.next_commit);
                }
                polled = self.consumer.poll(until.saturating_duration_since(Instant::now())) => {
                    let failed = |cause| of_client("cannot consume", cause);
                    return polled.map(Some).map_err(failed);
                }
            }
        }
    }

    fn follow_target(&mut self) {
        match (self.target.get(), self.paused) {
            (TargetState::Paused, Paused::No) => {
                self.paused = Paused::Yes;
                self.pause_all();
                self.commit_requested = true;
                info!("sink task paused");
                self.report(State::Paused);
            }
            (TargetState::Started, Paused::Yes) => {
                self.paused = Paused::No;
                if self.redelivery == Redelivery::None {
                    self.resume_all();
                }
                info!("sink task resumed");
                self.report(State::Running);
            }
            _ => {}
        }
    }

    fn do_requests(&mut self) {
        let requests = self.context.take_requests();
        for (partition, offset) in requests.offsets {
            if self.offsets.is_assigned(&partition) {
                debug!(%partition, offset, "rewound by the task");
                self.seek(&partition, offset);
                self.offsets.rewind(&partition, offset);
                // What was refused of it is read again, if the task still wants it.
                self.drop_pending(std::slice::from_ref(&partition));
            } else {
                warn!(%partition, offset, "the task wants to go on from an offset of a partition that it does not have");
            }
        }
        if self.paused == Paused::No && self.redelivery == Redelivery::None {
            // The last word counts, whatever the order of the requests was.
            let paused = self.context.paused();
            let assigned = requests.pause_or_resume.iter();
            let assigned = assigned.filter(|partition| self.offsets.is_assigned(partition));
            let (pause, resume): (Vec<_>, Vec<_>) = assigned
                .map(|partition| (client_partition(partition), paused.contains(partition)))
                .partition(|(_, paused)| *paused);
            self.pause(&pause.into_iter().map(|(it, _)| it).collect::<Vec<_>>());
            self.resume(&resume.into_iter().map(|(it, _)| it).collect::<Vec<_>>());
        }
        self.commit_requested |= requests.commit;
    }

    async fn open_partitions(&mut self, partitions: Vec<consumer::TopicPartition>) -> Result<()> {
        let partitions = convert_all(partitions);
        for partition in &partitions {
            let position = self.consumer.position(&client_partition(partition)).await;
            let position = position.map_err(|cause| {
                of_client("cannot find where to go on", cause).with("partition", partition)
            })?;
            self.offsets.assign(partition.clone(), position);
        }
        self.context.set_assignment(self.offsets.assignment());
        if self.batch.is_empty() {
            self.end_redelivery();
        }
        if self.paused == Paused::Yes || self.redelivery != Redelivery::None {
            self.pause_all();
        } else {
            self.pause(&client_partitions(&self.context.paused()));
        }
        if !partitions.is_empty() {
            info!(partitions = list(&partitions), "partitions assigned");
            self.task.open(&partitions).await?;
        }
        self.do_requests();
        Ok(())
    }

    /// Commits and closes partitions that are about to be lost in good order, or all of them at the end.
    async fn close_partitions(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        let mut closed = Ok(());
        let asked = self.offsets.current(partitions);
        if !asked.is_empty() {
            let returned = match self.task.pre_commit(asked.clone()).await {
                Ok(returned) => returned,
                Err(error) => {
                    warn!(%error, "the task could not flush; its records since the last commit come again");
                    Offsets::new()
                }
            };
            self.drop_pending(partitions);
            closed = self.task.close(partitions).await;
            // What the task has flushed is safe, whether it closed well or not.
            let (plan, ignored) = self.offsets.plan_commit(&asked, returned);
            say_ignored(&ignored);
            if let CommitPlan::Commit { number, offsets } = plan {
                self.letters.settle().await;
                let answer = self.consumer.commit_sync(client_offsets(&offsets)).await;
                self.committing = None;
                self.committed(number, &offsets, answer);
            }
        }
        for partition in partitions {
            self.offsets.forget(partition);
        }
        self.context.set_assignment(self.offsets.assignment());
        info!(partitions = list(partitions), "partitions closed");
        closed
    }

    /// Partitions that another member may have already: nothing can be committed any more.
    async fn lose_partitions(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        warn!(
            partitions = list(partitions),
            "partitions lost; records since the last commit are delivered again elsewhere"
        );
        self.drop_pending(partitions);
        for partition in partitions {
            self.offsets.forget(partition);
        }
        self.context.set_assignment(self.offsets.assignment());
        self.task.close(partitions).await
    }

    /// Asks the task what is safe and sends it, without waiting for the answer.
    async fn begin_commit(&mut self) -> Result<()> {
        let all: Vec<TopicPartition> = self.offsets.assignment().cloned().collect();
        let asked = self.offsets.current(&all);
        if asked.is_empty() {
            return Ok(());
        }
        let returned = match self.task.pre_commit(asked.clone()).await {
            Ok(returned) => returned,
            Err(error) => {
                error!(%error, "the task could not flush; going back to what was committed last");
                self.rewind_to_committed();
                return Ok(());
            }
        };
        let (plan, ignored) = self.offsets.plan_commit(&asked, returned);
        say_ignored(&ignored);
        if let CommitPlan::Commit { number, offsets } = plan {
            self.letters.settle().await;
            let answer = self.consumer.commit_async(client_offsets(&offsets));
            self.committing = Some(Committing {
                number,
                offsets,
                deadline: Instant::now() + self.worker.config.offset_flush_timeout,
                answer,
            });
        }
        Ok(())
    }

    fn end_commit(&mut self, answer: Result<(), ClientError>) {
        if let Some(committing) = self.committing.take() {
            self.committed(committing.number, &committing.offsets, answer);
        }
    }

    fn committed(&mut self, number: u64, offsets: &Offsets, answer: Result<(), ClientError>) {
        match answer {
            Ok(()) => {
                self.offsets.committed(number, offsets);
                debug!(partitions = offsets.len(), "offsets committed");
            }
            Err(error) => {
                error!(%error, "offsets were not committed; trying again at the next commit")
            }
        }
    }

    fn rewind_to_committed(&mut self) {
        for (partition, offset) in self.offsets.rewind_to_committed() {
            self.seek(&partition, offset);
        }
        // What was refused comes again from Kafka.
        self.batch.clear();
        self.end_redelivery();
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if let Err(error) = self.consumer.seek(&client_partition(partition), offset) {
            warn!(%partition, offset, %error, "cannot go on from there");
        }
    }

    fn pause_all(&mut self) {
        let all: Vec<_> = self.offsets.assignment().map(client_partition).collect();
        self.pause(&all);
    }

    /// Resumes all but those that the task has paused itself.
    fn resume_all(&mut self) {
        let paused = self.context.paused();
        let all: Vec<_> = self
            .offsets
            .assignment()
            .filter(|partition| !paused.contains(partition))
            .map(client_partition)
            .collect();
        self.resume(&all);
    }

    /// A partition that is no longer assigned needs no pause: it is gone at the next poll.
    fn pause(&mut self, partitions: &[consumer::TopicPartition]) {
        if let Err(error) = self.consumer.pause(partitions) {
            debug!(%error, "a partition to pause is not assigned any more");
        }
    }

    fn resume(&mut self, partitions: &[consumer::TopicPartition]) {
        if let Err(error) = self.consumer.resume(partitions) {
            debug!(%error, "a partition to resume is not assigned any more");
        }
    }

    fn report(&self, state: State) {
        self.worker.listener.task_changed(&self.id, state);
    }
}

fn say_ignored(ignored: &[Ignored]) {
    for offset in ignored {
        match offset {
            Ignored::NotYetConsumed { partition, offset } => {
                warn!(%partition, offset, "Ignoring invalid task provided offset -- not yet consumed");
            }
            Ignored::NotAssigned { partition, offset } => {
                warn!(%partition, offset, "Ignoring invalid task provided offset -- partition not assigned");
            }
        }
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn convert_all(partitions: Vec<consumer::TopicPartition>) -> Vec<TopicPartition> {
    partitions
        .into_iter()
        .map(|p| TopicPartition {
            topic: p.topic.into(),
            partition: p.partition,
        })
        .collect()
}

fn client_partition(partition: &TopicPartition) -> consumer::TopicPartition {
    consumer::TopicPartition {
        topic: partition.topic.clone().into(),
        partition: partition.partition,
    }
}

fn client_partitions(partitions: &[TopicPartition]) -> Vec<consumer::TopicPartition> {
    partitions.iter().map(client_partition).collect()
}

fn client_offsets(offsets: &Offsets) -> Vec<(consumer::TopicPartition, OffsetAndMetadata)> {
    offsets
        .iter()
        .map(|(partition, offset)| (client_partition(partition), OffsetAndMetadata::new(*offset)))
        .collect()
}
