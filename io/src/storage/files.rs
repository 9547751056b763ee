//! Storage on real files below one directory.
//!
//! A directory entry is durable after an `fsync` of its directory, so the storage notes every
//! folder whose entries changed and syncs just those. The note is taken after the change and held
//! while syncing: when `sync_directory` returns, every change that returned before it is covered,
//! also when two threads call at the same time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use rustix::fs::FallocateFlags;

use super::allocation::Allocation;
use super::direct_segment::{self, BufferPool, DirectSegment};
use super::file_lock::lock_directory;
use super::file_reader::FileReader;
use super::mapped_segment::MappedSegment;
use super::plain_segment::PlainSegment;
use super::publish::publish_whole;
use super::reserve::reserve;
use super::{ReadAt, Segment, Storage, StorageLock, names};
use crate::IoError;

/// How [`FileStorage`] writes segments whose size is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// Through memory-mapped windows of preallocated files; where the file system cannot
    /// preallocate, as [`WriteMode::Plain`]. Segments of unknown size are always written plainly.
    Mapped,
    /// By vectored direct I/O into preallocated files, past the page cache; where the file system
    /// has no direct I/O or cannot preallocate, as [`WriteMode::Plain`].
    #[default]
    Direct,
    /// By positioned writes.
    Plain,
}

/// Files below one directory, which belongs to this storage alone.
///
/// ```
/// use frazil_io::storage::{FileStorage, Storage};
///
/// # fn main() -> Result<(), frazil_io::IoError> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// let storage = FileStorage::open(directory.path().join("checkpoints"))?;
/// let _lock = storage.lock()?;
/// let mut segment = storage.create("delta-1", 1 << 20)?;
/// segment.append(b"frozen lines")?;
/// segment.sync()?;
/// storage.publish("manifest-1", b"needs delta-1")?;
/// assert_eq!(storage.list()?, ["delta-1", "manifest-1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FileStorage {
    root: PathBuf,
    write_mode: WriteMode,
    buffers: BufferPool,
    has_said_plain: AtomicBool,
    /// Folders with entries that no sync covered yet; the root is the empty name.
    unsynced_folders: Mutex<BTreeSet<String>>,
}

/// The names in one directory, by kind.
#[derive(Default)]
struct Entries {
    files: Vec<String>,
    folders: Vec<String>,
}

impl FileStorage {
    /// Opens the directory `root`, creating it and its parents durably if they are missing.
    ///
    /// # Errors
    /// [`IoError::File`] if the directory cannot be created or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, IoError> {
        let root = root.into();
        create_directory(&root)?;
        let storage = Self {
            root,
            write_mode: WriteMode::default(),
            buffers: BufferPool::default(),
            has_said_plain: AtomicBool::new(false),
            unsynced_folders: Mutex::new(BTreeSet::from([String::new()])),
        };
        // What an earlier process renamed may not be durable yet, so every folder starts unsynced.
        let folders = storage.entries("")?.folders;
        storage.unsynced().extend(folders);
        Ok(storage)
    }

    /// The same storage with another way of writing segments.
    #[must_use]
    pub fn with_write_mode(self, write_mode: WriteMode) -> Self {
        Self { write_mode, ..self }
    }

    fn checked_path(&self, name: &str) -> Result<PathBuf, IoError> {
        names::check(name)?;
        Ok(self.root.join(name))
    }

    fn unsynced(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unsynced_folders
            .lock()
            .expect("no panic while the folders are noted")
    }

    /// Notes that the entry `name` changed. Nothing relies on a temporary name, so its entry is
    /// left out: a publish then syncs its directory once and not twice.
    fn note_change(&self, name: &str) {
        if !names::is_temporary(name) {
            self.unsynced().insert(names::folder_of(name).to_owned());
        }
    }

    fn make_folder_of(&self, name: &str) -> Result<(), IoError> {
        let folder = names::folder_of(name);
        if folder.is_empty() {
            return Ok(());
        }
        let path = self.root.join(folder);
        match fs::create_dir(&path) {
            Ok(()) => {
                self.unsynced().insert(String::new());
                Ok(())
            }
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(IoError::from_call("create", &path, 0, source)),
        }
    }

    fn segment(
        &self,
        file: File,
        path: PathBuf,
        expected_bytes: u64,
    ) -> Result<Box<dyn Segment>, IoError> {
        if expected_bytes == 0 {
            return Ok(Box::new(PlainSegment::new(file, path, 0)));
        }
        let allocated = match self.write_mode {
            WriteMode::Plain => return plain_segment(file, path, expected_bytes),
            WriteMode::Direct if !direct_segment::switch_on(&file) => {
                self.say_plain("it has no direct I/O");
                return plain_segment(file, path, expected_bytes);
            }
            WriteMode::Mapped | WriteMode::Direct => {
                Allocation::first(&file, &path, expected_bytes)?
            }
        };
        let Some(allocation) = allocated else {
            self.say_plain("it cannot allocate ahead");
            direct_segment::switch_off(&file, &path)?;
            return Ok(Box::new(PlainSegment::new(file, path, 0)));
        };
        if self.write_mode == WriteMode::Mapped {
            return Ok(Box::new(MappedSegment::new(file, path, allocation)));
        }
        let segment = DirectSegment::new(file, path, allocation, &self.buffers)?;
        Ok(Box::new(segment))
    }

    fn say_plain(&self, reason: &str) {
        // Relaxed: nothing depends on it, and a second line would do no harm.
        if !self.has_said_plain.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                directory = %self.root.display(),
                reason,
                "the file system does not do what was asked; files are written plainly"
            );
        }
    }

    fn entries(&self, folder: &str) -> Result<Entries, IoError> {
        let path = if folder.is_empty() {
            self.root.clone()
        } else {
            self.root.join(folder)
        };
        read_entries(&path).map_err(|source| IoError::from_call("list", &path, 0, source))
    }
}

