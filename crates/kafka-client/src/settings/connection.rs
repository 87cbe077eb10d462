//! What all three clients need to reach a cluster and stay in touch with it.

use std::fmt;
use std::time::Duration;

use super::keys::Fate;
use super::{ClientKind, Properties, Weight, keys};

/// Largest response that is accepted unless the settings ask for more. 100 MiB.
pub const RESPONSE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Shared part of the settings of every client.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    /// Never empty when parsed from properties.
    pub bootstrap_servers: Vec<HostPort>,
    pub client_id: String,
    pub dns_lookup: DnsLookup,
    pub security_protocol: SecurityProtocol,
    pub request_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub setup_timeout: Duration,
    pub setup_timeout_max: Duration,
    /// `None`: connections are never closed for being idle.
    pub connections_max_idle: Option<Duration>,
    /// `None`: the operating system decides and adapts.
    pub send_buffer_bytes: Option<u32>,
    /// `None`: the operating system decides and adapts.
    pub receive_buffer_bytes: Option<u32>,
    pub metadata_max_age: Duration,
    pub metadata_recovery: MetadataRecovery,
    /// Without fresh metadata for this long, start again from the bootstrap servers.
    pub rebootstrap_trigger: Duration,
    /// Whether asking for the metadata of a topic may create it, if the broker allows that.
    pub allow_auto_topic_creation: bool,
    /// Largest response that is accepted.
    pub response_bytes_max: usize,
}

/// Java's defaults, no bootstrap server, `client.id` empty.
impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: String::new(),
            dns_lookup: DnsLookup::UseAllDnsIps,
            security_protocol: SecurityProtocol::Plaintext,
            request_timeout: Duration::from_secs(30),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            setup_timeout: Duration::from_secs(10),
            setup_timeout_max: Duration::from_secs(30),
            connections_max_idle: Some(Duration::from_secs(540)),
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            metadata_max_age: Duration::from_secs(300),
            metadata_recovery: MetadataRecovery::Rebootstrap,
            rebootstrap_trigger: Duration::from_secs(300),
            allow_auto_topic_creation: false,
            response_bytes_max: RESPONSE_BYTES_MAX,
        }
    }
}

/// Prints as `host:port`, IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsLookup {
    UseAllDnsIps,
    ResolveCanonicalBootstrapServersOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRecovery {
    None,
    Rebootstrap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
}

impl HostPort {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// `host:port`, `[::1]:port` or `PROTOCOL://host:port`, as Java's `Utils.HOST_PORT_PATTERN`.
    /// The message of `Err` follows `Invalid … in bootstrap.servers: `.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = rest.rsplit_once(':').ok_or("url")?;
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        let known = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if host.is_empty() || !host.chars().all(known) {
            return Err("url");
        }
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("url");
        }
        let port = port.parse().map_err(|_| "port")?;
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl ConnectionSettings {
    /// Reads the shared keys. `client_id` is used when none is given.
    pub(super) fn read(properties: &mut Properties, client_id: impl FnOnce() -> String) -> Self {
        let bootstrap_servers = bootstrap_servers(properties);
        security(properties);
        let dns_lookup = dns_lookup(properties);
        let given = properties.text("client.id").filter(|id| !id.is_empty());
        let (reconnect_backoff, reconnect_backoff_max) = backoff(
            properties,
            "reconnect.backoff.ms",
            "reconnect.backoff.max.ms",
        );
        let (retry_backoff, retry_backoff_max) =
            backoff(properties, "retry.backoff.ms", "retry.backoff.max.ms");
        let setup_timeout = properties.duration("socket.connection.setup.timeout.ms");
        let setup_timeout_max = properties.duration("socket.connection.setup.timeout.max.ms");
        let idle = properties.int("connections.max.idle.ms");
        let recovery = properties
            .text("metadata.recovery.strategy")
            .unwrap_or_default();
        let fetch_bytes = match properties.kind() {
            ClientKind::Consumer => properties.usize("fetch.max.bytes"),
            ClientKind::Producer | ClientKind::Admin => 0,
        };
        Self {
            bootstrap_servers,
            client_id: given.unwrap_or_else(client_id),
            dns_lookup,
            security_protocol: SecurityProtocol::Plaintext,
            request_timeout: properties.duration("request.timeout.ms"),
            retry_backoff,
            retry_backoff_max,
            reconnect_backoff,
            reconnect_backoff_max,
            setup_timeout: setup_timeout.min(setup_timeout_max),
            setup_timeout_max,
            connections_max_idle: (idle >= 0)
                .then(|| properties.duration("connections.max.idle.ms")),
            send_buffer_bytes: socket_buffer(properties, "send.buffer.bytes"),
            receive_buffer_bytes: socket_buffer(properties, "receive.buffer.bytes"),
            metadata_max_age: properties.duration("metadata.max.age.ms"),
            metadata_recovery: match recovery.eq_ignore_ascii_case("none") {
                true => MetadataRecovery::None,
                false => MetadataRecovery::Rebootstrap,
            },
            rebootstrap_trigger: properties.duration("metadata.recovery.rebootstrap.trigger.ms"),
            allow_auto_topic_creation: match properties.kind() {
                ClientKind::Producer => true,
                ClientKind::Consumer => properties.bool("allow.auto.create.topics"),
                ClientKind::Admin => false,
            },
            // The first batch of a fetch may exceed fetch.max.bytes.
            response_bytes_max: RESPONSE_BYTES_MAX + fetch_bytes,
        }
    }

    /// The value of `bootstrap.servers`, for messages.
    pub(crate) fn bootstrap_text(&self) -> String {
        let servers: Vec<String> = self
            .bootstrap_servers
            .iter()
            .map(HostPort::to_string)
            .collect();
        servers.join(",")
    }
}

