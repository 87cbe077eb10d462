//! A client of one cluster: connections on demand, metadata kept fresh, requests sent where they belong.
//!
//! Lives here: [`Client`] and where a request goes ([`Target`]).
//! Lives elsewhere: connections and their back-off (`brokers`), the task that refreshes metadata
//! (`refresh`), waiting times (`backoff`), the look of a snapshot (`crate::metadata`).
//! Never here: the meaning of a response beyond routing. No lock is held across an `.await`.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::FindCoordinatorRequest;
use kafka_protocol::protocol::{Request, StrBytes};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::connection::{Authenticate, Connection, NoAuthentication, api_name};
use crate::dial::{Dial, TcpDial};
use crate::error::{ClientError, KafkaErrorCode};
use crate::metadata::{ClusterMetadata, LeaderHint};
use crate::settings::{ConnectionSettings, HostPort};

mod backoff;
mod brokers;
mod refresh;

pub use backoff::Backoff;
pub use brokers::Lane;

use brokers::{Brokers, Node};
use refresh::Ask;

/// A client of one cluster. Cheap to clone; the last clone closes all connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    cluster: Arc<Cluster>,
    asks: mpsc::UnboundedSender<Ask>,
    coordinators: Mutex<HashMap<(CoordinatorKind, String), i32>>,
}

/// What client and refreshing task share.
pub(crate) struct Cluster {
    settings: Arc<ConnectionSettings>,
    brokers: Arc<Brokers>,
    metadata: watch::Sender<Arc<ClusterMetadata>>,
}

/// Which broker answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Whichever is connected and least busy.
    Any,
    Controller,
    Broker(i32),
    /// The coordinator of a group or of a transactional id; looked up and remembered.
    Coordinator(CoordinatorKind, &'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    Group,
    Transaction,
}

/// What to ask for in a refresh of the metadata.
#[derive(Debug, Clone, Copy)]
pub enum Refresh<'a> {
    /// Brokers, and the topics that are tracked.
    Tracked,
    /// These topics, beside what is known. They are not tracked.
    Topics(&'a [&'a str]),
    /// Every topic of the cluster.
    All,
}

impl Client {
    /// Connects to nothing yet. Must be called inside a Tokio runtime.
    pub fn new(settings: ConnectionSettings, dial: Arc<dyn Dial>) -> Self {
        Self::with_authentication(settings, dial, Arc::new(NoAuthentication))
    }

    /// A client over plain TCP.
    pub fn connect(settings: ConnectionSettings) -> Self {
        let dial = Arc::new(TcpDial::new(&settings));
        Self::new(settings, dial)
    }

    pub fn with_authentication(
        settings: ConnectionSettings,
        dial: Arc<dyn Dial>,
        authenticate: Arc<dyn Authenticate>,
    ) -> Self {
        let settings = Arc::new(settings);
        let brokers = Arc::new(Brokers::new(settings.clone(), dial, authenticate));
        let cluster = Arc::new(Cluster {
            settings,
            brokers,
            metadata: watch::Sender::default(),
        });
        let (asks, receiver) = mpsc::unbounded_channel();
        // Ends when the last clone of this client is dropped.
        tokio::spawn(refresh::run(cluster.clone(), receiver));
        Self(Arc::new(Inner {
            cluster,
            asks,
            coordinators: Mutex::default(),
        }))
    }

    pub fn settings(&self) -> &ConnectionSettings {
        &self.0.cluster.settings
    }