impl Storage for FileStorage {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        let path = self.checked_path(name)?;
        self.make_folder_of(name)?;
        let file = File::create_new(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => IoError::Exists { path: path.clone() },
            _ => IoError::from_call("create", &path, 0, source),
        })?;
        let segment = self
            .segment(file, path.clone(), expected_bytes)
            .inspect_err(|_| {
                // The first failure is the one to report.
                let _ = fs::remove_file(&path);
            });
        self.note_change(name);
        segment
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        Ok(Box::new(FileReader::open(self.checked_path(name)?)?))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        publish_whole(self, name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        let from_path = self.checked_path(from)?;
        let to_path = self.checked_path(to)?;
        self.make_folder_of(to)?;
        match fs::rename(&from_path, to_path) {
            Ok(()) => {
                self.note_change(from);
                self.note_change(to);
                Ok(())
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(IoError::Missing { path: from_path })
            }
            Err(source) => Err(IoError::from_call("rename", &from_path, 0, source)),
        }
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        let mut unsynced = self.unsynced();
        while let Some(folder) = unsynced.first() {
            let path = if folder.is_empty() {
                self.root.clone()
            } else {
                self.root.join(folder)
            };
            sync_one_directory(&path)?;
            unsynced.pop_first();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        let path = self.checked_path(name)?;
        match fs::remove_file(&path) {
            Ok(()) => {
                self.note_change(name);
                Ok(())
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(IoError::from_call("remove", &path, 0, source)),
        }
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        let Entries {
            files: mut names,
            folders,
        } = self.entries("")?;
        names.retain(|name| name != names::LOCK_NAME);
        for folder in folders {
            let files = self.entries(&folder)?.files;
            names.extend(files.iter().map(|file| format!("{folder}/{file}")));
        }
        names.sort();
        Ok(names)
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        Ok(Box::new(lock_directory(&self.root)?))
    }
}

/// A segment by positioned writes, with disk kept for `expected_bytes` where that can be had.
fn plain_segment(
    file: File,
    path: PathBuf,
    expected_bytes: u64,
) -> Result<Box<dyn Segment>, IoError> {
    let range = 0..expected_bytes;
    let is_reserved = reserve(&file, &path, range, FallocateFlags::KEEP_SIZE)?;
    let reserved_bytes = if is_reserved { expected_bytes } else { 0 };
    Ok(Box::new(PlainSegment::new(file, path, reserved_bytes)))
}

/// A name that is not UTF-8 was not made by a storage and is left alone.
fn read_entries(path: &Path) -> io::Result<Entries> {
    let mut entries = Entries::default();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let is_folder = entry.file_type()?.is_dir();
        if is_folder {
            &mut entries.folders
        } else {
            &mut entries.files
        }
        .push(name);
    }
    Ok(entries)
}

/// Creates `root` and its missing parents, and makes each of the new entries durable.
fn create_directory(root: &Path) -> Result<(), IoError> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let created: Vec<&Path> = root.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(root).map_err(|source| IoError::from_call("create", root, 0, source))?;
    for path in created {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        sync_one_directory(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

fn sync_one_directory(path: &Path) -> Result<(), IoError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| IoError::from_call("sync", path, 0, source))
}
