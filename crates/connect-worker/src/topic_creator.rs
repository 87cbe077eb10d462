//! Creates the topics that a source task is about to write to.
//!
//! Lives here: asking the broker for a topic, creating it, Java's log lines and errors.
//! Lives elsewhere: what the topic is to be (`topic_creation`), which topics a task knows (`source_task`).
//! Never here: the record path. A task comes here once for each topic.
//! Source: `AbstractWorkerSourceTask.maybeCreateTopic`, `TopicAdmin` of Apache Kafka 4.3.

use crate::client_config;
use crate::topic_creation::TopicCreation;
use crate::worker::WorkerParts;
use connect_api::{ConnectError, Result};
use connect_config::{ConfigErrors, Properties};
use kafka_client::admin::Validate;
use kafka_client::error::{ClientError, KafkaErrorCode};
use kafka_client::settings::{self, AdminSettings, ClientKind, Parsed};
use kafka_client::{Admin, Client};
use std::time::Duration;
use tracing::{debug, info, warn};

/// Creates topics for one task.
pub struct TopicCreator {
    creation: TopicCreation,
    client: Client,
    api_timeout: Duration,
    /// For messages.
    servers: String,
}

/// Checks the properties of an admin client. Keys of the worker that are not for clients do not count.
pub fn admin_settings(
    worker: &Properties,
    connector: &Properties,
    client_id: &str,
) -> Result<Parsed<AdminSettings>, ConfigErrors> {
    let config = client_config::admin(worker, connector, client_id);
    let (of_worker, of_connector) = (
        worker.originals_with_prefix(client_config::ADMIN_PREFIX),
        connector.originals_with_prefix("admin.override."),
    );
    let is_meant = |key: &str| {
        of_worker.contains_key(key)
            || of_connector.contains_key(key)
            || settings::knows(ClientKind::Admin, key)
    };
    let properties = config
        .iter()
        .filter(|(key, _)| is_meant(key))
        .filter_map(|(key, value)| Some((key.to_string(), value?.to_string())));
    AdminSettings::parse(properties)
        .map_err(|errors| crate::worker::client_errors("admin.override.", errors))
}

impl TopicCreator {
    /// Connects to nothing yet.
    ///
    /// Fails: when properties of the admin client are wrong.
    pub fn new(
        creation: TopicCreation,
        worker: &WorkerParts,
        connector: &Properties,
        client_id: &str,
    ) -> Result<Self> {
        let parsed = admin_settings(&worker.config.originals, connector, client_id)?;
        crate::worker::warn_of_ignored(&parsed.ignored, "admin");
        let settings = parsed.settings;
        let servers = worker.config.originals.get("bootstrap.servers");
        Ok(Self {
            creation,
            api_timeout: settings.default_api_timeout,
            client: (worker.connect)(settings.connection),
            servers: servers.unwrap_or("localhost:9092").to_string(),
        })
    }

