//! The task that keeps a client's metadata fresh.
//!
//! Lives here: which topics are tracked, joining the asks of many tasks into one request, pacing.
//! Lives elsewhere: which broker is asked (`super::Cluster`), what an answer means (`crate::metadata`).
//! Never here: a lock. The task owns its state and ends when no client is left to ask.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::MetadataResponse;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info};

use super::{Backoff, Cluster, Refresh};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::{ClusterMetadata, Coverage};
use crate::settings::{ConnectionSettings, MetadataRecovery};

type Reply = oneshot::Sender<Result<Arc<ClusterMetadata>, ClientError>>;

/// What a client tells the task.
pub(super) enum Ask {
    Refresh { scope: Scope, reply: Option<Reply> },
    Track(Vec<String>),
    Untrack(Vec<String>),
    TrackAll(bool),
}

/// What one request covers. Joining scopes covers both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    all: bool,
    tracked: bool,
    topics: BTreeSet<String>,
}

impl Ask {
    pub(super) fn refresh(what: Refresh<'_>, reply: Option<Reply>) -> Self {
        let mut scope = Scope::default();
        match what {
            Refresh::Tracked => scope.tracked = true,
            Refresh::All => scope.all = true,
            Refresh::Topics(topics) => scope
                .topics
                .extend(topics.iter().map(|topic| (*topic).to_owned())),
        }
        Self::Refresh { scope, reply }
    }
}

impl Scope {
    fn join(&mut self, other: Self) {
        self.all |= other.all;
        self.tracked |= other.tracked;
        self.topics.extend(other.topics);
    }
}

/// Runs until every sender of `asks` is gone.
pub(super) async fn run(cluster: Arc<Cluster>, mut asks: mpsc::UnboundedReceiver<Ask>) {
    let mut refresher = Refresher::new(&cluster.settings);
    let mut under_way: Option<Pin<Box<Attempt>>> = None;
    loop {
        let next = refresher.next_attempt(&cluster.metadata.borrow());
        let idle = under_way.is_none();
        tokio::select! {
            biased;
            ask = asks.recv() => match ask {
                Some(ask) => refresher.take(ask),
                // Dropping the attempt under way is fine: nobody waits for it.
                None => return,
            },
            outcome = async { under_way.as_mut().expect("guarded").await }, if !idle => {
                under_way = None;
                refresher.complete(&cluster, outcome);
            }
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if idle && next.is_some() => {
                let (request, from_bootstrap) = refresher.start(&cluster.settings);
                under_way = Some(Box::pin(ask_a_broker(cluster.clone(), request, from_bootstrap)));
            }
        }
    }
}

type Attempt = dyn Future<Output = Result<MetadataResponse, ClientError>> + Send;

