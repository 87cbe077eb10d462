//! Which member of a consumer group reads which partition: Java's four assignors.
//!
//! Lives here: the assignors as functions from (subscriptions of all members, partitions of all
//! topics) to the partitions of each member, and which rebalance protocol an assignor speaks.
//! Lives elsewhere: the bytes of subscriptions and assignments (`super::protocol`), joining the
//! group (`crate::group`).
//! Never here: I/O, a clock, a log line.
//!
//! The results are the same as those of Apache Kafka's classes, down to the order in which Java's
//! `HashMap` visits its keys, because a group may have Java members and the leader may change from
//! one to the other at any time: a leader that decides differently from the one before it would
//! move partitions for no reason. `java_rows.txt` holds the answers of Kafka's own classes.
//! Source: `RangeAssignor`, `RoundRobinAssignor`, `AbstractStickyAssignor`, `StickyAssignor`,
//! `CooperativeStickyAssignor` in apache/kafka, clients.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::TopicPartition;
use super::protocol::Subscription;
use crate::settings::Assignor;

mod java_order;
mod range;
mod round_robin;
mod sticky;

pub(super) use java_order::order_of_keys;

#[cfg(test)]
mod tests;

/// How partitions change hands. The order is Java's: of several common ones the later is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RebalanceProtocol {
    /// Every member gives up all its partitions before it joins.
    Eager,
    /// Members keep what they own while they join; what moves is first revoked, then assigned in
    /// a second rebalance.
    Cooperative,
}

impl RebalanceProtocol {
    /// The protocol of a member that offers `assignors`: cooperative when each of them allows it.
    ///
    /// The default list (range, cooperative-sticky) is therefore eager, as in Java.
    pub fn of(assignors: &[Assignor]) -> Self {
        let cooperative = |assignor: &Assignor| *assignor == Assignor::CooperativeSticky;
        match !assignors.is_empty() && assignors.iter().all(cooperative) {
            true => Self::Cooperative,
            false => Self::Eager,
        }
    }
}

/// A member of the group as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub member_id: String,
    pub group_instance_id: Option<String>,
    pub subscription: Subscription,
}

/// The racks that hold a replica of each partition, by topic; the length is the partition count.
pub type TopicPartitions = BTreeMap<Arc<str>, Vec<BTreeSet<String>>>;

/// What stays in an assignor between two rebalances that the same member leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignorMemory {
    /// Highest generation that any member ever reported. Java's assignor objects keep it too.
    max_generation: i32,
}

impl Default for AssignorMemory {
    fn default() -> Self {
        Self {
            max_generation: sticky::NO_GENERATION,
        }
    }
}

/// The partitions of each member, in the order of `members`.
///
/// Topics without an entry in `topics` are left out. Owned partitions that no longer exist are
/// ignored (Java would assign them again; nothing can be read from them).
///
/// Cost: range and round robin O(partitions · log members). The sticky ones are O(partitions) when
/// all members subscribe to the same topics, otherwise up to O(partitions² · members).
pub fn assign(
    assignor: Assignor,
    topics: &TopicPartitions,
    members: &[GroupMember],
    memory: &mut AssignorMemory,
) -> Vec<Vec<TopicPartition>> {
    let group = Group::new(topics, members);
    let assigned = match assignor {
        Assignor::Range => range::assign(&group),
        Assignor::RoundRobin => round_robin::assign(&group),
        Assignor::Sticky => sticky::assign(&group, sticky::Flavour::Eager, memory),
        Assignor::CooperativeSticky => sticky::assign(&group, sticky::Flavour::Cooperative, memory),
    };
    let mut answer = vec![Vec::new(); members.len()];
    for (member, partitions) in group.members.iter().zip(assigned) {
        answer[member.position] = partitions
            .into_iter()
            .map(|tp| group.topic_partition(tp))
            .collect();
    }
    answer
}

/// A partition inside one assignment: topic by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tp {
    topic: usize,
    partition: i32,
}

/// What each member gets, by index into [`Group::members`].
type Assigned = Vec<Vec<Tp>>;

struct Topic<'a> {
    name: &'a Arc<str>,
    /// Racks per partition.
    partitions: &'a [BTreeSet<String>],
    /// Position of the name among all names in order.
    rank: usize,
}

struct Member<'a> {
    id: &'a str,
    instance_id: Option<&'a str>,
    rack: Option<&'a str>,
    subscription: &'a Subscription,
    /// The subscribed topics that exist, in the member's own order.
    topics: Vec<usize>,
    /// Index in the caller's list.
    position: usize,
    /// Position of the id among all ids in order.
    rank: usize,
}

/// The question, with names replaced by indices and both lists in the order of a Java `HashMap`.
struct Group<'a> {
    topics: Vec<Topic<'a>>,
    members: Vec<Member<'a>>,
    topic_index: HashMap<&'a str, usize>,
}

