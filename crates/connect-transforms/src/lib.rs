//! Single message transforms and predicates.
//!
//! Lives here: one file per transform and predicate, the field paths they share, and the list of them all.
//! Lives elsewhere: chains, and what becomes of a record that fails (`connect_worker`).
//! Never here: I/O.

mod confluent;
mod debezium;
mod registry;

pub use registry::{MakePredicate, MakeTransformation, predicates, transformations};
