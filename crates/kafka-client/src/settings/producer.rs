//! Properties of Java's `KafkaProducer`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ClientKind, ConnectionSettings, Parsed, Properties, SettingsErrors, Weight};

/// What a producer does, from Java's `ProducerConfig`.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    pub connection: ConnectionSettings,
    pub acks: Acks,
    pub batch_size_bytes: usize,
    pub buffer_memory_bytes: usize,
    pub compression: Compression,
    pub delivery_timeout: Duration,
    pub enable_idempotence: bool,
    pub linger: Duration,
    pub max_block: Duration,
    pub max_in_flight_requests_per_connection: usize,
    pub max_request_size_bytes: usize,
    pub partitioner: Partitioner,
    pub retries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    /// As in a produce request.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// `compression.type` with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    /// 1 to 9. `None`: the default of the library, 6.
    Gzip {
        level: Option<u32>,
    },
    Snappy,
    Lz4,
    /// -131072 to 22.
    Zstd {
        level: i32,
    },
}

/// How a record without a partition gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// By the hash of the key; without a key, one partition per batch.
    Default,
    /// As [`Self::Default`], but the key is ignored.
    IgnoreKeys,
    /// The next partition for each record.
    RoundRobin,
}

/// Most requests in flight for which the broker keeps the order of an idempotent producer.
const IN_FLIGHT_MAX_IDEMPOTENT: i64 = 5;

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1);

impl ProducerSettings {
    /// Reads and checks properties as Java's `ProducerConfig` and `KafkaProducer` do. Reports
    /// everything that is wrong. A `client.id` is made up when none is given.
    pub fn parse<K, V>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Parsed<Self>, SettingsErrors>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut properties = Properties::read(ClientKind::Producer, properties);
        let p = &mut properties;
        let connection = ConnectionSettings::read(p, || {
            format!("producer-{}", NEXT_CLIENT.fetch_add(1, Ordering::Relaxed))
        });
        let acks = match p.text("acks").as_deref() {
            Some("0") => Acks::None,
            Some("1") => Acks::Leader,
            _ => Acks::All,
        };
        let enable_idempotence = idempotence(p, acks);
        transactions(p);
        adaptive_partitioning(p);
        let linger = p.duration("linger.ms");
        let settings = Self {
            acks,
            batch_size_bytes: p.usize("batch.size"),
            buffer_memory_bytes: p.usize("buffer.memory"),
            compression: compression(p),
            delivery_timeout: delivery_timeout(p, linger, connection.request_timeout),
            enable_idempotence,
            linger,
            max_block: p.duration("max.block.ms"),
            max_in_flight_requests_per_connection: p.usize("max.in.flight.requests.per.connection"),
            max_request_size_bytes: p.usize("max.request.size"),
            partitioner: partitioner(p),
            retries: u32::try_from(p.int("retries")).unwrap_or(0),
            connection,
        };
        properties.finish(settings)
    }
}

/// `ProducerConfig.postProcessAndValidateIdempotenceConfigs`.
fn idempotence(p: &mut Properties, acks: Acks) -> bool {
    const KEY: &str = "enable.idempotence";
    if !p.bool(KEY) {
        return false;
    }
    let in_flight = p.int("max.in.flight.requests.per.connection");
    if in_flight > IN_FLIGHT_MAX_IDEMPOTENT {
        p.error(
            "max.in.flight.requests.per.connection",
            format!(
                "To use the idempotent producer, max.in.flight.requests.per.connection must be set to \
                 at most {IN_FLIGHT_MAX_IDEMPOTENT}. Current value is {in_flight}."
            ),
        );
    }
    let conflicts = [
        (
            p.is_given("retries") && p.int("retries") == 0,
            "retries",
            "Must set retries to non-zero when using the idempotent producer.",
        ),
        (
            acks != Acks::All,
            "acks",
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
        ),
    ];
    let mut enabled = true;
    for (_, key, message) in conflicts.into_iter().filter(|(conflict, ..)| *conflict) {
        match p.is_given(KEY) {
            true => p.error(key, message),
            false => enabled = false,
        }
    }
    enabled
}

