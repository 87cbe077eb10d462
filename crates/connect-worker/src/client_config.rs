//! The settings of the Kafka clients that a connector's tasks use.
//!
//! Lives here: how built-in defaults, worker keys and connector overrides are layered, and which overrides
//! the worker's policy allows. Pure.
//! Lives elsewhere: what a client makes of the settings (`kafka_client::settings`).
//! Source: `Worker.baseProducerConfigs`, `baseConsumerConfigs`, `adminConfigs`;
//! `connector.client.config.override.policy` (KIP-458, KIP-1188).

use crate::config_providers::CONFIG_PROVIDERS;
use connect_config::Properties;

/// Prefix of producer settings in a worker's configuration.
pub const PRODUCER_PREFIX: &str = "producer.";
/// Prefix of consumer settings in a worker's configuration.
pub const CONSUMER_PREFIX: &str = "consumer.";
/// Prefix of admin client settings in a worker's configuration.
pub const ADMIN_PREFIX: &str = "admin.";
/// What a connector puts between such a prefix and the key.
pub const OVERRIDE_INFIX: &str = "override.";

const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";
const BOOTSTRAP_SERVERS_DEFAULT: &str = "localhost:9092";

/// Which client settings a connector may override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverridePolicy {
    All,
    None,
    /// Keys that say who the client is.
    Principal,
    Allowlist(Vec<String>),
}

const PRINCIPAL_KEYS: [&str; 3] = ["sasl.jaas.config", "sasl.mechanism", "security.protocol"];

impl OverridePolicy {
    /// By its name, a class name or an alias of it; `None` when there is no such policy.
    pub fn by_name(name: &str, allowlist: Vec<String>) -> Option<Self> {
        let simple = name.rsplit('.').next().unwrap_or(name);
        match simple
            .strip_suffix("ConnectorClientConfigOverridePolicy")
            .unwrap_or(simple)
        {
            "All" => Some(Self::All),
            "None" => Some(Self::None),
            "Principal" => Some(Self::Principal),
            "Allowlist" => Some(Self::Allowlist(allowlist)),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::All => "All",
            Self::None => "None",
            Self::Principal => "Principal",
            Self::Allowlist(_) => "Allowlist",
        }
    }

    fn allows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => PRINCIPAL_KEYS.contains(&key),
            Self::Allowlist(keys) => keys.iter().any(|allowed| allowed == key),
        }
    }

    /// The keys of a connector's configuration that override what may not be overridden, each with Java's
    /// message.
    pub fn refusals(&self, connector: &Properties) -> Vec<(String, String)> {
        let prefixes = [PRODUCER_PREFIX, CONSUMER_PREFIX, ADMIN_PREFIX];
        let overrides = prefixes.iter().flat_map(|prefix| {
            let prefix = format!("{prefix}{OVERRIDE_INFIX}");
            let keys = connector.originals_with_prefix(&prefix);
            keys.keys()
                .map(|key| (format!("{prefix}{key}"), key.to_string()))
                .collect::<Vec<_>>()
        });
        overrides
            .filter(|(_, key)| !self.allows(key))
            .map(|(full_key, key)| {
                let policy = self.name();
                let message =
                    format!("The '{policy}' policy does not allow '{key}' to be overridden in the connector configuration.");
                (full_key, message)
            })
            .collect()
    }
}

/// Settings of the producer of a source task.
pub fn source_task_producer(
    worker: &Properties,
    connector: &Properties,
    connector_name: &str,
    task: u32,
) -> Properties {
    let mut config = Properties::from_iter([
        (BOOTSTRAP_SERVERS, bootstrap_servers(worker)),
        // Whoever writes to a topic that cannot be reached should wait, not give up.
        ("max.block.ms", "9223372036854775807"),
        ("delivery.timeout.ms", "2147483647"),
        ("acks", "all"),
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "1"),
    ]);
    config.set(
        "client.id",
        format!("connector-producer-{connector_name}-{task}"),
    );
    config.merge(&worker.originals_with_prefix(PRODUCER_PREFIX));
    config.merge(&connector.originals_with_prefix("producer.override."));
    config
}

