//! Properties in, settings or Java's messages out. Messages were taken from Apache Kafka 4.3.1.

use super::keys::KeyDef;
use super::*;

/// Pairs beside a valid `bootstrap.servers`, which a pair may replace; `-` as value removes it.
fn with_servers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut map = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned())]);
    for (key, value) in pairs {
        match *value {
            "-" => _ = map.remove(*key),
            value => _ = map.insert((*key).to_owned(), value.to_owned()),
        }
    }
    map.into_iter().collect()
}

fn outcome(kind: ClientKind, pairs: &[(&str, &str)]) -> String {
    fn printed<S>(parsed: Result<Parsed<S>, SettingsErrors>) -> String {
        match parsed {
            Ok(parsed) => {
                let ignored: Vec<String> = parsed.ignored.iter().map(Ignored::to_string).collect();
                ignored.join("; ")
            }
            Err(errors) => format!("error: {errors}"),
        }
    }
    let pairs = with_servers(pairs);
    match kind {
        ClientKind::Producer => printed(ProducerSettings::parse(pairs)),
        ClientKind::Consumer => printed(ConsumerSettings::parse(pairs)),
        ClientKind::Admin => printed(AdminSettings::parse(pairs)),
    }
}

/// A row: the pairs, and what is said about them; empty when all is well.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str);

#[track_caller]
fn check(kind: ClientKind, rows: &[Row<'_>]) {
    for (pairs, expected) in rows {
        assert_eq!(outcome(kind, pairs), *expected, "{pairs:?}");
    }
}

#[test]
fn tables_have_every_key_of_java_with_its_type_and_default() {
    let golden = include_str!("java-4.3.1.txt");
    let mut expected = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('|').collect();
        let [client, name, kind, default] = fields[..] else {
            panic!("{line}");
        };
        let client = match client {
            "producer" => ClientKind::Producer,
            "consumer" => ClientKind::Consumer,
            _ => ClientKind::Admin,
        };
        let known: &KeyDef =
            keys::find(client, name).unwrap_or_else(|| panic!("{name} is missing"));
        let java_type = match known.kind {
            value::Type::Bool => "BOOLEAN",
            value::Type::Short => "SHORT",
            value::Type::Int => "INT",
            value::Type::Long => "LONG",
            value::Type::Double => "DOUBLE",
            value::Type::Text => "STRING",
            value::Type::List => "LIST",
            value::Type::Class => "CLASS",
            value::Type::Password => "PASSWORD",
        };
        assert_eq!(java_type, kind, "{name}");
        let ours = match known.default_value() {
            Value::None if known.is_default_required() => "<REQUIRED>".to_owned(),
            Value::None => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::Double(value) => value.to_string(),
            Value::Text(value) => value,
            Value::List(value) => format!("[{}]", value.join(", ")),
        };
        assert_eq!(ours, default.replace("class ", ""), "{name}");
        expected += 1;
    }
    let kinds = [
        ClientKind::Producer,
        ClientKind::Consumer,
        ClientKind::Admin,
    ];
    let actual: usize = kinds.into_iter().map(|kind| keys::all(kind).count()).sum();
    assert_eq!(actual, expected, "keys that Java does not have");
}

