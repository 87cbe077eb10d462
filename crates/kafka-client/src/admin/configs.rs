//! Configs of topics, brokers and groups: describe, and change some without touching the others.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::{Admin, PerItem, Validate, outcome, text};
use crate::client::Target;
use crate::error::ClientError;

/// What has configs. Prints as `topic orders`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceType,
    /// Of a broker: its id, or empty for the default of all brokers.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

/// One config of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None` when it is sensitive, or not set and without default.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    Unknown,
    DynamicTopic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    DynamicBrokerLogger,
    ClientMetrics,
    Group,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfig {
    pub name: String,
    pub operation: ConfigOperation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(String),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes out of a list.
    Subtract(String),
}

impl ConfigResource {
    pub fn topic(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceType::Topic,
            name: name.into(),
        }
    }

    /// Only the broker itself knows its own configs.
    fn target(&self) -> Target<'static> {
        match (self.kind, self.name.parse()) {
            (ResourceType::Broker | ResourceType::BrokerLogger, Ok(id)) => Target::Broker(id),
            _ => Target::Any,
        }
    }
}

impl std::fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.noun(), self.name)
    }
}

impl ResourceType {
    fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::BrokerLogger => "logger of broker",
            Self::ClientMetrics => "client metrics",
            Self::Group => "group",
        }
    }
}

impl ConfigEntry {
    /// Nobody set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }

    fn from_response(entry: DescribeConfigsResourceResult) -> Self {
        Self {
            name: entry.name.to_string(),
            value: entry.value.map(|value| value.to_string()),
            source: ConfigSource::from_code(entry.config_source),
            is_sensitive: entry.is_sensitive,
            is_read_only: entry.read_only,
        }
    }
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::DynamicBrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

impl AlterConfig {
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            operation: ConfigOperation::Set(value.into()),
        }
    }

    fn alterable(&self) -> AlterableConfig {
        let (code, value) = match &self.operation {
            ConfigOperation::Set(value) => (0, Some(value)),
            ConfigOperation::Delete => (1, None),
            ConfigOperation::Append(value) => (2, Some(value)),
            ConfigOperation::Subtract(value) => (3, Some(value)),
        };
        AlterableConfig::default()
            .with_name(text(&self.name))
            .with_config_operation(code)
            .with_value(value.map(|value| text(value)))
    }
}

type Outcomes<T> = Vec<(ConfigResource, Result<T, ClientError>)>;

impl Admin {
    /// All configs of each resource, by name.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> PerItem<ConfigResource, BTreeMap<String, ConfigEntry>> {
        self.per_item("describe configs", resources.to_vec(), |_, resources| {
            self.describe_configs_once(resources)
        })
        .await
    }

    async fn describe_configs_once(
        &self,
        resources: Vec<ConfigResource>,
    ) -> Result<Outcomes<BTreeMap<String, ConfigEntry>>, ClientError> {
        let mut outcomes = Vec::new();
        for (target, resources) in by_target(resources) {
            let wanted = resources.iter().map(|resource| {
                DescribeConfigsResource::default()
                    .with_resource_type(resource.kind.code())
                    .with_resource_name(text(&resource.name))
                    .with_configuration_keys(None)
            });
            let request = DescribeConfigsRequest::default().with_resources(wanted.collect());
            let response = match self.client.request(target, &request).await {
                Ok(response) => response,
                Err(error) => {
                    outcomes.extend(
                        resources
                            .into_iter()
                            .map(|resource| (resource, Err(error.clone()))),
                    );
                    continue;
                }
            };
            for result in response.results {
                let Some(resource) = named(&resources, result.resource_type, &result.resource_name)
                else {
                    continue;
                };
                let described = outcome(result.error_code, result.error_message.as_ref())
                    .map_err(|error| about(error, "DescribeConfigs", resource))
                    .map(|()| {
                        let entries = result.configs.into_iter().map(ConfigEntry::from_response);
                        entries.map(|entry| (entry.name.clone(), entry)).collect()
                    });
                outcomes.push((resource.clone(), described));
            }
        }
        Ok(outcomes)
    }

    /// Changes the named configs and leaves the others as they are.
    pub async fn incremental_alter_configs(
        &self,
        changes: &BTreeMap<ConfigResource, Vec<AlterConfig>>,
        validate: Validate,
    ) -> PerItem<ConfigResource, ()> {
        let resources = changes.keys().cloned().collect();
        self.per_item("alter configs", resources, |_, resources| {
            self.alter_configs_once(changes, resources, validate)
        })
        .await
    }

    async fn alter_configs_once(
        &self,
        changes: &BTreeMap<ConfigResource, Vec<AlterConfig>>,
        resources: Vec<ConfigResource>,
        validate: Validate,
    ) -> Result<Outcomes<()>, ClientError> {
        let mut outcomes = Vec::new();
        for (target, resources) in by_target(resources) {
            let wanted = resources.iter().map(|resource| {
                let configs = changes[resource].iter().map(AlterConfig::alterable);
                AlterConfigsResource::default()
                    .with_resource_type(resource.kind.code())
                    .with_resource_name(text(&resource.name))
                    .with_configs(configs.collect())
            });
            let request = IncrementalAlterConfigsRequest::default()
                .with_resources(wanted.collect())
                .with_validate_only(validate == Validate::Only);
            let response = match self.client.request(target, &request).await {
                Ok(response) => response,
                Err(error) => {
                    outcomes.extend(
                        resources
                            .into_iter()
                            .map(|resource| (resource, Err(error.clone()))),
                    );
                    continue;
                }
            };
            for result in response.responses {
                let Some(resource) = named(&resources, result.resource_type, &result.resource_name)
                else {
                    continue;
                };
                let altered = outcome(result.error_code, result.error_message.as_ref())
                    .map_err(|error| about(error, "IncrementalAlterConfigs", resource));
                outcomes.push((resource.clone(), altered));
            }
        }
        Ok(outcomes)
    }
}

fn by_target(resources: Vec<ConfigResource>) -> Vec<(Target<'static>, Vec<ConfigResource>)> {
    let mut brokers: BTreeMap<i32, Vec<ConfigResource>> = BTreeMap::new();
    let mut others = Vec::new();
    for resource in resources.into_iter().collect::<BTreeSet<_>>() {
        match resource.target() {
            Target::Broker(id) => brokers.entry(id).or_default().push(resource),
            _ => others.push(resource),
        }
    }
    let brokers = brokers
        .into_iter()
        .map(|(id, resources)| (Target::Broker(id), resources));
    let others = (!others.is_empty()).then_some((Target::Any, others));
    brokers.chain(others).collect()
}

fn named<'a>(resources: &'a [ConfigResource], kind: i8, name: &str) -> Option<&'a ConfigResource> {
    resources
        .iter()
        .find(|resource| resource.kind.code() == kind && resource.name == name)
}

/// Unlike a producer, nobody waits here for an unknown topic to appear.
fn about(error: ClientError, api: &'static str, resource: &ConfigResource) -> ClientError {
    let error = match error.is(crate::error::KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
        true => error.into_fatal(),
        false => error,
    };
    error.with("api", api).with("resource", resource)
}
