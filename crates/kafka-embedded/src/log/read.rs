//! Reading: whole batches from an offset on, and offsets by time.
//!
//! Lives here: [`ReadPlan`], which is made under the log's lock and carried out without it, and
//! the searches behind ListOffsets.
//! Never here: a change of the log.

use std::io;

use bytes::Bytes;
use kafka_wire::batch::BATCH_OVERHEAD;
use kafka_wire::{CrcCheck, Decompressor, HeaderFields, RecordBatches};

use super::segment::HeaderWalk;
use super::store::Store;
use super::{DECOMPRESSED_BYTES_MAX, PartitionLog};

/// Where a consumer that read on will ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hint {
    segment_id: u64,
    offset: i64,
    position: u64,
}

/// Batches of one segment that may be read, from an offset on.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    store: Store,
    segment_id: u64,
    offset: i64,
    /// Of the batch to begin with, when that is known; else of one at or in front of it.
    position: u64,
    is_exact: bool,
    end: u64,
    /// Batches from here on may not be read.
    limit_offset: i64,
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadBatches {
    pub(crate) bytes: usize,
    /// Behind the last batch; the offset that was asked for, when nothing was read.
    pub(crate) next_offset: i64,
    pub(crate) hint: Option<Hint>,
}

/// A record that a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
}

impl PartitionLog {
    /// A plan to read from `offset`, which is within start and end; batches that begin at
    /// `limit_offset` or later are left out. `None`: there is nothing to read.
    pub(crate) fn plan_read(
        &self,
        offset: i64,
        limit_offset: i64,
        hints: &[Hint],
    ) -> Option<ReadPlan> {
        if offset >= limit_offset {
            return None;
        }
        let first = self
            .segments
            .partition_point(|segment| segment.next_offset <= offset);
        // Compaction may have emptied any number of them.
        let segment = self.segments[first..]
            .iter()
            .find(|segment| !segment.is_empty())?;
        let hint = hints
            .iter()
            .find(|hint| hint.offset == offset && hint.segment_id == segment.id);
        Some(ReadPlan {
            store: segment.store.clone(),
            segment_id: segment.id,
            offset,
            position: match hint {
                Some(hint) => hint.position,
                None => segment.index.floor(offset),
            },
            is_exact: hint.is_some(),
            end: segment.size_bytes,
            limit_offset,
        })
    }

