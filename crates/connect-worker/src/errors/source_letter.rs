//! Letters of records that were on their way to a topic.
//!
//! Lives here: what a letter holds when there are no bytes yet, where its record was read.
//! Lives elsewhere: Java's headers (`letter`), deciding that a record becomes one (`tolerance`).
//! Millstream's own: Java has no dead letter queue for sources.

use super::Letter;
use crate::conversion::Encoded;
use bytes::Bytes;
use connect_api::data::{Schema, Value};
use connect_api::{
    ConnectRecord, Converter, ConverterType, HeaderConverter, SourceOffset, SourcePartition,
};
use connect_config::Properties;
use connect_converters::{JsonConverter, SimpleHeaderConverter};

const SOURCE_PARTITION: &str = "__millstream.errors.source.partition";
const SOURCE_OFFSET: &str = "__millstream.errors.source.offset";

/// A letter of a record that the producer has taken, until Kafka has it.
#[derive(Debug)]
pub struct KeptLetter {
    pub letter: Letter,
    pub partition: Option<SourcePartition>,
    pub offset: Option<SourceOffset>,
}

/// Makes letters of source records.
pub struct SourceLetters {
    with_schemas: JsonConverter,
    plain: JsonConverter,
    header: SimpleHeaderConverter,
    buffer: Vec<u8>,
}

impl SourceLetters {
    pub fn new() -> Self {
        let json = |schemas: &'static str| {
            let mut json = JsonConverter::default();
            let config = Properties::from_iter([("schemas.enable", schemas)]);
            Converter::configure(&mut json, &config, ConverterType::Value)
                .expect("the setting is one of the converter's");
            json
        };
        Self {
            with_schemas: json("true"),
            plain: json("false"),
            header: SimpleHeaderConverter,
            buffer: Vec::new(),
        }
    }

    /// Key and value as JSON with their schemas, headers as text. What no JSON can be made of is null; a value that
    /// does not fit its schema goes without that.
    pub fn of_record(&mut self, record: &ConnectRecord) -> Letter {
        let headers = record.headers.iter().map(|header| {
            let value = self.header.from_connect_header(
                &record.topic,
                &header.key,
                header.schema.as_ref(),
                &header.value,
            );
            let key = Bytes::copy_from_slice(header.key.as_bytes());
            (key, value.ok().flatten())
        });
        let headers = headers.collect();
        Letter {
            key: self.json(&record.topic, record.key_schema.as_ref(), &record.key),
            value: self.json(&record.topic, record.value_schema.as_ref(), &record.value),
            timestamp_ms: timestamp_of(record),
            headers,
        }
    }

    fn json(&mut self, topic: &str, schema: Option<&Schema>, value: &Value) -> Option<Bytes> {
        let Self {
            with_schemas,
            buffer,
            ..
        } = self;
        if schema.is_none() && matches!(value, Value::Null) {
            return None;
        }
        for schema in [schema, None] {
            buffer.clear();
            if let Ok(json) = with_schemas.from_connect_data(topic, schema, value, buffer) {
                return json.map(Bytes::copy_from_slice);
            }
        }
        None
    }

    /// Says where a letter's record was read.
    pub fn add_position(
        &mut self,
        letter: &mut Letter,
        partition: Option<&SourcePartition>,
        offset: Option<&SourceOffset>,
    ) {
        let partition = partition.map_or(Value::Null, |it| Value::Map(it.fields().clone()));
        let offset = offset.map_or(Value::Null, |it| Value::Map(it.to_map()));
        for (name, value) in [(SOURCE_PARTITION, partition), (SOURCE_OFFSET, offset)] {
            self.buffer.clear();
            let json = self
                .plain
                .from_connect_data("", None, &value, &mut self.buffer);
            let json = json.ok().flatten().unwrap_or(b"null");
            letter.add_header(name, String::from_utf8_lossy(json).into_owned());
        }
    }
}

impl Letter {
    /// A record as it would have gone to its topic.
    pub fn of_encoded(record: &ConnectRecord, encoded: &Encoded<'_>) -> Self {
        let headers = encoded.headers.iter().map(|header| {
            let key = Bytes::copy_from_slice(header.key.as_bytes());
            (key, header.value.clone())
        });
        Self {
            key: encoded.key.map(Bytes::copy_from_slice),
            value: encoded.value.map(Bytes::copy_from_slice),
            timestamp_ms: timestamp_of(record),
            headers: headers.collect(),
        }
    }
}

fn timestamp_of(record: &ConnectRecord) -> Option<i64> {
    record.timestamp.filter(|timestamp| *timestamp >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::data::Map;

    #[track_caller]
    fn check(schema: Option<Schema>, value: Value, expected: Option<&str>) {
        let mut record = ConnectRecord::new("t", schema, "v");
        record.value = value;
        let letter = SourceLetters::new().of_record(&record);
        let text = letter.value.as_deref().map(String::from_utf8_lossy);
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn values_are_json_with_their_schema_where_that_works() {
        let string = "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":\"x\"}";
        check(Some(Schema::STRING), Value::from("x"), Some(string));
        check(
            None,
            Value::Int32(5),
            Some("{\"schema\":null,\"payload\":5}"),
        );
        // Not what its schema says.
        let bare = "{\"schema\":null,\"payload\":true}";
        check(Some(Schema::STRING), Value::Boolean(true), Some(bare));
        check(None, Value::Null, None);
    }

    #[test]
    fn a_letter_says_where_its_record_was_read() {
        let mut letters = SourceLetters::new();
        let mut letter = letters.of_record(&ConnectRecord::new("t", None, "v"));
        let partition = SourcePartition::new(Map::from_iter([(Value::text("file"), "a.txt")]));
        let offset = SourceOffset::Position("position", 12);
        letters.add_position(&mut letter, Some(&partition), Some(&offset));
        letters.add_position(&mut letter, None, None);
        let shown = letter.headers.iter().map(|(key, value)| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!(
                "{}={}",
                text(key),
                text(value.as_deref().unwrap_or_default())
            )
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "__millstream.errors.source.partition={\"file\":\"a.txt\"}",
                "__millstream.errors.source.offset={\"position\":12}",
                "__millstream.errors.source.partition=null",
                "__millstream.errors.source.offset=null",
            ]
        );
    }
}
