//! Single message transforms and predicates.
//!
//! Lives here: one file per transform and predicate, the field paths and plans they share, and the list of them all.
//! Lives elsewhere: chains, and what becomes of a record that fails (`connect_worker`).
//! Never here: I/O.
//!
//! A transform works out a plan for a schema, or for the keys of a map, when it first sees it, and runs the plan for
//! each record: it looks no field up by its name, and changes structs and maps where they are.

mod aiven;
mod confluent;
mod debezium;
mod registry;

// What transforms share: which half they work on, naming fields, plans, and the two kinds of plans that several need.
mod field_path;
mod operate;
mod plan;
mod reading;
mod record_text;
mod select;
mod topics;
mod update;

mod cast;
mod cast_value;
mod drop_headers;
mod extract_field;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod mask_field;
mod predicates;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod timestamp_converter;
mod timestamp_router;
mod value_to_key;

pub use registry::{MakePredicate, MakeTransformation, predicates, transformations};
