//! Confluent's `MessageTimestampRouter`: puts a time from the value into the topic.
//!
//! Theirs takes maps only; this one takes structs too, and times that are numbers of milliseconds or Timestamps
//! beside texts.

use super::json_path::{Found, JsonPath};
use crate::operate::{now_ms, parse};
use crate::topics::Topics;
use connect_api::data::Value;
use connect_api::data::java_date_format::JavaDateFormat;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};

const TOPIC_FORMAT: Key<String> = Key::new("topic.format");
const MESSAGE_FORMAT: Key<String> = Key::new("message.timestamp.format");
const TIMESTAMP_FORMAT: Key<String> = Key::new("topic.timestamp.format");
const KEYS: Key<Vec<String>> = Key::new("message.timestamp.keys");

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(TOPIC_FORMAT.default("${topic}-${timestamp}").importance(Importance::High).doc(
            "The new topic; ${topic} stands for the old one and ${timestamp} for the time.",
        ))
        .define(MESSAGE_FORMAT.default("yyyy-MM-dd'T'HH:mm:ss.SSSXXX").importance(Importance::High).doc(
            "How the time is written in the value, as a pattern of java.text.SimpleDateFormat. Times that are numbers of \
             milliseconds since 1970 need none.",
        ))
        .define(TIMESTAMP_FORMAT.default("yyyyMMdd").importance(Importance::High).doc(
            "How the time is written in the topic, as a pattern of java.text.SimpleDateFormat, in UTC.",
        ))
        .define(KEYS.default(["timestamp"]).importance(Importance::High).doc(
            "Fields of the value that may hold the time; the first that is there and not null counts.",
        ))
}

#[derive(Default)]
pub(super) struct MessageTimestampRouter {
    config: Option<Config>,
    /// By the unit of time that the pattern shows.
    topics: Topics<i64>,
}

struct Config {
    topic_format: String,
    message_format: Option<JavaDateFormat>,
    timestamp_format: JavaDateFormat,
    keys: Vec<(String, JsonPath)>,
}

fn pattern(key: Key<String>, text: &str) -> Result<JavaDateFormat> {
    JavaDateFormat::new(text, now_ms()).map_err(|cause| {
        ConnectError::config(format!(
            "Invalid value {text} for configuration {key}: {cause}"
        ))
    })
}

impl Transformation for MessageTimestampRouter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let message_format = config.get(MESSAGE_FORMAT);
        let keys = config.get(KEYS).into_iter();
        self.config = Some(Config {
            topic_format: config.get(TOPIC_FORMAT),
            message_format: match message_format.is_empty() {
                true => None,
                false => Some(pattern(MESSAGE_FORMAT, &message_format)?),
            },
            timestamp_format: pattern(TIMESTAMP_FORMAT, &config.get(TIMESTAMP_FORMAT))?,
            keys: keys
                .map(|key| (key.clone(), JsonPath::of_field(&key)))
                .collect(),
        });
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let config = self
            .config
            .as_ref()
            .expect("configured before the first record");
        let ms = config.time_of(&record.value)?;
        let unit = ms.div_euclid(config.timestamp_format.resolution_ms());
        record.topic = self.topics.route(&record.topic, unit, |topic| {
            let with_topic = config.topic_format.replace("${topic}", topic);
            let time = config.timestamp_format.format(ms);
            Ok(Some(with_topic.replace("${timestamp}", &time)))
        })?;
        Ok(Outcome::Keep)
    }
}

impl Config {
    fn time_of(&self, value: &Value) -> Result<i64> {
        for (key, path) in &self.keys {
            let found = match path.find(value) {
                Found::Values(values) => values.first().copied(),
                Found::Missing => None,
            };
            match found {
                None | Some(Value::Null) => {}
                Some(found) => return self.read(key, found),
            }
        }
        let keys: Vec<&str> = self.keys.iter().map(|(key, _)| key.as_str()).collect();
        Err(ConnectError::data(format!(
            "the value has none of the fields of {KEYS} ({}), or all are null; it is {}",
            keys.join(", "),
            value.java_class()
        )))
    }

    fn read(&self, key: &str, value: &Value) -> Result<i64> {
        match (value, &self.message_format) {
            (Value::Int64(ms) | Value::Timestamp(ms), _) => Ok(*ms),
            (Value::String(text), Some(format)) => format.parse(text).ok_or_else(|| {
                ConnectError::data(format!(
                    "field \"{key}\": the time \"{text}\" does not match {MESSAGE_FORMAT}, which is {}",
                    format.pattern()
                ))
            }),
            (Value::String(_), None) => Err(ConnectError::data(format!(
                "field \"{key}\" is a text, and {MESSAGE_FORMAT} is empty; set it to the pattern of the time"
            ))),
            (other, _) => Err(ConnectError::data(format!(
                "field \"{key}\" must hold a time as text, milliseconds or Timestamp, found {}",
                other.java_class()
            ))),
        }
    }
}