/// Settings of the consumer of a sink task.
pub fn sink_task_consumer(
    worker: &Properties,
    connector: &Properties,
    connector_name: &str,
    task: u32,
) -> Properties {
    let mut config = Properties::from_iter([
        (BOOTSTRAP_SERVERS, bootstrap_servers(worker)),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", "earliest"),
    ]);
    config.set("group.id", format!("connect-{connector_name}"));
    config.set(
        "client.id",
        format!("connector-consumer-{connector_name}-{task}"),
    );
    config.merge(&worker.originals_with_prefix(CONSUMER_PREFIX));
    config.merge(&connector.originals_with_prefix("consumer.override."));
    config
}

/// Settings of an admin client: all keys of the worker that are not another client's, then the worker's
/// admin keys, then the connector's.
pub fn admin(worker: &Properties, connector: &Properties, client_id: &str) -> Properties {
    let mut config = Properties::new();
    for (key, value) in worker.iter() {
        let of_a_client = [PRODUCER_PREFIX, CONSUMER_PREFIX, ADMIN_PREFIX]
            .iter()
            .any(|prefix| key.starts_with(prefix));
        // References are resolved by now.
        if !of_a_client && key != CONFIG_PROVIDERS.name() {
            config.set_nullable(key, value.map(str::to_string));
        }
    }
    config.set_if_absent(BOOTSTRAP_SERVERS, BOOTSTRAP_SERVERS_DEFAULT);
    config.set("client.id", client_id);
    config.merge(&worker.originals_with_prefix(ADMIN_PREFIX));
    config.merge(&connector.originals_with_prefix("admin.override."));
    config
}

fn bootstrap_servers(worker: &Properties) -> &str {
    worker
        .get(BOOTSTRAP_SERVERS)
        .unwrap_or(BOOTSTRAP_SERVERS_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(text: &str) -> Properties {
        Properties::from_text(text).unwrap()
    }

    #[test]
    fn later_layers_win() {
        let worker = props(
            "bootstrap.servers=b:1\nproducer.acks=1\nproducer.linger.ms=5\nconsumer.group.id=mine",
        );
        let connector =
            props("name=c\nproducer.override.acks=0\nconsumer.override.max.poll.records=7");
        let producer = source_task_producer(&worker, &connector, "c", 2);
        assert_eq!(producer.get("bootstrap.servers"), Some("b:1"));
        assert_eq!(producer.get("acks"), Some("0"));
        assert_eq!(producer.get("linger.ms"), Some("5"));
        assert_eq!(producer.get("client.id"), Some("connector-producer-c-2"));
        let consumer = sink_task_consumer(&worker, &connector, "c", 0);
        assert_eq!(consumer.get("group.id"), Some("mine"));
        assert_eq!(consumer.get("max.poll.records"), Some("7"));
        assert_eq!(consumer.get("acks"), None);
        let admin = admin(&worker, &connector, "id");
        assert_eq!(admin.get("bootstrap.servers"), Some("b:1"));
        assert_eq!(admin.get("producer.acks"), None);
    }

    #[track_caller]
    fn check_policy(name: &str, allowlist: &[&str], key: &str, expected: Option<&str>) {
        let policy =
            OverridePolicy::by_name(name, allowlist.iter().map(|key| key.to_string()).collect())
                .unwrap();
        let refusals = policy.refusals(&Properties::from_iter([(key, "x")]));
        assert_eq!(
            refusals.first().map(|(_, message)| message.as_str()),
            expected,
            "{name} {key}"
        );
    }

    #[test]
    fn policies() {
        let none = "The 'None' policy does not allow 'acks' to be overridden in the connector configuration.";
        check_policy("All", &[], "producer.override.acks", None);
        check_policy("None", &[], "producer.override.acks", Some(none));
        check_policy("None", &[], "producer.acks", None);
        check_policy("Principal", &[], "consumer.override.sasl.jaas.config", None);
        check_policy("Allowlist", &["acks"], "producer.override.acks", None);
        let java =
            "org.apache.kafka.connect.connector.policy.NoneConnectorClientConfigOverridePolicy";
        check_policy(java, &[], "producer.override.acks", Some(none));
        assert_eq!(OverridePolicy::by_name("Some", vec![]), None);
    }
}
