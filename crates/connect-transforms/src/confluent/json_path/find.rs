//! Walking a value along a path.
//!
//! Never here: copies; what is found is borrowed.

use super::{Child, Condition, Found, JsonPath, Operand, Step, compare};
use connect_api::data::{Struct, Value};

/// Why a walk ended.
struct Missing;

impl JsonPath {
    /// The values that the path names in `root`.
    pub(in super::super) fn find<'a>(&self, root: &'a Value) -> Found<'a> {
        let mut values = Vec::new();
        match walk(&self.steps, root, root, true, &mut values) {
            Ok(()) => Found::Values(values),
            Err(Missing) => Found::Missing,
        }
    }

    /// The first value that the path names from `from` on; `None` where there is none.
    fn first<'a>(&self, from: &'a Value, root: &'a Value) -> Option<&'a Value> {
        if self.steps.is_empty() {
            return Some(from);
        }
        let mut values = Vec::new();
        walk(&self.steps, from, root, true, &mut values).ok()?;
        values.first().copied()
    }
}

/// `definite`: no step before this one had a choice, so what is not there is missing; behind a choice it is left out.
fn walk<'a>(
    steps: &[Step],
    node: &'a Value,
    root: &'a Value,
    definite: bool,
    found: &mut Vec<&'a Value>,
) -> Result<(), Missing> {
    let Some((step, rest)) = steps.split_first() else {
        found.push(node);
        return Ok(());
    };
    let nothing = || if definite { Err(Missing) } else { Ok(()) };
    match step {
        Step::Child(child) => match child.of(node) {
            Some(next) if !next.is_null() || rest.is_empty() => {
                walk(rest, next, root, definite, found)
            }
            _ => nothing(),
        },
        Step::Index(index) => match element(node, *index) {
            Some(next) => walk(rest, next, root, definite, found),
            None => nothing(),
        },
        Step::Wildcard if is_scalar(node) => nothing(),
        Step::Wildcard => children(node).try_for_each(|next| walk(rest, next, root, false, found)),
        Step::Descendants => descend(rest, node, root, found),
        Step::Condition(condition) => match node {
            Value::Array(elements) => {
                let chosen = elements
                    .iter()
                    .filter(|element| condition.holds(element, root));
                for element in chosen {
                    walk(rest, element, root, false, found)?;
                }
                Ok(())
            }
            node if is_scalar(node) => nothing(),
            node if condition.holds(node, root) => walk(rest, node, root, false, found),
            _ => Ok(()),
        },
    }
}

fn descend<'a>(
    steps: &[Step],
    node: &'a Value,
    root: &'a Value,
    found: &mut Vec<&'a Value>,
) -> Result<(), Missing> {
    walk(steps, node, root, false, found)?;
    children(node).try_for_each(|next| descend(steps, next, root, found))
}

fn is_scalar(node: &Value) -> bool {
    !matches!(node, Value::Array(_) | Value::Map(_) | Value::Struct(_))
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    let children = match node {
        Value::Array(elements) => elements.as_slice(),
        Value::Map(map) => map.values(),
        Value::Struct(fields) => fields.values(),
        _ => &[],
    };
    children.iter()
}

fn element(node: &Value, index: i64) -> Option<&Value> {
    let Value::Array(elements) = node else {
        return None;
    };
    let index = match index {
        0.. => usize::try_from(index).ok()?,
        _ => elements
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    elements.get(index)
}

impl Child {
    fn of<'a>(&self, node: &'a Value) -> Option<&'a Value> {
        match node {
            Value::Struct(fields) => self
                .index_in(fields)
                .map(|index| fields.value_or_default(index)),
            Value::Map(map) => map.get_str(&self.name),
            _ => None,
        }
    }

    fn index_in(&self, fields: &Struct) -> Option<usize> {
        let schema = fields.schema();
        if let Some((last, index)) = &*self.last.borrow()
            && last.ptr_eq(schema)
        {
            return *index;
        }
        let index = schema.field_index(&self.name);
        *self.last.borrow_mut() = Some((schema.clone(), index));
        index
    }
}

impl Condition {
    fn holds(&self, current: &Value, root: &Value) -> bool {
        match self {
            Condition::Or(parts) => parts.iter().any(|part| part.holds(current, root)),
            Condition::And(parts) => parts.iter().all(|part| part.holds(current, root)),
            Condition::Not(part) => !part.holds(current, root),
            Condition::Exists(operand) => operand.value(current, root).is_some(),
            Condition::Compare {
                left,
                operator,
                right,
            } => compare::holds(
                left.value(current, root),
                *operator,
                right.value(current, root),
            ),
            Condition::Matches { left, regex } => {
                compare::text_of(left.value(current, root)).is_some_and(|text| {
                    // A search that goes on too long is no match.
                    regex.matches(&text).unwrap_or(false)
                })
            }
        }
    }
}

impl Operand {
    /// `None`: undefined, because the path leads nowhere.
    fn value<'a>(&'a self, current: &'a Value, root: &'a Value) -> Option<&'a Value> {
        match self {
            Operand::Literal(value) => Some(value),
            Operand::Current(path) => path.first(current, root),
            Operand::Root(path) => path.first(root, root),
        }
    }
}
