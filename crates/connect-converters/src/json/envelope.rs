//! Records that bring their schema along: `{"schema":…,"payload":…}`.
//!
//! Lives here: finding schema and payload, and the schemas seen so far with their plans. A record that begins
//! with the same bytes as one before, up to its payload, is read along that one's plan at once.
//! Lives elsewhere: what a schema's JSON means (`schema_in`), the payload (`typed`, `lenient`, `free`).
//! Source: `JsonConverter.toConnectData` of Apache Kafka 4.3.1.

use super::free::FreeReader;
use super::lenient::Lenient;
use super::node::Node;
use super::scan::{Scan, Scanner, SyntaxError};
use super::shapes::Shapes;
use super::typed::{Plan, TypedReader};
use super::{Options, not_json};
use connect_api::data::{INTERNED_AFTER, Schema, SchemaAndValue, SharedSlice, Value};
use connect_api::{ConnectError, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

const NOT_AN_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields \
    and may not contain additional fields. If you are trying to deserialize plain JSON data, set \
    schemas.enable=false in your converter configuration.";

/// Entries whose beginnings are compared with each record.
const RECENT_MAX: usize = 4;

/// Schemas by their bytes, at most `schemas.cache.size`; the one that was used longest ago gives way.
pub(super) struct SchemaCache {
    entries: Vec<Entry>,
    by_text: HashMap<Arc<str>, usize>,
    /// The entries that were used last, the very last one first.
    recent: Vec<usize>,
    size_max: usize,
    clock: u64,
}

pub(super) struct Entry {
    text: Arc<str>,
    pub(super) target: Target,
    /// The bytes of a record from its begin to its payload, when the schema comes first.
    beginning: Box<[u8]>,
    used: u64,
    /// How many records had the beginning.
    records: u32,
}

/// What a payload is read to.
pub(super) enum Target {
    Free,
    Schema { schema: Schema, plan: Plan },
}

impl Target {
    pub(super) fn new(schema: Option<Schema>, options: &Options) -> Self {
        match schema {
            None => Target::Free,
            Some(schema) => {
                let plan = Plan::new(&schema, options.replace_null_with_default);
                Target::Schema { schema, plan }
            }
        }
    }

    /// From now on records do not count the schema.
    #[cold]
    fn intern(&mut self, options: &Options) {
        if let Target::Schema { schema, .. } = self {
            *self = Target::new(Some(schema.clone().interned()), options);
        }
    }

    fn schema(&self) -> Option<&Schema> {
        match self {
            Target::Free => None,
            Target::Schema { schema, .. } => Some(schema),
        }
    }
}

impl SchemaCache {
    pub(super) fn new(size_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            by_text: HashMap::new(),
            recent: Vec::new(),
            size_max,
            clock: 0,
        }
    }

    /// The entry whose records begin as `bytes` do, and how long the beginning is.
    #[inline]
    fn by_beginning(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let begins = |entry: &usize| {
            let beginning = &self.entries[*entry].beginning;
            !beginning.is_empty() && bytes.starts_with(beginning)
        };
        let at = self.recent.iter().position(begins)?;
        let entry = self.recent[at];
        if at > 0 {
            self.use_now(entry);
        }
        let known = &mut self.entries[entry];
        known.records = known.records.saturating_add(1);
        Some((entry, known.beginning.len()))
    }

    fn use_now(&mut self, entry: usize) {
        self.clock += 1;
        self.entries[entry].used = self.clock;
        self.recent.retain(|known| *known != entry);
        self.recent.truncate(RECENT_MAX - 1);
        self.recent.insert(0, entry);
    }

    fn by_text(&mut self, text: &str) -> Option<usize> {
        let entry = self.by_text.get(text).copied()?;
        self.use_now(entry);
        Some(entry)
    }

    /// Keeps a schema; without room for any it is given back.
    fn insert(&mut self, text: &str, target: Target) -> std::result::Result<usize, Target> {
        if self.size_max == 0 {
            return Err(target);
        }
        let text: Arc<str> = text.into();
        let entry = Entry {
            text: Arc::clone(&text),
            target,
            beginning: Box::default(),
            used: 0,
            records: 0,
        };
        let at = if self.entries.len() < self.size_max {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let oldest = (0..self.entries.len()).min_by_key(|i| self.entries[*i].used);
            let oldest = oldest.expect("the cache has room for one at least");
            self.by_text.remove(&self.entries[oldest].text);
            self.entries[oldest] = entry;
            oldest
        };
        self.by_text.insert(text, at);
        self.use_now(at);
        Ok(at)
    }
}

pub(super) struct EnvelopeReader<'r> {
    pub(super) options: &'r Options,
    pub(super) shapes: &'r mut Shapes,
    pub(super) schemas: &'r mut SchemaCache,
}

