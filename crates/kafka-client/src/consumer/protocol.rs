//! The bytes that members of a consumer group show each other.
//!
//! Lives here: subscriptions, assignments and the sticky assignors' user data, written as the
//! newest Java client writes them (version 3) and read from every version, also later ones.
//! Never here: who gets what (`super::assignors`).
//! Source: `ConsumerProtocol` and `ConsumerProtocolSubscription.json` in apache/kafka, clients.
//! Read by hand rather than with kafka-protocol: the bytes come from other members, and that
//! decoder allocates whatever count they claim.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::TopicPartition;
use super::assignors::order_of_keys;
use crate::ClientError;

/// The version that is written; versions above it are read with its layout.
const NEWEST_VERSION: i16 = 3;

/// What a member tells the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub topics: Vec<String>,
    pub user_data: Option<Bytes>,
    /// What the member still owns while it joins (version 1). Empty under eager rebalancing.
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation in which it owned them, -1 for none (version 2).
    pub generation_id: i32,
    /// The member's `client.rack` (version 3).
    pub rack_id: Option<String>,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            user_data: None,
            owned_partitions: Vec::new(),
            generation_id: -1,
            rack_id: None,
        }
    }
}

/// What the leader tells a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    pub partitions: Vec<TopicPartition>,
    pub user_data: Option<Bytes>,
}

impl Subscription {
    pub fn encode(&self) -> Bytes {
        let mut buf = BytesMut::new();
        buf.put_i16(NEWEST_VERSION);
        let mut topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        topics.sort_unstable();
        buf.put_i32(topics.len() as i32);
        for topic in topics {
            put_string(&mut buf, topic);
        }
        put_bytes(&mut buf, self.user_data.as_deref());
        let mut owned = self.owned_partitions.clone();
        owned.sort_unstable();
        put_partitions(&mut buf, &topics_of(&owned), &owned);
        buf.put_i32(self.generation_id);
        match &self.rack_id {
            Some(rack) => put_string(&mut buf, rack),
            None => buf.put_i16(-1),
        }
        buf.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ClientError> {
        Self::read(bytes).ok_or_else(|| unreadable("subscription", bytes))
    }

    fn read(mut buf: &[u8]) -> Option<Self> {
        let version = read_version(&mut buf)?;
        let mut subscription = Self::default();
        let count = read_count(&mut buf)?;
        for _ in 0..count {
            subscription.topics.push(read_string(&mut buf)??.to_owned());
        }
        subscription.user_data = read_bytes(&mut buf)?;
        if version >= 1 {
            subscription.owned_partitions = read_partitions(&mut buf)?;
        }
        if version >= 2 {
            subscription.generation_id = buf.try_get_i32().ok()?;
        }
        if version >= 3 {
            subscription.rack_id = read_string(&mut buf)?.map(str::to_owned);
        }
        Some(subscription)
    }
}

impl Assignment {
    pub fn encode(&self) -> Bytes {
        let mut buf = BytesMut::new();
        buf.put_i16(NEWEST_VERSION);
        put_partitions(&mut buf, &topics_of(&self.partitions), &self.partitions);
        put_bytes(&mut buf, self.user_data.as_deref());
        buf.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ClientError> {
        Self::read(bytes).ok_or_else(|| unreadable("assignment", bytes))
    }

    fn read(mut buf: &[u8]) -> Option<Self> {
        read_version(&mut buf)?;
        let partitions = read_partitions(&mut buf)?;
        let user_data = read_bytes(&mut buf)?;
        Some(Self {
            partitions,
            user_data,
        })
    }
}

/// What a member with `sticky` remembers for the next leader: `{previous_assignment, generation}`.
///
/// Partitions stay in the order in which the member got them: the assignor looks at it.
pub fn encode_sticky_user_data(partitions: &[TopicPartition], generation: i32) -> Bytes {
    let mut topics = topics_of(partitions);
    // Java groups with `computeIfAbsent`, which puts a new key before the others of its bucket.
    topics.reverse();
    let order = order_of_keys(topics.iter().copied());
    let topics: Vec<&str> = order.into_iter().map(|index| topics[index]).collect();
    let mut buf = BytesMut::new();
    put_partitions(&mut buf, &topics, partitions);
    buf.put_i32(generation);
    buf.freeze()
}

/// Reads both versions of it: the older one has no generation.
pub(super) fn sticky_user_data(mut bytes: &[u8]) -> Option<(Vec<TopicPartition>, Option<i32>)> {
    let partitions = read_partitions(&mut bytes)?;
    Some((partitions, bytes.try_get_i32().ok()))
}

/// What a member with `cooperative-sticky` adds: the generation alone.
pub fn encode_generation_user_data(generation: i32) -> Bytes {
    Bytes::copy_from_slice(&generation.to_be_bytes())
}

pub(super) fn generation_user_data(mut bytes: &[u8]) -> i32 {
    bytes.try_get_i32().unwrap_or(-1)
}

fn unreadable(what: &str, bytes: &[u8]) -> ClientError {
    ClientError::fatal(format!(
        "the {what} of a member of the consumer group cannot be read"
    ))
    .with("bytes", bytes.len())
}

fn put_string(buf: &mut BytesMut, text: &str) {
    buf.put_i16(text.len() as i16);
    buf.put_slice(text.as_bytes());
}

fn put_bytes(buf: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            buf.put_i32(bytes.len() as i32);
            buf.put_slice(bytes);
        }
        None => buf.put_i32(-1),
    }
}

