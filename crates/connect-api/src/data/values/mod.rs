//! Between values and texts, and between types: `org.apache.kafka.connect.data.Values`.
//!
//! Lives here: what a text means ([`parse_string`]), the text of a value ([`convert_to_string`]), conversions
//! between types (`convert_to_…`), the schema of a value without one ([`infer_schema`]). Header converters,
//! the Cast transform and sinks rest on it.
//! Lives elsewhere: `String.valueOf` of a value ([`super::append_java_text`]).
//! Never here: opinions. Oddities of the Java class are kept, as other programs have read and written them.
//! Time zone and language are those of `vectors/README.md`, section 4.
//! Source: observed on `Values` of Apache Kafka 4.3.1 and Java 17.

mod convert;
mod infer;
mod parse;
mod temporal;
mod text;

pub use convert::{
    convert_to, convert_to_boolean, convert_to_byte, convert_to_date, convert_to_decimal,
    convert_to_double, convert_to_float, convert_to_integer, convert_to_list, convert_to_long,
    convert_to_map, convert_to_short, convert_to_struct, convert_to_time, convert_to_timestamp,
};
pub use infer::infer_schema;
pub use parse::parse_string;
pub use text::{append_string, convert_to_string};
