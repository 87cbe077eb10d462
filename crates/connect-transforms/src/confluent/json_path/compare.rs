//! The operators of conditions, between values of Connect and of the condition's text.
//!
//! As in JsonPath: numbers compare with numbers whatever their size, `'5' == 5` holds, `'5' === 5` does not, and what
//! is undefined equals nothing.

use super::Operator;
use connect_api::data::{Value, append_java_text};
use std::borrow::Cow;
use std::cmp::Ordering;

/// `None` is undefined.
pub(super) fn holds(left: Option<&Value>, operator: Operator, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        // Nothing equals the undefined, so all is unequal to it.
        return matches!(operator, Operator::NotEqual | Operator::NotSameTypeAndEqual);
    };
    let order = || order(left, right);
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::SameTypeAndEqual => same_type(left, right) && equal(left, right),
        Operator::NotSameTypeAndEqual => !(same_type(left, right) && equal(left, right)),
        Operator::Less => order() == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order() == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        Operator::In => list(right).is_some_and(|list| is_in(left, list)),
        Operator::NotIn => list(right).is_some_and(|list| !is_in(left, list)),
        Operator::SubsetOf => lists(left, right, |left, right| {
            left.iter().all(|value| is_in(value, right))
        }),
        Operator::AnyOf => lists(left, right, |left, right| {
            left.iter().any(|value| is_in(value, right))
        }),
        Operator::NoneOf => lists(left, right, |left, right| {
            !left.iter().any(|value| is_in(value, right))
        }),
        Operator::Contains => match (left, right) {
            (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
            (Value::Array(list), right) => is_in(right, list),
            _ => false,
        },
        Operator::Size => match size(left) {
            Some(size) => equal(&Value::Int64(size as i64), right),
            None => false,
        },
        Operator::Empty => match (size(left), right) {
            (Some(size), Value::Boolean(wanted)) => (size == 0) == *wanted,
            _ => false,
        },
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(elements) => Some(elements),
        _ => None,
    }
}

fn lists(left: &Value, right: &Value, test: impl FnOnce(&[Value], &[Value]) -> bool) -> bool {
    list(left)
        .zip(list(right))
        .is_some_and(|(left, right)| test(left, right))
}

fn is_in(value: &Value, list: &[Value]) -> bool {
    list.iter().any(|element| equal(value, element))
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().map(char::len_utf16).sum()),
        Value::Array(elements) => Some(elements.len()),
        _ => None,
    }
}

/// A number as JSON would have it.
enum Number {
    Whole(i64),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    Some(match value {
        Value::Int8(number) => Number::Whole(i64::from(*number)),
        Value::Int16(number) => Number::Whole(i64::from(*number)),
        Value::Int32(number) => Number::Whole(i64::from(*number)),
        Value::Int64(number) | Value::Timestamp(number) => Number::Whole(*number),
        Value::Float32(number) => Number::Float(f64::from(*number)),
        Value::Float64(number) => Number::Float(*number),
        Value::Decimal(decimal) => match decimal.to_long_exact() {
            Some(number) => Number::Whole(number),
            None => Number::Float(decimal.to_double()),
        },
        _ => return None,
    })
}

fn number_order(left: &Number, right: &Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Whole(left), Number::Whole(right)) => Some(left.cmp(right)),
        (Number::Whole(left), Number::Float(right)) => (*left as f64).partial_cmp(right),
        (Number::Float(left), Number::Whole(right)) => left.partial_cmp(&(*right as f64)),
        (Number::Float(left), Number::Float(right)) => left.partial_cmp(right),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.as_str().cmp(right.as_str())),
        _ => number_order(&number(left)?, &number(right)?),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        (Value::String(text), other) | (other, Value::String(text)) => {
            let Some(other) = number(other) else {
                return false;
            };
            let parsed = text.parse().map(Number::Whole);
            let parsed = parsed.or_else(|_| text.parse().map(Number::Float));
            parsed.is_ok_and(|parsed| number_order(&parsed, &other) == Some(Ordering::Equal))
        }
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => number_order(&left, &right) == Some(Ordering::Equal),
            (None, None) => left == right,
            _ => false,
        },
    }
}

fn same_type(left: &Value, right: &Value) -> bool {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) => 3,
        Value::Map(_) | Value::Struct(_) => 4,
        Value::Bytes(_) => 5,
        _ => 6,
    };
    kind(left) == kind(right)
}

/// What a regular expression is put to: texts, numbers and truth values.
pub(super) fn text_of(value: Option<&Value>) -> Option<Cow<'_, str>> {
    match value? {
        Value::String(text) => Some(text.as_str().into()),
        Value::Null | Value::Array(_) | Value::Map(_) | Value::Struct(_) | Value::Bytes(_) => None,
        other => {
            let mut text = Vec::new();
            append_java_text(other, &mut text);
            Some(String::from_utf8_lossy(&text).into_owned().into())
        }
    }
}
