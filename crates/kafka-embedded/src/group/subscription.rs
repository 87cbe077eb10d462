//! The one place that looks into members' bytes: which topics a consumer subscribed to.
//!
//! Lives here: the topic list at the start of a consumer's subscription, whether a group uses a
//! topic.
//! Never here: allocation by a count from the bytes; any other protocol's bytes.
//! Source: `ConsumerProtocolSubscription` of Kafka's message definitions, version and topics only.

use super::state::Membership;

/// Topics of a subscription, or none when the bytes are not one.
fn topics(subscription: &[u8]) -> Option<Vec<&str>> {
    let (version, rest) = subscription.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let mut topics = Vec::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (topic, after) = after.split_at_checked(length)?;
        topics.push(std::str::from_utf8(topic).ok()?);
        rest = after;
    }
    Some(topics)
}

impl Membership {
    /// Whether a member of a consumer group reads the topic. A subscription that nobody can read
    /// counts as one to every topic. Cost: O(members and their topics).
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        if !self.is_consumer() || self.members.is_empty() {
            return false;
        }
        let Some(protocol) = &self.protocol else {
            return true;
        };
        self.members.values().any(|member| {
            member
                .metadata(protocol)
                .and_then(|metadata| topics(metadata))
                .is_none_or(|topics| topics.contains(&topic))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::topics;

    #[test]
    fn only_whole_subscriptions_are_read() {
        let check = |bytes: &[u8], expect: Option<&[&str]>| {
            assert_eq!(topics(bytes).as_deref(), expect, "{bytes:?}");
        };
        check(b"\0\0\0\0\0\0", Some(&[]));
        check(
            b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff",
            Some(&["a", "bc"]),
        );
        check(b"\0\0\0\0\0\x02\0\x01a", None);
        check(b"\0\0\x7f\xff\xff\xff", None);
        check(b"\0\0\0\0\0\x01\xff\xff", None);
        check(b"\xff\xff\0\0\0\0", None);
        check(b"opaque", None);
        check(b"", None);
    }
}
