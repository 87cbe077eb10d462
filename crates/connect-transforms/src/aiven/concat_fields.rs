//! Aiven's `ConcatFields`: the texts of fields, joined, as a new field.

use super::name_of;
use crate::operate::{Part, parse};
use crate::plan::SchemaPlans;
use crate::record_text::record_text;
use connect_api::data::{Map, Schema, SchemaBuilder, Str, Struct, Type, Value, append_java_text};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};

const FIELDS: Key<Vec<String>> = Key::new("field.names");
const OUTPUT: Key<String> = Key::new("output.field.name");
const REPLACE_MISSING: Key<String> = Key::new("field.replace.missing");
const DELIMITER: Key<String> = Key::new("delimiter");

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FIELDS
                .required()
                .importance(Importance::High)
                .doc("Fields to join, in order."),
        )
        .define(
            OUTPUT
                .required()
                .importance(Importance::High)
                .validator(Validator::non_empty())
                .doc("Field that gets the joined text."),
        )
        .define(
            REPLACE_MISSING
                .default("")
                .importance(Importance::High)
                .doc("What stands for a field that is missing or null."),
        )
        .define(
            DELIMITER
                .default("")
                .importance(Importance::High)
                .doc("What stands between the texts."),
        )
}

pub(super) struct ConcatFields {
    part: Part,
    config: Option<Config>,
    plans: SchemaPlans<Plan>,
}

struct Config {
    fields: Vec<String>,
    output: Str,
    missing: String,
    delimiter: String,
}

struct Plan {
    schema: Schema,
    fields: Vec<Option<usize>>,
}

impl ConcatFields {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            config: None,
            plans: SchemaPlans::default(),
        }
    }
}

impl Config {
    fn joined<'a>(&self, values: impl Iterator<Item = Option<&'a Value>>) -> Value {
        let mut text = Vec::new();
        for (i, value) in values.enumerate() {
            if i > 0 {
                text.extend_from_slice(self.delimiter.as_bytes());
            }
            match value {
                None | Some(Value::Null) => text.extend_from_slice(self.missing.as_bytes()),
                Some(value) => append_java_text(value, &mut text),
            }
        }
        Value::from(String::from_utf8_lossy(&text).into_owned())
    }

    /// The fields and the new one, without name and all else of the old schema.
    fn plan(&self, schema: &Schema) -> Result<Plan> {
        let fields = schema.fields().iter();
        let builder = fields.fold(SchemaBuilder::structure(), |builder, field| {
            builder.field(field.name.clone(), field.schema.clone())
        });
        let builder = builder.field(self.output.clone(), Schema::OPTIONAL_STRING);
        Ok(Plan {
            schema: builder.build()?,
            fields: self
                .fields
                .iter()
                .map(|field| schema.field_index(field))
                .collect(),
        })
    }
}

impl Transformation for ConcatFields {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.config = Some(Config {
            fields: config.get(FIELDS),
            output: config.get(OUTPUT).into(),
            missing: config.get(REPLACE_MISSING),
            delimiter: config.get(DELIMITER),
        });
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        let config = self
            .config
            .as_ref()
            .expect("configured before the first record");
        let (schema, value) = self.part.slot(record);
        match value {
            Value::Struct(old) => {
                let plan = self.plans.get(old.schema(), |schema| config.plan(schema))?;
                let fields = plan.fields.iter();
                let joined =
                    config.joined(fields.map(|index| Some(old.value_or_default((*index)?))));
                let values =
                    (0..old.values().len()).map(|index| old.value_or_default(index).clone());
                let mut values: Vec<Value> = values.collect();
                values.push(joined);
                *value = Value::Struct(Struct::of_values(plan.schema.clone(), values));
                *schema = Some(plan.schema.clone());
                Ok(Outcome::Keep)
            }
            Value::Map(map) => {
                if schema
                    .as_ref()
                    .is_some_and(|schema| schema.schema_type() != Type::Struct)
                {
                    return Err(ConnectError::data("Cannot list fields on non-struct type"));
                }
                let joined = joined_of(config, map);
                map.insert(Value::String(config.output.clone()), joined);
                Ok(Outcome::Keep)
            }
            Value::Null => {
                let record = record_text(record, origin);
                let place = name_of(self.part);
                Err(ConnectError::data(format!(
                    "{place} Value can't be null: {record}"
                )))
            }
            _ => {
                let record = record_text(record, origin);
                Err(ConnectError::data(format!(
                    "Value type must be STRUCT or MAP: {record}"
                )))
            }
        }
    }
}

fn joined_of(config: &Config, map: &Map) -> Value {
    config.joined(config.fields.iter().map(|field| map.get_str(field)))
}
