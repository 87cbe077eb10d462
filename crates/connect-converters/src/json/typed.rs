//! JSON along a schema: a plan per schema, run per record without building a tree.
//!
//! Lives here: [`Plan`] and the walk that follows it, where every value is what its schema expects.
//! Lives elsewhere: everything else. At the first thing that is not as expected the walk gives up
//! ([`Misfit`]), and the record is read again as a tree (`lenient`), which knows what Java makes of it.
//! Never here: an error message.

use super::base64;
use super::free::{map_of_entries, shared};
use super::lead::Lead;
use super::lenient::{DAY_MS, Logical, decimal_of_base64, logical_name};
use super::number::Number;
use super::scan::{Scanner, SyntaxError, Text};
use super::slot::Slot;
use super::text::write_text;
use connect_api::data::{Map, SPARE_FIELDS, Schema, SharedSlice, Struct, Type, Value};
use std::sync::Arc;

/// The record is not what the plan expects, or is no JSON.
#[derive(Debug)]
pub(super) struct Misfit;

impl From<SyntaxError> for Misfit {
    #[cold]
    fn from(_: SyntaxError) -> Self {
        Misfit
    }
}

type Fit<T> = Result<T, Misfit>;

/// How to read values of a schema.
pub(super) struct Plan {
    kind: Kind,
    on_null: OnNull,
}

/// What a null becomes, or a member that is not there.
enum OnNull {
    Default(Value),
    Stays,
    Misfit,
}

enum Kind {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Bytes,
    Decimal(Schema),
    Date,
    Time,
    Timestamp,
    Array(Box<Plan>),
    /// String keys: an object of values.
    Object(Box<Plan>),
    /// Other keys: a list of pairs.
    Pairs(Box<(Plan, Plan)>),
    Struct(Box<StructPlan>),
    /// An element schema that is not there: only the tree knows.
    Unknown,
}

struct StructPlan {
    schema: Schema,
    members: Vec<Member>,
    /// The field that came first last time.
    first: usize,
}

struct Member {
    lead: Lead,
    plan: Plan,
    /// The field that came after this one last time.
    follower: usize,
}

impl Plan {
    pub(super) fn new(schema: &Schema, replace_null_with_default: bool) -> Self {
        let on_null = match schema.default_value() {
            Some(default) if replace_null_with_default => OnNull::Default(default.clone()),
            _ if schema.is_optional() => OnNull::Stays,
            _ => OnNull::Misfit,
        };
        let part = |schema: Option<&Schema>| match schema {
            Some(schema) => Plan::new(schema, replace_null_with_default),
            None => Plan {
                kind: Kind::Unknown,
                on_null: OnNull::Misfit,
            },
        };
        let kind = match (logical_name(schema), schema.schema_type()) {
            (Some(Logical::Decimal), _) => Kind::Decimal(schema.clone()),
            (Some(Logical::Date), _) => Kind::Date,
            (Some(Logical::Time), _) => Kind::Time,
            (Some(Logical::Timestamp), _) => Kind::Timestamp,
            (None, Type::Boolean) => Kind::Boolean,
            (None, Type::Int8) => Kind::Int8,
            (None, Type::Int16) => Kind::Int16,
            (None, Type::Int32) => Kind::Int32,
            (None, Type::Int64) => Kind::Int64,
            (None, Type::Float32) => Kind::Float32,
            (None, Type::Float64) => Kind::Float64,
            (None, Type::String) => Kind::String,
            (None, Type::Bytes) => Kind::Bytes,
            (None, Type::Array) => Kind::Array(Box::new(part(schema.value_schema()))),
            (None, Type::Map) => {
                let values = part(schema.value_schema());
                match schema.key_schema() {
                    Some(keys) if keys.schema_type() == Type::String => {
                        Kind::Object(Box::new(values))
                    }
                    keys => Kind::Pairs(Box::new((part(keys), values))),
                }
            }
            (None, Type::Struct) => {
                Kind::Struct(Box::new(StructPlan::new(schema, replace_null_with_default)))
            }
        };
        Self { kind, on_null }
    }
}

impl StructPlan {
    #[inline(always)]
    fn member_at(&self, field: usize) -> &Member {
        &self.members[field]
    }

    fn new(schema: &Schema, replace_null_with_default: bool) -> Self {
        let member = |(i, field): (usize, &connect_api::data::Field)| {
            // As JsonConverter writes it; other space is learned.
            let mut lead = Vec::new();
            if i > 0 {
                lead.push(b',');
            }
            write_text(&field.name, &mut lead);
            lead.push(b':');
            Member {
                lead: Lead::new(&lead),
                plan: Plan::new(&field.schema, replace_null_with_default),
                follower: i + 1,
            }
        };
        Self {
            schema: schema.clone(),
            members: schema.fields().iter().enumerate().map(member).collect(),
            first: 0,
        }
    }
}

