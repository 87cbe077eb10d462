//! The keys of maps as JSON, made once per shape.
//!
//! Maps of one shape share their keys, so the texts between their values are known: `{"id":`, `,"name":`.
//!
//! Lives here: which shapes are worth it, and finding one again by the pointer of its keys.
//! Never here: values.

use super::fragment::Fragment;
use super::text::write_text;
use connect_api::data::Keys;
use std::sync::{Arc, Weak};

/// Shapes whose texts are kept.
const KEPT_MAX: usize = 32;
/// Shapes that came once and are looked out for.
const SEEN_MAX: usize = 16;

/// What stands before each value of a map.
pub(super) struct KeyTexts {
    /// Where among the kept ones it has its place.
    at: usize,
    fragments: Box<[Fragment]>,
}

impl KeyTexts {
    /// `None`: not all keys are texts.
    fn new(keys: &Keys) -> Option<Self> {
        let fragment = |(i, key): (usize, &connect_api::data::Value)| {
            let mut text = vec![if i == 0 { b'{' } else { b',' }];
            write_text(key.as_str()?, &mut text);
            text.push(b':');
            Some(Fragment::new(&text))
        };
        let fragments: Option<_> = keys.as_slice().iter().enumerate().map(fragment).collect();
        Some(Self {
            at: 0,
            fragments: fragments?,
        })
    }

    /// The texts in the order of the values.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Fragment> {
        self.fragments.iter()
    }
}

/// Texts by the pointer of the keys. Only weak pointers are kept: they keep the address taken, so it cannot
/// come to mean other keys, but not what the keys hold.
#[derive(Default)]
pub(super) struct KeyTextsCache {
    kept: Vec<Kept>,
    /// Where in `kept` the next one goes.
    next: usize,
    seen: Vec<Weak<Keys>>,
    next_seen: usize,
}

struct Kept {
    keys: Weak<Keys>,
    texts: State,
}

enum State {
    Texts(KeyTexts),
    /// A map of this shape is being written.
    Lent,
    /// Not all keys are texts.
    OtherKeys,
}

pub(super) enum Shape {
    /// All keys are texts, and these. Give them back.
    Texts(KeyTexts),
    /// Not all keys are texts.
    OtherKeys,
    /// It did not come before, or is in use further out.
    New,
}

impl KeyTextsCache {
    #[inline]
    pub(super) fn shape(&mut self, keys: &Arc<Keys>) -> Shape {
        let address = Arc::as_ptr(keys);
        for kept in &mut self.kept {
            if kept.keys.as_ptr() == address {
                return match std::mem::replace(&mut kept.texts, State::Lent) {
                    State::Texts(texts) => Shape::Texts(texts),
                    State::Lent => Shape::New,
                    State::OtherKeys => {
                        kept.texts = State::OtherKeys;
                        Shape::OtherKeys
                    }
                };
            }
        }
        self.unknown(keys)
    }

    #[inline]
    pub(super) fn give_back(&mut self, texts: KeyTexts) {
        // Another shape may have taken the place meanwhile.
        if let Some(Kept {
            texts: state @ State::Lent,
            ..
        }) = self.kept.get_mut(texts.at)
        {
            *state = State::Texts(texts);
        }
    }

    #[cold]
    fn unknown(&mut self, keys: &Arc<Keys>) -> Shape {
        let address = Arc::as_ptr(keys);
        let Some(at) = self.seen.iter().position(|seen| seen.as_ptr() == address) else {
            // A map that nobody shares keys with cannot come again.
            if keys.is_interned() || Arc::strong_count(keys) > 1 {
                let place = next_place(self.seen.len(), &mut self.next_seen, SEEN_MAX);
                put(&mut self.seen, place, Arc::downgrade(keys));
            }
            return Shape::New;
        };
        self.seen.swap_remove(at);
        let place = next_place(self.kept.len(), &mut self.next, KEPT_MAX);
        // Texts that are lent out come back to a place that is theirs, or to none.
        if self
            .kept
            .get(place)
            .is_some_and(|kept| matches!(kept.texts, State::Lent))
        {
            return Shape::New;
        }
        let texts = match KeyTexts::new(keys) {
            Some(texts) => State::Texts(KeyTexts { at: place, ..texts }),
            None => State::OtherKeys,
        };
        let keys_kept = Arc::downgrade(keys);
        put(
            &mut self.kept,
            place,
            Kept {
                keys: keys_kept,
                texts,
            },
        );
        self.shape(keys)
    }
}

/// The place of a new entry: behind the others, or once there are `max` that of the oldest.
fn next_place(length: usize, next: &mut usize, max: usize) -> usize {
    if length < max {
        return length;
    }
    let place = *next % max;
    *next = place + 1;
    place
}

fn put<T>(entries: &mut Vec<T>, place: usize, entry: T) {
    match entries.get_mut(place) {
        Some(old) => *old = entry,
        None => entries.push(entry),
    }
}
