//! Where checkpoints and staged sink output live: a small contract and its implementations.
//!
//! A storage is a flat set of named, append-only files below one root. Names may contain `/` for
//! one level of folders; folders come into being with their first file. Data passes four states,
//! each a promise about what a crash may take away:
//!
//! `written <= synced <= published <= durable`
//!
//! * *written*: `append` returned. A power loss may take it or tear it; so may the end of the
//!   process where the file was created with a size, because its bytes may wait in a buffer. A
//!   process crash keeps what was written to other files.
//! * *synced*: `sync` returned. The file's bytes survive a power loss; its *name* may not.
//! * *published*: `publish` or `rename` took effect. Visible under the final name.
//! * *durable*: `publish` returned, or `sync_directory` returned after it. Bytes and name survive.
//!
//! A failed sync is never retried: the kernel may have dropped the pages and report success the
//! second time. The segment is poisoned; the caller removes it and writes a new one.
//!
//! What may be relied on about names: each one shows, after a power loss, one of the values it had
//! since it was last durable. Changes of different names may survive in any order unless
//! [`Storage::sync_directory`] or [`Storage::publish`] lies between them.
//!
//! Three implementations keep the same contract: [`FileStorage`] on real files, [`MemoryStorage`]
//! that models what a power loss takes, and [`FaultyStorage`] that makes either of them fail.

mod allocation;
mod direct_segment;
mod fault_plan;
mod faulty;
mod file_lock;
mod file_reader;
mod files;
mod mapped_segment;
mod memory;
mod memory_disk;
mod names;
mod plain_segment;
mod poison;
mod power_loss;
mod private_map;
mod publish;
mod random;
mod reserve;

pub use fault_plan::FaultPlan;
pub use faulty::FaultyStorage;
pub use files::{FileStorage, WriteMode};
pub use memory::MemoryStorage;

/// Memory that shows a file until it is written to; see [`ReadAt::map_private`].
pub use memmap2::MmapMut as PrivateMemory;

use crate::IoError;

/// Named append-only files with atomic publication; shared by all threads of an engine.
///
/// Every method may block on the disk: none is called from a shard.
pub trait Storage: Send + Sync + 'static {
    /// Where this storage is, for messages: a path or a description.
    fn location(&self) -> String;

    /// Creates `name` for appending and reserves `expected_bytes` of disk, so that a full disk is
    /// an error here and not a signal later. The reservation grows by itself when it is exceeded. 0
    /// says that the file stays small or that its size is unknown.
    ///
    /// # Errors
    /// [`IoError::Exists`] if the name is taken, [`IoError::Full`] if the space is not there; after
    /// an error there is no new file.
    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError>;

    /// Opens a complete file, one whose segment was synced, for reading. A file that was never
    /// synced may be longer than what was appended to it: its reservation shows as zeros.
    ///
    /// # Errors
    /// [`IoError::Missing`] if there is no such file.
    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError>;

    /// Makes `bytes` appear under `name` as a whole or not at all: temporary file, data sync,
    /// rename, directory sync. Replaces an existing file. At most one thread publishes a given name
    /// at a time.
    ///
    /// Every creation, rename and removal that returned before this call is durable before the new
    /// content can be seen, as if [`Storage::sync_directory`] had been called first: a published
    /// manifest never outlives the names it lists. A crash may leave a `.tmp-` file behind; the
    /// next publish of that name replaces it.
    ///
    /// # Errors
    /// [`IoError::Undecided`] if the rename took effect and the directory sync failed; after any
    /// other error the old content (or absence) of `name` still holds.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError>;

    /// Renames a file, replacing the target. Durable after [`Storage::sync_directory`].
    ///
    /// # Errors
    /// [`IoError::Missing`] if there is no file `from`.
    fn rename(&self, from: &str, to: &str) -> Result<(), IoError>;

    /// Makes all creations, renames and removals that returned so far durable; `.tmp-` names
    /// excepted, which nothing relies on. Also covers what an earlier process left unsynced.
    ///
    /// # Errors
    /// [`IoError::File`] if the sync fails; the next call covers the same names again.
    fn sync_directory(&self) -> Result<(), IoError>;

    /// Removes a file; a missing file is no error, so removal can be repeated after a crash.
    ///
    /// # Errors
    /// [`IoError::File`] if the file system refuses.
    fn remove(&self, name: &str) -> Result<(), IoError>;

    /// Names of all files, sorted, temporary ones of unfinished publishes included.
    ///
    /// # Errors
    /// [`IoError::File`] if the directory cannot be read.
    fn list(&self) -> Result<Vec<String>, IoError>;

    /// Takes the exclusive lock of this storage until the returned guard is dropped or the process
    /// ends. A second call conflicts inside one process as well.
    ///
    /// # Errors
    /// [`IoError::Locked`] with the holder's process id.
    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError>;
}

/// A file that is being written; dropped without `sync` it stays behind, unsynced and perhaps not
/// even written to its end.
pub trait Segment: Send {
    /// Appends `bytes` whole: after an error the length is what it was before the call.
    ///
    /// # Errors
    /// [`IoError::Full`] leaves the segment usable; any other failure poisons it.
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError>;

    /// Bytes appended so far.
    fn length_bytes(&self) -> u64;

    /// Cuts the file to its length and syncs its data; the name is durable only after
    /// [`Storage::sync_directory`] or a later publish. Appending may go on afterwards.
    ///
    /// # Errors
    /// Any failure poisons the segment: remove the file, never retry.
    fn sync(&mut self) -> Result<(), IoError>;
}

/// Positioned reads of a complete, immutable file.
pub trait ReadAt: Send + Sync {
    /// Length of the file.
    fn length_bytes(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`IoError::Short`] if the file ends before the range does.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError>;

    /// Memory of `total_bytes`, the first `file_bytes` of which show the file and the rest zeros;
    /// what is written to it stays private. `None` where files cannot be mapped.
    ///
    /// # Errors
    /// [`IoError::Short`] if the file is shorter, [`IoError::File`] if the kernel refuses.
    ///
    /// # Panics
    /// If `file_bytes` is not a multiple of 4096 or more than `total_bytes`.
    fn map_private(
        &self,
        file_bytes: usize,
        total_bytes: usize,
    ) -> Result<Option<PrivateMemory>, IoError> {
        let _ = (file_bytes, total_bytes);
        Ok(None)
    }
}

/// Holds a storage's lock; dropping it releases the lock.
pub trait StorageLock: Send {}