/// The topics in the order in which they first appear.
fn topics_of(partitions: &[TopicPartition]) -> Vec<&str> {
    let mut topics: Vec<&str> = Vec::new();
    for partition in partitions {
        if !topics.contains(&&*partition.topic) {
            topics.push(&partition.topic);
        }
    }
    topics
}

/// Grouped by topic; within one, as they come.
fn put_partitions(buf: &mut BytesMut, topics: &[&str], partitions: &[TopicPartition]) {
    buf.put_i32(topics.len() as i32);
    for topic in topics {
        let of_topic = partitions
            .iter()
            .filter(|partition| &*partition.topic == *topic);
        put_string(buf, topic);
        buf.put_i32(of_topic.clone().count() as i32);
        of_topic.for_each(|partition| buf.put_i32(partition.partition));
    }
}

fn read_version(buf: &mut &[u8]) -> Option<i16> {
    buf.try_get_i16().ok().filter(|version| *version >= 0)
}

/// An array length that the rest of the bytes can hold; null counts as empty.
fn read_count(buf: &mut &[u8]) -> Option<usize> {
    let count = buf.try_get_i32().ok()?;
    if count == -1 {
        return Some(0);
    }
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= buf.len())
}

fn read_string<'a>(buf: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let length = buf.try_get_i16().ok()?;
    if length == -1 {
        return Some(None);
    }
    let (text, rest) = buf.split_at_checked(usize::try_from(length).ok()?)?;
    *buf = rest;
    std::str::from_utf8(text).ok().map(Some)
}

fn read_bytes(buf: &mut &[u8]) -> Option<Option<Bytes>> {
    let length = buf.try_get_i32().ok()?;
    if length == -1 {
        return Some(None);
    }
    let (bytes, rest) = buf.split_at_checked(usize::try_from(length).ok()?)?;
    *buf = rest;
    Some(Some(Bytes::copy_from_slice(bytes)))
}

