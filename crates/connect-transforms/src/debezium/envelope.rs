//! What a change event is, and how Debezium's transforms reach into one.
//!
//! Lives here: the test for an envelope, access to structs with Java's messages, copies of schemas.
//! Never here: what a transform does with it.

use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value};
use connect_api::{ConnectError, Result};

pub(super) const BEFORE: &str = "before";
pub(super) const AFTER: &str = "after";
pub(super) const SOURCE: &str = "source";
pub(super) const OPERATION: &str = "op";

/// Whether a value of that schema is a change event: by the end of the schema's name alone.
pub(super) fn is_envelope(schema: Option<&Schema>) -> bool {
    let name = schema.and_then(Schema::name);
    name.is_some_and(|name| name.ends_with(".Envelope"))
}

/// Fails: `Only Struct objects supported for [purpose], found: java.lang.String`.
pub(super) fn require_struct<'a>(value: &'a Value, purpose: &str) -> Result<&'a Struct> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => Err(no_struct(other, purpose)),
    }
}

#[cold]
pub(super) fn no_struct(value: &Value, purpose: &str) -> ConnectError {
    ConnectError::data(format!(
        "Only Struct objects supported for [{purpose}], found: {}",
        value.java_class()
    ))
}

/// Where Java throws a `ClassCastException`.
#[cold]
pub(super) fn class_cast(value: &Value, class: &str) -> ConnectError {
    ConnectError::data(format!(
        "class {} cannot be cast to class {class}",
        value.java_class()
    ))
}

/// The struct inside a value whose schema says it is one.
pub(super) fn cast_struct(value: &Value) -> Result<&Struct> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => Err(class_cast(other, "org.apache.kafka.connect.data.Struct")),
    }
}

/// Index of a field. Fails: `f is not a valid field name`.
pub(super) fn index_of(schema: &Schema, field: &str) -> Result<usize> {
    schema.field_index(field).ok_or_else(|| no_field(field))
}

#[cold]
pub(super) fn no_field(field: &str) -> ConnectError {
    ConnectError::data(format!("{field} is not a valid field name"))
}

/// Index of a field of that type, as `Struct.getString` and its kin look it up.
///
/// Fails: `f is not a valid field name`, `Field 'f' is not of type STRING`.
pub(super) fn index_of_type(schema: &Schema, field: &str, schema_type: Type) -> Result<usize> {
    let index = index_of(schema, field)?;
    if schema.fields()[index].schema.schema_type() != schema_type {
        return Err(ConnectError::data(format!(
            "Field '{field}' is not of type {schema_type}"
        )));
    }
    Ok(index)
}

/// A builder with type, name, version, doc and parameters of a schema: required, without default and fields.
/// Source: `SchemaUtil.copySchemaBasics` of Kafka.
pub(super) fn copy_basics(source: &Schema) -> SchemaBuilder {
    let builder = match source.schema_type() {
        Type::Array => SchemaBuilder::array_of_any(source.value_schema().cloned()),
        Type::Map => {
            SchemaBuilder::map_of_any(source.key_schema().cloned(), source.value_schema().cloned())
        }
        other => SchemaBuilder::new(other),
    };
    let builder = match source.name() {
        Some(name) => builder.name(name),
        None => builder,
    };
    copy_basics_except_name(builder, source)
}

pub(super) fn copy_basics_except_name(builder: SchemaBuilder, source: &Schema) -> SchemaBuilder {
    let builder = match source.version() {
        Some(version) => builder.version(version),
        None => builder,
    };
    let builder = match source.doc() {
        Some(doc) => builder.doc(doc),
        None => builder,
    };
    match source.parameters() {
        Some(parameters) => builder.parameters(parameters.iter().cloned()),
        None => builder,
    }
}

/// As [`copy_basics`], and optional where the source is. Source: `SchemaUtil.copySchemaBasics` of Debezium.
pub(super) fn copy_basics_and_optional(source: &Schema) -> SchemaBuilder {
    match source.is_optional() {
        true => copy_basics(source).optional(),
        false => copy_basics(source),
    }
}

/// Adds all fields of a struct schema.
pub(super) fn with_fields_of(builder: SchemaBuilder, source: &Schema) -> SchemaBuilder {
    let fields = source.fields().iter();
    fields.fold(builder, |builder, field| {
        builder.field(field.name.clone(), field.schema.clone())
    })
}

/// What `Struct.put` says of a null in a required field.
#[cold]
pub(super) fn null_in_required(schema: &Schema, index: usize) -> ConnectError {
    let field = &schema.fields()[index];
    ConnectError::data(format!(
        "Invalid value: null used for required field: \"{}\", schema type: {}",
        field.name,
        field.schema.schema_type()
    ))
}

/// Indexes of the fields that `Struct.put` would have something to say about: those that may not be null, and structs.
pub(super) fn put_checks(schema: &Schema) -> Box<[usize]> {
    let fields = schema.fields().iter();
    fields
        .filter(|field| !field.schema.is_optional() || field.schema.schema_type() == Type::Struct)
        .map(|field| field.index)
        .collect()
}

/// What `Struct.put` of every value says: nulls in required fields, at any depth of structs.
pub(super) fn check_put(schema: &Schema, checks: &[usize], values: &[Value]) -> Result<()> {
    let mut checks = checks.iter();
    checks.try_for_each(|index| check_put_of(schema, *index, &values[*index]))
}

/// What `Struct.put` of one value says.
pub(super) fn check_put_of(schema: &Schema, index: usize, value: &Value) -> Result<()> {
    match value {
        Value::Null if !schema.fields()[index].schema.is_optional() => {
            Err(null_in_required(schema, index))
        }
        Value::Struct(inner) => inner.validate(),
        _ => Ok(()),
    }
}

/// As [`check_put`] where only values that are not null are put.
pub(super) fn check_structs(values: &[Value]) -> Result<()> {
    values.iter().try_for_each(|value| match value {
        Value::Struct(inner) => inner.validate(),
        _ => Ok(()),
    })
}

/// Puts defaults in place of nulls, as reading with `Struct.get` does.
pub(super) fn fill_defaults(schema: &Schema, values: &mut [Value]) {
    for (field, value) in schema.fields().iter().zip(values) {
        if value.is_null()
            && let Some(default) = field.schema.default_value()
        {
            *value = default.clone();
        }
    }
}