pub(super) struct TypedReader<'a> {
    pub(super) scanner: Scanner<'a>,
    /// The buffer that the text lies in.
    pub(super) source: SharedSlice<'a>,
}

impl<'a> TypedReader<'a> {
    /// Reads the value at the position to where it stays.
    #[inline]
    pub(super) fn value(&mut self, plan: &mut Plan, into: &mut Value) -> Fit<()> {
        match &mut plan.kind {
            Kind::Struct(plan) if self.scanner.peek() == b'{' => {
                self.structure(plan, SPARE_FIELDS, into)
            }
            _ => {
                *into = self.one_value(plan)?;
                Ok(())
            }
        }
    }

    #[inline(never)]
    fn one_value(&mut self, plan: &mut Plan) -> Fit<Value> {
        let mut value = Vec::with_capacity(1);
        self.push_value(plan, &mut value)?;
        Ok(value.pop().unwrap_or_default())
    }

    /// Appends the value at the position. As in `free`, the frequent kinds make theirs where they stay.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn push_value(&mut self, plan: &mut Plan, values: &mut Vec<Value>) -> Fit<()> {
        if self.scanner.peek() == b'n' {
            return self.push_null(plan, values);
        }
        match &plan.kind {
            Kind::String => {
                let text = self.text()?;
                Slot::new(values).fill_text(self.source, text);
            }
            Kind::Int64 => {
                let number = self.scanner.number()?.long_value();
                Slot::new(values).fill(Value::Int64(number));
            }
            Kind::Timestamp => match self.scanner.number()? {
                Number::Integer { low, .. } => Slot::new(values).fill(Value::Timestamp(low)),
                Number::Real { .. } => return Err(Misfit),
            },
            Kind::Float64 => {
                let number = self.scanner.number()?.double_value();
                Slot::new(values).fill(Value::Float64(number));
            }
            _ => return self.push_other(plan, values),
        }
        Ok(())
    }

    #[inline(never)]
    fn push_other(&mut self, plan: &mut Plan, values: &mut Vec<Value>) -> Fit<()> {
        let value = match &mut plan.kind {
            Kind::Int32 => Value::Int32(self.scanner.number()?.int_value()),
            Kind::Boolean => Value::Boolean(self.boolean()?),
            Kind::Struct(plan) => return self.structure(plan, 0, Slot::new(values).fill_null()),
            Kind::Array(elements) => self.array(elements)?,
            Kind::Object(values) => self.object(values)?,
            Kind::Pairs(plans) => self.pairs(&mut plans.0, &mut plans.1)?,
            Kind::Int16 => Value::Int16(self.scanner.number()?.int_value() as i16),
            Kind::Int8 => Value::Int8(self.scanner.number()?.int_value() as i8),
            Kind::Float32 => Value::Float32(self.scanner.number()?.float_value()),
            Kind::Bytes => {
                let bytes = base64::decode(&self.text()?).ok_or(Misfit)?;
                Value::Bytes(bytes.into())
            }
            Kind::Date => Value::Timestamp(self.int()? * DAY_MS),
            Kind::Time => match self.int()? {
                ms @ 0..=DAY_MS => Value::Timestamp(ms),
                _ => return Err(Misfit),
            },
            Kind::Decimal(schema) => match self.scanner.peek() {
                b'"' => decimal_of_base64(schema, &self.text()?).ok_or(Misfit)?,
                _ => Value::Decimal(Arc::new(self.scanner.number()?.decimal_value())),
            },
            Kind::String | Kind::Int64 | Kind::Timestamp | Kind::Float64 | Kind::Unknown => {
                return Err(Misfit);
            }
        };
        Slot::new(values).fill(value);
        Ok(())
    }

    #[cold]
    fn push_null(&mut self, plan: &Plan, values: &mut Vec<Value>) -> Fit<()> {
        self.scanner.literal("null")?;
        values.push(match &plan.on_null {
            OnNull::Default(default) => default.clone(),
            OnNull::Stays => Value::Null,
            OnNull::Misfit => return Err(Misfit),
        });
        Ok(())
    }

    #[inline(always)]
    fn text(&mut self) -> Fit<Text<'a>> {
        if self.scanner.peek() != b'"' {
            return Err(Misfit);
        }
        Ok(self.scanner.string()?)
    }

    fn int(&mut self) -> Fit<i64> {
        self.scanner.number()?.as_int().map(i64::from).ok_or(Misfit)
    }

    #[inline]
    fn boolean(&mut self) -> Fit<bool> {
        let truth = self.scanner.peek() == b't';
        self.scanner.literal(if truth { "true" } else { "false" })?;
        Ok(truth)
    }

    fn array(&mut self, elements: &mut Plan) -> Fit<Value> {
        self.open(b'[')?;
        let mut values = Vec::new();
        while self.scanner.next_element(values.is_empty())? {
            self.push_value(elements, &mut values)?;
        }
        self.scanner.leave();
        Ok(Value::Array(values))
    }

    fn object(&mut self, plan: &mut Plan) -> Fit<Value> {
        self.open(b'{')?;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        while let Some(key) = self.scanner.next_member(keys.is_empty())? {
            keys.push(Value::String(shared(self.source, key)));
            self.push_value(plan, &mut values)?;
        }
        self.scanner.leave();
        Ok(Value::Map(map_of_entries(keys, values)))
    }

    fn pairs(&mut self, keys: &mut Plan, values: &mut Plan) -> Fit<Value> {
        self.open(b'[')?;
        let mut map = Map::new();
        let mut first = true;
        while self.scanner.next_element(first)? {
            first = false;
            self.open(b'[')?;
            self.element(true)?;
            let key = self.one_value(keys)?;
            self.element(false)?;
            let value = self.one_value(values)?;
            map.insert(key, value);
            if self.scanner.next_element(false)? {
                return Err(Misfit);
            }
            self.scanner.leave();
        }
        self.scanner.leave();
        Ok(Value::Map(map))
    }

    fn element(&mut self, first: bool) -> Fit<()> {
        match self.scanner.next_element(first)? {
            true => Ok(()),
            false => Err(Misfit),
        }
    }

    /// `spare`: room behind the values.
    fn structure(&mut self, plan: &mut StructPlan, spare: usize, into: &mut Value) -> Fit<()> {
        self.open(b'{')?;
        let count = plan.members.len();
        let mut values = Vec::with_capacity(count + spare);
        let mut before = None;
        let mut first = true;
        loop {
            let expected = match before {
                None => plan.first,
                Some(before) => plan.member_at(before).follower,
            };
            let field = match plan.members.get(expected) {
                Some(member) if member.lead.begins(self.scanner.rest()) => {
                    self.scanner.step_over(member.lead.len());
                    expected
                }
                _ => match self.member(plan, before, first)? {
                    Found::Field(field) => field,
                    Found::Other => {
                        first = false;
                        continue;
                    }
                    Found::End => break,
                },
            };
            first = false;
            before = Some(field);
            let plan = &mut plan.members[field].plan;
            if field == values.len() {
                self.push_value(plan, &mut values)?;
            } else {
                self.put_value(plan, &mut values, field)?;
            }
        }
        self.scanner.leave();
        values.resize(count, Value::Null);
        for (value, member) in values.iter_mut().zip(&plan.members) {
            if value.is_null() {
                match &member.plan.on_null {
                    OnNull::Default(default) => *value = default.clone(),
                    OnNull::Stays => {}
                    OnNull::Misfit => return Err(Misfit),
                }
            }
        }
        *into = Value::Struct(Struct::of_values(plan.schema.clone(), values));
        Ok(())
    }

    /// Puts the value at the position in the place of a field that comes out of order.
    #[cold]
    fn put_value(&mut self, plan: &mut Plan, values: &mut Vec<Value>, field: usize) -> Fit<()> {
        if field > values.len() {
            values.resize(field, Value::Null);
            return self.push_value(plan, values);
        }
        self.push_value(plan, values)?;
        values[field] = values.pop().unwrap_or_default();
        Ok(())
    }

    /// A member that was not expected behind the field `before`. At a field the position is then at its
    /// value; any other member is stepped over.
    #[inline(never)]
    fn member(&mut self, plan: &mut StructPlan, before: Option<usize>, first: bool) -> Fit<Found> {
        let start = self.scanner.at;
        let Some(name) = self.scanner.next_member(first)? else {
            return Ok(Found::End);
        };
        let Some(field) = plan.schema.field_index(&name) else {
            self.scanner.skip_value()?;
            return Ok(Found::Other);
        };
        let lead = self.scanner.since(start).as_bytes();
        plan.members[field].lead.learn(lead);
        match before {
            None => plan.first = field,
            Some(before) => plan.members[before].follower = field,
        }
        Ok(Found::Field(field))
    }

    #[inline(always)]
    fn open(&mut self, bracket: u8) -> Fit<()> {
        if self.scanner.peek() != bracket {
            return Err(Misfit);
        }
        Ok(self.scanner.enter()?)
    }
}

enum Found {
    Field(usize),
    /// A member that is no field.
    Other,
    End,
}
