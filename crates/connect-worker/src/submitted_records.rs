//! Which source offsets may be committed: a contiguous prefix of each source partition.
//!
//! Lives here: [`SubmittedRecords`], a pure state machine over submissions and acknowledgements.
//! Never here: Kafka, the offset store, a clock.
//! Source: `SubmittedRecords` in apache/kafka, connect/runtime. Java keeps an object per record; here a
//! record is its offset in a queue, and acknowledgements come as runs of consecutive records.

use connect_api::{SourceOffset, SourcePartition};
use kafka_client::producer::{Run, Token};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hasher};

/// The offsets of records that were given to the producer, until they may be committed.
///
/// Holds what is unacknowledged and at most one offset per source partition that was heard of since the
/// last [`Self::committable_offsets`]: partitions that are done with are forgotten there.
#[derive(Default)]
pub struct SubmittedRecords {
    streams: Vec<Stream>,
    /// Streams without records, to be used again for other partitions.
    free: Vec<usize>,
    /// Where the last record went: successive records mostly share their partition.
    last: usize,
    /// By the address of the partition that the stream keeps; a connector should clone one per part.
    by_address: HashMap<usize, usize>,
    /// By content, for connectors that make a new partition for each record.
    by_content: HashMap<u64, Vec<usize>>,
}

/// Room for records that an unused stream keeps.
const RECORDS_KEPT_ROOM_FOR: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Use {
    Taken,
    Free,
}

struct Stream {
    usage: Use,
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
    /// How the acknowledgement of the next record of a source partition will name it.
    ///
    /// Cost: a comparison of pointers while the source partition stays the same.
    pub fn next_token(&mut self, partition: &Option<SourcePartition>) -> Token {
        let index = self.stream_of(partition);
        let stream = &self.streams[index];
        Token {
            stream: index as u32,
            number: stream.head + stream.offsets.len() as u64,
        }
    }

    /// Notes that the producer has taken the record of the last [`Self::next_token`].
    pub fn submit(&mut self, token: Token, offset: Option<SourceOffset>) {
        let stream = &mut self.streams[token.stream as usize];
        debug_assert_eq!(token.number, stream.head + stream.offsets.len() as u64);
        stream.offsets.push_back(offset);
    }

    /// Notes that Kafka has these records, or that they were dropped for good.
    ///
    /// Panics: when a record is acknowledged twice or was never submitted, which is a bug in the worker.
    pub fn acknowledge(&mut self, run: Run) {
        let stream = &mut self.streams[run.stream as usize];
        assert!(
            run.first >= stream.head
                && run.first + run.count <= stream.head + stream.offsets.len() as u64,
            "acknowledged records were submitted and not acknowledged before"
        );
        if run.first != stream.head {
            let earlier = stream.acknowledged.insert(run.first, run.count);
            assert!(earlier.is_none(), "a run of records was acknowledged twice");
            return;
        }
        stream.advance(run.count);
        while let Some(entry) = stream.acknowledged.first_entry()
            && *entry.key() == stream.head
        {
            let count = entry.remove();
            stream.advance(count);
        }
    }

    /// Offsets that may be committed now, at most one per source partition. They are forgotten here.
    ///
    /// Cost: O(source partitions heard of since the last call).
    pub fn committable_offsets(&mut self) -> Vec<(Option<SourcePartition>, SourceOffset)> {
        let mut committable = Vec::new();
        for index in 0..self.streams.len() {
            let stream = &mut self.streams[index];
            if let Some(offset) = stream.committable.take() {
                committable.push((stream.partition.clone(), offset));
            }
            if stream.usage == Use::Taken && stream.offsets.is_empty() {
                self.release(index);
            }
        }
        committable
    }

    /// Records that were submitted and do not count as done.
    pub fn unacknowledged(&self) -> u64 {
        let waiting = |stream: &Stream| {
            stream.offsets.len() as u64 - stream.acknowledged.values().sum::<u64>()
        };
        self.streams.iter().map(waiting).sum()
    }

    fn stream_of(&mut self, partition: &Option<SourcePartition>) -> usize {
        let is_same = |stream: &Stream| {
            stream.usage == Use::Taken
                && match (&stream.partition, partition) {
                    (Some(a), Some(b)) => a.ptr_eq(b),
                    (None, None) => true,
                    _ => false,
                }
        };
        if !self.streams.get(self.last).is_some_and(is_same) {
            self.last = match self.by_address.get(&address_of(partition)) {
                Some(known) => *known,
                None => self.stream_by_content(partition),
            };
        }
        self.last
    }