    /// Returns when the topic is there: it was, or it has been created.
    ///
    /// Fails: when it can be neither found nor created. The task has to be restarted then.
    pub async fn ensure(&self, topic: &str) -> Result<()> {
        info!(
            "The task will send records to topic '{topic}' for the first time. Checking whether topic exists"
        );
        let admin = Admin::with_client(self.client.clone(), self.api_timeout);
        let described = admin.describe_topics(&[topic]).await.remove(topic);
        match described.unwrap_or_else(|| Err(unanswered("describe topics"))) {
            Ok(_) => {
                info!("Topic '{topic}' already exists.");
                return Ok(());
            }
            Err(error) if error.is(KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {}
            Err(error) => {
                return Err(
                    ConnectError::fatal(not_described(topic, &self.servers, &error))
                        .caused_by(error),
                );
            }
        }
        info!("Creating topic '{topic}'");
        let group = self.creation.group_of(topic);
        debug!("Topic '{topic}' matched topic creation group: {group}");
        let new_topic = group.new_topic(topic);
        let shown = group.described(topic);
        let created = admin.create_topics(&[new_topic], Validate::AndApply).await;
        let created = created.into_values().next();
        match created.unwrap_or_else(|| Err(unanswered("create topics"))) {
            Ok(_) => {
                info!("Created topic '{shown}' using creation group {group}");
                Ok(())
            }
            Err(error) if error.is(KafkaErrorCode::TOPIC_ALREADY_EXISTS) => {
                info!("Found existing topic '{shown}'");
                Ok(())
            }
            Err(error) => {
                warn!("Request to create new topic '{topic}' failed");
                Err(ConnectError::fatal(not_created(topic, &shown, &error)).caused_by(error))
            }
        }
    }
}

fn unanswered(what: &str) -> ClientError {
    ClientError::fatal(format!("the broker's answer to {what} is empty"))
}

fn not_described(topic: &str, servers: &str, error: &ClientError) -> String {
    use KafkaErrorCode as Code;
    if error.is(Code::TOPIC_AUTHORIZATION_FAILED) || error.is(Code::CLUSTER_AUTHORIZATION_FAILED) {
        format!("Not authorized to describe topic(s) '{topic}' on the brokers {servers}")
    } else if error.is_timeout() {
        format!("Timed out while describing topics '{topic}'")
    } else {
        format!("Error while attempting to describe topics '{topic}'")
    }
}

fn not_created(topic: &str, shown: &str, error: &ClientError) -> String {
    use KafkaErrorCode as Code;
    let refused = [
        Code::TOPIC_AUTHORIZATION_FAILED,
        Code::CLUSTER_AUTHORIZATION_FAILED,
        Code::UNSUPPORTED_VERSION,
    ];
    if refused.into_iter().any(|code| error.is(code)) {
        format!(
            "Task failed to create new topic {shown}. Ensure that the task is authorized to create topics or that the \
             topic exists and restart the task"
        )
    } else if error.is(Code::INVALID_CONFIG) {
        format!("Unable to create topic(s) '{topic}'")
    } else if error.is_timeout() {
        format!(
            "Timed out while checking for or creating topic(s) '{topic}'. This could indicate a connectivity issue, \
             unavailable topic partitions, or if this is your first use of the topic it may have taken too long to \
             create."
        )
    } else {
        format!("Error while attempting to create/find topic(s) '{topic}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_said_as_in_java() {
        use KafkaErrorCode as Code;
        for (code, describing, creating) in [
            (
                Code::TOPIC_AUTHORIZATION_FAILED,
                "Not authorized to describe topic(s) 't' on the brokers b:1",
                "Task failed to create new topic (t). Ensure that the task is authorized to create topics or that the \
                 topic exists and restart the task",
            ),
            (
                Code::REQUEST_TIMED_OUT,
                "Timed out while describing topics 't'",
                "Timed out while checking for or creating topic(s) 't'. This could indicate a connectivity issue, \
                 unavailable topic partitions, or if this is your first use of the topic it may have taken too long \
                 to create.",
            ),
            (
                Code::INVALID_CONFIG,
                "Error while attempting to describe topics 't'",
                "Unable to create topic(s) 't'",
            ),
            (
                Code::INVALID_REPLICATION_FACTOR,
                "Error while attempting to describe topics 't'",
                "Error while attempting to create/find topic(s) 't'",
            ),
        ] {
            let error = ClientError::from_code(code);
            assert_eq!(not_described("t", "b:1", &error), describing);
            assert_eq!(not_created("t", "(t)", &error), creating);
        }
    }

    #[test]
    fn the_admin_client_has_keys_of_worker_and_connector() {
        let props = |text: &str| Properties::from_text(text).unwrap();
        let worker = props(
            "bootstrap.servers=b:1\nkey.converter=x\nconfig.providers=file\nadmin.request.timeout.ms=7\nadmin.typo=1",
        );
        let connector = props("admin.override.default.api.timeout.ms=8000");
        let parsed = admin_settings(&worker, &connector, "id").unwrap();
        assert_eq!(
            parsed.settings.default_api_timeout,
            Duration::from_millis(8000)
        );
        let ignored: Vec<String> = parsed.ignored.iter().map(ToString::to_string).collect();
        assert!(ignored.iter().any(|it| it.contains("typo")), "{ignored:?}");
        assert!(
            !ignored.iter().any(|it| it.contains("config.providers")),
            "{ignored:?}"
        );
        let wrong = props("admin.override.request.timeout.ms=soon");
        let errors = admin_settings(&worker, &wrong, "id").unwrap_err();
        assert_eq!(errors.for_key("admin.override.request.timeout.ms").len(), 1);
    }
}
