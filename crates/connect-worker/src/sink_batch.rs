//! What a sink task is given, and how it is cut when the task finds fault with it.
//!
//! Lives here: [`SinkBatch`], a pure plan: what to offer next, what counts as delivered.
//! Lives elsewhere: calling the task (`sink_task::put`), making a batch (`sink_task::intake`).
//! Never here: I/O, a clock.

use connect_api::{SinkRecord, TopicPartition};
use std::collections::VecDeque;

/// Records that were consumed together, until the task has taken them.
///
/// A batch is offered whole. After the task has found fault with what it was offered, [`Self::cut`] halves that: the
/// first half is offered next, in the order in which the records were consumed, until a single record is left that is
/// guilty. `b` guilty records of `n` cost at most `2 b (log2(n / b) + 2)` calls.
#[derive(Default)]
pub struct SinkBatch {
    /// Those that the task has not taken yet.
    pub records: Vec<SinkRecord>,
    /// How far each partition is once all are delivered, records that were left out included.
    pub ends: Vec<(TopicPartition, i64)>,
    /// While the batch is cut: lengths of the groups of `records` that are offered one by one.
    groups: VecDeque<usize>,
}

/// What is left after a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// [`SinkBatch::offered`] is smaller now.
    Smaller,
    /// [`SinkBatch::offered`] is one record, and it is guilty. [`SinkBatch::taken`] leaves it behind.
    Guilty,
    /// Nothing was offered.
    Nothing,
}

impl SinkBatch {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the batch is offered in parts.
    pub fn is_cut(&self) -> bool {
        !self.groups.is_empty()
    }

    /// What to give to the task next: all, or a part of a batch that was cut.
    pub fn offered(&self) -> &[SinkRecord] {
        match self.groups.front() {
            Some(length) => &self.records[..*length],
            None => &self.records,
        }
    }

    /// The task has found fault with what was offered, and has written nothing of it.
    pub fn cut(&mut self) -> Cut {
        let length = match self.groups.pop_front() {
            Some(length) => length,
            None => self.records.len(),
        };
        match length {
            0 => Cut::Nothing,
            1 => {
                self.groups.push_front(1);
                Cut::Guilty
            }
            _ => {
                self.groups.push_front(length - length / 2);
                self.groups.push_front(length / 2);
                Cut::Smaller
            }
        }
    }

    /// What was offered is done with. `true`: the whole batch is.
    pub fn taken(&mut self) -> bool {
        match self.groups.pop_front() {
            Some(length) => drop(self.records.drain(..length)),
            None => self.records.clear(),
        }
        self.records.is_empty()
    }

    /// Up to where each partition is delivered: before its first record that is left.
    ///
    /// Cost: a walk over the records for each partition.
    pub fn delivered(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.ends.iter().map(|(partition, end)| {
            let left = self.records.iter().find(|it| is_from(it, partition));
            (partition, left.map_or(*end, |record| record.kafka_offset))
        })
    }

    /// Takes out what is from these partitions.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        let is_gone = |record: &SinkRecord| partitions.iter().any(|gone| is_from(record, gone));
        let mut first = 0;
        for length in &mut self.groups {
            let group = &self.records[first..first + *length];
            first += *length;
            *length = group.iter().filter(|record| !is_gone(record)).count();
        }
        self.groups.retain(|length| *length > 0);
        self.records.retain(|record| !is_gone(record));
        self.ends
            .retain(|(partition, _)| !partitions.contains(partition));
    }

    pub fn clear(&mut self) {
        self.records.clear();
        self.ends.clear();
        self.groups.clear();
    }
}