    /// Equal partitions are one stream also when they are not clones of one.
    fn stream_by_content(&mut self, partition: &Option<SourcePartition>) -> usize {
        let hash = hash_of(partition);
        let same_hash = self.by_content.entry(hash).or_default();
        let mut equal = same_hash.iter();
        if let Some(known) = equal.find(|index| self.streams[**index].partition == *partition) {
            return *known;
        }
        let index = self.free.pop().unwrap_or(self.streams.len());
        same_hash.push(index);
        self.by_address.insert(address_of(partition), index);
        match self.streams.get_mut(index) {
            Some(stream) => {
                stream.usage = Use::Taken;
                stream.partition = partition.clone();
            }
            None => self.streams.push(Stream {
                usage: Use::Taken,
                partition: partition.clone(),
                head: 0,
                offsets: VecDeque::new(),
                acknowledged: BTreeMap::new(),
                committable: None,
            }),
        }
        index
    }

    /// Lets go of a stream without records. Its numbers go on, so that no record of it has the number of
    /// an earlier one.
    fn release(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        stream.usage = Use::Free;
        stream.offsets.shrink_to(RECORDS_KEPT_ROOM_FOR);
        let partition = stream.partition.take();
        self.by_address.remove(&address_of(&partition));
        let hash = hash_of(&partition);
        if let Some(same_hash) = self.by_content.get_mut(&hash) {
            same_hash.retain(|other| *other != index);
            if same_hash.is_empty() {
                self.by_content.remove(&hash);
            }
        }
        self.free.push(index);
    }
}

/// A stream keeps its partition, so no other has its address meanwhile.
fn address_of(partition: &Option<SourcePartition>) -> usize {
    partition.as_ref().map_or(0, |partition| {
        std::ptr::from_ref(partition.fields()) as usize
    })
}

/// The same for equal partitions, whatever the order of their fields.
fn hash_of(partition: &Option<SourcePartition>) -> u64 {
    let Some(partition) = partition else { return 0 };
    let fields = partition.fields().iter().map(|(name, value)| {
        let mut hasher = TextHasher(DefaultHasher::new());
        // Hashing cannot fail.
        let _ = write!(hasher, "{name:?}={value:?}");
        hasher.0.finish()
    });
    fields.fold(1, u64::wrapping_add)
}

struct TextHasher(DefaultHasher);