async fn ask_a_broker(
    cluster: Arc<Cluster>,
    request: MetadataRequest,
    from_bootstrap: FromBootstrap,
) -> Result<MetadataResponse, ClientError> {
    let connection = match from_bootstrap {
        FromBootstrap::Yes => cluster.bootstrap_connection().await?,
        FromBootstrap::IfNeeded => cluster.any_connection().await?,
    };
    let timeout = cluster.settings.request_timeout;
    let response = connection.enqueue(&request, timeout)?.await?;
    // Set from version 13 on.
    match KafkaErrorCode::check(response.error_code) {
        Ok(()) => Ok(response),
        Err(code) => Err(ClientError::from_code(code)
            .with("api", "Metadata")
            .with("broker", connection.address())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FromBootstrap {
    IfNeeded,
    Yes,
}

/// What the task decides by. Its methods neither wait nor send.
struct Refresher {
    max_age: Duration,
    rebootstrap_after: Option<Duration>,
    backoff: Backoff,
    tracked: BTreeSet<String>,
    tracks_all: bool,
    /// What the next request covers, and who waits for it.
    wanted: Option<Scope>,
    waiting: Vec<Reply>,
    /// The same for the request under way.
    asked: Scope,
    answering: Vec<Reply>,
    /// Attempts that failed since the last success, and since when.
    failures: u32,
    /// Answers in a row that left a tracked topic without leader or unknown.
    unsettled: u32,
    failing_since: Option<Instant>,
    rebootstrap: FromBootstrap,
    last_attempt: Option<Instant>,
    last_success: Option<Instant>,
}

impl Refresher {
    fn new(settings: &ConnectionSettings) -> Self {
        let (base, max) = (settings.retry_backoff, settings.retry_backoff_max);
        let rebootstraps = settings.metadata_recovery == MetadataRecovery::Rebootstrap;
        Self {
            max_age: settings.metadata_max_age,
            rebootstrap_after: rebootstraps.then_some(settings.rebootstrap_trigger),
            backoff: Backoff::new(base, max, &settings.client_id),
            tracked: BTreeSet::new(),
            tracks_all: false,
            wanted: None,
            waiting: Vec::new(),
            asked: Scope::default(),
            answering: Vec::new(),
            failures: 0,
            unsettled: 0,
            failing_since: None,
            rebootstrap: FromBootstrap::IfNeeded,
            last_attempt: None,
            last_success: None,
        }
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Refresh { scope, reply } => {
                self.wanted.get_or_insert_default().join(scope);
                self.waiting.extend(reply);
            }
            Ask::Track(topics) => self.tracked.extend(topics),
            Ask::Untrack(topics) => topics
                .iter()
                .for_each(|topic| _ = self.tracked.remove(topic)),
            Ask::TrackAll(all) => self.tracks_all = all,
        }
    }

    /// When to ask. `None`: never, until somebody wants something.
    fn next_attempt(&self, known: &ClusterMetadata) -> Option<Instant> {
        let paced = self.last_attempt.map(|last| {
            last + match (self.failures, self.unsettled) {
                (0, 0) => self.backoff.delay(0),
                (0, unsettled) => self.backoff.hasty_delay(unsettled - 1),
                (failures, unsettled) => self.backoff.delay(failures.max(unsettled) - 1),
            }
        });
        let paced = paced.unwrap_or_else(Instant::now);
        let aged = self
            .last_success
            .map(|last| (last + self.max_age).max(paced));
        let wanted = self.wanted.as_ref().map(|wanted| {
            let is_new =
                |topic: &String| known.topic(topic).is_none() && known.topic_error(topic).is_none();
            let news = wanted.topics.iter().any(is_new);
            match news && self.failures == 0 {
                true => Instant::now(),
                false => paced,
            }
        });
        wanted.into_iter().chain(aged).min()
    }

    fn start(&mut self, settings: &ConnectionSettings) -> (MetadataRequest, FromBootstrap) {
        // A request that only age asks for covers what is tracked.
        let mut scope = self.wanted.take().unwrap_or(Scope {
            tracked: true,
            ..Scope::default()
        });
        scope.all |= scope.tracked && self.tracks_all;
        let mut topics = scope.topics.clone();
        if scope.tracked {
            topics.extend(self.tracked.iter().cloned());
        }
        let topics = topics.into_iter().map(|topic| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(topic))))
        });
        let topics = match scope.all {
            true => None,
            false => Some(topics.collect()),
        };
        self.asked = scope;
        self.answering = std::mem::take(&mut self.waiting);
        let long = self.failing_since.zip(self.rebootstrap_after);
        if long.is_some_and(|(since, limit)| since.elapsed() >= limit) {
            self.failing_since = None;
            self.rebootstrap = FromBootstrap::Yes;
        }
        let request = MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(settings.allow_auto_topic_creation);
        (
            request,
            std::mem::replace(&mut self.rebootstrap, FromBootstrap::IfNeeded),
        )
    }

    fn complete(&mut self, cluster: &Cluster, outcome: Result<MetadataResponse, ClientError>) {
        let now = Instant::now();
        self.last_attempt = Some(now);
        let outcome = match outcome {
            Ok(response) => {
                self.failures = 0;
                self.failing_since = None;
                self.last_success = Some(now);
                let coverage = self.asked.coverage();
                cluster.modify(|metadata| Some(metadata.updated(response, coverage)));
                cluster.brokers.forget_bootstrap();
                let metadata = cluster.metadata.borrow().clone();
                self.unsettled = match self.is_settled(&metadata) {
                    true => 0,
                    false => self.unsettled + 1,
                };
                if self.unsettled > 0 {
                    self.want_tracked();
                }
                Ok(metadata)
            }
            Err(error) => {
                self.failures += 1;
                self.failing_since.get_or_insert(now);
                if error.is(KafkaErrorCode::REBOOTSTRAP_REQUIRED)
                    && self.rebootstrap_after.is_some()
                {
                    info!("the broker asks this client to start again from bootstrap.servers");
                    self.rebootstrap = FromBootstrap::Yes;
                }
                debug!(%error, failures = self.failures, "metadata refresh failed");
                // Somebody may wait for a change without asking again.
                if self.asked.tracked {
                    self.want_tracked();
                }
                Err(error)
            }
        };
        for reply in self.answering.drain(..) {
            // Who asked may have gone.
            _ = reply.send(outcome.clone());
        }
    }
}

impl Refresher {
    /// Whether every tracked topic exists, has leaders, or never will, as far as this snapshot tells.
    fn is_settled(&self, metadata: &ClusterMetadata) -> bool {
        self.tracked.iter().all(
            |name| match (metadata.topic_error(name), metadata.topic(name)) {
                (Some(code), _) => !code.needs_metadata_refresh(),
                (None, Some(topic)) => topic
                    .partitions
                    .iter()
                    .all(|partition| partition.leader.is_some()),
                (None, None) => false,
            },
        )
    }

    fn want_tracked(&mut self) {
        self.wanted.get_or_insert_default().tracked = true;
    }
}

impl Scope {
    fn coverage(&self) -> Coverage {
        match self {
            Self { all: true, .. } => Coverage::All,
            Self { tracked: true, .. } => Coverage::Interest,
            _ => Coverage::Additional,
        }
    }
}
