//! Configs of topics: described, altered, their defaults.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::client::Client;
use super::wire::text;
use super::{Part, Target, one_of, same, unique};

const TOPIC: i8 = 2;
/// `config_source` of what was set on the topic, and of what nobody set.
const SET: i8 = 1;
const DEFAULT: i8 = 5;

/// Kafka 4.3.1's defaults of a topic's configs.
const DEFAULTS: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("delete.retention.ms", "86400000"),
    ("file.delete.delay.ms", "60000"),
    ("flush.ms", "9223372036854775807"),
    ("index.interval.bytes", "4096"),
    ("max.compaction.lag.ms", "9223372036854775807"),
    ("max.message.bytes", "1048588"),
    ("message.timestamp.type", "CreateTime"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.insync.replicas", "1"),
    ("preallocate", "false"),
    ("retention.bytes", "-1"),
    ("retention.ms", "604800000"),
    ("segment.ms", "604800000"),
    ("unclean.leader.election.enable", "false"),
];

/// What a broker's own properties may have set: then the value is the broker's, not Kafka's.
const BROKER_SOURCES: [i8; 4] = [2, 3, 4, DEFAULT];

pub fn part() -> Part {
    Part::new("configs")
        .check("source 1 when set, 5 when default", sources)
        .check("describe an unknown topic: 3", describe_unknown)
        .check("an unknown key gives no entry", unknown_key)
        .check("asking for one key gives one", one_key)
        .check("the defaults of 4.3.1", defaults)
        .check("alter: SET", |target| {
            alter_to(target, 0, "retention.ms", "5000", "5000")
        })
        .check("alter: DELETE", delete)
        .check("alter: APPEND", |target| {
            alter_to(target, 2, "cleanup.policy", "compact", "delete,compact")
        })
        .check("alter: SUBTRACT", subtract)
        .check(
            "alter with a bad value or an unknown key: 40",
            bad_alterations,
        )
        .check("alter an unknown topic: 3", alter_unknown)
}

async fn describe(
    client: &mut Client,
    topic: &str,
    keys: Option<&[&str]>,
) -> Result<DescribeConfigsResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(*key)).collect()));
    let answer = client
        .ask(&DescribeConfigsRequest::default().with_resources(vec![resource]))
        .await?;
    answer
        .results
        .into_iter()
        .next()
        .context("no resource in the answer")
}

/// Value and source of each key.
pub async fn topic_configs(
    client: &mut Client,
    topic: &str,
    keys: Option<&[&str]>,
) -> Result<BTreeMap<String, (String, i8)>> {
    let result = describe(client, topic, keys).await?;
    same(format!("describe configs of {topic}"), result.error_code, 0)?;
    Ok(result
        .configs
        .into_iter()
        .map(|config| {
            let value = config
                .value
                .map(|value| value.to_string())
                .unwrap_or_default();
            (config.name.to_string(), (value, config.config_source))
        })
        .collect())
}

async fn alter(
    client: &mut Client,
    topic: &str,
    operation: i8,
    key: &str,
    value: Option<&str>,
) -> Result<i16> {
    let config = AlterableConfig::default()
        .with_name(text(key))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(topic))
        .with_configs(vec![config]);
    let answer = client
        .ask(&IncrementalAlterConfigsRequest::default().with_resources(vec![resource]))
        .await?;
    Ok(answer
        .responses
        .first()
        .context("no resource in the answer")?
        .error_code)
}

/// Waits until a topic's key has this value and source: a broker applies alterations a moment after
/// it answers.
async fn expect_config(
    client: &mut Client,
    topic: &str,
    key: &str,
    value: &str,
    source: i8,
) -> Result<()> {
    super::until(
        format!("{key} of {topic} is {value} from source {source}"),
        async || {
            let found = topic_configs(client, topic, Some(&[key])).await?;
            Ok(match found.get(key) {
                Some((found, at)) if found == value && *at == source => Ok(()),
                other => Err(format!("{other:?}")),
            })
        },
    )
    .await
}

async fn sources(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic_with(1, &[("retention.ms", "777")]).await?;
    let found = topic_configs(&mut client, &topic, None).await?;
    same(
        "retention.ms",
        found.get("retention.ms"),
        Some(&("777".to_owned(), SET)),
    )?;
    same(
        "delete.retention.ms",
        found.get("delete.retention.ms"),
        Some(&("86400000".to_owned(), DEFAULT)),
    )
}

async fn describe_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "error",
        describe(&mut client, &unique("unknown"), None)
            .await?
            .error_code,
        3,
    )
}

async fn unknown_key(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let found = topic_configs(&mut client, &topic, Some(&["no.such.key"])).await?;
    same("entries", found.len(), 0)
}

async fn one_key(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let found = topic_configs(&mut client, &topic, Some(&["cleanup.policy"])).await?;
    same(
        "keys",
        found.into_keys().collect::<Vec<_>>(),
        vec!["cleanup.policy".to_owned()],
    )
}

async fn defaults(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let found = topic_configs(&mut client, &topic, None).await?;
    for (key, value) in DEFAULTS {
        let (found, source) = found
            .get(*key)
            .with_context(|| format!("{key}: found nothing, expected {value}"))?;
        one_of(format!("source of {key}"), *source, &BROKER_SOURCES)?;
        same(key, found.as_str(), *value)?;
    }
    Ok(())
}

async fn alter_to(
    target: Target,
    operation: i8,
    key: &'static str,
    value: &'static str,
    expected: &'static str,
) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    same(
        "error",
        alter(&mut client, &topic, operation, key, Some(value)).await?,
        0,
    )?;
    expect_config(&mut client, &topic, key, expected, SET).await
}

async fn delete(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic_with(1, &[("retention.ms", "777")]).await?;
    same(
        "error",
        alter(&mut client, &topic, 1, "retention.ms", None).await?,
        0,
    )?;
    expect_config(&mut client, &topic, "retention.ms", "604800000", DEFAULT).await
}

async fn subtract(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client
        .topic_with(1, &[("cleanup.policy", "compact,delete")])
        .await?;
    same(
        "error",
        alter(&mut client, &topic, 3, "cleanup.policy", Some("delete")).await?,
        0,
    )?;
    expect_config(&mut client, &topic, "cleanup.policy", "compact", SET).await
}

async fn bad_alterations(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    for (key, value) in [
        ("retention.ms", "soon"),
        ("cleanup.policy", "shred"),
        ("no.such.key", "1"),
    ] {
        let error = alter(&mut client, &topic, 0, key, Some(value)).await?;
        same(format!("error for {key}={value}"), error, 40)?;
    }
    Ok(())
}

async fn alter_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "error",
        alter(
            &mut client,
            &unique("unknown"),
            0,
            "retention.ms",
            Some("1"),
        )
        .await?,
        3,
    )
}
