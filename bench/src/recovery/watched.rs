//! A storage that notes when a recovery opens and reads its files.

use super::files::Kind;
use super::protocol::now_ns;
use frazil::IoError;
use frazil::storage::{FileStorage, ReadAt, Segment, Storage, StorageLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When files were opened and read; zero if not yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadTimes(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    open_ns: AtomicU64,
    chain_ns: AtomicU64,
    read_ns: AtomicU64,
}

impl ReadTimes {
    fn opened(&self, name: &str) {
        let note = |time: &AtomicU64| {
            // Only the first time counts.
            let _ = time.compare_exchange(0, now_ns(), Ordering::Relaxed, Ordering::Relaxed);
        };
        match Kind::of(name) {
            Some(Kind::Image { .. }) => note(&self.0.open_ns),
            Some(Kind::Delta { .. }) => {
                note(&self.0.open_ns);
                note(&self.0.chain_ns);
            }
            None => {}
        }
    }

    fn read(&self) {
        self.0.read_ns.store(now_ns(), Ordering::Relaxed);
    }

    /// First open, first open of a delta, last read.
    pub(super) fn get(&self) -> [u64; 3] {
        let times = [&self.0.open_ns, &self.0.chain_ns, &self.0.read_ns];
        times.map(|time| time.load(Ordering::Relaxed))
    }
}

pub(super) struct WatchedFiles {
    pub(super) inner: FileStorage,
    pub(super) times: ReadTimes,
}

impl Storage for WatchedFiles {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        self.inner.create(name, expected_bytes)
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.times.opened(name);
        let inner = self.inner.open(name)?;
        match Kind::of(name) {
            None => Ok(inner),
            Some(_) => Ok(Box::new(WatchedFile {
                inner,
                times: self.times.clone(),
            })),
        }
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
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

struct WatchedFile {
    inner: Box<dyn ReadAt>,
    times: ReadTimes,
}

impl ReadAt for WatchedFile {
    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError> {
        self.inner.read_exact_at(buffer, offset)?;
        self.times.read();
        Ok(())
    }
}
