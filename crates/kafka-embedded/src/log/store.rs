//! The bytes of one segment: a file, or memory.
//!
//! Lives here: appending, positioned reads, truncating, and how many files are open at once.
//! Never here: what the bytes mean.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// Segments whose files are open at the same time; the oldest is closed and opened again when it is
/// needed. Below the 1,024 that a process usually may open, with room for connections.
const OPEN_FILES_MAX: usize = 400;

/// Which segments have their file open.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    order: Mutex<VecDeque<Weak<DiskFile>>>,
}

impl OpenFiles {
    fn opened(&self, file: &Arc<DiskFile>) {
        let mut closed = None;
        {
            let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            order.push_back(Arc::downgrade(file));
            if order.len() > OPEN_FILES_MAX {
                closed = order.pop_front();
            }
        }
        if let Some(oldest) = closed.and_then(|oldest| oldest.upgrade()) {
            oldest.close();
        }
    }
}

/// One segment's bytes. Appends come one at a time (the log's lock sees to that); reads may happen
/// meanwhile, below the length that the log has made known.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Disk(Arc<DiskFile>),
    Memory(Arc<RwLock<Vec<u8>>>),
}

#[derive(Debug)]
pub(crate) struct DiskFile {
    path: Mutex<PathBuf>,
    files: Arc<OpenFiles>,
    handle: Mutex<Option<Arc<File>>>,
}

impl DiskFile {
    fn close(&self) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn path(&self) -> PathBuf {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        path.clone()
    }

    fn file(self: &Arc<Self>) -> io::Result<Arc<File>> {
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*handle {
            return Ok(file.clone());
        }
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(self.path())?;
        let file = Arc::new(file);
        *handle = Some(file.clone());
        drop(handle);
        self.files.opened(self);
        Ok(file)
    }
}

impl Store {
    pub(crate) fn memory() -> Store {
        Store::Memory(Arc::default())
    }

    /// A new, empty file; the directory is made when it is missing. An older file of this name is
    /// emptied.
    pub(crate) fn create(path: &Path, files: &Arc<OpenFiles>) -> io::Result<Store> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create(path)?;
        Ok(Store::existing(path, files))
    }

    /// A file that is there; it is opened when it is needed.
    pub(crate) fn existing(path: &Path, files: &Arc<OpenFiles>) -> Store {
        Store::Disk(Arc::new(DiskFile {
            path: Mutex::new(path.to_owned()),
            files: files.clone(),
            handle: Mutex::new(None),
        }))
    }

    /// Writes both parts behind what is there, in one call when the system takes them.
    pub(crate) fn append(&self, head: &[u8], rest: &[u8]) -> io::Result<()> {
        match self {
            Store::Memory(bytes) => {
                let mut bytes = bytes.write().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(head);
                bytes.extend_from_slice(rest);
                Ok(())
            }
            Store::Disk(disk) => {
                let file = disk.file()?;
                let total = head.len() + rest.len();
                let mut written = 0;
                while written < total {
                    let from_head = written.min(head.len());
                    let slices = [
                        IoSlice::new(&head[from_head..]),
                        IoSlice::new(&rest[written - from_head..]),
                    ];
                    match (&*file).write_vectored(&slices) {
                        Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                        Ok(count) => written += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }

    /// Appends `length` bytes from `position` on to `out`. Fails when they are not there.
    pub(crate) fn read(&self, position: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Store::Memory(bytes) => {
                let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
                let start = position as usize;
                let part = bytes
                    .get(start..start.saturating_add(length))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                out.extend_from_slice(part);
                Ok(())
            }
            Store::Disk(disk) => {
                let file = disk.file()?;
                let start = out.len();
                out.resize(start + length, 0);
                let read = file.read_exact_at(&mut out[start..], position);
                if read.is_err() {
                    out.truncate(start);
                }
                read
            }
        }
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        match self {
            Store::Memory(bytes) => {
                let mut bytes = bytes.write().unwrap_or_else(PoisonError::into_inner);
                bytes.truncate(length as usize);
                Ok(())
            }
            Store::Disk(disk) => disk.file()?.set_len(length),
        }
    }

    pub(crate) fn size(&self) -> io::Result<u64> {
        match self {
            Store::Memory(bytes) => {
                let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
                Ok(bytes.len() as u64)
            }
            Store::Disk(disk) => Ok(fs::metadata(disk.path())?.len()),
        }
    }

    /// Waits until the bytes are on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Store::Memory(_) => Ok(()),
            Store::Disk(disk) => disk.file()?.sync_data(),
        }
    }

    /// Takes the name, and so the place, of another file, which is gone then: who has that one open
    /// may go on reading it, and nobody opens this one in its stead.
    pub(crate) fn replace(&self, other: &Store) -> io::Result<()> {
        if let (Store::Disk(disk), Store::Disk(other)) = (self, other) {
            let mut name = other.path.lock().unwrap_or_else(PoisonError::into_inner);
            let mut path = disk.path.lock().unwrap_or_else(PoisonError::into_inner);
            fs::rename(&*path, &*name)?;
            *path = std::mem::take(&mut *name);
        }
        Ok(())
    }

    /// The file goes away; whoever has it open may go on reading.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            Store::Memory(_) => Ok(()),
            Store::Disk(disk) => fs::remove_file(disk.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_segments_than_open_files_are_read_and_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Arc::new(OpenFiles::default());
        let path = |index: usize| directory.path().join(index.to_string());
        let stores: Vec<Store> = (0..OPEN_FILES_MAX + 50)
            .map(|index| Store::create(&path(index), &files).expect("created"))
            .collect();
        for round in 0..2u8 {
            for store in &stores {
                store.append(&[round], b"xy").expect("appended");
            }
        }
        let open = |store: &&Store| match store {
            Store::Disk(disk) => disk.handle.lock().unwrap().is_some(),
            Store::Memory(_) => false,
        };
        assert!(stores.iter().filter(open).count() <= OPEN_FILES_MAX);
        for store in &stores {
            let mut out = Vec::new();
            store.read(1, 5, &mut out).expect("read");
            assert_eq!(out, b"xy\x01xy");
            assert!(store.read(1, 6, &mut out).is_err());
        }
    }

    #[test]
    fn memory_and_disk_do_the_same() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Store::create(&directory.path().join("a/b"), &Arc::default()).expect("created");
        for store in [disk, Store::memory()] {
            store.append(b"head", b"rest").expect("appended");
            store.append(b"more", b"").expect("appended");
            store.truncate(9).expect("truncated");
            store.append(b"!", b"").expect("appended");
            let mut out = b"> ".to_vec();
            store.read(3, 7, &mut out).expect("read");
            assert_eq!(out, b"> drestm!");
            assert_eq!(store.size().expect("a size"), 10);
            assert!(store.read(3, 8, &mut out).is_err());
            assert_eq!(out, b"> drestm!");
        }
    }
}
