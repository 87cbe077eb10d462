//! The log of one partition: segments of batches, offsets, producers, and what may be read.
//!
//! Lives here: [`PartitionLog`], which assigns offsets, rolls segments and knows the first, the
//! last and the last stable offset; [`ReadPlan`], a read that needs no lock any more.
//! Lives elsewhere: whether a client's batch is sound (`validate`), what is left after a crash
//! (`recover`), compaction and retention (`clean`), topics and their names (`crate::broker`).
//! Never here: the protocol, a lock, an `.await`.
//!
//! ```text
//! logs/<topic>/<partition>-<topic id>/00000000000000000000.log
//! ```
//!
//! Memory per partition: a few hundred bytes, at most 24 KiB per segment, and its producers.

mod checkpoint;
mod clean;
mod index;
pub(crate) mod producers;
mod read;
mod recover;
mod segment;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod validate;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::HeaderFields;
use kafka_wire::batch::BATCH_OVERHEAD;

pub(crate) use clean::{CleanPlan, CompactionRule, RetentionRule};
use producers::{Producers, Sequence};
pub(crate) use read::{Found, Hint, ReadBatches, ReadPlan};
pub(crate) use recover::recover;
use segment::Segment;
use store::{OpenFiles, Store};
pub(crate) use validate::{BatchRule, Refusal, Sound, TimestampRule, validate};

/// Bytes of a batch that differ between what was sent and what is stored: base offset, length,
/// leader epoch, magic, CRC.
const PATCHED_BYTES: usize = 21;

/// Largest batch, decompressed, that is looked into: for its keys, its timestamps, or to compact it.
const DECOMPRESSED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a partition's segments are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Memory,
    Directory {
        path: PathBuf,
        files: Arc<OpenFiles>,
        /// Whether the name of a new file has to be on the disk before anything is in it.
        sync_names: bool,
    },
}

impl Place {
    fn segment(&self, base_offset: i64) -> io::Result<Store> {
        match self {
            Place::Memory => Ok(Store::memory()),
            Place::Directory {
                path,
                files,
                sync_names,
            } => {
                let store = Store::create(&path.join(segment_name(base_offset)), files)?;
                if *sync_names {
                    // The directories of the partition, its topic and all topics may be new too.
                    for directory in path.ancestors().take(3) {
                        File::open(directory)?.sync_all()?;
                    }
                }
                Ok(store)
            }
        }
    }
}

fn segment_name(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}

/// When a new segment begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollRule {
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
}

/// A batch that is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// For a repeat: when it was first appended.
    pub(crate) log_append_time_ms: Option<i64>,
    pub(crate) repeated: bool,
}

/// Why a sound batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppendError {
    #[error(
        "out of order sequence number for producer {producer_id}: {found} (incoming seq. number), {expected} (expected)"
    )]
    OutOfOrder {
        producer_id: i64,
        found: i32,
        expected: i32,
    },
    #[error(
        "epoch of producer {producer_id} is {found}, which is smaller than the last seen epoch {current}"
    )]
    OldEpoch {
        producer_id: i64,
        found: i16,
        current: i16,
    },
    #[error("the partition was deleted")]
    Removed,
    #[error("could not write to the log: {0}")]
    Io(#[from] io::Error),
}

/// The log of a partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    place: Place,
    /// Ascending; the last one is written to. None before the first append.
    segments: Vec<Segment>,
    start_offset: i64,
    end_offset: i64,
    producers: Producers,
    /// Compaction has seen everything below.
    cleaned_until: i64,
    /// Records appended since the disk was last waited for.
    unsynced_records: i64,
    unsynced_since_ms: Option<i64>,
    /// Segments that are closed and not yet on the disk for certain.
    unsynced_closed: Vec<Store>,
    /// Its topic was deleted.
    removed: bool,
}

impl PartitionLog {
    pub(crate) fn empty(place: Place) -> PartitionLog {
        PartitionLog {
            place,
            segments: Vec::new(),
            start_offset: 0,
            end_offset: 0,
            producers: Producers::default(),
            cleaned_until: 0,
            unsynced_records: 0,
            unsynced_since_ms: None,
            unsynced_closed: Vec::new(),
            removed: false,
        }
    }

