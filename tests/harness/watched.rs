//! A storage that shows every append to the test.

use std::sync::Arc;

use frazil::IoError;
use frazil_io::storage::{MemoryStorage, ReadAt, Segment, Storage, StorageLock};

/// Called with the name of a file and the bytes that are about to be appended to it.
pub type OnAppend = Arc<dyn Fn(&str, usize) + Send + Sync>;

/// A [`MemoryStorage`] that is watched.
#[derive(Clone)]
pub struct WatchedStorage {
    disk: MemoryStorage,
    on_append: OnAppend,
}

impl WatchedStorage {
    /// Shows what is appended on `disk` to `on_append`.
    #[must_use]
    pub fn new(disk: &MemoryStorage, on_append: OnAppend) -> Self {
        Self {
            disk: disk.clone(),
            on_append,
        }
    }
}

impl Storage for WatchedStorage {
    fn location(&self) -> String {
        self.disk.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        Ok(Box::new(WatchedSegment {
            inner: self.disk.create(name, expected_bytes)?,
            name: name.to_owned(),
            on_append: Arc::clone(&self.on_append),
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.disk.open(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.disk.publish(name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.disk.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        self.disk.sync_directory()
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.disk.remove(name)
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        self.disk.list()
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        self.disk.lock()
    }
}

struct WatchedSegment {
    inner: Box<dyn Segment>,
    name: String,
    on_append: OnAppend,
}

impl Segment for WatchedSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        (self.on_append)(&self.name, bytes.len());
        self.inner.append(bytes)
    }

    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.inner.sync()
    }
}