impl Write for TextHasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
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
        Some(SourcePartition::new(Map::from_iter([(
            Value::text("file"),
            name,
        )])))
    }

    fn submit(
        records: &mut SubmittedRecords,
        partition: &Option<SourcePartition>,
        offset: Option<SourceOffset>,
    ) -> Token {
        let token = records.next_token(partition);
        records.submit(token, offset);
        token
    }

    fn committable(records: &mut SubmittedRecords) -> String {
        let text = |(partition, offset): (Option<SourcePartition>, SourceOffset)| {
            let name = partition.map_or("none".into(), |p| {
                p.fields().values()[0].as_str().unwrap().to_string()
            });
            match offset {
                SourceOffset::Position(_, position) => format!("{name}@{position}"),
                SourceOffset::Fields(_) => name,
            }
        };
        records
            .committable_offsets()
            .into_iter()
            .map(text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Submits `a`, `b`, … as records of those partitions with their position in the text as offset, then
    /// acknowledges `stream:first+count` in turn and prints what may be committed after each.
    #[track_caller]
    fn check(submitted: &str, acknowledged: &[&str], expected: &[&str]) {
        let mut records = SubmittedRecords::default();
        for (i, name) in submitted.chars().enumerate() {
            submit(
                &mut records,
                &partition(&name.to_string()),
                Some(SourceOffset::Position("p", i as i64)),
            );
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
        check(
            "aaaaa",
            &["0:1+2", "0:4+1", "0:0+1", "0:3+1"],
            &["", "", "a@2", "a@4"],
        );
    }

    #[test]
    fn a_gap_holds_back_its_own_partition_only() {
        check("abab", &["1:0+2", "0:1+1", "0:0+1"], &["b@3", "", "a@2"]);
    }

    #[test]
    fn nothing_is_committed_twice() {
        let mut records = SubmittedRecords::default();
        let token = submit(
            &mut records,
            &partition("a"),
            Some(SourceOffset::Position("p", 7)),
        );
        records.acknowledge(Run {
            stream: token.stream,
            first: token.number,
            count: 1,
        });
        assert_eq!(committable(&mut records), "a@7");
        assert_eq!(committable(&mut records), "");
        assert_eq!(records.unacknowledged(), 0);
    }

    #[test]
    fn records_without_an_offset_hold_their_place_only() {
        let mut records = SubmittedRecords::default();
        let here = partition("a");
        submit(&mut records, &here, Some(SourceOffset::Position("p", 1)));
        submit(&mut records, &here, None);
        records.acknowledge(Run {
            stream: 0,
            first: 1,
            count: 1,
        });
        assert_eq!(committable(&mut records), "");
        records.acknowledge(Run {
            stream: 0,
            first: 0,
            count: 1,
        });
        assert_eq!(committable(&mut records), "a@1");
    }

    /// A connector may read a new file, and so a new partition, every second.
    #[test]
    fn partitions_that_are_done_with_take_no_room() {
        let mut records = SubmittedRecords::default();
        for i in 0..1000 {
            let name = format!("file {i}");
            for number in 0..2 {
                // A value of its own each time: equal partitions are one.
                let offset = Some(SourceOffset::Position("p", number));
                let token = submit(&mut records, &partition(&name), offset);
                records.acknowledge(Run {
                    stream: token.stream,
                    first: token.number,
                    count: 1,
                });
            }
            assert_eq!(committable(&mut records), format!("{name}@1"));
        }
        assert_eq!(records.streams.len(), 1);
        assert!(records.by_address.is_empty() && records.by_content.is_empty());
    }

    #[test]
    fn an_unacknowledged_record_keeps_its_partition() {
        let mut records = SubmittedRecords::default();
        let here = partition("a");
        let token = submit(&mut records, &here, Some(SourceOffset::Position("p", 1)));
        assert_eq!(committable(&mut records), "");
        let other = submit(&mut records, &partition("b"), None);
        assert_ne!(other.stream, token.stream);
        records.acknowledge(Run {
            stream: token.stream,
            first: token.number,
            count: 1,
        });
        assert_eq!(committable(&mut records), "a@1");
    }

    #[test]
    fn equal_partitions_are_one_whatever_the_order_of_their_fields() {
        let fields = |names: [&'static str; 2]| {
            let fields = names.map(|name| (Value::text(name), name));
            Some(SourcePartition::new(Map::from_iter(fields)))
        };
        let mut records = SubmittedRecords::default();
        let first = submit(&mut records, &fields(["a", "b"]), None);
        let nowhere = submit(&mut records, &None, None);
        let second = submit(&mut records, &fields(["b", "a"]), None);
        assert_eq!((first.stream, second.stream), (0, 0));
        assert_eq!((nowhere.stream, second.number), (1, 1));
    }

    /// Random interleavings against a model that keeps a flag per record.
    #[test]
    fn agrees_with_a_flag_per_record() {
        for seed in 1..200u64 {
            let mut random = Random(seed);
            let mut records = SubmittedRecords::default();
            let partitions = [partition("a"), partition("b"), partition("c")];
            let mut model: [Vec<bool>; 3] = Default::default();
            // The partition, its first record in the model, and what acknowledges the run.
            let mut waiting: Vec<(usize, usize, Run)> = Vec::new();
            for _ in 0..200 {
                if random.below(3) > 0 || waiting.is_empty() {
                    let p = random.below(3);
                    let count = 1 + random.below(4) as u64;
                    let first = model[p].len();
                    let mut run = None;
                    for _ in 0..count {
                        let offset = SourceOffset::Position("p", model[p].len() as i64);
                        let token = submit(&mut records, &partitions[p], Some(offset));
                        run.get_or_insert(Run {
                            stream: token.stream,
                            first: token.number,
                            count,
                        });
                        model[p].push(false);
                    }
                    waiting.push((p, first, run.unwrap()));
                } else {
                    let (p, first, run) = waiting.swap_remove(random.below(waiting.len()));
                    records.acknowledge(run);
                    model[p][first..][..run.count as usize].fill(true);
                    for (partition, offset) in records.committable_offsets() {
                        let p = partitions
                            .iter()
                            .position(|known| *known == partition)
                            .unwrap();
                        let prefix = model[p].iter().take_while(|done| **done).count() as i64;
                        let SourceOffset::Position(_, position) = offset else {
                            panic!("a position")
                        };
                        assert_eq!(position, prefix - 1, "seed {seed}");
                    }
                }
            }
            let open = waiting.iter().map(|(_, _, run)| run.count).sum::<u64>();
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
