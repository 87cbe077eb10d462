//! Whether a value is valid for a schema, with the messages of Java's `ConnectSchema.validateValue`.

use super::{Schema, Type, Value, logical};
use crate::{ConnectError, Result};
use std::fmt;

/// Where a value stands, as the messages say it.
pub(super) enum Location<'a> {
    Value,
    Field(&'a str),
    Element(&'a Location<'a>),
    MapKey(&'a Location<'a>),
    MapValue(&'a Location<'a>),
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Value => f.write_str("value"),
            Location::Field(name) => write!(f, "field: \"{name}\""),
            Location::Element(of) => write!(f, "element of array {of}"),
            Location::MapKey(of) => write!(f, "key of map {of}"),
            Location::MapValue(of) => write!(f, "value of map {of}"),
        }
    }
}

pub(super) fn validate(schema: &Schema, value: &Value, location: &Location<'_>) -> Result<()> {
    if value.is_null() {
        if schema.is_optional() {
            return Ok(());
        }
        let message = format!(
            "Invalid value: null used for required {location}, schema type: {}",
            schema.schema_type()
        );
        return Err(ConnectError::data(message));
    }
    if !fits(schema, value) {
        let name = schema
            .name()
            .map(|name| format!(" \"{name}\""))
            .unwrap_or_default();
        let (schema_type, class) = (schema.schema_type(), value.java_class());
        let message = format!(
            "Invalid Java object for schema{name} with type {schema_type}: class {class} for {location}"
        );
        return Err(ConnectError::data(message));
    }
    match value {
        Value::Struct(inner) => {
            if inner.schema() != schema {
                return Err(ConnectError::data("Struct schemas do not match."));
            }
            inner.validate()
        }
        Value::Array(elements) => {
            let location = Location::Element(location);
            elements
                .iter()
                .try_for_each(|element| validate_part(schema.value_schema(), element, &location))
        }
        Value::Map(map) => map.iter().try_for_each(|(key, value)| {
            validate_part(schema.key_schema(), key, &Location::MapKey(location))?;
            validate_part(schema.value_schema(), value, &Location::MapValue(location))
        }),
        _ => Ok(()),
    }
}

fn validate_part(schema: Option<&Schema>, value: &Value, location: &Location<'_>) -> Result<()> {
    let schema =
        schema.ok_or_else(|| ConnectError::data(format!("No schema defined for {location}")))?;
    validate(schema, value, location)
}

/// Whether the class of a value is one that the schema takes. A logical name decides before the type.
fn fits(schema: &Schema, value: &Value) -> bool {
    match schema.name() {
        Some(logical::DECIMAL) => return matches!(value, Value::Decimal(_)),
        Some(logical::DATE | logical::TIME | logical::TIMESTAMP) => {
            return matches!(value, Value::Timestamp(_));
        }
        _ => {}
    }
    matches!(
        (schema.schema_type(), value),
        (Type::Int8, Value::Int8(_))
            | (Type::Int16, Value::Int16(_))
            | (Type::Int32, Value::Int32(_))
            | (Type::Int64, Value::Int64(_))
            | (Type::Float32, Value::Float32(_))
            | (Type::Float64, Value::Float64(_))
            | (Type::Boolean, Value::Boolean(_))
            | (Type::String, Value::String(_))
            | (Type::Bytes, Value::Bytes(_))
            | (Type::Array, Value::Array(_))
            | (Type::Map, Value::Map(_))
            | (Type::Struct, Value::Struct(_))
    )
}
