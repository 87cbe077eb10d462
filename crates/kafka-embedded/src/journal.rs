//! What the log has to remember besides records: topics, configurations, groups, transactions.
//!
//! Lives here: the file, a list of events whose replay is the state; its torn end is dropped, and it
//! is written anew when it is much longer than the state.
//! Lives elsewhere: what the events of groups and transactions say (`crate::group`,
//! `crate::transaction`); here they are bytes.
//! Never here: a record of a topic.
//!
//! ```text
//! "MSJOURN1", then events: length u32, CRC32C u32 of what follows, kind u8, content
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use tracing::{error, info, warn};

const MAGIC: &[u8; 8] = b"MSJOURN1";
const HEAD_BYTES: usize = 8;

/// A journal shorter than this is not worth being written anew.
const REWRITE_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// It is written anew when it is so many times as long as it was after the last time.
const REWRITE_FACTOR: u64 = 4;

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Cluster {
        id: String,
    },
    TopicCreated {
        id: [u8; 16],
        name: String,
        partitions: u32,
        overrides: Vec<(String, String)>,
    },
    TopicDeleted {
        id: [u8; 16],
    },
    PartitionsGrown {
        id: [u8; 16],
        partitions: u32,
    },
    /// All of a topic's configuration.
    Configured {
        id: [u8; 16],
        overrides: Vec<(String, String)>,
    },
    StartRaised {
        id: [u8; 16],
        partition: u32,
        offset: i64,
    },
    Group(Vec<u8>),
    Transaction(Vec<u8>),
}

/// Events in the order in which they happened, and what was wrong with the file.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) events: Vec<Event>,
    pub(crate) finding: Option<String>,
}

/// Where events go. Without a path they go nowhere: the log lives in memory.
#[derive(Debug)]
pub(crate) struct Journal {
    target: Option<Target>,
    /// What the disk refused so far.
    buffer: Vec<u8>,
    /// While the state is collected for a rewrite: what happened meanwhile.
    meanwhile: Option<Vec<u8>>,
    /// Whether each change waits for the disk.
    sync_each: bool,
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    file: File,
    /// Length of what is known to be whole.
    length: u64,
    length_when_rewritten: u64,
    /// The end of the file may be torn: the last write failed.
    torn: bool,
    unsynced: bool,
}

impl Journal {
    pub(crate) fn memory() -> Journal {
        Journal {
            target: None,
            buffer: Vec::new(),
            meanwhile: None,
            sync_each: false,
        }
    }

    /// Reads the file, cuts its torn end off, and goes on behind it.
    pub(crate) fn open(path: &Path, sync_each: bool) -> io::Result<(Journal, Replay)> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (replay, whole) = replay(&bytes, path)?;
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut length = whole as u64;
        file.set_len(length)?;
        if whole == 0 {
            file.write_all(MAGIC)?;
            if let (true, Some(directory)) = (sync_each, path.parent()) {
                File::open(directory)?.sync_all()?;
            }
            length = MAGIC.len() as u64;
        }
        let target = Target {
            path: path.to_owned(),
            file,
            length,
            length_when_rewritten: 0,
            torn: false,
            unsynced: false,
        };
        let journal = Journal {
            target: Some(target),
            buffer: Vec::new(),
            meanwhile: None,
            sync_each,
        };
        Ok((journal, replay))
    }

    /// Adds events behind the others, in one write.
    ///
    /// When the disk refuses them they are kept, and go with the next ones: what was answered to
    /// clients is not taken back.
    pub(crate) fn append(&mut self, events: &[Event]) {
        let Some(target) = &mut self.target else {
            return;
        };
        for event in events {
            encode(event, &mut self.buffer);
            if let Some(meanwhile) = &mut self.meanwhile {
                encode(event, meanwhile);
            }
        }
        let written = target
            .write(&self.buffer)
            .and_then(|()| match self.sync_each {
                true => target.sync(),
                false => Ok(()),
            });
        match written {
            Ok(()) => self.buffer.clear(),
            Err(cause) => {
                error!(%cause, path = %target.path.display(), "the journal could not be written; it is tried again with the next change");
            }
        }
    }

    /// Waits until everything is on the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some(target) = &mut self.target else {
            return Ok(());
        };
        if !self.buffer.is_empty() {
            target.write(&self.buffer)?;
            self.buffer.clear();
        }
        target.sync()
    }

    pub(crate) fn wants_rewrite(&self) -> bool {
        self.target.as_ref().is_some_and(|target| {
            target.length >= REWRITE_BYTES_MIN
                && target.length >= target.length_when_rewritten * REWRITE_FACTOR
        })
    }

    /// From now on events are noted twice, until [`Self::rewrite`]: they may or may not be part of
    /// the state that is collected meanwhile.
    pub(crate) fn begin_rewrite(&mut self) {
        self.meanwhile = Some(Vec::new());
    }

    /// Replaces everything by these events, which make the same state. To apply an event of the
    /// meantime again does no harm.
    pub(crate) fn rewrite(&mut self, state: &[Event]) -> io::Result<()> {
        let meanwhile = self.meanwhile.take().unwrap_or_default();
        let Some(target) = &mut self.target else {
            return Ok(());
        };
        let mut bytes = MAGIC.to_vec();
        for event in state {
            encode(event, &mut bytes);
        }
        bytes.extend_from_slice(&meanwhile);
        let new_path = target.path.with_extension("new");
        let mut file = File::create(&new_path)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&new_path, &target.path)?;
        if let Some(directory) = target.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        info!(
            before_bytes = target.length,
            after_bytes = bytes.len(),
            "journal rewritten"
        );
        target.file = OpenOptions::new().append(true).open(&target.path)?;
        target.length = bytes.len() as u64;
        target.length_when_rewritten = target.length;
        target.torn = false;
        self.buffer.clear();
        Ok(())
    }
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.file.set_len(self.length)?;
        }
        self.torn = true;
        self.file.write_all(bytes)?;
        self.torn = false;
        self.length += bytes.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }
}

