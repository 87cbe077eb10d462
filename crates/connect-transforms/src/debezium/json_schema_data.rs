//! JSON texts as structs, their schema guessed from the values: `table.expand.json.payload` and the content of
//! logical decoding messages.
//!
//! Source: `JsonSchemaData` of Debezium 3.7.0.Final, with what it cannot do: numbers of different types in one array,
//! and integers beyond 64 bits, are errors.

use super::name_adjuster::NameAdjuster;
use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value, java_text};
use connect_api::{ConnectError, Result};
use serde::Deserialize as _;
use serde_json::Value as Json;
use std::sync::Arc;

/// How a schema is guessed.
#[derive(Clone, Copy, Default)]
pub(super) struct JsonSchemaData {
    /// Null members become optional bytes; else they are left out.
    pub(super) nulls_are_bytes: bool,
    /// Empty arrays become arrays of optional strings; else they are left out.
    pub(super) empty_arrays_are_strings: bool,
    pub(super) adjuster: NameAdjuster,
}

/// The first JSON value of a text; what follows it does not matter.
pub(super) fn parse(text: &str) -> Result<Json, serde_json::Error> {
    Json::deserialize(&mut serde_json::Deserializer::from_str(text))
}

impl JsonSchemaData {
    /// The schema of a value, optional throughout; `None` for a value that is to be left out.
    ///
    /// Fails: for arrays whose elements have no common schema.
    pub(super) fn schema(&self, key: Option<&str>, node: &Json) -> Result<Option<Schema>> {
        Ok(Some(match node {
            Json::String(_) => Schema::OPTIONAL_STRING,
            Json::Bool(_) => Schema::OPTIONAL_BOOLEAN,
            Json::Number(number) => number_schema(number),
            Json::Array(elements) if elements.is_empty() => {
                if !self.empty_arrays_are_strings {
                    return Ok(None);
                }
                SchemaBuilder::array(Schema::OPTIONAL_STRING)
                    .optional()
                    .build()?
            }
            Json::Array(elements) => {
                let elements = self.element_schema(key, elements)?;
                SchemaBuilder::array(elements).optional().build()?
            }
            Json::Object(members) => {
                let mut builder = SchemaBuilder::structure().optional();
                if let Some(key) = key {
                    builder = builder.name(key);
                }
                let mut names: Vec<String> = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let name = self.adjuster.adjust(name);
                    let path = match key {
                        Some(key) if !super::settings::java_trim(key).is_empty() => {
                            format!("{key}.{name}")
                        }
                        _ => name.to_string(),
                    };
                    // A name that was there before adjusting keeps its first schema.
                    if let Some(schema) = self.schema(Some(&path), member)?
                        && !names.iter().any(|known| *known == name)
                    {
                        if name.is_empty() {
                            return Err(ConnectError::data("fieldName cannot be null."));
                        }
                        builder = builder.field(name.as_ref(), schema);
                        names.push(name.into_owned());
                    }
                }
                builder.build()?
            }
            Json::Null if self.nulls_are_bytes => Schema::OPTIONAL_BYTES,
            Json::Null => return Ok(None),
        }))
    }

    fn element_schema(&self, key: Option<&str>, elements: &[Json]) -> Result<Schema> {
        let sample = sample_of(elements)?;
        if !sample.is_object() {
            let schema = self.schema(None, sample)?;
            return schema
                .ok_or_else(|| ConnectError::data("Array '' has unrecognized member schema."));
        }
        // Java walks a hash set here, so which object comes first is chance; ours is the first one.
        let mut schemas: Vec<Schema> = Vec::new();
        for element in elements.iter().filter(|element| element.is_object()) {
            let schema = self.schema(key, element)?.expect("an object has a schema");
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
        let mut schemas = schemas.into_iter();
        let first = schemas.next().expect("the sample is an object");
        schemas.try_fold(first, |merged, schema| merge(&merged, &schema))
    }

    /// The value in that schema.
    ///
    /// Fails: where the value does not fit, and for a schema that is no struct.
    pub(super) fn data(&self, node: &Json, schema: &Schema) -> Result<Struct> {
        let mut data = Struct::new(schema.clone())?;
        for field in schema.fields() {
            if let Some(member) = node.get(field.name.as_str()) {
                data.put(&field.name, self.value(member, &field.schema)?)?;
            }
        }
        Ok(data)
    }

    fn value(&self, node: &Json, schema: &Schema) -> Result<Value> {
        Ok(match node {
            Json::Null => Value::Null,
            Json::String(text) => text.as_str().into(),
            Json::Bool(truth) => Value::Boolean(*truth),
            Json::Number(number) => match (is_integer(number), number.as_i64()) {
                (true, Some(number)) => match i32::try_from(number) {
                    Ok(number) => Value::Int32(number),
                    Err(_) => Value::Int64(number),
                },
                // Not valid for the schema of a double, which putting it says.
                (true, None) => Value::Decimal(Arc::new(
                    number.as_str().parse().map_err(|_| not_a_number(number))?,
                )),
                (false, _) => {
                    Value::Float64(number.as_str().parse().map_err(|_| not_a_number(number))?)
                }
            },
            Json::Array(elements) => {
                let of = || {
                    schema.value_schema().ok_or_else(|| {
                        ConnectError::data(
                            "Cannot look up value schema on non-array and non-map type",
                        )
                    })
                };
                let elements = elements.iter().map(|element| self.value(element, of()?));
                Value::Array(elements.collect::<Result<_>>()?)
            }
            Json::Object(_) => Value::Struct(self.data(node, schema)?),
        })
    }
}

