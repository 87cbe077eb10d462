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
        put_partitions(&mut buf, &self.owned_partitions);
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
        put_partitions(&mut buf, &self.partitions);
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
    let mut topics: Vec<&str> = Vec::new();
    for partition in partitions {
        if !topics.contains(&&*partition.topic) {
            topics.push(&partition.topic);
        }
    }
    // Java groups with `computeIfAbsent`, which puts a new key before the others of its bucket.
    topics.reverse();
    let mut buf = BytesMut::new();
    buf.put_i32(topics.len() as i32);
    for index in order_of_keys(topics.iter().copied()) {
        let of_topic = partitions
            .iter()
            .filter(|partition| &*partition.topic == topics[index]);
        put_string(&mut buf, topics[index]);
        buf.put_i32(of_topic.clone().count() as i32);
        of_topic.for_each(|partition| buf.put_i32(partition.partition));
    }
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

/// Grouped by topic, both in order.
fn put_partitions(buf: &mut BytesMut, partitions: &[TopicPartition]) {
    let mut partitions: Vec<&TopicPartition> = partitions.iter().collect();
    partitions.sort_unstable();
    let topics: Vec<&[&TopicPartition]> = partitions.chunk_by(|a, b| a.topic == b.topic).collect();
    buf.put_i32(topics.len() as i32);
    for of_topic in topics {
        put_string(buf, &of_topic[0].topic);
        buf.put_i32(of_topic.len() as i32);
        for partition in of_topic {
            buf.put_i32(partition.partition);
        }
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
