//! The place at the end of a list where the next value is made.
//!
//! Lives here: [`Slot`], for which the room is there before the value is, so that no value is moved.
//! Never here: what the value is.

use connect_api::data::Value;

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
}
