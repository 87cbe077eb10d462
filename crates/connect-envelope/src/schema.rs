//! Schemas as JSON: the form of JsonConverter, and `null` where elements have no common schema.

use crate::error::{Context, Result, bail};
use crate::{Members, read_payload, write_payload};
use connect_api::data::{Schema, SchemaBuilder, Type};
use serde_json::{Map as Object, Value as Json};

/// A schema; `null` is none.
pub fn read_schema(json: &Json) -> Result<Option<Schema>> {
    match json {
        Json::Null => Ok(None),
        _ => {
            let mut members = Members::of(json, "a schema")?;
            let schema = read_members(&mut members)?;
            members.refuse_others("a schema")?;
            Ok(Some(schema))
        }
    }
}

/// The schema as JsonConverter writes it; `null` for none.
pub fn write_schema(schema: Option<&Schema>) -> Json {
    schema.map_or(Json::Null, |schema| Json::Object(write_members(schema)))
}

const TYPES: [(&str, Type); 12] = [
    ("int8", Type::Int8),
    ("int16", Type::Int16),
    ("int32", Type::Int32),
    ("int64", Type::Int64),
    ("float", Type::Float32),
    ("double", Type::Float64),
    ("boolean", Type::Boolean),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("array", Type::Array),
    ("map", Type::Map),
    ("struct", Type::Struct),
];

fn read_members(members: &mut Members<'_>) -> Result<Schema> {
    let type_name = members.take_text("type")?.context("a schema has no type")?;
    let schema_type = TYPES
        .iter()
        .find(|(name, _)| *name == type_name)
        .with_context(|| format!("unknown schema type \"{type_name}\""))?
        .1;
    let mut builder = match schema_type {
        Type::Array => SchemaBuilder::array_of_any(read_part(members, "items")?),
        Type::Map => {
            SchemaBuilder::map_of_any(read_part(members, "keys")?, read_part(members, "values")?)
        }
        Type::Struct => read_fields(members)?,
        primitive => SchemaBuilder::new(primitive),
    };
    match members.take("optional") {
        None | Some(Json::Bool(false)) => {}
        Some(Json::Bool(true)) => builder = builder.optional(),
        Some(other) => bail!("\"optional\" must be true or false, got {other}"),
    }
    if let Some(name) = members.take_text("name")? {
        builder = builder.name(name);
    }
    if let Some(version) = members.take("version") {
        let version = version.as_number().and_then(|n| n.as_str().parse().ok());
        builder = builder.version(version.context("\"version\" must be a 32-bit integer")?);
    }
    if let Some(doc) = members.take_text("doc")? {
        builder = builder.doc(doc);
    }
    if let Some(parameters) = members.take("parameters") {
        let object = parameters.as_object();
        for (name, value) in object.context("\"parameters\" must be an object")? {
            let value = value.as_str();
            let value = value.with_context(|| format!("parameter \"{name}\" must be text"))?;
            builder = builder.parameter(name.as_str(), value);
        }
    }
    let Some(default) = members.take("default") else {
        return Ok(builder.build()?);
    };
    let without_default = builder.build()?;
    let default = read_payload(Some(&without_default), default).context("in \"default\"")?;
    // As Java's constructor: a struct default, whose schema has none, fits no builder but does exist.
    let schema = without_default.to_builder().default_value(default);
    Ok(schema.build_unchecked()?)
}

fn read_part(members: &mut Members<'_>, name: &'static str) -> Result<Option<Schema>> {
    let json = members.take(name);
    let json = json.with_context(|| format!("an array or map schema has no \"{name}\""))?;
    read_schema(json).with_context(|| format!("in \"{name}\""))
}

fn read_fields(members: &mut Members<'_>) -> Result<SchemaBuilder> {
    let fields = members.take("fields").and_then(Json::as_array);
    let mut builder = SchemaBuilder::structure();
    for json in fields.context("a struct schema has no list of \"fields\"")? {
        let mut members = Members::of(json, "a field's schema")?;
        let name = members
            .take_text("field")?
            .context("a field has no \"field\", its name")?;
        let schema = read_members(&mut members).with_context(|| format!("in field \"{name}\""))?;
        members.refuse_others("a field's schema")?;
        builder = builder.field(name, schema);
    }
    Ok(builder)
}

fn write_members(schema: &Schema) -> Object<String, Json> {
    let mut members = Object::new();
    let schema_type = schema.schema_type();
    let (name, _) = TYPES[TYPES
        .iter()
        .position(|(_, known)| *known == schema_type)
        .expect("the table has all types")];
    members.insert("type".into(), name.into());
    match schema_type {
        Type::Array => {
            members.insert("items".into(), write_schema(schema.value_schema()));
        }
        Type::Map => {
            members.insert("keys".into(), write_schema(schema.key_schema()));
            members.insert("values".into(), write_schema(schema.value_schema()));
        }
        Type::Struct => {
            let fields = schema.fields().iter().map(|field| {
                let mut members = write_members(&field.schema);
                members.insert("field".into(), field.name.as_str().into());
                Json::Object(members)
            });
            members.insert("fields".into(), fields.collect());
        }
        _ => {}
    }
    members.insert("optional".into(), schema.is_optional().into());
    if let Some(name) = schema.name() {
        members.insert("name".into(), name.into());
    }
    if let Some(version) = schema.version() {
        members.insert("version".into(), version.into());
    }
    if let Some(doc) = schema.doc() {
        members.insert("doc".into(), doc.into());
    }
    if let Some(parameters) = schema.parameters() {
        let parameters = parameters
            .iter()
            .map(|(name, value)| (name.to_string(), Json::from(value.as_str())));
        members.insert("parameters".into(), Json::Object(parameters.collect()));
    }
    if let Some(default) = schema.default_value() {
        let without_default = schema.to_builder().without_default().build();
        let without_default = without_default.expect("no mistake was made in a schema that exists");
        members.insert(
            "default".into(),
            write_payload(Some(&without_default), default),
        );
    }
    members
}
