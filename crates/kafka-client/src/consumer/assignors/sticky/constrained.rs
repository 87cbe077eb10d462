//! The sticky algorithm for groups whose members all subscribe to the same topics.
//!
//! Lives here: keep owned partitions up to the quota, then deal the rest to those below it.
//! Source: `AbstractStickyAssignor.ConstrainedAssignmentBuilder`.

use std::collections::{HashMap, HashSet, VecDeque};

use super::super::{Assigned, Group, Tp};
use super::{Owned, RackInfo};

/// The assignment, and each partition that changes its owner with the new one.
pub(super) fn assign(
    group: &Group<'_>,
    racks: &RackInfo<'_>,
    owned: &Owned,
) -> (Assigned, Vec<(Tp, usize)>) {
    let partitions = group.partition_count();
    let members = group.members.len();
    let mut builder = Builder {
        group,
        racks,
        owned,
        min_quota: partitions / members,
        max_quota: partitions.div_ceil(members),
        over_min_wanted: partitions % members,
        over_min: 0,
        under_min_members: Vec::new(),
        at_min_members: VecDeque::new(),
        given_up_by: HashMap::new(),
        assigned: vec![Vec::new(); members],
        moving: Vec::new(),
    };
    builder.keep_owned();
    let kept: HashSet<Tp> = builder.assigned.iter().flatten().copied().collect();
    let mut unassigned: Vec<Tp> = Vec::with_capacity(partitions - kept.len());
    for topic in group.topics_by_name() {
        unassigned.extend(group.partitions_of(topic).filter(|tp| !kept.contains(tp)));
    }
    builder
        .under_min_members
        .sort_by_key(|&member| group.members[member].rank);
    builder
        .at_min_members
        .make_contiguous()
        .sort_by_key(|&member| group.members[member].rank);
    racks.sort_by_local_readers(group, &mut unassigned);
    if racks.aware {
        builder.deal_on_racks(&mut unassigned);
    }
    builder.deal(&unassigned);
    (builder.assigned, builder.moving)
}

struct Builder<'a, 'g> {
    group: &'a Group<'g>,
    racks: &'a RackInfo<'g>,
    owned: &'a Owned,
    min_quota: usize,
    max_quota: usize,
    /// Members that shall end above `min_quota`; 0 when both quotas are equal.
    over_min_wanted: usize,
    over_min: usize,
    under_min_members: Vec<usize>,
    at_min_members: VecDeque<usize>,
    given_up_by: HashMap<Tp, usize>,
    assigned: Assigned,
    moving: Vec<(Tp, usize)>,
}

impl Builder<'_, '_> {
    fn keep_owned(&mut self) {
        for member in 0..self.group.members.len() {
            let mut owned = Vec::new();
            for &tp in &self.owned.by_member[member] {
                if self.racks.mismatch(self.group, member, tp) {
                    self.given_up_by.insert(tp, member);
                } else {
                    owned.push(tp);
                }
            }
            owned.sort_by_key(|tp| (tp.partition, self.group.topics[tp.topic].rank));
            owned.retain(|tp| !self.owned.doubly_claimed.contains(tp));

            let keep = if owned.len() < self.min_quota {
                self.under_min_members.push(member);
                owned.len()
            } else if owned.len() >= self.max_quota && self.over_min < self.over_min_wanted {
                self.over_min += 1;
                if self.over_min == self.over_min_wanted {
                    self.at_min_members.clear();
                }
                self.max_quota
            } else {
                if self.over_min < self.over_min_wanted {
                    self.at_min_members.push_back(member);
                }
                self.min_quota
            };
            for tp in owned.drain(keep..) {
                self.given_up_by.insert(tp, member);
            }
            self.assigned[member] = owned;
        }
    }

    /// Deals what some member with room can read from its own rack; the rest stays in the list.
    fn deal_on_racks(&mut self, unassigned: &mut Vec<Tp>) {
        let mut next_member = 0;
        let mut left = Vec::new();
        for &tp in unassigned.iter() {
            if let Some(index) =
                self.on_rack(tp, self.under_min_members.iter().copied(), next_member)
            {
                let member = self.under_min_members[index];
                let count = self.assigned[member].len() + 1;
                let mut next = index;
                if count >= self.min_quota {
                    self.under_min_members.remove(index);
                    if count < self.max_quota && self.over_min < self.over_min_wanted {
                        self.at_min_members.push_back(member);
                    }
                } else {
                    next += 1;
                }
                next_member = next.checked_rem(self.under_min_members.len()).unwrap_or(0);
                self.give(tp, member);
            } else if let Some(index) = self.on_rack(tp, self.at_min_members.iter().copied(), 0) {
                let member = self.at_min_members[index];
                if self.assigned[member].len() + 1 == self.max_quota {
                    self.at_min_members.remove(index);
                    self.over_min += 1;
                    if self.over_min == self.over_min_wanted {
                        self.at_min_members.clear();
                    }
                }
                self.give(tp, member);
            } else {
                left.push(tp);
            }
        }
        *unassigned = left;
    }

    /// Index of the first of `members`, starting with number `first`, that shares a rack with `tp`.
    fn on_rack(
        &self,
        tp: Tp,
        members: impl ExactSizeIterator<Item = usize>,
        first: usize,
    ) -> Option<usize> {
        let members: Vec<usize> = members.collect();
        let candidates = (0..members.len()).map(|step| (first + step) % members.len());
        let mut candidates = candidates;
        candidates.find(|&index| self.racks.on_rack(self.group, members[index], tp))
    }

    fn deal(&mut self, unassigned: &[Tp]) {
        let mut next = 0;
        for &tp in unassigned {
            if next >= self.under_min_members.len() {
                next = 0;
            }
            if next < self.under_min_members.len() {
                let member = self.under_min_members[next];
                self.give(tp, member);
                let count = self.assigned[member].len();
                if count == self.min_quota {
                    self.under_min_members.remove(next);
                    self.at_min_members.push_back(member);
                } else {
                    next += 1;
                    if count == self.max_quota {
                        self.over_min += 1;
                    }
                }
            } else {
                // The quotas add up to the number of partitions.
                let member = self
                    .at_min_members
                    .pop_front()
                    .expect("a member below its quota is left");
                self.give(tp, member);
                if self.assigned[member].len() == self.min_quota {
                    self.at_min_members.push_back(member);
                } else {
                    self.over_min += 1;
                }
            }
        }
    }

    fn give(&mut self, tp: Tp, member: usize) {
        self.assigned[member].push(tp);
        let moved = self
            .given_up_by
            .get(&tp)
            .is_some_and(|former| *former != member);
        if moved || self.owned.doubly_claimed.contains(&tp) {
            self.moving.push((tp, member));
        }
    }
}