    /// Sends a request once, with `request.timeout.ms`.
    pub async fn request<R: Request + 'static>(
        &self,
        target: Target<'_>,
        request: &R,
    ) -> Result<R::Response, ClientError> {
        self.request_within(target, request, self.settings().request_timeout)
            .await
    }

    /// Sends a request once. `timeout` bounds the wait for the response, not the time to connect.
    ///
    /// Checks no error code inside the response. When the connection fails, what was known about
    /// the target is dropped, so that the next attempt looks again.
    pub async fn request_within<R: Request + 'static>(
        &self,
        target: Target<'_>,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let outcome = match self.connection_to(target).await {
            Ok(connection) => match connection.enqueue(request, timeout) {
                Ok(pending) => pending.await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome
            && (error.is_disconnect() || error.is_timeout())
        {
            self.doubt(target);
        }
        outcome
    }

    /// The connection on which a request to this target goes, made when there is none.
    ///
    /// Waits out the reconnect back-off of the broker, then for one attempt to connect.
    pub async fn connection_to(&self, target: Target<'_>) -> Result<Connection, ClientError> {
        match target {
            Target::Any => self.0.cluster.any_connection().await,
            Target::Controller => {
                let controller = self.controller().await?;
                self.connection_on(controller, Lane::Control).await
            }
            Target::Broker(id) => self.connection_on(id, Lane::Control).await,
            Target::Coordinator(kind, key) => {
                let id = self.coordinator(kind, key).await?;
                self.connection_on(id, Lane::Coordinator).await
            }
        }
    }

    /// The connection for record batches of a broker, made when there is none.
    pub async fn connection(&self, broker_id: i32) -> Result<Connection, ClientError> {
        self.connection_on(broker_id, Lane::Data).await
    }

    /// The connection for record batches of a broker, if it is there already.
    pub fn ready_connection(&self, broker_id: i32) -> Option<Connection> {
        self.0
            .cluster
            .brokers
            .ready(Node::Id(broker_id), Lane::Data)
    }

    pub async fn connection_on(
        &self,
        broker_id: i32,
        lane: Lane,
    ) -> Result<Connection, ClientError> {
        let address = self.broker_address(broker_id).await?;
        let connected = self
            .0
            .cluster
            .brokers
            .connection(Node::Id(broker_id), lane, &address)
            .await;
        if connected.is_err() {
            self.request_metadata_refresh();
        }
        connected
    }

    async fn broker_address(&self, id: i32) -> Result<HostPort, ClientError> {
        if let Some(broker) = self.metadata().broker(id) {
            return Ok(broker.address.clone());
        }
        let metadata = self.refresh_metadata(Refresh::Tracked).await?;
        match metadata.broker(id) {
            Some(broker) => Ok(broker.address.clone()),
            None => Err(ClientError::retriable(format!(
                "broker {id} is not in the metadata of the cluster"
            ))
            .with_code(KafkaErrorCode::BROKER_NOT_AVAILABLE)),
        }
    }

    async fn controller(&self) -> Result<i32, ClientError> {
        if let Some(controller) = self.metadata().controller_id {
            return Ok(controller);
        }
        let metadata = self.refresh_metadata(Refresh::Tracked).await?;
        metadata.controller_id.ok_or_else(|| {
            ClientError::retriable("the cluster has no controller at the moment")
                .with_code(KafkaErrorCode::BROKER_NOT_AVAILABLE)
        })
    }

    /// After a lost connection or a timeout, asks again who is in charge.
    fn doubt(&self, target: Target<'_>) {
        if let Target::Coordinator(kind, key) = target {
            self.invalidate_coordinator(kind, key);
        }
        self.request_metadata_refresh();
    }
}

