//! A partition's log as the disk has it: after a clean stop, a kill, or a power cut.
//!
//! Lives here: the scan over all batches that finds their offsets and producers again, cuts a torn
//! tail off and clears away what an interrupted compaction left.
//! Never here: which partitions there are (`crate::journal`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::batch::BATCH_OVERHEAD;
use kafka_wire::{ControlType, CrcCheck, Decompressor, HeaderFields, RecordBatches};

use super::producers::Producers;
use super::segment::Segment;
use super::store::Store;
use super::{PartitionLog, Place};

/// Bytes that the scan reads at once; a batch that is larger gets a larger buffer.
const SCAN_BYTES: usize = 1024 * 1024;

/// What compaction writes into until it is complete.
pub(super) const CLEANED: &str = "cleaned";
/// What lies behind a broken place and is kept for a person.
const SET_ASIDE: &str = "behind-damage";

/// A log, and what was wrong with it.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log: PartitionLog,
    /// One sentence each, for the operator.
    pub(crate) findings: Vec<String>,
}

/// Reads the segments of a partition. `start_offset`: what the journal knows of DeleteRecords.
/// `checkpoint`: what the log was like at a clean stop, if the last stop was one.
///
/// Cost: with a checkpoint that is right, a look at the names and sizes of the files; else it reads
/// and checks every byte of the partition once.
pub(crate) fn recover(
    place: Place,
    start_offset: i64,
    checkpoint: Option<&[u8]>,
    now_ms: i64,
) -> io::Result<Recovered> {
    let mut findings = Vec::new();
    if let Some(log) = checkpoint.and_then(|bytes| PartitionLog::from_checkpoint(&place, bytes)) {
        return Ok(Recovered { log, findings });
    }
    let mut log = PartitionLog::empty(place);
    let Place::Directory { path, files, .. } = log.place.clone() else {
        return Ok(Recovered { log, findings });
    };
    let mut producers = Producers::default();
    let mut buffer = Vec::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut damaged = false;
    for (base_offset, file) in segment_files(&path)? {
        if damaged {
            let aside = file.with_extension(SET_ASIDE);
            fs::rename(&file, &aside)?;
            findings.push(format!(
                "{} lies behind a damaged place and was set aside as {}",
                file.display(),
                aside.display()
            ));
            continue;
        }
        let end = segments.last().map(|segment| segment.next_offset);
        if end.is_some_and(|end| base_offset < end) {
            // A compaction replaced it and was interrupted before it could remove it.
            fs::remove_file(&file)?;
            continue;
        }
        let store = Store::existing(&file, &files);
        let size = store.size()?;
        let mut segment = Segment::new(base_offset, store);
        let scanned = scan(&mut segment, size, &mut producers, &mut buffer, now_ms);
        if let Err(what) = scanned {
            damaged = true;
            findings.push(format!(
                "{}: {} of {size} bytes were cut off at offset {}: {what}",
                file.display(),
                size - segment.size_bytes,
                segment.next_offset
            ));
            segment.store.truncate(segment.size_bytes)?;
        }
        if !segment.is_empty() {
            segment.began_ms = Some(now_ms);
        }
        segments.push(segment);
    }
    if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
        log.start_offset = start_offset.max(first.base_offset).min(last.next_offset);
        log.end_offset = last.next_offset;
    }
    log.cleaned_until = log.start_offset;
    log.segments = segments;
    log.producers = producers;
    Ok(Recovered { log, findings })
}

/// Segments in the order of their offsets; leftovers of an interrupted compaction go away.
pub(super) fn segment_files(directory: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match (extension, stem.and_then(|stem| stem.parse::<i64>().ok())) {
            (Some("log"), Some(base_offset)) => files.push((base_offset, path)),
            (Some(CLEANED), _) => fs::remove_file(&path)?,
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

/// Notes each sound batch. Fails with what is wrong with the first that is not; those in front of
/// it are noted.
fn scan(
    segment: &mut Segment,
    size: u64,
    producers: &mut Producers,
    buffer: &mut Vec<u8>,
    now_ms: i64,
) -> Result<(), String> {
    let io_error = |error: io::Error| format!("it could not be read: {error}");
    // `buffer[at..]` are the bytes from `segment.size_bytes` on.
    buffer.clear();
    let mut at = 0;
    loop {
        let left = (size - segment.size_bytes) as usize;
        if left == 0 {
            return Ok(());
        }
        let wanted = match HeaderFields::read(&buffer[at..]) {
            Ok(Some(header)) => header.size_bytes,
            Ok(None) => BATCH_OVERHEAD,
            Err(cause) => return Err(cause.to_string()),
        };
        if wanted > left {
            return Err("its last batch is not complete".to_owned());
        }
        if buffer.len() - at < wanted {
            buffer.drain(..at);
            at = 0;
            let have = buffer.len();
            let more = (wanted.max(SCAN_BYTES)).min(left) - have;
            segment
                .store
                .read(segment.size_bytes + have as u64, more, buffer)
                .map_err(io_error)?;
            continue;
        }
        let Ok(Some(header)) = HeaderFields::read(&buffer[at..]) else {
            continue;
        };
        let batch = &buffer[at..at + header.size_bytes];
        if !header.crc_matches(batch) {
            return Err("its CRC is not the one of its bytes".to_owned());
        }
        if header.base_offset < segment.next_offset || header.last_offset_delta < 0 {
            return Err(format!(
                "its offset {} does not follow {}",
                header.base_offset,
                segment.next_offset - 1
            ));
        }
        if header.is_control() {
            match marker_of(batch) {
                Some((committed, coordinator_epoch)) => {
                    producers.ended(&header, committed, coordinator_epoch, now_ms);
                }
                // Compaction left its header, for the producer's epoch.
                None => producers.appended(&header, now_ms),
            }
        } else {
            producers.appended(&header, now_ms);
        }
        at += header.size_bytes;
        segment.note(&header);
    }
}

/// What a control batch says: whether it commits, and the coordinator's epoch.
pub(super) fn marker_of(batch: &[u8]) -> Option<(bool, i32)> {
    let batch = RecordBatches::with_crc_check(Bytes::copy_from_slice(batch), CrcCheck::Skip)
        .next()?
        .ok()?;
    let decoded = batch.decode(&mut Decompressor::new(SCAN_BYTES)).ok()?;
    let committed = match decoded.control_type().ok()?? {
        ControlType::Commit => true,
        ControlType::Abort => false,
        ControlType::Other(_) => return None,
    };
    let record = decoded.records().next()?.ok()?;
    let (_version, epoch) = record.value?.split_first_chunk::<2>()?;
    Some((committed, i32::from_be_bytes(*epoch.first_chunk::<4>()?)))
}
