//! Real Apache Kafka brokers, started from jars and never left behind.
//!
//! Lives here: [`KafkaCluster`] (one broker, or three that form one cluster), the convention by
//! which a test suite asks for a broker and says that it was skipped ([`bootstrap_or_skip`],
//! [`libs_or_skip`], [`python_or_skip`]), and the clusters that outlive their starter (`cargo xtask kafka`,
//! [`DetachedBroker`]).
//! Lives elsewhere: fetching the jars (`xtask`), the embedded broker (`kafka-embedded`).
//! Never here: Kafka's protocol beyond the one request that asks whether a broker is ready.
//!
//! Everything blocks: start a cluster before the runtime of the test, or on a blocking thread.
//!
//! # Environment
//!
//! `cargo xtask test` sets these; `cargo xtask kafka start` prints the first three to copy.
//!
//! | variable | meaning |
//! |---|---|
//! | `KAFKA_BOOTSTRAP` | address of a running broker that the suites share: each test takes topic and group names of its own |
//! | `MILLSTREAM_KAFKA_LIBS` | directory with Kafka's jars, for suites that start brokers of their own |
//! | `MILLSTREAM_KAFKA_PYTHON` | a Python with Kafka clients that we did not write |
//! | `MILLSTREAM_REQUIRE_SERVERS` | `1`: a suite that lacks what it needs fails instead of skipping |

mod broker;
mod detached;
mod ready;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use broker::Broker;
pub use detached::DetachedBroker;

pub const BOOTSTRAP_ENV: &str = "KAFKA_BOOTSTRAP";
pub const LIBS_ENV: &str = "MILLSTREAM_KAFKA_LIBS";
pub const PYTHON_ENV: &str = "MILLSTREAM_KAFKA_PYTHON";
pub const REQUIRE_SERVERS_ENV: &str = "MILLSTREAM_REQUIRE_SERVERS";

/// How a line begins that says that a test did not run. `cargo xtask test` looks for it.
pub const SKIPPED: &str = "SKIPPED (needs ";

/// Longest wait for a cluster to be ready. One broker needs about three seconds, three on two busy
/// cores more than a minute. A broker that ends is noticed at once.
const START_MAX: Duration = Duration::from_secs(180);

/// Ports for brokers. Below the range from which Linux takes the local ports of outgoing
/// connections (32768 and up): otherwise a client that keeps dialling a killed broker could be
/// given the broker's own port, connect to itself, and keep the broker from coming back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The bootstrap address of the shared broker, or `None` after saying that the calling test is
/// skipped.
///
/// Panics: when there is no broker and `MILLSTREAM_REQUIRE_SERVERS=1`.
#[track_caller]
pub fn bootstrap_or_skip() -> Option<String> {
    variable_or_skip(BOOTSTRAP_ENV)
}

/// The directory with Kafka's jars, or `None` after saying that the calling test is skipped.
///
/// Panics: when it is not set and `MILLSTREAM_REQUIRE_SERVERS=1`.
#[track_caller]
pub fn libs_or_skip() -> Option<PathBuf> {
    variable_or_skip(LIBS_ENV).map(PathBuf::from)
}

/// A Python interpreter that has Kafka clients which we did not write, or `None` after saying that
/// the calling test is skipped.
///
/// Panics: when it is not set and `MILLSTREAM_REQUIRE_SERVERS=1`.
#[track_caller]
pub fn python_or_skip() -> Option<PathBuf> {
    variable_or_skip(PYTHON_ENV).map(PathBuf::from)
}

/// A program on the PATH. `None`: the test is to be skipped; it has said so, with the Debian package to install.
/// Under `CI=true` a test that was skipped fails the gate.
pub fn program_or_skip(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|dir| dir.join(program));
    let found = candidates.find(|candidate| candidate.is_file());
    if found.is_none() {
        say_skipped(&format!("apt-get install {package}"));
    }
    found
}

