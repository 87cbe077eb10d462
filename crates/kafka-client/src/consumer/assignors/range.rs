//! `range`: per topic, each member gets one run of partitions; racks are matched where possible.
//! Source: `RangeAssignor` (rack awareness: KIP-881).

use std::collections::{BTreeMap, BTreeSet};

use super::{Assigned, Group, Tp, racks_matter};

pub(super) fn assign(group: &Group<'_>) -> Assigned {
    let mut assigned: Assigned = vec![Vec::new(); group.members.len()];
    let mut topics: Vec<TopicState> = (0..group.topics.len())
        .map(|topic| TopicState::new(group, topic))
        .collect();
    let rack_aware = topics.iter().any(|topic| topic.rack_aware);
    if rack_aware {
        match_racks(group, &mut topics, &mut assigned);
    }
    for topic in &mut topics {
        assign_ranges(topic, |_, _| true, &mut assigned);
    }
    if rack_aware {
        for partitions in &mut assigned {
            partitions.sort_by_key(|tp| (group.topics[tp.topic].rank, tp.partition));
        }
    }
    assigned
}

/// What is still to be given out of one topic.
struct TopicState {
    topic: usize,
    partition_count: usize,
    /// Subscribers in the order of the ranges.
    members: Vec<usize>,
    rack_aware: bool,
    unassigned: Vec<Tp>,
    /// Partitions given so far, parallel to `members`.
    given: Vec<usize>,
    per_member: usize,
    members_with_extra: usize,
}

impl TopicState {
    fn new(group: &Group<'_>, topic: usize) -> Self {
        let subscribers = group.members.iter().enumerate();
        let subscribers = subscribers.filter(|(_, member)| member.topics.contains(&topic));
        let members = group.by_instance_then_id(subscribers.map(|(index, _)| index).collect());
        let partition_count = group.topics[topic].partitions.len();
        let member_racks: BTreeSet<&str> = members
            .iter()
            .filter_map(|&member| group.members[member].rack)
            .collect();
        Self {
            topic,
            partition_count,
            rack_aware: racks_matter(&member_racks, group.topics[topic].partitions.iter()),
            unassigned: group.partitions_of(topic).collect(),
            given: vec![0; members.len()],
            per_member: partition_count.checked_div(members.len()).unwrap_or(0),
            members_with_extra: partition_count.checked_rem(members.len()).unwrap_or(0),
            members,
        }
    }

    fn assignable(&self, slot: usize) -> usize {
        let extra = usize::from(self.members_with_extra > 0);
        (self.per_member + extra).saturating_sub(self.given[slot])
    }

    fn give(&mut self, slot: usize, partitions: Vec<Tp>, assigned: &mut Assigned) {
        self.given[slot] += partitions.len();
        if self.given[slot] > self.per_member {
            self.members_with_extra = self.members_with_extra.saturating_sub(1);
        }
        self.unassigned.retain(|tp| !partitions.contains(tp));
        assigned[self.members[slot]].extend(partitions);
    }
}

fn assign_ranges(state: &mut TopicState, may: impl Fn(usize, Tp) -> bool, assigned: &mut Assigned) {
    for slot in 0..state.members.len() {
        if state.unassigned.is_empty() {
            break;
        }
        let member = state.members[slot];
        let wanted = state
            .unassigned
            .iter()
            .copied()
            .filter(|tp| may(member, *tp));
        let partitions: Vec<Tp> = wanted.take(state.assignable(slot)).collect();
        if !partitions.is_empty() {
            state.give(slot, partitions, assigned);
        }
    }
}

/// Gives out what can be read from the member's own rack; topics with the same members and the
/// same number of partitions stay co-partitioned.
fn match_racks(group: &Group<'_>, topics: &mut [TopicState], assigned: &mut Assigned) {
    let racks_match = |member: usize, tp: Tp| match group.members[member].rack {
        Some(rack) => group.replica_racks(tp).contains(rack),
        None => true,
    };
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<usize>> = BTreeMap::new();
    for (index, state) in topics.iter().enumerate() {
        // Java knows the partitions of a topic here only if one of its members has a rack.
        let with_racks = state
            .members
            .iter()
            .any(|&member| group.members[member].rack.is_some());
        let partition_count = if with_racks { state.partition_count } else { 0 };
        alike
            .entry((state.members.clone(), partition_count))
            .or_default()
            .push(index);
    }
    for ((members, partition_count), indices) in alike {
        if let [index] = indices[..] {
            if topics[index].rack_aware {
                assign_ranges(&mut topics[index], racks_match, assigned);
            }
            continue;
        }
        let mut remaining: Vec<usize> = (0..members.len()).collect();
        for partition in 0..partition_count as i32 {
            let found = remaining.iter().position(|&slot| {
                indices.iter().all(|&index| {
                    let state = &topics[index];
                    racks_match(
                        members[slot],
                        Tp {
                            topic: state.topic,
                            partition,
                        },
                    ) && state.assignable(slot) > 0
                })
            });
            let Some(found) = found else { continue };
            let slot = remaining[found];
            for &index in &indices {
                let tp = Tp {
                    topic: topics[index].topic,
                    partition,
                };
                topics[index].give(slot, vec![tp], assigned);
            }
            if indices
                .iter()
                .all(|&index| topics[index].assignable(slot) == 0)
            {
                remaining.remove(found);
                if remaining.is_empty() {
                    break;
                }
            }
        }
    }
}
