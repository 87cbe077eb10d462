//! The JSON of a schema, as it stands in an envelope.
//!
//! Lives here: [`Schema`] to JSON.
//! Source: `JsonConverter.asJsonSchema` of Apache Kafka 4.3.1.

use super::text::write_text;
use super::write::{Plan, Writer};
use connect_api::Result;
use connect_api::data::{Schema, Type, append_integer};

impl Writer<'_> {
    /// Appends a schema; `null` where there is none. `field`: the name of the struct's field that has it.
    ///
    /// Fails: when the default cannot be written, which a struct never can.
    pub(super) fn schema(&mut self, schema: Option<&Schema>, field: Option<&str>) -> Result<()> {
        let Some(schema) = schema else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        self.out.extend_from_slice(b"{\"type\":\"");
        let type_name = type_name(schema.schema_type());
        self.out.extend_from_slice(type_name.as_bytes());
        self.out.push(b'"');
        match schema.schema_type() {
            Type::Array => {
                self.member("items");
                self.schema(schema.value_schema(), None)?;
            }
            Type::Map => {
                self.member("keys");
                self.schema(schema.key_schema(), None)?;
                self.member("values");
                self.schema(schema.value_schema(), None)?;
            }
            Type::Struct => {
                self.member("fields");
                self.out.push(b'[');
                for field in schema.fields() {
                    if field.index > 0 {
                        self.out.push(b',');
                    }
                    self.schema(Some(&field.schema), Some(&field.name))?;
                }
                self.out.push(b']');
            }
            _ => {}
        }
        self.member("optional");
        let optional: &[u8] = if schema.is_optional() {
            b"true"
        } else {
            b"false"
        };
        self.out.extend_from_slice(optional);
        if let Some(name) = schema.name() {
            self.member("name");
            write_text(name, self.out);
        }
        if let Some(version) = schema.version() {
            self.member("version");
            append_integer(version.into(), self.out);
        }
        if let Some(doc) = schema.doc() {
            self.member("doc");
            write_text(doc, self.out);
        }
        if let Some(parameters) = schema.parameters() {
            self.member("parameters");
            self.out.push(b'{');
            for (i, (name, value)) in parameters.iter().enumerate() {
                if i > 0 {
                    self.out.push(b',');
                }
                write_text(name, self.out);
                self.out.push(b':');
                write_text(value, self.out);
            }
            self.out.push(b'}');
        }
        if let Some(default) = schema.default_value() {
            self.member("default");
            self.value(&mut Plan::new(schema), default)?;
        }
        if let Some(field) = field {
            self.member("field");
            write_text(field, self.out);
        }
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn type_name(schema_type: Type) -> &'static str {
    match schema_type {
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float",
        Type::Float64 => "double",
        Type::Boolean => "boolean",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Array => "array",
        Type::Map => "map",
        Type::Struct => "struct",
    }
}