/// There is no transaction without a `transactional.id`, and we have none.
fn transactions(p: &mut Properties) {
    if let Some(id) = p.text("transactional.id") {
        p.error(
            "transactional.id",
            format!(
                "transactional.id={id} is not supported yet: this producer is idempotent, \
                 but has no transactions; leave it out"
            ),
        );
    }
    const KEY: &str = "transaction.two.phase.commit.enable";
    if !p.bool(KEY) {
        return;
    }
    p.error(KEY, format!("{KEY}=true is not supported by this client"));
    if p.is_given("transaction.timeout.ms") {
        p.error(
            "transaction.timeout.ms",
            format!(
                "Cannot set transaction.timeout.ms when {KEY} is set to true. \
                 Transactions will not expire with two-phase commit enabled."
            ),
        );
    }
}

/// What is off here is honoured when it is turned off, and named when it is turned on.
fn adaptive_partitioning(p: &mut Properties) {
    const ADAPTIVE: &str = "partitioner.adaptive.partitioning.enable";
    const AVAILABILITY: &str = "partitioner.availability.timeout.ms";
    let reason =
        "records without a key go to partitions at random, whatever the load of their brokers";
    if p.is_given(ADAPTIVE) && p.bool(ADAPTIVE) {
        p.ignore(ADAPTIVE, Weight::Warning, reason);
    }
    if p.int(AVAILABILITY) > 0 {
        p.ignore(AVAILABILITY, Weight::Warning, reason);
    }
}

/// `KafkaProducer.configureDeliveryTimeout`: a value that was not asked for grows as needed.
fn delivery_timeout(p: &mut Properties, linger: Duration, request_timeout: Duration) -> Duration {
    const KEY: &str = "delivery.timeout.ms";
    let (given, least) = (p.duration(KEY), linger + request_timeout);
    if given < least && p.is_given(KEY) {
        p.error(
            KEY,
            format!("{KEY} should be equal to or larger than linger.ms + request.timeout.ms"),
        );
    }
    given.max(least)
}

fn compression(p: &mut Properties) -> Compression {
    let name = p.text("compression.type").unwrap_or_default();
    for codec in ["gzip", "lz4", "zstd"]
        .into_iter()
        .filter(|codec| *codec != name)
    {
        let key = format!("compression.{codec}.level");
        if p.is_given(&key) {
            p.ignore(
                &key,
                Weight::Harmless,
                format!("compression.type is {name}"),
            );
        }
    }
    match name.as_str() {
        "gzip" => Compression::Gzip {
            level: u32::try_from(p.int("compression.gzip.level")).ok(),
        },
        "snappy" => Compression::Snappy,
        "lz4" => {
            if p.is_given("compression.lz4.level") {
                let reason = "this client compresses lz4 at one level, the fast one; Kafka reads it the same";
                p.ignore("compression.lz4.level", Weight::Warning, reason);
            }
            Compression::Lz4
        }
        "zstd" => Compression::Zstd {
            level: i32::try_from(p.int("compression.zstd.level")).unwrap_or(3),
        },
        _ => Compression::None,
    }
}

/// Java's own partitioners, also those that Kafka 4 removed. Any other is code that we cannot run.
fn partitioner(p: &mut Properties) -> Partitioner {
    const KEY: &str = "partitioner.class";
    let ignore_keys = match p.bool("partitioner.ignore.keys") {
        true => Partitioner::IgnoreKeys,
        false => Partitioner::Default,
    };
    let Some(class) = p.text(KEY).filter(|class| !class.is_empty()) else {
        return ignore_keys;
    };
    let simple = class.strip_prefix("org.apache.kafka.clients.producer.internals.");
    let simple = simple.or(class.strip_prefix("org.apache.kafka.clients.producer."));
    match simple.unwrap_or(&class) {
        "RoundRobinPartitioner" => Partitioner::RoundRobin,
        "UniformStickyPartitioner" => Partitioner::IgnoreKeys,
        "DefaultPartitioner" => ignore_keys,
        _ => {
            p.error(
                KEY,
                format!(
                    "Invalid value {class} for configuration {KEY}: Class {class} could not be found. This \
                     client has the default partitioner (leave {KEY} out) and RoundRobinPartitioner."
                ),
            );
            Partitioner::Default
        }
    }
}
