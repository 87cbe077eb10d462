//! Properties of Java's `KafkaConsumer`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ClientKind, ConnectionSettings, Parsed, Properties, SettingsErrors, Weight};

/// What a consumer does, from Java's `ConsumerConfig`.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    pub connection: ConnectionSettings,
    pub group_id: Option<String>,
    pub group_instance_id: Option<String>,
    pub group_protocol: GroupProtocol,
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
    pub max_poll_interval: Duration,
    pub max_poll_records: usize,
    /// In order of preference. Never empty when there is a group.
    pub assignors: Vec<Assignor>,
    pub auto_offset_reset: AutoOffsetReset,
    pub enable_auto_commit: bool,
    pub auto_commit_interval: Duration,
    pub isolation_level: IsolationLevel,
    pub fetch_min_bytes: i32,
    pub fetch_max_bytes: i32,
    pub fetch_max_wait: Duration,
    pub max_partition_fetch_bytes: i32,
    pub check_crcs: bool,
    /// Empty: none.
    pub client_rack: String,
    pub exclude_internal_topics: bool,
    pub default_api_timeout: Duration,
}

/// How members and coordinator agree on an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    Classic,
}

/// Java's assignors, by their names in the group protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// Where to start without a committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    Earliest,
    Latest,
    None,
    /// At the first record that is not older than this.
    ByDuration(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

impl IsolationLevel {
    /// As in a fetch request.
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

impl Assignor {
    /// Its name in the group protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By Java class name, its simple name, or the name in the group protocol.
    fn parse(text: &str) -> Option<Self> {
        let simple = text
            .strip_prefix("org.apache.kafka.clients.consumer.")
            .unwrap_or(text);
        match simple {
            "RangeAssignor" | "range" => Some(Self::Range),
            "RoundRobinAssignor" | "roundrobin" => Some(Self::RoundRobin),
            "StickyAssignor" | "sticky" => Some(Self::Sticky),
            "CooperativeStickyAssignor" | "cooperative-sticky" => Some(Self::CooperativeSticky),
            _ => None,
        }
    }
}

impl AutoOffsetReset {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            "none" => Some(Self::None),
            _ => iso_duration(text.strip_prefix("by_duration:")?).map(Self::ByDuration),
        }
    }
}

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1);

impl ConsumerSettings {
    /// Reads and checks properties as Java's `ConsumerConfig` and `KafkaConsumer` do. Reports
    /// everything that is wrong. A `client.id` is made up when none is given.
    pub fn parse<K, V>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Parsed<Self>, SettingsErrors>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut properties = Properties::read(ClientKind::Consumer, properties);
        let p = &mut properties;
        let group_id = group_id(p);
        let group_instance_id = p.text("group.instance.id");
        let connection = ConnectionSettings::read(p, || {
            let group = group_id.as_deref().unwrap_or("null");
            match &group_instance_id {
                Some(instance) => format!("consumer-{group}-{instance}"),
                None => format!(
                    "consumer-{group}-{}",
                    NEXT_CLIENT.fetch_add(1, Ordering::Relaxed)
                ),
            }
        });
        let reset = p.text("auto.offset.reset").unwrap_or_default();
        let isolation = p.text("isolation.level");
        let settings = Self {
            connection,
            group_protocol: group_protocol(p),
            session_timeout: session_timeout(p),
            heartbeat_interval: p.duration("heartbeat.interval.ms"),
            max_poll_interval: p.duration("max.poll.interval.ms"),
            max_poll_records: p.usize("max.poll.records"),
            assignors: assignors(p, group_id.is_some()),
            auto_offset_reset: AutoOffsetReset::parse(&reset).unwrap_or(AutoOffsetReset::Latest),
            enable_auto_commit: enable_auto_commit(p, group_id.is_some()),
            auto_commit_interval: p.duration("auto.commit.interval.ms"),
            isolation_level: match isolation.as_deref() {
                Some("read_committed") => IsolationLevel::ReadCommitted,
                _ => IsolationLevel::ReadUncommitted,
            },
            fetch_min_bytes: int32(p, "fetch.min.bytes"),
            fetch_max_bytes: int32(p, "fetch.max.bytes"),
            fetch_max_wait: p.duration("fetch.max.wait.ms"),
            max_partition_fetch_bytes: int32(p, "max.partition.fetch.bytes"),
            check_crcs: p.bool("check.crcs"),
            client_rack: p.text("client.rack").unwrap_or_default(),
            exclude_internal_topics: p.bool("exclude.internal.topics"),
            default_api_timeout: p.duration("default.api.timeout.ms"),
            group_id,
            group_instance_id,
        };
        properties.finish(settings)
    }
}