    /// The first offset that may be read.
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets. Everything below may be read by `read_uncommitted`.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Everything below may be read by `read_committed`.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.producers
            .first_unstable_offset()
            .unwrap_or(self.end_offset)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size_bytes).sum()
    }

    pub(crate) fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Appends a client's batch behind its sequence check. `now_ms` is the log's clock.
    pub(crate) fn append(
        &mut self,
        sound: &Sound,
        roll: RollRule,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        if self.removed {
            return Err(AppendError::Removed);
        }
        let producer = sound.header.producer;
        if producer.id >= 0 {
            match self.producers.check(&sound.header) {
                Sequence::Next => {}
                Sequence::Repeat(written) => {
                    let log_append_time_ms = sound
                        .header
                        .is_log_append_time()
                        .then_some(written.timestamp_ms);
                    return Ok(Appended {
                        base_offset: written.base_offset,
                        log_append_time_ms,
                        repeated: true,
                    });
                }
                Sequence::OutOfOrder { expected } => {
                    return Err(AppendError::OutOfOrder {
                        producer_id: producer.id,
                        found: producer.base_sequence,
                        expected,
                    });
                }
                Sequence::OldEpoch { current } => {
                    return Err(AppendError::OldEpoch {
                        producer_id: producer.id,
                        found: producer.epoch,
                        current,
                    });
                }
            }
        }
        let header = self.write(sound.header, &sound.bytes, roll, now_ms)?;
        self.producers.appended(&header, now_ms);
        Ok(Appended {
            base_offset: header.base_offset,
            log_append_time_ms: header
                .is_log_append_time()
                .then_some(header.max_timestamp_ms),
            repeated: false,
        })
    }

    /// Appends a marker that this broker made; its offset comes back.
    pub(crate) fn append_marker(
        &mut self,
        batch: &Bytes,
        committed: bool,
        coordinator_epoch: i32,
        roll: RollRule,
        now_ms: i64,
    ) -> io::Result<i64> {
        let header = HeaderFields::read(batch)
            .ok()
            .flatten()
            .expect("a marker that kafka-wire built is a whole batch");
        let header = self.write(header, batch, roll, now_ms)?;
        self.producers
            .ended(&header, committed, coordinator_epoch, now_ms);
        Ok(header.base_offset)
    }

    /// Gives a batch its offset and writes it, without a copy of its records.
    fn write(
        &mut self,
        sent: HeaderFields,
        bytes: &Bytes,
        roll: RollRule,
        now_ms: i64,
    ) -> io::Result<HeaderFields> {
        let mut header = sent;
        header.base_offset = self.end_offset;
        self.roll_if_due(&header, roll, now_ms)?;
        let mut head = [0; PATCHED_BYTES];
        head.copy_from_slice(&bytes[..PATCHED_BYTES]);
        kafka_wire::batch::set_base_offset(&mut head, header.base_offset);
        kafka_wire::batch::set_leader_epoch(&mut head, 0);
        let segment = self
            .segments
            .last_mut()
            .expect("rolled when there was none");
        segment.append(&header, &head, &bytes[PATCHED_BYTES..])?;
        segment.began_ms.get_or_insert(now_ms);
        self.end_offset = header.last_offset() + 1;
        self.unsynced_records += i64::from(header.last_offset_delta) + 1;
        self.unsynced_since_ms.get_or_insert(now_ms);
        Ok(header)
    }

    fn roll_if_due(&mut self, next: &HeaderFields, roll: RollRule, now_ms: i64) -> io::Result<()> {
        let due = match self.segments.last() {
            None => true,
            Some(active) if active.is_empty() => false,
            Some(active) => {
                active.size_bytes + next.size_bytes as u64 > roll.segment_bytes
                    || active
                        .began_ms
                        .is_some_and(|began| now_ms.saturating_sub(began) > roll.segment_ms)
            }
        };
        if due { self.roll() } else { Ok(()) }
    }

    /// A new segment begins at the end, unless one has just begun there.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        if self.segments.last().is_some_and(Segment::is_empty) {
            return Ok(());
        }
        let store = self.place.segment(self.end_offset)?;
        if let Some(closed) = self.segments.last() {
            self.unsynced_closed.push(closed.store.clone());
        }
        self.segments.push(Segment::new(self.end_offset, store));
        Ok(())
    }

    /// The start moves up to `offset`, which lies between start and end; the space is freed later,
    /// by `delete_below_start`. Returns whether it moved.
    pub(crate) fn raise_start(&mut self, offset: i64) -> bool {
        let moves = offset > self.start_offset && offset <= self.end_offset;
        if moves {
            self.start_offset = offset;
            self.cleaned_until = self.cleaned_until.max(offset);
        }
        moves
    }

    /// What has to be on the disk for all appended records to be there: sync each without the
    /// log's lock. The log takes them as synced from now on.
    pub(crate) fn take_unsynced(&mut self) -> Vec<Store> {
        let mut stores = std::mem::take(&mut self.unsynced_closed);
        if self.unsynced_records > 0 {
            stores.extend(self.segments.last().map(|active| active.store.clone()));
        }
        self.unsynced_records = 0;
        self.unsynced_since_ms = None;
        stores
    }

    pub(crate) fn unsynced_records(&self) -> i64 {
        self.unsynced_records
    }

    pub(crate) fn unsynced_since_ms(&self) -> Option<i64> {
        self.unsynced_since_ms
    }

    /// The files go away; for a deleted topic.
    pub(crate) fn remove(&mut self) {
        self.removed = true;
        self.unsynced_closed.clear();
        self.unsynced_records = 0;
        for segment in self.segments.drain(..) {
            // What stays behind is found, and removed, at the next start.
            _ = segment.store.remove();
        }
        if let Place::Directory { path, .. } = &self.place {
            _ = std::fs::remove_dir(path);
            if let Some(topic) = path.parent() {
                _ = std::fs::remove_dir(topic);
            }
        }
    }
}

const _: () = assert!(PATCHED_BYTES < BATCH_OVERHEAD);
