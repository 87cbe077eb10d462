//! The sticky algorithm for groups whose members subscribe to different topics.
//!
//! Lives here: keep what is still valid, give the rest to the least loaded member that may have
//! it, then move single partitions as long as that balances better.
//! Source: `AbstractStickyAssignor.GeneralAssignmentBuilder` and `PartitionMovements`.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::java_order::{JavaHashSet, string_hash};
use super::super::{Assigned, Group, Tp};
use super::{Claim, NO_GENERATION, RackInfo, remove_first};

pub(super) fn assign(
    group: &Group<'_>,
    racks: &RackInfo<'_>,
    owned: Vec<Vec<Tp>>,
    claims: &[Claim],
    max_generation: i32,
) -> Assigned {
    let mut subscribers: Vec<Vec<usize>> = vec![Vec::new(); group.topics.len()];
    for (index, member) in group.members.iter().enumerate() {
        for &topic in &member.topics {
            subscribers[topic].push(index);
        }
    }
    let mut topics: Vec<usize> = (0..group.topics.len()).collect();
    topics.sort_by_key(|&topic| (subscribers[topic].len(), group.topics[topic].rank));
    let all: Vec<Tp> = topics
        .iter()
        .flat_map(|&topic| group.partitions_of(topic))
        .collect();

    let mut owner_of = HashMap::new();
    for (member, partitions) in owned.iter().enumerate() {
        owner_of.extend(partitions.iter().map(|tp| (*tp, member)));
    }
    let mut builder = Builder {
        group,
        racks,
        subscribers,
        all,
        assigned: owned,
        owner_of,
        former_owner_of: former_owners(claims, max_generation),
        by_load: BTreeSet::new(),
        movements: Movements::default(),
    };
    let revoked = builder.drop_invalid();
    let kept: HashSet<Tp> = builder.assigned.iter().flatten().copied().collect();
    let unassigned = builder
        .all
        .iter()
        .copied()
        .filter(|tp| !kept.contains(tp))
        .collect();
    for member in 0..group.members.len() {
        builder.by_load.insert(builder.load_key(member));
    }
    builder.balance(unassigned, revoked);
    builder.assigned
}

/// The newest owner of each partition before the current one, as far as claims of older
/// generations tell.
fn former_owners(claims: &[Claim], max_generation: i32) -> HashMap<Tp, usize> {
    let mut former: HashMap<Tp, (usize, i32)> = HashMap::new();
    for (member, claim) in claims.iter().enumerate() {
        let generation = match claim.generation {
            Some(generation) if generation < max_generation => generation,
            None if max_generation > NO_GENERATION => NO_GENERATION,
            _ => continue,
        };
        for &tp in &claim.partitions {
            let entry = former.entry(tp).or_insert((member, generation));
            if generation > entry.1 {
                *entry = (member, generation);
            }
        }
    }
    former
        .into_iter()
        .map(|(tp, (member, _))| (tp, member))
        .collect()
}

/// Order of members by load: partitions held, then id.
type LoadKey = (usize, usize, usize);

struct Builder<'a, 'g> {
    group: &'a Group<'g>,
    racks: &'a RackInfo<'g>,
    /// Members per topic.
    subscribers: Vec<Vec<usize>>,
    /// Every partition, those with the fewest possible owners first.
    all: Vec<Tp>,
    assigned: Assigned,
    owner_of: HashMap<Tp, usize>,
    former_owner_of: HashMap<Tp, usize>,
    /// Members that may still gain or lose partitions.
    by_load: BTreeSet<LoadKey>,
    movements: Movements,
}

impl Builder<'_, '_> {
    fn load_key(&self, member: usize) -> LoadKey {
        (
            self.assigned[member].len(),
            self.group.members[member].rank,
            member,
        )
    }

    fn may_own(&self, member: usize, topic: usize) -> bool {
        self.group.members[member].topics.contains(&topic)
    }

    /// Takes away what a member no longer subscribes to or cannot read from its rack. Whether any
    /// was taken.
    fn drop_invalid(&mut self) -> bool {
        let mut revoked = false;
        for member in 0..self.assigned.len() {
            let mut partitions = std::mem::take(&mut self.assigned[member]);
            partitions.retain(|tp| {
                let valid =
                    self.may_own(member, tp.topic) && !self.racks.mismatch(self.group, member, *tp);
                revoked |= !valid;
                valid
            });
            self.assigned[member] = partitions;
        }
        revoked
    }

    fn balance(&mut self, mut unassigned: Vec<Tp>, revocation_required: bool) {
        let initializing = self.by_load.last().is_some_and(|(load, ..)| *load == 0);
        let mut left: Vec<Tp> = Vec::new();
        for &tp in &unassigned {
            if !(self.racks.aware && self.give_to_least_loaded(tp, true)) {
                left.push(tp);
            }
        }
        for tp in left {
            self.give_to_least_loaded(tp, false);
        }

        let reassignable = |tp: &Tp| self.subscribers[tp.topic].len() >= 2;
        let all: Vec<Tp> = self.all.iter().copied().filter(reassignable).collect();
        unassigned.retain(reassignable);
        for member in 0..self.assigned.len() {
            if !self.can_take_part(member) {
                self.by_load.remove(&self.load_key(member));
            }
        }

        let before = (self.assigned.clone(), self.score());
        if !revocation_required {
            self.reassign(&unassigned);
        }
        let changed = self.reassign(&all);
        if !initializing && changed && self.score() >= before.1 {
            self.assigned = before.0;
        }
    }

