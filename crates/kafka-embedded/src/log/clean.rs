//! Less of a partition: retention by age and size, and compaction by key.
//!
//! Lives here: which segments go (`delete_old`), [`CleanPlan`], which decides under the log's lock,
//! works without it, and is installed under it again.
//! Lives elsewhere: when this runs (`crate::broker`).
//! Never here: a change of an offset. A batch that loses records keeps its first and last offset,
//! and the last batch of a partition always stays, because consumers move on by batches.
//!
//! Per pass at most [`KEYS_MAX`] keys are looked at, so that memory stays small; the next pass goes
//! on where this one ended. Source: `LogCleaner` in apache/kafka, storage.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;

use bytes::Bytes;
use kafka_wire::batch::retain;
use kafka_wire::{
    CrcCheck, DecodedBatch, Decompressor, HeaderFields, RecordBatches, RecordView, WireError,
};
use tracing::warn;

use super::producers::Producers;
use super::recover::{CLEANED, marker_of};
use super::segment::Segment;
use super::store::Store;
use super::{DECOMPRESSED_BYTES_MAX, PartitionLog, Place, segment_name};

/// Keys of one pass: about 7 MB, and half as much again while the table grows.
#[cfg(not(test))]
const KEYS_MAX: usize = 229_000;
/// So few that tests need several passes.
#[cfg(test)]
const KEYS_MAX: usize = 8;

/// A compacted partition's newest segment is closed for compaction when it has so many bytes,
/// because Connect reads its topics whole at each start. Kafka waits for `segment.bytes`.
const ACTIVE_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes that are read, and written, at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// `retention.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetentionRule {
    /// `None`: for ever.
    pub(crate) age_ms: Option<i64>,
    pub(crate) bytes: Option<u64>,
}

/// What compaction follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CompactionRule {
    pub(crate) min_dirty_ratio: f64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_lag_ms: i64,
    pub(crate) max_lag_ms: i64,
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
}

/// A part of a segment's history that a pass works on.
#[derive(Debug, Clone)]
struct Source {
    base_offset: i64,
    next_offset: i64,
    size_bytes: u64,
    store: Store,
}

/// What one pass of compaction has to know of the log.
#[derive(Debug)]
pub(crate) struct CleanPlan {
    place: Place,
    sources: Vec<Source>,
    start_offset: i64,
    end_offset: i64,
    dirty_from: i64,
    producers: Producers,
    rule: CompactionRule,
    now_ms: i64,
}

/// Segments that replace others.
#[derive(Debug)]
struct Group {
    /// Base offsets of the segments that it replaces.
    replaces: Vec<i64>,
    segment: Segment,
}

/// What a pass made.
#[derive(Debug)]
pub(crate) struct Cleaned {
    groups: Vec<Group>,
    until: i64,
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
}

impl PartitionLog {
    /// Removes the segments that retention no longer wants, oldest first, below the last stable
    /// offset. Returns how many went.
    pub(crate) fn delete_old(&mut self, rule: &RetentionRule, now_ms: i64) -> io::Result<usize> {
        let stable = self.last_stable_offset();
        let mut excess = match rule.bytes {
            Some(limit) => self.size_bytes().saturating_sub(limit),
            None => 0,
        };
        let mut count = 0;
        for segment in &self.segments {
            let newest_ms = match segment.max_timestamp_ms {
                ..0 => segment.began_ms.unwrap_or(now_ms),
                timestamp => timestamp,
            };
            let old = rule
                .age_ms
                .is_some_and(|age| now_ms.saturating_sub(newest_ms) > age);
            let superfluous = rule.bytes.is_some() && excess >= segment.size_bytes;
            if segment.is_empty() || segment.next_offset > stable || !(old || superfluous) {
                break;
            }
            excess = excess.saturating_sub(segment.size_bytes);
            count += 1;
        }
        if count > 0 && count == self.segments.len() {
            // The end offset lives on in the name of an empty segment.
            self.roll()?;
        }
        self.drop_first(count)?;
        Ok(count)
    }

    /// Frees the space of what DeleteRecords removed.
    pub(crate) fn delete_below_start(&mut self) -> io::Result<usize> {
        let closed = self.segments.len().saturating_sub(1);
        let below = self.segments[..closed]
            .iter()
            .take_while(|segment| segment.next_offset <= self.start_offset)
            .count();
        // A segment whose tail was compacted away ends before the next one begins.
        let next_base = self.segments.get(below).map(|next| next.base_offset);
        let count = match next_base {
            Some(base) if base > self.start_offset => below.saturating_sub(1),
            _ => below,
        };
        self.drop_first(count)?;
        Ok(count)
    }

