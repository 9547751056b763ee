//! A storage that tells when its files are synced and published.

use super::activity::Watch;
use frazil::IoError;
use frazil::storage::{ReadAt, Segment, Storage, StorageLock};
use std::sync::Arc;
use std::thread;

pub(super) struct WatchedStorage {
    inner: Arc<dyn Storage>,
    watch: Watch,
}

impl WatchedStorage {
    pub(super) fn new(inner: Arc<dyn Storage>, watch: Watch) -> Self {
        Self { inner, watch }
    }
}

impl Storage for WatchedStorage {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        Ok(Box::new(WatchedSegment {
            inner: self.inner.create(name, expected_bytes)?,
            watch: self.watch.clone(),
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.inner.open(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        self.watch.syncing();
        self.inner.publish(name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.inner.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        self.inner.sync_directory()
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.inner.remove(name)
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        self.inner.list()
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        self.inner.lock()
    }
}

struct WatchedSegment {
    inner: Box<dyn Segment>,
    watch: Watch,
}

impl Segment for WatchedSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.inner.append(bytes)
    }

    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn sync(&mut self) -> Result<(), IoError> {
        // Folds sync files too, but no checkpoint waits for them.
        if thread::current().name() != Some("frazil-folder") {
            self.watch.syncing();
        }
        self.inner.sync()
    }
}
