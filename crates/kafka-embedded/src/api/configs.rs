//! Configurations of topics, and the empty ones of everything else: DescribeConfigs,
//! IncrementalAlterConfigs, ListConfigResources.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::partitions::UNKNOWN;
use super::{Call, Refused, each_once, refused, text};
use crate::broker::NODE_ID;
use crate::broker::topic_config::{BadConfig, Change, KEYS, Key, Kind, TopicOverrides};
use crate::config::Storage;

/// Kafka's `ConfigResource.Type`.
mod resource {
    pub(super) const TOPIC: i8 = 2;
    pub(super) const BROKER: i8 = 4;
    pub(super) const BROKER_LOGGER: i8 = 8;
    pub(super) const CLIENT_METRICS: i8 = 16;
    pub(super) const GROUP: i8 = 32;
}

/// Kafka's `ConfigSource`: set on the topic, at the start of the broker, or a default.
const DYNAMIC_TOPIC: i8 = 1;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

pub(super) fn source_of(overrides: &TopicOverrides, key: &Key) -> i8 {
    if overrides.is_set(key) {
        DYNAMIC_TOPIC
    } else {
        DEFAULT
    }
}

pub(super) fn describe_configs(
    call: &Call<'_>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let result = |asked: &DescribeConfigsResource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match described(call, asked, request.include_synonyms) {
            Ok(configs) => result.with_error_message(None).with_configs(configs),
            Err(refused) => result
                .with_error_code(refused.code)
                .with_error_message(text(refused.message)),
        }
    };
    let resources = each_once(request.resources, |asked| {
        (asked.resource_type, asked.resource_name.clone())
    });
    DescribeConfigsResponse::default().with_results(resources.iter().map(result).collect())
}

fn described(
    call: &Call<'_>,
    asked: &DescribeConfigsResource,
    include_synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let name = asked.resource_name.as_str();
    match asked.resource_type {
        resource::TOPIC => {}
        resource::BROKER | resource::BROKER_LOGGER => {
            return if name.is_empty() || asked.resource_type == resource::BROKER_LOGGER {
                Ok(Vec::new())
            } else if name == NODE_ID.to_string() {
                Ok(of_broker(call, asked))
            } else {
                let message = format!(
                    "Unexpected broker id, expected {NODE_ID} or empty string, but received {name}"
                );
                Err(refused(ResponseError::InvalidRequest, message))
            };
        }
        resource::CLIENT_METRICS | resource::GROUP => return Ok(Vec::new()),
        other => {
            let message = format!("Unsupported resource type: {other}");
            return Err(refused(ResponseError::InvalidRequest, message));
        }
    }
    let topic = call
        .broker
        .topic(name)
        .ok_or_else(|| refused(ResponseError::UnknownTopicOrPartition, UNKNOWN))?;
    let configured = topic.configured();
    let overrides = &configured.overrides;
    // Null and, for old clients, an empty list ask for all.
    let wanted = |key: &&Key| match &asked.configuration_keys {
        Some(names) if !names.is_empty() => names.iter().any(|name| name.as_str() == key.name),
        _ => true,
    };
    let described = |key: &Key| {
        let synonym = |value: &str, source: i8| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_static_str(key.name))
                .with_value(text(value))
                .with_source(source)
        };
        let mut synonyms = Vec::new();
        if include_synonyms {
            if overrides.is_set(key) {
                synonyms.push(synonym(overrides.get(key), DYNAMIC_TOPIC));
            }
            synonyms.push(synonym(key.default, DEFAULT));
        }
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(key.name))
            .with_value(text(overrides.get(key)))
            .with_config_source(source_of(overrides, key))
            .with_synonyms(synonyms)
            .with_config_type(key.kind as i8)
            .with_documentation(None)
    };
    Ok(KEYS.iter().filter(wanted).map(described).collect())
}