impl EnvelopeReader<'_> {
    /// A record whose beginning is known. `None`: it is not, or its payload is unusual; what `value` holds is of
    /// no use then.
    #[inline]
    pub(super) fn read_known(
        &mut self,
        source: SharedSlice<'_>,
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Option<()> {
        let bytes = source.as_slice();
        let (entry, start) = self.schemas.by_beginning(bytes)?;
        std::str::from_utf8(&bytes[start..]).ok()?;
        // SAFETY: the beginning was UTF-8 when it was learned and ended before a value; the rest was checked.
        let text = unsafe { std::str::from_utf8_unchecked(bytes) };
        let mut scanner = Scanner::resumed(text, start, 1);
        let entry = &mut self.schemas.entries[entry];
        if entry.records == INTERNED_AFTER {
            entry.target.intern(self.options);
        }
        match &mut entry.target {
            Target::Free => {
                let mut reader = FreeReader {
                    scanner,
                    shapes: self.shapes,
                    source,
                };
                reader.value(Shapes::ROOT, value).ok()?;
                scanner = reader.scanner;
            }
            Target::Schema { plan, .. } => {
                let mut reader = TypedReader { scanner, source };
                reader.value(plan, value).ok()?;
                scanner = reader.scanner;
            }
        }
        scanner.skip_space();
        if scanner.peek() != b'}' {
            return None;
        }
        *schema = entry.target.schema().cloned();
        Some(())
    }

    /// Any record, already decoded: `text` lies in `source`.
    pub(super) fn read(&mut self, source: SharedSlice<'_>, text: &str) -> Result<SchemaAndValue> {
        let Some(Envelope { schema, payload }) = find(text).map_err(not_json)? else {
            return Err(ConnectError::data(NOT_AN_ENVELOPE));
        };
        let schema_text = &text[schema.clone()];
        let lenient = Lenient {
            options: self.options,
            source,
        };
        let entry = match self.schemas.by_text(schema_text) {
            Some(entry) => Ok(entry),
            None => {
                let mut scanner = Scanner::resumed(text, schema.start, 1);
                let node = Node::read(&mut scanner).map_err(not_json)?;
                let target = Target::new(lenient.schema(&node)?, self.options);
                self.schemas.insert(schema_text, target)
            }
        };
        let mut uncached;
        let target = match entry {
            Ok(entry) => {
                let entry = &mut self.schemas.entries[entry];
                let beginning = &text.as_bytes()[..payload.start];
                let in_place = text.as_ptr() == source.as_ptr();
                if schema.end <= payload.start && in_place && *entry.beginning != *beginning {
                    entry.beginning = beginning.into();
                }
                &mut entry.target
            }
            Err(target) => {
                uncached = target;
                &mut uncached
            }
        };
        read_payload(target, self.shapes, &lenient, text, payload.start)
    }
}

/// The payload at `start` of `text`.
fn read_payload(
    target: &mut Target,
    shapes: &mut Shapes,
    lenient: &Lenient<'_, '_>,
    text: &str,
    start: usize,
) -> Result<SchemaAndValue> {
    let source = lenient.source;
    match target {
        Target::Free => {
            let mut reader = FreeReader {
                scanner: Scanner::resumed(text, start, 1),
                shapes,
                source,
            };
            let mut value = Value::Null;
            reader.value(Shapes::ROOT, &mut value).map_err(not_json)?;
            Ok(SchemaAndValue::new(None, value))
        }
        Target::Schema { schema, plan } => {
            let scanner = Scanner::resumed(text, start, 1);
            let mut value = Value::Null;
            let value = match (TypedReader { scanner, source }).value(plan, &mut value) {
                Ok(()) => value,
                Err(_) => {
                    let mut scanner = Scanner::resumed(text, start, 1);
                    let node = Node::read(&mut scanner).map_err(not_json)?;
                    let lenient = Lenient {
                        options: lenient.options,
                        source,
                    };
                    lenient.convert(Some(schema), Some(&node))?
                }
            };
            Ok(SchemaAndValue::new(schema.clone(), value))
        }
    }
}

/// Where in a text the two members are.
struct Envelope {
    schema: Range<usize>,
    payload: Range<usize>,
}

/// The members of an envelope; `None` when the text is JSON but no envelope. All of it is checked.
fn find(text: &str) -> Scan<Option<Envelope>> {
    let mut scanner = Scanner::new(text);
    scanner.skip_space();
    let first = scanner.peek();
    if first == 0 && scanner.at == text.len() {
        return Ok(None);
    }
    if first != b'{' {
        scanner.skip_value()?;
        scanner.end_of_document(first)?;
        return Ok(None);
    }
    scanner.enter()?;
    let (mut schema, mut payload, mut others) = (None, None, false);
    let mut at_first = true;
    while let Some(name) = scanner.next_member(at_first)? {
        at_first = false;
        let start = scanner.at;
        scanner.skip_value()?;
        let place = match &*name {
            "schema" => &mut schema,
            "payload" => &mut payload,
            _ => {
                others = true;
                continue;
            }
        };
        *place = Some(start..scanner.at);
    }
    Ok(match (schema, payload) {
        (Some(schema), Some(payload)) if !others => Some(Envelope { schema, payload }),
        _ => None,
    })
}

/// A document that is all payload, as with `schema.content`.
pub(super) fn read_content(
    target: &mut Target,
    options: &Options,
    source: SharedSlice<'_>,
    text: &str,
) -> Result<SchemaAndValue> {
    let Target::Schema { schema, plan } = target else {
        return Err(ConnectError::fatal("schema.content has no schema"));
    };
    let mut scanner = Scanner::new(text);
    scanner.skip_space();
    let (start, first) = (scanner.at, scanner.peek());
    let mut reader = TypedReader { scanner, source };
    let mut value = Value::Null;
    if let Ok(()) = reader.value(plan, &mut value)
        && reader.scanner.end_of_document(first).is_ok()
    {
        return Ok(SchemaAndValue::new(schema.clone(), value));
    }
    let node = read_document(text, start).map_err(not_json)?;
    let value = Lenient { options, source }.convert(Some(schema), Some(&node))?;
    Ok(SchemaAndValue::new(schema.clone(), value))
}

/// The one value of a text, space before it skipped.
pub(super) fn read_document(
    text: &str,
    start: usize,
) -> std::result::Result<Node<'_>, SyntaxError> {
    if start == text.len() {
        return Ok(Node::Missing);
    }
    let mut scanner = Scanner::resumed(text, start, 0);
    let first = scanner.peek();
    let node = Node::read(&mut scanner)?;
    scanner.end_of_document(first)?;
    Ok(node)
}
