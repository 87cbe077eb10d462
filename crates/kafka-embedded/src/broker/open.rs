//! A broker out of what its directory holds.
//!
//! Lives here: the replay of the journal, the scan of all partitions, what is said about damage.
//! Never here: the lock of the directory (`crate::handle`).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::catalog::{Catalog, CatalogReplay, TopicRecord};
use super::checkpoint::Checkpoint;
use super::coordinators::Coordinators;
use super::identity::{Identities, base64};
use super::topic::{Partition, Topic};
use super::topic_config::TopicOverrides;
use super::{Broker, JOURNAL, LOGS};
use crate::config::{Config, Fsync, Storage};
use crate::journal::{Event, Journal, Replay};
use crate::log::recover;

impl Broker {
    /// Cost: reads the journal; and every byte of every partition once, unless the last stop was a
    /// clean one.
    pub(crate) fn open(config: Config) -> io::Result<Broker> {
        let sync_each = config.fsync == Fsync::EveryAppend;
        let (root, journal, replay) = match &config.storage {
            Storage::Memory => (None, Journal::memory(), Replay::default()),
            Storage::Directory(directory) => {
                let (journal, replay) = Journal::open(&directory.join(JOURNAL), sync_each)?;
                (Some((directory.clone(), Arc::default())), journal, replay)
            }
        };
        let mut identities = Identities::new(config.seed);
        let mut cluster = None;
        let mut topics = CatalogReplay::default();
        let seed = identities.next().as_u64_pair().0;
        let mut coordinators = Coordinators::new(&config, seed);
        for event in &replay.events {
            if let Event::TopicDeleted { id } = event
                && let Some(topic) = topics.topics.get(id)
            {
                coordinators.forget_topic(&topic.name);
            }
            topics.apply(event);
            coordinators.restore(event)?;
            if let Event::Cluster { id } = event {
                cluster = Some(id.clone());
            }
        }
        let cluster_id = cluster
            .clone()
            .unwrap_or_else(|| base64(&identities.next()));
        let broker = Broker {
            cluster_id: StrBytes::from_string(cluster_id.clone()),
            started: Instant::now(),
            root,
            coordinators: Mutex::new(coordinators),
            earlier: Notify::new(),
            catalog: Mutex::default(),
            journal: Mutex::new(journal),
            identities: Mutex::new(identities),
            config,
        };
        if cluster.is_none() {
            broker
                .journal()
                .append(&[Event::Cluster { id: cluster_id }]);
        }
        let checkpoint = match &broker.root {
            None => Checkpoint::default(),
            Some((root, _)) => Checkpoint::take(root)?,
        };
        for topic in topics.topics.values() {
            broker.recover_topic(topic, &checkpoint)?;
        }
        broker.resume_coordinators();
        broker.clear_deleted(&topics.deleted)?;
        if broker.journal().wants_rewrite() {
            broker.rewrite_journal()?;
        }
        Ok(broker)
    }

    fn recover_topic(&self, record: &TopicRecord, checkpoint: &Checkpoint) -> io::Result<()> {
        let id = Uuid::from_bytes(record.id);
        let now_ms = self.now_ms();
        let mut partitions = Vec::new();
        for index in 0..record.partitions {
            let place = self.place(&record.name, &id, index);
            let start = record.starts.get(&index).copied().unwrap_or(0);
            let checkpoint = checkpoint.of(&id, index);
            let recovered = recover(place, start, checkpoint, now_ms).map_err(|cause| {
                let what = format!("partition {}-{index}: {cause}", record.name);
                io::Error::new(cause.kind(), what)
            })?;
            for finding in recovered.findings {
                warn!(topic = record.name, partition = index, "{finding}");
            }
            partitions.push(Arc::new(Partition::new(recovered.log)));
        }
        let mut overrides = TopicOverrides::default();
        for (name, value) in &record.overrides {
            if let Err(cause) = overrides.set(name, value) {
                warn!(topic = record.name, %cause, "a setting of the topic is dropped");
            }
        }
        let name = TopicName(StrBytes::from_string(record.name.clone()));
        let topic = Topic::new(id, name, overrides, partitions, self.started);
        self.catalog().insert(Arc::new(topic));
        Ok(())
    }

    /// What is left of topics that were deleted just before a kill.
    fn clear_deleted(&self, deleted: &HashSet<[u8; 16]>) -> io::Result<()> {
        let Some((root, _)) = &self.root else {
            return Ok(());
        };
        for topic in directories(&root.join(LOGS))? {
            for partition in directories(&topic)? {
                let name = partition.file_name().and_then(|name| name.to_str());
                let id = name
                    .and_then(|name| name.split_once('-'))
                    .and_then(|(_, id)| Uuid::try_parse(id).ok());
                match id {
                    Some(id) if deleted.contains(id.as_bytes()) => {
                        info!(path = %partition.display(), "the rest of a deleted topic is removed");
                        fs::remove_dir_all(&partition)?;
                    }
                    Some(id) if self.catalog().by_id(&id).is_some() => {}
                    _ => {
                        warn!(path = %partition.display(), "this directory belongs to no topic");
                    }
                }
            }
            // Goes away when it is empty.
            _ = fs::remove_dir(&topic);
        }
        Ok(())
    }

    /// The journal becomes as long as the state needs.
    pub(super) fn rewrite_journal(&self) -> io::Result<()> {
        // No change may fall between the state and its end.
        let coordinators = self.coordinators();
        let catalog = self.catalog();
        self.journal().begin_rewrite();
        let state = self.state(&coordinators, &catalog);
        self.journal().rewrite(&state)
    }

    #[cfg(test)]
    pub(super) fn whole_state(&self) -> Vec<Event> {
        self.state(&self.coordinators(), &self.catalog())
    }

    fn state(&self, coordinators: &Coordinators, catalog: &Catalog) -> Vec<Event> {
        let mut events = vec![Event::Cluster {
            id: self.cluster_id.to_string(),
        }];
        for topic in catalog.all() {
            events.push(super::created(topic));
            for (index, partition) in (0u32..).zip(topic.partitions()) {
                let offset = partition.log().start_offset();
                if offset > 0 {
                    events.push(Event::StartRaised {
                        id: *topic.id.as_bytes(),
                        partition: index,
                        offset,
                    });
                }
            }
        }
        coordinators.snapshot(&mut events);
        events
    }
}

fn directories(path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