    fn drop_first(&mut self, count: usize) -> io::Result<()> {
        for segment in self.segments.drain(..count) {
            segment.store.remove()?;
        }
        if let (1.., Some(first)) = (count, self.segments.first()) {
            self.start_offset = self.start_offset.max(first.base_offset);
            self.cleaned_until = self.cleaned_until.max(self.start_offset);
            self.producers.forget_aborted_below(self.start_offset);
        }
        Ok(())
    }

    pub(crate) fn expire_producers(&mut self, before_ms: i64) {
        self.producers.expire(before_ms);
    }

    /// A pass of compaction, when enough is dirty. Closes the newest segment when it is due.
    pub(crate) fn plan_clean(
        &mut self,
        rule: &CompactionRule,
        now_ms: i64,
    ) -> io::Result<Option<CleanPlan>> {
        if let Some(active) = self.segments.last() {
            let age = active.began_ms.map_or(0, |began| now_ms - began);
            let due = active.size_bytes >= ACTIVE_BYTES.min(rule.segment_bytes)
                || age > rule.segment_ms
                || age > rule.max_lag_ms;
            if due && !active.is_empty() {
                self.roll()?;
            }
        }
        let stable = self.last_stable_offset();
        let newest_ms = now_ms.saturating_sub(rule.min_lag_ms);
        let closed = self.segments.len().saturating_sub(1);
        let cleanable = self.segments[..closed]
            .iter()
            .take_while(|segment| {
                segment.next_offset <= stable
                    && (rule.min_lag_ms == 0 || segment.max_timestamp_ms <= newest_ms)
            })
            .count();
        let sources: Vec<Source> = self.segments[..cleanable]
            .iter()
            .map(|segment| Source {
                base_offset: segment.base_offset,
                next_offset: segment.next_offset,
                size_bytes: segment.size_bytes,
                store: segment.store.clone(),
            })
            .collect();
        let total: u64 = sources.iter().map(|source| source.size_bytes).sum();
        let is_dirty = |source: &&Source| source.next_offset > self.cleaned_until;
        let dirty: u64 = sources
            .iter()
            .filter(is_dirty)
            .map(|source| source.size_bytes)
            .sum();
        let overdue = self.segments[..cleanable].iter().any(|segment| {
            segment.next_offset > self.cleaned_until
                && segment
                    .began_ms
                    .is_some_and(|began| now_ms - began > rule.max_lag_ms)
        });
        if dirty == 0 || (!overdue && (dirty as f64) < rule.min_dirty_ratio * total as f64) {
            return Ok(None);
        }
        Ok(Some(CleanPlan {
            place: self.place.clone(),
            sources,
            start_offset: self.start_offset,
            end_offset: self.end_offset,
            dirty_from: self.cleaned_until,
            producers: self.producers.clone(),
            rule: *rule,
            now_ms,
        }))
    }

    /// The segments of a pass take the place of those that it read. Nothing happens when the log
    /// was removed meanwhile.
    pub(crate) fn install(&mut self, cleaned: Cleaned) -> io::Result<()> {
        for group in cleaned.groups {
            let first = self
                .segments
                .iter()
                .position(|segment| segment.base_offset == group.replaces[0]);
            let count = group.replaces.len();
            let Some(first) = first.filter(|first| {
                let there = self.segments[*first..].iter().take(count);
                there
                    .map(|segment| segment.base_offset)
                    .eq(group.replaces.iter().copied())
            }) else {
                group.segment.store.remove()?;
                continue;
            };
            let mut segment = group.segment;
            segment.began_ms = self.segments[first + count - 1].began_ms;
            segment.store.replace(&self.segments[first].store)?;
            let old: Vec<Segment> = self
                .segments
                .splice(first..first + count, [segment])
                .collect();
            for segment in &old[1..] {
                segment.store.remove()?;
            }
            self.producers
                .forget_aborted_below(self.segments[first].next_offset);
        }
        self.cleaned_until = self.cleaned_until.max(cleaned.until);
        if self.removed {
            // The pass has made the directory again.
            self.remove();
        }
        Ok(())
    }
}

/// The newest offset of each key, keys by a hash of 128 bits with a secret of this process.
struct Keys {
    hashers: [RandomState; 2],
    newest: HashMap<(u64, u64), i64>,
    /// Keys of all records below are known, from this pass or an earlier one.
    until: i64,
}

impl Keys {
    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let [first, second] = &self.hashers;
        (first.hash_one(key), second.hash_one(key))
    }
}