fn read_partitions(buf: &mut &[u8]) -> Option<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    for _ in 0..read_count(buf)? {
        let topic: Arc<str> = read_string(buf)??.into();
        for _ in 0..read_count(buf)? {
            let partition = buf.try_get_i32().ok()?;
            partitions.push(TopicPartition {
                topic: topic.clone(),
                partition,
            });
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16);
        pairs.map(|pair| byte(pair).expect("hex")).collect()
    }

    fn owned() -> Vec<TopicPartition> {
        [("b", 1), ("a", 0), ("b", 0)]
            .map(|(topic, number)| TopicPartition::new(topic, number))
            .to_vec()
    }

    /// What Kafka 4.3.1's `ConsumerProtocol` writes, in every version.
    const SUBSCRIPTION: [&str; 4] = [
        "000000000002000161000162000000020102",
        "000100000002000161000162000000020102000000020001610000000100000000000162000000020000000000000001",
        "00020000000200016100016200000002010200000002000161000000010000000000016200000002000000000000000100000007",
        "0003000000020001610001620000000201020000000200016100000001000000000001620000000200000000000000010000000700027231",
    ];

    #[test]
    fn subscriptions_are_javas() {
        let subscription = Subscription {
            topics: vec!["b".to_owned(), "a".to_owned()],
            user_data: Some(Bytes::from_static(&[1, 2])),
            owned_partitions: owned(),
            generation_id: 7,
            rack_id: Some("r1".to_owned()),
        };
        assert_eq!(hex(&subscription.encode()), SUBSCRIPTION[3]);
        for (version, text) in SUBSCRIPTION.iter().enumerate() {
            let read = Subscription::decode(&unhex(text)).expect("Java's bytes");
            let mut sorted = owned();
            sorted.sort_unstable();
            assert_eq!(read.topics, ["a", "b"]);
            assert_eq!(
                read.owned_partitions,
                if version >= 1 { sorted } else { Vec::new() }
            );
            assert_eq!(read.generation_id, if version >= 2 { 7 } else { -1 });
            assert_eq!(read.rack_id.as_deref(), (version >= 3).then_some("r1"));
        }
        // A later version may add fields at the end.
        let later = format!("0009{}ffff", &SUBSCRIPTION[3][4..]);
        assert_eq!(
            Subscription::decode(&unhex(&later))
                .expect("readable")
                .generation_id,
            7
        );
        let empty = Subscription {
            topics: vec!["t".to_owned()],
            ..Subscription::default()
        };
        assert_eq!(
            hex(&empty.encode()),
            "000300000001000174ffffffff00000000ffffffffffff"
        );
    }

    #[test]
    fn assignments_and_user_data_are_javas() {
        let rows = [
            (
                owned(),
                "0003000000020001620000000200000001000000000001610000000100000000ffffffff",
            ),
            (Vec::new(), "000300000000ffffffff"),
        ];
        for (partitions, expected) in rows {
            let assignment = Assignment {
                partitions,
                user_data: None,
            };
            assert_eq!(hex(&assignment.encode()), expected);
            let read = Assignment::decode(&unhex(expected)).expect("Java's bytes");
            assert_eq!(read.partitions.len(), assignment.partitions.len());
        }
        let sticky = "00000002000161000000010000000000016200000002000000010000000000000007";
        assert_eq!(hex(&encode_sticky_user_data(&owned(), 7)), sticky);
        assert_eq!(
            sticky_user_data(&unhex(sticky)).map(|(_, generation)| generation),
            Some(Some(7))
        );
        let older = &sticky[..sticky.len() - 8];
        assert_eq!(
            sticky_user_data(&unhex(older)).map(|(_, generation)| generation),
            Some(None)
        );
        assert_eq!(hex(&encode_generation_user_data(-1)), "ffffffff");
    }

    #[test]
    fn broken_bytes_are_an_error() {
        let whole = unhex(SUBSCRIPTION[3]);
        for length in 0..whole.len() {
            assert!(
                Subscription::decode(&whole[..length]).is_err(),
                "{length} bytes"
            );
        }
        // A count that the bytes cannot hold is not believed.
        assert!(Subscription::decode(&unhex("00037fffffff")).is_err());
    }
}
