//! Values from JSON, with a schema that leads or without.

use crate::error::{Context, Result, bail};
use crate::{Members, read_schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect_api::data::{Decimal, Map, Schema, SchemaAndValue, Struct, Type, Value, logical};
use serde_json::{Number, Value as Json};
use std::str::FromStr;
use std::sync::Arc;

pub(crate) const MS_PER_DAY: i64 = 86_400_000;

/// `{"schema":…,"payload":…}`; a part that is left out is null.
pub fn read_data(json: &Json) -> Result<SchemaAndValue> {
    let mut members = Members::of(json, "data")?;
    let data = read_data_members(&mut members)?;
    members.refuse_others("data")?;
    Ok(data)
}

pub(crate) fn read_data_members(members: &mut Members<'_>) -> Result<SchemaAndValue> {
    let schema = members.take("schema").map(read_schema).transpose();
    let schema = schema.context("in \"schema\"")?.flatten();
    let payload = members.take("payload").unwrap_or(&Json::Null);
    let value = read_payload(schema.as_ref(), payload).context("in \"payload\"")?;
    Ok(SchemaAndValue { schema, value })
}

/// A payload under a schema, if there is one.
pub fn read_payload(schema: Option<&Schema>, json: &Json) -> Result<Value> {
    let Some(schema) = schema else {
        return read_schemaless(json);
    };
    if let Some(("$value", inner)) = tag(json) {
        return read_schemaless(inner).context("in \"$value\"");
    }
    if json.is_null() {
        return Ok(Value::Null);
    }
    let schema_type = schema.schema_type();
    match (schema_type, schema.name()) {
        (Type::Bytes, Some(logical::DECIMAL)) => {
            let scale = logical::scale_of(schema).context("the Decimal schema has no scale")?;
            let decimal = Decimal::from_unscaled_bytes(&base64(json)?, scale);
            return Ok(Value::Decimal(Arc::new(decimal)));
        }
        (Type::Int32, Some(logical::DATE)) => {
            return Ok(Value::Timestamp(
                i64::from(integer::<i32>(json)?) * MS_PER_DAY,
            ));
        }
        (Type::Int32, Some(logical::TIME)) => return time_of_day(json),
        (Type::Int64, Some(logical::TIMESTAMP)) => return Ok(Value::Timestamp(integer(json)?)),
        _ => {}
    }
    Ok(match schema_type {
        Type::Int8 => Value::Int8(integer(json)?),
        Type::Int16 => Value::Int16(integer(json)?),
        Type::Int32 => Value::Int32(integer(json)?),
        Type::Int64 => Value::Int64(integer(json)?),
        Type::Float32 => Value::Float32(float32(json)?),
        Type::Float64 => Value::Float64(float64(json)?),
        Type::Boolean => Value::Boolean(json.as_bool().with_context(|| wanted("a boolean", json))?),
        Type::String => Value::from(text(json)?),
        Type::Bytes => Value::Bytes(base64(json)?.into()),
        Type::Array => {
            let elements = json.as_array().with_context(|| wanted("a list", json))?;
            let elements = elements
                .iter()
                .map(|element| read_payload(schema.value_schema(), element));
            Value::Array(elements.collect::<Result<_>>()?)
        }
        Type::Map => Value::Map(map(schema, json)?),
        Type::Struct => Value::Struct(structure(schema, json)?),
    })
}

/// A payload that says its types itself.
pub fn read_schemaless(json: &Json) -> Result<Value> {
    if let Some((name, inner)) = tag(json) {
        return read_tag(name, inner).with_context(|| format!("in \"{name}\""));
    }
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) if is_integer(number) => Value::Int64(integer(json)?),
        Json::Number(_) => Value::Float64(float64(json)?),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => {
            let elements = elements.iter().map(read_schemaless);
            Value::Array(elements.collect::<Result<_>>()?)
        }
        Json::Object(members) => {
            let mut map = Map::with_capacity(members.len());
            for (key, value) in members {
                map.insert(key.as_str(), read_schemaless(value)?);
            }
            Value::Map(map)
        }
    })
}

/// The one member of an object when its name starts with `$`.
fn tag(json: &Json) -> Option<(&str, &Json)> {
    let object = json.as_object()?;
    let (name, inner) = object.iter().next()?;
    (object.len() == 1 && name.starts_with('$')).then_some((name.as_str(), inner))
}

