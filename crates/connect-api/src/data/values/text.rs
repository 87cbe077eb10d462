//! Values as text that [`super::parse_string`] reads again, as far as it can.

use crate::data::calendar::{CivilTime, MS_PER_DAY};
use crate::data::java_text::append_java_text;
use crate::data::{Map, Str, Struct, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;

/// The text of a value: strings as they are, bytes as Base64, `[a,b]`, `{k:v}`, `{"field":value}` with
/// defaults put in, times as ISO 8601; strings and bytes inside others quoted. `None` for null.
///
/// An instant prints by its size: before 1970-01-02 as a time of day, at midnight as a date, else in full.
pub fn convert_to_string(value: &Value) -> Option<Str> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        _ => {
            let mut text = Vec::new();
            append_string(value, &mut text);
            Some(Str::from_utf8_lossy(text.into()))
        }
    }
}

/// Appends the text of [`convert_to_string`]; `null` for null.
pub fn append_string(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => append_base64(bytes, out),
        _ => append_embedded(value, out),
    }
}

fn append_embedded(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => append_quoted(text, out),
        Value::Bytes(bytes) => {
            out.push(b'"');
            append_base64(bytes, out);
            out.push(b'"');
        }
        Value::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                append_comma(i, out);
                append_embedded(element, out);
            }
            out.push(b']');
        }
        Value::Map(map) => append_map(map, out),
        Value::Struct(fields) => append_struct(fields, out),
        Value::Timestamp(ms) => append_instant(*ms, out),
        // Numbers and booleans print as in Java anywhere.
        _ => append_java_text(value, out),
    }
}

fn append_map(map: &Map, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, value)) in map.iter().enumerate() {
        append_comma(i, out);
        append_embedded(key, out);
        out.push(b':');
        append_embedded(value, out);
    }
    out.push(b'}');
}

fn append_struct(fields: &Struct, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, field) in fields.schema().fields().iter().enumerate() {
        append_comma(i, out);
        append_quoted(&field.name, out);
        out.push(b':');
        append_embedded(fields.value_or_default(i), out);
    }
    out.push(b'}');
}

fn append_comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn append_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("room for four characters per three bytes");
}

fn append_instant(ms: i64, out: &mut Vec<u8>) {
    let CivilTime {
        date,
        hour,
        minute,
        second,
        millisecond,
    } = CivilTime::of_ms(ms);
    let written = if ms < MS_PER_DAY {
        write!(out, "{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    } else {
        let (year, month, day) = (date.year_of_era(), date.month, date.day);
        if ms % MS_PER_DAY == 0 {
            write!(out, "{year:04}-{month:02}-{day:02}")
        } else {
            write!(
                out,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"
            )
        }
    };
    written.expect("a vector takes all bytes");
}
