//! The topics that a router made, kept so that a topic is worked out once and not for each record.
//!
//! Never here: what a topic becomes.

use connect_api::data::INTERNED_AFTER;
use connect_api::{Result, TopicName};

/// Topics kept. Most connectors have a few.
const TOPICS_MAX: usize = 64;

/// What topics become; `K` is what else decides.
pub struct Topics<K> {
    /// The one used last comes first.
    known: Vec<Route<K>>,
}

struct Route<K> {
    from: TopicName,
    key: K,
    to: TopicName,
    /// How often it was asked for, up to [`INTERNED_AFTER`].
    used: u32,
}

impl<K> Default for Topics<K> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<K: PartialEq> Topics<K> {
    /// What a topic becomes, by `make` when it is not known yet; `None` of it leaves the topic as it is.
    pub fn route(
        &mut self,
        topic: &TopicName,
        key: K,
        make: impl FnOnce(&str) -> Result<Option<String>>,
    ) -> Result<TopicName> {
        let same = |known: &Route<K>| known.key == key && known.from == *topic;
        match self.known.iter().position(same) {
            Some(0) => {}
            Some(at) => self.known[..=at].rotate_right(1),
            None => {
                let route = Route {
                    to: match make(topic)? {
                        Some(routed) => routed.into(),
                        None => topic.clone(),
                    },
                    from: topic.clone(),
                    key,
                    used: 0,
                };
                self.known.truncate(TOPICS_MAX - 1);
                self.known.insert(0, route);
            }
        }
        let route = &mut self.known[0];
        if route.used < INTERNED_AFTER {
            route.used += 1;
            if route.used == INTERNED_AFTER {
                route.to = route.to.clone().interned();
            }
        }
        Ok(route.to.clone())
    }
}
