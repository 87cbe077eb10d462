//! A JSON tree bent into the form that a schema asks for.
//!
//! Lives here: JsonConverter's conversions in the order and with the messages of Java. This is the reference
//! that the fast way (`typed`) leaves everything unusual to.
//! Never here: the text.
//! Source: `JsonConverter.convertToConnect` of Apache Kafka 4.3.1.

use super::free::{map_of_entries, shared};
use super::node::Node;
use super::{Options, base64};
use connect_api::data::{Decimal, Map, Schema, SharedSlice, Str, Struct, Type, Value, logical};
use connect_api::{ConnectError, Result};
use std::sync::Arc;

pub(super) const DAY_MS: i64 = 86_400_000;

pub(super) struct Lenient<'o, 'a> {
    pub(super) options: &'o Options,
    /// The buffer that the text lies in.
    pub(super) source: SharedSlice<'a>,
}

impl<'a> Lenient<'_, 'a> {
    /// The value of a node. `None` as the node: a member that is not there.
    pub(super) fn convert(
        &self,
        schema: Option<&Schema>,
        node: Option<&Node<'a>>,
    ) -> Result<Value> {
        match (schema, node) {
            (Some(schema), None | Some(Node::Null)) => self.null(schema),
            (Some(schema), Some(node)) => match logical_name(schema) {
                Some(name) => logical_value(name, schema, node),
                None => self.by_type(schema, node),
            },
            (None, Some(node)) => self.free(node),
            (None, None) => Ok(Value::Null),
        }
    }

    fn null(&self, schema: &Schema) -> Result<Value> {
        match schema.default_value() {
            Some(default) if self.options.replace_null_with_default => Ok(default.clone()),
            _ if schema.is_optional() => Ok(Value::Null),
            _ => Err(ConnectError::data(format!(
                "Invalid null value for required {} field",
                schema.schema_type()
            ))),
        }
    }

    fn free(&self, node: &Node<'a>) -> Result<Value> {
        Ok(match node {
            Node::Missing | Node::Null => Value::Null,
            Node::Boolean(truth) => Value::Boolean(*truth),
            Node::Number(number @ super::number::Number::Integer { .. }) => {
                Value::Int64(number.long_value())
            }
            Node::Number(number) => Value::Float64(number.double_value()),
            Node::Text(text) => Value::String(self.shared(text)),
            Node::Array(_) => self.array(None, node)?,
            Node::Object(members) => self.object(None, members)?,
        })
    }

    fn by_type(&self, schema: &Schema, node: &Node<'a>) -> Result<Value> {
        let number = match node {
            Node::Number(number) => Some(number),
            _ => None,
        };
        let int = || number.map_or(0, |number| number.int_value());
        Ok(match schema.schema_type() {
            Type::Boolean => Value::Boolean(matches!(node, Node::Boolean(true))),
            Type::Int8 => Value::Int8(int() as i8),
            Type::Int16 => Value::Int16(int() as i16),
            Type::Int32 => Value::Int32(int()),
            Type::Int64 => Value::Int64(number.map_or(0, |number| number.long_value())),
            Type::Float32 => Value::Float32(number.map_or(0.0, |number| number.float_value())),
            Type::Float64 => Value::Float64(number.map_or(0.0, |number| number.double_value())),
            Type::Bytes => match node.text() {
                Some(text) => match base64::decode(text) {
                    Some(bytes) => Value::Bytes(bytes.into()),
                    None => return Err(ConnectError::data("Invalid bytes field")),
                },
                None => Value::Null,
            },
            Type::String => match node.text() {
                Some(text) => Value::String(self.shared(text)),
                None => Value::Null,
            },
            Type::Array => self.array(schema.value_schema(), node)?,
            Type::Map => self.map(schema, node)?,
            Type::Struct => self.structure(schema, node)?,
        })
    }

    fn array(&self, elements: Option<&Schema>, node: &Node<'a>) -> Result<Value> {
        let values: Result<Vec<Value>> = node
            .elements()
            .map(|element| self.convert(elements, Some(element)))
            .collect();
        Ok(Value::Array(values?))
    }

    fn map(&self, schema: &Schema, node: &Node<'a>) -> Result<Value> {
        let string_keys = schema
            .key_schema()
            .is_some_and(|keys| keys.schema_type() == Type::String);
        if string_keys {
            return match node {
                Node::Object(members) => self.object(schema.value_schema(), members),
                _ => Err(ConnectError::data(format!(
                    "Maps with string fields should be encoded as JSON objects, but found {}",
                    node.node_type()
                ))),
            };
        }
        let Node::Array(entries) = node else {
            return Err(ConnectError::data(format!(
                "Maps with non-string fields should be encoded as JSON array of tuples, but found {}",
                node.node_type()
            )));
        };
        let mut map = Map::new();
        for entry in entries {
            let Node::Array(pair) = entry else {
                return Err(ConnectError::data(format!(
                    "Found invalid map entry instead of array tuple: {}",
                    entry.node_type()
                )));
            };
            let [key, value] = pair.as_slice() else {
                return Err(ConnectError::data(format!(
                    "Found invalid map entry, expected length 2 but found :{}",
                    pair.len()
                )));
            };
            let key = self.convert(schema.key_schema(), Some(key))?;
            map.insert(key, self.convert(schema.value_schema(), Some(value))?);
        }
        Ok(Value::Map(map))
    }

    fn object(
        &self,
        values: Option<&Schema>,
        members: &[(super::scan::Text<'a>, Node<'a>)],
    ) -> Result<Value> {
        let mut keys = Vec::with_capacity(members.len());
        let mut converted = Vec::with_capacity(members.len());
        for (name, value) in members {
            keys.push(Value::String(self.shared(name)));
            converted.push(self.convert(values, Some(value))?);
        }
        Ok(Value::Map(map_of_entries(keys, converted)))
    }

    fn structure(&self, schema: &Schema, node: &Node<'a>) -> Result<Value> {
        if !matches!(node, Node::Object(_)) {
            return Err(ConnectError::data(format!(
                "Structs should be encoded as JSON objects, but found {}",
                node.node_type()
            )));
        }
        let mut structure = Struct::new(schema.clone())?;
        for field in schema.fields() {
            let value = self.convert(Some(&field.schema), node.get(&field.name))?;
            structure.put(&field.name, value)?;
        }
        Ok(Value::Struct(structure))
    }

    fn shared(&self, text: &super::scan::Text<'a>) -> Str {
        shared(self.source, text.clone())
    }
}

