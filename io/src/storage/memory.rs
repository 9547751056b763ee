//! Storage in memory that knows what a power loss would take.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::memory_disk::{Disk, FileId};
use super::private_map::reserved;
use super::publish::publish_whole;
use super::{PrivateMemory, ReadAt, Segment, Storage, StorageLock, names, power_loss};
use crate::IoError;

/// A simulated disk: every crash a test asks for gives a new storage, and the old one goes on.
///
/// A clone is the same storage. The simulation is as harsh as the contract allows: what was not
/// synced may be lost or torn, names that were not synced may be old or new.
///
/// ```
/// use frazil_io::storage::{MemoryStorage, Storage};
///
/// # fn main() -> Result<(), frazil_io::IoError> {
/// let storage = MemoryStorage::new();
/// storage.publish("manifest-1", b"durable")?;
/// storage.create("delta-2", 0)?.append(b"never synced")?;
///
/// let restarted = storage.after_power_loss(7);
/// let manifest = restarted.open("manifest-1")?;
/// assert_eq!(manifest.length_bytes(), 7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    is_locked: bool,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a power loss at this moment leaves; `seed` decides what is up to chance. Unlocked.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        Self::unlocked(power_loss::after_power_loss(&self.state().disk, seed))
    }

    /// What the death of the process leaves: everything written, but zeros in place of what was not
    /// synced in files of known size, up to their reservation. A later power loss may still take
    /// what was not durable. Unlocked.
    #[must_use]
    pub fn after_process_crash(&self) -> Self {
        Self::unlocked(power_loss::after_process_crash(&self.state().disk))
    }

    /// Flips one bit of a file, counted from the lowest bit of its first byte.
    ///
    /// # Panics
    /// If there is no such file or no such bit.
    pub fn flip_bit(&self, name: &str, bit_index: u64) {
        let mut state = self.state();
        let bytes = Arc::make_mut(&mut state.disk.content_mut(name).bytes);
        let byte_index = usize::try_from(bit_index / 8).expect("a byte index fits in memory");
        assert!(
            byte_index < bytes.len(),
            "bit {bit_index} lies behind the end of {name}"
        );
        bytes[byte_index] ^= 1 << (bit_index % 8);
    }

    /// Cuts a file, durably.
    ///
    /// # Panics
    /// If there is no such file or it is shorter already.
    pub fn truncate(&self, name: &str, length_bytes: u64) {
        let mut state = self.state();
        let content = state.disk.content_mut(name);
        let length = usize::try_from(length_bytes).expect("a length fits in memory");
        assert!(
            length <= content.bytes.len(),
            "{name} is shorter than {length_bytes} bytes"
        );
        Arc::make_mut(&mut content.bytes).truncate(length);
        content.synced_bytes = content.synced_bytes.min(length);
    }

    fn unlocked(disk: Disk) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                disk,
                is_locked: false,
            })),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A failed assertion of a test helper leaves the disk whole.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(self.location()).join(name)
    }
}

impl Storage for MemoryStorage {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        names::check(name)?;
        match self.state().disk.create(name, expected_bytes) {
            Some(file) => Ok(Box::new(MemorySegment {
                storage: self.clone(),
                file,
                length_bytes: 0,
            })),
            None => Err(IoError::Exists {
                path: self.path_of(name),
            }),
        }
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        names::check(name)?;
        let path = self.path_of(name);
        match self.state().disk.content(name) {
            Some(content) => Ok(Box::new(MemoryReader {
                path,
                bytes: Arc::clone(&content.bytes),
            })),
            None => Err(IoError::Missing { path }),
        }
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        publish_whole(self, name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        names::check(from)?;
        names::check(to)?;
        if self.state().disk.rename(from, to) {
            Ok(())
        } else {
            Err(IoError::Missing {
                path: self.path_of(from),
            })
        }
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        self.state().disk.sync_names();
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        names::check(name)?;
        self.state().disk.remove(name);
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        Ok(self.state().disk.visible.keys().cloned().collect())
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        let mut state = self.state();
        if state.is_locked {
            let holder = std::process::id().to_string();
            return Err(IoError::Locked {
                path: PathBuf::from(self.location()),
                holder,
            });
        }
        state.is_locked = true;
        Ok(Box::new(MemoryLock {
            storage: self.clone(),
        }))
    }
}

struct MemoryLock {
    storage: MemoryStorage,
}

impl StorageLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.storage.state().is_locked = false;
    }
}

struct MemorySegment {
    storage: MemoryStorage,
    file: FileId,
    length_bytes: u64,
}

impl Segment for MemorySegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.storage.state().disk.append(self.file, bytes);
        self.length_bytes += bytes.len() as u64;
        Ok(())
    }

    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.storage.state().disk.sync(self.file);
        Ok(())
    }
}

/// Holds the bytes as they were when the file was opened.
struct MemoryReader {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
}

impl ReadAt for MemoryReader {
    fn length_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError> {
        let end_bytes = offset.saturating_add(buffer.len() as u64);
        if end_bytes > self.length_bytes() {
            return Err(IoError::Short {
                path: self.path.clone(),
                expected_bytes: end_bytes,
                found_bytes: self.length_bytes(),
            });
        }
        let start = usize::try_from(offset).expect("not behind the end of bytes in memory");
        buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
        Ok(())
    }

    /// A copy, which no later change of the simulated disk reaches.
    fn map_private(
        &self,
        file_bytes: usize,
        total_bytes: usize,
    ) -> Result<Option<PrivateMemory>, IoError> {
        assert!(file_bytes.is_multiple_of(4096) && file_bytes <= total_bytes);
        let mut memory = reserved(total_bytes)
            .map_err(|source| IoError::from_call("map", &self.path, 0, source))?;
        self.read_exact_at(&mut memory[..file_bytes], 0)?;
        Ok(Some(memory))
    }
}
