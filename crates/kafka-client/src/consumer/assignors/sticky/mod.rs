//! `sticky` and `cooperative-sticky`: balanced, and members keep what they had.
//!
//! Lives here: what each member owned, which of the two algorithms applies, and the first step of
//! the two-step hand-over of the cooperative flavour.
//! Lives elsewhere: the algorithm for members with equal subscriptions (`constrained`) and the one
//! for all other groups (`general`).
//! Source: `AbstractStickyAssignor` and its two subclasses.

use std::collections::HashMap;

use super::super::protocol;
use super::{Assigned, AssignorMemory, Group, Member, Tp, racks_matter};

mod constrained;
mod general;

/// `DEFAULT_GENERATION`: a member that reports none.
pub(super) const NO_GENERATION: i32 = -1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// Members gave everything up; what they had is in the user data.
    Eager,
    /// Members still own what their subscription says.
    Cooperative,
}

pub(super) fn assign(group: &Group<'_>, flavour: Flavour, memory: &mut AssignorMemory) -> Assigned {
    if group.members.is_empty() {
        return Vec::new();
    }
    let claims: Vec<Claim> = group
        .members
        .iter()
        .map(|member| Claim::of(group, member, flavour))
        .collect();
    for claim in &claims {
        memory.max_generation = memory
            .max_generation
            .max(claim.generation.unwrap_or(NO_GENERATION));
    }
    let owned = settle_claims(group, &claims);
    let racks = RackInfo::new(group);
    let (mut assigned, moving) = if subscriptions_equal(group) {
        constrained::assign(group, &racks, &owned)
    } else {
        let assigned = general::assign(
            group,
            &racks,
            owned.by_member,
            &claims,
            memory.max_generation,
        );
        let moving = match flavour {
            Flavour::Eager => Vec::new(),
            Flavour::Cooperative => moving_partitions(group, &assigned),
        };
        (assigned, moving)
    };
    if flavour == Flavour::Cooperative {
        // What another member still holds is given out only after that member has revoked it,
        // in the rebalance that its revocation causes.
        for (tp, member) in moving {
            assigned[member].retain(|known| *known != tp);
        }
    }
    assigned
}

/// `MemberData`: what a member says it owned, and in which generation.
struct Claim {
    generation: Option<i32>,
    partitions: Vec<Tp>,
}

impl Claim {
    fn of(group: &Group<'_>, member: &Member<'_>, flavour: Flavour) -> Self {
        let subscription = member.subscription;
        let user_data = subscription.user_data.as_deref();
        let in_subscription =
            (subscription.generation_id >= 0).then_some(subscription.generation_id);
        match flavour {
            Flavour::Eager => match user_data.filter(|bytes| !bytes.is_empty()) {
                None => Self {
                    generation: None,
                    partitions: Vec::new(),
                },
                Some(bytes) => match protocol::sticky_user_data(bytes) {
                    Some((partitions, generation)) => Self {
                        generation,
                        partitions: partitions.iter().filter_map(|tp| group.tp(tp)).collect(),
                    },
                    None => Self {
                        generation: Some(NO_GENERATION),
                        partitions: Vec::new(),
                    },
                },
            },
            Flavour::Cooperative => Self {
                generation: in_subscription
                    .or_else(|| user_data.map(protocol::generation_user_data)),
                partitions: subscription
                    .owned_partitions
                    .iter()
                    .filter_map(|tp| group.tp(tp))
                    .collect(),
            },
        }
    }
}

/// Who owned what, after claims of several members to one partition were settled.
pub(super) struct Owned {
    by_member: Vec<Vec<Tp>>,
    /// Claimed by two members of one generation: neither is believed.
    doubly_claimed: Vec<Tp>,
}