fn not_a_number(number: &serde_json::Number) -> ConnectError {
    ConnectError::data(format!("{number} is no number"))
}

fn is_integer(number: &serde_json::Number) -> bool {
    !number.as_str().contains(['.', 'e', 'E'])
}

fn number_schema(number: &serde_json::Number) -> Schema {
    match number.as_i64().filter(|_| is_integer(number)) {
        Some(number) if i32::try_from(number).is_ok() => Schema::OPTIONAL_INT32,
        Some(_) => Schema::OPTIONAL_INT64,
        None => Schema::OPTIONAL_FLOAT64,
    }
}

/// The first element that is not null, when all others are of its kind.
fn sample_of(elements: &[Json]) -> Result<&Json> {
    let mut sample = &Json::Null;
    for element in elements.iter().filter(|element| !element.is_null()) {
        if sample.is_null() {
            sample = element;
        }
        if std::mem::discriminant(element) != std::mem::discriminant(sample) {
            return Err(ConnectError::data(format!(
                "Field is not a homogenous array ({} x {}).",
                scalar_text(sample),
                kind_name(element)
            )));
        }
        if let (Json::Number(first), Json::Number(number)) = (sample, element) {
            let (first_schema, schema) = (number_schema(first), number_schema(number));
            if !first_schema.ptr_eq(&schema) {
                return Err(ConnectError::data(format!(
                    "Field is not a homogenous array ({} x {}), different number types ({first_schema} x {schema})",
                    scalar_text(sample),
                    scalar_text(element),
                )));
            }
        }
    }
    Ok(sample)
}

/// Jackson's `asText`: nothing for arrays and objects.
fn scalar_text(node: &Json) -> String {
    match node {
        Json::String(text) => text.clone(),
        Json::Array(_) | Json::Object(_) => String::new(),
        Json::Number(number) if !is_integer(number) => match number.as_str().parse() {
            Ok(number) => java_text(&Value::Float64(number)).to_string(),
            Err(_) => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn kind_name(node: &Json) -> &'static str {
    match node {
        Json::Null => "NULL",
        Json::Bool(_) => "BOOLEAN",
        Json::Number(_) => "NUMBER",
        Json::String(_) => "STRING",
        Json::Array(_) => "ARRAY",
        Json::Object(_) => "OBJECT",
    }
}

/// The fields of both. Where both have one, the first's, unless it is bytes, which a null has left there.
fn merge(left: &Schema, right: &Schema) -> Result<Schema> {
    let mut builder = super::envelope::copy_basics(left);
    for field in left.fields() {
        let is_bytes = |schema: &Schema| schema.schema_type() == Type::Bytes;
        let schema = match right.field(&field.name) {
            Some(other) if is_bytes(&field.schema) && !is_bytes(&other.schema) => &other.schema,
            _ => &field.schema,
        };
        builder = builder.field(field.name.clone(), schema.clone());
    }
    for field in right.fields() {
        if left.field(&field.name).is_none() {
            builder = builder.field(field.name.clone(), field.schema.clone());
        }
    }
    builder.build()
}
