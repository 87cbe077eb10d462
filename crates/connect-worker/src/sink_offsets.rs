//! What a sink task may commit.
//!
//! Lives here: [`SinkOffsets`], a pure account of how far each partition was consumed, delivered and
//! committed.
//! Lives elsewhere: asking the task (`sink_task`), sending the commit (`kafka_client`).
//! Source: `WorkerSinkTask.commitOffsets` in apache/kafka, connect/runtime.

use connect_api::{Offsets, TopicPartition};
use std::collections::BTreeMap;

/// How far each partition is. Offsets name the next record.
#[derive(Default)]
pub struct SinkOffsets {
    partitions: BTreeMap<TopicPartition, Progress>,
    /// Counts commits; an answer to any but the last is out of date.
    commits: u64,
}

#[derive(Clone, Copy)]
struct Progress {
    /// Behind the last record that `put` took.
    current: i64,
    last_committed: i64,
}

/// What to do about a commit.
#[derive(Debug, PartialEq)]
pub enum CommitPlan {
    /// The task had nothing new to commit.
    Nothing,
    Commit {
        number: u64,
        offsets: Offsets,
    },
}

/// An offset that the task named and that cannot be committed.
#[derive(Debug, PartialEq)]
pub enum Ignored {
    /// Further than what the task was given.
    NotYetConsumed {
        partition: TopicPartition,
        offset: i64,
    },
    NotAssigned {
        partition: TopicPartition,
        offset: i64,
    },
}

impl SinkOffsets {
    /// The partition is ours from now on, to be read from `position`.
    pub fn assign(&mut self, partition: TopicPartition, position: i64) {
        self.partitions.insert(
            partition,
            Progress {
                current: position,
                last_committed: position,
            },
        );
    }

    pub fn forget(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    pub fn assignment(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    pub fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    /// `put` took all records before `offset`.
    pub fn delivered(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(progress) = self.partitions.get_mut(partition) {
            progress.current = offset;
        }
    }

    /// The task goes on from `offset`, by its own wish: that counts as committed too.
    pub fn rewind(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(progress) = self.partitions.get_mut(partition) {
            *progress = Progress {
                current: offset,
                last_committed: offset,
            };
        }
    }

    /// Goes back to what was committed. Returns where to read on.
    pub fn rewind_to_committed(&mut self) -> Offsets {
        let rewound = self.partitions.iter_mut().map(|(partition, progress)| {
            progress.current = progress.last_committed;
            (partition.clone(), progress.last_committed)
        });
        rewound.collect()
    }

    /// How far the task was given records, of those partitions that are ours.
    pub fn current<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Offsets {
        let known = partitions.into_iter().filter_map(|partition| {
            let progress = self.partitions.get(partition)?;
            Some((partition.clone(), progress.current))
        });
        known.collect()
    }

    /// What to send after the task answered `returned` to `pre_commit(asked)`.
    ///
    /// Partitions that the task left out keep what was committed.
    pub fn plan_commit(
        &mut self,
        asked: &Offsets,
        returned: Offsets,
    ) -> (CommitPlan, Vec<Ignored>) {
        let mut ignored = Vec::new();
        let mut offsets: Offsets = asked
            .keys()
            .map(|p| (p.clone(), self.partitions[p].last_committed))
            .collect();
        let mut changed = false;
        for (partition, offset) in returned {
            let Some(progress) = self.partitions.get(&partition) else {
                ignored.push(Ignored::NotAssigned { partition, offset });
                continue;
            };
            // Assigned but not asked for this time: not an error, its turn will come.
            let Some(planned) = offsets.get_mut(&partition) else {
                continue;
            };
            if offset > progress.current {
                ignored.push(Ignored::NotYetConsumed { partition, offset });
                continue;
            }
            changed |= *planned != offset;
            *planned = offset;
        }
        if !changed {
            return (CommitPlan::Nothing, ignored);
        }
        self.commits += 1;
        (
            CommitPlan::Commit {
                number: self.commits,
                offsets,
            },
            ignored,
        )
    }

    /// Kafka has taken a commit. `false`: a later one is under way, this answer is out of date.
    pub fn committed(&mut self, number: u64, offsets: &Offsets) -> bool {
        for (partition, offset) in offsets {
            if let Some(progress) = self.partitions.get_mut(partition)
                && number == self.commits
            {
                progress.last_committed = *offset;
            }
        }
        number == self.commits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn offsets(list: &[(i32, i64)]) -> Offsets {
        list.iter()
            .map(|(partition, offset)| (p(*partition), *offset))
            .collect()
    }

    /// Two partitions, consumed up to 10 and 20, committed at 5 and 20.
    fn two_partitions() -> SinkOffsets {
        let mut state = SinkOffsets::default();
        state.assign(p(0), 5);
        state.assign(p(1), 20);
        state.delivered(&p(0), 10);
        state
    }

    #[track_caller]
    fn check(returned: &[(i32, i64)], expected: Option<&[(i32, i64)]>, expected_ignored: usize) {
        let mut state = two_partitions();
        let asked = state.current(&[p(0), p(1)]);
        let (plan, ignored) = state.plan_commit(&asked, offsets(returned));
        let expected = match expected {
            Some(list) => CommitPlan::Commit {
                number: 1,
                offsets: offsets(list),
            },
            None => CommitPlan::Nothing,
        };
        assert_eq!(plan, expected);
        assert_eq!(ignored.len(), expected_ignored, "{ignored:?}");
    }

    #[test]
    fn what_the_task_returns_is_committed() {
        check(&[(0, 10), (1, 20)], Some(&[(0, 10), (1, 20)]), 0);
        check(&[(0, 8)], Some(&[(0, 8), (1, 20)]), 0);
    }

    #[test]
    fn nothing_new_is_not_sent() {
        check(&[], None, 0);
        check(&[(0, 5), (1, 20)], None, 0);
    }

    #[test]
    fn offsets_that_were_never_delivered_are_ignored() {
        check(&[(0, 11)], None, 1);
        check(&[(7, 1), (0, 9)], Some(&[(0, 9), (1, 20)]), 1);
    }

    #[test]
    fn an_outdated_answer_changes_nothing() {
        let mut state = two_partitions();
        let asked = state.current(&[p(0)]);
        let (first, _) = state.plan_commit(&asked, offsets(&[(0, 7)]));
        let (second, _) = state.plan_commit(&asked, offsets(&[(0, 9)]));
        assert!(matches!(
            (&first, &second),
            (
                CommitPlan::Commit { .. },
                CommitPlan::Commit { number: 2, .. }
            )
        ));
        assert!(!state.committed(1, &offsets(&[(0, 7)])));
        assert_eq!(state.rewind_to_committed(), offsets(&[(0, 5), (1, 20)]));
        assert!(state.committed(2, &offsets(&[(0, 9)])));
        assert_eq!(state.rewind_to_committed(), offsets(&[(0, 9), (1, 20)]));
    }
}
