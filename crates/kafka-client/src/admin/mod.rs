//! Administration: topics, configs, offsets, groups, as Java's `Admin` does it.
//!
//! Lives here: [`Admin`], and the loop that repeats an operation for the items that failed for now.
//! Lives elsewhere: one file per family of operations; connections and routing (`crate::client`).
//! Never here: a decision of the caller's, such as whether an existing topic is an error.
//!
//! Every operation repeats what is retriable within `default.api.timeout.ms`. Operations on many
//! items answer per item, so that one bad item does not hide the others.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::client::{Client, CoordinatorKind};
use crate::dial::Dial;
use crate::error::{ClientError, KafkaErrorCode};
use crate::settings::AdminSettings;

mod cluster;
mod configs;
mod group_offsets;
mod groups;
mod partitions;
mod topics;
mod transactions;

pub use crate::offset::OffsetAndMetadata;
pub use cluster::ClusterDescription;
pub use configs::{
    AlterConfig, ConfigEntry, ConfigOperation, ConfigResource, ConfigSource, ResourceType,
};
pub use groups::{GroupDescription, GroupListing, GroupMember};
pub use partitions::{ListedOffset, OffsetSpec};
pub use topics::{CreatedTopic, NewPartitions, NewTopic, Replicas, Validate};

/// The outcome of an operation on many items.
pub type PerItem<K, T> = BTreeMap<K, Result<T, ClientError>>;

/// Administration of one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
    api_timeout: Duration,
    retries: u32,
}

impl Admin {
    /// Must be called inside a Tokio runtime. Connects to nothing yet.
    pub fn new(settings: AdminSettings, dial: Arc<dyn Dial>) -> Self {
        Self {
            api_timeout: settings.default_api_timeout,
            retries: settings.retries,
            client: Client::new(settings.connection, dial),
        }
    }

    /// Over plain TCP.
    pub fn connect(settings: AdminSettings) -> Self {
        Self {
            api_timeout: settings.default_api_timeout,
            retries: settings.retries,
            client: Client::connect(settings.connection),
        }
    }

    /// Shares the connections of a client.
    pub fn with_client(client: Client, api_timeout: Duration) -> Self {
        Self {
            client,
            api_timeout,
            retries: u32::MAX,
        }
    }

    /// The same, with another bound for each operation.
    pub fn with_api_timeout(&self, api_timeout: Duration) -> Self {
        Self {
            api_timeout,
            ..self.clone()
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// As in requests that tell the broker how long it may take.
    fn timeout_ms(&self) -> i32 {
        let timeout = self.client.settings().request_timeout.min(self.api_timeout);
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Repeats one operation that has no items.
    async fn whole<T, F, Fut>(&self, what: &str, attempt: F) -> Result<T, ClientError>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, ClientError>>,
    {
        self.client
            .retry_at_most(self.retries, what, self.api_timeout, attempt)
            .await
    }

    /// Calls `attempt` with the items that are not done yet, until all are, or the time is over.
    ///
    /// An item is done when its outcome is not retriable. An error of the attempt itself counts for
    /// every item of that attempt. An item that `attempt` says nothing about failed for good.
    async fn per_item<K, T, F, Fut>(
        &self,
        what: &str,
        items: Vec<K>,
        mut attempt: F,
    ) -> PerItem<K, T>
    where
        K: Ord + Clone,
        F: FnMut(u32, Vec<K>) -> Fut,
        Fut: Future<Output = Result<Vec<(K, Result<T, ClientError>)>, ClientError>>,
    {
        let backoff = self.client.retry_backoff();
        let deadline = Instant::now() + self.api_timeout;
        let mut done = BTreeMap::new();
        // What is left, with the reason of the last failure.
        let mut left: BTreeMap<K, Option<ClientError>> =
            items.into_iter().map(|item| (item, None)).collect();
        for number in 0.. {
            if left.is_empty() {
                return done;
            }
            let items: Vec<K> = left.keys().cloned().collect();
            let Ok(outcome) =
                tokio::time::timeout_at(deadline, attempt(number, items.clone())).await
            else {
                break;
            };
            let mut outcomes: BTreeMap<K, Result<T, ClientError>> = match outcome {
                Ok(outcomes) => outcomes.into_iter().collect(),
                Err(error) => items
                    .iter()
                    .cloned()
                    .map(|item| (item, Err(error.clone())))
                    .collect(),
            };
            let mut refresh = false;
            for item in items {
                let outcome = outcomes.remove(&item).unwrap_or_else(|| {
                    Err(ClientError::fatal(format!(
                        "the broker's answer to {what} leaves an item out"
                    )))
                });
                match outcome {
                    Err(error) if error.is_retriable() && number < self.retries => {
                        refresh |= error.needs_metadata_refresh()
                            || error.is(KafkaErrorCode::NOT_CONTROLLER);
                        left.insert(item, Some(error));
                    }
                    outcome => {
                        left.remove(&item);
                        done.insert(item, outcome);
                    }
                }
            }
            if refresh {
                self.client.request_metadata_refresh();
            }
            let next = Instant::now() + backoff.delay(number);
            if next >= deadline {
                break;
            }
            if !left.is_empty() {
                tokio::time::sleep_until(next).await;
            }
        }
        for (item, reason) in left {
            let error = ClientError::timed_out(what, self.api_timeout);
            let error = match reason {
                Some(reason) => error.caused_by(reason),
                None => error,
            };
            done.insert(item, Err(error));
        }
        done
    }

    /// Groups keys by the broker that coordinates them. A key whose coordinator cannot be found goes
    /// into the second list.
    async fn by_coordinator<T>(
        &self,
        kind: CoordinatorKind,
        keys: Vec<String>,
    ) -> (
        BTreeMap<i32, Vec<String>>,
        Vec<(String, Result<T, ClientError>)>,
    ) {
        let mut brokers: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        let mut failed = Vec::new();
        for key in keys {
            match self.client.coordinator(kind, &key).await {
                Ok(broker) => brokers.entry(broker).or_default().push(key),
                Err(error) => failed.push((key, Err(error))),
            }
        }
        (brokers, failed)
    }

    /// Forgets a coordinator when an error says that it moved or cannot be reached.
    fn doubt_coordinator(&self, kind: CoordinatorKind, key: &str, error: &ClientError) {
        let moved = error.is(KafkaErrorCode::NOT_COORDINATOR)
            || error.is(KafkaErrorCode::COORDINATOR_NOT_AVAILABLE);
        if moved || error.is_disconnect() || error.is_timeout() {
            self.client.invalidate_coordinator(kind, key);
        }
    }
}

/// `Ok` for code 0, else the error with the broker's message when it sent one.
fn outcome(code: i16, message: Option<&StrBytes>) -> Result<(), ClientError> {
    KafkaErrorCode::check(code)
        .map_err(|code| ClientError::from_code_and_message(code, message.map(StrBytes::as_str)))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
