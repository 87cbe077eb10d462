//! Confluent's `TopicRegexRouter`: a topic that matches as a whole is replaced.
//!
//! Its regular expressions are RE2's there and Java's here, which understand the same but for the names of groups;
//! `(?P<name>…)` is taken as `(?<name>…)`.

use crate::operate::parse;
use crate::topics::Topics;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, JavaRegex, Key, Properties, Validator,
};

const REGEX: Key<String> = Key::new("regex");
const REPLACEMENT: Key<String> = Key::new("replacement");

fn config_def() -> ConfigDef {
    let is_regex = Validator::custom("valid regex", |name, value| match value {
        ConfigValueData::String(text) => compile(text).map(drop).map_err(|reason| {
            ConfigException::invalid(name, text, format!("Invalid regex: {reason}"))
        }),
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
    topics: Topics<()>,
}

impl Transformation for TopicRegexRouter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let regex = compile(&config.get(REGEX)).map_err(ConnectError::config)?;
        self.config = Some((regex, config.get(REPLACEMENT)));
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (regex, replacement) = self
            .config
            .as_ref()
            .expect("configured before the first record");
        let failed = |cause: connect_config::JavaRegexError| ConnectError::data(cause.message());
        record.topic = self.topics.route(&record.topic, (), |topic| {
            match regex.matches(topic).map_err(failed)? {
                true => regex
                    .replace_first(topic, replacement)
                    .map(Some)
                    .map_err(failed),
                false => Ok(None),
            }
        })?;
        Ok(Outcome::Keep)
    }
}
