//! A value of one schema as a value of another: `org.apache.kafka.connect.data.SchemaProjector`.
//!
//! Never here: conversions between types beyond widening a number (`values::convert_to`).

use super::{Map, Schema, Str, Struct, Type, Value};
use crate::{ConnectError, Result};

/// The value as one of the schema `target`. Numbers may widen (INT8 to INT16, INT32, INT64, FLOAT32, FLOAT64);
/// fields are found by name, those that `target` lacks are left out, those that `source` lacks get their
/// default or null; null gets the default where `target` is required.
///
/// Fails: when types, names or parameters of the schemas do not match, anywhere inside them, or a required
/// value is missing.
pub fn project(source: &Schema, value: &Value, target: &Schema) -> Result<Value> {
    check_compatible(source, target)?;
    if source.is_optional() && !target.is_optional() {
        let Some(default) = target.default_value() else {
            return Err(ConnectError::data(
                "Writer schema is optional, however, target schema does not provide a default value.",
            ));
        };
        if value.is_null() {
            return Ok(default.clone());
        }
    }
    match value {
        Value::Null => Ok(Value::Null),
        Value::Struct(fields) if target.schema_type() == Type::Struct => {
            project_struct(source, fields, target).map(Value::Struct)
        }
        Value::Array(elements) if target.schema_type() == Type::Array => {
            project_list(source.value_schema(), elements, target.value_schema()).map(Value::Array)
        }
        Value::Map(map) if target.schema_type() == Type::Map => {
            let keys = project_list(source.key_schema(), map.keys(), target.key_schema())?;
            let values = project_list(source.value_schema(), map.values(), target.value_schema())?;
            Ok(Value::Map(keys.into_iter().zip(values).collect::<Map>()))
        }
        _ => Ok(promote(value, target.schema_type())),
    }
}

fn check_compatible(source: &Schema, target: &Schema) -> Result<()> {
    let (source_type, target_type) = (source.schema_type(), target.schema_type());
    if source_type != target_type && !is_promotable(source_type, target_type) {
        return Err(ConnectError::data(format!(
            "Schema type mismatch. source type: {source_type} and target type: {target_type}"
        )));
    }
    if source.name() != target.name() {
        let (source, target) = (source.name(), target.name());
        return Err(ConnectError::data(format!(
            "Schema name mismatch. source name: {} and target name: {}",
            source.unwrap_or("null"),
            target.unwrap_or("null")
        )));
    }
    if !source.has_same_parameters(target) {
        return Err(ConnectError::data(format!(
            "Schema parameters not equal. source parameters: {} and target parameters: {}",
            parameters_text(source.parameters()),
            parameters_text(target.parameters())
        )));
    }
    Ok(())
}

/// As Java prints a map, or `null`.
fn parameters_text(parameters: Option<&[(Str, Str)]>) -> String {
    let Some(parameters) = parameters else {
        return "null".to_string();
    };
    let entries = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

fn project_struct(source: &Schema, fields: &Struct, target: &Schema) -> Result<Struct> {
    let mut projected = Struct::new(target.clone())?;
    for target_field in target.fields() {
        let name = &target_field.name;
        let value = match source.field(name) {
            Some(field) => project(&field.schema, fields.get(name)?, &target_field.schema)
                .map_err(|cause| {
                    ConnectError::data(format!("Error projecting {name}")).caused_by(cause)
                })?,
            None if target_field.schema.is_optional() => continue,
            None => match target_field.schema.default_value() {
                Some(default) => default.clone(),
                None => {
                    return Err(ConnectError::data(format!(
                        "Required field `{name}` is missing from source schema: {source}"
                    )));
                }
            },
        };
        projected.put(name, value)?;
    }
    Ok(projected)
}

fn project_list(
    source: Option<&Schema>,
    values: &[Value],
    target: Option<&Schema>,
) -> Result<Vec<Value>> {
    let (Some(source), Some(target)) = (source, target) else {
        return Err(ConnectError::data("array or map without element schemas"));
    };
    let values = values.iter().map(|value| project(source, value, target));
    values.collect()
}

fn is_promotable(source: Type, target: Type) -> bool {
    match (width(source), width(target)) {
        (Some(source), Some(target)) => source <= target,
        _ => false,
    }
}

/// The order in which numbers widen.
fn width(schema_type: Type) -> Option<u8> {
    Some(match schema_type {
        Type::Int8 => 0,
        Type::Int16 => 1,
        Type::Int32 => 2,
        Type::Int64 => 3,
        Type::Float32 => 4,
        Type::Float64 => 5,
        _ => return None,
    })
}

fn promote(value: &Value, target: Type) -> Value {
    let long = match value {
        Value::Int8(number) => i64::from(*number),
        Value::Int16(number) => i64::from(*number),
        Value::Int32(number) => i64::from(*number),
        Value::Int64(number) => *number,
        Value::Float32(number) if target == Type::Float64 => {
            return Value::Float64(f64::from(*number));
        }
        _ => return value.clone(),
    };
    match target {
        Type::Int8 => Value::Int8(long as i8),
        Type::Int16 => Value::Int16(long as i16),
        Type::Int32 => Value::Int32(long as i32),
        Type::Int64 => Value::Int64(long),
        Type::Float32 => Value::Float32(long as f32),
        Type::Float64 => Value::Float64(long as f64),
        _ => value.clone(),
    }
}
