//! `VectorToJsonConverter`: vectors of numbers as JSON texts, for sinks that know no vectors.

use super::envelope::{check_put, copy_basics_and_optional, no_struct, put_checks, require_struct};
use super::java_hash;
use super::plans::{Planned, Plans, planned};
use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value, append_java_text};
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Properties};

const DOUBLE_VECTOR: &str = "io.debezium.data.DoubleVector";
const FLOAT_VECTOR: &str = "io.debezium.data.FloatVector";
const SPARSE_DOUBLE_VECTOR: &str = "io.debezium.data.SparseDoubleVector";
const JSON: &str = "io.debezium.data.Json";

#[derive(Default)]
pub(super) struct VectorToJsonConverter {
    plans: Plans<Planned<Plan>>,
}

struct Plan {
    schema: Schema,
    checks: Box<[usize]>,
    fields: Box<[Step]>,
}

/// What becomes of one field.
enum Step {
    Keep(Option<Value>),
    Vector,
    SparseVector,
    Inner(Plan),
}

impl Transformation for VectorToJsonConverter {
    fn config_def(&self) -> ConfigDef {
        ConfigDef::new()
    }

    fn configure(&mut self, _: &Properties) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() {
            return Ok(Outcome::Keep);
        }
        let schema = require_struct(&record.value, "Value should be a struct")?.schema();
        let plan = self.plans.get_or_make(schema, plan);
        let plan = planned(plan)?;
        if let Value::Struct(fields) = std::mem::take(&mut record.value) {
            record.value = Value::Struct(plan.apply(fields)?);
            record.value_schema = Some(plan.schema.clone());
        }
        Ok(Outcome::Keep)
    }
}

fn plan(schema: &Schema) -> Planned<Plan> {
    let mut builder = copy_basics_and_optional(schema);
    let mut steps = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let (step, new) = match field.schema.name() {
            Some(DOUBLE_VECTOR | FLOAT_VECTOR) => (Step::Vector, json_schema(&field.schema)?),
            Some(SPARSE_DOUBLE_VECTOR) => (Step::SparseVector, json_schema(&field.schema)?),
            _ if field.schema.schema_type() == Type::Struct => {
                let inner = plan(&field.schema)?;
                let schema = inner.schema.clone();
                (Step::Inner(inner), schema)
            }
            _ => {
                let default = field.schema.default_value().cloned();
                (Step::Keep(default), field.schema.clone())
            }
        };
        builder = builder.field(field.name.clone(), new);
        steps.push(step);
    }
    let schema = builder.build()?;
    // Java keeps the values in a hash map until it puts them, so its order decides which null is named.
    let mut checks = put_checks(&schema);
    let fields = schema.fields();
    java_hash::sort_as_hash_map(&mut checks, fields.len(), |index| {
        java_hash::of_text(&fields[*index].name)
    });
    Ok(Plan {
        checks,
        schema,
        fields: steps.into(),
    })
}

fn json_schema(vector: &Schema) -> Result<Schema> {
    let builder = SchemaBuilder::new(Type::String).name(JSON).version(1);
    match vector.is_optional() {
        true => builder.optional().build(),
        false => builder.build(),
    }
}

impl Plan {
    fn apply(&self, fields: Struct) -> Result<Struct> {
        let mut values = fields.into_values();
        for (value, step) in values.iter_mut().zip(&self.fields) {
            match step {
                Step::Keep(Some(default)) if value.is_null() => *value = default.clone(),
                Step::Keep(_) => {}
                _ if value.is_null() => {}
                Step::Vector => *value = vector_text(value)?,
                Step::SparseVector => *value = sparse_vector_text(value)?,
                Step::Inner(inner) => match std::mem::take(value) {
                    Value::Struct(fields) => *value = Value::Struct(inner.apply(fields)?),
                    other => return Err(no_struct(&other, "Should be a struct.")),
                },
            }
        }
        check_put(&self.schema, &self.checks, &values)?;
        Ok(Struct::of_values(self.schema.clone(), values))
    }
}

fn vector_text(value: &Value) -> Result<Value> {
    let Value::Array(numbers) = value else {
        return Err(super::envelope::class_cast(value, "java.util.Collection"));
    };
    let mut text = b"{ \"values\": [".to_vec();
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            text.extend_from_slice(b", ");
        }
        append_java_text(number, &mut text);
    }
    text.extend_from_slice(b"] }");
    Ok(text_value(text))
}

fn sparse_vector_text(value: &Value) -> Result<Value> {
    let vector = require_struct(value, "SparseDoubleVector should be a struct.")?;
    let dimensions = vector.get_of_type("dimensions", Type::Int16)?;
    let mut entries: Vec<(i16, &Value)> = match vector.get_of_type("vector", Type::Map)? {
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| match key {
                Value::Int16(key) => Ok((*key, value)),
                other => Err(super::envelope::class_cast(other, "java.lang.Short")),
            })
            .collect::<Result<_>>()?,
        other => return Err(super::envelope::class_cast(other, "java.util.Map")),
    };
    entries.sort_by_key(|(key, _)| *key);
    let mut text = b"{ \"dimensions\": ".to_vec();
    append_java_text(dimensions, &mut text);
    text.extend_from_slice(b", \"vector\": { ");
    for (i, (key, value)) in entries.into_iter().enumerate() {
        let start = if i > 0 { ", \"" } else { "\"" };
        text.extend_from_slice(start.as_bytes());
        append_java_text(&Value::Int16(key), &mut text);
        text.extend_from_slice(b"\": ");
        append_java_text(value, &mut text);
    }
    text.extend_from_slice(b" } }");
    Ok(text_value(text))
}

fn text_value(text: Vec<u8>) -> Value {
    Value::from(String::from_utf8(text).expect("numbers and punctuation are ASCII"))
}
