//! `hashCode` of the Java classes that Connect's values are made of.
//!
//! Lives here: the hashes that decide partitions and the order of Java's hash maps.
//! Never here: hashes for maps of our own.

use connect_api::data::{Decimal, Value};

/// `String.hashCode`: a polynomial in 31 over UTF-16 units.
pub(super) fn of_text(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// The hash of a value. Bytes and structs, whose hash differs from run to run in Java, get one of their content.
pub(super) fn of_value(value: &Value) -> i32 {
    match value {
        Value::Null => 0,
        Value::Boolean(true) => 1231,
        Value::Boolean(false) => 1237,
        Value::Int8(number) => i32::from(*number),
        Value::Int16(number) => i32::from(*number),
        Value::Int32(number) => *number,
        Value::Int64(number) | Value::Timestamp(number) => of_long(*number),
        Value::Float32(number) if number.is_nan() => 0x7fc0_0000,
        Value::Float32(number) => number.to_bits() as i32,
        Value::Float64(number) if number.is_nan() => of_long(0x7ff8_0000_0000_0000),
        Value::Float64(number) => of_long(number.to_bits() as i64),
        Value::String(text) => of_text(text),
        Value::Bytes(bytes) => bytes.iter().fold(1, |hash: i32, byte| {
            hash.wrapping_mul(31).wrapping_add(i32::from(*byte as i8))
        }),
        Value::Array(elements) => of_list(elements),
        Value::Map(map) => map.iter().fold(0, |hash: i32, (key, value)| {
            hash.wrapping_add(of_value(key) ^ of_value(value))
        }),
        Value::Struct(fields) => of_list(fields.values()),
        Value::Decimal(decimal) => of_decimal(decimal),
    }
}

/// Sorts entries of a `HashMap` of `size` entries as it walks them, when they stand in the order of insertion. `hash` is
/// that of an entry's key.
pub(super) fn sort_as_hash_map<T>(entries: &mut [T], size: usize, hash: impl Fn(&T) -> i32) {
    let mut buckets = 16;
    while size > buckets / 4 * 3 {
        buckets *= 2;
    }
    entries.sort_by_key(|entry| {
        let hash = hash(entry) as u32;
        (hash ^ (hash >> 16)) & (buckets as u32 - 1)
    });
}

fn of_long(number: i64) -> i32 {
    (number ^ (number as u64 >> 32) as i64) as i32
}

fn of_list(elements: &[Value]) -> i32 {
    elements.iter().fold(1, |hash: i32, element| {
        hash.wrapping_mul(31).wrapping_add(of_value(element))
    })
}

/// `31 * unscaledValue().hashCode() + scale`.
fn of_decimal(decimal: &Decimal) -> i32 {
    let (sign, digits) = decimal.unscaled().to_u32_digits();
    let magnitude = digits.iter().rev().fold(0, |hash: i32, digit| {
        hash.wrapping_mul(31).wrapping_add(*digit as i32)
    });
    let unscaled = match sign {
        num_bigint::Sign::Minus => magnitude.wrapping_neg(),
        _ => magnitude,
    };
    unscaled.wrapping_mul(31).wrapping_add(decimal.scale())
}
