//! What we know about the cluster: brokers, controller, topics, leaders.
//!
//! Lives here: the immutable snapshot [`ClusterMetadata`] and the pure step from one snapshot and an
//! answer of a broker to the next.
//! Lives elsewhere: asking, and when to ask (`crate::client`).
//! Never here: a socket, a clock, a lock.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};

use crate::error::KafkaErrorCode;
use crate::settings::HostPort;

/// A snapshot. Cheap to clone behind its `Arc`, never changes.
#[derive(Debug, Clone, Default)]
pub struct ClusterMetadata {
    /// Counts the snapshots of one client, from 0 for the empty one before the first answer.
    pub generation: u64,
    pub cluster_id: Option<String>,
    pub controller_id: Option<i32>,
    brokers: HashMap<i32, Arc<Broker>>,
    topics: HashMap<Arc<str>, Arc<TopicMetadata>>,
    errors: HashMap<Arc<str>, KafkaErrorCode>,
}

/// Prints as `host:port (id 1)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub address: HostPort,
    pub rack: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    pub name: Arc<str>,
    pub id: TopicId,
    pub is_internal: bool,
    /// Index is the partition. A partition that the broker left out has no leader and no replicas.
    pub partitions: Vec<PartitionMetadata>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// `None` while an election is under way.
    pub leader: Option<i32>,
    /// -1 when the broker does not tell.
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    pub offline_replicas: Vec<i32>,
}

/// A topic's identity; a topic that is deleted and created again gets another. Zero: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub [u8; 16]);

/// Orders by topic, then partition. Prints as `topic-0`, as in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// A newer leader, learned from the answer to another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderHint<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub leader: i32,
    pub leader_epoch: i32,
}

/// Which topics an answer was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All topics of the cluster: what the answer does not name is gone.
    All,
    /// All topics that we are interested in: what the answer does not name is of no interest.
    Interest,
    /// A few more topics: the others stay as they are.
    Additional,
}

