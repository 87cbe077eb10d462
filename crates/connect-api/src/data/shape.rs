//! How a map holds its keys: counted, unless they live as long as the program.
//!
//! Counting costs two atomic operations for each map that is made and dropped, and a transform that changes keys does
//! it again. Lives here: the only unsafe code that leaves the counting out.

use super::Keys;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

/// The keys of a map. Of interned keys, those that `Keys::leaked` made, this is an uncounted copy of the pointer.
pub struct Shape(ManuallyDrop<Arc<Keys>>);

impl Shape {
    /// Counts the keys, unless they are interned.
    #[inline]
    pub fn of(keys: &Arc<Keys>) -> Self {
        if keys.is_interned() {
            // SAFETY: `Keys::leaked`, which alone makes interned keys, has forgotten a reference to them, so their
            // count never falls to zero and the pointer stays good for ever. The copy is never dropped (see `drop`)
            // and never gives mutable access (see `get_mut`). Whether keys are interned never changes.
            return Self(ManuallyDrop::new(unsafe { std::ptr::read(keys) }));
        }
        Self(ManuallyDrop::new(keys.clone()))
    }

    #[inline]
    pub fn arc(&self) -> &Arc<Keys> {
        &self.0
    }

    /// The keys, when only this holds them.
    pub fn get_mut(&mut self) -> Option<&mut Keys> {
        // Interned keys are held by others that did not count.
        if self.is_interned() {
            return None;
        }
        Arc::get_mut(&mut self.0)
    }
}

impl From<Arc<Keys>> for Shape {
    #[inline]
    fn from(keys: Arc<Keys>) -> Self {
        if keys.is_interned() {
            return Self::of(&keys);
        }
        Self(ManuallyDrop::new(keys))
    }
}

impl Deref for Shape {
    type Target = Keys;
    #[inline]
    fn deref(&self) -> &Keys {
        &self.0
    }
}

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        Self::of(&self.0)
    }
}

impl Default for Shape {
    fn default() -> Self {
        Arc::<Keys>::default().into()
    }
}

impl Drop for Shape {
    #[inline]
    fn drop(&mut self) {
        if !self.is_interned() {
            // SAFETY: what is not interned was counted when this was made, and nobody reads it behind its drop.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Keys, Map, Value};
    use std::sync::Arc;

    fn keys() -> Vec<Value> {
        vec![Value::from("shape a"), Value::from("shape b")]
    }

    fn values() -> Vec<Value> {
        vec![Value::Int32(1), Value::Int32(2)]
    }

    #[test]
    fn interned_keys_are_not_counted_and_never_changed() {
        let shared = Keys::interned(keys());
        assert!(Arc::ptr_eq(&shared, &Keys::interned(keys())));
        let before = Arc::strong_count(&shared);
        let mut map = Map::of_interned_shape(&shared, values());
        let copy = map.clone();
        assert_eq!(Arc::strong_count(&shared), before);
        map.insert("c", 3);
        map.remove_str("shape a");
        assert_eq!(shared.as_slice(), keys());
        assert_eq!(copy.keys(), keys());
        assert_eq!(map.keys(), [Value::from("shape b"), Value::from("c")]);
        let (parts, _) = copy.into_parts();
        assert_eq!(Arc::strong_count(&shared), before + 1);
        drop(Map::of_shape(parts, values()));
        assert_eq!(Arc::strong_count(&shared), before);
    }

    #[test]
    fn other_keys_are_counted() {
        let shared = Arc::new(Keys::new(keys()));
        let map = Map::of_interned_shape(&shared, values());
        let mut copy = map.clone();
        assert_eq!(Arc::strong_count(&shared), 3);
        copy.put_values(&Keys::interned(keys()), values());
        assert_eq!(Arc::strong_count(&shared), 2);
        assert_eq!(map, copy);
        drop((map, copy));
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}
