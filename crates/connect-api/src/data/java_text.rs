//! Values as Java's `String.valueOf` prints them: what StringConverter encodes and FileStreamSink writes.
//!
//! Lives here: [`append_java_text`] for every value.
//! Lives elsewhere: the text form of headers (`values::convert_to_string`).
//! Never here: allocation, as far as a value is made of numbers, texts and small decimals.

use super::append::append_integer;
use super::calendar::{CivilTime, MS_PER_DAY, day_of_week};
use super::java_number::{append_double, append_float};
use super::{Map, Struct, Value};
use std::fmt;
use std::io::Write;

/// Appends `String.valueOf(value)`: a text as it is, `[a, b]`, `{k=v}`, `Struct{a=1,b=x}` without its nulls,
/// `Thu Jan 01 00:00:00 UTC 1970`, and the useless `[B@1b6d3586` of bytes.
#[inline]
pub fn append_java_text(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => text.append_to(out),
        Value::Int64(number) => append_integer(*number, out),
        other => append_other(other, out),
    }
}

/// Lists are kept apart, so that this needs little of the stack for what most values are.
#[inline(never)]
fn append_other(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Int8(number) => append_integer((*number).into(), out),
        Value::Int16(number) => append_integer((*number).into(), out),
        Value::Int32(number) => append_integer((*number).into(), out),
        Value::Int64(number) => append_integer(*number, out),
        Value::Float32(number) => append_float(*number, out),
        Value::Float64(number) => append_double(*number, out),
        Value::String(text) => text.append_to(out),
        Value::Bytes(bytes) => {
            // Java prints an identity hash; ours is where the bytes lie.
            write!(out, "[B@{:x}", bytes.as_ptr() as usize as u32 & 0x7fff_ffff).expect(ENDLESS);
        }
        Value::Array(elements) => append_array(elements, out),
        Value::Map(map) => append_map(map, out),
        Value::Struct(fields) => append_struct(fields, out),
        Value::Decimal(decimal) => write!(out, "{decimal}").expect(ENDLESS),
        Value::Timestamp(ms) => append_date(*ms, out),
    }
}

#[inline(never)]
fn append_array(elements: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        append_java_text(element, out);
    }
    out.push(b']');
}

#[inline(never)]
fn append_map(map: &Map, out: &mut Vec<u8>) {
    out.push(b'{');
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        append_java_text(key, out);
        out.push(b'=');
        append_java_text(value, out);
    }
    out.push(b'}');
}

#[inline(never)]
fn append_struct(fields: &Struct, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Struct{");
    let mut first = true;
    for (field, value) in fields.schema().fields().iter().zip(fields.values()) {
        if value.is_null() {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        field.name.append_to(out);
        out.push(b'=');
        append_java_text(value, out);
    }
    out.push(b'}');
}

/// The text of [`append_java_text`] inside a message.
pub fn java_text(value: &Value) -> impl fmt::Display + '_ {
    struct Text<'a>(&'a Value);
    impl fmt::Display for Text<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut text = Vec::new();
            append_java_text(self.0, &mut text);
            f.write_str(&String::from_utf8_lossy(&text))
        }
    }
    Text(value)
}

const ENDLESS: &str = "a vector takes all bytes";

/// `java.util.Date.toString` in UTC.
fn append_date(ms: i64, out: &mut Vec<u8>) {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let time = CivilTime::of_ms(ms);
    write!(
        out,
        "{} {} {:02} {:02}:{:02}:{:02} UTC {}",
        DAYS[day_of_week(ms.div_euclid(MS_PER_DAY))],
        MONTHS[usize::from(time.date.month) - 1],
        time.date.day,
        time.hour,
        time.minute,
        time.second,
        time.date.year_of_era(),
    )
    .expect(ENDLESS);
}
