//! Kafka Connect's own converters.
//!
//! Lives here: JSON, String, ByteArray, the numbers, Boolean, SimpleHeader, and the list of them all
//! ([`converters`], [`header_converters`]).
//! Lives elsewhere: converters that need a schema registry (`connect_schema_registry`), Java's text of a value
//! (`connect_api::data`).
//! Never here: I/O.

pub mod boolean;
pub mod byte_array;
mod charset;
mod config;
mod header;
pub mod json;
pub mod number;
mod registry;
pub mod simple_header;
pub mod string;

pub use boolean::BooleanConverter;
pub use byte_array::ByteArrayConverter;
pub use json::JsonConverter;
pub use number::{
    DoubleConverter, FloatConverter, IntegerConverter, LongConverter, ShortConverter,
};
pub use registry::{config_def_of, converters, header_converters};
pub use simple_header::SimpleHeaderConverter;
pub use string::StringConverter;
