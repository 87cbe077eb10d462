//! `ValueToKey`: makes the key of fields of the value.
//!
//! Source: `org.apache.kafka.connect.transforms.ValueToKey` of Apache Kafka 4.3.1.

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, field_syntax_version};
use crate::operate::{
    REPLACE_NULL_WITH_DEFAULT, no_map, no_struct, parse, replace_null_with_default,
};
use crate::plan::{SchemaPlans, ShapePlans, keys_of};
use crate::reading::Reading;
use connect_api::data::{Keys, Map, Schema, SchemaBuilder, Struct, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};
use std::sync::Arc;

const FIELDS: Key<Vec<String>> = Key::new("fields");
const PURPOSE: &str = "copying fields from value to key";

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FIELDS
                .required()
                .validator(Validator::any_non_duplicate_values(false, false))
                .importance(Importance::High)
                .doc(
                    "Fields of the value that make the key, in this order. A field that is named by a path goes into \
                     the key under the last step of the path.",
                ),
        )
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

#[derive(Default)]
pub struct ValueToKey {
    paths: Vec<FieldPath>,
    replace_null: bool,
    /// Of keys made of maps.
    keys: Arc<Keys>,
    structs: SchemaPlans<Plan>,
    shapes: ShapePlans<Vec<Option<usize>>>,
}

struct Plan {
    key_schema: Schema,
    readings: Vec<Reading>,
}

impl Transformation for ValueToKey {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let syntax = config.get(FIELD_SYNTAX_VERSION);
        let fields = config.get(FIELDS);
        let paths: Result<Vec<FieldPath>> = fields
            .iter()
            .map(|field| FieldPath::parse(field, syntax))
            .collect();
        self.paths = paths?;
        for (i, path) in self.paths.iter().enumerate() {
            if self.paths[..i]
                .iter()
                .any(|other| other.last() == path.last())
            {
                return Err(ConnectError::config(format!(
                    "fields: two of them would be called \"{}\" in the key; rename one first with ReplaceField",
                    path.last()
                )));
            }
        }
        self.keys = keys_of(
            self.paths
                .iter()
                .map(|path| Value::String(path.last().clone())),
        );
        self.replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value_schema.is_none() {
            let Value::Map(map) = &record.value else {
                return Err(no_map(&record.value, PURPOSE));
            };
            record.key = self.key_of_map(map)?;
            record.key_schema = None;
            return Ok(Outcome::Keep);
        }
        let Value::Struct(fields) = &record.value else {
            return Err(no_struct(&record.value, PURPOSE));
        };
        let paths = &self.paths;
        let plan = self
            .structs
            .get(fields.schema(), |schema| Plan::new(paths, schema))?;
        let mut key = Vec::with_capacity(plan.readings.len());
        for (i, reading) in plan.readings.iter().enumerate() {
            let value = reading.value(fields, self.replace_null);
            if value.is_null() {
                plan.key_schema.fields()[i].validate(value)?;
            }
            key.push(value.clone());
        }
        record.key = Value::Struct(Struct::of_values(plan.key_schema.clone(), key));
        record.key_schema = Some(plan.key_schema.clone());
        Ok(Outcome::Keep)
    }
}

impl ValueToKey {
    fn key_of_map(&mut self, map: &Map) -> Result<Value> {
        let paths = &self.paths;
        let places = self.shapes.get(map.shared_keys(), |keys| {
            let first_step = |path: &FieldPath| keys.position_of_str(path.steps().first()?);
            Ok(paths.iter().map(first_step).collect())
        })?;
        let values = paths.iter().zip(places.iter()).map(|(path, place)| {
            let Some(place) = place else {
                return Value::Null;
            };
            match path.steps() {
                [_] => map.values()[*place].clone(),
                _ => Reading::of_map(path, map).cloned().unwrap_or_default(),
            }
        });
        Ok(Value::Map(Map::of_interned_shape(
            &self.keys,
            values.collect(),
        )))
    }
}

impl Plan {
    fn new(paths: &[FieldPath], schema: &Schema) -> Result<Self> {
        let mut builder = SchemaBuilder::structure();
        let mut readings = Vec::new();
        for path in paths {
            let reading = Reading::new(path, schema).ok_or_else(|| {
                ConnectError::data(format!("Field does not exist: {}", path.text()))
            })?;
            builder = builder.field(path.last().clone(), reading.schema().clone());
            readings.push(reading);
        }
        Ok(Self {
            key_schema: builder.build()?.interned(),
            readings,
        })
    }
}
