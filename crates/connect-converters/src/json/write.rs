//! Connect's values as JSON.
//!
//! Lives here: the plan of a schema ([`Plan`]) and the walk along it ([`Writer`]); values without a schema.
//! Lives elsewhere: the JSON of schemas (`schema_out`), texts and their escapes (`text`).
//! Never here: the envelope.
//! Source: `JsonConverter.convertToJson` of Apache Kafka 4.3.1.

use super::fragment::Fragment;
use super::key_texts::{KeyTexts, KeyTextsCache, Shape};
use super::lenient::{DAY_MS, Logical, logical_name};
use super::text::write_text;
use super::{DecimalFormat, Options, base64};
use connect_api::data::java_number::{append_double, append_float};
use connect_api::data::{Map, Schema, Struct, Type, Value, append_integer, logical};
use connect_api::{ConnectError, Result};
use std::io::Write;

/// How to write values of a schema.
pub(super) struct Plan {
    schema: Schema,
    kind: Kind,
}

enum Kind {
    Primitive,
    Logical(Logical),
    Array(Box<Part>),
    Map(Box<(Part, Part)>),
    Struct(StructPlan),
}

/// A part of a schema; only what was parsed from text lacks some.
enum Part {
    Known(Plan),
    /// Java has no answer here but a null pointer, unless the part is an element of a list.
    Any,
}

struct StructPlan {
    members: Vec<Member>,
    /// Another schema in memory that was found to be equal.
    equal: Option<Schema>,
}

struct Member {
    /// `{"id":` or `,"name":`
    lead: Fragment,
    plan: Plan,
}

impl Plan {
    pub(super) fn new(schema: &Schema) -> Self {
        let part =
            |schema: Option<&Schema>| schema.map_or(Part::Any, |s| Part::Known(Plan::new(s)));
        let kind = match (logical_name(schema), schema.schema_type()) {
            (Some(logical), _) => Kind::Logical(logical),
            (None, Type::Array) => Kind::Array(Box::new(part(schema.value_schema()))),
            (None, Type::Map) => Kind::Map(Box::new((
                part(schema.key_schema()),
                part(schema.value_schema()),
            ))),
            (None, Type::Struct) => Kind::Struct(StructPlan::new(schema)),
            _ => Kind::Primitive,
        };
        Self {
            schema: schema.clone(),
            kind,
        }
    }
}

impl StructPlan {
    fn new(schema: &Schema) -> Self {
        let member = |field: &connect_api::data::Field| {
            let mut lead = vec![if field.index == 0 { b'{' } else { b',' }];
            write_text(&field.name, &mut lead);
            lead.push(b':');
            Member {
                lead: Fragment::new(&lead),
                plan: Plan::new(&field.schema),
            }
        };
        Self {
            members: schema.fields().iter().map(member).collect(),
            equal: None,
        }
    }
}

pub(super) struct Writer<'w> {
    pub(super) options: &'w Options,
    pub(super) key_texts: &'w mut KeyTextsCache,
    pub(super) out: &'w mut Vec<u8>,
    /// How many objects and arrays are open.
    pub(super) depth: u32,
}

/// Objects and arrays inside each other that Jackson writes at most.
const NESTING_MAX: u32 = 1000;

