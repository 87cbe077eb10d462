//! Which source offsets may be committed: a contiguous prefix of each source partition.
//!
//! Lives here: [`SubmittedRecords`], a pure state machine over submissions and acknowledgements.
//! Never here: Kafka, the offset store, a clock.
//! Source: `SubmittedRecords` in apache/kafka, connect/runtime. Java keeps an object per record; here a
//! record is its offset in a queue, and acknowledgements come as runs of consecutive records.

use connect_api::{SourceOffset, SourcePartition};
use std::collections::{BTreeMap, VecDeque};

/// Which source partition a record belongs to: an index that [`SubmittedRecords`] gives out.
pub type StreamId = u32;

/// Records of one source partition, consecutive in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub stream: StreamId,
    /// Counts the records of the stream from 0.
    pub first: u64,
    pub count: u32,
}

/// The offsets of records that were given to the producer, until they may be committed.
#[derive(Default)]
pub struct SubmittedRecords {
    streams: Vec<Stream>,
    /// Where the last record went: successive records mostly share their partition.
    last: usize,
}

struct Stream {
    partition: Option<SourcePartition>,
    /// Number of the record at the front of `offsets`.
    head: u64,
    /// Offsets of the records from `head` on, `None` where a record has none.
    offsets: VecDeque<Option<SourceOffset>>,
    /// Runs acknowledged ahead of the head: first record to count.
    acknowledged: BTreeMap<u64, u64>,
    committable: Option<SourceOffset>,
}

impl SubmittedRecords {
    /// Notes a record that goes to the producer now. Gives back how its acknowledgement will name it.
    ///
    /// Cost: a comparison of pointers while the source partition stays the same.
    pub fn submit(&mut self, partition: &Option<SourcePartition>, offset: Option<SourceOffset>) -> (StreamId, u64) {
        let index = self.stream_of(partition);
        let stream = &mut self.streams[index];
        let number = stream.head + stream.offsets.len() as u64;
        stream.offsets.push_back(offset);
        (index as StreamId, number)
    }

    /// Notes that Kafka has these records, or that they were dropped for good.
    ///
    /// Panics: when a record is acknowledged twice or was never submitted, which is a bug in the worker.
    pub fn acknowledge(&mut self, run: Run) {
        let stream = &mut self.streams[run.stream as usize];
        assert!(
            run.first >= stream.head
                && run.first + u64::from(run.count) <= stream.head + stream.offsets.len() as u64,
            "acknowledged records were submitted and not acknowledged before"
        );
        if run.first != stream.head {
            let earlier = stream.acknowledged.insert(run.first, u64::from(run.count));
            assert!(earlier.is_none(), "a run of records was acknowledged twice");
            return;
        }
        stream.advance(u64::from(run.count));
        while let Some(entry) = stream.acknowledged.first_entry()
            && *entry.key() == stream.head
        {
            let count = entry.remove();
            stream.advance(count);
        }
    }

    /// Takes back the record that was submitted last: the producer did not take it.
    pub fn remove_last(&mut self, stream: StreamId) {
        self.streams[stream as usize].offsets.pop_back();
    }

    /// Offsets that may be committed now, at most one per source partition. They are forgotten here.
    ///
    /// Cost: O(source partitions).
    pub fn committable_offsets(&mut self) -> Vec<(Option<SourcePartition>, SourceOffset)> {
        let streams = self.streams.iter_mut();
        streams.filter_map(|stream| Some((stream.partition.clone(), stream.committable.take()?))).collect()
    }

    /// Records that were submitted and do not count as done.
    pub fn unacknowledged(&self) -> u64 {
        let waiting = |stream: &Stream| {
            stream.offsets.len() as u64 - stream.acknowledged.values().sum::<u64>()
        };
        self.streams.iter().map(waiting).sum()
    }

    fn stream_of(&mut self, partition: &Option<SourcePartition>) -> usize {
        let is_same = |stream: &Stream| match (&stream.partition, partition) {
            (Some(a), Some(b)) => a.ptr_eq(b),
            (None, None) => true,
            _ => false,
        };
        if self.streams.get(self.last).is_some_and(is_same) {
            return self.last;
        }
        // Equal partitions are one stream also when the connector makes a new value for each record.
        let found = self.streams.iter().position(|stream| is_same(stream) || stream.partition == *partition);
        self.last = found.unwrap_or_else(|| {
            self.streams.push(Stream {
                partition: partition.clone(),
                head: 0,
                offsets: VecDeque::new(),
                acknowledged: BTreeMap::new(),
                committable: None,
            });
            self.streams.len() - 1
        });
        self.last
    }
}