    /// The first record with a timestamp of at least this, below `limit_offset`.
    pub(crate) fn find_time(
        &self,
        timestamp_ms: i64,
        limit_offset: i64,
    ) -> io::Result<Option<Found>> {
        for segment in &self.segments {
            if segment.max_timestamp_ms < timestamp_ms || segment.next_offset <= self.start_offset {
                continue;
            }
            let from = segment.index.floor_of_time(timestamp_ms);
            let mut walk = HeaderWalk::new(&segment.store, from, segment.size_bytes);
            while let Some((position, header)) = walk.next()? {
                if header.base_offset >= limit_offset {
                    return Ok(None);
                }
                if header.max_timestamp_ms < timestamp_ms
                    || header.last_offset() < self.start_offset
                {
                    continue;
                }
                let wanted = |found: &Found| found.timestamp_ms >= timestamp_ms;
                let found = self.find_in_batch(&segment.store, position, &header, wanted)?;
                if found.is_some() {
                    return Ok(found.filter(|found| found.offset < limit_offset));
                }
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp.
    pub(crate) fn find_max_time(&self, limit_offset: i64) -> io::Result<Option<Found>> {
        let mut best: Option<(&Store, u64, HeaderFields)> = None;
        for segment in &self.segments {
            // Where the whole segment may be read, it knows; else its headers tell.
            let all =
                segment.base_offset >= self.start_offset && segment.next_offset <= limit_offset;
            let from = if all {
                segment.max_timestamp_position
            } else {
                0
            };
            let mut walk = HeaderWalk::new(&segment.store, from, segment.size_bytes);
            while let Some((position, header)) = walk.next()? {
                let readable = header.last_offset() >= self.start_offset
                    && header.base_offset < limit_offset
                    && header.record_count > 0;
                let larger = best
                    .as_ref()
                    .is_none_or(|(_, _, best)| header.max_timestamp_ms > best.max_timestamp_ms);
                if readable && larger {
                    best = Some((&segment.store, position, header));
                }
                if all {
                    break;
                }
            }
        }
        let Some((store, position, header)) = best else {
            return Ok(None);
        };
        let wanted = |found: &Found| found.timestamp_ms >= header.max_timestamp_ms;
        self.find_in_batch(store, position, &header, wanted)
    }

    fn find_in_batch(
        &self,
        store: &Store,
        position: u64,
        header: &HeaderFields,
        wanted: impl Fn(&Found) -> bool,
    ) -> io::Result<Option<Found>> {
        let mut bytes = Vec::new();
        store.read(position, header.size_bytes, &mut bytes)?;
        let broken = |cause| io::Error::new(io::ErrorKind::InvalidData, cause);
        let batch = RecordBatches::with_crc_check(Bytes::from(bytes), CrcCheck::Skip)
            .next()
            .transpose()
            .map_err(broken)?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let decoded = batch
            .decode(&mut Decompressor::new(DECOMPRESSED_BYTES_MAX))
            .map_err(broken)?;
        for record in decoded.records() {
            let record = record.map_err(broken)?;
            let found = Found {
                offset: record.offset,
                timestamp_ms: record.timestamp_ms,
            };
            if found.offset >= self.start_offset && wanted(&found) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl ReadPlan {
    /// Appends whole batches to `out`, together at most `max_bytes`; with `at_least_one` the first
    /// one whatever its size.
    ///
    /// Cost: one positioned read, and a look at each batch's header. Without a matching hint also
    /// a walk from the index' nearest entry.
    pub(crate) fn read(
        &self,
        max_bytes: usize,
        at_least_one: bool,
        out: &mut Vec<u8>,
    ) -> io::Result<ReadBatches> {
        let nothing = ReadBatches {
            bytes: 0,
            next_offset: self.offset,
            hint: None,
        };
        let Some(position) = self.find_first()? else {
            return Ok(nothing);
        };
        let start = out.len();
        let left = (self.end - position) as usize;
        let mut length = max_bytes.max(BATCH_OVERHEAD).min(left);
        self.store.read(position, length, out)?;
        let Ok(Some(first)) = HeaderFields::read(&out[start..]) else {
            out.truncate(start);
            let what = "there is no batch where the log has one";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        };
        if first.base_offset >= self.limit_offset
            || first.size_bytes > left
            || (first.size_bytes > max_bytes && !at_least_one)
        {
            out.truncate(start);
            return Ok(nothing);
        }
        if first.size_bytes > length {
            let more = first.size_bytes - length;
            self.store.read(position + length as u64, more, out)?;
            length = first.size_bytes;
        }
        let mut kept = 0;
        let mut next_offset = self.offset;
        while let Ok(Some(header)) = HeaderFields::read(&out[start + kept..]) {
            if kept + header.size_bytes > length || header.base_offset >= self.limit_offset {
                break;
            }
            kept += header.size_bytes;
            next_offset = header.last_offset() + 1;
        }
        out.truncate(start + kept);
        Ok(ReadBatches {
            bytes: kept,
            next_offset,
            hint: Some(Hint {
                segment_id: self.segment_id,
                offset: next_offset,
                position: position + kept as u64,
            }),
        })
    }

    /// Where the batch with the offset begins.
    fn find_first(&self) -> io::Result<Option<u64>> {
        if self.is_exact {
            return Ok(Some(self.position));
        }
        let mut walk = HeaderWalk::new(&self.store, self.position, self.end);
        while let Some((position, header)) = walk.next()? {
            if header.last_offset() >= self.offset {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }
}
