//! Connections to brokers: one per broker and lane, made on demand, with back-off after failures.
//!
//! Lives here: which connection exists, who waits for which attempt, when the next attempt may start.
//! Lives elsewhere: what a connection does (`crate::connection`), which broker is asked (`super`).
//! Never here: metadata.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use super::Backoff;
use crate::connection::{Authenticate, Connection, ConnectionOptions};
use crate::dial::Dial;
use crate::error::ClientError;
use crate::settings::{ConnectionSettings, HostPort};

/// Requests of different lanes go over different connections, because a broker answers the requests
/// of one connection in order and some of them wait on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Produce and Fetch, whose answers may wait for `fetch.max.wait.ms` or for replicas.
    Data,
    /// Everything that is answered at once.
    Control,
    /// Group membership and transactions, where JoinGroup waits for other members.
    Coordinator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Node {
    /// Index into `bootstrap.servers`; its id is not known yet.
    Bootstrap(usize),
    Id(i32),
}

pub(crate) struct Brokers {
    settings: Arc<ConnectionSettings>,
    dial: Arc<dyn Dial>,
    authenticate: Arc<dyn Authenticate>,
    reconnect: Backoff,
    slots: Mutex<HashMap<(Node, Lane), Slot>>,
}

struct Slot {
    address: HostPort,
    state: State,
    /// Attempts that failed since the last success.
    failures: u32,
    last_attempt: Option<Instant>,
}

type Attempt = Option<Result<Connection, ClientError>>;

enum State {
    Idle,
    Connecting(watch::Receiver<Attempt>),
    Ready(Connection),
}

impl Brokers {
    pub(crate) fn new(
        settings: Arc<ConnectionSettings>,
        dial: Arc<dyn Dial>,
        authenticate: Arc<dyn Authenticate>,
    ) -> Self {
        let (base, max) = (settings.reconnect_backoff, settings.reconnect_backoff_max);
        Self {
            reconnect: Backoff::new(base, max, &settings.client_id),
            settings,
            dial,
            authenticate,
            slots: Mutex::default(),
        }
    }

    /// The connection if it is there, or the outcome of one attempt that everybody waits for. The
    /// attempt starts no sooner than the back-off after the previous one allows.
    pub(crate) async fn connection(
        self: &Arc<Self>,
        node: Node,
        lane: Lane,
        address: &HostPort,
    ) -> Result<Connection, ClientError> {
        let mut attempt = match self.join(node, lane, address) {
            Ok(ready) => return Ok(ready),
            Err(attempt) => attempt,
        };
        let outcome = attempt.wait_for(Attempt::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // The attempt ended without an outcome, which only the end of the runtime does.
            _ => Err(ClientError::client_closed()),
        }
    }

    fn join(
        self: &Arc<Self>,
        node: Node,
        lane: Lane,
        address: &HostPort,
    ) -> Result<Connection, watch::Receiver<Attempt>> {
        let mut slots = self.slots();
        let slot = slots
            .entry((node, lane))
            .or_insert_with(|| Slot::new(address));
        if slot.address != *address {
            // The broker moved; what failed at the old address says nothing about the new one.
            *slot = Slot::new(address);
        }
        match &slot.state {
            State::Ready(connection) if !connection.is_closed() => return Ok(connection.clone()),
            State::Connecting(attempt) => return Err(attempt.clone()),
            State::Ready(_) | State::Idle => {}
        }
        let (outcome, attempt) = watch::channel(None);
        slot.state = State::Connecting(attempt.clone());
        let backoff = self.reconnect.delay(slot.failures.saturating_sub(1));
        let not_before = slot.last_attempt.map(|last| last + backoff);
        let setup_timeout = self.setup_timeout(slot.failures);
        // Bounded by back-off and timeouts; stops early when the client is gone.
        tokio::spawn(connect(
            Arc::downgrade(self),
            node,
            lane,
            address.clone(),
            not_before,
            setup_timeout,
            outcome,
        ));
        Err(attempt)
    }

    pub(crate) fn ready(&self, node: Node, lane: Lane) -> Option<Connection> {
        match &self.slots().get(&(node, lane))?.state {
            State::Ready(connection) if !connection.is_closed() => Some(connection.clone()),
            _ => None,
        }
    }

