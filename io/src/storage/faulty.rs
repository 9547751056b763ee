//! Storage that fails on plan: crashes, a full disk, failed syncs.
//!
//! Operations are the calls that change something: create, append, sync, rename, remove and
//! `sync_directory`, numbered from 0 in the order they arrive. A publish is no operation itself but
//! the sequence of its steps (create, append, sync, `sync_directory`, rename, `sync_directory`;
//! where one fails, a removal), so that a test can crash between any two of them. Reads, lists and
//! locks are not counted; after the crash opening, listing and locking fail too.

use std::path::PathBuf;
use std::sync::Arc;

use super::fault_plan::{Fate, FaultPlan, Faults, Kind};
use super::poison::Poison;
use super::publish::publish_whole;
use super::{ReadAt, Segment, Storage, StorageLock};
use crate::IoError;

/// Passes calls on to another storage until its plan says otherwise; a clone is the same storage.
///
/// ```
/// use std::sync::Arc;
///
/// use frazil_io::storage::{FaultPlan, FaultyStorage, MemoryStorage, Storage};
///
/// let disk = MemoryStorage::new();
/// let run = |plan| {
///     let storage = FaultyStorage::new(Arc::new(disk.clone()), plan);
///     let result = storage.publish("manifest-1", b"whole");
///     (result, storage.operations())
/// };
/// let (_, operation_count) = run(FaultPlan::none());
/// for operation in 0..operation_count {
///     let (result, _) = run(FaultPlan::none().crash_at(operation));
///     assert!(result.is_err());
///     let restarted = disk.after_power_loss(operation);
///     assert_eq!(restarted.open("manifest-1").map(|file| file.length_bytes()).ok(), Some(5));
/// }
/// ```
#[derive(Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    faults: Arc<Faults>,
}

impl FaultyStorage {
    /// Puts `plan` between a caller and `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>, plan: FaultPlan) -> Self {
        Self {
            inner,
            faults: Arc::new(Faults::new(plan)),
        }
    }

    /// Operations so far, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.faults.operations()
    }

    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(self.location()).join(name)
    }
}

impl Storage for FaultyStorage {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        let path = self.path_of(name);
        let kind = Kind::Grows {
            needed_bytes: expected_bytes,
        };
        let work = || self.inner.create(name, expected_bytes);
        let inner = self.faults.run("create", &path, kind, work)?;
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(FaultySegment {
            inner,
            faults,
            path,
            length_bytes: 0,
            poison: Poison::default(),
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.faults.check_alive("open", &self.path_of(name))?;
        self.inner.open(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        publish_whole(self, name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        let work = || self.inner.rename(from, to);
        self.faults
            .run("rename", &self.path_of(from), Kind::Names, work)
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        let path = PathBuf::from(self.location());
        self.faults
            .run("sync", &path, Kind::Syncs, || self.inner.sync_directory())
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        let work = || self.inner.remove(name);
        self.faults
            .run("remove", &self.path_of(name), Kind::Names, work)
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        self.faults
            .check_alive("list", &PathBuf::from(self.location()))?;
        self.inner.list()
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        self.faults
            .check_alive("lock", &PathBuf::from(self.location()))?;
        self.inner.lock()
    }
}

struct FaultySegment {
    inner: Box<dyn Segment>,
    faults: Arc<Faults>,
    path: PathBuf,
    /// Not the inner length, which a torn append may have moved.
    length_bytes: u64,
    poison: Poison,
}

impl FaultySegment {
    fn append_or_tear(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let kind = Kind::Grows {
            needed_bytes: bytes.len() as u64,
        };
        match self.faults.next("append to", &self.path, kind) {
            Fate::Works => self.inner.append(bytes),
            Fate::Fails(error) => Err(error),
            Fate::Torn(mut dice, crashed) => {
                // The process that would see the result is gone.
                let _ = self.inner.append(&bytes[..dice.below(bytes.len() + 1)]);
                Err(crashed)
            }
        }
    }
}

impl Segment for FaultySegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let appended = self
            .poison
            .check(&self.path)
            .and_then(|()| self.append_or_tear(bytes));
        match &appended {
            Ok(()) => self.length_bytes += bytes.len() as u64,
            Err(error) if error.is_full() => {}
            Err(error) => self.poison.set(error),
        }
        appended
    }

    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.poison.check(&self.path)?;
        self.faults
            .run("sync", &self.path, Kind::Syncs, || self.inner.sync())
            .inspect_err(|error| self.poison.set(error))
    }
}