impl CleanPlan {
    /// Reads the old segments and writes new ones beside them.
    ///
    /// Cost: one pass over what is dirty, one over everything; memory for the keys and two chunks.
    pub(crate) fn run(self) -> io::Result<Cleaned> {
        let mut keys = Keys {
            hashers: [RandomState::new(), RandomState::new()],
            newest: HashMap::new(),
            until: self.dirty_from,
        };
        self.collect_keys(&mut keys)?;
        let until = keys.until;
        let sources = self
            .sources
            .iter()
            .take_while(|source| source.base_offset < until);
        let mut groups: Vec<Vec<&Source>> = Vec::new();
        for source in sources {
            let fits = groups.last().is_some_and(|group| {
                let bytes: u64 = group.iter().map(|source| source.size_bytes).sum();
                bytes + source.size_bytes <= self.rule.segment_bytes
            });
            match groups.last_mut() {
                Some(group) if fits => group.push(source),
                _ => groups.push(vec![source]),
            }
        }
        let mut cleaned = Cleaned {
            groups: Vec::new(),
            until,
            bytes_before: 0,
            bytes_after: 0,
        };
        let mut with_data = HashSet::new();
        for group in groups {
            let segment = self.rewrite(&group, &keys, &mut with_data)?;
            let before: u64 = group.iter().map(|source| source.size_bytes).sum();
            cleaned.bytes_before += before;
            cleaned.bytes_after += segment.size_bytes;
            cleaned.groups.push(Group {
                replaces: group.iter().map(|source| source.base_offset).collect(),
                segment,
            });
        }
        Ok(cleaned)
    }

    fn collect_keys(&self, keys: &mut Keys) -> io::Result<()> {
        for source in &self.sources {
            if source.next_offset <= self.dirty_from {
                continue;
            }
            let mut batches = Batches::new(source);
            while let Some((header, bytes)) = batches.next()? {
                let skipped = header.is_control()
                    || header.last_offset() < self.dirty_from
                    || self.is_aborted(&header);
                if !skipped && let Ok(batch) = decode(bytes) {
                    for record in batch.records().map_while(Result::ok) {
                        if let Some(key) = record.key {
                            let hash = keys.hash(key);
                            keys.newest.insert(hash, record.offset);
                        }
                    }
                }
                keys.until = keys.until.max(header.last_offset() + 1);
                if keys.newest.len() >= KEYS_MAX {
                    return Ok(());
                }
            }
            keys.until = keys.until.max(source.next_offset);
        }
        Ok(())
    }

    fn is_aborted(&self, header: &HeaderFields) -> bool {
        header.is_transactional()
            && self
                .producers
                .is_aborted(header.producer.id, header.base_offset)
    }

    fn rewrite(
        &self,
        group: &[&Source],
        keys: &Keys,
        with_data: &mut HashSet<i64>,
    ) -> io::Result<Segment> {
        let base_offset = group[0].base_offset;
        let store = match &self.place {
            Place::Memory => Store::memory(),
            Place::Directory { path, files, .. } => {
                let name = segment_name(base_offset);
                Store::create(&path.join(name).with_extension(CLEANED), files)?
            }
        };
        let mut segment = Segment::new(base_offset, store);
        let mut out = Vec::new();
        for source in group {
            let mut batches = Batches::new(source);
            while let Some((header, bytes)) = batches.next()? {
                let Some(kept) = self.what_stays(&header, bytes, keys, with_data) else {
                    continue;
                };
                let header = HeaderFields::read(&kept)
                    .ok()
                    .flatten()
                    .ok_or(io::ErrorKind::InvalidData)?;
                segment.note(&header);
                out.extend_from_slice(&kept);
                if out.len() >= CHUNK_BYTES {
                    segment.store.append(&out, &[])?;
                    out.clear();
                }
            }
        }
        segment.store.append(&out, &[])?;
        segment.store.sync()?;
        Ok(segment)
    }

    /// `None`: nothing of the batch.
    fn what_stays(
        &self,
        header: &HeaderFields,
        bytes: Bytes,
        keys: &Keys,
        with_data: &mut HashSet<i64>,
    ) -> Option<Bytes> {
        let stays = match (header.is_control(), self.is_aborted(header)) {
            (true, _) => self.what_stays_of_marker(header, &bytes, with_data),
            (false, true) => self.nothing_of(&bytes),
            (false, false) => self.what_stays_of_records(header, &bytes, keys),
        };
        let stays = stays.unwrap_or_else(|cause| {
            warn!(%cause, offset = header.base_offset, "compaction leaves a batch that it cannot read");
            bytes
        });
        let left = HeaderFields::read(&stays).ok()??;
        if left.record_count > 0 {
            if header.is_transactional() && !header.is_control() {
                with_data.insert(header.producer.id);
            }
            return Some(stays);
        }
        // Sequence and epoch of a producer are in its newest batch.
        let needed = self
            .producers
            .is_newest_batch(header.producer.id, header.base_offset)
            || header.last_offset() + 1 == self.end_offset;
        needed.then_some(stays)
    }

