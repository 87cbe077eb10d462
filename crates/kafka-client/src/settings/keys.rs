//! The tables: every property of Java's three clients in Kafka 4.3.1, and what becomes of it here.
//!
//! Lives here: name, type, default and validator as Java prints them, and our fate for each key.
//! Lives elsewhere: what the values mean (one file per client kind).
//! Never here: logic beyond looking a key up.

use super::value::{self, Type, Valid, Value};
use super::{ClientKind, Weight};

use Fallback::{Is, Null, Required};
use Fate::{Honoured, Ignored, Security};
use Type::{Bool, Class, Double, Int, List, Long, Password, Short, Text};
use Valid::{
    Any, AtLeast, Between, BetweenDoubles, GzipLevel, NotEmpty, NotEmptyList, OffsetReset, OneOf,
    OneOfIgnoringCase,
};
use Weight::{Harmless, Warning};

/// One property.
#[derive(Debug)]
pub(super) struct KeyDef {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    default: Fallback,
    valid: Valid,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fallback {
    Required,
    Null,
    Is(&'static str),
}

/// What becomes of a property that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has the effect that it has in Java, or is refused with an error.
    Honoured,
    /// It has no effect, for this reason.
    Ignored(Weight, &'static str),
    /// It has an effect with some values of `security.protocol` only; `super::connection` decides.
    Security,
}

const fn key(
    name: &'static str,
    kind: Type,
    default: Fallback,
    valid: Valid,
    fate: Fate,
) -> KeyDef {
    KeyDef {
        name,
        kind,
        default,
        valid,
        fate,
    }
}

impl KeyDef {
    /// A byte client needs no serializers, so only keys that we honour are required.
    pub(super) fn is_required(&self) -> bool {
        self.default == Required && self.fate == Honoured
    }

    #[cfg(test)]
    pub(super) fn is_default_required(&self) -> bool {
        self.default == Required
    }

    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        value::parse(self.name, self.kind, self.valid, text)
    }

    pub(super) fn default_value(&self) -> Value {
        match self.default {
            Is(text) => self
                .parse(text)
                .unwrap_or_else(|error| panic!("default in the table: {error}")),
            Null | Required => Value::None,
        }
    }
}

/// All properties of a client kind.
pub(super) fn all(kind: ClientKind) -> impl Iterator<Item = &'static KeyDef> {
    let own = match kind {
        ClientKind::Producer => PRODUCER,
        ClientKind::Consumer => CONSUMER,
        ClientKind::Admin => ADMIN,
    };
    own.iter().chain(COMMON).chain(SECURITY)
}

pub(super) fn find(kind: ClientKind, name: &str) -> Option<&'static KeyDef> {
    all(kind).find(|known| known.name == name)
}

/// The reason for ignoring a key that is in no table of this kind.
pub(super) fn unknown(kind: ClientKind, name: &str) -> String {
    let others = [
        ClientKind::Producer,
        ClientKind::Consumer,
        ClientKind::Admin,
    ];
    if let Some(other) = others
        .into_iter()
        .find(|other| find(*other, name).is_some())
    {
        return format!(
            "it is a property of the {}, not of the {}",
            noun(other),
            noun(kind)
        );
    }
    let nearest = all(kind)
        .map(|known| (distance(known.name, name), known.name))
        .min();
    match nearest {
        Some((distance, nearest)) if distance <= 1 + name.len() / 6 => {
            format!("there is no such property; did you mean {nearest}?")
        }
        _ => "there is no such property".to_owned(),
    }
}

fn noun(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Producer => "producer",
        ClientKind::Consumer => "consumer",
        ClientKind::Admin => "admin client",
    }
}

