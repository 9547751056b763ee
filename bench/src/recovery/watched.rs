//! A storage that notes when a recovery opens images and reads the chain.

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

    /// A part of the chain was read. An image may be read on beside the first records.
    fn read_chain(&self) {
        self.0.read_ns.store(now_ns(), Ordering::Relaxed);
    }

    /// First open, first open of a delta, last read of one.
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
        Ok(match Kind::of(name) {
            // As it is, so that it can be mapped.
            None | Some(Kind::Image { .. }) => inner,
            Some(Kind::Delta { .. }) => Box::new(WatchedDelta {
                inner,
                times: self.times.clone(),
            }),
        })
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

struct WatchedDelta {
    inner: Box<dyn ReadAt>,
    times: ReadTimes,
}

impl ReadAt for WatchedDelta {
    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError> {
        self.inner.read_exact_at(buffer, offset)?;
        self.times.read_chain();
        Ok(())
    }
}
