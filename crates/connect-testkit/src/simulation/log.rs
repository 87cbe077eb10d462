//! The log of a simulated cluster: started, killed, started again.
//!
//! Lives here: [`SimulatedLog`].
//! Lives elsewhere: the log itself (`kafka_embedded`), the way to it ([`super::Network`]).
//! Never here: a request.

use std::time::Duration;

use kafka_embedded::{Clock, Config, Storage};
use tempfile::TempDir;

use super::ambience;
use super::network::Network;
use super::trace::Trace;

/// What survives a kill of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing, so it cannot be killed; the fastest.
    InMemory,
    /// Everything that was written, as when a process is killed and its machine is not.
    OnDisk,
}

/// The one log behind a network.
#[derive(Debug)]
pub struct SimulatedLog {
    network: Network,
    trace: Trace,
    directory: Option<TempDir>,
    seed: u64,
    starts: u64,
    initial_rebalance_delay: Duration,
}

impl SimulatedLog {
    pub(super) fn new(network: Network, trace: Trace, seed: u64) -> SimulatedLog {
        SimulatedLog {
            network,
            trace,
            directory: None,
            seed,
            starts: 0,
            initial_rebalance_delay: Duration::ZERO,
        }
    }

    /// `group.initial.rebalance.delay.ms`, from the next start on.
    pub fn initial_rebalance_delay(&mut self, delay: Duration) {
        self.initial_rebalance_delay = delay;
    }

    /// The first start.
    pub async fn start(&mut self, keep: Keep) {
        assert_eq!(self.starts, 0, "the log was started already");
        if keep == Keep::OnDisk {
            self.directory = Some(TempDir::new().expect("a directory for the log"));
        }
        self.open().await;
    }

    /// As `kill -9` does it: connections break, nothing is said, what was written stays.
    ///
    /// Panics: when it was started with [`Keep::InMemory`], which would lose everything.
    pub async fn kill(&mut self) {
        assert!(self.directory.is_some(), "this log keeps nothing");
        self.trace.note(format_args!("log: killed"));
        self.network.unplug();
        settle().await;
    }

    /// After a kill.
    pub async fn restart(&mut self) {
        self.open().await;
    }

    async fn open(&mut self) {
        let storage = match &self.directory {
            None => Storage::Memory,
            Some(directory) => Storage::Directory(directory.path().to_owned()),
        };
        let mut config = Config::new(storage);
        config.bind = None;
        config.auto_create_topics = true;
        config.initial_rebalance_delay = self.initial_rebalance_delay;
        config.clock = Clock::new(ambience::now_ms);
        // Ids that were given out before a kill are not given out again.
        config.seed = Some(self.seed.wrapping_add(self.starts << 32));
        self.starts += 1;
        // A directory is read on another thread; meanwhile nobody here has anything to do.
        settle().await;
        let handle = kafka_embedded::start(config).await.expect("the log starts");
        self.trace.note(format_args!("log: started"));
        self.network.plug(handle);
    }
}

/// Until everybody waits for time to pass.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