/// Characters to insert, delete or replace to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Properties that all three clients share, with the same default. Sorted by key.
#[rustfmt::skip]
static COMMON: &[KeyDef] = &[
    key("client.dns.lookup", Text, Is("use_all_dns_ips"), OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]), Honoured),
    key("client.id", Text, Is(""), Any, Honoured),
    key("config.providers", List, Is(""), Any, Ignored(Warning, "config providers are resolved before client properties are read")),
    key("metadata.max.age.ms", Long, Is("300000"), AtLeast(0), Honoured),
    key("metadata.recovery.rebootstrap.trigger.ms", Long, Is("300000"), AtLeast(0), Honoured),
    key("metadata.recovery.strategy", Text, Is("rebootstrap"), OneOfIgnoringCase(&["REBOOTSTRAP", "NONE"]), Honoured),
    key("metric.reporters", List, Is("org.apache.kafka.common.metrics.JmxReporter"), Any, Ignored(Harmless, "this client has no JVM metrics; its figures are in the metrics of the process")),
    key("metrics.num.samples", Int, Is("2"), AtLeast(1), Ignored(Harmless, "this client has no JVM metrics; its figures are in the metrics of the process")),
    key("metrics.recording.level", Text, Is("INFO"), OneOf(&["INFO", "DEBUG", "TRACE"]), Ignored(Harmless, "this client has no JVM metrics; its figures are in the metrics of the process")),
    key("metrics.sample.window.ms", Long, Is("30000"), AtLeast(0), Ignored(Harmless, "this client has no JVM metrics; its figures are in the metrics of the process")),
    key("reconnect.backoff.max.ms", Long, Is("1000"), AtLeast(0), Honoured),
    key("reconnect.backoff.ms", Long, Is("50"), AtLeast(0), Honoured),
    key("request.timeout.ms", Int, Is("30000"), AtLeast(0), Honoured),
    key("retry.backoff.max.ms", Long, Is("1000"), AtLeast(0), Honoured),
    key("retry.backoff.ms", Long, Is("100"), AtLeast(0), Honoured),
    key("send.buffer.bytes", Int, Is("131072"), AtLeast(-1), Honoured),
    key("socket.connection.setup.timeout.max.ms", Long, Is("30000"), Any, Honoured),
    key("socket.connection.setup.timeout.ms", Long, Is("10000"), Any, Honoured),
];

