//! Which topics there are.
//!
//! Lives here: the catalog by name and by id, and the replay of its events.
//! Lives elsewhere: rules for names and counts (`crate::api`), writing events (`super`).
//! Never here: I/O.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::topic::Topic;
use crate::journal::Event;

/// Topics that exist now.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    by_name: BTreeMap<String, Arc<Topic>>,
    /// Names by what is left of them when `.` and `_` are the same.
    by_flat_name: HashMap<String, String>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Catalog {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub(super) fn by_id(&self, id: &Uuid) -> Option<&Arc<Topic>> {
        self.by_id.get(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// A topic whose name differs from this one only in `.` and `_`, which metrics cannot tell
    /// apart.
    pub(super) fn colliding(&self, name: &str) -> Option<&str> {
        let other = self.by_flat_name.get(&flat(name))?;
        (other != name).then_some(other)
    }

    pub(super) fn insert(&mut self, topic: Arc<Topic>) {
        let name = topic.name.to_string();
        self.by_flat_name.insert(flat(&name), name);
        self.by_name.insert(topic.name.to_string(), topic.clone());
        self.by_id.insert(topic.id, topic);
    }

    /// `false`: it was not there any more.
    pub(super) fn remove(&mut self, topic: &Topic) -> bool {
        let there = self.by_id.remove(&topic.id).is_some();
        if there {
            self.by_name.remove(topic.name.as_str());
            self.by_flat_name.remove(&flat(topic.name.as_str()));
        }
        there
    }
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}

/// A topic as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicRecord {
    pub(super) id: [u8; 16],
    pub(super) name: String,
    pub(super) partitions: u32,
    pub(super) overrides: Vec<(String, String)>,
    /// Of partitions from which records were deleted.
    pub(super) starts: BTreeMap<u32, i64>,
}

/// The part of the journal that is about topics, replayed.
#[derive(Debug, Default)]
pub(super) struct CatalogReplay {
    pub(super) topics: BTreeMap<[u8; 16], TopicRecord>,
    pub(super) deleted: HashSet<[u8; 16]>,
}

impl CatalogReplay {
    /// Events of other parts are left alone.
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::TopicCreated {
                id,
                name,
                partitions,
                overrides,
            } => {
                let record = TopicRecord {
                    id: *id,
                    name: name.clone(),
                    partitions: *partitions,
                    overrides: overrides.clone(),
                    starts: BTreeMap::new(),
                };
                self.topics.insert(*id, record);
            }
            Event::TopicDeleted { id } => {
                self.topics.remove(id);
                self.deleted.insert(*id);
            }
            Event::PartitionsGrown { id, partitions } => {
                if let Some(topic) = self.topics.get_mut(id) {
                    topic.partitions = *partitions;
                }
            }
            Event::Configured { id, overrides } => {
                if let Some(topic) = self.topics.get_mut(id) {
                    topic.overrides = overrides.clone();
                }
            }
            Event::StartRaised {
                id,
                partition,
                offset,
            } => {
                if let Some(topic) = self.topics.get_mut(id) {
                    topic.starts.insert(*partition, *offset);
                }
            }
            Event::Cluster { .. } | Event::Group(_) | Event::Transaction(_) => {}
        }
    }
}
