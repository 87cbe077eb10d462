//! `RegexRouter`: a new topic by a pattern over the old one.
//!
//! Source: `org.apache.kafka.connect.transforms.RegexRouter` of Apache Kafka 4.3.1.

use crate::operate::parse;
use crate::topics::Topics;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, JavaRegex, Key, Properties};

const REGEX: Key<JavaRegex> = Key::new("regex");
const REPLACEMENT: Key<Option<String>> = Key::new("replacement");

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            REGEX
                .required()
                .importance(Importance::High)
                .doc("Java regular expression that the whole topic must match to be replaced."),
        )
        .define(REPLACEMENT.required().importance(Importance::High).doc(
            "The new topic. $1 and ${name} stand for groups of the regular expression; a backslash takes the meaning \
             from the next character.",
        ))
}

#[derive(Default)]
pub struct RegexRouter {
    rule: Option<(JavaRegex, Option<String>)>,
    topics: Topics<()>,
}

impl Transformation for RegexRouter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.rule = Some((config.get(REGEX), config.get(REPLACEMENT)));
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let Some((regex, replacement)) = &self.rule else {
            return Ok(Outcome::Keep);
        };
        let matches = |topic: &str| {
            let matches = regex.matches(topic);
            matches.map_err(|error| ConnectError::data(error.to_string()))
        };
        let routed = self.topics.route(&record.topic, (), |topic| {
            let routed = if matches(topic)? {
                let replacement = replacement.as_deref().ok_or_else(no_replacement)?;
                let routed = regex.replace_first(topic, replacement);
                Some(routed.map_err(|error| ConnectError::data(error.to_string()))?)
            } else {
                None
            };
            Ok(routed)
        });
        record.topic = routed?;
        Ok(Outcome::Keep)
    }
}

/// Java fails with a null pointer here.
#[cold]
fn no_replacement() -> ConnectError {
    ConnectError::data("\"replacement\" is null, and a topic is to be replaced")
}