impl<'a> Group<'a> {
    fn new(topics: &'a TopicPartitions, members: &'a [GroupMember]) -> Self {
        let ids = members.iter().map(|member| member.member_id.as_str());
        let order = java_order::order_of_keys(ids);
        let mut seen = BTreeSet::new();
        let mut subscribed = Vec::new();
        for &position in &order {
            for topic in &members[position].subscription.topics {
                if seen.insert(topic.as_str()) {
                    subscribed.push(topic.as_str());
                }
            }
        }
        // First the set of all subscribed topics, then the map of those that have partitions.
        let set = java_order::order_of_keys(subscribed.iter().copied());
        let existing: Vec<(&Arc<str>, &[BTreeSet<String>])> = set
            .into_iter()
            .filter_map(|index| topics.get_key_value(subscribed[index]))
            .filter(|(_, partitions)| !partitions.is_empty())
            .map(|(name, partitions)| (name, partitions.as_slice()))
            .collect();
        let map = java_order::order_of_keys(existing.iter().map(|(name, _)| &***name));
        let existing: Vec<_> = map.into_iter().map(|index| existing[index]).collect();

        let topic_ranks = ranks(existing.iter().map(|(name, _)| &***name));
        let topics: Vec<Topic<'a>> = existing
            .into_iter()
            .zip(topic_ranks)
            .map(|((name, partitions), rank)| Topic {
                name,
                partitions,
                rank,
            })
            .collect();
        let topic_index: HashMap<&str, usize> = topics
            .iter()
            .enumerate()
            .map(|(index, topic)| (&**topic.name, index))
            .collect();

        let member_ranks = ranks(
            order
                .iter()
                .map(|&position| members[position].member_id.as_str()),
        );
        let members = order
            .into_iter()
            .zip(member_ranks)
            .map(|(position, rank)| {
                let member = &members[position];
                let subscription = &member.subscription;
                let topics = subscription.topics.iter();
                Member {
                    id: &member.member_id,
                    instance_id: member.group_instance_id.as_deref(),
                    rack: subscription
                        .rack_id
                        .as_deref()
                        .filter(|rack| !rack.is_empty()),
                    topics: topics
                        .filter_map(|topic| topic_index.get(topic.as_str()).copied())
                        .collect(),
                    subscription,
                    position,
                    rank,
                }
            })
            .collect();
        Self {
            topics,
            members,
            topic_index,
        }
    }

    /// `None` for a partition that does not exist (any more).
    fn tp(&self, partition: &TopicPartition) -> Option<Tp> {
        let topic = *self.topic_index.get(&*partition.topic)?;
        let count = self.topics[topic].partitions.len();
        let exists = usize::try_from(partition.partition).is_ok_and(|index| index < count);
        exists.then_some(Tp {
            topic,
            partition: partition.partition,
        })
    }

    fn topic_partition(&self, tp: Tp) -> TopicPartition {
        TopicPartition {
            topic: self.topics[tp.topic].name.clone(),
            partition: tp.partition,
        }
    }

    fn partitions_of(&self, topic: usize) -> impl Iterator<Item = Tp> + use<> {
        (0..self.topics[topic].partitions.len()).map(move |index| Tp {
            topic,
            partition: index as i32,
        })
    }

    fn replica_racks(&self, tp: Tp) -> &'a BTreeSet<String> {
        &self.topics[tp.topic].partitions[tp.partition as usize]
    }

    fn topics_by_name(&self) -> Vec<usize> {
        let mut topics: Vec<usize> = (0..self.topics.len()).collect();
        topics.sort_unstable_by_key(|&topic| self.topics[topic].rank);
        topics
    }

    fn partition_count(&self) -> usize {
        self.topics.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// `MemberInfo.compareTo`: static members by instance id, then dynamic ones by member id.
    fn by_instance_then_id(&self, mut members: Vec<usize>) -> Vec<usize> {
        members.sort_by_key(|&index| {
            let member = &self.members[index];
            match member.instance_id {
                Some(instance_id) => (0, instance_id),
                None => (1, member.id),
            }
        });
        members
    }
}

/// Whether racks are worth looking at: some member and some replica share one, and not every
/// partition is on every rack.
fn racks_matter<'a>(
    member_racks: &BTreeSet<&str>,
    partitions: impl Iterator<Item = &'a BTreeSet<String>> + Clone,
) -> bool {
    if member_racks.is_empty() {
        return false;
    }
    let all: BTreeSet<&str> = partitions.clone().flatten().map(String::as_str).collect();
    if member_racks.is_disjoint(&all) {
        return false;
    }
    let mut partitions = partitions;
    !partitions.all(|racks| racks.len() == all.len())
}

fn ranks<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let names: Vec<&str> = names.collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&index| names[index]);
    let mut ranks = vec![0; names.len()];
    for (rank, index) in order.into_iter().enumerate() {
        ranks[index] = rank;
    }
    ranks
}
