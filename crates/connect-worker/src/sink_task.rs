//! The loop of a sink task: consume, convert, put, commit what the task has delivered.
//!
//! Lives here: the order of things, redelivery, rebalances, when to commit.
//! Lives elsewhere: what may be committed (`sink_offsets`), the task's requests (`sink_context`),
//! conversion (`conversion`), fetching and group membership (`kafka_client::consumer`).
//! Source: `WorkerSinkTask` in apache/kafka, connect/runtime.

use crate::chain::TransformationChain;
use crate::config_providers::TaskConfig;
use crate::connector_config::{ConnectorConfig, TopicsChoice, topics_of};
use crate::conversion::{Converters, SinkConversion};
use crate::errors::{Again, DeadLetterQueue, Failure, Raw, Tolerance, Which};
use crate::panics::caught;
use crate::sink_context::SinkContext;
use crate::sink_offsets::{CommitPlan, Ignored, SinkOffsets};
use crate::source_task::wait_while_paused;
use crate::status::{ConnectorTaskId, State, TargetState};
use crate::task::Target;
use crate::transforms::{Batch, SinkTransforms};
use crate::worker::WorkerParts;
use bytes::Bytes;
use connect_api::{
    ConnectError, Offsets, Result, SinkRecord, SinkTask, TimestampType, TopicPartition,
};
use connect_config::java_regex::JavaRegex;
use connect_config::{ConfigErrors, Properties};
use kafka_client::ClientError;
use kafka_client::consumer::{
    self, Consumer, OffsetAndMetadata, PartitionRecords, PendingCommit, Polled, RecordView,
};
use kafka_client::settings::{ConsumerSettings, Parsed};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

/// How long refused records wait before they are offered again, unless the task asks for another time.
const REDELIVERY_WAIT: Duration = Duration::from_secs(1);

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
    let letters = DeadLetterQueue::open(
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
        conversion: SinkConversion::new(parts.converters),
        transforms: SinkTransforms::new(parts.chain, parts.tolerance.clone()),
        letters,
        tolerance: parts.tolerance,
        consumer,
        context: context.clone(),
        offsets: SinkOffsets::default(),
        batch: Vec::new(),
        ends: Vec::new(),
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
    sink.send_letters().await;
    if let Some(queue) = sink.letters.take() {
        queue.close().await;
    }
    // After a panic what the task holds is dropped, and nothing asked of it: it might say that records are
    // safe which it has lost. The others of its group need not wait for its partitions.
    if let Err(error) = sink.consumer.close(LEAVE_MAX).await {
        debug!(%error, "consumer did not leave its group");
    }
    sink.tolerance.say_skipped();
    let result = result.unwrap_or_else(|panic| Err(panic.into()));
    result.map_err(|error| {
        ConnectError::new(
            error.kind(),
            "Exiting WorkerSinkTask due to unrecoverable exception.",
        )
        .caused_by(error)
    })
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
    conversion: SinkConversion,
    transforms: SinkTransforms,
    letters: Option<DeadLetterQueue>,
    tolerance: Arc<Tolerance>,
    consumer: Consumer,
    context: Arc<SinkContext>,
    offsets: SinkOffsets,
    /// What `put` is given; kept while the task refuses it. Its room is used again.
    batch: Vec<SinkRecord>,
    /// How far each partition is once `batch` is delivered, records that were left out included.
    ends: Vec<(TopicPartition, i64)>,
    redelivery: Redelivery,
    paused: Paused,
    next_commit: Instant,
    commit_requested: bool,
    committing: Option<Committing>,
    worker: Arc<WorkerParts>,
    target: Target,
}

/// Whether the task has refused `batch` for now.
#[derive(Clone, Copy, PartialEq)]
enum Redelivery {
    None,
    /// All partitions are paused until the task takes the batch, to be offered again at this time.
    At(Instant),
}

#[derive(Clone, Copy, PartialEq)]
enum Paused {
    No,
    Yes,
}