/// Keys of type INT were checked to fit.
fn int32(p: &Properties, key: &str) -> i32 {
    i32::try_from(p.int(key)).unwrap_or(i32::MAX)
}

fn group_id(p: &mut Properties) -> Option<String> {
    let id = p.text("group.id")?;
    if id.is_empty() {
        p.error(
            "group.id",
            "The configured group.id should not be an empty string or whitespace.",
        );
    }
    Some(id)
}

/// Java names the conflicts of either protocol before anything else.
fn group_protocol(p: &mut Properties) -> GroupProtocol {
    let protocol = p.text("group.protocol").unwrap_or_default();
    if protocol.eq_ignore_ascii_case("consumer") {
        p.error(
            "group.protocol",
            "group.protocol=CONSUMER is not supported yet; leave it out or set it to classic",
        );
    } else if p.is_given("group.remote.assignor") {
        p.error(
            "group.remote.assignor",
            "group.remote.assignor cannot be set when group.protocol=CLASSIC",
        );
    }
    GroupProtocol::Classic
}

fn session_timeout(p: &mut Properties) -> Duration {
    const KEY: &str = "session.timeout.ms";
    if p.int("heartbeat.interval.ms") >= p.int(KEY) {
        p.error(KEY, "Heartbeat must be set lower than the session timeout");
    }
    p.duration(KEY)
}

fn assignors(p: &mut Properties, has_group: bool) -> Vec<Assignor> {
    const KEY: &str = "partition.assignment.strategy";
    let mut assignors = Vec::new();
    for name in p.list(KEY) {
        match Assignor::parse(&name) {
            Some(assignor) if assignors.contains(&assignor) => {}
            Some(assignor) => assignors.push(assignor),
            None => p.error(
                KEY,
                format!(
                    "Invalid value {name} for configuration {KEY}: Class {name} could not be found. This \
                     client has RangeAssignor, RoundRobinAssignor, StickyAssignor and CooperativeStickyAssignor."
                ),
            ),
        }
    }
    // Java finds this out when `subscribe` is called, with the same words.
    if assignors.is_empty() && has_group && p.list(KEY).is_empty() {
        p.error(
            KEY,
            format!("Must configure at least one partition assigner class name to {KEY} configuration property"),
        );
    }
    assignors
}

/// `ConsumerConfig.maybeOverrideEnableAutoCommit`.
fn enable_auto_commit(p: &mut Properties, has_group: bool) -> bool {
    const KEY: &str = "enable.auto.commit";
    let enabled = p.bool(KEY);
    if has_group || !enabled {
        return enabled;
    }
    if p.is_given(KEY) {
        p.error(
            KEY,
            "enable.auto.commit cannot be set to true when default group id (null) is used.",
        );
    }
    if p.is_given("auto.commit.interval.ms") {
        p.ignore(
            "auto.commit.interval.ms",
            Weight::Harmless,
            "there is no group.id",
        );
    }
    false
}

/// What `java.time.Duration.parse` accepts, without negative parts: `P1DT2H3M4.5S`.
fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    let mut total = Duration::ZERO;
    let mut parts = 0;
    if !days.is_empty() {
        let days: u64 = days.strip_suffix('D')?.parse().ok()?;
        total += Duration::from_secs(days.checked_mul(86_400)?);
        parts += 1;
    }
    let mut time = time;
    for (unit, seconds) in [('H', 3600), ('M', 60)] {
        if let Some((number, rest)) = time.split_once(unit) {
            let number: u64 = number.parse().ok()?;
            total = total.checked_add(Duration::from_secs(number.checked_mul(seconds)?))?;
            time = rest;
            parts += 1;
        }
    }
    if !time.is_empty() {
        let seconds = time.strip_suffix('S')?;
        let plain = seconds
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds: f64 = seconds.parse().ok().filter(|_| plain)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        parts += 1;
    }
    (parts > 0).then_some(total)
}
