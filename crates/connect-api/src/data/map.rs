//! A map whose keys can be shared by many maps of the same shape.
//!
//! Lives elsewhere: how maps hold keys that count nothing (`shape.rs`), the pool of them (`intern.rs`).

use super::Value;
use super::field_values::FieldValues;
use super::shape::Shape;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// A map from value to value, in order of insertion (Java's `HashMap` has no order to keep).
///
/// The keys are shared: a converter that reads a million JSON objects with the same members makes one
/// [`Keys`] and a list of values per record. Changing the keys of one map copies them first.
#[derive(Clone, Default)]
pub struct Map {
    keys: Shape,
    values: FieldValues,
}

/// The keys of a map, each once, in order. Make it once, share it among maps of the same shape.
#[derive(Default)]
pub struct Keys {
    keys: Vec<Value>,
    /// Whether these live as long as the program, so that maps need not count them.
    interned: bool,
    /// Made when a map with many keys is searched for the first time.
    index: OnceLock<HashMap<KeyRef, usize>>,
}

/// Room that a converter leaves behind the values of a map or struct: a transform that adds a few fields need not move
/// the others.
pub const SPARE_FIELDS: usize = 4;

/// Up to this many keys a search goes through all of them.
const LINEAR_SEARCH_MAX: usize = 12;

impl Keys {
    /// Panics in debug builds when a key stands twice.
    pub fn new(keys: Vec<Value>) -> Self {
        debug_assert!(
            keys.iter()
                .enumerate()
                .all(|(i, key)| !keys[..i].contains(key))
        );
        Self {
            keys,
            interned: false,
            index: OnceLock::new(),
        }
    }

    /// Keys that are never freed from now on. The pool of interned keys is the only caller.
    pub(super) fn leaked(keys: Vec<Value>) -> Arc<Self> {
        let mut keys = Self::new(keys);
        keys.interned = true;
        let keys = Arc::new(keys);
        std::mem::forget(keys.clone());
        keys
    }

    /// Whether maps hold these without counting them.
    pub fn is_interned(&self) -> bool {
        self.interned
    }

    pub fn as_slice(&self) -> &[Value] {
        &self.keys
    }

    // What can change inside a key, the index of a map, has no part in its hash.
    #[allow(clippy::mutable_key_type)]
    fn position(&self, key: &Value) -> Option<usize> {
        if self.keys.len() <= LINEAR_SEARCH_MAX {
            return self.keys.iter().position(|candidate| candidate == key);
        }
        let index = self.index.get_or_init(|| {
            self.keys
                .iter()
                .enumerate()
                .map(|(i, key)| (KeyRef(key.clone()), i))
                .collect()
        });
        index.get(&KeyRef(key.clone())).copied()
    }

    /// Where a text key stands.
    pub fn position_of_str(&self, key: &str) -> Option<usize> {
        if self.keys.len() <= LINEAR_SEARCH_MAX {
            return self
                .keys
                .iter()
                .position(|candidate| candidate.as_str() == Some(key));
        }
        self.position(&Value::from(key))
    }
}

impl Map {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            keys: Arc::new(Keys::new(Vec::with_capacity(capacity))).into(),
            values: Vec::with_capacity(capacity).into(),
        }
    }

    /// A map over keys that it shares with others.
    ///
    /// Panics: when there are not as many values as keys.
    pub fn of_shape(keys: Arc<Keys>, values: Vec<Value>) -> Self {
        assert_eq!(keys.keys.len(), values.len(), "as many values as keys");
        Self {
            keys: keys.into(),
            values: values.into(),
        }
    }

    /// The same; keys that are interned are not even counted.
    ///
    /// Panics: when there are not as many values as keys.
    pub fn of_interned_shape(keys: &Arc<Keys>, values: Vec<Value>) -> Self {
        assert_eq!(keys.keys.len(), values.len(), "as many values as keys");
        Self {
            keys: Shape::of(keys),
            values: values.into(),
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn keys(&self) -> &[Value] {
        &self.keys.keys
    }

    /// The keys as they are shared: the same pointer, the same shape. For caches by shape.
    pub fn shared_keys(&self) -> &Arc<Keys> {
        self.keys.arc()
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values in the order of the keys. For plans that were made from these keys.
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// Takes the values out, for a plan that puts others in by [`Self::put_values`]. Until then the map is hollow.
    pub fn take_values(&mut self) -> Vec<Value> {
        std::mem::take(&mut *self.values)
    }

    /// Keys and values in place of what there is.
    ///
    /// Panics: when there are not as many values as keys.
    pub fn put_values(&mut self, keys: &Arc<Keys>, values: Vec<Value>) {
        assert_eq!(keys.keys.len(), values.len(), "as many values as keys");
        // Counting the keys costs, and often they stay the same.
        if !Arc::ptr_eq(self.keys.arc(), keys) {
            self.keys = Shape::of(keys);
        }
        *self.values = values;
    }

    /// Keys and values, to be put together again by [`Map::of_shape`].
    pub fn into_parts(self) -> (Arc<Keys>, Vec<Value>) {
        (self.keys.arc().clone(), self.values.into_vec())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Value, &Value)> {
        self.keys.keys.iter().zip(&*self.values)
    }

    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.keys.position(key).map(|i| &self.values[i])
    }

    /// The value under a text key.
    pub fn get_str(&self, key: &str) -> Option<&Value> {
        self.keys.position_of_str(key).map(|i| &self.values[i])
    }

    pub fn get_str_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.keys.position_of_str(key).map(|i| &mut self.values[i])
    }

    /// Puts a value under a key and gives back the one that it replaces.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        let value = value.into();
        if let Some(i) = self.keys.position(&key) {
            return Some(std::mem::replace(&mut self.values[i], value));
        }
        let keys = self.own_keys();
        if let Some(index) = keys.index.get_mut() {
            index.insert(KeyRef(key.clone()), keys.keys.len());
        }
        keys.keys.push(key);
        self.values.push(value);
        None
    }

    /// Takes the value under a key out; the others keep their order.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        let i = self.keys.position(key)?;
        let keys = self.own_keys();
        keys.index = OnceLock::new();
        keys.keys.remove(i);
        Some(self.values.remove(i))
    }

    pub fn remove_str(&mut self, key: &str) -> Option<Value> {
        self.remove(&Value::from(key))
    }

    fn own_keys(&mut self) -> &mut Keys {
        if self.keys.get_mut().is_none() {
            let keys = Keys::new(self.keys.keys.clone());
            self.keys = Arc::new(keys).into();
        }
        self.keys
            .get_mut()
            .expect("just made, so nobody else holds it")
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(self.keys.arc(), other.keys.arc()) {
            return self.values == other.values;
        }
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Map {}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// A key in the index: hashed by the parts that decide equality.
#[derive(PartialEq, Eq)]
struct KeyRef(Value);

impl Hash for KeyRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Value::String(text) => text.hash(state),
            Value::Boolean(truth) => truth.hash(state),
            Value::Int8(number) => number.hash(state),
            Value::Int16(number) => number.hash(state),
            Value::Int32(number) => number.hash(state),
            Value::Int64(number) | Value::Timestamp(number) => number.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            // Rare as keys; equality tells them apart.
            _ => 0u8.hash(state),
        }
    }
}
