//! Connect's data model: what a value is, what a schema says about it, and Java's text forms of both.
//!
//! Lives here: [`Value`] with its parts ([`Str`], [`Map`], [`Struct`], [`Decimal`]), [`Schema`] and its
//! builder, [`Headers`].
//! Never here: bytes on a topic (converters), Kafka's wire.

mod append;
pub mod calendar;
mod decimal;
mod digits;
mod field_values;
mod header;
mod intern;
pub mod java_date_format;
mod java_integer;
pub mod java_number;
mod java_text;
pub mod logical;
mod map;
mod projector;
mod schema;
mod shape;
mod slice;
mod str;
mod str_buffer;
mod structs;
mod validate;
mod value;
pub mod values;

pub use append::append_integer;
pub use decimal::{Decimal, ParseDecimalError};
pub use header::{Header, Headers};
pub use intern::INTERNED_AFTER;
pub use java_text::{append_java_text, java_text};
pub use map::{Keys, Map, SPARE_FIELDS};
pub use projector::project;
pub use schema::{Field, Schema, SchemaBuilder, SchemaData, Type};
pub use slice::SharedSlice;
pub use str::Str;
pub use str_buffer::StrBuffer;
pub use structs::Struct;
pub use value::{SchemaAndValue, Value};
