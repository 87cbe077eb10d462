//! The order in which Java's `HashMap` and `HashSet` visit their keys.
//!
//! Lives here: `String.hashCode`, `HashMap`'s spread and table size, and the order that follows.
//! Buckets with eight or more keys become trees in Java and may then visit in another order; that
//! needs eight colliding member ids or topics and changes only which of equal choices is taken.
//! Never here: a map. Callers keep their own and ask for the order.
//! Source: `java.util.HashMap` of OpenJDK.

/// Table size of a new `HashMap`.
const INITIAL_CAPACITY: usize = 16;

/// `String.hashCode()`.
pub(super) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// The bucket of a key with this `hashCode()` in a table of `capacity` (a power of two).
fn bucket(hash: i32, capacity: usize) -> usize {
    let hash = hash as u32;
    ((hash ^ (hash >> 16)) as usize) & (capacity - 1)
}

/// Table size after `keys` insertions into a map that started with the default size.
fn capacity_for(keys: usize) -> usize {
    let mut capacity = INITIAL_CAPACITY;
    while keys > capacity / 4 * 3 {
        capacity *= 2;
    }
    capacity
}

/// The indices of distinct `keys` in the order in which a `HashMap` visits them that received them
/// in the given order.
pub(in crate::consumer) fn order_of_keys<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let hashes: Vec<i32> = keys.map(string_hash).collect();
    let capacity = capacity_for(hashes.len());
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    // Stable: within a bucket, keys stay in the order of insertion, also when the table grows.
    order.sort_by_key(|&index| bucket(hashes[index], capacity));
    order
}

/// A `HashSet` that can tell which element Java would visit first.
#[derive(Debug, Clone)]
pub(super) struct JavaHashSet<T> {
    elements: Vec<(i32, T)>,
    capacity: usize,
}

impl<T: PartialEq + Copy> JavaHashSet<T> {
    pub(super) fn new() -> Self {
        Self {
            elements: Vec::new(),
            capacity: INITIAL_CAPACITY,
        }
    }

    /// Adds an element that is not in the set.
    pub(super) fn insert(&mut self, hash: i32, element: T) {
        self.elements.push((hash, element));
        // Java's tables grow and never shrink.
        self.capacity = self.capacity.max(capacity_for(self.elements.len()));
    }

    pub(super) fn remove(&mut self, element: T) {
        self.elements.retain(|(_, known)| *known != element);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub(super) fn first(&self) -> Option<T> {
        let first = self
            .elements
            .iter()
            .min_by_key(|(hash, _)| bucket(*hash, self.capacity));
        first.map(|(_, element)| *element)
    }
}