/// TLS and SASL, the same for all three clients. Sorted by key.
#[rustfmt::skip]
static SECURITY: &[KeyDef] = &[
    key("sasl.client.callback.handler.class", Class, Null, Any, Security),
    key("sasl.jaas.config", Password, Null, Any, Security),
    key("sasl.kerberos.kinit.cmd", Text, Is("/usr/bin/kinit"), Any, Security),
    key("sasl.kerberos.min.time.before.relogin", Long, Is("60000"), Any, Security),
    key("sasl.kerberos.service.name", Text, Null, Any, Security),
    key("sasl.kerberos.ticket.renew.jitter", Double, Is("0.05"), Any, Security),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Is("0.8"), Any, Security),
    key("sasl.login.callback.handler.class", Class, Null, Any, Security),
    key("sasl.login.class", Class, Null, Any, Security),
    key("sasl.login.connect.timeout.ms", Int, Null, Any, Security),
    key("sasl.login.read.timeout.ms", Int, Null, Any, Security),
    key("sasl.login.refresh.buffer.seconds", Short, Is("300"), Between(0, 3600), Security),
    key("sasl.login.refresh.min.period.seconds", Short, Is("60"), Between(0, 900), Security),
    key("sasl.login.refresh.window.factor", Double, Is("0.8"), BetweenDoubles(0.5, 1.0), Security),
    key("sasl.login.refresh.window.jitter", Double, Is("0.05"), BetweenDoubles(0.0, 0.25), Security),
    key("sasl.login.retry.backoff.max.ms", Long, Is("10000"), Any, Security),
    key("sasl.login.retry.backoff.ms", Long, Is("100"), Any, Security),
    key("sasl.mechanism", Text, Is("GSSAPI"), Any, Security),
    key("sasl.oauthbearer.assertion.algorithm", Text, Is("RS256"), OneOfIgnoringCase(&["ES256", "RS256"]), Security),
    key("sasl.oauthbearer.assertion.claim.aud", Text, Null, Any, Security),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Is("300"), Between(0, 86400), Security),
    key("sasl.oauthbearer.assertion.claim.iss", Text, Null, Any, Security),
    key("sasl.oauthbearer.assertion.claim.jti.include", Bool, Is("false"), Any, Security),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Is("60"), Between(0, 3600), Security),
    key("sasl.oauthbearer.assertion.claim.sub", Text, Null, Any, Security),
    key("sasl.oauthbearer.assertion.file", Text, Null, Any, Security),
    key("sasl.oauthbearer.assertion.private.key.file", Text, Null, Any, Security),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Password, Null, Any, Security),
    key("sasl.oauthbearer.assertion.template.file", Text, Null, Any, Security),
    key("sasl.oauthbearer.client.credentials.client.id", Text, Null, Any, Security),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, Null, Any, Security),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Is("30"), Any, Security),
    key("sasl.oauthbearer.expected.audience", List, Is(""), Any, Security),
    key("sasl.oauthbearer.expected.issuer", Text, Null, Any, Security),
    key("sasl.oauthbearer.header.urlencode", Bool, Is("false"), Any, Security),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Is("3600000"), Any, Security),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Is("10000"), Any, Security),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Is("100"), Any, Security),
    key("sasl.oauthbearer.jwks.endpoint.url", Text, Null, Any, Security),
    key("sasl.oauthbearer.jwt.retriever.class", Class, Is("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Any, Security),
    key("sasl.oauthbearer.jwt.validator.class", Class, Is("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Any, Security),
    key("sasl.oauthbearer.scope", Text, Null, Any, Security),
    key("sasl.oauthbearer.scope.claim.name", Text, Is("scope"), Any, Security),
    key("sasl.oauthbearer.sub.claim.name", Text, Is("sub"), Any, Security),
    key("sasl.oauthbearer.token.endpoint.url", Text, Null, Any, Security),
    key("security.protocol", Text, Is("PLAINTEXT"), OneOfIgnoringCase(&["SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"]), Honoured),
    key("security.providers", Text, Null, Any, Ignored(Warning, "there are no Java security providers without a JVM")),
    key("ssl.cipher.suites", List, Is(""), Any, Security),
    key("ssl.enabled.protocols", List, Is("TLSv1.2,TLSv1.3"), Any, Security),
    key("ssl.endpoint.identification.algorithm", Text, Is("https"), Any, Security),
    key("ssl.engine.factory.class", Class, Null, Any, Security),
    key("ssl.key.password", Password, Null, Any, Security),
    key("ssl.keymanager.algorithm", Text, Is("SunX509"), Any, Security),
    key("ssl.keystore.certificate.chain", Password, Null, Any, Security),
    key("ssl.keystore.key", Password, Null, Any, Security),
    key("ssl.keystore.location", Text, Null, Any, Security),
    key("ssl.keystore.password", Password, Null, Any, Security),
    key("ssl.keystore.type", Text, Is("JKS"), Any, Security),
    key("ssl.protocol", Text, Is("TLSv1.3"), Any, Security),
    key("ssl.provider", Text, Null, Any, Security),
    key("ssl.secure.random.implementation", Text, Null, Any, Security),
    key("ssl.trustmanager.algorithm", Text, Is("PKIX"), Any, Security),
    key("ssl.truststore.certificates", Password, Null, Any, Security),
    key("ssl.truststore.location", Text, Null, Any, Security),
    key("ssl.truststore.password", Password, Null, Any, Security),
    key("ssl.truststore.type", Text, Is("JKS"), Any, Security),
];

/// Producer only, or with the producer's default. Sorted by key.
#[rustfmt::skip]
static PRODUCER: &[KeyDef] = &[
    key("acks", Text, Is("all"), OneOf(&["all", "-1", "0", "1"]), Honoured),
    key("batch.size", Int, Is("16384"), AtLeast(0), Honoured),
    key("bootstrap.servers", List, Required, NotEmptyList, Honoured),
    key("buffer.memory", Long, Is("33554432"), AtLeast(0), Honoured),
    key("compression.gzip.level", Int, Is("-1"), GzipLevel, Honoured),
    key("compression.lz4.level", Int, Is("9"), Between(1, 17), Honoured),
    key("compression.type", Text, Is("none"), OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), Honoured),
    key("compression.zstd.level", Int, Is("3"), Between(-131072, 22), Honoured),
    key("connections.max.idle.ms", Long, Is("540000"), Any, Honoured),
    key("delivery.timeout.ms", Int, Is("120000"), AtLeast(0), Honoured),
    key("enable.idempotence", Bool, Is("true"), Any, Honoured),
    key("enable.metrics.push", Bool, Is("true"), Any, Ignored(Harmless, "this client does not push metrics to brokers")),
    key("interceptor.classes", List, Is(""), Any, Ignored(Warning, "Java interceptors cannot run in this client")),
    key("key.serializer", Class, Required, Any, Ignored(Harmless, "this client moves bytes; converters do what serializers do in Java")),
    key("linger.ms", Long, Is("5"), AtLeast(0), Honoured),
    key("max.block.ms", Long, Is("60000"), AtLeast(0), Honoured),
    key("max.in.flight.requests.per.connection", Int, Is("5"), AtLeast(1), Honoured),
    key("max.request.size", Int, Is("1048576"), AtLeast(0), Honoured),
    key("metadata.max.idle.ms", Long, Is("300000"), AtLeast(5000), Ignored(Warning, "a topic that was produced to stays in the metadata as long as the producer lives")),
    key("partitioner.adaptive.partitioning.enable", Bool, Is("true"), Any, Honoured),
    key("partitioner.availability.timeout.ms", Long, Is("0"), AtLeast(0), Honoured),
    key("partitioner.class", Class, Null, Any, Honoured),
    key("partitioner.ignore.keys", Bool, Is("false"), Any, Honoured),
    key("receive.buffer.bytes", Int, Is("32768"), AtLeast(-1), Honoured),
    key("retries", Int, Is("2147483647"), Between(0, 2147483647), Honoured),
    key("transaction.timeout.ms", Int, Is("60000"), Any, Ignored(Harmless, "there is no transactional.id")),
    key("transaction.two.phase.commit.enable", Bool, Is("false"), Any, Honoured),
    key("transactional.id", Text, Null, NotEmpty, Honoured),
    key("value.serializer", Class, Required, Any, Ignored(Harmless, "this client moves bytes; converters do what serializers do in Java")),
];

/// Consumer only, or with the consumer's default. Sorted by key.
#[rustfmt::skip]
static CONSUMER: &[KeyDef] = &[
    key("allow.auto.create.topics", Bool, Is("true"), Any, Honoured),
    key("auto.commit.interval.ms", Int, Is("5000"), AtLeast(0), Honoured),
    key("auto.offset.reset", Text, Is("latest"), OffsetReset, Honoured),
    key("bootstrap.servers", List, Required, NotEmptyList, Honoured),
    key("check.crcs", Bool, Is("true"), Any, Honoured),
    key("client.rack", Text, Is(""), Any, Honoured),
    key("connections.max.idle.ms", Long, Is("540000"), Any, Honoured),
    key("default.api.timeout.ms", Int, Is("60000"), AtLeast(0), Honoured),
    key("enable.auto.commit", Bool, Is("true"), Any, Honoured),
    key("enable.metrics.push", Bool, Is("true"), Any, Ignored(Harmless, "this client does not push metrics to brokers")),
    key("exclude.internal.topics", Bool, Is("true"), Any, Honoured),
    key("fetch.max.bytes", Int, Is("52428800"), AtLeast(0), Honoured),
    key("fetch.max.wait.ms", Int, Is("500"), AtLeast(0), Honoured),
    key("fetch.min.bytes", Int, Is("1"), AtLeast(0), Honoured),
    key("group.id", Text, Null, Any, Honoured),
    key("group.instance.id", Text, Null, NotEmpty, Honoured),
    key("group.protocol", Text, Is("classic"), OneOfIgnoringCase(&["CONSUMER", "CLASSIC"]), Honoured),
    key("group.remote.assignor", Text, Null, Any, Ignored(Warning, "it belongs to group.protocol=consumer, which is not supported yet")),
    key("heartbeat.interval.ms", Int, Is("3000"), Any, Honoured),
    key("interceptor.classes", List, Is(""), Any, Ignored(Warning, "Java interceptors cannot run in this client")),
    key("internal.throw.on.fetch.stable.offset.unsupported", Bool, Is("false"), Any, Ignored(Harmless, "brokers older than 2.5 are not supported")),
    key("isolation.level", Text, Is("read_uncommitted"), OneOf(&["read_committed", "read_uncommitted"]), Honoured),
    key("key.deserializer", Class, Required, Any, Ignored(Harmless, "this client moves bytes; converters do what serializers do in Java")),
    key("max.partition.fetch.bytes", Int, Is("1048576"), AtLeast(0), Honoured),
    key("max.poll.interval.ms", Int, Is("300000"), AtLeast(1), Honoured),
    key("max.poll.records", Int, Is("500"), AtLeast(1), Honoured),
    key("partition.assignment.strategy", List, Is("org.apache.kafka.clients.consumer.RangeAssignor,org.apache.kafka.clients.consumer.CooperativeStickyAssignor"), Any, Honoured),
    key("receive.buffer.bytes", Int, Is("65536"), AtLeast(-1), Honoured),
    key("session.timeout.ms", Int, Is("45000"), Any, Honoured),
    key("share.acknowledgement.mode", Text, Is("implicit"), OneOf(&["implicit", "explicit"]), Ignored(Warning, "share groups are not supported")),
    key("share.acquire.mode", Text, Is("BATCH_OPTIMIZED"), OneOfIgnoringCase(&["batch_optimized", "record_limit"]), Ignored(Warning, "share groups are not supported")),
    key("value.deserializer", Class, Required, Any, Ignored(Harmless, "this client moves bytes; converters do what serializers do in Java")),
];

/// Admin client only, or with the admin client's default. Sorted by key.
#[rustfmt::skip]
static ADMIN: &[KeyDef] = &[
    key("bootstrap.controllers", List, Is(""), Any, Honoured),
    key("bootstrap.servers", List, Is(""), Any, Honoured),
    key("connections.max.idle.ms", Long, Is("300000"), Any, Honoured),
    key("default.api.timeout.ms", Int, Is("60000"), AtLeast(0), Honoured),
    key("enable.metrics.push", Bool, Is("false"), Any, Ignored(Harmless, "this client does not push metrics to brokers")),
    key("receive.buffer.bytes", Int, Is("65536"), AtLeast(-1), Honoured),
    key("retries", Int, Is("2147483647"), Between(0, 2147483647), Honoured),
];
