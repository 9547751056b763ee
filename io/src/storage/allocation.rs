//! Disk that a growing segment holds ahead of its end, taken in whole windows.
//!
//! `length of the segment <= allocated == size of the file`. Space first, bytes after it: once an
//! allocation stands, writing below it meets no full disk.

use std::fs::File;
use std::path::Path;

use rustix::fs::FallocateFlags;

use super::reserve::reserve;
use crate::IoError;

/// Allocations are multiples of this: twice the huge page size (2 MiB), so that a window of the
/// file can be mapped by huge pages, and small enough to start write-back early.
pub(super) const WINDOW_BYTES: u64 = 4 << 20;

/// Disk is allocated in steps that double with the file between these bounds.
const GROWTH_BYTES_MIN: u64 = 16 << 20;
const GROWTH_BYTES_MAX: u64 = 256 << 20;
const _: () = assert!(GROWTH_BYTES_MIN.is_multiple_of(WINDOW_BYTES));

/// How far a file is allocated.
#[derive(Debug)]
pub(super) struct Allocation {
    allocated_bytes: u64,
}

impl Allocation {
    /// Allocates an empty file for `expected_bytes`; `None` where the file system cannot.
    pub(super) fn first(
        file: &File,
        path: &Path,
        expected_bytes: u64,
    ) -> Result<Option<Self>, IoError> {
        let allocated_bytes = whole_windows(expected_bytes);
        let allocated = reserve(file, path, 0..allocated_bytes, FallocateFlags::empty())?;
        Ok(allocated.then_some(Self { allocated_bytes }))
    }

    /// End of the allocated file.
    pub(super) fn bytes(&self) -> u64 {
        self.allocated_bytes
    }

    /// Grows the file until `end_bytes` lies inside.
    pub(super) fn grow(&mut self, file: &File, path: &Path, end_bytes: u64) -> Result<(), IoError> {
        if end_bytes <= self.allocated_bytes {
            return Ok(());
        }
        let step_bytes = self
            .allocated_bytes
            .clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
        let ample_bytes = whole_windows(end_bytes.max(self.allocated_bytes + step_bytes));
        match self.grow_until(file, path, ample_bytes) {
            // A disk that cannot give a whole step may still hold this append.
            Err(error) if error.is_full() => self.grow_until(file, path, whole_windows(end_bytes)),
            grown => grown,
        }
    }

    fn grow_until(&mut self, file: &File, path: &Path, target_bytes: u64) -> Result<(), IoError> {
        let range = self.allocated_bytes..target_bytes;
        match reserve(file, path, range, FallocateFlags::empty()) {
            Ok(reserved) => {
                assert!(
                    reserved,
                    "the reservation at the start showed that this file can grow"
                );
                self.allocated_bytes = target_bytes;
                Ok(())
            }
            Err(error) => {
                // A refused allocation may have taken a part: give it back to the full disk.
                file.set_len(self.allocated_bytes)
                    .map_err(|source| IoError::from_call("give back space of", path, 0, source))?;
                Err(error)
            }
        }
    }

    /// Cuts the file to `length_bytes` and gives back what lies behind.
    pub(super) fn cut(&mut self, file: &File, length_bytes: u64) -> std::io::Result<()> {
        file.set_len(length_bytes)?;
        self.allocated_bytes = length_bytes;
        Ok(())
    }
}

fn whole_windows(bytes: u64) -> u64 {
    bytes.div_ceil(WINDOW_BYTES).saturating_mul(WINDOW_BYTES)
}
