//! Schemas, keys of maps and texts of which there is one in the whole program, so that copies of them are free.
//!
//! A transform puts the same schema and the same fixed texts into every record. Counting references to them costs
//! more than the rest of its work, and twice as much where tasks on several processors count the same ones.
//! Interned ones live as long as the program and count nothing.
//! Never here: data of records. The pools have bounds; what comes after is counted as usual.

use super::{Keys, Schema, Str, Value};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// How often a thing that a topic's records bring must come before it is interned: what is made of data must not fill the
/// pools.
pub const INTERNED_AFTER: u32 = 1000;

/// Schemas kept for ever.
const SCHEMAS_MAX: usize = 4096;

/// Texts kept for ever, and how long they may be.
const TEXTS_MAX: usize = 4096;
const TEXT_BYTES_MAX: usize = 1024;

/// Lists of keys kept for ever, how many keys one may have, and how many bytes of text.
const KEYS_MAX: usize = 4096;
const KEYS_LENGTH_MAX: usize = 64;
const KEYS_BYTES_MAX: usize = 1024;

static KEYS: LazyLock<Mutex<HashMap<Vec<Str>, Arc<Keys>>>> = LazyLock::new(Mutex::default);
static SCHEMAS: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);
static TEXTS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Pool {
    by_hash: HashMap<u64, Vec<Schema>>,
    size: usize,
}

impl Schema {
    /// The one schema of the program that says the same, to the order of parameters. For plans, which make schemas seldom.
    ///
    /// Cost: a lock and a comparison. Lives for ever, as long as there are fewer than 4096.
    pub fn interned(self) -> Schema {
        if self.is_static() {
            return self;
        }
        let hash = hash_of(&self);
        let mut pool = SCHEMAS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pool.by_hash.get(&hash);
        let known = known.and_then(|list| list.iter().find(|known| known.is_identical(&self)));
        if let Some(known) = known {
            return known.clone();
        }
        if pool.size == SCHEMAS_MAX {
            return self;
        }
        pool.size += 1;
        let schema = self.leaked();
        pool.by_hash.entry(hash).or_default().push(schema.clone());
        schema
    }
}

impl Keys {
    /// The one list of these keys of the program, which maps do not count. For plans, which make keys seldom.
    ///
    /// Cost: a lock and a search. Lives for ever, as long as the keys are at most 64 texts of at most 1 KiB together and
    /// there are fewer than 4096 lists; then the texts are copied, so that no fetched buffer stays.
    pub fn interned(keys: Vec<Value>) -> Arc<Keys> {
        if keys.len() > KEYS_LENGTH_MAX {
            return Arc::new(Keys::new(keys));
        }
        let texts = keys.iter().map(|key| key.as_str().map(Str::from));
        let Some(texts) = texts.collect::<Option<Vec<Str>>>() else {
            return Arc::new(Keys::new(keys));
        };
        if texts.iter().map(|text| text.len()).sum::<usize>() > KEYS_BYTES_MAX {
            return Arc::new(Keys::new(keys));
        }
        let mut pool = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pool.get(&texts) {
            return known.clone();
        }
        if pool.len() == KEYS_MAX {
            return Arc::new(Keys::new(keys));
        }
        let copies = texts.iter().cloned().map(Value::String);
        let keys = Keys::leaked(copies.collect());
        pool.insert(texts, keys.clone());
        keys
    }
}

/// The same for equal schemas.
fn hash_of(schema: &Schema) -> u64 {
    let mut state = DefaultHasher::new();
    schema.schema_type().hash(&mut state);
    schema.is_optional().hash(&mut state);
    schema.name().hash(&mut state);
    for field in schema.fields() {
        field.name.hash(&mut state);
        field.schema.schema_type().hash(&mut state);
    }
    state.finish()
}

impl Str {
    /// The one text of the program that says this, or one that lies in the value. For texts of the configuration that
    /// go into every record.
    ///
    /// Lives for ever, as long as it is at most 1 KiB and there are fewer than 4096.
    pub fn interned(text: &str) -> Str {
        if let Some(text) = Str::short(text) {
            return text;
        }
        if text.len() > TEXT_BYTES_MAX {
            return Str::from(text);
        }
        let mut pool = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pool.get(text) {
            return Str::from_static(known);
        }
        if pool.len() == TEXTS_MAX {
            return Str::from(text);
        }
        let text: &'static str = Box::leak(text.into());
        pool.insert(text);
        Str::from_static(text)
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{Schema, SchemaBuilder, Str, Type};

    #[test]
    fn equal_schemas_become_one() {
        let make = |name: &str| {
            let builder = SchemaBuilder::structure().field("a", Schema::INT32);
            builder.name(name).build().unwrap().interned()
        };
        let first = make("interned");
        assert!(first.ptr_eq(&make("interned")));
        assert!(!first.ptr_eq(&make("other")));
        assert_eq!(first.field("a").unwrap().schema, Schema::INT32);
    }

    #[test]
    fn schemas_that_print_differently_stay_apart() {
        let make = |parameters: [&str; 2]| {
            let inner = parameters
                .iter()
                .fold(SchemaBuilder::new(Type::String), |builder, name| {
                    builder.parameter(*name, "1")
                });
            let outer = SchemaBuilder::structure().field("a", inner.build().unwrap());
            outer.build().unwrap()
        };
        let (first, second) = (make(["x", "y"]), make(["y", "x"]));
        assert_eq!(first, second);
        let (first, second) = (first.interned(), second.interned());
        assert!(!first.ptr_eq(&second));
        assert!(make(["y", "x"]).interned().ptr_eq(&second));
    }

    #[test]
    fn equal_texts_become_one() {
        const TEXT: &str = "a text that is longer than what lies in the value";
        let (first, second) = (Str::interned(TEXT), Str::interned(TEXT));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(first, TEXT);
        assert_eq!(Str::interned("short"), "short");
    }
}
