//! The name of a topic, which every record carries.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Names kept for ever, and how long one may be: as long as Kafka allows.
const NAMES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 249;

static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// The name of a topic. Clones share it. Those of an interned name do not count references, which each record would
/// else pay for.
#[derive(Clone)]
pub struct TopicName(Repr);

#[derive(Clone)]
enum Repr {
    Interned(&'static str),
    Shared(Arc<str>),
}

impl TopicName {
    /// The one name of the program that says the same.
    ///
    /// Cost: a lock and a search, so once for many records. Lives for ever, as long as it is at most 249 bytes and there
    /// are fewer than 4096; another stays as it is, and its clones are counted.
    pub fn interned(self) -> Self {
        let Repr::Shared(name) = &self.0 else {
            return self;
        };
        if name.len() > NAME_BYTES_MAX {
            return self;
        }
        let mut pool = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pool.get(&**name) {
            return Self(Repr::Interned(known));
        }
        if pool.len() == NAMES_MAX {
            return self;
        }
        let name: &'static str = Box::leak(name.as_ref().into());
        pool.insert(name);
        Self(Repr::Interned(name))
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Interned(name) => name,
            Repr::Shared(name) => name,
        }
    }

    /// Whether both are the same name in memory. Equal names may differ here.
    #[inline]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.as_str(), other.as_str())
    }
}

impl Default for TopicName {
    fn default() -> Self {
        Self(Repr::Interned(""))
    }
}

impl Deref for TopicName {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        self
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<Arc<str>> for TopicName {
    fn from(name: Arc<str>) -> Self {
        Self(Repr::Shared(name))
    }
}

impl From<String> for TopicName {
    fn from(name: String) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<Box<str>> for TopicName {
    fn from(name: Box<str>) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<std::borrow::Cow<'_, str>> for TopicName {
    fn from(name: std::borrow::Cow<'_, str>) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

/// An allocation for a name that is interned.
impl From<TopicName> for Arc<str> {
    fn from(name: TopicName) -> Self {
        match name.0 {
            Repr::Interned(name) => name.into(),
            Repr::Shared(name) => name,
        }
    }
}

impl PartialEq for TopicName {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || self.as_str() == other.as_str()
    }
}

impl Eq for TopicName {}

impl PartialEq<str> for TopicName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for TopicName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for TopicName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TopicName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for TopicName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_become_one() {
        let first = TopicName::from("orders").interned();
        assert!(first.ptr_eq(&TopicName::from("orders").interned()));
        assert!(first.ptr_eq(&first.clone()));
        let shared = TopicName::from("orders");
        assert!(!shared.ptr_eq(&first));
        assert_eq!(shared, first);
        assert_eq!(HashSet::from([shared]).get("orders"), Some(&first));
        assert_eq!(&*Arc::<str>::from(first), "orders");
    }

    #[test]
    fn a_name_that_is_too_long_is_counted() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert!(matches!(
            TopicName::from(long).interned().0,
            Repr::Shared(_)
        ));
    }
}
