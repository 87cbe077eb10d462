//! JSON without a schema: objects become maps, whole numbers INT64, other numbers FLOAT64.
//!
//! Lives here: the walk over the text that makes values, led by the shapes seen so far.
//! Lives elsewhere: words (`scan`), shapes (`shapes`).
//! Never here: a schema.

use super::scan::{Scan, Scanner, Text};
use super::shapes::{Place, Shapes, Step};
use connect_api::data::{Keys, Map, SharedSlice, Str, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Up to this many keys are compared with each other to find one that stands twice.
const COMPARED_MAX: usize = 16;

pub(super) struct FreeReader<'s, 'a> {
    pub(super) scanner: Scanner<'a>,
    pub(super) shapes: &'s mut Shapes,
    /// The buffer that the text lies in.
    pub(super) source: SharedSlice<'a>,
}

impl<'a> FreeReader<'_, 'a> {
    /// The value at the position. `place`: where objects begin here.
    #[inline]
    pub(super) fn value(&mut self, place: Place) -> Scan<Value> {
        match self.scanner.peek() {
            b'"' => {
                let text = self.scanner.string()?;
                Ok(Value::String(shared(self.source, text)))
            }
            b'{' => self.object(place),
            b'[' => self.array(place),
            b't' => self.scanner.literal("true").map(|()| Value::Boolean(true)),
            b'f' => self.scanner.literal("false").map(|()| Value::Boolean(false)),
            b'n' => self.scanner.literal("null").map(|()| Value::Null),
            _ => self.number(),
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Scan<Value> {
        use super::number::Number;
        Ok(match self.scanner.number()? {
            Number::Integer { low, .. } => Value::Int64(low),
            real => Value::Float64(real.double_value()),
        })
    }

    fn array(&mut self, place: Place) -> Scan<Value> {
        self.scanner.enter()?;
        let mut elements = Vec::new();
        while self.scanner.next_element(elements.is_empty())? {
            elements.push(self.value(place)?);
        }
        self.scanner.leave();
        Ok(Value::Array(elements))
    }

    fn object(&mut self, begin: Place) -> Scan<Value> {
        self.scanner.enter()?;
        let mut values = Vec::with_capacity(self.shapes.width(begin));
        let mut place = begin;
        loop {
            let step = match self.shapes.predicted(place, self.scanner.rest()) {
                Some((step, length)) => {
                    self.scanner.at += length;
                    step
                }
                None => match self.member(place, values.is_empty())? {
                    Member::Known(step) => step,
                    Member::End => break,
                    Member::Stranger(key) => return self.stranger(begin, place, values, key),
                },
            };
            values.push(self.value(step.value)?);
            place = step.next;
        }
        self.scanner.leave();
        let keys = self.shapes.keys(begin, place);
        Ok(Value::Map(Map::of_shape(keys, values)))
    }

    /// A member that was not predicted.
    fn member(&mut self, place: Place, first: bool) -> Scan<Member<'a>> {
        let start = self.scanner.at;
        let Some(key) = self.scanner.next_member(first)? else {
            return Ok(Member::End);
        };
        let lead = self.scanner.since(start).as_bytes();
        Ok(match self.shapes.follow(place, &key, lead) {
            Some(step) => Member::Known(step),
            None => Member::Stranger(key),
        })
    }

    /// The rest of an object from a key on that is not learned.
    fn stranger(
        &mut self,
        begin: Place,
        place: Place,
        mut values: Vec<Value>,
        key: Text<'a>,
    ) -> Scan<Value> {
        let mut keys = self.shapes.keys_so_far(place);
        let elsewhere = self.shapes.elsewhere(begin);
        keys.push(Value::String(shared(self.source, key)));
        loop {
            values.push(self.value(elsewhere)?);
            match self.scanner.next_member(false)? {
                Some(key) => keys.push(Value::String(shared(self.source, key))),
                None => break,
            }
        }
        self.scanner.leave();
        Ok(Value::Map(map_of_entries(keys, values)))
    }
}

enum Member<'a> {
    Known(Step),
    Stranger(Text<'a>),
    End,
}

/// A text as a part of the buffer, where it is one.
#[inline]
pub(super) fn shared(source: SharedSlice<'_>, text: Text<'_>) -> Str {
    match text {
        Text::Borrowed(text) => source.share_str(text),
        Text::Owned(text) => text.into(),
    }
}

/// A map of keys that are texts; of equal keys the last one counts.
pub(super) fn map_of_entries(mut keys: Vec<Value>, mut values: Vec<Value>) -> Map {
    if !all_different(&keys) {
        let mut first = HashMap::with_capacity(keys.len());
        let mut kept = 0;
        for i in 0..keys.len() {
            let key = keys[i].as_str().unwrap_or_default().to_string();
            let at = *first.entry(key).or_insert(kept);
            values.swap(at, i);
            if at == kept {
                keys.swap(at, i);
                kept += 1;
            }
        }
        keys.truncate(kept);
        values.truncate(kept);
    }
    Map::of_shape(Arc::new(Keys::new(keys)), values)
}

fn all_different(keys: &[Value]) -> bool {
    if keys.len() <= COMPARED_MAX {
        return keys
            .iter()
            .enumerate()
            .all(|(i, key)| !keys[..i].contains(key));
    }
    let mut seen = std::collections::HashSet::with_capacity(keys.len());
    keys.iter().all(|key| seen.insert(key.as_str()))
}
