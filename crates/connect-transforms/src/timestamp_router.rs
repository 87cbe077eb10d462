//! `TimestampRouter`: puts the record's time into the topic.
//!
//! Source: `org.apache.kafka.connect.transforms.TimestampRouter` of Apache Kafka 4.3.1.

use crate::operate::{now_ms, parse};
use crate::record_text::record_text;
use crate::topics::Topics;
use connect_api::data::java_date_format::JavaDateFormat;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};

const TOPIC_FORMAT: Key<Option<String>> = Key::new("topic.format");
const TIMESTAMP_FORMAT: Key<Option<String>> = Key::new("timestamp.format");

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            TOPIC_FORMAT
                .default("${topic}-${timestamp}")
                .importance(Importance::High)
                .doc(
                    "The new topic; ${topic} stands for the old one and ${timestamp} for the time.",
                ),
        )
        .define(
            TIMESTAMP_FORMAT
                .default("yyyyMMdd")
                .importance(Importance::High)
                .doc(
                    "How the time is written, as a pattern of java.text.SimpleDateFormat, in UTC.",
                ),
        )
}

#[derive(Default)]
pub struct TimestampRouter {
    topic_format: Option<String>,
    timestamp_format: Option<String>,
    /// Compiled for the first record, as in Java: a bad pattern shows only then.
    compiled: Option<JavaDateFormat>,
    /// By the unit of time that the pattern shows.
    topics: Topics<i64>,
}

impl Transformation for TimestampRouter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.topic_format = config.get(TOPIC_FORMAT);
        self.timestamp_format = config.get(TIMESTAMP_FORMAT);
        self.compiled = None;
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        let Some(timestamp) = record.timestamp else {
            return Err(ConnectError::data(format!(
                "Timestamp missing on record: {}",
                record_text(record, origin)
            )));
        };
        let format = match &mut self.compiled {
            Some(format) => format,
            None => {
                let format = JavaDateFormat::new(
                    self.timestamp_format
                        .as_deref()
                        .ok_or_else(|| null(TIMESTAMP_FORMAT))?,
                    now_ms(),
                );
                let format = format.map_err(|cause| ConnectError::data(cause.to_string()))?;
                self.compiled.insert(format)
            }
        };
        let Some(topic_format) = &self.topic_format else {
            return Err(null(TOPIC_FORMAT));
        };
        let unit = timestamp.div_euclid(format.resolution_ms());
        record.topic = self.topics.route(&record.topic, unit, |topic| {
            let with_topic = topic_format.replace("${topic}", topic);
            Ok(Some(
                with_topic.replace("${timestamp}", &format.format(timestamp)),
            ))
        })?;
        Ok(Outcome::Keep)
    }
}

/// Java fails with a null pointer here.
#[cold]
fn null(key: Key<Option<String>>) -> ConnectError {
    ConnectError::data(format!(
        "\"{key}\" is null; give it a text, or leave it out"
    ))
}
