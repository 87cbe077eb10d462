//! A topic and its partitions, as requests see them.
//!
//! Lives here: [`Topic`], [`Partition`] with the lock around its log, and who waits for its records.
//! Never here: which topics there are (`super::catalog`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use kafka_protocol::messages::TopicName;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::topic_config::{Rules, TopicOverrides};
use crate::log::{Hint, PartitionLog, ReadPlan};

/// Readers of a partition whose place is remembered.
const HINTS: usize = 8;

/// What is configured, and what that means.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) overrides: TopicOverrides,
    pub(crate) rules: Rules,
}

impl Configured {
    pub(crate) fn new(overrides: TopicOverrides) -> Configured {
        Configured {
            rules: overrides.rules(),
            overrides,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) name: TopicName,
    configured: Mutex<Arc<Configured>>,
    partitions: RwLock<Vec<Arc<Partition>>>,
    /// Until then it can be neither read nor written.
    pub(crate) readable_from: Instant,
}

impl Topic {
    pub(crate) fn new(
        id: Uuid,
        name: TopicName,
        overrides: TopicOverrides,
        partitions: Vec<Arc<Partition>>,
        readable_from: Instant,
    ) -> Topic {
        Topic {
            id,
            name,
            configured: Mutex::new(Arc::new(Configured::new(overrides))),
            partitions: RwLock::new(partitions),
            readable_from,
        }
    }

    pub(crate) fn configured(&self) -> Arc<Configured> {
        let configured = self.configured.lock();
        configured.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn configure(&self, overrides: TopicOverrides) {
        let mut configured = self
            .configured
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *configured = Arc::new(Configured::new(overrides));
    }

    pub(crate) fn partition_count(&self) -> usize {
        self.read_partitions(|partitions| partitions.len())
    }

    pub(crate) fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.read_partitions(|partitions| partitions.get(index).cloned())
    }

    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.read_partitions(|partitions| partitions.to_vec())
    }

    fn read_partitions<T>(&self, read: impl FnOnce(&[Arc<Partition>]) -> T) -> T {
        let partitions = self.partitions.read();
        read(&partitions.unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn add_partitions(&self, more: Vec<Arc<Partition>>) {
        let mut partitions = self
            .partitions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        partitions.extend(more);
    }
}

#[derive(Debug)]
pub(crate) struct Partition {
    log: Mutex<PartitionLog>,
    waiting: Mutex<Vec<Weak<Notify>>>,
    hints: Mutex<Hints>,
}

#[derive(Debug, Default)]
struct Hints {
    newest: Vec<Hint>,
    next: usize,
}

impl Partition {
    pub(crate) fn new(log: PartitionLog) -> Partition {
        Partition {
            log: Mutex::new(log),
            waiting: Mutex::default(),
            hints: Mutex::default(),
        }
    }

    /// Never held while waiting for anything but the page cache.
    pub(crate) fn log(&self) -> MutexGuard<'_, PartitionLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A plan to read from `offset` up to `limit_offset`, from where the last reader stopped when
    /// that was there.
    pub(crate) fn plan_read(
        &self,
        log: &PartitionLog,
        offset: i64,
        limit_offset: i64,
    ) -> Option<ReadPlan> {
        let hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        log.plan_read(offset, limit_offset, &hints.newest)
    }

    /// A reader stopped there.
    pub(crate) fn note_hint(&self, hint: Hint) {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        let next = hints.next;
        if hints.newest.len() < HINTS {
            hints.newest.push(hint);
        } else {
            hints.newest[next] = hint;
        }
        hints.next = (next + 1) % HINTS;
    }

    /// The next change wakes `reader`, once.
    pub(crate) fn wake_at_change(&self, reader: &Arc<Notify>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let here = waiting
            .iter()
            .any(|other| std::ptr::eq(other.as_ptr(), Arc::as_ptr(reader)));
        if !here {
            waiting.retain(|other| other.strong_count() > 0);
            waiting.push(Arc::downgrade(reader));
        }
    }

    /// There is more to read, or the partition is gone.
    pub(crate) fn changed(&self) {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        for reader in waiting.iter().filter_map(Weak::upgrade) {
            // A permit stays when the reader does not wait yet, so that no change is lost.
            reader.notify_one();
        }
    }
}
