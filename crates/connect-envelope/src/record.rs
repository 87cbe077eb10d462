//! Whole records as JSON.

use crate::error::{Context, Result, bail};
use crate::read::{integer, read_data_members};
use crate::{Members, read_data, write_data, write_payload, write_schema};
use connect_api::data::{Header, Headers, SchemaAndValue};
use connect_api::{ConnectRecord, SinkRecord, SourceRecord, TimestampType};
use serde_json::{Map as Object, Value as Json, json};

/// A record of either direction.
#[derive(Clone, Debug)]
pub enum Record {
    /// Without source partition and offset: the envelope has none.
    Source(SourceRecord),
    Sink(SinkRecord),
}

impl Record {
    /// What both directions have in common.
    pub fn common(&self) -> &ConnectRecord {
        match self {
            Record::Source(record) => record,
            Record::Sink(record) => record,
        }
    }

    pub fn common_mut(&mut self) -> &mut ConnectRecord {
        match self {
            Record::Source(record) => record,
            Record::Sink(record) => record,
        }
    }
}

/// Equality of what the envelope shows.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        let same_sink_parts = match (self, other) {
            (Record::Source(_), Record::Source(_)) => true,
            (Record::Sink(a), Record::Sink(b)) => {
                a.kafka_offset == b.kafka_offset && a.timestamp_type == b.timestamp_type
            }
            _ => false,
        };
        same_sink_parts && self.common() == other.common()
    }
}

const TIMESTAMP_TYPES: [TimestampType; 3] = [
    TimestampType::NoTimestampType,
    TimestampType::CreateTime,
    TimestampType::LogAppendTime,
];

pub fn read_record(json: &Json) -> Result<Record> {
    let mut members = Members::of(json, "a record")?;
    let is_sink = match members.take_text("kind")? {
        None | Some("source") => false,
        Some("sink") => true,
        Some(other) => bail!("\"kind\" must be source or sink, got \"{other}\""),
    };
    let topic = members
        .take_text("topic")?
        .context("a record has no topic")?;
    let kafka_partition = match members.take("partition") {
        Some(Json::Null) if is_sink => bail!("a sink record's partition cannot be null"),
        None | Some(Json::Null) => is_sink.then_some(0),
        Some(partition) => Some(integer(partition).context("in \"partition\"")?),
    };
    let timestamp = match members.take("timestamp") {
        None | Some(Json::Null) => None,
        Some(timestamp) => Some(integer(timestamp).context("in \"timestamp\"")?),
    };
    let key = read_part(&mut members, "key")?;
    let value = read_part(&mut members, "value")?;
    let record = ConnectRecord {
        topic: topic.into(),
        kafka_partition,
        key_schema: key.schema,
        key: key.value,
        value_schema: value.schema,
        value: value.value,
        timestamp,
        headers: read_headers(members.take("headers"))?,
    };
    let record = if is_sink {
        Record::Sink(SinkRecord {
            record,
            kafka_offset: match members.take("offset") {
                None => 0,
                Some(offset) => integer(offset).context("in \"offset\"")?,
            },
            timestamp_type: read_timestamp_type(members.take_text("timestampType")?, timestamp)?,
            original: None,
        })
    } else {
        Record::Source(SourceRecord {
            record,
            source_partition: None,
            source_offset: None,
        })
    };
    members.refuse_others("a record")?;
    Ok(record)
}

/// The record with every member that its kind has.
pub fn write_record(record: &Record) -> Json {
    let common = record.common();
    let mut members = Object::new();
    let mut put = |name: &str, json: Json| {
        members.insert(name.to_string(), json);
    };
    let kind = match record {
        Record::Source(_) => "source",
        Record::Sink(_) => "sink",
    };
    put("kind", kind.into());
    put("topic", common.topic.as_ref().into());
    put("partition", common.kafka_partition.into());
    if let Record::Sink(sink) = record {
        put("offset", sink.kafka_offset.into());
    }
    put("timestamp", common.timestamp.into());
    if let Record::Sink(sink) = record {
        put("timestampType", sink.timestamp_type.name().into());
    }
    let data = |schema: &Option<_>, value: &connect_api::data::Value| {
        write_data(&SchemaAndValue {
            schema: schema.clone(),
            value: value.clone(),
        })
    };
    put("key", data(&common.key_schema, &common.key));
    put("value", data(&common.value_schema, &common.value));
    put("headers", common.headers.iter().map(write_header).collect());
    Json::Object(members)
}

fn read_part(members: &mut Members<'_>, name: &'static str) -> Result<SchemaAndValue> {
    match members.take(name) {
        None => Ok(SchemaAndValue::NULL),
        Some(json) => read_data(json).with_context(|| format!("in \"{name}\"")),
    }
}

fn read_headers(json: Option<&Json>) -> Result<Headers> {
    let Some(json) = json else {
        return Ok(Headers::new());
    };
    let list = json.as_array().context("\"headers\" must be a list")?;
    let headers = list.iter().map(|json| {
        let mut members = Members::of(json, "a header")?;
        let key = members.take_text("key")?.context("a header has no key")?;
        let data =
            read_data_members(&mut members).with_context(|| format!("in header \"{key}\""))?;
        members.refuse_others("a header")?;
        Ok(Header {
            key: key.into(),
            schema: data.schema,
            value: data.value,
        })
    });
    headers.collect()
}

fn write_header(header: &Header) -> Json {
    let schema = header.schema.as_ref();
    json!({
        "key": header.key.as_str(),
        "schema": write_schema(schema),
        "payload": write_payload(schema, &header.value),
    })
}

fn read_timestamp_type(name: Option<&str>, timestamp: Option<i64>) -> Result<TimestampType> {
    match name {
        None if timestamp.is_none() => Ok(TimestampType::NoTimestampType),
        None => Ok(TimestampType::CreateTime),
        Some(name) => TIMESTAMP_TYPES
            .into_iter()
            .find(|known| known.name() == name)
            .with_context(|| format!("unknown timestamp type \"{name}\"")),
    }
}
