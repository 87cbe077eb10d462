//! The schema that an envelope or `schema.content` describes.
//!
//! Lives here: JSON to [`Schema`], with the checks and messages of Java in their order.
//! Source: `JsonConverter.asConnectSchema` of Apache Kafka 4.3.1.

use super::lenient::Lenient;
use super::node::Node;
use connect_api::data::{Schema, SchemaBuilder, Type};
use connect_api::{ConnectError, Result};

impl<'a> Lenient<'_, 'a> {
    /// The schema of a node; none of JSON's null.
    pub(super) fn schema(&self, node: &Node<'a>) -> Result<Option<Schema>> {
        if node.is_null() {
            return Ok(None);
        }
        let Some(type_name) = node.get("type").and_then(Node::text) else {
            return Err(ConnectError::data("Schema must contain 'type' field"));
        };
        let mut builder = match &**type_name {
            "boolean" => SchemaBuilder::new(Type::Boolean),
            "int8" => SchemaBuilder::new(Type::Int8),
            "int16" => SchemaBuilder::new(Type::Int16),
            "int32" => SchemaBuilder::new(Type::Int32),
            "int64" => SchemaBuilder::new(Type::Int64),
            "float" => SchemaBuilder::new(Type::Float32),
            "double" => SchemaBuilder::new(Type::Float64),
            "bytes" => SchemaBuilder::new(Type::Bytes),
            "string" => SchemaBuilder::new(Type::String),
            "array" => self.array_schema(node)?,
            "map" => self.map_schema(node)?,
            "struct" => self.struct_schema(node)?,
            unknown => {
                let message = format!("Unknown schema type: {unknown}");
                return Err(ConnectError::data(message));
            }
        };
        if matches!(node.get("optional"), Some(Node::Boolean(true))) {
            builder = builder.optional();
        }
        // Of its own, all of it: a schema that is kept must not keep a fetched buffer alive.
        if let Some(name) = node.get("name").and_then(Node::text) {
            builder = builder.name(&**name);
        }
        if let Some(Node::Number(version @ super::number::Number::Integer { .. })) =
            node.get("version")
        {
            builder = builder.version(version.int_value());
        }
        if let Some(doc) = node.get("doc").and_then(Node::text) {
            builder = builder.doc(&**doc);
        }
        if let Some(Node::Object(parameters)) = node.get("parameters") {
            for (name, value) in parameters {
                let Some(value) = value.text() else {
                    return Err(ConnectError::data(
                        "Schema parameters must have string values.",
                    ));
                };
                builder = builder.parameter(&**name, &**value);
            }
        }
        let schema = builder.build()?;
        match node.get("default") {
            Some(default) => self.with_default(schema, default).map(Some),
            None => Ok(Some(schema)),
        }
    }

    fn array_schema(&self, node: &Node<'a>) -> Result<SchemaBuilder> {
        let elements = match node.get("items") {
            Some(items) => self.schema(items)?,
            None => None,
        };
        elements
            .map(SchemaBuilder::array)
            .ok_or_else(|| ConnectError::data("Array schema did not specify the element type"))
    }

    fn map_schema(&self, node: &Node<'a>) -> Result<SchemaBuilder> {
        let keys = node
            .get("keys")
            .ok_or_else(|| ConnectError::data("Map schema did not specify the key type"))?;
        let values = node
            .get("values")
            .ok_or_else(|| ConnectError::data("Map schema did not specify the value type"))?;
        let (keys, values) = (self.schema(keys)?, self.schema(values)?);
        let keys = keys.ok_or_else(|| ConnectError::data("keySchema cannot be null."))?;
        let values = values.ok_or_else(|| ConnectError::data("valueSchema cannot be null."))?;
        Ok(SchemaBuilder::map(keys, values))
    }

    fn struct_schema(&self, node: &Node<'a>) -> Result<SchemaBuilder> {
        let Some(Node::Array(fields)) = node.get("fields") else {
            return Err(ConnectError::data(
                "Struct schema's \"fields\" argument is not an array.",
            ));
        };
        let mut builder = SchemaBuilder::structure();
        let mut names = std::collections::HashSet::with_capacity(fields.len());
        for field in fields {
            let Some(name) = field.get("field").and_then(Node::text) else {
                return Err(ConnectError::data(
                    "Struct schema's field name not specified properly",
                ));
            };
            let Some(schema) = self.schema(field)? else {
                let message = format!("fieldSchema for field {name} cannot be null.");
                return Err(ConnectError::data(message));
            };
            // The builder would say so at its end; Java says it before the next field's mistake.
            if name.is_empty() || !names.insert(name) {
                let failed = builder.field(&**name, schema);
                return failed.build().map(|schema| schema.to_builder());
            }
            builder = builder.field(&**name, schema);
        }
        Ok(builder)
    }

    /// A default is bent like any value, and must then be valid. A struct never is: its schema would have to
    /// equal the one that is being made, default and all.
    fn with_default(&self, schema: Schema, default: &Node<'a>) -> Result<Schema> {
        let value = self.convert(Some(&schema), Some(default))?;
        if value.is_null() {
            return match schema.is_optional() || default.is_null() {
                true => Ok(schema),
                false => Err(ConnectError::data("Invalid default value")),
            };
        }
        if schema.schema_type() == Type::Struct {
            return Err(ConnectError::data("Invalid default value"));
        }
        schema.to_builder().default_value(value).build()
    }
}
