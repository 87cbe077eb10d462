//! Values of the fields that a STRUCT schema names.

use super::field_values::FieldValues;
use super::{Schema, Type, Value};
use crate::{ConnectError, Result};
use std::fmt;

/// The values of the fields of a STRUCT schema, in the schema's order; `Null` where none was put.
#[derive(Clone)]
pub struct Struct {
    schema: Schema,
    values: FieldValues,
}

impl Struct {
    /// A struct without values.
    ///
    /// Fails: when the schema is not a STRUCT (`Not a struct schema: …`).
    pub fn new(schema: Schema) -> Result<Self> {
        if schema.schema_type() != Type::Struct {
            return Err(ConnectError::data(format!("Not a struct schema: {schema}")));
        }
        let values = vec![Value::Null; schema.fields().len()].into();
        Ok(Self { schema, values })
    }

    /// A struct of values that a converter or transform has made to fit; nothing is checked.
    ///
    /// Panics: when there are not as many values as fields.
    pub fn of_values(schema: Schema, values: Vec<Value>) -> Self {
        assert_eq!(
            schema.fields().len(),
            values.len(),
            "as many values as fields"
        );
        Self {
            schema,
            values: values.into(),
        }
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The values in the order of the schema's fields, defaults not put in.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// For plans that were made from this schema. The caller keeps the values valid.
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// The same values under another schema with as many fields. For plans; the caller keeps the values valid.
    ///
    /// Panics: when the schema has another number of fields.
    pub fn set_schema(&mut self, schema: Schema) {
        assert_eq!(
            schema.fields().len(),
            self.values.len(),
            "as many fields as values"
        );
        self.schema = schema;
    }

    /// Takes the values out, for a plan that puts others in by [`Self::put_values`]. Until then the struct is hollow.
    pub fn take_values(&mut self) -> Vec<Value> {
        std::mem::take(&mut *self.values)
    }

    /// Schema and values in place of what there is. For plans; the caller keeps the values valid.
    ///
    /// Panics: when there are not as many values as fields.
    pub fn put_values(&mut self, schema: Schema, values: Vec<Value>) {
        *self = Self::of_values(schema, values);
    }

    pub fn into_values(self) -> Vec<Value> {
        self.values.into_vec()
    }

    /// The value of a field; the field's default when none was put.
    pub fn get(&self, field: &str) -> Result<&Value> {
        Ok(self.value_or_default(self.index_of(field)?))
    }

    /// The value of a field by its index; the field's default when none was put.
    pub fn value_or_default(&self, index: usize) -> &Value {
        let value = &self.values[index];
        match self.schema.fields()[index].schema.default_value() {
            Some(default) if value.is_null() => default,
            _ => value,
        }
    }

    pub fn get_without_default(&self, field: &str) -> Result<&Value> {
        Ok(&self.values[self.index_of(field)?])
    }

    /// The value of a field of that type, the default not put in.
    ///
    /// Fails: for a field of another type (`Field 'f' is not of type INT32`), whatever its value.
    pub fn get_of_type(&self, field: &str, schema_type: Type) -> Result<&Value> {
        let index = self.index_of(field)?;
        if self.schema.fields()[index].schema.schema_type() != schema_type {
            return Err(ConnectError::data(format!(
                "Field '{field}' is not of type {schema_type}"
            )));
        }
        Ok(&self.values[index])
    }

    /// Puts a value that must be valid for the field's schema.
    pub fn put(&mut self, field: &str, value: impl Into<Value>) -> Result<&mut Self> {
        let index = self.index_of(field)?;
        let value = value.into();
        let field = &self.schema.fields()[index];
        field.schema.validate_field(&field.name, &value)?;
        self.values[index] = value;
        Ok(self)
    }

    /// Whether every field's value is valid for its schema; null passes where the field has a default.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in self.schema.fields().iter().zip(&*self.values) {
            if value.is_null()
                && (field.schema.is_optional() || field.schema.default_value().is_some())
            {
                continue;
            }
            field.schema.validate_field(&field.name, value)?;
        }
        Ok(())
    }

    fn index_of(&self, field: &str) -> Result<usize> {
        self.schema
            .field_index(field)
            .ok_or_else(|| ConnectError::data(format!("{field} is not a valid field name")))
    }
}

impl PartialEq for Struct {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema && self.values == other.values
    }
}

impl Eq for Struct {}

impl fmt::Debug for Struct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.schema.fields().iter().zip(&*self.values);
        f.debug_map()
            .entries(fields.map(|(field, value)| (&field.name, value)))
            .finish()
    }
}
