//! What a line of input means: an envelope, plain JSON, or what converters read.
//!
//! Lives here: telling them apart, and the topic, partition and offset of a record that does not say them.

use crate::cli::TransformArgs;
use connect_api::data::{SchemaAndValue, SharedSlice};
use connect_api::{
    ConnectRecord, Converter, ConverterType, SinkRecord, SourceRecord, TimestampType, TopicName,
};
use connect_config::Properties;
use connect_envelope::{Record, read_record};
use connect_worker::Plugins;
use connect_worker::plugins::AnyConnector;
use serde_json::Value as Json;

/// The topic of records when nothing names one.
const TOPIC: &str = "topic";

/// Reads lines one by one.
pub struct LineReader {
    topic: TopicName,
    kind: Kind,
    key: Option<Named>,
    value: Option<Named>,
    /// Reads plain JSON.
    json: Named,
    /// Offset of the next sink record that does not say its own.
    next_offset: i64,
}

/// Which side the connector is on.
#[derive(Clone, Copy)]
enum Kind {
    Source,
    Sink,
}

struct Named {
    class: String,
    converter: Box<dyn Converter>,
}

impl LineReader {
    /// Fails: when a converter is not known or refuses its settings.
    pub fn new(
        args: &TransformArgs,
        config: &Properties,
        plugins: &Plugins,
    ) -> Result<Self, String> {
        let named = |class: &Option<String>, side: &str, converter_type| {
            let Some(class) = class else {
                return Ok(None);
            };
            let settings = config.originals_with_prefix(&format!("{side}.converter."));
            Named::new(plugins, class, &settings, converter_type).map(Some)
        };
        let without_schemas = Properties::from_iter([("schemas.enable", "false")]);
        Ok(Self {
            topic: topic_of(args, config),
            kind: kind_of(config, plugins),
            key: named(&args.key_converter, "key", ConverterType::Key)?,
            value: named(&args.value_converter, "value", ConverterType::Value)?,
            json: Named::new(
                plugins,
                "JsonConverter",
                &without_schemas,
                ConverterType::Value,
            )?,
            next_offset: 0,
        })
    }

    /// Fails: with what is wrong with the line.
    pub fn read(&mut self, line: &[u8]) -> Result<Record, String> {
        if self.key.is_some() || self.value.is_some() {
            return self.read_with_converters(line);
        }
        let json: Json = serde_json::from_slice(line).map_err(|_| {
            "is neither an envelope nor JSON; for text give --value-converter StringConverter"
                .to_string()
        })?;
        match read_record(&json) {
            Ok(record) => return Ok(record),
            Err(error) if is_meant_as_envelope(&json) => {
                return Err(format!("looks like an envelope, but {error}"));
            }
            Err(_) => {}
        }
        let value = self.json.read("line", &self.topic, Some(line))?;
        Ok(self.record(SchemaAndValue::NULL, value))
    }

    fn read_with_converters(&mut self, line: &[u8]) -> Result<Record, String> {
        let (key, value) = match (&mut self.key, line.iter().position(|byte| *byte == b'\t')) {
            (None, _) => (SchemaAndValue::NULL, line),
            (Some(converter), Some(tab)) => {
                let key = converter.read("key", &self.topic, Some(&line[..tab]))?;
                (key, &line[tab + 1..])
            }
            (Some(_), None) => {
                return Err(
                    "has no tab between key and value, as --key-converter wants it".to_string(),
                );
            }
        };
        let converter = self.value.as_mut().unwrap_or(&mut self.json);
        let value = converter.read("value", &self.topic, Some(value))?;
        Ok(self.record(key, value))
    }

    fn record(&mut self, key: SchemaAndValue, value: SchemaAndValue) -> Record {
        let mut record = ConnectRecord::new(self.topic.clone(), value.schema, value.value);
        record.key_schema = key.schema;
        record.key = key.value;
        match self.kind {
            Kind::Source => Record::Source(SourceRecord {
                record,
                source_partition: None,
                source_offset: None,
            }),
            Kind::Sink => {
                record.kafka_partition = Some(0);
                let kafka_offset = self.next_offset;
                self.next_offset += 1;
                Record::Sink(SinkRecord {
                    record,
                    kafka_offset,
                    timestamp_type: TimestampType::NoTimestampType,
                    original: None,
                })
            }
        }
    }
}

impl Named {
    fn new(
        plugins: &Plugins,
        class: &str,
        settings: &Properties,
        converter_type: ConverterType,
    ) -> Result<Self, String> {
        let (_, mut converter) = plugins.new_converter(class)?;
        converter
            .configure(settings, converter_type)
            .map_err(|error| format!("{class}: {error}"))?;
        Ok(Self {
            class: class.to_string(),
            converter,
        })
    }

    fn read(
        &mut self,
        what: &str,
        topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, String> {
        let bytes = bytes.map(bytes::Bytes::copy_from_slice);
        let slice = bytes.as_ref().map(SharedSlice::whole);
        let read = self.converter.to_connect_data(topic, slice);
        read.map_err(|error| format!("the {what} is not what {} reads: {error}", self.class))
    }
}

/// The topic that the connector reads or writes, as far as its configuration says it.
fn topic_of(args: &TransformArgs, config: &Properties) -> TopicName {
    let first = |key| {
        let topics: &str = config.get(key)?;
        topics
            .split(',')
            .map(str::trim)
            .find(|topic| !topic.is_empty())
    };
    let topic = args.topic.as_deref();
    topic
        .or_else(|| first("topics"))
        .or_else(|| first("topic"))
        .unwrap_or(TOPIC)
        .into()
}

/// A configuration without a connector that is known counts as a source's, unless it names topics to read.
fn kind_of(config: &Properties, plugins: &Plugins) -> Kind {
    let connector = config.get("connector.class").map(str::trim);
    match connector.map(|class| plugins.new_connector(class)) {
        Some(Ok(AnyConnector::Sink(_))) => Kind::Sink,
        Some(Ok(AnyConnector::Source(_))) => Kind::Source,
        _ if config.contains_key("topics") || config.contains_key("topics.regex") => Kind::Sink,
        _ => Kind::Source,
    }
}

/// Whether somebody who wrote this meant an envelope and made a mistake: a topic, and a part that only a record has.
fn is_meant_as_envelope(json: &Json) -> bool {
    let Some(object) = json.as_object() else {
        return false;
    };
    let parts = ["key", "value"];
    let is_data = |name: &str| object.get(name).is_some_and(Json::is_object);
    object.get("topic").is_some_and(Json::is_string)
        && (object.contains_key("kind") || parts.iter().any(|part| is_data(part)))
}
