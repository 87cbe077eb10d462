//! A configuration as texts: key to value, before anything is known about types.
//!
//! Lives here: the map and its operations by prefix. Reading the file format is `properties_file`.
//! Never here: a value in `Debug` output. At this stage nobody knows yet which value is a password.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::Bound;

/// Configuration keys with their texts, **sorted by key**, so whatever is derived from them has one order.
///
/// A value may be null: connector configurations come as JSON, and a key that is present with null
/// differs from an absent key (it suppresses the default).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, Option<String>>,
}

impl Properties {
    pub fn new() -> Self {
        Self::default()
    }

    /// The text of a key; `None` when the key is absent and when its value is null.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key)?.as_deref()
    }

    /// `None` when the key is absent, `Some(None)` when it is present with null.
    pub fn get_nullable(&self, key: &str) -> Option<Option<&str>> {
        self.entries.get(key).map(Option::as_deref)
    }

    /// True also for a key whose value is null.
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), Some(value.into()));
    }

    pub fn set_null(&mut self, key: impl Into<String>) {
        self.entries.insert(key.into(), None);
    }

    pub fn set_nullable(&mut self, key: impl Into<String>, value: Option<String>) {
        self.entries.insert(key.into(), value);
    }

    /// Sets the key only when it is absent; a null counts as present.
    pub fn set_if_absent(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries
            .entry(key.into())
            .or_insert_with(|| Some(value.into()));
    }

    /// Answers whether the key was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Copies every entry of `other` over this one's, nulls included.
    pub fn merge(&mut self, other: &Properties) {
        self.extend(other.iter());
    }

    /// Entries whose key starts with `prefix`, without it. A key that is the prefix and no more is left
    /// out, as in `AbstractConfig.originalsWithPrefix`.
    pub fn originals_with_prefix(&self, prefix: &str) -> Properties {
        self.range_with_prefix(prefix)
            .filter(|(key, _)| key.len() > prefix.len())
            .map(|(key, value)| (&key[prefix.len()..], value))
            .collect()
    }

    /// Entries whose key starts with `prefix`, keys unchanged.
    pub fn range_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map(|(key, value)| (key.as_str(), value.as_deref()))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// In the order of the keys.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.entries.iter())
    }

    /// In order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Keys only: values may be secrets.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| if value.is_some() { "[hidden]" } else { "null" };
        f.debug_map()
            .entries(self.entries.iter().map(|(key, value)| (key, shown(value))))
            .finish()
    }
}

/// Walks [`Properties`] in the order of the keys.
#[derive(Clone)]
pub struct Iter<'a>(btree_map::Iter<'a, String, Option<String>>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0
            .next()
            .map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a str, Option<&'a str>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Properties {
    type Item = (String, Option<String>);
    type IntoIter = btree_map::IntoIter<String, Option<String>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// What can stand as a value in [`Properties`]: a text, or perhaps one.
pub trait IntoNullable {
    fn into_nullable(self) -> Option<String>;
}

impl IntoNullable for String {
    fn into_nullable(self) -> Option<String> {
        Some(self)
    }
}

impl IntoNullable for &str {
    fn into_nullable(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl<T: IntoNullable> IntoNullable for Option<T> {
    fn into_nullable(self) -> Option<String> {
        self.and_then(T::into_nullable)
    }
}

impl<K: Into<String>, V: IntoNullable> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut properties = Self::new();
        properties.extend(entries);
        properties
    }
}

impl<K: Into<String>, V: IntoNullable> Extend<(K, V)> for Properties {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.into(), value.into_nullable()));
        self.entries.extend(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_stripped() {
        let props = Properties::from_iter([
            ("producer", "0"),
            ("producer.", "1"),
            ("producer.acks", "all"),
            ("producer.linger.ms", "5"),
            ("producers.acks", "2"),
            ("topic", "t"),
        ]);
        let expected = Properties::from_iter([("acks", "all"), ("linger.ms", "5")]);
        assert_eq!(props.originals_with_prefix("producer."), expected);
        assert_eq!(props.originals_with_prefix("").len(), 6);
        assert_eq!(props.range_with_prefix("producer.").count(), 3);
    }

    #[test]
    fn null_is_present_but_has_no_text() {
        let mut props = Properties::from_iter([("a", Some("1")), ("b", None)]);
        assert_eq!(
            (
                props.get("b"),
                props.get_nullable("b"),
                props.get_nullable("c")
            ),
            (None, Some(None), None)
        );
        props.set_if_absent("b", "2");
        assert_eq!(props.get("b"), None);
        props.merge(&Properties::from_iter([("a", None), ("c", Some("3"))]));
        assert_eq!(
            props.iter().collect::<Vec<_>>(),
            [("a", None), ("b", None), ("c", Some("3"))]
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let props = Properties::from_iter([("db.password", Some("s3cret")), ("db.user", None)]);
        assert_eq!(
            format!("{props:?}"),
            r#"{"db.password": "[hidden]", "db.user": "null"}"#
        );
    }
}
