//! Where a worker keeps what has to outlive it.
//!
//! Lives here: source offsets as bytes, in memory and in the file of a standalone worker.
//! Lives elsewhere: what the bytes mean (`connect_worker::offsets`).
//! Never here: tasks, connectors, conversion.

mod file;
mod java_serialization;
mod memory;

pub use file::FileOffsetBackingStore;
pub use java_serialization::SerializationError;
pub use memory::MemoryOffsetBackingStore;

use bytes::Bytes;
use std::collections::BTreeMap;

/// Key and value of stored offsets as bytes; no value where an offset was removed.
pub type RawOffsets = BTreeMap<Bytes, Option<Bytes>>;

/// Keeps source offsets. Small: everything is in memory, `set` makes it durable before it returns.
pub trait OffsetBackingStore: Send + Sync {
    /// All that is stored.
    fn snapshot(&self) -> RawOffsets;

    /// The value under a key.
    fn get(&self, key: &[u8]) -> Option<Bytes>;

    /// Stores all of these. When it fails, a later start sees all of them or none.
    fn set(&self, offsets: RawOffsets) -> Result<(), StoreError>;

    /// Whether `set` may wait for a disk, and so has to be called where that is allowed.
    fn may_block(&self) -> bool {
        true
    }
}

/// Why offsets could not be loaded or stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action} the offset file {path}: {cause}")]
    Io {
        action: &'static str,
        path: String,
        cause: std::io::Error,
    },
    #[error(
        "{path} is not an offset file: {cause}; restore it from a backup, or move it away to start every source from \
         its beginning"
    )]
    Corrupt {
        path: String,
        cause: SerializationError,
    },
    #[error(
        "the offset file {path} is in use by another worker; give each worker its own \"offset.storage.file.filename\""
    )]
    InUse { path: String },
}
