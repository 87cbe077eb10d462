//! Headers of a Connect record.

use super::{Schema, SchemaAndValue, Str, Value};

/// One header. The same key may stand several times among a record's headers.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub key: Str,
    pub schema: Option<Schema>,
    pub value: Value,
}

/// The headers of a record, in order, keys not unique. An empty list takes no allocation.
// A record carries this; most have no headers, so one word is enough.
#[allow(clippy::box_collection)]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Option<Box<Vec<Header>>>);

impl Headers {
    pub const fn new() -> Self {
        Self(None)
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.as_slice().iter()
    }

    /// Adds a header behind the others.
    pub fn add(&mut self, key: impl Into<Str>, data: SchemaAndValue) {
        let header = Header {
            key: key.into(),
            schema: data.schema,
            value: data.value,
        };
        self.0.get_or_insert_default().push(header);
    }

    /// Removes every header of that key.
    pub fn remove(&mut self, key: &str) {
        self.retain(|header| header.key != key);
    }

    pub fn retain(&mut self, keep: impl FnMut(&Header) -> bool) {
        if let Some(headers) = &mut self.0 {
            headers.retain(keep);
            if headers.is_empty() {
                self.0 = None;
            }
        }
    }

    /// The last header of that key, as Java's `lastWithName`.
    pub fn last_with_name(&self, key: &str) -> Option<&Header> {
        self.iter().rev().find(|header| header.key == key)
    }

    pub fn all_with_name<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Header> {
        self.iter().filter(move |header| header.key == key)
    }

    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let headers: Vec<Header> = headers.into_iter().collect();
        Self((!headers.is_empty()).then(|| Box::new(headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_lost_its_last_header_equals_an_empty_one() {
        let mut headers = Headers::new();
        headers.add("a", SchemaAndValue::NULL);
        headers.add("b", SchemaAndValue::NULL);
        headers.remove("a");
        assert_ne!(headers, Headers::new());
        headers.remove("b");
        assert_eq!(headers, Headers::new());
    }
}
