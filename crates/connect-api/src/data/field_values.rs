//! The values of a map or struct, dropped with a look at each and a call only for those that own something.
//!
//! Most values of a record are numbers and short texts. The compiler's way calls a function for each, which costs more
//! than making them did.

use super::Value;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldValues(Vec<Value>);

impl FieldValues {
    pub fn into_vec(mut self) -> Vec<Value> {
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<Value>> for FieldValues {
    #[inline]
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

impl Deref for FieldValues {
    type Target = Vec<Value>;
    #[inline]
    fn deref(&self) -> &Vec<Value> {
        &self.0
    }
}

impl DerefMut for FieldValues {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<Value> {
        &mut self.0
    }
}

impl Drop for FieldValues {
    #[inline]
    fn drop(&mut self) {
        let length = self.0.len();
        // SAFETY: the list is empty from here on, also when a drop panics, so that what is dropped below is dropped
        // once; what is not dropped owns nothing.
        unsafe {
            self.0.set_len(0);
            let first = self.0.as_mut_ptr();
            for i in 0..length {
                let value = first.add(i);
                if (*value).owns_something() {
                    value.drop_in_place();
                }
            }
        }
    }
}
