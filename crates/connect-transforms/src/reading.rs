//! The value at the end of a path, read and left where it is.
//!
//! Lives here: paths as indexes, worked out once for a schema.

use crate::field_path::FieldPath;
use connect_api::data::{Map, Schema, Struct, Type, Value};

/// The way to a field in structs of one schema.
pub struct Reading {
    /// Of the field.
    schema: Schema,
    /// Structs on the way.
    way: Vec<usize>,
    last: usize,
}

static NULL: Value = Value::Null;

impl Reading {
    /// `None`: the schema has no such field.
    pub fn new(path: &FieldPath, schema: &Schema) -> Option<Self> {
        let (last, steps) = path.steps().split_last()?;
        let mut at = schema.clone();
        let mut way = Vec::new();
        for step in steps {
            let field = at.field(step)?;
            way.push(field.index);
            at = field.schema.clone();
            if at.schema_type() != Type::Struct {
                return None;
            }
        }
        let field = at.field(last)?;
        Some(Self {
            schema: field.schema.clone(),
            way,
            last: field.index,
        })
    }

    /// The field's.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The value, or its default in place of null where `replace_null` says so. Null, when a struct on the way is.
    #[inline]
    pub fn value<'a>(&self, mut fields: &'a Struct, replace_null: bool) -> &'a Value {
        for index in &self.way {
            match fields.value_or_default(*index) {
                Value::Struct(inner) => fields = inner,
                _ => return &NULL,
            }
        }
        if replace_null {
            fields.value_or_default(self.last)
        } else {
            &fields.values()[self.last]
        }
    }

    /// The value in a map without schema; `None` when there is none.
    pub fn of_map<'a>(path: &FieldPath, mut map: &'a Map) -> Option<&'a Value> {
        let (last, steps) = path.steps().split_last()?;
        for step in steps {
            match map.get_str(step) {
                Some(Value::Map(inner)) => map = inner,
                _ => return None,
            }
        }
        map.get_str(last)
    }
}