    fn give_to_least_loaded(&mut self, tp: Tp, on_rack: bool) -> bool {
        let found = self.by_load.iter().copied().find(|(_, _, member)| {
            self.may_own(*member, tp.topic)
                && !(on_rack && self.racks.mismatch(self.group, *member, tp))
        });
        let Some(key) = found else { return false };
        let member = key.2;
        self.by_load.remove(&key);
        self.assigned[member].push(tp);
        self.owner_of.insert(tp, member);
        self.by_load.insert(self.load_key(member));
        true
    }

    fn most_possible(&self, member: usize) -> usize {
        let topics = self.group.members[member].topics.iter();
        topics
            .map(|&topic| self.group.topics[topic].partitions.len())
            .sum()
    }

    fn can_take_part(&self, member: usize) -> bool {
        let partitions = &self.assigned[member];
        partitions.len() < self.most_possible(member)
            || partitions
                .iter()
                .any(|tp| self.subscribers[tp.topic].len() >= 2)
    }

    /// Sum of the differences between all pairs of members that take part; 0 is perfect.
    fn score(&self) -> usize {
        let loads: Vec<usize> = self
            .by_load
            .iter()
            .map(|key| self.assigned[key.2].len())
            .collect();
        let pairs = loads.iter().enumerate();
        pairs
            .map(|(index, load)| {
                loads[index + 1..]
                    .iter()
                    .map(|other| load.abs_diff(*other))
                    .sum::<usize>()
            })
            .sum()
    }

    fn is_balanced(&self) -> bool {
        let (Some((least, ..)), Some((most, ..))) = (self.by_load.first(), self.by_load.last())
        else {
            return true;
        };
        if *least + 1 >= *most {
            return true;
        }
        // A member that lacks a partition whose owner has at least two more could take it.
        self.by_load.iter().all(|&(load, _, member)| {
            load == self.most_possible(member)
                || self.group.members[member].topics.iter().all(|&topic| {
                    self.group
                        .partitions_of(topic)
                        .all(|tp| match self.owner_of.get(&tp) {
                            Some(&owner) => {
                                owner == member || load + 1 >= self.assigned[owner].len()
                            }
                            None => true,
                        })
                })
        })
    }

    /// Moves partitions until nothing improves. Whether any was moved.
    fn reassign(&mut self, partitions: &[Tp]) -> bool {
        let mut changed = false;
        loop {
            let mut modified = false;
            for &tp in partitions {
                if self.is_balanced() {
                    break;
                }
                let Some(&owner) = self.owner_of.get(&tp) else {
                    continue;
                };
                let load = self.assigned[owner].len();
                // Java also hands it to a former owner that no longer subscribes to the topic; that
                // member would refuse the assignment and rejoin for ever.
                if let Some(&former) = self.former_owner_of.get(&tp)
                    && self.may_own(former, tp.topic)
                    && load > self.assigned[former].len() + 1
                {
                    self.move_partition(tp, former);
                    modified = true;
                    continue;
                }
                let lighter = |member: &usize| load > self.assigned[*member].len() + 1;
                if self.subscribers[tp.topic].iter().any(lighter) {
                    // Which one exists only decides that a move helps; it goes to the least loaded.
                    let least = self
                        .by_load
                        .iter()
                        .find(|key| self.may_own(key.2, tp.topic));
                    let least = least.expect("a lighter member takes part").2;
                    self.move_partition(tp, least);
                    modified = true;
                }
            }
            changed |= modified;
            if !modified {
                return changed;
            }
        }
    }

    fn move_partition(&mut self, tp: Tp, to: usize) {
        let Some(&from) = self.owner_of.get(&tp) else {
            return;
        };
        // Prefer to undo an earlier move in the other direction to a second crossing.
        let tp = self.movements.partition_to_move(tp, from, to);
        let Some(&from) = self.owner_of.get(&tp) else {
            return;
        };
        self.by_load.remove(&self.load_key(from));
        self.by_load.remove(&self.load_key(to));
        self.movements.record(tp, from, to, self.java_hash(tp));
        remove_first(&mut self.assigned[from], tp);
        self.assigned[to].push(tp);
        self.owner_of.insert(tp, to);
        self.by_load.insert(self.load_key(to));
        self.by_load.insert(self.load_key(from));
    }

    /// `TopicPartition.hashCode()`.
    fn java_hash(&self, tp: Tp) -> i32 {
        let topic = string_hash(self.group.topics[tp.topic].name);
        31_i32
            .wrapping_mul(31_i32.wrapping_add(tp.partition))
            .wrapping_add(topic)
    }
}

/// Which partitions went from whom to whom in this rebalance.
#[derive(Default)]
struct Movements {
    by_pair: HashMap<(usize, usize, usize), JavaHashSet<Tp>>,
    of_partition: HashMap<Tp, (usize, usize)>,
}

impl Movements {
    fn partition_to_move(&self, tp: Tp, from: usize, to: usize) -> Tp {
        let from = self
            .of_partition
            .get(&tp)
            .map_or(from, |(source, _)| *source);
        let reverse = self.by_pair.get(&(tp.topic, to, from));
        reverse.and_then(JavaHashSet::first).unwrap_or(tp)
    }

    fn record(&mut self, tp: Tp, from: usize, to: usize, hash: i32) {
        let source = match self.of_partition.remove(&tp) {
            Some((source, destination)) => {
                let key = (tp.topic, source, destination);
                if let Some(partitions) = self.by_pair.get_mut(&key) {
                    partitions.remove(tp);
                    if partitions.is_empty() {
                        self.by_pair.remove(&key);
                    }
                }
                if source == to {
                    return;
                }
                source
            }
            None => from,
        };
        self.of_partition.insert(tp, (source, to));
        self.by_pair
            .entry((tp.topic, source, to))
            .or_insert_with(JavaHashSet::new)
            .insert(hash, tp);
    }
}
