//! `roundrobin`: all partitions in order, dealt to the members in turn.
//! Source: `RoundRobinAssignor`.

use super::{Assigned, Group};

pub(super) fn assign(group: &Group<'_>) -> Assigned {
    let mut assigned: Assigned = vec![Vec::new(); group.members.len()];
    let turns = group.by_instance_then_id((0..group.members.len()).collect());
    let mut turn = 0;
    for topic in group.topics_by_name() {
        for tp in group.partitions_of(topic) {
            // Ends: only topics to which some member subscribes are in the group.
            while !group.members[turns[turn]].topics.contains(&topic) {
                turn = (turn + 1) % turns.len();
            }
            assigned[turns[turn]].push(tp);
            turn = (turn + 1) % turns.len();
        }
    }
    assigned
}