/// Where a consumed record stands.
struct Place<'a> {
    topic: &'a Arc<str>,
    partition: i32,
    payload: &'a Bytes,
    timestamp_type: TimestampType,
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
                    if self.take_in(records).await? == Batch::Stopped {
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
                    let failed = |cause| ConnectError::fatal("cannot consume").caused_by(cause);
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

    /// Makes the next batch of what was fetched. Records that fail and are tolerated are left out.
    async fn take_in(&mut self, fetched: Vec<PartitionRecords>) -> Result<Batch> {
        debug_assert!(
            self.batch.is_empty(),
            "nothing is consumed while a batch is refused"
        );
        if self.convert(&fetched).await? == Batch::Stopped {
            return Ok(Batch::Stopped);
        }
        self.tolerance.hold(fetched);
        let done = self
            .transforms
            .apply(&mut self.batch, &mut self.target)
            .await?;
        self.send_letters().await;
        Ok(done)
    }

    async fn convert(&mut self, fetched: &[PartitionRecords]) -> Result<Batch> {
        for fetched in fetched {
            let (topic, partition) = (&fetched.topic, fetched.partition);
            for piece in fetched.pieces() {
                let timestamp_type = match piece.batch().timestamp_type() {
                    consumer::TimestampType::CreateTime => TimestampType::CreateTime,
                    consumer::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
                };
                let payload = piece.payload();
                for view in piece.records() {
                    let view = view.map_err(|cause| {
                        ConnectError::fatal("fetched records are damaged")
                            .with("topic", topic)
                            .with("partition", partition)
                            .caused_by(cause)
                    })?;
                    let batch = &mut self.batch;
                    let converted = self.conversion.convert(
                        topic,
                        partition,
                        payload,
                        &view,
                        timestamp_type,
                        batch,
                    );
                    if let Err(failure) = converted {
                        let place = Place {
                            topic,
                            partition,
                            payload,
                            timestamp_type,
                        };
                        if self.convert_again(failure, &place, &view).await? == Batch::Stopped {
                            return Ok(Batch::Stopped);
                        }
                    }
                }
            }
            self.ends.push((
                TopicPartition {
                    topic: topic.clone(),
                    partition,
                },
                fetched.next_offset(),
            ));
        }
        Ok(Batch::Done)
    }

    /// After a record could not be converted: tries again as long as that may help, then leaves it out or fails.
    #[cold]
    async fn convert_again(
        &mut self,
        mut failure: Failure,
        place: &Place<'_>,
        view: &RecordView<'_>,
    ) -> Result<Batch> {
        let mut retries = None;
        loop {
            let again = self
                .tolerance
                .again(&mut retries, &failure.error, &mut self.target);
            match again.await {
                Again::Yes => {
                    let converted = self.conversion.convert(
                        place.topic,
                        place.partition,
                        place.payload,
                        view,
                        place.timestamp_type,
                        &mut self.batch,
                    );
                    match converted {
                        Ok(()) => return Ok(Batch::Done),
                        Err(more) => failure = more,
                    }
                }
                Again::Stopped => return Ok(Batch::Stopped),
                again => {
                    let has_time = view.timestamp_ms != -1;
                    let which = Which::Consumed {
                        topic: place.topic,
                        partition: place.partition,
                        offset: view.offset,
                        timestamp: has_time.then_some(view.timestamp_ms),
                        timestamp_type: match has_time {
                            true => place.timestamp_type,
                            false => TimestampType::NoTimestampType,
                        },
                        raw: Some(Raw {
                            payload: place.payload,
                            view,
                        }),
                    };
                    self.tolerance.failed(failure.operation(), which, again)?;
                    return Ok(Batch::Done);
                }
            }
        }
    }

    /// Sends what has become a letter; Kafka's answers are waited for before the next commit.
    async fn send_letters(&mut self) {
        if let Some(queue) = &mut self.letters {
            let letters = self.tolerance.take_letters();
            if !letters.is_empty() {
                queue.send(letters).await;
            }
        }
    }

    /// Before offsets are committed: letters of the records before them are with Kafka.
    async fn settle_letters(&mut self) {
        self.send_letters().await;
        if let Some(queue) = &mut self.letters {
            queue.settle().await;
        }
    }

    /// Gives the batch to the task. A batch that it refuses stays.
    async fn put(&mut self) -> Result<()> {
        if let Redelivery::At(time) = self.redelivery
            && Instant::now() < time
        {
            return Ok(());
        }
        let result = self.task.put(&self.batch).await;
        self.send_letters().await;
        match result {
            Ok(()) => {
                self.tolerance.check()?;
                for (partition, offset) in self.ends.drain(..) {
                    self.offsets.delivered(&partition, offset);
                }
                self.batch.clear();
                self.end_redelivery();
                Ok(())
            }
            Err(error) if error.is_retriable() => {
                let wait = self.context.take_timeout().unwrap_or(REDELIVERY_WAIT);
                if self.redelivery == Redelivery::None {
                    warn!(%error, records = self.batch.len(), "the task refused records for now; offering them again");
                    self.pause_all();
                } else {
                    debug!(%error, records = self.batch.len(), "the task refused records again");
                }
                self.redelivery = Redelivery::At(Instant::now() + wait);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn open_partitions(&mut self, partitions: Vec<consumer::TopicPartition>) -> Result<()> {
        let partitions = convert_all(partitions);
        for partition in &partitions {
            let position = self.consumer.position(&client_partition(partition)).await;
            let position = position.map_err(|cause| {
                ConnectError::fatal("cannot find where to go on")
                    .with("partition", partition)
                    .caused_by(cause)
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
                self.settle_letters().await;
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

    /// Takes records of these partitions out of a refused batch.
    fn drop_pending(&mut self, partitions: &[TopicPartition]) {
        self.batch.retain(|record| {
            let (topic, partition) = (record.original_topic(), record.original_partition());
            !partitions
                .iter()
                .any(|gone| *gone.topic == *topic && gone.partition == partition)
        });
        self.ends
            .retain(|(partition, _)| !partitions.contains(partition));
        if self.batch.is_empty() {
            self.end_redelivery();
        }
    }

    /// Reads on after records were refused.
    fn end_redelivery(&mut self) {
        if self.redelivery != Redelivery::None {
            self.redelivery = Redelivery::None;
            if self.paused == Paused::No {
                self.resume_all();
            }
        }
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
            self.settle_letters().await;
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
        self.ends.clear();
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
            topic: p.topic,
            partition: p.partition,
        })
        .collect()
}

fn client_partition(partition: &TopicPartition) -> consumer::TopicPartition {
    consumer::TopicPartition {
        topic: partition.topic.clone(),
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
