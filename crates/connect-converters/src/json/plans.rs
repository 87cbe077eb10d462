//! The plans of the schemas that were written so far.
//!
//! Lives here: finding a schema again, by its pointer first, by what it says second.
//! Never here: writing.

use super::write::Plan;
use connect_api::data::{Schema, Type};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Entries that are looked through by pointer before anything is hashed.
const COMPARED_MAX: usize = 16;

/// At most `schemas.cache.size` plans; the one that was used longest ago gives way.
pub(super) struct PlanCache {
    entries: Vec<Entry>,
    by_hash: HashMap<u64, Vec<usize>>,
    last: usize,
    size_max: usize,
    clock: u64,
}

pub(super) struct Entry {
    /// The schema in memory that came last; others may be equal.
    schema: Schema,
    hash: u64,
    pub(super) plan: Plan,
    /// The envelope up to the payload; empty until it is first needed.
    pub(super) beginning: Box<[u8]>,
    used: u64,
}

impl PlanCache {
    pub(super) fn new(size_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            by_hash: HashMap::new(),
            last: 0,
            size_max,
            clock: 0,
        }
    }

    /// The plan of a schema, made if need be.
    #[inline]
    pub(super) fn entry(&mut self, schema: &Schema) -> &mut Entry {
        let same = |entry: &Entry| entry.schema.ptr_eq(schema);
        if !self.entries.get(self.last).is_some_and(same) {
            self.last = self.find_or_make(schema);
        }
        &mut self.entries[self.last]
    }

    #[inline(never)]
    fn find_or_make(&mut self, schema: &Schema) -> usize {
        self.clock += 1;
        let few = self.entries.iter_mut().take(COMPARED_MAX);
        if let Some((at, entry)) = few
            .enumerate()
            .find(|(_, entry)| entry.schema.ptr_eq(schema))
        {
            entry.used = self.clock;
            return at;
        }
        let hash = hash_of(schema);
        if self.size_max > 0 {
            let candidates = self.by_hash.get(&hash).map_or(&[][..], Vec::as_slice);
            let pointers = candidates
                .iter()
                .find(|i| self.entries[**i].schema.ptr_eq(schema));
            let equal = || {
                candidates
                    .iter()
                    .find(|i| self.entries[**i].schema == *schema)
            };
            if let Some(at) = pointers.or_else(equal).copied() {
                self.entries[at].schema = schema.clone();
                self.entries[at].used = self.clock;
                return at;
            }
        }
        self.insert(Entry {
            schema: schema.clone(),
            hash,
            plan: Plan::new(schema),
            beginning: Box::default(),
            used: self.clock,
        })
    }

    fn insert(&mut self, entry: Entry) -> usize {
        let hash = entry.hash;
        // Without room for any, one is kept for the time of one record.
        let at = if self.entries.len() < self.size_max.max(1) {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let oldest = (0..self.entries.len()).min_by_key(|i| self.entries[*i].used);
            let oldest = oldest.expect("there is room for one at least");
            if let Some(places) = self.by_hash.get_mut(&self.entries[oldest].hash) {
                places.retain(|place| *place != oldest);
            }
            self.entries[oldest] = entry;
            oldest
        };
        self.by_hash.entry(hash).or_default().push(at);
        at
    }
}

/// The same for equal schemas; cheap, so not of all that they say.
fn hash_of(schema: &Schema) -> u64 {
    let mut state = DefaultHasher::new();
    fn add(schema: &Schema, depth: usize, state: &mut DefaultHasher) {
        schema.schema_type().hash(state);
        schema.is_optional().hash(state);
        schema.name().hash(state);
        schema.version().hash(state);
        if depth == 0 {
            return;
        }
        for field in schema.fields() {
            field.name.hash(state);
            add(&field.schema, depth - 1, state);
        }
        if matches!(schema.schema_type(), Type::Array | Type::Map)
            && let Some(values) = schema.value_schema()
        {
            add(values, depth - 1, state);
        }
    }
    add(schema, 2, &mut state);
    state.finish()
}
