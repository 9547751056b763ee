//! A storage that shows every append and every read to the test.

use std::sync::Arc;

use frazil::IoError;
use frazil_io::storage::{MemoryStorage, PrivateMemory, ReadAt, Segment, Storage, StorageLock};

/// Called with the name of a file and the bytes that are about to be appended to it.
pub type OnAppend = Arc<dyn Fn(&str, usize) + Send + Sync>;

/// Called with the name of a file that is about to be read.
pub type OnRead = Arc<dyn Fn(&str) + Send + Sync>;

/// A [`MemoryStorage`] that is watched.
#[derive(Clone)]
pub struct WatchedStorage {
    disk: MemoryStorage,
    on_append: OnAppend,
    on_read: OnRead,
}

impl WatchedStorage {
    /// Shows what is appended on `disk` to `on_append`.
    #[must_use]
    pub fn new(disk: &MemoryStorage, on_append: OnAppend) -> Self {
        Self {
            disk: disk.clone(),
            on_append,
            on_read: Arc::new(|_| {}),
        }
    }

    /// Shows reads as well.
    #[must_use]
    pub fn with_on_read(self, on_read: OnRead) -> Self {
        Self { on_read, ..self }
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
        Ok(Box::new(WatchedReader {
            inner: self.disk.open(name)?,
            name: name.to_owned(),
            on_read: Arc::clone(&self.on_read),
        }))
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

struct WatchedReader {
    inner: Box<dyn ReadAt>,
    name: String,
    on_read: OnRead,
}

impl ReadAt for WatchedReader {
    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError> {
        (self.on_read)(&self.name);
        self.inner.read_exact_at(buffer, offset)
    }

    fn map_private(
        &self,
        file_bytes: usize,
        total_bytes: usize,
    ) -> Result<Option<PrivateMemory>, IoError> {
        self.inner.map_private(file_bytes, total_bytes)
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