/// Metadata.
impl Client {
    /// What is known now; empty before the first answer.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.0.cluster.metadata.borrow().clone()
    }

    /// Sees every new snapshot.
    pub fn watch_metadata(&self) -> watch::Receiver<Arc<ClusterMetadata>> {
        self.0.cluster.metadata.subscribe()
    }

    /// Waits for a snapshot newer than `generation`.
    pub async fn wait_for_metadata_change(&self, generation: u64) -> Arc<ClusterMetadata> {
        let mut receiver = self.watch_metadata();
        let newer = receiver
            .wait_for(|metadata| metadata.generation > generation)
            .await;
        newer
            .expect("the sender lives as long as this client")
            .clone()
    }

    /// Asks a broker. Requests of many tasks become one; a refresh right after another waits for
    /// `retry.backoff.ms`, unless it names a topic that was never asked for.
    ///
    /// `Err` says that no broker answered. A topic that does not exist is not an error here; see
    /// [`ClusterMetadata::topic_error`].
    pub async fn refresh_metadata(
        &self,
        what: Refresh<'_>,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::refresh(what, Some(reply)));
        answer.await.map_err(|_| ClientError::client_closed())?
    }

    /// Says that the metadata looks out of date. Returns at once; the refresh happens soon.
    pub fn request_metadata_refresh(&self) {
        self.ask(Ask::refresh(Refresh::Tracked, None));
    }

    /// Keeps these topics in every snapshot from the next refresh on, refreshed every
    /// `metadata.max.age.ms`, and with back-off while one is unknown or has no leader.
    pub fn track_topics(&self, topics: impl IntoIterator<Item = impl Into<String>>) {
        self.ask(Ask::Track(topics.into_iter().map(Into::into).collect()));
    }

    pub fn untrack_topics(&self, topics: impl IntoIterator<Item = impl Into<String>>) {
        self.ask(Ask::Untrack(topics.into_iter().map(Into::into).collect()));
    }

    /// Tracks every topic of the cluster, as a subscription by pattern needs.
    pub fn track_all_topics(&self, all: bool) {
        self.ask(Ask::TrackAll(all));
    }

    /// Takes over leaders that a broker named in its answer, unless what is known is newer.
    pub fn learn_leaders(&self, hints: &[LeaderHint<'_>]) {
        self.0.cluster.modify(|metadata| metadata.with_hints(hints));
    }

    /// Takes over the address of a broker that a broker named in its answer.
    pub fn learn_broker(&self, id: i32, address: HostPort) {
        self.0
            .cluster
            .modify(|metadata| metadata.with_broker(id, address));
    }

    fn ask(&self, ask: Ask) {
        // The refreshing task ends after the last client, or with the runtime.
        _ = self.0.asks.send(ask);
    }
}

/// Coordinators.
impl Client {
    /// The broker that coordinates a group or a transactional id. Remembered until it is invalidated.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<i32, ClientError> {
        if let Some(known) = self.coordinators().get(&(kind, key.to_owned())) {
            return Ok(*known);
        }
        let request = FindCoordinatorRequest::default()
            .with_key_type(kind.code())
            .with_coordinator_keys(vec![StrBytes::from_string(key.to_owned())]);
        let connection = self.0.cluster.any_connection().await?;
        let response = connection
            .enqueue(&request, self.settings().request_timeout)?
            .await?;
        let with_context = |error: ClientError| {
            error
                .with("api", api_name(FindCoordinatorRequest::KEY))
                .with(kind.noun(), key)
        };
        let Some(found) = response.coordinators.first() else {
            return Err(with_context(ClientError::fatal(
                "the broker named no coordinator",
            )));
        };
        if let Err(code) = KafkaErrorCode::check(found.error_code) {
            let error = ClientError::from_code_and_message(code, found.error_message.as_deref());
            return Err(with_context(error));
        }
        let id = found.node_id.0;
        if let Ok(port) = u16::try_from(found.port) {
            self.learn_broker(id, HostPort::new(found.host.as_str(), port));
        }
        self.coordinators().insert((kind, key.to_owned()), id);
        Ok(id)
    }

    /// To be called on `NOT_COORDINATOR` and `COORDINATOR_NOT_AVAILABLE`.
    pub fn invalidate_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.coordinators().remove(&(kind, key.to_owned()));
    }

    fn coordinators(&self) -> MutexGuard<'_, HashMap<(CoordinatorKind, String), i32>> {
        self.0
            .coordinators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Retries.