#[test]
fn values_are_refused_in_javas_words() {
    check(
        ClientKind::Producer,
        &[
            (
                &[("bootstrap.servers", "-")],
                "error: Missing required configuration \"bootstrap.servers\" which has no default value.",
            ),
            (
                &[("bootstrap.servers", "")],
                "error: Configuration 'bootstrap.servers' must not be empty. Valid values include: any non-empty value",
            ),
            (
                &[("bootstrap.servers", "localhost")],
                "error: Invalid url in bootstrap.servers: localhost",
            ),
            (
                &[("bootstrap.servers", "localhost:99999")],
                "error: Invalid port in bootstrap.servers: localhost:99999",
            ),
            (
                &[("bootstrap.servers", "127.0.0.1:1,")],
                "error: Configuration 'bootstrap.servers' values must not be empty.",
            ),
            (
                &[("bootstrap.servers", "PLAINTEXT://a:1, [::1]:9092,::1:9092")],
                "",
            ),
            (
                &[("batch.size", "abc")],
                "error: Invalid value abc for configuration batch.size: Not a number of type INT",
            ),
            (
                &[("linger.ms", "1.5")],
                "error: Invalid value 1.5 for configuration linger.ms: Not a number of type LONG",
            ),
            (
                &[("batch.size", "-1")],
                "error: Invalid value -1 for configuration batch.size: Value must be at least 0",
            ),
            (&[("batch.size", " 100 ")], ""),
            (
                &[("acks", "2")],
                "error: Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1",
            ),
            (
                &[("enable.idempotence", "maybe")],
                "error: Invalid value maybe for configuration enable.idempotence: Expected value to be either true or false",
            ),
            (&[("enable.idempotence", "TRUE")], ""),
            (
                &[("compression.type", "GZIP")],
                "error: Invalid value GZIP for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd",
            ),
            (
                &[
                    ("compression.type", "gzip"),
                    ("compression.gzip.level", "10"),
                ],
                "error: Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
            ),
            (
                &[("compression.type", "lz4"), ("compression.lz4.level", "99")],
                "error: Invalid value 99 for configuration compression.lz4.level: Value must be no more than 17",
            ),
            (
                &[("transactional.id", "")],
                "error: Invalid value  for configuration transactional.id: String must be non-empty",
            ),
            (
                &[("security.protocol", "FOO")],
                "error: Invalid value FOO for configuration security.protocol: String must be one of (case insensitive): SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT",
            ),
            (
                &[("metadata.max.idle.ms", "1")],
                "error: Invalid value 1 for configuration metadata.max.idle.ms: Value must be at least 5000",
            ),
            (
                &[("retries", "3000000000")],
                "error: Invalid value 3000000000 for configuration retries: Not a number of type INT",
            ),
            (
                &[("request.timeout.ms", "")],
                "error: Invalid value  for configuration request.timeout.ms: Not a number of type INT",
            ),
            (
                &[("sasl.login.refresh.window.factor", "2")],
                "error: Invalid value 2.0 for configuration sasl.login.refresh.window.factor: Value must be no more than 1.0",
            ),
        ],
    );
}

#[test]
fn producer_keys_that_contradict_each_other() {
    check(
        ClientKind::Producer,
        &[
            (&[("acks", "1")], ""),
            (
                &[("acks", "1"), ("enable.idempotence", "true")],
                "error: Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
            ),
            (
                &[("transactional.id", "x")],
                "error: transactional.id=x is not supported yet: this producer is idempotent, but has no transactions; leave it out",
            ),
            (
                &[("retries", "0"), ("enable.idempotence", "true")],
                "error: Must set retries to non-zero when using the idempotent producer.",
            ),
            (
                &[("max.in.flight.requests.per.connection", "6")],
                "error: To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current value is 6.",
            ),
            (
                &[
                    ("max.in.flight.requests.per.connection", "6"),
                    ("enable.idempotence", "false"),
                ],
                "",
            ),
            (
                &[("delivery.timeout.ms", "10")],
                "error: delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
            ),
            (&[("linger.ms", "200000")], ""),
            (
                &[("transaction.two.phase.commit.enable", "true")],
                "error: transaction.two.phase.commit.enable=true is not supported by this client",
            ),
            (
                &[(
                    "partitioner.class",
                    "org.apache.kafka.clients.producer.RoundRobinPartitioner",
                )],
                "",
            ),
            (
                &[("partitioner.class", "a.B")],
                "error: Invalid value a.B for configuration partitioner.class: Class a.B could not be found. This client has the default partitioner (leave partitioner.class out) and RoundRobinPartitioner.",
            ),
        ],
    );
}

