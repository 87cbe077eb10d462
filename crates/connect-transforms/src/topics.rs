//! The topics that a router made, kept so that a topic is worked out once and not for each record.
//!
//! Never here: what a topic becomes.

use connect_api::{Result, TopicName};

/// Topics kept. Most connectors have a few.
const TOPICS_MAX: usize = 64;

/// What topics become; `K` is what else decides.
pub struct Topics<K> {
    /// The one used last comes first.
    known: Vec<(TopicName, K, TopicName)>,
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
        let same = |(known, with, _): &(TopicName, K, TopicName)| *with == key && known == topic;
        match self.known.iter().position(same) {
            Some(0) => {}
            Some(at) => self.known[..=at].rotate_right(1),
            None => {
                let routed = match make(topic)? {
                    Some(routed) => TopicName::interned(&routed),
                    None => topic.clone(),
                };
                self.known.truncate(TOPICS_MAX - 1);
                self.known.insert(0, (topic.clone(), key, routed));
            }
        }
        Ok(self.known[0].2.clone())
    }
}