impl ClusterMetadata {
    pub fn broker(&self, id: i32) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// In no particular order.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)
    }

    /// Topics that were asked for and exist, in no particular order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicMetadata>> {
        self.topics.values()
    }

    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        let index = usize::try_from(partition).ok()?;
        self.topics.get(topic)?.partitions.get(index)
    }

    /// The broker to produce to and fetch from, with the epoch of its leadership.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<(i32, i32)> {
        let partition = self.partition(topic, partition)?;
        partition
            .leader
            .map(|leader| (leader, partition.leader_epoch))
    }

    /// Number of partitions. `None` while the topic is not known.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.topics.get(topic).map(|topic| topic.partitions.len())
    }

    /// Why a topic that was asked for is not there, `UNKNOWN_TOPIC_OR_PARTITION` for example.
    pub fn topic_error(&self, name: &str) -> Option<KafkaErrorCode> {
        self.errors.get(name).copied()
    }

    /// The next snapshot. A partition whose answer carries an older leader epoch than we know keeps
    /// what we know: that answer comes from a broker that lags behind.
    pub(crate) fn updated(&self, response: MetadataResponse, coverage: Coverage) -> Self {
        let mut next = match coverage {
            Coverage::Additional => self.clone(),
            Coverage::All | Coverage::Interest => Self::default(),
        };
        next.generation = self.generation + 1;
        next.cluster_id = response.cluster_id.map(|id| id.to_string());
        next.controller_id = Some(response.controller_id.0).filter(|id| *id >= 0);
        next.brokers = response
            .brokers
            .into_iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                let broker = Broker {
                    id: broker.node_id.0,
                    address: HostPort::new(broker.host.as_str(), port),
                    rack: broker.rack.map(|rack| rack.to_string()),
                };
                Some((broker.id, Arc::new(broker)))
            })
            .collect();
        for topic in response.topics {
            next.update_topic(self, topic);
        }
        next
    }

    fn update_topic(&mut self, previous: &Self, topic: MetadataResponseTopic) {
        let Some(name) = &topic.name else {
            return;
        };
        let name: Arc<str> = match previous.topics.get_key_value(name.as_str()) {
            Some((known, _)) => known.clone(),
            None => name.as_str().into(),
        };
        let known = previous.topics.get(&name);
        if let Err(code) = KafkaErrorCode::check(topic.error_code) {
            // A topic without leader is still there; any other error says that it is not, or not for us.
            match known.filter(|_| code == KafkaErrorCode::LEADER_NOT_AVAILABLE) {
                Some(known) => _ = self.topics.insert(name.clone(), known.clone()),
                None => _ = self.topics.remove(&name),
            }
            self.errors.insert(name, code);
            return;
        }
        self.errors.remove(&name);
        let id = TopicId(topic.topic_id.into_bytes());
        let same = known.filter(|known| known.id == id);
        let topic = TopicMetadata {
            partitions: partitions(&topic.partitions, same),
            is_internal: topic.is_internal,
            name: name.clone(),
            id,
        };
        let topic = match known {
            Some(known) if **known == topic => known.clone(),
            _ => Arc::new(topic),
        };
        self.topics.insert(name, topic);
    }

    /// The next snapshot, if a hint is newer than what we know.
    pub(crate) fn with_hints(&self, hints: &[LeaderHint<'_>]) -> Option<Self> {
        let mut next: Option<Self> = None;
        for hint in hints {
            let current = next.as_ref().unwrap_or(self);
            let newer = current
                .partition(hint.topic, hint.partition)
                .is_some_and(|known| known.leader_epoch < hint.leader_epoch);
            if !newer || !current.brokers.contains_key(&hint.leader) {
                continue;
            }
            let next = next.get_or_insert_with(|| self.clone());
            let topic = next
                .topics
                .get_mut(hint.topic)
                .expect("its partition was found");
            let index = usize::try_from(hint.partition).expect("its partition was found");
            let partition = &mut Arc::make_mut(topic).partitions[index];
            partition.leader = Some(hint.leader);
            partition.leader_epoch = hint.leader_epoch;
        }
        next.map(|next| Self {
            generation: self.generation + 1,
            ..next
        })
    }

    /// The next snapshot with one broker more, learned from a coordinator look-up for example.
    pub(crate) fn with_broker(&self, id: i32, address: HostPort) -> Option<Self> {
        if self
            .brokers
            .get(&id)
            .is_some_and(|known| known.address == address)
        {
            return None;
        }
        let rack = self.brokers.get(&id).and_then(|known| known.rack.clone());
        let mut next = self.clone();
        next.generation += 1;
        next.brokers
            .insert(id, Arc::new(Broker { id, address, rack }));
        Some(next)
    }
}

fn partitions(
    answered: &[MetadataResponsePartition],
    known: Option<&Arc<TopicMetadata>>,
) -> Vec<PartitionMetadata> {
    let count = answered
        .iter()
        .map(|partition| partition.partition_index + 1)
        .max()
        .unwrap_or(0);
    // Partitions are numbered without gaps, so the answer bounds the size.
    let count = usize::try_from(count).unwrap_or(0).min(answered.len());
    let mut partitions = vec![PartitionMetadata::default(); count];
    let ids =
        |nodes: &[kafka_protocol::messages::BrokerId]| nodes.iter().map(|node| node.0).collect();
    for answer in answered {
        let Ok(index) = usize::try_from(answer.partition_index) else {
            continue;
        };
        let Some(partition) = partitions.get_mut(index) else {
            continue;
        };
        let known = known.and_then(|topic| topic.partitions.get(index));
        *partition = match known {
            Some(known) if answer.leader_epoch >= 0 && known.leader_epoch > answer.leader_epoch => {
                known.clone()
            }
            _ => PartitionMetadata {
                leader: Some(answer.leader_id.0).filter(|id| *id >= 0),
                leader_epoch: answer.leader_epoch,
                replicas: ids(&answer.replica_nodes),
                isr: ids(&answer.isr_nodes),
                offline_replicas: ids(&answer.offline_replicas),
            },
        };
    }
    partitions
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (id {})", self.address, self.id)
    }
}

/// URL-safe base64 without padding, as Kafka prints ids.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::with_capacity(22);
        for chunk in self.0.chunks(3) {
            let mut group = [0; 4];
            group[1..1 + chunk.len()].copy_from_slice(chunk);
            let group = u32::from_be_bytes(group);
            for digit in 0..=chunk.len() {
                let index = group >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[index as usize]));
            }
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests;
