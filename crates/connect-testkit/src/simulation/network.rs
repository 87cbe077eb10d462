//! The network of a simulated cluster: the way from each client to the log.
//!
//! Lives here: [`Network`], which knows the weather and whether the log is there, and
//! [`SimulatedDial`], by which one client connects.
//! Lives elsewhere: what happens on a connection (`relay`).
//! Never here: the meaning of a message.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kafka_client::dial::{Dial, Stream};
use kafka_embedded::Handle;
use tokio::sync::watch;

use super::relay::{self, Ends};
use super::trace::Trace;
use super::{Chance, Weather};

/// Bytes that wait in a pipe before its writer has to. More than any test sends at once, so that
/// only delays decide the order of things.
const PIPE_BYTES: usize = 64 * 1024 * 1024;

/// Cheap to clone; all clones are one network.
#[derive(Debug, Clone)]
pub struct Network(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trace: Trace,
    state: Mutex<State>,
    /// Changes when all connections break.
    broken: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    weather: Arc<Weather>,
    log: Option<Handle>,
    connections: u64,
}

impl Network {
    pub(super) fn new(trace: Trace, chance: Chance) -> Network {
        Network(Arc::new(Inner {
            trace,
            state: Mutex::new(State {
                chance,
                weather: Arc::new(Weather::calm()),
                log: None,
                connections: 0,
            }),
            broken: watch::Sender::default(),
        }))
    }

    /// From the next message on.
    pub fn set_weather(&self, weather: Weather) {
        self.0.trace.note(format_args!("weather: {weather:?}"));
        self.state().weather = Arc::new(weather);
    }

    /// The way to the log for a client of this name, which stands in the trace.
    pub fn dial(&self, client: &str) -> Arc<dyn Dial> {
        Arc::new(SimulatedDial {
            network: self.clone(),
            client: client.into(),
            calm: false,
        })
    }

    /// A way that the weather does not reach, for whoever looks on.
    pub fn calm_dial(&self, client: &str) -> Arc<dyn Dial> {
        Arc::new(SimulatedDial {
            network: self.clone(),
            client: client.into(),
            calm: true,
        })
    }

    /// For the trace.
    pub fn note(&self, event: fmt::Arguments<'_>) {
        self.0.trace.note(event);
    }

    /// Breaks every connection at once.
    pub fn break_all(&self) {
        self.0.broken.send_replace(());
    }

    pub(super) fn plug(&self, log: Handle) {
        self.state().log = Some(log);
    }

    /// The log is gone, with all that it was doing.
    pub(super) fn unplug(&self) {
        self.break_all();
        let log = self.state().log.take();
        // Outside the lock.
        drop(log);
    }

    pub(super) fn weather(&self) -> Arc<Weather> {
        self.state().weather.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a dial.
enum Dialled {
    Refused,
    Unheard,
    Connected { connection: u64, chance: Chance },
}

/// One client's way to the log.
#[derive(Debug)]
pub struct SimulatedDial {
    network: Network,
    client: Arc<str>,
    calm: bool,
}

impl SimulatedDial {
    fn decide(&self) -> Dialled {
        let mut state = self.network.state();
        let weather = state.weather.clone();
        if state.log.is_none() {
            return Dialled::Refused;
        }
        if !self.calm && state.chance.permille(weather.refused) {
            return Dialled::Refused;
        }
        if !self.calm && state.chance.permille(weather.unheard) {
            return Dialled::Unheard;
        }
        state.connections += 1;
        Dialled::Connected {
            connection: state.connections,
            chance: state.chance.fork(),
        }
    }

    fn connect(&self, connection: u64, chance: Chance) -> Option<Box<dyn Stream>> {
        let (ours, near) = tokio::io::duplex(PIPE_BYTES);
        let (far, theirs) = tokio::io::duplex(PIPE_BYTES);
        let state = self.network.state();
        state.log.as_ref()?.serve(theirs);
        drop(state);
        tokio::spawn(relay::run(
            self.network.clone(),
            self.network.0.trace.clone(),
            Ends {
                name: format!("{}#{connection}", self.client),
                near,
                far,
                broken: self.network.0.broken.subscribe(),
                calm: self.calm,
            },
            chance,
        ));
        Some(Box::new(ours))
    }
}

#[async_trait]
impl Dial for SimulatedDial {
    async fn dial(
        &self,
        _host: &str,
        _port: u16,
        setup_timeout: Duration,
    ) -> io::Result<Box<dyn Stream>> {
        let trace = &self.network.0.trace;
        let (connection, mut chance) = match self.decide() {
            Dialled::Refused => {
                trace.note(format_args!("{}: refused", self.client));
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Dialled::Unheard => {
                trace.note(format_args!("{}: unheard", self.client));
                tokio::time::sleep(setup_timeout).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            Dialled::Connected { connection, chance } => (connection, chance),
        };
        let delay = match self.calm {
            true => Duration::ZERO,
            false => chance.millis(self.network.weather().delay_ms.clone()),
        };
        tokio::time::sleep(delay).await;
        match self.connect(connection, chance) {
            Some(stream) => {
                trace.note(format_args!("{}#{connection}: connected", self.client));
                Ok(stream)
            }
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}
