//! Kafka Connect's own converters.
//!
//! Lives here: JSON, String, ByteArray, the numbers, Boolean, SimpleHeader, and the list of them all
//! ([`converters`], [`header_converters`]).
//! Lives elsewhere: converters that need a schema registry (`connect_schema_registry`), Java's text of a value
//! (`connect_api::data`).
//! Never here: I/O.

mod registry;
mod config;
mod header;
pub mod json;
pub mod string;
mod charset;
pub mod byte_array;
pub mod number;
pub mod boolean;

pub use boolean::BooleanConverter;
pub use byte_array::ByteArrayConverter;
pub use json::JsonConverter;
pub use number::{
    DoubleConverter, FloatConverter, IntegerConverter, LongConverter, ShortConverter,
};
pub use registry::{config_def_of, converters, header_converters};
pub use string::StringConverter;
