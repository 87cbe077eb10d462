//! `TopicNameMatches`: true for records whose topic matches a pattern as a whole.
//!
//! Source: `org.apache.kafka.connect.transforms.predicates.TopicNameMatches` of Apache Kafka 4.3.1.

use crate::operate::parse;
use connect_api::{ConnectError, ConnectRecord, Predicate, Result, TopicName};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, JavaRegex, Key, Properties, Validator,
};

const PATTERN: Key<JavaRegex> = Key::new("pattern");

pub fn config_def() -> ConfigDef {
    let pattern =
        Validator::custom("valid regex", |name, value| match value {
            ConfigValueData::String(pattern) if pattern.is_empty() => Err(
                ConfigException::invalid(name, value, "String must be non-empty"),
            ),
            _ => Ok(()),
        });
    ConfigDef::new().define(
        PATTERN
            .required()
            .validator(pattern)
            .importance(Importance::Medium)
            .doc("Java regular expression that the whole topic must match."),
    )
}

#[derive(Default)]
pub struct TopicNameMatches {
    pattern: Option<JavaRegex>,
    last: Option<(TopicName, bool)>,
}

impl Predicate for TopicNameMatches {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.pattern = Some(parse(&config_def(), configs)?.get(PATTERN));
        self.last = None;
        Ok(())
    }

    fn test(&mut self, record: &ConnectRecord) -> Result<bool> {
        if let Some((topic, matches)) = &self.last
            && topic.ptr_eq(&record.topic)
        {
            return Ok(*matches);
        }
        let Some(pattern) = &self.pattern else {
            return Ok(false);
        };
        let matches = pattern.matches(&record.topic);
        let matches = matches.map_err(|error| ConnectError::data(error.to_string()))?;
        self.last = Some((record.topic.clone(), matches));
        Ok(matches)
    }
}
