//! A record as Java prints it in messages: `SourceRecord.toString` and `SinkRecord.toString`.

use connect_api::data::{append_java_text, java_text};
use connect_api::{ConnectRecord, Origin};

/// The text of the whole record.
pub fn record_text(record: &ConnectRecord, origin: Origin<'_>) -> String {
    let schema = |schema: &Option<connect_api::data::Schema>| match schema {
        Some(schema) => schema.to_string(),
        None => "null".to_owned(),
    };
    let number = |number: Option<i64>| match number {
        Some(number) => number.to_string(),
        None => "null".to_owned(),
    };
    let head = match origin {
        Origin::Source { partition, offset } => {
            let map = |map: Option<connect_api::data::Map>| {
                let mut text = Vec::new();
                let value = map.map_or(
                    connect_api::data::Value::Null,
                    connect_api::data::Value::Map,
                );
                append_java_text(&value, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            };
            format!(
                "SourceRecord{{sourcePartition={}, sourceOffset={}}}",
                map(partition.map(|partition| partition.fields().clone())),
                map(offset.map(|offset| offset.to_map())),
            )
        }
        Origin::Sink {
            kafka_offset,
            timestamp_type,
            original,
        } => {
            let partition = record.kafka_partition.unwrap_or_default();
            let (topic, partition) = match original {
                Some(original) => (&original.topic, original.partition),
                None => (&record.topic, partition),
            };
            format!(
                "SinkRecord{{kafkaOffset={kafka_offset}, timestampType={}, originalTopic={topic}, \
                 originalKafkaPartition={partition}, originalKafkaOffset={kafka_offset}}}",
                timestamp_type.name()
            )
        }
    };
    let headers: Vec<String> = record
        .headers
        .iter()
        .map(|header| {
            format!(
                "ConnectHeader(key={}, value={}, schema={})",
                header.key,
                java_text(&header.value),
                schema(&header.schema)
            )
        })
        .collect();
    format!(
        "{head} ConnectRecord{{topic='{}', kafkaPartition={}, key={}, keySchema={}, value={}, valueSchema={}, \
         timestamp={}, headers=ConnectHeaders(headers={})}}",
        record.topic,
        number(record.kafka_partition.map(i64::from)),
        java_text(&record.key),
        schema(&record.key_schema),
        java_text(&record.value),
        schema(&record.value_schema),
        number(record.timestamp),
        headers.join(", ")
    )
}