#[track_caller]
fn variable_or_skip(variable: &str) -> Option<String> {
    let value = std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty());
    if value.is_none() {
        let required = std::env::var_os(REQUIRE_SERVERS_ENV).is_some_and(|value| value == "1");
        assert!(
            !required,
            "{variable} is not set and {REQUIRE_SERVERS_ENV}=1, so this test must run; `cargo xtask test` sets \
             {variable}"
        );
        say_skipped(variable);
    }
    value
}

/// Not `println!`: the test harness would keep the line of a test that passes to itself. One write, so that the lines
/// of tests that run at once stay whole.
fn say_skipped(needs: &str) {
    let thread = std::thread::current();
    let line = format!("{SKIPPED}{needs}): {}\n", thread.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// What to start. [`ClusterSpec::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// 1, or 3: more nodes prove nothing that three do not.
    pub brokers: usize,
    /// Directory with Kafka's jars.
    pub libs: PathBuf,
    /// Where `node-<id>/` with configuration, log and data go; emptied at the start. `None`: a
    /// directory of its own under the system's temporary directory, removed at the end.
    pub dir: Option<PathBuf>,
    /// Broker properties, over the defaults of `server_properties`.
    pub overrides: Vec<(String, String)>,
    /// Options of each broker's JVM. The defaults are for tests, which start brokers often and ask
    /// little of them; who measures sets their own.
    pub jvm: Vec<String>,
}

impl ClusterSpec {
    pub fn new(brokers: usize, libs: impl Into<PathBuf>) -> Self {
        Self {
            brokers,
            libs: libs.into(),
            dir: None,
            overrides: Vec::new(),
            // Without the second compiler a broker is up for two thirds of the CPU time.
            jvm: vec!["-Xmx512M".into(), "-XX:TieredStopAtLevel=1".into()],
        }
    }
}

/// Brokers that run as long as this value lives.
///
/// They are killed when it is dropped, and also when this process ends in any other way (Ctrl-C,
/// SIGKILL, or a test process whose `static` values are never dropped): see `broker::Process`.
#[derive(Debug)]
pub struct KafkaCluster {
    spec: ClusterSpec,
    dir: PathBuf,
    brokers: Vec<Broker>,
}

impl KafkaCluster {
    /// Starts `brokers` brokers (1 or 3) with `overrides` to their properties, from the jars that
    /// `MILLSTREAM_KAFKA_LIBS` names, and returns when every broker answers and sees all others.
    pub fn start(brokers: usize, overrides: &[(&str, &str)]) -> Result<Self> {
        let libs = std::env::var_os(LIBS_ENV).with_context(|| {
            format!("{LIBS_ENV} is not set; `cargo xtask kafka start` fetches Kafka's jars and prints it")
        })?;
        let mut spec = ClusterSpec::new(brokers, libs);
        spec.overrides = overrides
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Self::start_with(spec)
    }

    /// Starts what `spec` asks for; see [`KafkaCluster::start`].
    pub fn start_with(spec: ClusterSpec) -> Result<Self> {
        ensure!(
            matches!(spec.brokers, 1 | 3),
            "brokers: must be 1 or 3, got {}",
            spec.brokers
        );
        ensure!(
            spec.libs.is_dir(),
            "no directory with Kafka's jars at {}",
            spec.libs.display()
        );
        let dir = spec.dir.clone().unwrap_or_else(own_directory);
        if dir.exists() {
            fs::remove_dir_all(&dir)
                .with_context(|| format!("could not empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
        let dir = dir
            .canonicalize()
            .with_context(|| format!("could not resolve {}", dir.display()))?;

        // Held until just before the brokers bind them, so that no port is given out twice.
        let reserved = reserve_ports(2 * spec.brokers)?;
        let ports: Vec<SocketAddr> = reserved
            .iter()
            .map(TcpListener::local_addr)
            .collect::<std::io::Result<_>>()?;
        let (addresses, controllers) = ports.split_at(spec.brokers);

        let mut cluster = Self {
            dir,
            brokers: Vec::new(),
            spec,
        };
        for node in 1..=cluster.spec.brokers {
            let node_dir = cluster.dir.join(format!("node-{node}"));
            fs::create_dir_all(&node_dir)?;
            let properties = server_properties(
                node,
                addresses,
                controllers,
                &node_dir,
                &cluster.spec.overrides,
            );
            fs::write(node_dir.join(broker::PROPERTIES_FILE), properties)?;
            let kept = match &cluster.spec.dir {
                Some(_) => broker::Kept::Logs,
                None => broker::Kept::Nothing,
            };
            cluster.brokers.push(Broker::new(
                node as i32,
                addresses[node - 1],
                node_dir,
                kept,
            ));
        }
        broker::format_all(&cluster.brokers, &cluster.spec.libs)?;
        drop(reserved);
        for broker in &mut cluster.brokers {
            broker.spawn(&cluster.spec.libs, &cluster.spec.jvm)?;
        }
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// `127.0.0.1:20411,127.0.0.1:27133,…` of all brokers, whether they run or not.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .brokers
            .iter()
            .map(|broker| broker.address.to_string())
            .collect();
        addresses.join(",")
    }

    /// Kafka's `node.id` of every broker: 1, or 1 to 3.
    pub fn nodes(&self) -> impl Iterator<Item = i32> {
        self.brokers.iter().map(|broker| broker.node)
    }

    /// Where broker `node` listens.
    pub fn address(&self, node: i32) -> Result<SocketAddr> {
        Ok(self.broker(node)?.address)
    }

    /// The process id of broker `node`; `None` while it is stopped.
    pub fn pid(&self, node: i32) -> Result<Option<u32>> {
        Ok(self.broker(node)?.pid())
    }

    /// The file with everything that broker `node` printed.
    pub fn log_file(&self, node: i32) -> Result<PathBuf> {
        Ok(self.broker(node)?.log_file())
    }

    /// The directory with Kafka's jars that this cluster runs from.
    pub fn libs(&self) -> &Path {
        &self.spec.libs
    }

    /// Ends broker `node` as a power cut would: SIGKILL, no goodbye to controller or clients. Its
    /// data stays for [`KafkaCluster::restart`]. Nothing happens when it is not running.
    pub fn kill(&mut self, node: i32) -> Result<()> {
        self.broker_mut(node)?.kill();
        Ok(())
    }

    /// Ends broker `node` in order (SIGTERM: leaders move away first) and waits for it, at most a
    /// minute, then kills it. Its data stays. Nothing happens when it is not running.
    pub fn stop(&mut self, node: i32) -> Result<()> {
        self.broker_mut(node)?.stop()
    }

    /// Starts broker `node` again on its old port with its old data, after a stop in order if it is
    /// still running, and waits until every running broker sees every other.
    pub fn restart(&mut self, node: i32) -> Result<()> {
        self.stop(node)?;
        let (libs, jvm) = (self.spec.libs.clone(), self.spec.jvm.clone());
        self.broker_mut(node)?.spawn(&libs, &jvm)?;
        self.wait_until_ready()
    }

    /// Lets the brokers outlive this process. [`DetachedBroker::all_in`] finds them again.
    pub fn detach(mut self) {
        for broker in &mut self.brokers {
            broker.release();
        }
    }

    /// Every running broker answers, and knows of as many brokers as are running.
    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        let running = self
            .brokers
            .iter()
            .filter(|broker| broker.pid().is_some())
            .count();
        for broker in self
            .brokers
            .iter_mut()
            .filter(|broker| broker.pid().is_some())
        {
            loop {
                let found = match ready::brokers_known_to(broker.address) {
                    Ok(known) if known == running => break,
                    Ok(known) => format!("knows {known} of {running} brokers"),
                    Err(error) => format!("does not answer: {error}"),
                };
                if let Some(status) = broker.exited()? {
                    bail!(
                        "Kafka broker {} ended with {status}\n{}",
                        broker.node,
                        broker.log_tail()
                    );
                }
                if Instant::now() > deadline {
                    let waited = START_MAX.as_secs();
                    bail!(
                        "Kafka broker {} {found} after {waited} s\n{}",
                        broker.node,
                        broker.log_tail()
                    );
                }
                // Another process, reached over TCP: there is nothing to wait on but its answer.
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    fn broker(&self, node: i32) -> Result<&Broker> {
        self.brokers
            .iter()
            .find(|broker| broker.node == node)
            .with_context(|| {
                format!(
                    "no broker {node}: this cluster has 1 to {}",
                    self.brokers.len()
                )
            })
    }

    fn broker_mut(&mut self, node: i32) -> Result<&mut Broker> {
        let brokers = self.brokers.len();
        self.brokers
            .iter_mut()
            .find(|broker| broker.node == node)
            .with_context(|| format!("no broker {node}: this cluster has 1 to {brokers}"))
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        let released = !self.brokers.is_empty() && self.brokers.iter().all(Broker::is_released);
        if released {
            return;
        }
        for broker in &mut self.brokers {
            broker.kill();
            let _ = fs::remove_dir_all(broker.data_dir());
        }
        if self.spec.dir.is_some() {
            return;
        }
        // The logs of a failed test are worth more than a tidy temporary directory.
        if std::thread::panicking() {
            let _ = writeln!(
                std::io::stderr(),
                "Kafka's logs are kept in {}",
                self.dir.display()
            );
        } else {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A directory that no other cluster uses.
fn own_directory() -> PathBuf {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("millstream-kafka-{}-{number}", std::process::id()))
}

/// Listeners on `count` different free ports of the loopback address.
fn reserve_ports(count: usize) -> Result<Vec<TcpListener>> {
    use std::hash::{BuildHasher as _, RandomState};
    let span = PORTS.end - PORTS.start;
    // Start somewhere else in every process: two that start brokers at once must not race for one port.
    let offset = RandomState::new().hash_one(std::process::id()) % u64::from(span);
    let offset = u16::try_from(offset).expect("the remainder of a division by a u16");
    let listeners: Vec<TcpListener> = (0..span)
        .map(|step| PORTS.start + (offset + step) % span)
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    ensure!(
        listeners.len() == count,
        "no {count} free ports on 127.0.0.1 in {PORTS:?}"
    );
    Ok(listeners)
}

/// `server.properties` of one node: broker and controller in one process, and the internal topics
/// replicated to every node.
fn server_properties(
    node: usize,
    addresses: &[SocketAddr],
    controllers: &[SocketAddr],
    node_dir: &Path,
    overrides: &[(String, String)],
) -> String {
    let nodes = addresses.len();
    let in_sync = if nodes >= 3 { 2 } else { 1 };
    let voters: Vec<String> = controllers
        .iter()
        .enumerate()
        .map(|(at, address)| format!("{}@{address}", at + 1))
        .collect();
    let (address, controller) = (addresses[node - 1], controllers[node - 1]);
    let mut properties: Vec<(String, String)> = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", node.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        (
            "listeners",
            format!("PLAINTEXT://{address},CONTROLLER://{controller}"),
        ),
        ("advertised.listeners", format!("PLAINTEXT://{address}")),
        ("log.dirs", node_dir.join("data").display().to_string()),
        ("default.replication.factor", nodes.to_string()),
        ("min.insync.replicas", in_sync.to_string()),
        ("offsets.topic.replication.factor", nodes.to_string()),
        (
            "transaction.state.log.replication.factor",
            nodes.to_string(),
        ),
        ("transaction.state.log.min.isr", in_sync.to_string()),
        (
            "share.coordinator.state.topic.replication.factor",
            nodes.to_string(),
        ),
        ("share.coordinator.state.topic.min.isr", in_sync.to_string()),
        // 50 by default, and created one by one when the first group or transaction asks.
        ("offsets.topic.num.partitions", "5".to_owned()),
        ("transaction.state.log.num.partitions", "5".to_owned()),
        (
            "share.coordinator.state.topic.num.partitions",
            "5".to_owned(),
        ),
        // 3000 by default: a group of a test would wait that long for members that never come.
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("log.segment.bytes", (256 * 1024 * 1024).to_string()),
        // Seven days by default: a record that a test gave a time in 1970 would be deleted under its reader.
        ("log.retention.ms", "-1".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    for (key, value) in overrides {
        match properties.iter_mut().find(|(known, _)| known == key) {
            Some(known) => known.1.clone_from(value),
            None => properties.push((key.clone(), value.clone())),
        }
    }
    properties
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect()
}

/// What `java` takes as a class path for all jars of a directory.
fn class_path(libs: &Path) -> OsString {
    libs.join("*").into_os_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// The value of each key in the properties of the last of `nodes` nodes.
    fn values(nodes: u16, overrides: &[(&str, &str)], keys: &[&str]) -> Vec<Option<String>> {
        let addresses: Vec<_> = (1..=nodes).map(address).collect();
        let controllers: Vec<_> = (1..=nodes).map(|port| address(100 + port)).collect();
        let overrides: Vec<_> = overrides
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let node = usize::from(nodes);
        let text = server_properties(node, &addresses, &controllers, Path::new("/d"), &overrides);
        let value = |key: &&str| {
            let mut lines = text
                .lines()
                .filter_map(|line| line.strip_prefix(*key)?.strip_prefix('='));
            let value = lines.next().map(str::to_owned);
            assert_eq!(lines.next(), None, "{key} is there twice");
            value
        };
        keys.iter().map(value).collect()
    }

    #[test]
    fn one_node_is_its_own_quorum() {
        let keys = [
            "controller.quorum.voters",
            "listeners",
            "log.dirs",
            "min.insync.replicas",
        ];
        let expected = [
            "1@127.0.0.1:101",
            "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:101",
            "/d/data",
            "1",
        ];
        assert_eq!(
            values(1, &[], &keys),
            expected.map(|value| Some(value.to_owned()))
        );
    }

    #[test]
    fn three_nodes_replicate_to_each_other() {
        let keys = [
            "node.id",
            "controller.quorum.voters",
            "min.insync.replicas",
            "offsets.topic.replication.factor",
            "transaction.state.log.min.isr",
        ];
        let expected = [
            "3",
            "1@127.0.0.1:101,2@127.0.0.1:102,3@127.0.0.1:103",
            "2",
            "3",
            "2",
        ];
        assert_eq!(
            values(3, &[], &keys),
            expected.map(|value| Some(value.to_owned()))
        );
    }

    #[test]
    fn overrides_replace_or_add() {
        let overrides = [
            ("log.segment.bytes", "1048576"),
            ("auto.create.topics.enable", "false"),
        ];
        let keys = [
            "log.segment.bytes",
            "auto.create.topics.enable",
            "unheard.of",
        ];
        let expected = [Some("1048576".to_owned()), Some("false".to_owned()), None];
        assert_eq!(values(1, &overrides, &keys), expected);
    }

    #[test]
    fn reserved_ports_differ_and_are_no_ephemeral_ones() {
        let listeners = reserve_ports(6).expect("six of twelve thousand ports are free");
        let mut ports: Vec<u16> = listeners
            .iter()
            .map(|listener| {
                listener
                    .local_addr()
                    .expect("a bound socket has an address")
                    .port()
            })
            .collect();
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn two_brokers_are_refused() {
        let error =
            KafkaCluster::start_with(ClusterSpec::new(2, "/")).expect_err("two is no quorum");
        assert_eq!(error.to_string(), "brokers: must be 1 or 3, got 2");
    }
}
