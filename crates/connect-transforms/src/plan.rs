//! What a transform has worked out for a schema, or for the keys of a map, kept for the records that follow.
//!
//! Lives here: two small caches, one by schema and one by the shape of a map. The last entry is found by its pointer,
//! others by their pointers, then by equality. The entry that was not used for the longest time gives way.
//! Never here: what a plan says.

use connect_api::Result;
use connect_api::data::{Keys, Schema, Value};
use std::sync::Arc;

/// Plans kept. Java keeps as many schemas.
const PLANS_MAX: usize = 16;

/// Plans by schema.
pub struct SchemaPlans<P> {
    /// The one used last comes first.
    entries: Vec<(Schema, P)>,
}

impl<P> Default for SchemaPlans<P> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<P> SchemaPlans<P> {
    /// The plan of a schema, made if need be.
    #[inline]
    pub fn get(
        &mut self,
        schema: &Schema,
        make: impl FnOnce(&Schema) -> Result<P>,
    ) -> Result<&mut P> {
        let known = self
            .entries
            .first()
            .is_some_and(|(known, _)| known.ptr_eq(schema));
        if !known {
            self.find(schema, make)?;
        }
        Ok(&mut self.entries[0].1)
    }

    /// Brings the plan to the front.
    #[inline(never)]
    fn find(&mut self, schema: &Schema, make: impl FnOnce(&Schema) -> Result<P>) -> Result<()> {
        let same = |(known, _): &(Schema, P)| known.ptr_eq(schema);
        let equal = |(known, _): &(Schema, P)| known == schema;
        let found = self.entries.iter().position(same);
        if let Some(at) = found.or_else(|| self.entries.iter().position(equal)) {
            self.entries[..=at].rotate_right(1);
            self.entries[0].0 = schema.clone();
            return Ok(());
        }
        let plan = make(schema)?;
        self.entries.truncate(PLANS_MAX - 1);
        self.entries.insert(0, (schema.clone(), plan));
        Ok(())
    }
}

/// Plans by the keys of a map.
pub struct ShapePlans<P> {
    entries: Vec<(Arc<Keys>, P)>,
}

impl<P> Default for ShapePlans<P> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<P> ShapePlans<P> {
    /// The plan of a shape, made if need be.
    #[inline]
    pub fn get(
        &mut self,
        keys: &Arc<Keys>,
        make: impl FnOnce(&Keys) -> Result<P>,
    ) -> Result<&mut P> {
        let known = self
            .entries
            .first()
            .is_some_and(|(known, _)| Arc::ptr_eq(known, keys));
        if !known {
            self.find(keys, make)?;
        }
        Ok(&mut self.entries[0].1)
    }

    #[inline(never)]
    fn find(&mut self, keys: &Arc<Keys>, make: impl FnOnce(&Keys) -> Result<P>) -> Result<()> {
        let same = |(known, _): &(Arc<Keys>, P)| Arc::ptr_eq(known, keys);
        let equal = |(known, _): &(Arc<Keys>, P)| known.as_slice() == keys.as_slice();
        let found = self.entries.iter().position(same);
        if let Some(at) = found.or_else(|| self.entries.iter().position(equal)) {
            self.entries[..=at].rotate_right(1);
            self.entries[0].0 = keys.clone();
            return Ok(());
        }
        let plan = make(keys)?;
        self.entries.truncate(PLANS_MAX - 1);
        self.entries.insert(0, (keys.clone(), plan));
        Ok(())
    }
}

/// Shared keys of these values, interned where that is possible.
pub fn keys_of(keys: impl IntoIterator<Item = Value>) -> Arc<Keys> {
    Keys::interned(keys.into_iter().collect())
}