    fn nothing_of(&self, bytes: &Bytes) -> Result<Bytes, WireError> {
        retain(&decode(bytes.clone())?, None, |_| false)
    }

    /// A commit marker stays as long as records of its transaction do, and then, as all markers,
    /// for `delete.retention.ms`.
    fn what_stays_of_marker(
        &self,
        header: &HeaderFields,
        bytes: &Bytes,
        with_data: &mut HashSet<i64>,
    ) -> Result<Bytes, WireError> {
        let has_data = with_data.remove(&header.producer.id);
        if has_data || header.record_count == 0 || marker_of(bytes).is_none() {
            return Ok(bytes.clone());
        }
        match header.delete_horizon_ms() {
            Some(horizon) if horizon < self.now_ms => self.nothing_of(bytes),
            Some(_) => Ok(bytes.clone()),
            None => retain(&decode(bytes.clone())?, Some(self.horizon()), |_| true),
        }
    }

    fn what_stays_of_records(
        &self,
        header: &HeaderFields,
        bytes: &Bytes,
        keys: &Keys,
    ) -> Result<Bytes, WireError> {
        if header.record_count == 0 {
            return Ok(bytes.clone());
        }
        let batch = decode(bytes.clone())?;
        // Where the keys are not known, what a tombstone deletes may still be there: its time has
        // not begun.
        let is_known = header.last_offset() < keys.until;
        let horizon = header.delete_horizon_ms();
        let tombstones_go = is_known && horizon.is_some_and(|horizon| horizon < self.now_ms);
        let stays = |record: &RecordView<'_>| {
            let newest = record.key.and_then(|key| keys.newest.get(&keys.hash(key)));
            record.offset >= self.start_offset
                && record.key.is_some()
                && newest.is_none_or(|newest| *newest <= record.offset)
                && !(record.value.is_none() && tombstones_go)
        };
        let (mut kept, mut tombstones) = (0, 0);
        for record in batch.records() {
            let record = record?;
            if stays(&record) {
                kept += 1;
                tombstones += i32::from(record.value.is_none());
            }
        }
        let is_new = is_known && tombstones > 0 && horizon.is_none();
        let new_horizon = is_new.then(|| self.horizon());
        if kept == header.record_count && new_horizon.is_none() {
            return Ok(bytes.clone());
        }
        retain(&batch, new_horizon, stays)
    }

    fn horizon(&self) -> i64 {
        self.now_ms.saturating_add(self.rule.delete_retention_ms)
    }
}

fn decode(bytes: Bytes) -> Result<DecodedBatch, WireError> {
    let batch = RecordBatches::with_crc_check(bytes, CrcCheck::Skip)
        .next()
        .transpose()?
        .ok_or(WireError::CorruptBatch {
            base_offset: -1,
            what: "it is not complete",
        })?;
    batch.decode(&mut Decompressor::new(DECOMPRESSED_BYTES_MAX))
}

/// Whole batches of a segment, one after the other.
struct Batches<'a> {
    source: &'a Source,
    /// Of the bytes that are not buffered yet.
    position: u64,
    buffer: Bytes,
}

impl<'a> Batches<'a> {
    fn new(source: &'a Source) -> Batches<'a> {
        Batches {
            source,
            position: 0,
            buffer: Bytes::new(),
        }
    }

    fn next(&mut self) -> io::Result<Option<(HeaderFields, Bytes)>> {
        loop {
            let header = HeaderFields::read(&self.buffer)
                .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
            let wanted = match header {
                Some(header) if header.size_bytes <= self.buffer.len() => {
                    let batch = self.buffer.split_to(header.size_bytes);
                    return Ok(Some((header, batch)));
                }
                Some(header) => header.size_bytes,
                None => 0,
            };
            let left = self.source.size_bytes - self.position;
            if left == 0 {
                return Ok(None);
            }
            let more = (wanted.max(CHUNK_BYTES) as u64).min(left) as usize;
            let mut buffer = Vec::with_capacity(self.buffer.len() + more);
            buffer.extend_from_slice(&self.buffer);
            self.source.store.read(self.position, more, &mut buffer)?;
            self.position += more as u64;
            self.buffer = Bytes::from(buffer);
        }
    }
}