#[test]
fn consumer_keys_that_contradict_each_other() {
    let group = ("group.id", "g");
    check(
        ClientKind::Consumer,
        &[
            (&[], ""),
            (
                &[("group.id", "")],
                "error: The configured group.id should not be an empty string or whitespace.",
            ),
            (
                &[("enable.auto.commit", "true")],
                "error: enable.auto.commit cannot be set to true when default group id (null) is used.",
            ),
            (
                &[group, ("heartbeat.interval.ms", "50000")],
                "error: Heartbeat must be set lower than the session timeout",
            ),
            (
                &[group, ("auto.offset.reset", "LATEST")],
                "error: Invalid value LATEST for configuration auto.offset.reset: Invalid value `LATEST` for configuration auto.offset.reset. The value must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'.",
            ),
            (&[group, ("auto.offset.reset", "by_duration:PT1H")], ""),
            (
                &[group, ("auto.offset.reset", "by_duration:-PT1H")],
                "error: Invalid value by_duration:-PT1H for configuration auto.offset.reset: Invalid value `by_duration:-PT1H` for configuration auto.offset.reset. The value must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'.",
            ),
            (
                &[group, ("isolation.level", "x")],
                "error: Invalid value x for configuration isolation.level: String must be one of: read_committed, read_uncommitted",
            ),
            (
                &[group, ("partition.assignment.strategy", "x.Y")],
                "error: Invalid value x.Y for configuration partition.assignment.strategy: Class x.Y could not be found. This client has RangeAssignor, RoundRobinAssignor, StickyAssignor and CooperativeStickyAssignor.",
            ),
            (
                &[group, ("partition.assignment.strategy", "")],
                "error: Must configure at least one partition assigner class name to partition.assignment.strategy configuration property",
            ),
            (
                &[
                    group,
                    (
                        "partition.assignment.strategy",
                        "sticky, org.apache.kafka.clients.consumer.RangeAssignor",
                    ),
                ],
                "",
            ),
            (
                &[group, ("group.protocol", "x")],
                "error: Invalid value x for configuration group.protocol: String must be one of (case insensitive): CONSUMER, CLASSIC",
            ),
            (
                &[group, ("group.protocol", "Consumer")],
                "error: group.protocol=CONSUMER is not supported yet; leave it out or set it to classic",
            ),
            (&[group, ("group.protocol", "CLASSIC")], ""),
            (
                &[group, ("group.instance.id", "")],
                "error: Invalid value  for configuration group.instance.id: String must be non-empty",
            ),
            (
                &[group, ("max.poll.records", "0")],
                "error: Invalid value 0 for configuration max.poll.records: Value must be at least 1",
            ),
        ],
    );
}

#[test]
fn admin_keys_that_contradict_each_other() {
    check(
        ClientKind::Admin,
        &[
            (&[], ""),
            (
                &[("bootstrap.servers", "-")],
                "error: You must set either bootstrap.servers or bootstrap.controllers",
            ),
            (
                &[("bootstrap.controllers", "a:1")],
                "error: You cannot set both bootstrap.servers and bootstrap.controllers",
            ),
            (
                &[("default.api.timeout.ms", "10")],
                "error: The specified value of default.api.timeout.ms must be no smaller than the value of request.timeout.ms.",
            ),
            (
                &[
                    ("default.api.timeout.ms", "10"),
                    ("request.timeout.ms", "5"),
                ],
                "",
            ),
        ],
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let pairs = with_servers(&[
        ("acks", "2"),
        ("batch.size", "x"),
        ("bootstrap.servers", "nonsense"),
    ]);
    let errors = ProducerSettings::parse(pairs).expect_err("three errors");
    let keys: Vec<&str> = errors.0.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["acks", "batch.size", "bootstrap.servers"]);
}

#[test]
fn what_has_no_effect_is_named_with_the_reason() {
    check(
        ClientKind::Producer,
        &[
            (
                &[("key.serializer", "a.B")],
                "key.serializer is ignored: this client moves bytes; converters do what serializers do in Java",
            ),
            (
                &[("interceptor.classes", "a.B")],
                "interceptor.classes is ignored: Java interceptors cannot run in this client",
            ),
            (
                &[("btach.size", "1")],
                "btach.size is ignored: there is no such property; did you mean batch.size?",
            ),
            (
                &[("completely.different", "1")],
                "completely.different is ignored: there is no such property",
            ),
            (
                &[("group.id", "g")],
                "group.id is ignored: it is a property of the consumer, not of the producer",
            ),
            (
                &[("ssl.truststore.location", "/x")],
                "ssl.truststore.location is ignored: it has no effect with security.protocol=PLAINTEXT",
            ),
            (
                &[("transaction.timeout.ms", "1000")],
                "transaction.timeout.ms is ignored: there is no transactional.id",
            ),
            (
                &[("metadata.max.idle.ms", "60000")],
                "metadata.max.idle.ms is ignored: a topic that was produced to stays in the metadata as long as the producer lives",
            ),
            (
                &[("partitioner.adaptive.partitioning.enable", "true")],
                "partitioner.adaptive.partitioning.enable is ignored: records without a key go to partitions at random, whatever the load of their brokers",
            ),
            (
                &[
                    ("partitioner.adaptive.partitioning.enable", "false"),
                    ("partitioner.availability.timeout.ms", "0"),
                ],
                "",
            ),
            (
                &[("partitioner.availability.timeout.ms", "100")],
                "partitioner.availability.timeout.ms is ignored: records without a key go to partitions at random, whatever the load of their brokers",
            ),
            (
                &[("compression.zstd.level", "3")],
                "compression.zstd.level is ignored: compression.type is none",
            ),
            (
                &[
                    ("compression.type", "zstd"),
                    ("compression.zstd.level", "3"),
                ],
                "",
            ),
            (
                &[(
                    "client.dns.lookup",
                    "resolve_canonical_bootstrap_servers_only",
                )],
                "client.dns.lookup is ignored: names are not turned into canonical names, which matters for Kerberos only; all addresses of a name are tried",
            ),
        ],
    );
}

