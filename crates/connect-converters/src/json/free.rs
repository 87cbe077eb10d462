//! JSON without a schema: objects become maps, whole numbers INT64, other numbers FLOAT64.
//!
//! Lives here: the walk over the text that makes values, led by the shapes seen so far.
//! Lives elsewhere: words (`scan`), shapes (`shapes`).
//! Never here: a schema.

use super::number::Number;
use super::scan::{Scan, Scanner, Text};
use super::shapes::{Place, Shapes, Step};
use super::slot::Slot;
use connect_api::data::{Keys, Map, SPARE_FIELDS, SharedSlice, Str, Value};
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
    /// Reads the value at the position to where it stays. `place`: where objects begin here.
    #[inline]
    pub(super) fn value(&mut self, place: Place, into: &mut Value) -> Scan<()> {
        match self.scanner.peek() {
            b'{' => self.object(place, SPARE_FIELDS, into),
            _ => self.no_object(place, into),
        }
    }

    #[inline(never)]
    fn no_object(&mut self, place: Place, into: &mut Value) -> Scan<()> {
        let mut value = Vec::with_capacity(1);
        self.push_value(place, &mut value)?;
        *into = value.pop().unwrap_or_default();
        Ok(())
    }

    /// Appends the value at the position. Values are made where they stay: moving one costs more than reading
    /// it. Kept apart by how they lie in memory, or the compiler moves them all the same. Not inlined in debug
    /// builds, where a thousand levels of nesting would else not fit on a thread's stack.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn push_value(&mut self, place: Place, values: &mut Vec<Value>) -> Scan<()> {
        match self.scanner.peek() {
            b'"' => {
                let text = self.scanner.string()?;
                Slot::new(values).fill_text(self.source, text);
            }
            b'-' | b'0'..=b'9' => {
                let number = self.scanner.number()?;
                let slot = Slot::new(values);
                match number {
                    Number::Integer { low, .. } => slot.fill(Value::Int64(low)),
                    real => slot.fill(Value::Float64(real.double_value())),
                }
            }
            b'{' | b'[' => self.push_list(place, values)?,
            _ => push_literal(&mut self.scanner, values)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn push_list(&mut self, place: Place, values: &mut Vec<Value>) -> Scan<()> {
        let slot = Slot::new(values).fill_null();
        match self.scanner.peek() {
            b'{' => self.object(place, 0, slot),
            _ => self.array(place, slot),
        }
    }

    fn array(&mut self, place: Place, into: &mut Value) -> Scan<()> {
        self.scanner.enter()?;
        let mut elements = Vec::new();
        while self.scanner.next_element(elements.is_empty())? {
            self.push_value(place, &mut elements)?;
        }
        self.scanner.leave();
        *into = Value::Array(elements);
        Ok(())
    }

    /// `spare`: room behind the values.
    fn object(&mut self, begin: Place, spare: usize, into: &mut Value) -> Scan<()> {
        self.scanner.enter()?;
        let mut values = Vec::with_capacity(self.shapes.width(begin) + spare);
        let mut place = begin;
        loop {
            let step = match self.shapes.predicted(place, self.scanner.rest()) {
                Some((step, length)) => {
                    self.scanner.step_over(length);
                    step
                }
                None if self.scanner.peek() == b'}' => break,
                None => match self.member(place, values.is_empty())? {
                    Member::Known(step) => step,
                    Member::End => break,
                    Member::Stranger(key) => {
                        *into = self.stranger(begin, place, values, key)?;
                        return Ok(());
                    }
                },
            };
            self.push_value(step.value, &mut values)?;
            place = step.next;
        }
        self.scanner.leave();
        let keys = self.shapes.keys(begin, place);
        *into = Value::Map(Map::of_interned_shape(keys, values));
        Ok(())
    }

    /// A member that was not predicted.
    #[inline(never)]
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
    #[inline(never)]
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
            self.push_value(elsewhere, &mut values)?;
            match self.scanner.next_member(false)? {
                Some(key) => keys.push(Value::String(shared(self.source, key))),
                None => break,
            }
        }
        self.scanner.leave();
        Ok(Value::Map(map_of_entries(keys, values)))
    }
}

#[inline(never)]
fn push_literal(scanner: &mut Scanner<'_>, values: &mut Vec<Value>) -> Scan<()> {
    let (word, value) = match scanner.peek() {
        b't' => ("true", Value::Boolean(true)),
        b'f' => ("false", Value::Boolean(false)),
        b'n' => ("null", Value::Null),
        _ => return Err(scanner.unexpected("a value")),
    };
    scanner.literal(word)?;
    Slot::new(values).fill(value);
    Ok(())
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
