//! A storage whose simulated crash takes the job's helper threads with it, as a real one would.

use std::panic::resume_unwind;
use std::sync::Arc;

use super::verified::VerifiedStorage;
use frazil::IoError;
use frazil_io::storage::{
    FaultPlan, FaultyStorage, MemoryStorage, ReadAt, Segment, Storage, StorageLock,
};

/// A [`MemoryStorage`] behind a [`FaultPlan`].
///
/// * After the planned crash every helper thread of the engine that touches the storage unwinds, so
///   that the job ends at once instead of trying on with a dead disk.
/// * A segment that is synced or appended to after its sync failed panics: a failed sync must never
///   be retried on the same file.
/// * Every checkpoint is verified as by [`VerifiedStorage`].
///
/// A clone is the same storage.
#[derive(Clone)]
pub struct MortalStorage {
    disk: MemoryStorage,
    faulty: FaultyStorage,
}

impl MortalStorage {
    /// Puts `plan` between a job and `disk`.
    #[must_use]
    pub fn new(disk: &MemoryStorage, plan: FaultPlan) -> Self {
        Self {
            disk: disk.clone(),
            faulty: FaultyStorage::new(Arc::new(VerifiedStorage::new(disk)), plan),
        }
    }

    /// The disk below, which lives on.
    #[must_use]
    pub fn disk(&self) -> &MemoryStorage {
        &self.disk
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.faulty.operations()
    }
}

/// Unwinds without a message on the screen if the crash was hit by a helper thread.
fn survived<T>(outcome: Result<T, IoError>) -> Result<T, IoError> {
    let crashed = |error: &IoError| error.to_string().ends_with(": crashed");
    let thread = std::thread::current();
    let is_helper = thread
        .name()
        .is_some_and(|name| name.starts_with("frazil-"));
    if is_helper && outcome.as_ref().err().is_some_and(crashed) {
        resume_unwind(Box::new("the simulated process died".to_owned()));
    }
    outcome
}

impl Storage for MortalStorage {
    fn location(&self) -> String {
        self.faulty.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        let inner = survived(self.faulty.create(name, expected_bytes))?;
        Ok(Box::new(MortalSegment {
            inner,
            has_failed: false,
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        survived(self.faulty.open(name))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        survived(self.faulty.publish(name, bytes))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        survived(self.faulty.rename(from, to))
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        survived(self.faulty.sync_directory())
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        survived(self.faulty.remove(name))
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        survived(self.faulty.list())
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        survived(self.faulty.lock())
    }
}

struct MortalSegment {
    inner: Box<dyn Segment>,
    has_failed: bool,
}

impl Segment for MortalSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        assert!(!self.has_failed, "appended after a failed sync");
        survived(self.inner.append(bytes))
    }

    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn sync(&mut self) -> Result<(), IoError> {
        assert!(!self.has_failed, "synced after a failed sync");
        let synced = survived(self.inner.sync());
        self.has_failed = synced.is_err();
        synced
    }
}
