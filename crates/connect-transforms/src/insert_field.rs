//! `InsertField`: adds fields that say where the record comes from, or a fixed text.
//!
//! Lives here: the settings, and what the new fields hold.
//! Lives elsewhere: where they are put (`insert_field/place.rs`).
//! Source: `org.apache.kafka.connect.transforms.InsertField` of Apache Kafka 4.3.1.

mod place;

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, parse, replace_null_with_default, require_map, require_struct,
};
use connect_api::data::{Schema, SchemaBuilder, Str, logical};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, Importance, Key, Properties};
use place::{Inserted, Places};

const TOPIC_FIELD: Key<Option<String>> = Key::new("topic.field");
const PARTITION_FIELD: Key<Option<String>> = Key::new("partition.field");
const OFFSET_FIELD: Key<Option<String>> = Key::new("offset.field");
const TIMESTAMP_FIELD: Key<Option<String>> = Key::new("timestamp.field");
const STATIC_FIELD: Key<Option<String>> = Key::new("static.field");
const STATIC_VALUE: Key<Option<String>> = Key::new("static.value");
const PURPOSE: &str = "field insertion";

pub fn config_def() -> ConfigDef {
    let field = |key: Key<Option<String>>, what: &str| {
        key.default_null().importance(Importance::Medium).doc(format!(
            "Field for {what}. A ! behind the name makes the field required, a ? optional, which it is anyway."
        ))
    };
    ConfigDef::new()
        .define(field(TOPIC_FIELD, "the topic"))
        .define(field(PARTITION_FIELD, "the partition of the topic"))
        .define(field(OFFSET_FIELD, "the offset; only in sink connectors"))
        .define(field(TIMESTAMP_FIELD, "the record's timestamp"))
        .define(field(STATIC_FIELD, "a fixed text"))
        .define(
            STATIC_VALUE
                .default_null()
                .importance(Importance::Medium)
                .doc("The fixed text of static.field."),
        )
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

/// What a new field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static,
}

#[derive(Clone)]
struct Insertion {
    source: Source,
    path: FieldPath,
    schema: Schema,
}

static NO_TEXT: Str = Str::new();

pub struct InsertField {
    part: Part,
    insertions: Vec<Insertion>,
    needs_topic: bool,
    needs_offset: bool,
    static_value: Option<Str>,
    /// The last topic as a text.
    topic: Option<(TopicName, Str)>,
    places: Places,
}

impl InsertField {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            insertions: Vec::new(),
            needs_topic: false,
            needs_offset: false,
            static_value: None,
            topic: None,
            places: Places::default(),
        }
    }
}

impl Transformation for InsertField {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let syntax = config.get(FIELD_SYNTAX_VERSION);
        let fields = [
            (Source::Topic, TOPIC_FIELD),
            (Source::Partition, PARTITION_FIELD),
            (Source::Offset, OFFSET_FIELD),
            (Source::Timestamp, TIMESTAMP_FIELD),
            (Source::Static, STATIC_FIELD),
        ];
        self.insertions.clear();
        for (source, key) in fields {
            let Some(spec) = config.get(key) else {
                continue;
            };
            let (name, optional) = match spec.strip_suffix('!') {
                Some(name) => (name, false),
                None => (spec.strip_suffix('?').unwrap_or(&spec), true),
            };
            self.insertions.push(Insertion {
                source,
                path: FieldPath::parse(name, syntax)?,
                schema: schema_of(source, optional)?,
            });
        }
        if self.insertions.is_empty() {
            return Err(ConnectError::config("No field insertion configured"));
        }
        let has = |source| {
            self.insertions
                .iter()
                .any(|insertion| insertion.source == source)
        };
        self.needs_topic = has(Source::Topic);
        self.needs_offset = has(Source::Offset);
        self.static_value = config.get(STATIC_VALUE).map(|text| Str::interned(&text));
        if has(Source::Static) && self.static_value.is_none() {
            return Err(ConnectError::config(format!(
                "Invalid value null for configuration static.value: No value specified for static field: {}",
                config.get(STATIC_FIELD).unwrap_or_default()
            )));
        }
        let replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
        self.places = Places::new(self.insertions.clone(), replace_null);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        if self.part.value(record).is_null() {
            return Ok(Outcome::Keep);
        }
        let offset = match origin {
            Origin::Sink { kafka_offset, .. } => kafka_offset,
            Origin::Source { .. } => 0,
        };
        // The topic as a text is made once, as long as it stays the same.
        let known = self.topic.as_ref();
        if self.needs_topic && known.is_none_or(|(known, _)| !known.ptr_eq(&record.topic)) {
            self.topic = Some((record.topic.clone(), Str::interned(&record.topic)));
        }
        let inserted = Inserted {
            topic: self.topic.as_ref().map_or(&NO_TEXT, |(_, text)| text),
            partition: record.kafka_partition,
            offset,
            timestamp: record.timestamp,
            fixed: self.static_value.as_ref().unwrap_or(&NO_TEXT),
        };
        let (schema, value) = self.part.slot(record);
        // Java looks at the kind of record when the other requirements are met.
        let refused = self.needs_offset && matches!(origin, Origin::Source { .. });
        match schema {
            None => {
                let map = require_map(value, PURPOSE)?;
                if refused {
                    return Err(no_sink_record());
                }
                self.places.put_into_map(map, &inserted)?;
            }
            Some(schema) => {
                let fields = require_struct(value, PURPOSE)?;
                let plan = self.places.of_schema(fields.schema())?;
                if refused {
                    return Err(no_sink_record());
                }
                plan.run(fields, &inserted)?;
                *schema = fields.schema().clone();
            }
        }
        Ok(Outcome::Keep)
    }
}

#[cold]
fn no_sink_record() -> ConnectError {
    ConnectError::data(format!(
        "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
    ))
}

fn schema_of(source: Source, optional: bool) -> Result<Schema> {
    let builder = match source {
        Source::Timestamp => logical::timestamp(),
        Source::Topic | Source::Static => SchemaBuilder::new(connect_api::data::Type::String),
        Source::Partition => SchemaBuilder::new(connect_api::data::Type::Int32),
        Source::Offset => SchemaBuilder::new(connect_api::data::Type::Int64),
    };
    if optional {
        builder.optional().build()
    } else {
        builder.build()
    }
}
