//! A value of Connect's data model.

use super::{Decimal, Map, Schema, Str, Struct};
use bytes::Bytes;
use std::sync::Arc;

/// A value. What it means beyond its shape is said by the [`Schema`] that travels beside it, if any.
///
/// The variants are the Java classes that Connect uses, so that errors can name them
/// ([`Value::java_class`]). Nothing widens by itself: an `Int64` is not valid for an INT32 schema.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(Str),
    Bytes(Bytes),
    Array(Vec<Value>),
    Map(Map),
    Struct(Struct),
    /// The value of the logical type Decimal (`java.math.BigDecimal`).
    Decimal(Arc<Decimal>),
    /// An instant in milliseconds since the epoch (`java.util.Date`): the value of the logical types
    /// Date (midnight UTC), Time (on 1970-01-01) and Timestamp.
    Timestamp(i64),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether dropping it does something.
    #[inline]
    pub(super) fn owns_something(&self) -> bool {
        match self {
            Value::String(text) => text.is_shared(),
            Value::Bytes(_)
            | Value::Array(_)
            | Value::Map(_)
            | Value::Struct(_)
            | Value::Decimal(_) => true,
            Value::Null
            | Value::Boolean(_)
            | Value::Int8(_)
            | Value::Int16(_)
            | Value::Int32(_)
            | Value::Int64(_)
            | Value::Float32(_)
            | Value::Float64(_)
            | Value::Timestamp(_) => false,
        }
    }

    /// A text of the program itself; costs no allocation.
    pub const fn text(text: &'static str) -> Self {
        Value::String(Str::from_static(text))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name of the Java class that Connect uses for this value, as error messages print it.
    pub fn java_class(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "java.lang.Boolean",
            Value::Int8(_) => "java.lang.Byte",
            Value::Int16(_) => "java.lang.Short",
            Value::Int32(_) => "java.lang.Integer",
            Value::Int64(_) => "java.lang.Long",
            Value::Float32(_) => "java.lang.Float",
            Value::Float64(_) => "java.lang.Double",
            Value::String(_) => "java.lang.String",
            Value::Bytes(_) => "[B",
            Value::Array(_) => "java.util.ArrayList",
            Value::Map(_) => "java.util.HashMap",
            Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
            Value::Decimal(_) => "java.math.BigDecimal",
            Value::Timestamp(_) => "java.util.Date",
        }
    }
}

/// Equality as Java's `equals`: floats by their bits (NaN equals NaN, 0.0 differs from -0.0), decimals by
/// value and scale, maps in any order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        use Value::*;
        match (self, other) {
            (Null, Null) => true,
            (Boolean(a), Boolean(b)) => a == b,
            (Int8(a), Int8(b)) => a == b,
            (Int16(a), Int16(b)) => a == b,
            (Int32(a), Int32(b)) => a == b,
            (Int64(a), Int64(b)) => a == b,
            (Float32(a), Float32(b)) => (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits(),
            (Float64(a), Float64(b)) => (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits(),
            (String(a), String(b)) => a == b,
            (Bytes(a), Bytes(b)) => a == b,
            (Array(a), Array(b)) => a == b,
            (Map(a), Map(b)) => a == b,
            (Struct(a), Struct(b)) => a == b,
            (Decimal(a), Decimal(b)) => a == b,
            (Timestamp(a), Timestamp(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text.into())
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Value::String(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int64(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Value::Int32(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Boolean(truth)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float64(number)
    }
}

/// What a converter makes of bytes: a value and the schema that came with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaAndValue {
    pub schema: Option<Schema>,
    pub value: Value,
}

impl SchemaAndValue {
    /// No schema, no value: a tombstone.
    pub const NULL: Self = Self {
        schema: None,
        value: Value::Null,
    };

    pub fn new(schema: impl Into<Option<Schema>>, value: impl Into<Value>) -> Self {
        Self {
            schema: schema.into(),
            value: value.into(),
        }
    }
}
