//! The schema of a value that came without one.

use crate::data::{Schema, SchemaBuilder, Type, Value};
use crate::{ConnectError, Result};

/// The schema that a value shows: lists and maps only when all their elements are of one type, which is all
/// that is told of lists and maps inside them. `None` where it shows none: null, empty lists and maps,
/// instants, decimals.
///
/// Fails: for a list or map with nothing but nulls (`type cannot be null`).
pub fn infer_schema(value: &Value) -> Result<Option<Schema>> {
    Ok(Some(match value {
        Value::Boolean(_) => Schema::BOOLEAN,
        Value::Int8(_) => Schema::INT8,
        Value::Int16(_) => Schema::INT16,
        Value::Int32(_) => Schema::INT32,
        Value::Int64(_) => Schema::INT64,
        Value::Float32(_) => Schema::FLOAT32,
        Value::Float64(_) => Schema::FLOAT64,
        Value::String(_) => Schema::STRING,
        Value::Bytes(_) => Schema::BYTES,
        Value::Struct(fields) => fields.schema().clone(),
        Value::Array(elements) => {
            let mut common = Common::default();
            for element in elements {
                if !common.takes(element)? {
                    return Ok(None);
                }
            }
            if elements.is_empty() {
                return Ok(None);
            }
            SchemaBuilder::array(common.schema()?).build()?
        }
        Value::Map(map) => {
            let (mut keys, mut values) = (Common::default(), Common::default());
            for (key, value) in map.iter() {
                if !keys.takes(key)? || !values.takes(value)? {
                    return Ok(None);
                }
            }
            if map.is_empty() {
                return Ok(None);
            }
            SchemaBuilder::map(keys.schema()?, values.schema()?).build()?
        }
        Value::Null | Value::Decimal(_) | Value::Timestamp(_) => return Ok(None),
    }))
}

/// What elements have in common.
#[derive(Default)]
struct Common {
    schema_type: Option<Type>,
    optional: bool,
}

impl Common {
    /// Whether one more element shows the same type as the others.
    fn takes(&mut self, element: &Value) -> Result<bool> {
        if element.is_null() {
            self.optional = true;
            return Ok(true);
        }
        let Some(schema) = infer_schema(element)? else {
            return Ok(false);
        };
        let schema_type = schema.schema_type();
        Ok(*self.schema_type.get_or_insert(schema_type) == schema_type)
    }

    fn schema(&self) -> Result<Schema> {
        let schema_type = self
            .schema_type
            .ok_or_else(|| ConnectError::data("type cannot be null"))?;
        let builder = SchemaBuilder::new(schema_type);
        if self.optional {
            builder.optional().build()
        } else {
            builder.build()
        }
    }
}