fn bootstrap_servers(properties: &mut Properties) -> Vec<HostPort> {
    const KEY: &str = "bootstrap.servers";
    let mut servers = Vec::new();
    for text in properties.list(KEY) {
        match HostPort::parse(&text) {
            Ok(server) => servers.push(server),
            Err(what) => properties.error(KEY, format!("Invalid {what} in {KEY}: {text}")),
        }
    }
    servers
}

/// TLS and SASL keys have no effect on a plaintext connection, as in Java; any other protocol is refused.
fn security(properties: &mut Properties) {
    let protocol = properties
        .text("security.protocol")
        .unwrap_or_default()
        .to_ascii_uppercase();
    if protocol != "PLAINTEXT" {
        let message =
            format!("security.protocol={protocol} is not supported yet; only PLAINTEXT is");
        return properties.error("security.protocol", message);
    }
    for key in properties.given() {
        let known = keys::find(properties.kind(), key);
        if known.is_some_and(|known| known.fate == Fate::Security) {
            properties.ignore(
                key,
                Weight::Warning,
                "it has no effect with security.protocol=PLAINTEXT",
            );
        }
    }
}

fn dns_lookup(properties: &mut Properties) -> DnsLookup {
    match properties.text("client.dns.lookup").as_deref() {
        Some("resolve_canonical_bootstrap_servers_only") => {
            let reason = "names are not turned into canonical names, which matters for Kerberos only; \
                          all addresses of a name are tried";
            properties.ignore("client.dns.lookup", Weight::Warning, reason);
            DnsLookup::ResolveCanonicalBootstrapServersOnly
        }
        _ => DnsLookup::UseAllDnsIps,
    }
}

/// Base and maximum. As in Java, a base alone turns exponential growth of reconnect off, and a base
/// above the maximum is cut to it.
fn backoff(properties: &Properties, base: &str, max: &str) -> (Duration, Duration) {
    let base_given = properties.is_given(base);
    let (base, max, max_given) = (
        properties.duration(base),
        properties.duration(max),
        properties.is_given(max),
    );
    match base_given && !max_given && base > max {
        true => (base, base),
        false => (base.min(max), max),
    }
}

/// Java's defaults are 128 KiB for sending and 32 or 64 KiB for receiving. We leave a buffer that was
/// not asked for to the operating system, which adapts it: fewer wake-ups per megabyte.
fn socket_buffer(properties: &Properties, key: &str) -> Option<u32> {
    if !properties.is_given(key) {
        return None;
    }
    u32::try_from(properties.int(key))
        .ok()
        .filter(|bytes| *bytes > 0)
}
