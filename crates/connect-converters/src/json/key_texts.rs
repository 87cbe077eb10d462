//! The keys of maps as JSON, made once per shape.
//!
//! Maps of one shape share their keys, so the texts between their values are known: `{"id":`, `,"name":`.
//!
//! Lives here: which shapes are worth it, and finding one again by the pointer of its keys.
//! Never here: values.

use super::text::write_text;
use connect_api::data::Keys;
use std::sync::{Arc, Weak};

/// Shapes whose texts are kept.
const KEPT_MAX: usize = 32;
/// Shapes that came once and are looked out for.
const SEEN_MAX: usize = 16;

/// What stands before each value of a map.
pub(super) struct KeyTexts {
    text: Box<[u8]>,
    /// Where in `text` each one ends.
    ends: Box<[u32]>,
}

impl KeyTexts {
    /// `None`: not all keys are texts.
    fn new(keys: &Keys) -> Option<Self> {
        let mut text = Vec::new();
        let mut ends = Vec::with_capacity(keys.as_slice().len());
        for (i, key) in keys.as_slice().iter().enumerate() {
            text.push(if i == 0 { b'{' } else { b',' });
            write_text(key.as_str()?, &mut text);
            text.push(b':');
            ends.push(u32::try_from(text.len()).ok()?);
        }
        Some(Self {
            text: text.into(),
            ends: ends.into(),
        })
    }

    /// The texts in the order of the values.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = &self.text[start..*end as usize];
            start = *end as usize;
            text
        })
    }
}

/// Texts by the pointer of the keys. Only weak pointers are kept: they keep the address taken, so it cannot
/// come to mean other keys, but not what the keys hold.
#[derive(Default)]
pub(super) struct KeyTextsCache {
    kept: Vec<(Weak<Keys>, Option<Arc<KeyTexts>>)>,
    /// Where in `kept` the next one goes.
    next: usize,
    seen: Vec<Weak<Keys>>,
    next_seen: usize,
}

pub(super) enum Shape {
    /// All keys are texts, and these.
    Texts(Arc<KeyTexts>),
    /// Not all keys are texts.
    OtherKeys,
    /// It did not come before.
    New,
}

impl KeyTextsCache {
    #[inline]
    pub(super) fn shape(&mut self, keys: &Arc<Keys>) -> Shape {
        let address = Arc::as_ptr(keys);
        for (known, texts) in &self.kept {
            if known.as_ptr() == address {
                return match texts {
                    Some(texts) => Shape::Texts(Arc::clone(texts)),
                    None => Shape::OtherKeys,
                };
            }
        }
        self.unknown(keys)
    }

    fn unknown(&mut self, keys: &Arc<Keys>) -> Shape {
        let address = Arc::as_ptr(keys);
        match self.seen.iter().position(|seen| seen.as_ptr() == address) {
            Some(at) => {
                self.seen.swap_remove(at);
                let texts = KeyTexts::new(keys).map(Arc::new);
                let entry = (Arc::downgrade(keys), texts);
                put(&mut self.kept, &mut self.next, KEPT_MAX, entry);
                self.shape(keys)
            }
            None => {
                // A map that nobody shares keys with cannot come again.
                if Arc::strong_count(keys) > 1 {
                    let seen = Arc::downgrade(keys);
                    put(&mut self.seen, &mut self.next_seen, SEEN_MAX, seen);
                }
                Shape::New
            }
        }
    }
}

/// Puts an entry in the place of the oldest, once there are `max`.
fn put<T>(entries: &mut Vec<T>, next: &mut usize, max: usize, entry: T) {
    if entries.len() < max {
        entries.push(entry);
    } else {
        *next %= max;
        entries[*next] = entry;
        *next += 1;
    }
}