impl Stream {
    fn advance(&mut self, count: u64) {
        let last = self.offsets.drain(..count as usize).flatten().next_back();
        self.head += count;
        if last.is_some() {
            self.committable = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::data::{Map, Value};

    fn partition(name: &str) -> Option<SourcePartition> {
        Some(SourcePartition::new(Map::from_iter([(Value::text("file"), name)])))
    }

    fn committable(records: &mut SubmittedRecords) -> String {
        let text = |(partition, offset): (Option<SourcePartition>, SourceOffset)| {
            let name = partition.map_or("none".into(), |p| p.fields().values()[0].as_str().unwrap().to_string());
            match offset {
                SourceOffset::Position(_, position) => format!("{name}@{position}"),
                SourceOffset::Fields(_) => name,
            }
        };
        records.committable_offsets().into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// Submits `a`, `b`, … as records of those partitions with their position in the text as offset, then
    /// acknowledges `stream:first+count` in turn and prints what may be committed after each.
    #[track_caller]
    fn check(submitted: &str, acknowledged: &[&str], expected: &[&str]) {
        let mut records = SubmittedRecords::default();
        for (i, name) in submitted.chars().enumerate() {
            records.submit(&partition(&name.to_string()), Some(SourceOffset::Position("p", i as i64)));
        }
        let mut actual = Vec::new();
        for run in acknowledged {
            let (stream, range) = run.split_once(':').unwrap();
            let (first, count) = range.split_once('+').unwrap();
            records.acknowledge(Run {
                stream: stream.parse().unwrap(),
                first: first.parse().unwrap(),
                count: count.parse().unwrap(),
            });
            actual.push(committable(&mut records));
        }
        assert_eq!(actual, expected);
    }

    #[test]
    fn in_order() {
        check("aaaa", &["0:0+2", "0:2+2"], &["a@1", "a@3"]);
    }

    #[test]
    fn a_gap_holds_back_what_comes_after_it() {
        check("aaaaa", &["0:1+2", "0:4+1", "0:0+1", "0:3+1"], &["", "", "a@2", "a@4"]);
    }

    #[test]
    fn a_gap_holds_back_its_own_partition_only() {
        check("abab", &["1:0+2", "0:1+1", "0:0+1"], &["b@3", "", "a@2"]);
    }

    #[test]
    fn nothing_is_committed_twice() {
        let mut records = SubmittedRecords::default();
        let (stream, first) = records.submit(&partition("a"), Some(SourceOffset::Position("p", 7)));
        records.acknowledge(Run { stream, first, count: 1 });
        assert_eq!(committable(&mut records), "a@7");
        assert_eq!(committable(&mut records), "");
        assert_eq!(records.unacknowledged(), 0);
    }

    #[test]
    fn records_without_an_offset_hold_their_place_only() {
        let mut records = SubmittedRecords::default();
        let here = partition("a");
        records.submit(&here, Some(SourceOffset::Position("p", 1)));
        records.submit(&here, None);
        records.acknowledge(Run { stream: 0, first: 1, count: 1 });
        assert_eq!(committable(&mut records), "");
        records.acknowledge(Run { stream: 0, first: 0, count: 1 });
        assert_eq!(committable(&mut records), "a@1");
    }

    #[test]
    fn a_record_that_the_producer_refused_leaves_no_gap() {
        let mut records = SubmittedRecords::default();
        let here = partition("a");
        records.submit(&here, Some(SourceOffset::Position("p", 1)));
        let (stream, _) = records.submit(&here, Some(SourceOffset::Position("p", 2)));
        records.remove_last(stream);
        records.submit(&here, Some(SourceOffset::Position("p", 3)));
        records.acknowledge(Run { stream, first: 0, count: 2 });
        assert_eq!(committable(&mut records), "a@3");
    }

    /// Random interleavings against a model that keeps a flag per record.
    #[test]
    fn agrees_with_a_flag_per_record() {
        for seed in 1..200u64 {
            let mut random = Random(seed);
            let mut records = SubmittedRecords::default();
            let partitions = [partition("a"), partition("b"), partition("c")];
            let mut model: [Vec<bool>; 3] = Default::default();
            let mut waiting: Vec<(usize, Run)> = Vec::new();
            for _ in 0..200 {
                if random.below(3) > 0 || waiting.is_empty() {
                    let p = random.below(3);
                    let count = 1 + random.below(4) as u32;
                    let mut run = None;
                    for _ in 0..count {
                        let offset = SourceOffset::Position("p", model[p].len() as i64);
                        let (stream, number) = records.submit(&partitions[p], Some(offset));
                        run.get_or_insert(Run { stream, first: number, count });
                        model[p].push(false);
                    }
                    waiting.push((p, run.unwrap()));
                } else {
                    let (p, run) = waiting.swap_remove(random.below(waiting.len()));
                    records.acknowledge(run);
                    for number in run.first..run.first + u64::from(run.count) {
                        model[p][number as usize] = true;
                    }
                    for (partition, offset) in records.committable_offsets() {
                        let p = partitions.iter().position(|known| *known == partition).unwrap();
                        let prefix = model[p].iter().take_while(|done| **done).count() as i64;
                        let SourceOffset::Position(_, position) = offset else { panic!("a position") };
                        assert_eq!(position, prefix - 1, "seed {seed}");
                    }
                }
            }
            let open = waiting.iter().map(|(_, run)| u64::from(run.count)).sum::<u64>();
            assert_eq!(records.unacknowledged(), open, "seed {seed}");
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }
}
