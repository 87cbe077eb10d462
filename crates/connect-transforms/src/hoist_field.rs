//! `HoistField`: wraps the whole in a struct or map with one field.
//!
//! Source: `org.apache.kafka.connect.transforms.HoistField` of Apache Kafka 4.3.1.

use crate::operate::{Part, parse};
use crate::plan::{SchemaPlans, keys_of};
use connect_api::data::{Keys, Map, Schema, SchemaBuilder, Str, Struct, Value};
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};
use std::sync::Arc;

const FIELD: Key<Option<String>> = Key::new("field");

pub fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        FIELD
            .required()
            .importance(Importance::Medium)
            .doc("Name of the field that holds the former key or value."),
    )
}

pub struct HoistField {
    part: Part,
    field: Str,
    /// Of maps with this one field.
    keys: Arc<Keys>,
    schemas: SchemaPlans<Schema>,
}

impl HoistField {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            field: Str::new(),
            keys: Arc::default(),
            schemas: SchemaPlans::default(),
        }
    }
}

impl Transformation for HoistField {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let field = parse(&config_def(), configs)?.get(FIELD).map(Str::from);
        // A field called null is a key of a map; schemas refuse it as they refuse an empty name.
        self.keys = keys_of([field.clone().map_or(Value::Null, Value::String)]);
        self.field = field.unwrap_or_default();
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        let Some(schema) = schema else {
            let inner = std::mem::take(value);
            *value = Value::Map(Map::of_interned_shape(&self.keys, vec![inner]));
            return Ok(Outcome::Keep);
        };
        let name = &self.field;
        let updated = self.schemas.get(schema, |schema| {
            let builder = SchemaBuilder::structure().field(name.clone(), schema.clone());
            Ok(builder.build()?.interned())
        })?;
        // What is in a record is valid for its schema; only null is to be looked at.
        if value.is_null() {
            updated.fields()[0].validate(value)?;
        }
        let inner = std::mem::take(value);
        *value = Value::Struct(Struct::of_values(updated.clone(), vec![inner]));
        *schema = updated.clone();
        Ok(Outcome::Keep)
    }
}
