//! Confluent's `ExtractTopic$Key`, `ExtractTopic$Value` and `ExtractTopic$Header`: the topic from the record itself.

use super::json_path::{Found, JsonPath};
use super::name_of;
use crate::operate::{Part, parse};
use connect_api::data::Value;
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, ConfigEnum, Importance, Key, Properties};

const FIELD: Key<String> = Key::new("field");
const FORMAT: Key<Format> = Key::new("field.format");
const SKIP: Key<bool> = Key::new("skip.missing.or.null");

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Plain,
    JsonPath,
}

impl ConfigEnum for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("JSON_PATH", Self::JsonPath), ("PLAIN", Self::Plain)];
    const IGNORE_CASE: bool = true;
}

/// Where the topic comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    Part(Part),
    Header,
}

fn config_def(source: Source) -> ConfigDef {
    let def = ConfigDef::new();
    let skip = SKIP.default(false).importance(Importance::Low).doc(
        "Whether a record whose field, header, key or value is missing or null keeps its topic; else it is an error.",
    );
    match source {
        Source::Header => def
            .define(FIELD.required().importance(Importance::Medium).doc(
                "Header whose text becomes the topic; of equal headers the last one.",
            ))
            .define(skip),
        Source::Part(_) => def
            .define(FIELD.default("").importance(Importance::Medium).doc(
                "Field whose text becomes the topic. Without it the whole key or value is the topic.",
            ))
            .define(FORMAT.default(Format::Plain).importance(Importance::Medium).doc(
                "How `field` is read: PLAIN, the name of a field; JSON_PATH, a path such as $.order.region or \
                 $['order']['region'].",
            ))
            .define(skip),
    }
}

pub(super) struct ExtractTopic {
    source: Source,
    from: From,
    skip: bool,
    /// The last text and its topic.
    last: Option<TopicName>,
}

enum From {
    Whole,
    Header(String),
    Path { path: JsonPath, field: String },
}

impl ExtractTopic {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            from: From::Whole,
            skip: false,
            last: None,
        }
    }

    /// The value that is to be the topic; `None` when it is missing.
    fn find<'a>(&self, record: &'a ConnectRecord) -> Result<Option<&'a Value>> {
        let part = match (self.source, &self.from) {
            (Source::Part(part), _) => part.value(record),
            (Source::Header, From::Header(name)) => {
                return Ok(record
                    .headers
                    .last_with_name(name)
                    .map(|header| &header.value));
            }
            (Source::Header, _) => return Ok(None),
        };
        let From::Path { path, .. } = &self.from else {
            return Ok(Some(part));
        };
        if !matches!(
            part,
            Value::Null | Value::Struct(_) | Value::Map(_) | Value::Array(_)
        ) {
            return Err(ConnectError::data(format!(
                "{} has no fields to take the topic from: it is {}",
                self.name(),
                part.java_class()
            )));
        }
        Ok(match path.find(part) {
            Found::Values(values) => values.first().copied(),
            Found::Missing => None,
        })
    }

    /// What the topic comes from, for messages.
    fn name(&self) -> String {
        match (self.source, &self.from) {
            (_, From::Header(name)) => format!("header \"{name}\""),
            (Source::Part(part), From::Path { field, .. }) => {
                format!("field \"{field}\" of the {}", name_of(part))
            }
            (Source::Part(part), _) => name_of(part).to_string(),
            (Source::Header, _) => "header".to_string(),
        }
    }
}

impl Transformation for ExtractTopic {
    fn config_def(&self) -> ConfigDef {
        config_def(self.source)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(self.source), configs)?;
        let field = config.get(FIELD);
        self.skip = config.get(SKIP);
        self.from = match self.source {
            Source::Header => From::Header(field),
            Source::Part(_) if field.is_empty() => From::Whole,
            Source::Part(_) => {
                let path = match config.get(FORMAT) {
                    Format::Plain => JsonPath::of_field(&field),
                    Format::JsonPath => JsonPath::parse(&field)
                        .and_then(|path| match path.is_definite() {
                            true => Ok(path),
                            false => Err(
                                "the path may name several values, and a record has one topic"
                                    .to_string(),
                            ),
                        })
                        .map_err(|reason| {
                            ConnectError::config(format!(
                                "Invalid value {field} for configuration {FIELD}: {reason}"
                            ))
                        })?,
                };
                From::Path { path, field }
            }
        };
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let topic = match self.find(record)? {
            Some(Value::String(topic)) => topic,
            None | Some(Value::Null) if self.skip => return Ok(Outcome::Keep),
            None | Some(Value::Null) => {
                return Err(ConnectError::data(format!(
                    "{} is missing or null, and it is to be the topic; skip.missing.or.null=true keeps the topic then",
                    self.name()
                )));
            }
            Some(other) => {
                return Err(ConnectError::data(format!(
                    "{} is to be the topic and must be a text, found {}",
                    self.name(),
                    other.java_class()
                )));
            }
        };
        if topic.is_empty() {
            return Err(ConnectError::data(format!(
                "{} is to be the topic and is empty",
                self.name()
            )));
        }
        let known = self.last.as_ref().filter(|last| ***last == *topic.as_str());
        let topic: TopicName = match known {
            Some(known) => known.clone(),
            None => topic.as_str().into(),
        };
        self.last = Some(topic.clone());
        record.topic = topic;
        Ok(Outcome::Keep)
    }
}
