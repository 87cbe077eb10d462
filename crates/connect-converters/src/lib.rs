//! Kafka Connect's own converters.
//!
//! Lives here: JSON, String, ByteArray, the numbers, Boolean, SimpleHeader, and the list of them all
//! ([`registry`]).
//! Lives elsewhere: converters that need a schema registry (`connect_schema_registry`), Java's text of a value
//! (`connect_api::data`).
//! Never here: I/O.

mod config;
pub mod json;

pub use json::JsonConverter;
