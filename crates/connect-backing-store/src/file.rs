//! The offset file of a standalone worker.

use crate::{OffsetBackingStore, RawOffsets, StoreError, java_serialization};
use bytes::Bytes;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tracing::info;

/// Offsets in one file, which Java Kafka Connect reads and writes too (`FileOffsetBackingStore`).
///
/// The file is replaced as a whole, by a rename after the new one is on the disk: after a crash it holds
/// either the old offsets or the new ones. While a worker runs it holds a lock on the file, so a second one
/// is refused; Java workers know nothing of that lock.
pub struct FileOffsetBackingStore {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    offsets: RawOffsets,
    /// The file now under `path`, locked for as long as it is open.
    lock: File,
}

impl FileOffsetBackingStore {
    /// Loads the offsets. A file that is missing or empty holds none.
    ///
    /// Fails: when the file is no offset file, when another worker has it, when its directory cannot be
    /// written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let mut lock = open_locked(path)?;
        // A link keeps pointing at the file: the file that it names is the one that is replaced.
        let path = path
            .canonicalize()
            .map_err(|cause| io("find", path, cause))?;
        let mut bytes = Vec::new();
        lock.read_to_end(&mut bytes)
            .map_err(|cause| io("read", &path, cause))?;
        let offsets =
            java_serialization::read_map(&bytes).map_err(|cause| StoreError::Corrupt {
                path: path.display().to_string(),
                cause,
            })?;
        info!(file = %path.display(), offsets = offsets.len(), "offset file loaded");
        Ok(Self {
            path,
            state: Mutex::new(State { offsets, lock }),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state changes only after a write went well, so it is whole also after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the new file beside the old one and renames it over. Returns it, locked.
    fn replace(&self, offsets: &RawOffsets) -> Result<File, StoreError> {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(".new");
        let new_path = self.path.with_file_name(name);
        let written = (|| {
            let mut new = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&new_path)?;
            if let Ok(old) = std::fs::metadata(&self.path) {
                new.set_permissions(old.permissions())?;
            }
            new.try_lock()?;
            new.write_all(&java_serialization::write_map(offsets))?;
            new.sync_all()?;
            std::fs::rename(&new_path, &self.path)?;
            Ok(new)
        })();
        written.map_err(|cause| io("write", &self.path, cause))
    }

    /// Makes the rename outlive a crash of the machine.
    fn sync_directory(&self) -> Result<(), StoreError> {
        let Some(directory) = self.path.parent() else {
            return Ok(());
        };
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|cause| io("write", &self.path, cause))
    }
}

impl OffsetBackingStore for FileOffsetBackingStore {
    fn snapshot(&self) -> RawOffsets {
        self.state().offsets.clone()
    }

    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.state().offsets.get(key).cloned().flatten()
    }

    /// Cost: writes the whole file and waits for the disk.
    fn set(&self, offsets: RawOffsets) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut all = state.offsets.clone();
        all.extend(offsets);
        state.lock = self.replace(&all)?;
        // From here on this is what the file holds, whatever becomes of the directory.
        state.offsets = all;
        self.sync_directory()
    }
}

/// Opens or creates the file and locks it. Another worker may replace the file between the two, so the
/// lock counts only when the path still names the locked file.
fn open_locked(path: &Path) -> Result<File, StoreError> {
    loop {
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path);
        let file = open.map_err(|cause| io("open", path, cause))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.display().to_string(),
                });
            }
            Err(TryLockError::Error(cause)) => return Err(io("lock", path, cause)),
        }
        let held = file.metadata().map_err(|cause| io("read", path, cause))?;
        match std::fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => return Ok(file),
            Ok(_) => continue,
            Err(cause) if cause.kind() == ErrorKind::NotFound => continue,
            Err(cause) => return Err(io("read", path, cause)),
        }
    }
}

fn io(action: &'static str, path: &Path, cause: std::io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.display().to_string(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &'static str, value: Option<&'static str>) -> RawOffsets {
        RawOffsets::from([(Bytes::from(key), value.map(Bytes::from))])
    }

    #[test]
    fn offsets_outlive_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("offsets");
        let store = FileOffsetBackingStore::open(&path).unwrap();
        assert_eq!(store.snapshot(), RawOffsets::new());
        store.set(one("a", Some("1"))).unwrap();
        store.set(one("b", Some("2"))).unwrap();
        store.set(one("b", None)).unwrap();
        drop(store);
        let store = FileOffsetBackingStore::open(&path).unwrap();
        assert_eq!(store.get(b"a"), Some(Bytes::from("1")));
        assert_eq!(store.get(b"b"), None);
        assert_eq!(
            store.snapshot().len(),
            2,
            "a removed offset stays as a null value, as in Java"
        );
    }

    #[test]
    fn a_second_worker_on_the_same_file_is_refused_also_after_a_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("offsets");
        let store = FileOffsetBackingStore::open(&path).unwrap();
        assert!(matches!(
            FileOffsetBackingStore::open(&path),
            Err(StoreError::InUse { .. })
        ));
        store.set(one("a", Some("1"))).unwrap();
        assert!(matches!(
            FileOffsetBackingStore::open(&path),
            Err(StoreError::InUse { .. })
        ));
        drop(store);
        assert!(FileOffsetBackingStore::open(&path).is_ok());
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("offsets");
        std::fs::write(&path, "position=5").unwrap();
        let error = FileOffsetBackingStore::open(&path)
            .err()
            .expect("refused")
            .to_string();
        assert!(
            error.contains("is not an offset file: it does not begin with"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "position=5");
    }

    #[test]
    fn a_failed_write_keeps_the_old_offsets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("offsets");
        let store = FileOffsetBackingStore::open(&path).unwrap();
        store.set(one("a", Some("1"))).unwrap();
        // A directory stands where the new file would be made.
        std::fs::create_dir(directory.path().join("offsets.new")).unwrap();
        assert!(store.set(one("a", Some("2"))).is_err());
        assert_eq!(store.get(b"a"), Some(Bytes::from("1")));
        drop(store);
        assert_eq!(
            FileOffsetBackingStore::open(&path).unwrap().get(b"a"),
            Some(Bytes::from("1"))
        );
    }
}
