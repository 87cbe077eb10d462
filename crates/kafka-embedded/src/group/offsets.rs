//! Committed offsets of one group, and those that wait for a transaction to end.
//!
//! Lives here: the two tables and what happens to them at a commit, a delete, a transaction's end.
//! Never here: who may commit (`commit`), requests, answers.

use std::collections::BTreeMap;

use super::words::Outcome;

/// Offsets by topic and partition.
pub type OffsetTable = BTreeMap<String, BTreeMap<i32, CommittedOffset>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    /// -1: the client did not say.
    pub leader_epoch: i32,
    pub metadata: String,
    /// When it was committed among all commits of the group: of a plain commit and one within
    /// a transaction the later request wins, not the later end of the transaction.
    pub order: u64,
}

#[derive(Debug, Default)]
pub(super) struct GroupOffsets {
    committed: OffsetTable,
    /// By producer id.
    pending: BTreeMap<i64, OffsetTable>,
    next_order: u64,
}

impl GroupOffsets {
    pub(super) fn next_order(&self) -> u64 {
        self.next_order
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.committed.get(topic)?.get(&partition)
    }

    pub(super) fn committed(&self) -> &OffsetTable {
        &self.committed
    }

    pub(super) fn pending(&self) -> &BTreeMap<i64, OffsetTable> {
        &self.pending
    }

    /// Whether an open transaction may still change the partition's offset.
    pub(super) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        self.pending.values().any(|offsets| {
            offsets
                .get(topic)
                .is_some_and(|partitions| partitions.contains_key(&partition))
        })
    }

    pub(super) fn is_pending(&self, producer_id: i64) -> bool {
        self.pending.contains_key(&producer_id)
    }

    pub(super) fn commit(&mut self, offsets: OffsetTable) {
        self.note_orders(&offsets);
        merge(&mut self.committed, offsets);
    }

    pub(super) fn commit_pending(&mut self, producer_id: i64, offsets: OffsetTable) {
        self.note_orders(&offsets);
        merge(self.pending.entry(producer_id).or_default(), offsets);
    }

    pub(super) fn end_transaction(&mut self, producer_id: i64, outcome: Outcome) {
        let offsets = self.pending.remove(&producer_id).unwrap_or_default();
        if outcome == Outcome::Commit {
            merge(&mut self.committed, offsets);
        }
    }

    pub(super) fn delete(&mut self, topic: &str, partition: i32) {
        remove(&mut self.committed, topic, partition);
    }

    /// Whether it knew an offset, committed or pending, of the topic.
    pub(super) fn forget_topic(&mut self, topic: &str) -> bool {
        let mut known = self.committed.remove(topic).is_some();
        for offsets in self.pending.values_mut() {
            known |= offsets.remove(topic).is_some();
        }
        known
    }

    fn note_orders(&mut self, offsets: &OffsetTable) {
        for committed in offsets.values().flat_map(BTreeMap::values) {
            self.next_order = self.next_order.max(committed.order.saturating_add(1));
        }
    }
}

fn merge(into: &mut OffsetTable, offsets: OffsetTable) {
    for (topic, partitions) in offsets {
        let known = into.entry(topic).or_default();
        for (partition, committed) in partitions {
            match known.get(&partition) {
                Some(later) if later.order > committed.order => {}
                _ => {
                    known.insert(partition, committed);
                }
            }
        }
    }
}

fn remove(from: &mut OffsetTable, topic: &str, partition: i32) {
    if let Some(partitions) = from.get_mut(topic) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            from.remove(topic);
        }
    }
}