/// The logical types that JsonConverter knows by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Logical {
    Decimal,
    Date,
    Time,
    Timestamp,
}

pub(super) fn logical_name(schema: &Schema) -> Option<Logical> {
    Some(match schema.name()? {
        logical::DECIMAL => Logical::Decimal,
        logical::DATE => Logical::Date,
        logical::TIME => Logical::Time,
        logical::TIMESTAMP => Logical::Timestamp,
        _ => return None,
    })
}

fn logical_value(name: Logical, schema: &Schema, node: &Node<'_>) -> Result<Value> {
    let int = || match node {
        Node::Number(number) => number.as_int(),
        _ => None,
    };
    let wrong = |name: &str, wanted: &str| {
        let found = node.node_type();
        ConnectError::data(format!(
            "Invalid type for {name}, underlying representation should be {wanted} but was {found}"
        ))
    };
    match name {
        Logical::Decimal => match node {
            Node::Number(number) => Ok(Value::Decimal(Arc::new(number.decimal_value()))),
            Node::Text(text) => decimal_of_base64(schema, text)
                .ok_or_else(|| ConnectError::data("Invalid bytes for Decimal field")),
            _ => Err(wrong("Decimal", "numeric or bytes")),
        },
        Logical::Date => match int() {
            Some(days) => Ok(Value::Timestamp(i64::from(days) * DAY_MS)),
            None => Err(wrong("Date", "integer")),
        },
        Logical::Time => match int() {
            Some(ms) if (0..=DAY_MS).contains(&i64::from(ms)) => Ok(Value::Timestamp(ms.into())),
            Some(_) => Err(ConnectError::data(
                "Time values must use number of milliseconds greater than 0 and less than 86400000",
            )),
            None => Err(wrong("Time", "integer")),
        },
        Logical::Timestamp => match node {
            Node::Number(number @ super::number::Number::Integer { .. }) => {
                Ok(Value::Timestamp(number.long_value()))
            }
            _ => Err(wrong("Timestamp", "integral")),
        },
    }
}

/// A decimal from its unscaled bytes and the scale of its schema; `None` where one of them is wrong.
pub(super) fn decimal_of_base64(schema: &Schema, text: &str) -> Option<Value> {
    let bytes = base64::decode(text).filter(|bytes| !bytes.is_empty())?;
    let scale = logical::scale_of(schema)?;
    let decimal = Decimal::from_unscaled_bytes(&bytes, scale);
    Some(Value::Decimal(Arc::new(decimal)))
}
