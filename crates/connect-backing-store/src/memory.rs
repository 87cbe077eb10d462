//! Offsets that live as long as the process.

use crate::{OffsetBackingStore, RawOffsets, StoreError};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// For tests and simulation.
#[derive(Default)]
pub struct MemoryOffsetBackingStore {
    offsets: Mutex<RawOffsets>,
}

impl MemoryOffsetBackingStore {
    fn offsets(&self) -> std::sync::MutexGuard<'_, RawOffsets> {
        // A map is whole after every call, also when the caller panicked.
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OffsetBackingStore for MemoryOffsetBackingStore {
    fn snapshot(&self) -> RawOffsets {
        self.offsets().clone()
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.offsets().get(key).cloned().flatten()
    }

    fn set(&self, offsets: RawOffsets) -> Result<(), StoreError> {
        self.offsets().extend(offsets);
        Ok(())
    }

    fn may_block(&self) -> bool {
        false
    }
}