/// By where it was consumed: a transform may have changed topic and partition.
fn is_from(record: &SinkRecord, partition: &TopicPartition) -> bool {
    *record.original_topic() == *partition.topic
        && record.original_partition() == partition.partition
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::{ConnectRecord, TimestampType};

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    /// Records as `partition:offset`.
    fn batch(records: &[(i32, i64)]) -> SinkBatch {
        let mut batch = SinkBatch::default();
        for (number, offset) in records {
            let mut record = ConnectRecord::new("t", None, "v");
            record.kafka_partition = Some(*number);
            batch.records.push(SinkRecord {
                record,
                kafka_offset: *offset,
                timestamp_type: TimestampType::NoTimestampType,
                original: None,
            });
            match batch
                .ends
                .iter_mut()
                .find(|(it, _)| it.partition == *number)
            {
                Some((_, end)) => *end = offset + 1,
                None => batch.ends.push((partition(*number), offset + 1)),
            }
        }
        batch
    }

    fn offsets(records: &[SinkRecord]) -> Vec<i64> {
        records.iter().map(|it| it.kafka_offset).collect()
    }

    /// Offers a batch of `n` until it is done, to a task that finds fault with these offsets. Returns what was
    /// delivered, what was found guilty, and how often it was called.
    fn deliver(n: i64, guilty: &[i64]) -> (Vec<i64>, Vec<i64>, usize) {
        let mut batch = batch(&(0..n).map(|offset| (0, offset)).collect::<Vec<_>>());
        let (mut delivered, mut found, mut calls) = (Vec::new(), Vec::new(), 0);
        loop {
            calls += 1;
            let offered = offsets(batch.offered());
            let done = if offered.iter().any(|it| guilty.contains(it)) {
                match batch.cut() {
                    Cut::Guilty => {
                        found.extend(offsets(batch.offered()));
                        batch.taken()
                    }
                    Cut::Smaller => false,
                    Cut::Nothing => panic!("fault was found with something"),
                }
            } else {
                delivered.extend(offered);
                batch.taken()
            };
            let left = batch.records.first().map_or(n, |it| it.kafka_offset);
            assert_eq!(batch.delivered().next(), Some((&partition(0), left)));
            if done {
                assert!(!batch.is_cut());
                return (delivered, found, calls);
            }
        }
    }

    #[test]
    fn only_the_guilty_are_left_out_and_the_others_come_once_and_in_order() {
        for n in [1, 2, 3, 7, 8, 100] {
            for guilty in [
                vec![],
                vec![0],
                vec![n - 1],
                vec![n / 2],
                (0..n).step_by(3).collect(),
                (0..n).collect(),
            ] {
                let mut guilty: Vec<i64> = guilty;
                guilty.dedup();
                let (delivered, found, calls) = deliver(n, &guilty);
                assert_eq!(found, guilty, "of {n}");
                let innocent: Vec<i64> = (0..n).filter(|it| !guilty.contains(it)).collect();
                assert_eq!(delivered, innocent, "of {n} without {guilty:?}");
                let (n, bad) = (n as f64, guilty.len() as f64);
                let most = 2.0 * bad * ((n / bad.max(1.0)).log2() + 2.0) + 1.0;
                assert!(calls as f64 <= most, "{calls} calls, not {most}");
            }
        }
        assert_eq!(deliver(500, &[250]).2, 17);
    }

    #[test]
    fn what_belongs_together_and_fails_only_together_passes_in_parts() {
        let mut batch = batch(&[(0, 0), (0, 1), (0, 2)]);
        assert_eq!(batch.cut(), Cut::Smaller);
        assert_eq!(offsets(batch.offered()), [0]);
        assert!(!batch.taken());
        assert_eq!(offsets(batch.offered()), [1, 2]);
        assert!(batch.taken() && batch.is_empty());
    }

    #[test]
    fn partitions_that_go_leave_the_groups_as_they_are_cut() {
        let mut batch = batch(&[(0, 5), (1, 7), (0, 6), (1, 8), (0, 9)]);
        assert_eq!(batch.cut(), Cut::Smaller);
        assert_eq!(offsets(batch.offered()), [5, 7]);
        batch.forget(&[partition(1)]);
        assert_eq!(offsets(batch.offered()), [5]);
        assert!(!batch.taken());
        assert_eq!(offsets(batch.offered()), [6, 9]);
        assert_eq!(batch.delivered().collect::<Vec<_>>(), [(&partition(0), 6)]);
        batch.forget(&[partition(0)]);
        assert!(batch.is_empty() && !batch.is_cut() && batch.ends.is_empty());
    }

    #[test]
    fn nothing_cannot_be_cut() {
        let mut batch = SinkBatch::default();
        assert_eq!(batch.cut(), Cut::Nothing);
        assert!(batch.taken());
    }
}