/// The events of a file, and how many of its bytes are whole.
fn replay(bytes: &[u8], path: &Path) -> io::Result<(Replay, usize)> {
    let mut replay = Replay::default();
    if bytes.len() < MAGIC.len() {
        return Ok((replay, 0));
    }
    if !bytes.starts_with(MAGIC) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} is not a journal of this version of the log",
                path.display()
            ),
        ));
    }
    let mut whole = MAGIC.len();
    while whole < bytes.len() {
        let Some(content) = content_of(&bytes[whole..]) else {
            let finding = format!(
                "{}: the last {} of {} bytes were cut off: they are not a whole event",
                path.display(),
                bytes.len() - whole,
                bytes.len()
            );
            warn!("{finding}");
            replay.finding = Some(finding);
            break;
        };
        let event = decode(content).ok_or_else(|| {
            let what = format!(
                "{}: the event at byte {whole} is of another version of the log",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, what)
        })?;
        replay.events.push(event);
        whole += HEAD_BYTES + content.len();
    }
    Ok((replay, whole))
}

fn content_of(mut bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.try_get_u32().ok()? as usize;
    let crc = bytes.try_get_u32().ok()?;
    let content = bytes.get(..length)?;
    (length > 0 && crc32c::crc32c(content) == crc).then_some(content)
}

fn encode(event: &Event, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    match event {
        Event::Cluster { id } => {
            out.put_u8(1);
            put_text(out, id);
        }
        Event::TopicCreated {
            id,
            name,
            partitions,
            overrides,
        } => {
            out.put_u8(2);
            out.put_slice(id);
            put_text(out, name);
            out.put_u32(*partitions);
            put_pairs(out, overrides);
        }
        Event::TopicDeleted { id } => {
            out.put_u8(3);
            out.put_slice(id);
        }
        Event::PartitionsGrown { id, partitions } => {
            out.put_u8(4);
            out.put_slice(id);
            out.put_u32(*partitions);
        }
        Event::Configured { id, overrides } => {
            out.put_u8(5);
            out.put_slice(id);
            put_pairs(out, overrides);
        }
        Event::StartRaised {
            id,
            partition,
            offset,
        } => {
            out.put_u8(6);
            out.put_slice(id);
            out.put_u32(*partition);
            out.put_i64(*offset);
        }
        Event::Group(content) => {
            out.put_u8(7);
            out.put_slice(content);
        }
        Event::Transaction(content) => {
            out.put_u8(8);
            out.put_slice(content);
        }
    }
    let content = &out[start + HEAD_BYTES..];
    let (length, crc) = (content.len() as u32, crc32c::crc32c(content));
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
}

