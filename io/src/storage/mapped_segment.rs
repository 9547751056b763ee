//! A segment written through memory-mapped windows: large files beside running shards.
//!
//! `length <= allocated == size of the file`, and an open window starts at the last window border
//! at or below `length` and lies wholly inside the allocated file.
//!
//! A window stays mapped from the first byte copied into it until it is full or until a sync, never
//! during a sync: write-back of mapped pages write-protects them, which interrupts every core that
//! runs a shard. Mapping each append by itself was measured too (256 KiB appends, ext4, a second
//! core that only counts its own hiccups): 0.25 GB/s and 17 us of CPU per 4 KiB, against 3 GB/s and
//! 1.0 us by windows, with ten times the hiccups over 2 us. The reason is page faults: 60,064 for
//! 65,536 pages, against 2,836 where a map holds whole aligned huge pages (2 MiB); a 4 MiB map that
//! starts 1 MiB off takes 30,430. Populating a window before the copy was slower (2.1 GB/s).
//!
//! Disk is allocated before it is touched, so a full disk is an error of `append`. What remains a
//! signal (SIGBUS) is a foreign process that cuts the file, and a device that cannot read back an
//! evicted, half-filled page.
#![expect(
    unsafe_code,
    reason = "file-backed maps and sync_file_range have no safe interface"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use memmap2::{MmapMut, MmapOptions};

use super::Segment;
use super::allocation::{Allocation, WINDOW_BYTES};
use super::poison::Poison;
use crate::IoError;

/// Bytes mapped at a time.
const WINDOW_LENGTH: usize = 4 << 20;
const _: () = assert!(WINDOW_BYTES == WINDOW_LENGTH as u64);

/// An exclusively created file that only this value writes.
#[derive(Debug)]
pub(super) struct MappedSegment {
    file: File,
    path: PathBuf,
    length_bytes: u64,
    allocation: Allocation,
    window: Option<MmapMut>,
    poison: Poison,
}

impl MappedSegment {
    /// Takes an empty file and the disk that it was given.
    pub(super) fn new(file: File, path: PathBuf, allocation: Allocation) -> Self {
        Self {
            file,
            path,
            length_bytes: 0,
            allocation,
            window: None,
            poison: Poison::default(),
        }
    }

    /// Space first, bytes after it: once the allocation stands, no copy can meet a full disk.
    fn append_whole(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let needed_bytes = self.length_bytes + bytes.len() as u64;
        self.allocation.grow(&self.file, &self.path, needed_bytes)?;
        let mut rest = bytes;
        let mut end_bytes = self.length_bytes;
        while !rest.is_empty() {
            let start = usize::try_from(end_bytes % WINDOW_BYTES).expect("below a window's length");
            let (piece, after) = rest.split_at(rest.len().min(WINDOW_LENGTH - start));
            let window = self.window_from(end_bytes - start as u64)?;
            window[start..start + piece.len()].copy_from_slice(piece);
            end_bytes += piece.len() as u64;
            rest = after;
            if end_bytes.is_multiple_of(WINDOW_BYTES) {
                self.window = None;
                self.start_write_back(end_bytes - WINDOW_BYTES);
            }
        }
        self.length_bytes = end_bytes;
        Ok(())
    }

    fn window_from(&mut self, offset_bytes: u64) -> Result<&mut MmapMut, IoError> {
        assert!(
            offset_bytes + WINDOW_BYTES <= self.allocation.bytes(),
            "a window outside the file"
        );
        match &mut self.window {
            Some(window) => Ok(window),
            closed @ None => {
                let mut options = MmapOptions::new();
                options.offset(offset_bytes).len(WINDOW_LENGTH);
                // SAFETY: nobody else changes these bytes while they are mapped: the file was
                // created exclusively for this segment, which has no second window; other code of
                // this crate reads files by system calls only; and the directory belongs to the
                // lock's holder.
                let map = unsafe { options.map_mut(&self.file) };
                let map = map.map_err(|source| IoError::from_call("map", &self.path, 0, source))?;
                Ok(closed.insert(map))
            }
        }
    }

    /// Asks for write-back of one full window, so that the sync at the end finds little left to do.
    fn start_write_back(&self, offset_bytes: u64) {
        let (Ok(offset), Ok(length)) = (
            libc::off64_t::try_from(offset_bytes),
            libc::off64_t::try_from(WINDOW_BYTES),
        ) else {
            return;
        };
        let file = self.file.as_raw_fd();
        // SAFETY: the call takes no memory, and the descriptor is open as long as `self.file`
        // lives.
        let _hint =
            unsafe { libc::sync_file_range(file, offset, length, libc::SYNC_FILE_RANGE_WRITE) };
        // Only a hint: a write-back error stays with the file until `fdatasync` reports it.
    }

    fn cut_and_sync(&mut self) -> io::Result<()> {
        self.allocation.cut(&self.file, self.length_bytes)?;
        self.file.sync_data()
    }
}

impl Segment for MappedSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.poison.check(&self.path)?;
        self.append_whole(bytes).inspect_err(|error| {
            if !error.is_full() {
                self.poison.set(error);
            }
        })
    }

    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.poison.check(&self.path)?;
        // Unmapped first: cutting a mapped file would leave pages that signal when touched.
        self.window = None;
        self.cut_and_sync()
            .map_err(|source| IoError::from_call("sync", &self.path, 0, source))
            .inspect_err(|error| self.poison.set(error))
    }
}