/// What this broker was told at its start, under Kafka's names. None of it can be changed.
fn of_broker(
    call: &Call<'_>,
    asked: &DescribeConfigsResource,
) -> Vec<DescribeConfigsResourceResult> {
    let config = &call.broker.config;
    let directory = match &config.storage {
        Storage::Directory(path) => path.display().to_string(),
        Storage::Memory => "memory".to_owned(),
    };
    let initial_delay_ms = config.initial_rebalance_delay.as_millis();
    let values = [
        (
            "auto.create.topics.enable",
            Kind::Boolean,
            config.auto_create_topics.to_string(),
        ),
        ("broker.id", Kind::Int, NODE_ID.to_string()),
        ("default.replication.factor", Kind::Int, "1".to_owned()),
        (
            "group.initial.rebalance.delay.ms",
            Kind::Int,
            initial_delay_ms.to_string(),
        ),
        ("log.dirs", Kind::Text, directory),
        (
            "num.partitions",
            Kind::Int,
            config.default_partitions.to_string(),
        ),
    ];
    let wanted = |name: &str| match &asked.configuration_keys {
        Some(names) if !names.is_empty() => names.iter().any(|wanted| wanted.as_str() == name),
        _ => true,
    };
    values
        .into_iter()
        .filter(|(name, ..)| wanted(name))
        .map(|(name, kind, value)| {
            DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_static_str(name))
                .with_value(text(value))
                .with_read_only(true)
                .with_config_source(STATIC_BROKER)
                .with_config_type(kind as i8)
                .with_documentation(None)
        })
        .collect()
}

pub(super) fn alter_configs(
    call: &Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let response = |asked: &AlterConfigsResource| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(asked.resource_type)
            .with_resource_name(asked.resource_name.clone());
        match alter(call, asked, request.validate_only) {
            Ok(()) => response.with_error_message(None),
            Err(refused) => response
                .with_error_code(refused.code)
                .with_error_message(text(refused.message)),
        }
    };
    let responses = request.resources.iter().map(response).collect();
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

fn alter(
    call: &Call<'_>,
    asked: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refused> {
    let invalid = |message: String| refused(ResponseError::InvalidRequest, message);
    if asked.resource_type != resource::TOPIC {
        return Err(invalid(format!(
            "only topics have configurations here, and the resource type is {}",
            asked.resource_type
        )));
    }
    let mut seen = HashSet::new();
    if !asked
        .configs
        .iter()
        .all(|config| seen.insert(config.name.as_str()))
    {
        return Err(invalid(format!(
            "Error due to duplicate config keys of {}",
            asked.resource_name.as_str()
        )));
    }
    let topic = call
        .broker
        .topic(asked.resource_name.as_str())
        .ok_or_else(|| refused(ResponseError::UnknownTopicOrPartition, UNKNOWN))?;
    let mut overrides = topic.configured().overrides.clone();
    for config in &asked.configs {
        let change = change_of(config).map_err(invalid)?;
        overrides
            .apply(config.name.as_str(), change)
            .map_err(|bad: BadConfig| refused(ResponseError::InvalidConfig, bad.to_string()))?;
    }
    if !validate_only {
        call.broker.configure(&topic, overrides);
    }
    Ok(())
}

/// `AlterConfigOp.OpType`.
fn change_of(config: &AlterableConfig) -> Result<Change<'_>, String> {
    let value = || match &config.value {
        Some(value) => Ok(value.as_str()),
        None => Err(format!(
            "Null value not supported for : {}",
            config.name.as_str()
        )),
    };
    match config.config_operation {
        0 => value().map(Change::Set),
        1 => Ok(Change::Delete),
        2 => value().map(Change::Append),
        3 => value().map(Change::Subtract),
        other => Err(format!("Unknown operations with op code {other}")),
    }
}

pub(super) fn list_config_resources(
    call: &Call<'_>,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    // Version 0 asks for client metrics, of which there are none.
    if call.version == 0 {
        return ListConfigResourcesResponse::default();
    }
    let known = [
        resource::TOPIC,
        resource::BROKER,
        resource::BROKER_LOGGER,
        resource::CLIENT_METRICS,
        resource::GROUP,
    ];
    if !request
        .resource_types
        .iter()
        .all(|asked| known.contains(asked))
    {
        return ListConfigResourcesResponse::default()
            .with_error_code(ResponseError::UnsupportedVersion.code());
    }
    let asked =
        |kind: i8| request.resource_types.is_empty() || request.resource_types.contains(&kind);
    let mut resources = Vec::new();
    let mut list = |kind: i8, name: StrBytes| {
        let resource = ConfigResource::default()
            .with_resource_name(name)
            .with_resource_type(kind);
        resources.push(resource);
    };
    if asked(resource::TOPIC) {
        for topic in call.broker.topics() {
            list(resource::TOPIC, topic.name.0.clone());
        }
    }
    for kind in [resource::BROKER, resource::BROKER_LOGGER] {
        if asked(kind) {
            list(kind, StrBytes::from_string(NODE_ID.to_string()));
        }
    }
    ListConfigResourcesResponse::default().with_config_resources(resources)
}
