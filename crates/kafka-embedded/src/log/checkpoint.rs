//! What a log knows of its segments, as bytes: so that a start after a clean stop reads no batch.
//!
//! Lives here: writing all that a scan would find out, and reading it again when the files are still
//! as it says.
//! Lives elsewhere: the scan (`super::recover`), the file that holds these (`crate::broker`).
//! Never here: trust. A file that is longer, shorter, missing or new means that the checkpoint is
//! not of this log, and the log is scanned.

use bytes::{Buf, BufMut};

use super::index::SparseIndex;
use super::producers::Producers;
use super::recover::segment_files;
use super::segment::Segment;
use super::store::Store;
use super::{PartitionLog, Place};

/// In the place of a time or an offset that there is not.
const NONE: i64 = -1;

impl PartitionLog {
    /// Appends what a start needs to know. Cost: at most 24 KiB per segment, and the producers.
    pub(crate) fn put_checkpoint(&self, out: &mut Vec<u8>) {
        out.put_i64(self.start_offset);
        out.put_i64(self.end_offset);
        out.put_i64(self.cleaned_until);
        out.put_u32(self.segments.len() as u32);
        for segment in &self.segments {
            out.put_i64(segment.base_offset);
            out.put_u64(segment.size_bytes);
            out.put_i64(segment.next_offset);
            out.put_i64(segment.max_timestamp_ms);
            out.put_u64(segment.max_timestamp_position);
            out.put_i64(segment.began_ms.unwrap_or(NONE));
            segment.index.put(out);
        }
        self.producers.put(out);
    }

    /// The log as it was at the checkpoint; `None` when its files say something else.
    pub(super) fn from_checkpoint(place: &Place, mut bytes: &[u8]) -> Option<PartitionLog> {
        let Place::Directory { path, files, .. } = place else {
            return None;
        };
        let from = &mut bytes;
        let mut log = PartitionLog::empty(place.clone());
        log.start_offset = from.try_get_i64().ok()?;
        log.end_offset = from.try_get_i64().ok()?;
        log.cleaned_until = from.try_get_i64().ok()?;
        let count = from.try_get_u32().ok()?;
        let found = segment_files(path).ok()?;
        if found.len() != count as usize {
            return None;
        }
        for (base_offset, file) in found {
            if from.try_get_i64().ok()? != base_offset {
                return None;
            }
            let store = Store::existing(&file, files);
            let size_bytes = from.try_get_u64().ok()?;
            if store.size().ok()? != size_bytes {
                return None;
            }
            let mut segment = Segment::new(base_offset, store);
            segment.size_bytes = size_bytes;
            segment.next_offset = from.try_get_i64().ok()?;
            segment.max_timestamp_ms = from.try_get_i64().ok()?;
            segment.max_timestamp_position = from.try_get_u64().ok()?;
            segment.began_ms = Some(from.try_get_i64().ok()?).filter(|began| *began != NONE);
            segment.index = SparseIndex::take(from)?;
            log.segments.push(segment);
        }
        log.producers = Producers::take(from)?;
        from.is_empty().then_some(log)
    }
}
