//! `SetSchemaMetadata`: another name or version for a struct's schema.
//!
//! Source: `org.apache.kafka.connect.transforms.SetSchemaMetadata` of Apache Kafka 4.3.1.

use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, no_fields, parse, replace_null_with_default,
};
use crate::plan::SchemaPlans;
use connect_api::data::{Schema, SchemaBuilder, Str, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};

const SCHEMA_NAME: Key<Option<String>> = Key::new("schema.name");
const SCHEMA_VERSION: Key<Option<i32>> = Key::new("schema.version");

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            SCHEMA_NAME
                .default_null()
                .importance(Importance::High)
                .doc("The schema's name from now on."),
        )
        .define(
            SCHEMA_VERSION
                .default_null()
                .importance(Importance::High)
                .doc("The schema's version from now on."),
        )
        .define(replace_null_with_default())
}

pub struct SetSchemaMetadata {
    part: Part,
    name: Option<Str>,
    version: Option<i32>,
    replace_null: bool,
    schemas: SchemaPlans<Schema>,
}

impl SetSchemaMetadata {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            name: None,
            version: None,
            replace_null: true,
            schemas: SchemaPlans::default(),
        }
    }

    fn updated(name: Option<&Str>, version: Option<i32>, schema: &Schema) -> Result<Schema> {
        if schema.schema_type() != Type::Struct {
            return Err(no_fields());
        }
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        if let Some(name) = name {
            builder = builder.name(name.clone());
        }
        if let Some(version) = version {
            builder = builder.version(version);
        }
        if schema.is_optional() {
            builder = builder.optional();
        }
        if let Some(default) = schema.default_value() {
            builder = builder.default_value(default.clone());
        }
        for field in schema.fields() {
            builder = builder.field(field.name.clone(), field.schema.clone());
        }
        Ok(builder.build_unchecked()?.interned())
    }
}

impl Transformation for SetSchemaMetadata {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.name = config.get(SCHEMA_NAME).map(Str::from);
        self.version = config.get(SCHEMA_VERSION);
        self.replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
        if self.name.is_none() && self.version.is_none() {
            return Err(ConnectError::config(
                "Neither schema name nor version configured",
            ));
        }
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        let Some(schema) = schema else {
            return match value {
                Value::Null => Ok(Outcome::Keep),
                _ => Err(ConnectError::data(
                    "Schema required for [updating schema metadata]",
                )),
            };
        };
        let (name, version) = (self.name.as_ref(), self.version);
        let updated = self
            .schemas
            .get(schema, |schema| Self::updated(name, version, schema))?;
        if let Value::Struct(fields) = value {
            if fields.schema().fields().len() != updated.fields().len() {
                return Err(ConnectError::data("Struct schemas do not match."));
            }
            for index in 0..fields.values().len() {
                if !fields.values()[index].is_null() {
                    continue;
                }
                if self.replace_null
                    && let Some(default) = updated.fields()[index].schema.default_value()
                {
                    fields.values_mut()[index] = default.clone();
                } else {
                    updated.fields()[index].validate(&Value::Null)?;
                }
            }
            fields.set_schema(updated.clone());
        }
        *schema = updated.clone();
        Ok(Outcome::Keep)
    }
}
