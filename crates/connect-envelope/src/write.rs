//! Values as JSON, with a schema that leads or without.

use crate::read::MS_PER_DAY;
use crate::write_schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect_api::data::{Map, Schema, SchemaAndValue, Type, Value, logical};
use serde_json::{Number, Value as Json, json};

/// `{"schema":…,"payload":…}`.
pub fn write_data(data: &SchemaAndValue) -> Json {
    let schema = data.schema.as_ref();
    json!({"schema": write_schema(schema), "payload": write_payload(schema, &data.value)})
}

/// A payload under a schema, if there is one; a value that the schema does not describe is tagged.
pub fn write_payload(schema: Option<&Schema>, value: &Value) -> Json {
    let Some(schema) = schema else {
        return write_schemaless(value);
    };
    match described(schema, value) {
        Some(json) => json,
        None => json!({"$value": write_schemaless(value)}),
    }
}

/// A payload that says its types itself.
pub fn write_schemaless(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(truth) => (*truth).into(),
        Value::Int8(number) => json!({"$int8": number}),
        Value::Int16(number) => json!({"$int16": number}),
        Value::Int32(number) => json!({"$int32": number}),
        Value::Int64(number) => (*number).into(),
        Value::Float32(number) => json!({"$float32": float32(*number)}),
        Value::Float64(number) if number.is_finite() => float64(*number),
        Value::Float64(number) => json!({"$float64": float64(*number)}),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => json!({"$bytes": STANDARD.encode(bytes)}),
        Value::Array(elements) => elements.iter().map(write_schemaless).collect(),
        Value::Map(map) if is_plain(map) => {
            let members = map.iter().map(|(key, value)| {
                let key = key.as_str().expect("a plain map has text keys");
                (key.to_string(), write_schemaless(value))
            });
            Json::Object(members.collect())
        }
        Value::Map(map) => json!({"$map": pairs(map, None, None)}),
        Value::Struct(value) => {
            let schema = Some(value.schema());
            let payload = write_payload(schema, &Value::Struct(value.clone()));
            json!({"$struct": {"schema": write_schema(schema), "payload": payload}})
        }
        Value::Decimal(decimal) => json!({"$decimal": decimal.to_string()}),
        Value::Timestamp(ms) => json!({"$timestamp": ms}),
    }
}

/// The form of a value that is what the schema says; `None` when it is something else.
fn described(schema: &Schema, value: &Value) -> Option<Json> {
    let schema_type = schema.schema_type();
    Some(match (schema_type, schema.name(), value) {
        (_, _, Value::Null) => Json::Null,
        (Type::Bytes, Some(logical::DECIMAL), _) => match value {
            Value::Decimal(decimal) if logical::scale_of(schema) == Some(decimal.scale()) => {
                STANDARD.encode(decimal.to_unscaled_bytes()).into()
            }
            _ => return None,
        },
        (Type::Int32, Some(logical::DATE), _) => match value {
            Value::Timestamp(ms) if ms % MS_PER_DAY == 0 => {
                i32::try_from(ms / MS_PER_DAY).ok()?.into()
            }
            _ => return None,
        },
        (Type::Int32, Some(logical::TIME), _) => match value {
            Value::Timestamp(ms) if (0..=MS_PER_DAY).contains(ms) => (*ms).into(),
            _ => return None,
        },
        (Type::Int64, Some(logical::TIMESTAMP), _) => match value {
            Value::Timestamp(ms) => (*ms).into(),
            _ => return None,
        },
        (Type::Int8, _, Value::Int8(number)) => (*number).into(),
        (Type::Int16, _, Value::Int16(number)) => (*number).into(),
        (Type::Int32, _, Value::Int32(number)) => (*number).into(),
        (Type::Int64, _, Value::Int64(number)) => (*number).into(),
        (Type::Float32, _, Value::Float32(number)) => float32(*number),
        (Type::Float64, _, Value::Float64(number)) => float64(*number),
        (Type::Boolean, _, Value::Boolean(truth)) => (*truth).into(),
        (Type::String, _, Value::String(text)) => text.as_str().into(),
        (Type::Bytes, _, Value::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Type::Array, _, Value::Array(elements)) => elements
            .iter()
            .map(|element| write_payload(schema.value_schema(), element))
            .collect(),
        (Type::Map, _, Value::Map(map)) => write_map(schema, map),
        (Type::Struct, _, Value::Struct(inner)) if inner.schema() == schema => {
            let fields = schema.fields().iter().zip(inner.values());
            let members = fields.map(|(field, value)| {
                let payload = write_payload(Some(&field.schema), value);
                (field.name.to_string(), payload)
            });
            Json::Object(members.collect())
        }
        _ => return None,
    })
}

fn write_map(schema: &Schema, map: &Map) -> Json {
    let keys_are_texts = schema
        .key_schema()
        .is_some_and(|keys| keys.schema_type() == Type::String);
    let mut members = map.iter().map(|(key, value)| {
        let key = key.as_str().filter(|_| keys_are_texts)?;
        let payload = write_payload(schema.value_schema(), value);
        Some((key.to_string(), payload))
    });
    match members.by_ref().collect::<Option<_>>() {
        // This one object would be read as the tag.
        Some(object) if keys_are_texts && !(map.len() == 1 && map.get_str("$value").is_some()) => {
            Json::Object(object)
        }
        _ => pairs(map, schema.key_schema(), schema.value_schema()),
    }
}

/// Whether a schemaless map is written as an object: text keys only, and no tag in disguise.
fn is_plain(map: &Map) -> bool {
    let mut keys = map.keys().iter().map(Value::as_str);
    match map.keys() {
        [Value::String(key)] => !key.starts_with('$'),
        _ => keys.all(|key| key.is_some()),
    }
}

fn pairs(map: &Map, keys: Option<&Schema>, values: Option<&Schema>) -> Json {
    map.iter()
        .map(|(key, value)| json!([write_payload(keys, key), write_payload(values, value)]))
        .collect()
}

fn float64(number: f64) -> Json {
    match special(number) {
        Some(text) => text.into(),
        None => number_of(format!("{number:?}")),
    }
}

fn float32(number: f32) -> Json {
    match special(f64::from(number)) {
        Some(text) => text.into(),
        None => number_of(format!("{number:?}")),
    }
}

fn special(number: f64) -> Option<&'static str> {
    match number {
        n if n.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// Rust's text of a float always has a point or an exponent, and is JSON.
fn number_of(text: String) -> Json {
    let number: Number = text.parse().expect("the text of a finite float is JSON");
    Json::Number(number)
}
