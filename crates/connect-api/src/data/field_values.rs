//! The values of a map or struct, dropped with a look at each and a call only for those that own something.
//!
//! Most values of a record are numbers and short texts. The compiler's way calls a function for each, which costs more
//! than making them did.

use super::Value;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldValues(Vec<Value>);

impl FieldValues {
    pub fn into_vec(mut self) -> Vec<Value> {
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<Value>> for FieldValues {
    #[inline]
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

impl Deref for FieldValues {
    type Target = Vec<Value>;
    #[inline]
    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}

impl DerefMut for FieldValues {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<Value> {
        &mut self.0
    }
}

impl Drop for FieldValues {
    #[inline]
    fn drop(&mut self) {
        let length = self.0.len();
        // SAFETY: the list is empty from here on, also when a drop panics, so that what is dropped below is dropped
        // once; what is not dropped owns nothing.
        unsafe {
            self.0.set_len(0);
            let first = self.0.as_mut_ptr();
            for i in 0..length {
                let value = first.add(i);
                if (*value).owns_something() {
                    value.drop_in_place();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Decimal, Keys, Map, Schema, SchemaBuilder, SharedSlice, Str, Struct};
    use bytes::Bytes;
    use std::sync::Arc;

    const LONG: &str = "a text that does not fit into a value";

    /// A value of every kind; what can share shares `buffer`.
    fn all_kinds(buffer: &Bytes, schema: &Schema, decimal: &Arc<Decimal>) -> Vec<Value> {
        let long = || {
            Value::String(
                SharedSlice::whole(buffer).share_str(std::str::from_utf8(buffer).unwrap()),
            )
        };
        let keys = Arc::new(Keys::new(vec![Value::from("k")]));
        vec![
            Value::Null,
            Value::Boolean(true),
            Value::Int8(1),
            Value::Int16(1),
            Value::Int32(1),
            Value::Int64(1),
            Value::Float32(1.0),
            Value::Float64(1.0),
            Value::Timestamp(1),
            Value::String(Str::from("short")),
            long(),
            Value::Bytes(buffer.clone()),
            Value::Array(vec![long()]),
            Value::Map(Map::of_shape(keys, vec![long()])),
            Value::Struct(Struct::of_values(schema.clone(), vec![long()])),
            Value::Decimal(decimal.clone()),
        ]
    }

    #[test]
    fn what_is_owned_is_given_back() {
        let buffer = Bytes::from(LONG.as_bytes().to_vec());
        let schema = SchemaBuilder::structure()
            .field("f", Schema::STRING)
            .build()
            .unwrap();
        let decimal: Arc<Decimal> = Arc::new("1.5".parse().unwrap());
        let values = FieldValues::from(all_kinds(&buffer, &schema, &decimal));
        assert!(!buffer.is_unique());
        let copy = values.clone();
        assert_eq!(copy, values);
        drop(values);
        assert!(!buffer.is_unique());
        assert_eq!(Arc::strong_count(&decimal), 2);
        // Taken out whole, they are dropped by their new owner.
        drop(copy.into_vec());
        assert!(buffer.is_unique());
        assert_eq!(Arc::strong_count(&decimal), 1);
        drop(FieldValues::default());
    }
}
