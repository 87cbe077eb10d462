//! One segment of a partition: batches one behind the other, exactly as they are fetched.
//!
//! Lives here: appending a batch, and walking headers from a position on.
//! Lives elsewhere: which segment an offset is in, when a new one begins (`super`), what compaction
//! leaves of it (`super::clean`).
//! Never here: a producer's sequence, a transaction.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use kafka_wire::HeaderFields;
use kafka_wire::batch::BATCH_OVERHEAD;

use super::index::SparseIndex;
use super::store::Store;

/// Bytes that a walk over headers reads at once.
const WALK_BYTES: usize = 32 * 1024;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Segment {
    /// Differs from all others of this process, also from the one that compaction replaced by it.
    pub(super) id: u64,
    /// No record of the segment is below it; its file is named by it.
    pub(super) base_offset: i64,
    pub(super) store: Store,
    pub(super) size_bytes: u64,
    /// One more than the last offset in it; the base offset while it is empty.
    pub(super) next_offset: i64,
    /// `i64::MIN`: no batch.
    pub(super) max_timestamp_ms: i64,
    /// Where the first batch with the largest timestamp is.
    pub(super) max_timestamp_position: u64,
    /// When its first batch came, by the log's clock; for `segment.ms`.
    pub(super) began_ms: Option<i64>,
    pub(super) index: SparseIndex,
    /// Behind its end there are bytes of a batch that could not be written whole.
    pub(super) is_torn: bool,
}

impl Segment {
    pub(super) fn new(base_offset: i64, store: Store) -> Segment {
        Segment {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            base_offset,
            store,
            size_bytes: 0,
            next_offset: base_offset,
            max_timestamp_ms: i64::MIN,
            max_timestamp_position: 0,
            began_ms: None,
            index: SparseIndex::new(),
            is_torn: false,
        }
    }

    /// A batch is written at the end. On failure the bytes that were written are cut off again;
    /// when that fails too, before the next append.
    pub(super) fn append(
        &mut self,
        header: &HeaderFields,
        head: &[u8],
        rest: &[u8],
    ) -> io::Result<()> {
        if self.is_torn {
            self.store.truncate(self.size_bytes)?;
            self.is_torn = false;
        }
        if let Err(error) = self.store.append(head, rest) {
            self.is_torn = self.store.truncate(self.size_bytes).is_err();
            return Err(error);
        }
        self.note(header);
        Ok(())
    }

    /// A batch is there already, at the end of what was noted so far.
    pub(super) fn note(&mut self, header: &HeaderFields) {
        let position = self.size_bytes;
        self.index
            .note(header.base_offset, position, self.max_timestamp_ms);
        if header.max_timestamp_ms > self.max_timestamp_ms {
            self.max_timestamp_ms = header.max_timestamp_ms;
            self.max_timestamp_position = position;
        }
        self.size_bytes += header.size_bytes as u64;
        self.next_offset = header.last_offset() + 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size_bytes == 0
    }
}

/// Headers one after the other, from a position to an end, by positioned reads.
pub(super) struct HeaderWalk<'a> {
    store: &'a Store,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Position of the buffer's first byte.
    buffer_at: u64,
}

impl<'a> HeaderWalk<'a> {
    pub(super) fn new(store: &'a Store, position: u64, end: u64) -> HeaderWalk<'a> {
        HeaderWalk {
            store,
            position,
            end,
            buffer: Vec::new(),
            buffer_at: position,
        }
    }

    /// The next header with its position; `None` at the end. Fails when the log is broken there.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, HeaderFields)>> {
        if self.position + BATCH_OVERHEAD as u64 > self.end {
            return Ok(None);
        }
        let buffered = self.buffer_at + self.buffer.len() as u64;
        if self.position + BATCH_OVERHEAD as u64 > buffered {
            self.buffer.clear();
            self.buffer_at = self.position;
            let length = (self.end - self.position).min(WALK_BYTES as u64) as usize;
            self.store.read(self.position, length, &mut self.buffer)?;
        }
        let at = (self.position - self.buffer_at) as usize;
        let header = HeaderFields::read(&self.buffer[at..])
            .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let position = self.position;
        self.position += header.size_bytes as u64;
        Ok(Some((position, header)))
    }
}
