//! A JSON document as a tree: for schemas, and for what does not fit its schema.
//!
//! Lives here: [`Node`], as Jackson's `JsonNode`.
//! Never here: the fast way (`free`, `typed`), conversions (`lenient`).

use super::number::Number;
use super::scan::{Scan, Scanner, Text};
use std::collections::HashMap;

/// Up to this many members are compared with each other to find one that stands twice.
const COMPARED_MAX: usize = 16;

#[derive(Debug)]
pub(super) enum Node<'a> {
    /// What Jackson makes of no text at all.
    Missing,
    Null,
    Boolean(bool),
    Number(Number<'a>),
    Text(Text<'a>),
    Array(Vec<Node<'a>>),
    /// Members in order; of equal names the last one counts, in the place of the first.
    Object(Vec<(Text<'a>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The value at the position.
    pub(super) fn read(scanner: &mut Scanner<'a>) -> Scan<Self> {
        Ok(match scanner.peek() {
            b'"' => Node::Text(scanner.string()?),
            b'{' => return Self::read_object(scanner),
            b'[' => return Self::read_array(scanner),
            b't' => {
                scanner.literal("true")?;
                Node::Boolean(true)
            }
            b'f' => {
                scanner.literal("false")?;
                Node::Boolean(false)
            }
            b'n' => {
                scanner.literal("null")?;
                Node::Null
            }
            _ => Node::Number(scanner.number()?),
        })
    }

    fn read_object(scanner: &mut Scanner<'a>) -> Scan<Self> {
        scanner.enter()?;
        let mut members = Vec::new();
        while let Some(name) = scanner.next_member(members.is_empty())? {
            members.push((name, Node::read(scanner)?));
        }
        scanner.leave();
        Ok(Node::Object(last_of_each(members)))
    }

    fn read_array(scanner: &mut Scanner<'a>) -> Scan<Self> {
        scanner.enter()?;
        let mut elements = Vec::new();
        while scanner.next_element(elements.is_empty())? {
            elements.push(Node::read(scanner)?);
        }
        scanner.leave();
        Ok(Node::Array(elements))
    }

    /// The member of an object; none of anything else.
    pub(super) fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&Text<'a>> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Node::Null)
    }

    /// The name of the node's type, as Java's messages print it.
    pub(super) fn node_type(&self) -> &'static str {
        match self {
            Node::Missing => "MISSING",
            Node::Null => "NULL",
            Node::Boolean(_) => "BOOLEAN",
            Node::Number(_) => "NUMBER",
            Node::Text(_) => "STRING",
            Node::Array(_) => "ARRAY",
            Node::Object(_) => "OBJECT",
        }
    }

    /// The values inside an array or object.
    pub(super) fn elements(&self) -> Box<dyn Iterator<Item = &Node<'a>> + '_> {
        match self {
            Node::Array(elements) => Box::new(elements.iter()),
            Node::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

fn last_of_each<'a>(mut members: Vec<(Text<'a>, Node<'a>)>) -> Vec<(Text<'a>, Node<'a>)> {
    if members.len() <= COMPARED_MAX {
        let mut i = 1;
        while i < members.len() {
            match (0..i).find(|first| members[*first].0 == members[i].0) {
                Some(first) => members[first].1 = members.remove(i).1,
                None => i += 1,
            }
        }
        return members;
    }
    let mut places: HashMap<Text<'a>, usize> = HashMap::with_capacity(members.len());
    let mut kept: Vec<(Text<'a>, Node<'a>)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        match places.get(&name) {
            Some(place) => kept[*place].1 = value,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    kept
}
