//! Flattening maps without schema.
//!
//! Lives here: the last shape of nested maps, recognised by the keys that its maps share, so that the next map of
//! that shape gives its values and takes the keys that are made already.

use crate::operate::key_is_no_text;
use connect_api::data::{Keys, Map, Value};
use connect_api::{ConnectError, Result};
use std::sync::Arc;

#[derive(Default)]
pub struct Maps {
    delimiter: String,
    last: Option<(Shape, Arc<Keys>)>,
}

/// The keys of a map, and what is known about its values.
struct Shape {
    keys: Arc<Keys>,
    inside: Vec<Inside>,
}

enum Inside {
    /// Anything that is kept as it is.
    Leaf,
    Map(Shape),
}

impl Maps {
    pub fn new(delimiter: &str) -> Self {
        Self {
            delimiter: delimiter.to_owned(),
            last: None,
        }
    }

    pub fn flatten(&mut self, map: &mut Map) -> Result<()> {
        let taken = std::mem::take(map);
        if let Some((shape, keys)) = &self.last
            && shape.is_of(&taken)
        {
            let mut values = Vec::with_capacity(keys.as_slice().len());
            append_values(taken, &mut values);
            *map = Map::of_shape(keys.clone(), values);
            return Ok(());
        }
        let mut keys: Vec<Value> = Vec::new();
        let mut values = Vec::new();
        let mut names_are_unique = true;
        let shape = self.append(taken, "", &mut |key, value| {
            let key = Value::from(key);
            match keys.iter().position(|known| *known == key) {
                Some(at) => {
                    names_are_unique = false;
                    values[at] = value;
                }
                None => {
                    keys.push(key);
                    values.push(value);
                }
            }
        })?;
        // Maps whose shape changes all the time come by here for each record: not interned.
        let keys = Arc::new(Keys::new(keys));
        *map = Map::of_shape(keys.clone(), values);
        self.last = names_are_unique.then_some((shape, keys));
        Ok(())
    }

    fn append(&self, map: Map, prefix: &str, put: &mut dyn FnMut(String, Value)) -> Result<Shape> {
        let (keys, values) = map.into_parts();
        let mut inside = Vec::with_capacity(values.len());
        for (key, value) in keys.as_slice().iter().zip(values) {
            let Value::String(key) = key else {
                return Err(key_is_no_text(key));
            };
            let name = if prefix.is_empty() {
                key.to_string()
            } else {
                format!("{prefix}{}{key}", self.delimiter)
            };
            inside.push(match value {
                Value::Map(map) => Inside::Map(self.append(map, &name, put)?),
                Value::Struct(_) => {
                    return Err(ConnectError::data(format!(
                        "Flatten transformation does not support class org.apache.kafka.connect.data.Struct for \
                         record without schemas (for field {name})."
                    )));
                }
                Value::Decimal(_) | Value::Timestamp(_) => return Err(unknown_class(&value)),
                value => {
                    put(name, value);
                    Inside::Leaf
                }
            });
        }
        Ok(Shape { keys, inside })
    }
}

#[cold]
fn unknown_class(value: &Value) -> ConnectError {
    ConnectError::data(format!(
        "Flatten transformation was passed a value of type class {} which is not supported by Connect's data API",
        value.java_class()
    ))
}

impl Shape {
    fn is_of(&self, map: &Map) -> bool {
        Arc::ptr_eq(&self.keys, map.shared_keys())
            && self
                .inside
                .iter()
                .zip(map.values())
                .all(|(inside, value)| match (inside, value) {
                    (Inside::Map(shape), Value::Map(map)) => shape.is_of(map),
                    (
                        Inside::Leaf,
                        Value::Map(_) | Value::Struct(_) | Value::Decimal(_) | Value::Timestamp(_),
                    )
                    | (Inside::Map(_), _) => false,
                    (Inside::Leaf, _) => true,
                })
    }
}

fn append_values(map: Map, out: &mut Vec<Value>) {
    let (_, values) = map.into_parts();
    for value in values {
        match value {
            Value::Map(map) => append_values(map, out),
            value => out.push(value),
        }
    }
}
