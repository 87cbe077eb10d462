//! `ExtractField`: the value of one field takes the place of the whole.
//!
//! Source: `org.apache.kafka.connect.transforms.ExtractField` of Apache Kafka 4.3.1.

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, FieldSyntax, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, no_map, no_struct, parse, replace_null_with_default,
};
use crate::plan::SchemaPlans;
use connect_api::data::{Schema, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};

const FIELD: Key<String> = Key::new("field");
const PURPOSE: &str = "field extraction";

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FIELD
                .required()
                .importance(Importance::Medium)
                .doc("Name or, with field.syntax.version=V2, path of the field to take out."),
        )
        .define(field_syntax_version())
        .define(replace_null_with_default())
}

pub struct ExtractField {
    part: Part,
    path: FieldPath,
    replace_null: bool,
    plans: SchemaPlans<Plan>,
}

/// The way to the field in structs of one schema.
struct Plan {
    /// Of the field.
    schema: Schema,
    indexes: Vec<usize>,
}

impl ExtractField {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            path: FieldPath::parse("", FieldSyntax::V1).expect("a name is always a path"),
            replace_null: true,
            plans: SchemaPlans::default(),
        }
    }
}

impl Transformation for ExtractField {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.path = FieldPath::parse(&config.get(FIELD), config.get(FIELD_SYNTAX_VERSION))?;
        self.replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        let Some(schema) = schema else {
            *value = self.extract_from_map(std::mem::take(value))?;
            return Ok(Outcome::Keep);
        };
        if !matches!(value, Value::Struct(_) | Value::Null) {
            return Err(no_struct(value, PURPOSE));
        }
        let path = &self.path;
        let plan = self.plans.get(schema, |schema| Plan::new(path, schema))?;
        let whole = std::mem::take(value);
        if whole.is_null() {
            *schema = plan.schema.clone();
            return Ok(Outcome::Keep);
        }
        // A struct under another schema than the record's is asked by its own.
        let of_struct;
        let plan = match &whole {
            Value::Struct(fields) if !fields.schema().ptr_eq(schema) => {
                of_struct = Plan::new(path, fields.schema())?;
                &of_struct
            }
            _ => plan,
        };
        *value = plan.extract(whole, self.replace_null);
        *schema = plan.schema.clone();
        Ok(Outcome::Keep)
    }
}

impl ExtractField {
    fn extract_from_map(&self, mut value: Value) -> Result<Value> {
        if self.path.steps().is_empty() {
            return Err(empty_path());
        }
        for (depth, step) in self.path.steps().iter().enumerate() {
            value = match &mut value {
                Value::Null => return Ok(Value::Null),
                Value::Map(map) => match map.get_str_mut(step) {
                    Some(found) => std::mem::take(found),
                    None => return Ok(Value::Null),
                },
                other if depth == 0 => return Err(no_map(other, PURPOSE)),
                other => return Err(no_map(other, "nested field access")),
            };
        }
        Ok(value)
    }
}

impl Plan {
    fn new(path: &FieldPath, schema: &Schema) -> Result<Self> {
        if path.steps().is_empty() {
            return Err(empty_path());
        }
        let mut indexes = Vec::new();
        let mut at = schema;
        for step in path.steps() {
            if at.schema_type() != Type::Struct {
                return Err(ConnectError::data(
                    "Cannot look up fields on non-struct type",
                ));
            }
            let field = at.field(step).ok_or_else(|| unknown_field(path))?;
            indexes.push(field.index);
            at = &field.schema;
        }
        Ok(Self {
            schema: at.clone(),
            indexes,
        })
    }

    /// Structs on the way are always read with their defaults.
    fn extract(&self, mut value: Value, replace_null: bool) -> Value {
        for (depth, index) in self.indexes.iter().enumerate() {
            let Value::Struct(fields) = &mut value else {
                return Value::Null;
            };
            let last = depth + 1 == self.indexes.len();
            let found = std::mem::take(&mut fields.values_mut()[*index]);
            value = if found.is_null() && (replace_null || !last) {
                fields.value_or_default(*index).clone()
            } else {
                found
            };
        }
        value
    }
}

#[cold]
fn unknown_field(path: &FieldPath) -> ConnectError {
    ConnectError::data(format!("Unknown field: {}", path.text()))
}

/// Java fails on a list of no steps.
#[cold]
fn empty_path() -> ConnectError {
    ConnectError::data("the path of the field is empty; name a field in \"field\"")
}
