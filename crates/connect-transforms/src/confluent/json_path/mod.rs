//! JSON paths over Connect's values: the subset of Jayway's JsonPath that conditions on records are written in.
//!
//! Lives here: the parts of a path and of a condition, and what is understood: `$`, `.name`, `['name']`, `[0]`,
//! `[-1]`, `[*]`, `..name`, and `[?( … )]` with `==`, `!=`, `===`, `!==`, `<`, `<=`, `>`, `>=`, `=~ /regex/`, `in`,
//! `nin`, `subsetof`, `anyof`, `noneof`, `contains`, `size`, `empty`, `&&`, `||`, `!`, parentheses, `@` and `$`.
//! Lives elsewhere: reading the text ([`parse`]), finding values ([`find`]), comparing them ([`compare`]).
//! Refused when read, with the place: functions such as `.length()`, slices `[1:3]`, unions `[0,1]`, `['a','b']`.
//! Never here: JSON texts; the paths go through structs, maps and lists.

mod compare;
mod find;
mod parse;

use connect_api::data::{Schema, Str, Value};
use connect_config::JavaRegex;
use std::cell::RefCell;

/// A path from the root of a value, or from the element that a condition looks at.
#[derive(Debug)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Child(Child),
    /// Counted from the end when negative.
    Index(i64),
    /// All children.
    Wildcard,
    /// Everything below that the next step fits.
    Descendants,
    Condition(Condition),
}

/// A member by its name. Remembers where the last struct schema had it, so that the records of one schema look for
/// it once.
#[derive(Debug)]
struct Child {
    name: Str,
    last: RefCell<Option<(Schema, Option<usize>)>>,
}

#[derive(Debug)]
enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Operand),
    Compare {
        left: Operand,
        operator: Operator,
        right: Operand,
    },
    Matches {
        left: Operand,
        regex: JavaRegex,
    },
}

#[derive(Debug)]
enum Operand {
    /// `@`, the element that the condition looks at.
    Current(JsonPath),
    /// `$`
    Root(JsonPath),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    SameTypeAndEqual,
    NotSameTypeAndEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Contains,
    Size,
    Empty,
}

impl JsonPath {
    /// Fails: with the place and what is wrong there, or what is not supported.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// The path to one member, whatever characters its name has.
    pub(super) fn of_field(name: &str) -> Self {
        Self {
            steps: vec![parse::child(name)],
        }
    }

    /// Whether the path names one value at most: no wildcard, no descent, no condition.
    pub(super) fn is_definite(&self) -> bool {
        self.steps
            .iter()
            .all(|step| matches!(step, Step::Child(_) | Step::Index(_)))
    }
}

/// What a path found.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// Something on the way, before any choice, is not there or null.
    Missing,
    Values(Vec<&'a Value>),
}