impl Writer<'_> {
    /// Appends a value along the plan of its schema.
    pub(super) fn value(&mut self, plan: &mut Plan, value: &Value) -> Result<()> {
        let Plan { schema, kind } = plan;
        match (kind, value) {
            (_, Value::Null) => self.null(plan),
            (Kind::Primitive, value) => self.primitive(schema, value),
            (Kind::Struct(plan), Value::Struct(value)) => self.structure(schema, plan, value),
            (Kind::Logical(logical), value) => self.logical(*logical, schema, value),
            (Kind::Array(plan), Value::Array(elements)) => {
                self.list(elements, |writer, element| writer.part(plan, element))
            }
            (Kind::Map(plans), Value::Map(map)) => self.map(&mut plans.0, &mut plans.1, map),
            (_, value) => Err(invalid_type(schema.schema_type().name(), value)),
        }
    }

    #[cold]
    fn null(&mut self, plan: &mut Plan) -> Result<()> {
        match plan.schema.default_value() {
            Some(default) if self.options.replace_null_with_default => {
                let default = default.clone();
                self.value(plan, &default)
            }
            _ if plan.schema.is_optional() => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            _ => Err(ConnectError::data(
                "Conversion error: null value for field that is required and has no default value",
            )),
        }
    }

    #[inline]
    fn primitive(&mut self, schema: &Schema, value: &Value) -> Result<()> {
        match (schema.schema_type(), value) {
            (Type::String, Value::String(text)) => write_text(text, self.out),
            (Type::Int64, Value::Int64(number)) => append_integer(*number, self.out),
            (Type::Int32, Value::Int32(number)) => append_integer((*number).into(), self.out),
            (Type::Int16, Value::Int16(number)) => append_integer((*number).into(), self.out),
            (Type::Int8, Value::Int8(number)) => append_integer((*number).into(), self.out),
            (Type::Float64, Value::Float64(number)) => self.double(*number),
            (Type::Float32, Value::Float32(number)) => self.float(*number),
            (Type::Boolean, Value::Boolean(truth)) => self.boolean(*truth),
            (Type::Bytes, Value::Bytes(bytes)) => self.base64(bytes),
            (Type::Bytes, value) => return Err(invalid_type("bytes type", value)),
            (schema_type, value) => return Err(invalid_type(schema_type.name(), value)),
        }
        Ok(())
    }

    fn structure(&mut self, schema: &Schema, plan: &mut StructPlan, value: &Struct) -> Result<()> {
        if !value.schema().ptr_eq(schema) {
            let known = plan
                .equal
                .as_ref()
                .is_some_and(|s| s.ptr_eq(value.schema()));
            if !known {
                if value.schema() != schema {
                    return Err(ConnectError::data("Mismatching schema."));
                }
                plan.equal = Some(value.schema().clone());
            }
        }
        self.deeper()?;
        if plan.members.is_empty() {
            self.out.push(b'{');
        }
        for (member, value) in plan.members.iter_mut().zip(value.values()) {
            member.lead.append(self.out);
            self.value(&mut member.plan, value)?;
        }
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    fn logical(&mut self, logical: Logical, schema: &Schema, value: &Value) -> Result<()> {
        match (logical, value) {
            (Logical::Decimal, Value::Decimal(decimal)) => match self.options.decimal_format {
                DecimalFormat::Numeric => {
                    write!(self.out, "{decimal}").expect("a vector takes all bytes");
                }
                DecimalFormat::Base64 => {
                    let scale = scale(schema)?;
                    if decimal.scale() != scale {
                        return Err(ConnectError::data(format!(
                            "Decimal value has mismatching scale for given Decimal schema. \
                             Schema has scale {scale}, value has scale {}.",
                            decimal.scale()
                        )));
                    }
                    self.base64(&decimal.to_unscaled_bytes());
                }
            },
            (Logical::Date, Value::Timestamp(ms)) => {
                if ms % DAY_MS != 0 {
                    return Err(ConnectError::data(
                        "Kafka Connect Date type should not have any time fields set to non-zero values.",
                    ));
                }
                append_integer(((ms / DAY_MS) as i32).into(), self.out);
            }
            (Logical::Time, Value::Timestamp(ms)) => {
                if !(0..=DAY_MS).contains(ms) {
                    return Err(ConnectError::data(
                        "Kafka Connect Time type should not have any date fields set to non-zero values.",
                    ));
                }
                append_integer(*ms, self.out);
            }
            (Logical::Timestamp, Value::Timestamp(ms)) => append_integer(*ms, self.out),
            (logical, value) => {
                let (name, expected) = match logical {
                    Logical::Decimal => ("Decimal", "BigDecimal"),
                    Logical::Date => ("Date", "Date"),
                    Logical::Time => ("Time", "Date"),
                    Logical::Timestamp => ("Timestamp", "Date"),
                };
                return Err(ConnectError::data(format!(
                    "Invalid type for {name}, expected {expected} but was class {}",
                    value.java_class()
                )));
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        elements: &[Value],
        mut write: impl FnMut(&mut Self, &Value) -> Result<()>,
    ) -> Result<()> {
        self.deeper()?;
        self.out.push(b'[');
        for (i, element) in elements.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write(self, element)?;
        }
        self.out.push(b']');
        self.depth -= 1;
        Ok(())
    }

    fn part(&mut self, part: &mut Part, value: &Value) -> Result<()> {
        match part {
            Part::Known(plan) => self.value(plan, value),
            Part::Any => self.free(value),
        }
    }

    /// A map with a schema: an object when the keys are STRING, else a list of pairs.
    fn map(&mut self, keys: &mut Part, values: &mut Part, map: &Map) -> Result<()> {
        let Part::Known(key_plan) = keys else {
            return Err(ConnectError::data(
                "Cannot invoke \"org.apache.kafka.connect.data.Schema.type()\" because the return value of \
                 \"org.apache.kafka.connect.data.Schema.keySchema()\" is null",
            ));
        };
        if key_plan.schema.schema_type() != Type::String {
            return self.pairs(map, |writer, key, value| {
                writer.part(keys, key)?;
                writer.out.push(b',');
                writer.part(values, value)
            });
        }
        let plain_keys = matches!(key_plan.kind, Kind::Primitive);
        if plain_keys && map.keys().iter().all(|key| key.as_str().is_some()) {
            return self.members(map, |writer, value| writer.part(values, value));
        }
        self.odd_keys(key_plan, values, map)
    }

    fn pairs(
        &mut self,
        map: &Map,
        mut write: impl FnMut(&mut Self, &Value, &Value) -> Result<()>,
    ) -> Result<()> {
        self.deeper()?;
        self.deeper()?;
        self.out.push(b'[');
        for (i, (key, value)) in map.iter().enumerate() {
            self.out.extend_from_slice(if i > 0 { b",[" } else { b"[" });
            write(self, key, value)?;
            self.out.push(b']');
        }
        self.out.push(b']');
        self.depth -= 2;
        Ok(())
    }

    /// An object; all keys are texts.
    fn members(
        &mut self,
        map: &Map,
        mut write: impl FnMut(&mut Self, &Value) -> Result<()>,
    ) -> Result<()> {
        if let Shape::Texts(texts) = self.key_texts.shape(map.shared_keys()) {
            let written = self.with_key_texts(&texts, map, write);
            self.key_texts.give_back(texts);
            return written;
        }
        self.deeper()?;
        self.out.push(b'{');
        for (i, (key, value)) in map.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write_text(key.as_str().unwrap_or_default(), self.out);
            self.out.push(b':');
            write(self, value)?;
        }
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// An object whose texts between the values are known.
    #[inline]
    fn with_key_texts(
        &mut self,
        texts: &KeyTexts,
        map: &Map,
        mut write: impl FnMut(&mut Self, &Value) -> Result<()>,
    ) -> Result<()> {
        self.deeper()?;
        if map.is_empty() {
            self.out.push(b'{');
        }
        for (text, value) in texts.iter().zip(map.values()) {
            text.append(self.out);
            write(self, value)?;
        }
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// An object of keys that are null or of a logical type: the text of their JSON counts, and of equal
    /// texts the last value, in the place of the first.
    #[cold]
    fn odd_keys(&mut self, keys: &mut Plan, values: &mut Part, map: &Map) -> Result<()> {
        let start = self.out.len();
        let mut texts: Vec<Vec<u8>> = Vec::with_capacity(map.len());
        for key in map.keys() {
            self.value(keys, key)?;
            let text = &self.out[start..];
            texts.push(match text {
                [b'"', ..] => text.to_vec(),
                _ => [b"\"", text, b"\""].concat(),
            });
            self.out.truncate(start);
        }
        self.deeper()?;
        self.out.push(b'{');
        for (i, text) in texts.iter().enumerate() {
            if texts[..i].contains(text) {
                continue;
            }
            let last = texts.iter().rposition(|other| other == text).unwrap_or(i);
            if i > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(text);
            self.out.push(b':');
            self.part(values, &map.values()[last])?;
        }
        self.out.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    /// Appends a value that has no schema.
    pub(super) fn free(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::String(text) => write_text(text, self.out),
            Value::Int64(number) => append_integer(*number, self.out),
            Value::Int32(number) => append_integer((*number).into(), self.out),
            Value::Int16(number) => append_integer((*number).into(), self.out),
            Value::Int8(number) => append_integer((*number).into(), self.out),
            Value::Float64(number) => self.double(*number),
            Value::Float32(number) => self.float(*number),
            Value::Boolean(truth) => self.boolean(*truth),
            Value::Bytes(bytes) => self.base64(bytes),
            Value::Array(elements) => return self.list(elements, Self::free),
            Value::Map(map) => return self.free_map(map),
            // Java compares the struct's schema with none.
            Value::Struct(_) => return Err(ConnectError::data("Mismatching schema.")),
            Value::Decimal(_) | Value::Timestamp(_) => {
                return Err(ConnectError::data(format!(
                    "Java class class {} does not have corresponding schema type.",
                    value.java_class()
                )));
            }
        }
        Ok(())
    }

    fn free_map(&mut self, map: &Map) -> Result<()> {
        match self.key_texts.shape(map.shared_keys()) {
            Shape::Texts(texts) => {
                let written = self.with_key_texts(&texts, map, Self::free);
                self.key_texts.give_back(texts);
                written
            }
            Shape::New if map.keys().iter().all(|key| key.as_str().is_some()) => {
                self.members(map, Self::free)
            }
            _ => self.pairs(map, |writer, key, value| {
                writer.free(key)?;
                writer.out.push(b',');
                writer.free(value)
            }),
        }
    }

    /// Counts an object or array that is opened.
    #[inline]
    fn deeper(&mut self) -> Result<()> {
        if self.depth == NESTING_MAX {
            return Err(ConnectError::data(
                "Converting Kafka Connect data to byte[] failed due to serialization error: ",
            )
            .caused_by("more than 1000 objects and arrays inside each other"));
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn boolean(&mut self, truth: bool) {
        self.out
            .extend_from_slice(if truth { b"true" } else { b"false" });
    }

    #[inline]
    fn double(&mut self, number: f64) {
        if number.is_finite() {
            append_double(number, self.out);
        } else {
            self.quoted(|out| append_double(number, out));
        }
    }

    #[inline]
    fn float(&mut self, number: f32) {
        if number.is_finite() {
            append_float(number, self.out);
        } else {
            self.quoted(|out| append_float(number, out));
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.quoted(|out| base64::encode(bytes, out));
    }

    fn quoted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }
}

#[cold]
fn invalid_type(expected: &str, value: &Value) -> ConnectError {
    let class = value.java_class();
    ConnectError::data(format!("Invalid type for {expected}: class {class}"))
}

fn scale(schema: &Schema) -> Result<i32> {
    if schema.parameter(logical::SCALE_PARAMETER).is_none() {
        return Err(ConnectError::data(
            "Invalid Decimal schema: scale parameter not found.",
        ));
    }
    logical::scale_of(schema)
        .ok_or_else(|| ConnectError::data("Invalid scale parameter found in Decimal schema: "))
}
