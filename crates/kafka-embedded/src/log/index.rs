//! Where in a segment an offset or a time is, roughly.
//!
//! Lives here: [`SparseIndex`]. It holds at most [`ENTRIES_MAX`] entries whatever the segment's
//! size; when it is full, every second one goes and the distance between entries doubles. Readers
//! walk batch headers from the entry on.
//! Never here: I/O.

use bytes::{Buf, BufMut};

/// 24 bytes each: at most 24 KiB for a segment, of 1 GiB by default.
const ENTRIES_MAX: usize = 1024;

/// Distance of entries in a new segment. Kafka's `index.interval.bytes`.
const INTERVAL_BYTES: u64 = 4096;

#[derive(Debug, Clone, Copy)]
struct Entry {
    base_offset: i64,
    position: u64,
    /// The largest timestamp of all batches in front of this one, or `i64::MIN`.
    max_timestamp_before_ms: i64,
}

#[derive(Debug)]
pub(super) struct SparseIndex {
    entries: Vec<Entry>,
    interval: u64,
}

impl SparseIndex {
    pub(super) fn new() -> SparseIndex {
        SparseIndex {
            entries: Vec::new(),
            interval: INTERVAL_BYTES,
        }
    }

    /// A batch was appended. Cost: nothing is kept for most of them.
    pub(super) fn note(&mut self, base_offset: i64, position: u64, max_timestamp_before_ms: i64) {
        let due = match self.entries.last() {
            None => true,
            Some(last) => position >= last.position + self.interval,
        };
        if !due {
            return;
        }
        if self.entries.len() == ENTRIES_MAX {
            let mut index = 0;
            self.entries.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.interval *= 2;
        }
        self.entries.push(Entry {
            base_offset,
            position,
            max_timestamp_before_ms,
        });
    }

    /// The position of a batch at or in front of the one that holds `offset`; 0 when there is none.
    pub(super) fn floor(&self, offset: i64) -> u64 {
        let after = self
            .entries
            .partition_point(|entry| entry.base_offset <= offset);
        self.position_before(after)
    }

    /// The position of a batch at or in front of the first one with a timestamp of at least this.
    pub(super) fn floor_of_time(&self, timestamp_ms: i64) -> u64 {
        let after = self
            .entries
            .partition_point(|entry| entry.max_timestamp_before_ms < timestamp_ms);
        self.position_before(after)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.interval);
        out.put_u32(self.entries.len() as u32);
        for entry in &self.entries {
            out.put_i64(entry.base_offset);
            out.put_u64(entry.position);
            out.put_i64(entry.max_timestamp_before_ms);
        }
    }

    /// `None`: the bytes are not what [`Self::put`] wrote.
    pub(super) fn take(from: &mut &[u8]) -> Option<SparseIndex> {
        let interval = from.try_get_u64().ok()?;
        let count = from.try_get_u32().ok()?;
        let entries = (0..count).map(|_| {
            Some(Entry {
                base_offset: from.try_get_i64().ok()?,
                position: from.try_get_u64().ok()?,
                max_timestamp_before_ms: from.try_get_i64().ok()?,
            })
        });
        Some(SparseIndex {
            entries: entries.collect::<Option<_>>()?,
            interval,
        })
    }

    fn position_before(&self, after: usize) -> u64 {
        match after.checked_sub(1) {
            Some(index) => self.entries[index].position,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small_and_never_points_behind() {
        let mut index = SparseIndex::new();
        // A million batches of 1,000 bytes and ten offsets, one millisecond each.
        for batch in 0..1_000_000i64 {
            let before = if batch == 0 { i64::MIN } else { batch - 1 };
            index.note(batch * 10, batch as u64 * 1000, before);
        }
        assert!(index.entries.len() <= ENTRIES_MAX && index.entries.len() >= ENTRIES_MAX / 4);
        for batch in [0, 1, 4, 5, 999, 123_456, 999_999u64] {
            let exact = batch * 1000;
            for position in [
                index.floor(batch as i64 * 10 + 9),
                index.floor_of_time(batch as i64),
            ] {
                assert!(position <= exact, "batch {batch}: {position}");
                assert!(
                    exact - position <= index.interval + 1000,
                    "batch {batch}: {position}"
                );
            }
        }
    }

    #[test]
    fn times_that_go_back_are_found_at_their_first_batch() {
        let mut index = SparseIndex::new();
        // Positions far apart, so that each has an entry; times 5, 3, 9, 1.
        for (at, before) in [(0, i64::MIN), (1, 5), (2, 5), (3, 9)] {
            index.note(at, at as u64 * 10_000, before);
        }
        let rows = [(3, 0), (5, 0), (6, 20_000), (9, 20_000), (10, 30_000)];
        for (time, position) in rows {
            assert_eq!(index.floor_of_time(time), position, "time {time}");
        }
    }
}