#[test]
fn secrets_are_never_printed() {
    let secrets = [
        (
            "sasl.jaas.config",
            "org.Login required password=\"s3cret\";",
        ),
        ("ssl.key.password", "s3cret"),
        ("ssl.keystore.key", "s3cret"),
        ("ssl.truststore.password", "s3cret"),
    ];
    for protocol in ["PLAINTEXT", "SASL_SSL"] {
        let mut pairs = with_servers(&secrets);
        pairs.push(("security.protocol".to_owned(), protocol.to_owned()));
        let printed = format!("{:?}", ProducerSettings::parse(pairs));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn defaults_are_javas() {
    let producer = ProducerSettings::parse(with_servers(&[]))
        .expect("valid")
        .settings;
    assert_eq!(
        (producer.acks, producer.enable_idempotence),
        (Acks::All, true)
    );
    assert_eq!(
        (producer.linger.as_millis(), producer.batch_size_bytes),
        (5, 16_384)
    );
    assert_eq!(producer.delivery_timeout.as_millis(), 120_000);
    assert!(
        producer.connection.client_id.starts_with("producer-"),
        "{}",
        producer.connection.client_id
    );

    let consumer = ConsumerSettings::parse(with_servers(&[("group.id", "g")]))
        .expect("valid")
        .settings;
    assert_eq!(
        consumer.assignors,
        [Assignor::Range, Assignor::CooperativeSticky]
    );
    assert_eq!(
        (consumer.enable_auto_commit, consumer.auto_offset_reset),
        (true, AutoOffsetReset::Latest)
    );
    assert_eq!(
        (consumer.fetch_max_bytes, consumer.max_partition_fetch_bytes),
        (52_428_800, 1_048_576)
    );
    assert!(consumer.connection.client_id.starts_with("consumer-g-"));
    assert!(
        !ConsumerSettings::parse(with_servers(&[]))
            .expect("valid")
            .settings
            .enable_auto_commit
    );

    let admin = AdminSettings::parse(with_servers(&[]))
        .expect("valid")
        .settings;
    assert_eq!(
        admin.connection.connections_max_idle,
        Some(Duration::from_secs(300))
    );
    assert_eq!(admin.default_api_timeout, Duration::from_secs(60));
}

#[test]
fn values_that_depend_on_others() {
    let producer = |pairs| {
        ProducerSettings::parse(with_servers(pairs))
            .expect("valid")
            .settings
    };
    assert!(!producer(&[("acks", "1")]).enable_idempotence);
    assert_eq!(
        producer(&[("linger.ms", "200000")])
            .delivery_timeout
            .as_millis(),
        230_000
    );
    let backoff = producer(&[("reconnect.backoff.ms", "5000")]).connection;
    assert_eq!(
        (
            backoff.reconnect_backoff.as_millis(),
            backoff.reconnect_backoff_max.as_millis()
        ),
        (5000, 5000)
    );
    assert_eq!(
        producer(&[("send.buffer.bytes", "-1")])
            .connection
            .send_buffer_bytes,
        None
    );
    assert_eq!(
        producer(&[("send.buffer.bytes", "1000")])
            .connection
            .send_buffer_bytes,
        Some(1000)
    );
    assert_eq!(
        producer(&[("connections.max.idle.ms", "-1")])
            .connection
            .connections_max_idle,
        None
    );

    let reset = |value| {
        let pairs = with_servers(&[("auto.offset.reset", value)]);
        ConsumerSettings::parse(pairs)
            .expect("valid")
            .settings
            .auto_offset_reset
    };
    let rows = [
        ("earliest", AutoOffsetReset::Earliest),
        ("none", AutoOffsetReset::None),
        (
            "by_duration:P1D",
            AutoOffsetReset::ByDuration(Duration::from_secs(86_400)),
        ),
        (
            "by_duration:P1DT2H3M4.5S",
            AutoOffsetReset::ByDuration(Duration::from_millis(93_784_500)),
        ),
        (
            "by_duration:PT0S",
            AutoOffsetReset::ByDuration(Duration::ZERO),
        ),
    ];
    for (value, expected) in rows {
        assert_eq!(reset(value), expected, "{value}");
    }
}