fn read_tag(name: &str, json: &Json) -> Result<Value> {
    Ok(match name {
        "$int8" => Value::Int8(integer(json)?),
        "$int16" => Value::Int16(integer(json)?),
        "$int32" => Value::Int32(integer(json)?),
        "$float32" => Value::Float32(float32(json)?),
        "$float64" => Value::Float64(float64(json)?),
        "$bytes" => Value::Bytes(base64(json)?.into()),
        "$decimal" => {
            let decimal = text(json)?.parse();
            Value::Decimal(Arc::new(
                decimal.with_context(|| wanted("a decimal", json))?,
            ))
        }
        "$timestamp" => Value::Timestamp(integer(json)?),
        "$date" => Value::Timestamp(i64::from(integer::<i32>(json)?) * MS_PER_DAY),
        "$time" => time_of_day(json)?,
        "$map" => Value::Map(pairs(json, None, None)?),
        "$struct" => match read_data(json)?.value {
            value @ Value::Struct(_) => value,
            _ => bail!("a struct must have a STRUCT schema and a payload"),
        },
        _ => bail!("unknown tag"),
    })
}

fn map(schema: &Schema, json: &Json) -> Result<Map> {
    let keys_are_texts = schema
        .key_schema()
        .is_some_and(|keys| keys.schema_type() == Type::String);
    match json.as_object() {
        Some(members) if keys_are_texts => {
            let mut map = Map::with_capacity(members.len());
            for (key, value) in members {
                let value = read_payload(schema.value_schema(), value);
                map.insert(
                    key.as_str(),
                    value.with_context(|| format!("under key \"{key}\""))?,
                );
            }
            Ok(map)
        }
        _ => pairs(json, schema.key_schema(), schema.value_schema()),
    }
}

fn pairs(json: &Json, keys: Option<&Schema>, values: Option<&Schema>) -> Result<Map> {
    let list = json.as_array();
    let list = list.with_context(|| wanted("a list of [key, value] pairs", json))?;
    let mut map = Map::with_capacity(list.len());
    for pair in list {
        let Some([key, value]) = pair.as_array().map(Vec::as_slice) else {
            bail!(wanted("a [key, value] pair", pair));
        };
        let key_text = key;
        let key = read_payload(keys, key)?;
        if map.insert(key, read_payload(values, value)?).is_some() {
            bail!("the key {key_text} stands twice");
        }
    }
    Ok(map)
}

fn structure(schema: &Schema, json: &Json) -> Result<Struct> {
    let members = json
        .as_object()
        .with_context(|| wanted("an object", json))?;
    let mut values = vec![Value::Null; schema.fields().len()];
    for (name, json) in members {
        let field = schema.field(name);
        let field = field.with_context(|| format!("the struct has no field \"{name}\""))?;
        values[field.index] = read_payload(Some(&field.schema), json)
            .with_context(|| format!("in field \"{name}\""))?;
    }
    Ok(Struct::of_values(schema.clone(), values))
}

fn is_integer(number: &Number) -> bool {
    !number.as_str().contains(['.', 'e', 'E'])
}

pub(crate) fn integer<T: FromStr>(json: &Json) -> Result<T> {
    json.as_number()
        .filter(|number| is_integer(number))
        .and_then(|number| number.as_str().parse().ok())
        .with_context(|| wanted(&format!("an {} integer", std::any::type_name::<T>()), json))
}

fn time_of_day(json: &Json) -> Result<Value> {
    let ms: i64 = integer(json)?;
    if !(0..=MS_PER_DAY).contains(&ms) {
        bail!(wanted("milliseconds of a day", json));
    }
    Ok(Value::Timestamp(ms))
}

fn float64(json: &Json) -> Result<f64> {
    match json {
        Json::String(text) => special_float(text).with_context(|| wanted("a number", json)),
        Json::Number(number) => finite(
            number.as_str().parse().ok().filter(|n: &f64| n.is_finite()),
            json,
        ),
        _ => bail!(wanted("a number", json)),
    }
}

fn float32(json: &Json) -> Result<f32> {
    match json {
        Json::String(text) => {
            let special = special_float(text).with_context(|| wanted("a number", json))?;
            Ok(special as f32)
        }
        Json::Number(number) => finite(
            number.as_str().parse().ok().filter(|n: &f32| n.is_finite()),
            json,
        ),
        _ => bail!(wanted("a number", json)),
    }
}

fn finite<T>(number: Option<T>, json: &Json) -> Result<T> {
    number.with_context(|| wanted("a number in range", json))
}

fn special_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn text(json: &Json) -> Result<&str> {
    json.as_str().with_context(|| wanted("text", json))
}

fn base64(json: &Json) -> Result<Vec<u8>> {
    STANDARD
        .decode(text(json)?)
        .with_context(|| wanted("Base64 text", json))
}

fn wanted(what: &str, json: &Json) -> String {
    format!("must be {what}, got {json}")
}