/// `None`: another version wrote it.
fn decode(mut content: &[u8]) -> Option<Event> {
    let from = &mut content;
    let event = match from.try_get_u8().ok()? {
        1 => Event::Cluster { id: text(from)? },
        2 => Event::TopicCreated {
            id: id(from)?,
            name: text(from)?,
            partitions: from.try_get_u32().ok()?,
            overrides: pairs(from)?,
        },
        3 => Event::TopicDeleted { id: id(from)? },
        4 => Event::PartitionsGrown {
            id: id(from)?,
            partitions: from.try_get_u32().ok()?,
        },
        5 => Event::Configured {
            id: id(from)?,
            overrides: pairs(from)?,
        },
        6 => Event::StartRaised {
            id: id(from)?,
            partition: from.try_get_u32().ok()?,
            offset: from.try_get_i64().ok()?,
        },
        7 => Event::Group(std::mem::take(from).to_vec()),
        8 => Event::Transaction(std::mem::take(from).to_vec()),
        _ => return None,
    };
    from.is_empty().then_some(event)
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
}

fn put_pairs(out: &mut Vec<u8>, pairs: &[(String, String)]) {
    out.put_u32(pairs.len() as u32);
    for (key, value) in pairs {
        put_text(out, key);
        put_text(out, value);
    }
}

fn text(from: &mut &[u8]) -> Option<String> {
    let length = from.try_get_u32().ok()? as usize;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn pairs(from: &mut &[u8]) -> Option<Vec<(String, String)>> {
    let count = from.try_get_u32().ok()?;
    (0..count)
        .map(|_| Some((text(from)?, text(from)?)))
        .collect()
}

fn id(from: &mut &[u8]) -> Option<[u8; 16]> {
    let (id, rest) = from.split_first_chunk::<16>()?;
    *from = rest;
    Some(*id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let overrides = vec![("retention.ms".to_owned(), "1000".to_owned())];
        vec![
            Event::Cluster { id: "c".to_owned() },
            Event::TopicCreated {
                id: [7; 16],
                name: "orders".to_owned(),
                partitions: 3,
                overrides: overrides.clone(),
            },
            Event::PartitionsGrown {
                id: [7; 16],
                partitions: 9,
            },
            Event::Configured {
                id: [7; 16],
                overrides,
            },
            Event::StartRaised {
                id: [7; 16],
                partition: 2,
                offset: 1 << 40,
            },
            Event::Group(vec![1, 2, 3]),
            Event::Transaction(vec![]),
            Event::TopicDeleted { id: [7; 16] },
        ]
    }

    #[test]
    fn what_was_appended_is_replayed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let all = events();
        let (mut journal, _) = Journal::open(&path, false).expect("opened");
        journal.append(&all[..3]);
        let (mut journal, replay) = Journal::open(&path, false).expect("opened");
        assert_eq!(replay.events, all[..3]);
        journal.append(&all[3..]);
        let (mut journal, replay) = Journal::open(&path, false).expect("opened");
        assert_eq!((&replay.events, replay.finding), (&all, None));
        journal.begin_rewrite();
        journal.append(&all[7..]);
        journal.rewrite(&all[..2]).expect("rewritten");
        journal.append(&all[5..6]);
        journal.sync().expect("synced");
        let (_, replay) = Journal::open(&path, false).expect("opened");
        assert_eq!(replay.events, [&all[..2], &all[7..], &all[5..6]].concat());
    }

    /// A kill may leave any prefix, and a power cut any bytes at the end.
    #[test]
    fn a_torn_end_is_dropped_and_writing_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let all = events();
        let (mut journal, _) = Journal::open(&path, false).expect("opened");
        journal.append(&all);
        let whole = fs::read(&path).expect("read");
        let mut last = 0;
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            let (mut journal, replay) = Journal::open(&path, false).expect("opened");
            let count = replay.events.len();
            assert!(count == last || count == last + 1, "{length} bytes");
            assert_eq!(replay.events, all[..count]);
            last = count;
            journal.append(&all[..1]);
            let (_, replay) = Journal::open(&path, false).expect("opened");
            assert_eq!(replay.events.len(), count + 1);
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().expect("bytes") ^= 1;
        fs::write(&path, &damaged).expect("written");
        let (_, replay) = Journal::open(&path, false).expect("opened");
        assert_eq!(replay.events, all[..all.len() - 1]);
        assert!(replay.finding.expect("a finding").contains("cut off"));
    }

    #[test]
    fn another_file_is_not_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        fs::write(&path, b"#!/bin/sh\nexit 0\n").expect("written");
        let error = Journal::open(&path, false)
            .expect_err("refused")
            .to_string();
        assert!(error.contains("is not a journal"), "{error}");
        assert_eq!(fs::read(&path).expect("read"), b"#!/bin/sh\nexit 0\n");
    }
}