    /// Among the control connections, and the data connections on which nothing is under way: a fetch
    /// would hold up what is asked behind it.
    pub(crate) fn least_busy(&self) -> Option<Connection> {
        let slots = self.slots();
        let ready = slots
            .iter()
            .filter_map(|((node, lane), slot)| match &slot.state {
                State::Ready(connection) if !connection.is_closed() => {
                    let busy = connection.in_flight();
                    let usable = match lane {
                        Lane::Control => true,
                        Lane::Data => busy == 0,
                        Lane::Coordinator => false,
                    };
                    usable.then_some(((busy, *lane == Lane::Data, *node), connection))
                }
                _ => None,
            });
        ready
            .min_by_key(|(order, _)| *order)
            .map(|(_, connection)| connection.clone())
    }

    /// A rank that differs between clients, so that they do not all turn to the same broker first.
    pub(crate) fn spread(&self, of: u64) -> u64 {
        self.reconnect.spread(of)
    }

    /// Attempts to reach a broker that failed in a row, in its worst lane.
    pub(crate) fn failures(&self, node: Node) -> u32 {
        let slots = self.slots();
        let lanes = slots.iter().filter(|((known, _), _)| *known == node);
        lanes.map(|(_, slot)| slot.failures).max().unwrap_or(0)
    }

    /// Drops the connections to bootstrap servers, once the brokers behind them are known.
    pub(crate) fn forget_bootstrap(&self) {
        self.slots().retain(|(node, _), slot| {
            !matches!((node, &slot.state), (Node::Bootstrap(_), State::Ready(_)))
        });
    }

    fn setup_timeout(&self, failures: u32) -> Duration {
        let grown = self
            .settings
            .setup_timeout
            .saturating_mul(1 << failures.min(16));
        grown.min(self.settings.setup_timeout_max)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(Node, Lane), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finished(
        &self,
        node: Node,
        lane: Lane,
        address: &HostPort,
        outcome: &Result<Connection, ClientError>,
    ) {
        let mut slots = self.slots();
        let Some(slot) = slots
            .get_mut(&(node, lane))
            .filter(|slot| slot.address == *address)
        else {
            return;
        };
        match outcome {
            Ok(connection) => {
                slot.failures = 0;
                slot.state = State::Ready(connection.clone());
            }
            Err(_) => {
                slot.failures += 1;
                slot.state = State::Idle;
            }
        }
    }
}

impl Slot {
    fn new(address: &HostPort) -> Self {
        Self {
            address: address.clone(),
            state: State::Idle,
            failures: 0,
            last_attempt: None,
        }
    }
}

/// One attempt, from waiting out the back-off to telling everybody.
async fn connect(
    brokers: Weak<Brokers>,
    node: Node,
    lane: Lane,
    address: HostPort,
    not_before: Option<Instant>,
    setup_timeout: Duration,
    outcome: watch::Sender<Attempt>,
) {
    if let Some(not_before) = not_before {
        tokio::time::sleep_until(not_before).await;
    }
    let Some(parts) = brokers.upgrade() else {
        return;
    };
    if let Some(slot) = parts.slots().get_mut(&(node, lane)) {
        slot.last_attempt = Some(Instant::now());
    }
    let (settings, dial) = (parts.settings.clone(), parts.dial.clone());
    let authenticate = parts.authenticate.clone();
    // The client may go away meanwhile.
    drop(parts);
    let result = open(
        &settings,
        &*dial,
        &*authenticate,
        node,
        &address,
        setup_timeout,
    )
    .await;
    match &result {
        Ok(_) => debug!(broker = %address, ?node, ?lane, "connected"),
        Err(error) => debug!(broker = %address, ?node, ?lane, %error, "could not connect"),
    }
    if let Some(brokers) = brokers.upgrade() {
        brokers.finished(node, lane, &address, &result);
    }
    outcome.send_replace(Some(result));
}

async fn open(
    settings: &ConnectionSettings,
    dial: &dyn Dial,
    authenticate: &dyn Authenticate,
    node: Node,
    address: &HostPort,
    setup_timeout: Duration,
) -> Result<Connection, ClientError> {
    let broker_id = match node {
        Node::Bootstrap(_) => None,
        Node::Id(id) => Some(id),
    };
    let name = address.to_string();
    let failed = |cause| ClientError::could_not_connect(&name, cause);
    // The dialer bounds each address; a name may have several.
    let stream = dial
        .dial(&address.host, address.port, setup_timeout)
        .await
        .map_err(failed)?;
    let options = ConnectionOptions::new(settings, setup_timeout);
    // Authentication may ask a third party.
    let within = setup_timeout + settings.request_timeout;
    let opening = Connection::open(stream, &name, broker_id, &options, authenticate);
    match tokio::time::timeout(within, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(ClientError::timed_out(
            format!("authentication at {name}"),
            within,
        )),
    }
}
