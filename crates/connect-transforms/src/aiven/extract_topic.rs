//! Aiven's `ExtractTopic`: the topic from a field, or from the whole key or value.

use super::{is_blank, name_of, schema_of};
use crate::operate::{Part, parse};
use crate::plan::SchemaPlans;
use crate::record_text::record_text;
use connect_api::data::{Schema, Type, Value, java_text};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, Importance, Key, Properties};

const FIELD: Key<Option<String>> = Key::new("field.name");
const SKIP: Key<bool> = Key::new("skip.missing.or.null");

const TYPES: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";
const CLASSES: &str = "[class java.lang.Byte, class java.lang.Short, class java.lang.Integer, \
                       class java.lang.Long, class java.lang.Double, class java.lang.Float, \
                       class java.lang.Boolean, class java.lang.String]";

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(FIELD.default_null().importance(Importance::High).doc(
            "Field whose text becomes the topic. Without it the whole key or value is the topic.",
        ))
        .define(SKIP.default(false).importance(Importance::Low).doc(
            "Whether a record whose topic would be null, empty or missing keeps its topic; else it is an error.",
        ))
}

pub(super) struct ExtractTopic {
    part: Part,
    field: Option<String>,
    skip: bool,
    fields: SchemaPlans<Option<(usize, bool)>>,
    last: Option<TopicName>,
}

impl ExtractTopic {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            field: None,
            skip: false,
            fields: SchemaPlans::default(),
            last: None,
        }
    }

    /// What is to be the topic; the error is a sentence without the record. `None`: it is null or missing, and why
    /// that would be an error.
    fn find<'a>(&mut self, record: &'a ConnectRecord) -> Result<Result<&'a Value, String>, String> {
        let place = name_of(self.part);
        let value = self.part.value(record);
        let null_or_empty = |what: &str| format!("{what} can't be null or empty");
        match (schema_of(self.part, record), &self.field) {
            (None, Some(field)) => {
                let map = match value {
                    Value::Null => return Err(null_with_field(place)),
                    Value::Map(map) => map,
                    _ => {
                        return Err(format!(
                            "{place} type must be Map if field name is specified"
                        ));
                    }
                };
                let what = format!("{field} in {place}");
                match map.get_str(field) {
                    None | Some(Value::Null) => Ok(Err(null_or_empty(&what))),
                    Some(found) if !is_scalar(found) => Err(format!(
                        "{field} type in {place} {} must be {CLASSES}",
                        java_text(value)
                    )),
                    Some(Value::String(text)) if is_blank(text) => Ok(Err(null_or_empty(&what))),
                    Some(found) => Ok(Ok(found)),
                }
            }
            (None, None) => match value {
                Value::Null => Ok(Err(null_or_empty(place))),
                Value::String(text) if is_blank(text) => Ok(Err(null_or_empty(place))),
                found if is_scalar(found) => Ok(Ok(found)),
                other => Err(format!(
                    "type in {place} {} must be {CLASSES}",
                    java_text(other)
                )),
            },
            (Some(schema), Some(field)) => {
                if schema.schema_type() != Type::Struct {
                    return Err(format!(
                        "{place} schema type must be STRUCT if field name is specified"
                    ));
                }
                let fields = match value {
                    Value::Null => return Err(null_with_field(place)),
                    Value::Struct(fields) => fields,
                    other => {
                        return Err(format!("{place} is no Struct but {}", other.java_class()));
                    }
                };
                let found = self.fields.get(schema, |schema| {
                    let found = schema.field(field);
                    Ok(found.map(|field| (field.index, is_scalar_type(&field.schema))))
                });
                match found.map_err(|error| error.message().to_string())? {
                    None => Ok(Err(format!("{field} in {place} schema can't be missing"))),
                    Some((_, false)) => {
                        Err(format!("{field} schema type in {place} must be {TYPES}"))
                    }
                    Some((index, true)) => {
                        let found = fields.value_or_default(*index);
                        let is_empty = found.is_null() || found.as_str() == Some("");
                        Ok(match is_empty {
                            true => Err(null_or_empty(&format!("{field} in {place}"))),
                            false => Ok(found),
                        })
                    }
                }
            }
            (Some(schema), None) => {
                if !is_scalar_type(schema) {
                    return Err(format!(
                        "{place} schema type must be {TYPES} if field name is not specified"
                    ));
                }
                let is_empty = value.is_null() || value.as_str() == Some("");
                Ok(match is_empty {
                    true => Err(null_or_empty(place)),
                    false => Ok(value),
                })
            }
        }
    }
}

fn null_with_field(place: &str) -> String {
    format!("{place} can't be null if field name is specified")
}

fn is_scalar(value: &Value) -> bool {
    matches!(
        value,
        Value::Int8(_)
            | Value::Int16(_)
            | Value::Int32(_)
            | Value::Int64(_)
            | Value::Float32(_)
            | Value::Float64(_)
            | Value::Boolean(_)
            | Value::String(_)
    )
}

fn is_scalar_type(schema: &Schema) -> bool {
    let schema_type = schema.schema_type();
    schema_type.is_primitive() && schema_type != Type::Bytes
}

impl Transformation for ExtractTopic {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.field = config.get(FIELD).filter(|field| !field.is_empty());
        self.skip = config.get(SKIP);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        let skip = self.skip;
        let fail = |what: String| {
            let record = record_text(record, origin);
            Err(ConnectError::data(format!("{what}: {record}")))
        };
        let topic = match self.find(record) {
            Ok(Ok(Value::String(topic))) => topic.clone(),
            Ok(Ok(other)) => java_text(other).to_string().into(),
            Ok(Err(_)) if skip => return Ok(Outcome::Keep),
            Ok(Err(what)) | Err(what) => return fail(what),
        };
        let known = self.last.as_ref().filter(|last| ***last == *topic.as_str());
        let topic = known.cloned().unwrap_or_else(|| topic.as_str().into());
        self.last = Some(topic.clone());
        record.topic = topic;
        Ok(Outcome::Keep)
    }
}
