//! Confluent's `TopicRegexRouter`: a topic that matches as a whole is replaced.
//!
//! Its regular expressions are RE2's there and Java's here, which understand the same but for the names of groups;
//! `(?P<name>…)` is taken as `(?<name>…)`.

use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, JavaRegex, Key, Properties, Validator,
};
use std::collections::HashMap;
use std::sync::Arc;

const REGEX: Key<String> = Key::new("regex");
const REPLACEMENT: Key<String> = Key::new("replacement");

/// Topics that are remembered with where they go; when there are more, all are forgotten.
const TOPICS_MAX: usize = 4096;

fn config_def() -> ConfigDef {
    let is_regex = Validator::custom("valid regex", |name, value| match value {
        ConfigValueData::String(text) => compile(text)
            .map(drop)
            .map_err(|reason| ConfigException::invalid(name, text, format!("Invalid regex: {reason}"))),
        _ => Ok(()),
    });
    ConfigDef::new()
        .define(REGEX.required().importance(Importance::High).validator(is_regex).doc(
            "Regular expression that a whole topic must match for its records to be routed; others pass unchanged.",
        ))
        .define(REPLACEMENT.required().importance(Importance::High).doc(
            "The new topic; $1 and ${name} stand for groups of regex.",
        ))
}

fn compile(text: &str) -> Result<JavaRegex, String> {
    JavaRegex::new(&text.replace("(?P<", "(?<")).map_err(|cause| cause.message().to_string())
}

#[derive(Default)]
pub(super) struct TopicRegexRouter {
    config: Option<(JavaRegex, String)>,
    topics: HashMap<Arc<str>, Arc<str>>,
}

impl Transformation for TopicRegexRouter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = config_def().parse(configs)?;
        let regex = compile(&config.get(REGEX)).map_err(ConnectError::config)?;
        self.config = Some((regex, config.get(REPLACEMENT)));
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if let Some(topic) = self.topics.get(&record.topic) {
            record.topic = topic.clone();
            return Ok(Outcome::Keep);
        }
        let (regex, replacement) = self.config.as_ref().expect("configured before the first record");
        let failed = |cause: connect_config::JavaRegexError| ConnectError::data(cause.message());
        let topic = match regex.matches(&record.topic).map_err(failed)? {
            true => regex.replace_first(&record.topic, replacement).map_err(failed)?.into(),
            false => record.topic.clone(),
        };
        if self.topics.len() >= TOPICS_MAX {
            self.topics.clear();
        }
        self.topics.insert(record.topic.clone(), topic.clone());
        record.topic = topic;
        Ok(Outcome::Keep)
    }
}