impl Client {
    /// Repeats `attempt` while its error is retriable, with `retry.backoff.ms` growing to
    /// `retry.backoff.max.ms`, for at most `timeout`. The argument of `attempt` counts from 0.
    ///
    /// Asks for fresh metadata when an error says that it is out of date. An attempt that is under
    /// way when the time is over is dropped. `what` names the operation in the error.
    pub async fn retry<T, F, Fut>(
        &self,
        what: &str,
        timeout: Duration,
        attempt: F,
    ) -> Result<T, ClientError>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        self.retry_at_most(u32::MAX, what, timeout, attempt).await
    }

    /// As [`Self::retry`], with at most this many retries, after which the last error is the outcome.
    pub async fn retry_at_most<T, F, Fut>(
        &self,
        retries: u32,
        what: &str,
        timeout: Duration,
        mut attempt: F,
    ) -> Result<T, ClientError>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        let backoff = self.retry_backoff();
        let deadline = Instant::now() + timeout;
        let mut last = None;
        for number in 0.. {
            let Ok(outcome) = tokio::time::timeout_at(deadline, attempt(number)).await else {
                break;
            };
            let error = match outcome {
                Err(error) if error.is_retriable() && number < retries => error,
                outcome => return outcome,
            };
            if error.needs_metadata_refresh() {
                self.request_metadata_refresh();
            }
            last = Some(error);
            let next = Instant::now() + backoff.delay(number);
            if next >= deadline {
                break;
            }
            tokio::time::sleep_until(next).await;
        }
        let error = ClientError::timed_out(what, timeout);
        Err(match last {
            Some(last) => error.caused_by(last),
            None => error,
        })
    }

    /// The waiting times of `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub fn retry_backoff(&self) -> Backoff {
        let settings = self.settings();
        Backoff::new(
            settings.retry_backoff,
            settings.retry_backoff_max,
            &settings.client_id,
        )
    }
}

impl Cluster {
    /// A connection to the least busy broker, made when there is none. Falls back to the bootstrap
    /// servers when no known broker can be reached and `metadata.recovery.strategy` allows it.
    pub(crate) async fn any_connection(&self) -> Result<Connection, ClientError> {
        if let Some(ready) = self.brokers.least_busy() {
            return Ok(ready);
        }
        let metadata = self.metadata.borrow().clone();
        let mut known: Vec<_> = metadata.brokers().cloned().collect();
        known.sort_by_key(|broker| {
            let id = broker.id;
            (
                self.brokers.failures(Node::Id(id)),
                self.brokers.spread(id as u64),
                id,
            )
        });
        let mut last = None;
        for broker in &known {
            let node = Node::Id(broker.id);
            match self
                .brokers
                .connection(node, Lane::Control, &broker.address)
                .await
            {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error)
                if self.settings.metadata_recovery == crate::settings::MetadataRecovery::None =>
            {
                Err(error)
            }
            Some(error) => {
                tracing::info!(%error, "no known broker can be reached, starting again from bootstrap.servers");
                self.bootstrap_connection().await
            }
            None => self.bootstrap_connection().await,
        }
    }

    /// A connection to the first bootstrap server that answers.
    async fn bootstrap_connection(&self) -> Result<Connection, ClientError> {
        let mut worst: Option<ClientError> = None;
        let servers = &self.settings.bootstrap_servers;
        let start = self.brokers.spread(0) as usize % servers.len().max(1);
        for (index, server) in servers
            .iter()
            .enumerate()
            .cycle()
            .skip(start)
            .take(servers.len())
        {
            let node = Node::Bootstrap(index);
            match self.brokers.connection(node, Lane::Control, server).await {
                Ok(connection) => return Ok(connection),
                // One server that answers wrongly tells more than another that does not answer.
                Err(error) if worst.as_ref().is_none_or(ClientError::is_retriable) => {
                    worst = Some(error)
                }
                Err(_) => {}
            }
        }
        match worst {
            None => Err(ClientError::config(
                "No resolvable bootstrap urls given in bootstrap.servers",
            )),
            Some(error) if error.is_retriable() => Err(ClientError::no_bootstrap_server(
                &self.settings.bootstrap_text(),
                error,
            )),
            Some(error) => Err(error),
        }
    }

    fn modify(&self, step: impl FnOnce(&ClusterMetadata) -> Option<ClusterMetadata>) {
        self.metadata
            .send_if_modified(|metadata| match step(metadata) {
                Some(next) => {
                    *metadata = Arc::new(next);
                    true
                }
                None => false,
            });
    }
}

impl CoordinatorKind {
    fn code(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional.id",
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.settings().client_id)
            .field("bootstrap_servers", &self.settings().bootstrap_text())
            .finish()
    }
}

#[cfg(test)]
mod tests;
