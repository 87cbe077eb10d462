//! All partitions as they were at a clean stop, in one file, so that the next start reads no batch.
//!
//! Lives here: the file. It is taken away before the first append, so that a kill finds none.
//! Lives elsewhere: what is in it, and whether it is believed (`crate::log`).
//! Never here: a batch.
//!
//! ```text
//! "MSCHECK1", CRC32C u32 of what follows, then partitions: topic id, index u32, length u32, content
//! ```

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use bytes::{Buf, BufMut};
use tracing::warn;
use uuid::Uuid;

use super::Broker;

const CHECKPOINT: &str = "checkpoint";
const MAGIC: &[u8; 8] = b"MSCHECK1";
const HEAD_BYTES: usize = 12;

/// What the last stop left.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    bytes: Vec<u8>,
    partitions: HashMap<(Uuid, u32), Range<usize>>,
}

impl Checkpoint {
    /// Reads the file and removes it. One that is not whole is as good as none.
    pub(super) fn take(root: &Path) -> io::Result<Checkpoint> {
        let path = root.join(CHECKPOINT);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Checkpoint::default());
            }
            read => read?,
        };
        fs::remove_file(&path)?;
        // Before anything is appended: else a power cut may bring it back.
        File::open(root)?.sync_all()?;
        Ok(Checkpoint::read(bytes).unwrap_or_default())
    }

    fn read(bytes: Vec<u8>) -> Option<Checkpoint> {
        let mut head = bytes.strip_prefix(MAGIC)?;
        let crc = head.try_get_u32().ok()?;
        if crc32c::crc32c(head) != crc {
            return None;
        }
        let mut partitions = HashMap::new();
        let mut rest = head;
        while !rest.is_empty() {
            let (id, behind) = rest.split_first_chunk::<16>()?;
            rest = behind;
            let index = rest.try_get_u32().ok()?;
            let length = rest.try_get_u32().ok()? as usize;
            let start = bytes.len() - rest.len();
            rest = rest.get(length..)?;
            partitions.insert((Uuid::from_bytes(*id), index), start..start + length);
        }
        Some(Checkpoint { bytes, partitions })
    }

    pub(super) fn of(&self, topic: &Uuid, index: u32) -> Option<&[u8]> {
        let range = self.partitions.get(&(*topic, index))?;
        self.bytes.get(range.clone())
    }
}

impl Broker {
    /// After the last append, when everything is on the disk. Without it the next start takes
    /// longer, and that is all.
    pub(crate) fn put_checkpoint(&self) {
        let Some((root, _)) = &self.root else {
            return;
        };
        let path = root.join(CHECKPOINT);
        if let Err(cause) = self.write_checkpoint(&path) {
            warn!(%cause, path = %path.display(), "no checkpoint could be written: the next start reads everything");
            _ = fs::remove_file(&path);
        }
    }

    fn write_checkpoint(&self, path: &Path) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u32(0);
        let mut content = Vec::new();
        for topic in self.catalog().all() {
            for (index, partition) in (0u32..).zip(topic.partitions()) {
                content.clear();
                partition.log().put_checkpoint(&mut content);
                bytes.put_slice(topic.id.as_bytes());
                bytes.put_u32(index);
                bytes.put_u32(content.len() as u32);
                bytes.put_slice(&content);
            }
        }
        let crc = crc32c::crc32c(&bytes[HEAD_BYTES..]);
        bytes[MAGIC.len()..HEAD_BYTES].copy_from_slice(&crc.to_be_bytes());
        let mut file = File::create(path)?;
        file.write_all(&bytes)?;
        file.sync_data()
    }
}