fn settle_claims(group: &Group<'_>, claims: &[Claim]) -> Owned {
    let mut owned = Owned {
        by_member: vec![Vec::new(); claims.len()],
        doubly_claimed: Vec::new(),
    };
    let mut owner_of: HashMap<Tp, usize> = HashMap::new();
    for (member, claim) in claims.iter().enumerate() {
        let generation = claim.generation.unwrap_or(NO_GENERATION);
        for &tp in &claim.partitions {
            let Some(&other) = owner_of.get(&tp) else {
                owned.by_member[member].push(tp);
                owner_of.insert(tp, member);
                continue;
            };
            // Java compares with the generation in the other's subscription, not in its user data.
            let other_generation = group.members[other]
                .subscription
                .generation_id
                .max(NO_GENERATION);
            if generation == other_generation {
                owned.doubly_claimed.push(tp);
                remove_first(&mut owned.by_member[other], tp);
                owner_of.insert(tp, member);
            } else if generation > other_generation {
                owned.by_member[member].push(tp);
                remove_first(&mut owned.by_member[other], tp);
                owner_of.insert(tp, member);
            }
        }
    }
    owned
}

fn remove_first(partitions: &mut Vec<Tp>, tp: Tp) {
    if let Some(index) = partitions.iter().position(|known| *known == tp) {
        partitions.remove(index);
    }
}

/// Compares what was subscribed, including topics that do not exist.
fn subscriptions_equal(group: &Group<'_>) -> bool {
    let mut first: Option<Vec<&str>> = None;
    for member in &group.members {
        let mut topics: Vec<&str> = member
            .subscription
            .topics
            .iter()
            .map(String::as_str)
            .collect();
        topics.sort_unstable();
        match &first {
            None if topics.is_empty() => {}
            None => first = Some(topics),
            Some(known) if *known != topics => return false,
            Some(_) => {}
        }
    }
    true
}

/// Partitions that one member still owns and another was assigned, with the latter.
fn moving_partitions(group: &Group<'_>, assigned: &Assigned) -> Vec<(Tp, usize)> {
    let owned_by = |member: &Member<'_>| -> std::collections::HashSet<Tp> {
        member
            .subscription
            .owned_partitions
            .iter()
            .filter_map(|tp| group.tp(tp))
            .collect()
    };
    let mut added = HashMap::new();
    let mut revoked = Vec::new();
    for (index, member) in group.members.iter().enumerate() {
        let owned = owned_by(member);
        let now: std::collections::HashSet<Tp> = assigned[index].iter().copied().collect();
        added.extend(now.difference(&owned).map(|tp| (*tp, index)));
        revoked.extend(owned.difference(&now).copied());
    }
    revoked.sort_unstable_by_key(|tp| (tp.topic, tp.partition));
    revoked.dedup();
    revoked
        .into_iter()
        .filter_map(|tp| added.get(&tp).map(|member| (tp, *member)))
        .collect()
}

/// Racks of members and replicas, when they are worth looking at.
struct RackInfo<'a> {
    aware: bool,
    /// Members per rack: how many members could read a partition locally.
    members_per_rack: HashMap<&'a str, usize>,
}

impl<'a> RackInfo<'a> {
    fn new(group: &Group<'a>) -> Self {
        let mut members_per_rack: HashMap<&str, usize> = HashMap::new();
        for rack in group.members.iter().filter_map(|member| member.rack) {
            *members_per_rack.entry(rack).or_default() += 1;
        }
        let member_racks = members_per_rack.keys().copied().collect();
        let partitions = group
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter());
        Self {
            aware: racks_matter(&member_racks, partitions),
            members_per_rack,
        }
    }

    fn mismatch(&self, group: &Group<'_>, member: usize, tp: Tp) -> bool {
        let rack = group.members[member].rack;
        self.aware && rack.is_some_and(|rack| !group.replica_racks(tp).contains(rack))
    }

    fn on_rack(&self, group: &Group<'_>, member: usize, tp: Tp) -> bool {
        let rack = group.members[member].rack;
        self.aware && rack.is_some_and(|rack| group.replica_racks(tp).contains(rack))
    }

    /// Partitions with the fewest local readers first, so that those are not left without one.
    fn sort_by_local_readers(&self, group: &Group<'_>, partitions: &mut [Tp]) {
        if self.members_per_rack.is_empty() {
            return;
        }
        partitions.sort_by_key(|tp| {
            let racks = group.replica_racks(*tp).iter();
            racks
                .filter_map(|rack| self.members_per_rack.get(rack.as_str()))
                .sum::<usize>()
        });
    }
}
