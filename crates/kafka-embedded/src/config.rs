//! How a log is set up.
//!
//! Lives here: [`Config`], its defaults and what they mean.
//! Never here: a setting of a topic (`crate::broker`'s `topic_config`).

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where records and everything else are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// A directory of its own; it is made when it is missing. One process at a time.
    Directory(PathBuf),
    /// Gone with the handle.
    Memory,
}

/// When the log waits until what it has written is on the disk. A killed process loses nothing in
/// any case; a machine that loses power may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Only at a clean stop. Kafka's default.
    Never,
    /// Before each produce request and each change of groups or transactions is answered.
    EveryAppend,
    /// Every so often.
    Interval(Duration),
}

/// The time of day in milliseconds since 1970, for timestamps and retention. Timers are Tokio's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now_ms))
    }

    pub fn system() -> Clock {
        Clock::new(|| match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(_) => 0,
        })
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How a log is set up. [`Config::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    pub storage: Storage,
    /// Where it listens; port 0 takes a free one. `None`: only pipes ([`crate::Handle::connect`]).
    /// There is neither authentication nor encryption, so the default is loopback.
    pub bind: Option<SocketAddr>,
    /// Host and port that clients are told to connect to. `None`: those at which they connected.
    pub advertised: Option<(String, u16)>,
    pub fsync: Fsync,
    /// `num.partitions`.
    pub default_partitions: u32,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `group.initial.rebalance.delay.ms`: how long the first member of an empty group waits for
    /// others. Kafka's default is 3 s.
    pub initial_rebalance_delay: Duration,
    /// Whether group members are still members after a restart of the log, as with Kafka. Without
    /// it groups begin empty: right when the members end with the log.
    pub restore_group_members: bool,
    /// How often compaction looks at every partition (`log.cleaner.backoff.ms`).
    pub compaction_interval: Duration,
    /// How often retention looks at every partition (`log.retention.check.interval.ms`).
    pub retention_interval: Duration,
    /// Topics can be read and written only so long after CreateTopics was answered: a cluster
    /// takes its time too. Zero, but in tests.
    pub topic_readable_after: Duration,
    pub clock: Clock,
    /// Makes ids (of the cluster, of topics, of group members) the same in each run. `None`: other
    /// ids each time.
    pub seed: Option<u64>,
}

impl Config {
    pub fn new(storage: Storage) -> Config {
        Config {
            storage,
            bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            advertised: None,
            fsync: Fsync::Never,
            default_partitions: 1,
            auto_create_topics: true,
            initial_rebalance_delay: Duration::ZERO,
            restore_group_members: true,
            compaction_interval: Duration::from_secs(15),
            retention_interval: Duration::from_secs(300),
            topic_readable_after: Duration::ZERO,
            clock: Clock::system(),
            seed: None,
        }
    }
}
