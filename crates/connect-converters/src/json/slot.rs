//! The place at the end of a list where the next value is made.
//!
//! Lives here: [`Slot`], for which the room is there before the value is, so that no value is moved.
//! Never here: what the value is.

use super::scan::Text;
use connect_api::data::{SharedSlice, Str, Value};
use std::mem::ManuallyDrop;

const TEXT_WORDS: usize = 4;

pub(super) struct Slot<'v> {
    values: &'v mut Vec<Value>,
}

impl<'v> Slot<'v> {
    #[inline(always)]
    pub(super) fn new(values: &'v mut Vec<Value>) -> Self {
        if values.len() == values.capacity() {
            values.reserve(1);
        }
        Self { values }
    }

    #[inline(always)]
    pub(super) fn fill(self, value: Value) {
        let length = self.values.len();
        // SAFETY: `new` made room for one more.
        unsafe {
            self.values.as_mut_ptr().add(length).write(value);
            self.values.set_len(length + 1);
        }
    }

    /// Null for now.
    #[inline(always)]
    pub(super) fn fill_null(self) -> &'v mut Value {
        self.values.push(Value::Null);
        self.values.last_mut().expect("just pushed")
    }

    /// [`Self::fill`] with a text that lies in `source` if it is borrowed.
    #[inline(always)]
    pub(super) fn fill_text(self, source: SharedSlice<'_>, text: Text<'_>) {
        match text {
            Text::Borrowed(text) => match Str::short(text) {
                Some(text) => self.fill(Value::String(text)),
                None => self.fill_long(source.share_str(text)),
            },
            Text::Owned(text) => self.fill(Value::String(text.into())),
        }
    }

    /// A text has just been written in words; read again in vectors, as the compiler would have it, each read
    /// waits until the words have reached the cache.
    #[inline(always)]
    fn fill_long(self, text: Str) {
        let text = ManuallyDrop::new(text);
        let words: *const [usize; TEXT_WORDS] = (&raw const text).cast();
        // SAFETY: a text is that many initialized words, and it is not dropped where it came from.
        let text = unsafe {
            let word = |i: usize| words.cast::<usize>().add(i).read_volatile();
            std::mem::transmute::<[usize; TEXT_WORDS], Str>([word(0), word(1), word(2), word(3)])
        };
        self.fill(Value::String(text));
    }
}
