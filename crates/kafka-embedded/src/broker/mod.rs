//! The state behind all connections, and the changes that requests make to it.
//!
//! Lives here: [`Broker`]: topics, the journal, and the lock of each.
//! Lives elsewhere: the protocol (`crate::api`), retention, compaction and fsync
//! (`maintenance`).
//! Never here: a connection.
//!
//! Locks, in the order in which they may be taken: coordinators, catalog, a partition's log,
//! journal. None is held across an `.await`.

mod catalog;
mod checkpoint;
mod coordinators;
mod identity;
mod maintenance;
mod open;
#[cfg(test)]
mod tests;
mod topic;
pub(crate) mod topic_config;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::{Config, Fsync};
use crate::journal::{Event, Journal};
use crate::log::store::OpenFiles;
use crate::log::{PartitionLog, Place};
use catalog::Catalog;
use coordinators::Coordinators;
pub(crate) use coordinators::{Caller, keep_time};
use identity::Identities;
pub(crate) use maintenance::{flush_regularly, maintain_regularly};
pub(crate) use topic::{Partition, Topic};
use topic_config::TopicOverrides;

/// The only node.
pub(crate) const NODE_ID: i32 = 1;

/// Directory of the partitions.
const LOGS: &str = "logs";
const JOURNAL: &str = "journal";

pub(crate) struct Broker {
    pub(crate) config: Config,
    pub(crate) cluster_id: StrBytes,
    /// Origin of the coordinators' time.
    pub(crate) started: Instant,
    /// `None`: in memory.
    root: Option<(PathBuf, Arc<OpenFiles>)>,
    coordinators: Mutex<Coordinators>,
    /// Something is due earlier than the keeper of time knows.
    earlier: Notify,
    catalog: Mutex<Catalog>,
    journal: Mutex<Journal>,
    identities: Mutex<Identities>,
}

impl Broker {
    pub(crate) fn now_ms(&self) -> i64 {
        self.config.clock.now_ms()
    }

    fn coordinators(&self) -> MutexGuard<'_, Coordinators> {
        self.coordinators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Random bytes as unguessable as the config asks for: with a seed, not at all.
    pub(crate) fn new_id(&self) -> Uuid {
        let mut identities = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        identities.next()
    }

    /// A topic that may be read and written.
    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.known_topic(name).filter(|topic| is_readable(topic))
    }

    /// Also one that is not readable yet.
    pub(crate) fn known_topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.catalog().get(name).cloned()
    }

    /// A topic whose name differs from this one only in `.` and `_`, which Kafka forbids.
    pub(crate) fn colliding_topic(&self, name: &str) -> Option<String> {
        self.catalog().colliding(name).map(str::to_owned)
    }

    pub(crate) fn topic_by_id(&self, id: &Uuid) -> Option<Arc<Topic>> {
        let topic = self.catalog().by_id(id).cloned();
        topic.filter(|topic| is_readable(topic))
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        let catalog = self.catalog();
        catalog
            .all()
            .filter(|topic| is_readable(topic))
            .cloned()
            .collect()
    }

    pub(crate) fn partition(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        self.topic(topic)?.partition(index)
    }

    fn place(&self, name: &str, id: &Uuid, partition: u32) -> Place {
        match &self.root {
            None => Place::Memory,
            Some((root, files)) => Place::Directory {
                path: root
                    .join(LOGS)
                    .join(name)
                    .join(format!("{partition}-{}", id.simple())),
                files: files.clone(),
                sync_names: self.config.fsync != Fsync::Never,
            },
        }
    }

    fn new_partitions(
        &self,
        name: &str,
        id: &Uuid,
        range: std::ops::Range<u32>,
    ) -> Vec<Arc<Partition>> {
        range
            .map(|index| {
                let log = PartitionLog::empty(self.place(name, id, index));
                Arc::new(Partition::new(log))
            })
            .collect()
    }

    /// `None`: there is one of this name already.
    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: u32,
        overrides: TopicOverrides,
    ) -> Option<Arc<Topic>> {
        let id = self.new_id();
        let mut catalog = self.catalog();
        if catalog.get(name).is_some() {
            return None;
        }
        let topic = Arc::new(Topic::new(
            id,
            TopicName(StrBytes::from_string(name.to_owned())),
            overrides,
            self.new_partitions(name, &id, 0..partitions),
            Instant::now() + self.config.topic_readable_after,
        ));
        self.journal().append(&[created(&topic)]);
        catalog.insert(topic.clone());
        Some(topic)
    }

    /// `false`: it was gone already.
    pub(crate) fn delete_topic(&self, topic: &Topic) -> bool {
        {
            let mut coordinators = self.coordinators();
            let mut catalog = self.catalog();
            if !catalog.remove(topic) {
                return false;
            }
            self.journal().append(&[Event::TopicDeleted {
                id: *topic.id.as_bytes(),
            }]);
            // The replay of this event drops the offsets too.
            coordinators.forget_topic(topic.name.as_str());
        }
        for partition in topic.partitions() {
            partition.log().remove();
            partition.changed();
        }
        true
    }

    /// More partitions, up to `count` of them. `false`: there are as many already.
    pub(crate) fn add_partitions(&self, topic: &Topic, count: u32) -> bool {
        // The catalog's lock keeps two of these apart.
        let _catalog = self.catalog();
        let have = topic.partition_count() as u32;
        if count <= have {
            return false;
        }
        let more = self.new_partitions(topic.name.as_str(), &topic.id, have..count);
        self.journal().append(&[Event::PartitionsGrown {
            id: *topic.id.as_bytes(),
            partitions: count,
        }]);
        topic.add_partitions(more);
        true
    }

    pub(crate) fn configure(&self, topic: &Topic, overrides: TopicOverrides) {
        let _catalog = self.catalog();
        self.journal().append(&[Event::Configured {
            id: *topic.id.as_bytes(),
            overrides: pairs(&overrides),
        }]);
        topic.configure(overrides);
    }

    /// Records below `offset` can no longer be read; `offset` is within the partition. The new
    /// start comes back.
    pub(crate) fn raise_start(
        &self,
        topic: &Topic,
        index: i32,
        partition: &Partition,
        offset: i64,
    ) -> i64 {
        let mut log = partition.log();
        if log.raise_start(offset) {
            self.journal().append(&[Event::StartRaised {
                id: *topic.id.as_bytes(),
                partition: index as u32,
                offset,
            }]);
        }
        log.start_offset()
    }

    /// Waits for the disk where the config says so.
    pub(crate) async fn synced(&self, partitions: &[Arc<Partition>]) -> std::io::Result<()> {
        if self.config.fsync != Fsync::EveryAppend {
            return Ok(());
        }
        maintenance::sync_partitions(self.root.is_some(), partitions).await
    }
}

fn is_readable(topic: &Topic) -> bool {
    topic.readable_from <= Instant::now()
}

fn pairs(overrides: &TopicOverrides) -> Vec<(String, String)> {
    overrides
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn created(topic: &Topic) -> Event {
    Event::TopicCreated {
        id: *topic.id.as_bytes(),
        name: topic.name.to_string(),
        partitions: topic.partition_count() as u32,
        overrides: pairs(&topic.configured().overrides),
    }
}
