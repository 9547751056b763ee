//! A segment written by direct I/O: past the page cache, from an aligned buffer.
//!
//! `written <= length < written + BUFFER_BYTES`, `written` is a multiple of [`BLOCK_BYTES`], and
//! the buffer holds the bytes from `written` to `length`.
//!
//! The kernel takes whole blocks at whole block offsets from whole block addresses, and what is
//! appended is none of that: it is collected in the buffer, which is written when it is full. What
//! a sync finds in it is written with zeros up to the next block, and the file is cut to its length
//! behind it; the last, partial block stays in the buffer and is written again with what follows.
//!
//! Disk is allocated before bytes are taken, so a full disk is an error of `append`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{Advice, MmapMut};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, pwrite};

use super::Segment;
use super::allocation::Allocation;
use super::poison::Poison;
use crate::IoError;

/// Right for every disk: 512 is enough for most, 4Kn disks need this.
const BLOCK_BYTES: usize = 4096;
/// One huge page (2 MiB): the device sees it in one piece. Tried beside it: 2 small-page buffers of
/// 1 MiB in a vectored write, at twice the CPU time; 4 and 8 MiB, no faster.
const BUFFER_BYTES: usize = 2 << 20;
const _: () = assert!(BUFFER_BYTES.is_multiple_of(BLOCK_BYTES));

/// Buffers kept for the next segment: the writer's and the folder's. Giving them back to the system
/// would interrupt the cores of all shards, and taking new ones faults.
const POOLED_MAX: usize = 2;

/// Buffers of segments that are gone, for those to come.
#[derive(Debug, Clone, Default)]
pub(super) struct BufferPool(Arc<Mutex<Vec<MmapMut>>>);

impl BufferPool {
    fn take(&self) -> io::Result<MmapMut> {
        let mut pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = pooled.pop() {
            return Ok(buffer);
        }
        let buffer = MmapMut::map_anon(BUFFER_BYTES)?;
        // Where the kernel has no huge pages the call fails and small pages serve.
        let _ = buffer.advise(Advice::HugePage);
        Ok(buffer)
    }

    fn give(&self, buffer: MmapMut) {
        let mut pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pooled.len() < POOLED_MAX {
            pooled.push(buffer);
        }
    }
}

/// An exclusively created file that only this value writes.
#[derive(Debug)]
pub(super) struct DirectSegment {
    file: File,
    path: PathBuf,
    length_bytes: u64,
    written_bytes: u64,
    allocation: Allocation,
    /// `None` only while the segment is dropped.
    buffer: Option<MmapMut>,
    pool: BufferPool,
    poison: Poison,
}

/// Switches a file to direct I/O; false where the file system does not have it.
pub(super) fn switch_on(file: &File) -> bool {
    fcntl_getfl(file)
        .and_then(|flags| fcntl_setfl(file, flags | OFlags::DIRECT))
        .is_ok()
}

/// Switches a file back to writes through the page cache.
pub(super) fn switch_off(file: &File, path: &Path) -> Result<(), IoError> {
    fcntl_getfl(file)
        .and_then(|flags| fcntl_setfl(file, flags - OFlags::DIRECT))
        .map_err(|errno| IoError::from_call("write plainly to", path, 0, errno.into()))
}

impl DirectSegment {
    /// Takes an empty file that is switched to direct I/O, and the disk that it was given.
    pub(super) fn new(
        file: File,
        path: PathBuf,
        allocation: Allocation,
        pool: &BufferPool,
    ) -> Result<Self, IoError> {
        let buffer = pool
            .take()
            .map_err(|source| IoError::from_call("take memory to write", &path, 0, source))?;
        Ok(Self {
            file,
            path,
            length_bytes: 0,
            written_bytes: 0,
            allocation,
            buffer: Some(buffer),
            pool: pool.clone(),
            poison: Poison::default(),
        })
    }

    fn append_whole(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        let end_bytes = self.length_bytes + bytes.len() as u64;
        self.allocation.grow(&self.file, &self.path, end_bytes)?;
        let mut rest = bytes;
        let mut filled = self.buffered();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(BUFFER_BYTES - filled));
            self.buffer_mut()[filled..filled + piece.len()].copy_from_slice(piece);
            filled += piece.len();
            rest = after;
            if filled == BUFFER_BYTES {
                self.write_blocks(BUFFER_BYTES)
                    .map_err(|source| self.failed("append to", source))?;
                self.written_bytes += BUFFER_BYTES as u64;
                filled = 0;
            }
        }
        self.length_bytes = end_bytes;
        Ok(())
    }

    /// A failed write of bytes that had their disk is no full disk, whatever the system calls it:
    /// what was taken before is lost, and the segment with it.
    fn failed(&self, action: &'static str, source: io::Error) -> IoError {
        IoError::File {
            action,
            path: self.path.clone(),
            source,
        }
    }

    fn buffered(&self) -> usize {
        usize::try_from(self.length_bytes - self.written_bytes).expect("less than the buffer")
    }

    fn buffer_mut(&mut self) -> &mut [u8] {
        self.buffer.as_mut().expect("taken only by drop")
    }

    /// Writes the first `length` buffered bytes, whole blocks, to where they belong.
    fn write_blocks(&self, length: usize) -> io::Result<()> {
        let buffer = self.buffer.as_ref().expect("taken only by drop");
        let file = &self.file;
        write_all(&buffer[..length], self.written_bytes, |bytes, offset| {
            match pwrite(file, bytes, offset) {
                // It took the switch and refuses the write: the same bytes go the plain way.
                Err(Errno::INVAL) if is_direct(file)? => {
                    tracing::warn!("the file system refuses direct writes; writing plainly");
                    fcntl_setfl(file, fcntl_getfl(file)? - OFlags::DIRECT)?;
                    pwrite(file, bytes, offset)
                }
                written => written,
            }
        })
    }

    /// Writes the rest padded to a block, cuts the padding off, and syncs.
    fn write_and_sync(&mut self) -> io::Result<()> {
        let filled = self.buffered();
        let padded = filled.next_multiple_of(BLOCK_BYTES);
        let whole = filled / BLOCK_BYTES * BLOCK_BYTES;
        self.buffer_mut()[filled..padded].fill(0);
        self.write_blocks(padded)?;
        self.buffer_mut().copy_within(whole..padded, 0);
        self.written_bytes += whole as u64;
        self.allocation.cut(&self.file, self.length_bytes)?;
        self.file.sync_data()
    }
}

fn is_direct(file: &File) -> Result<bool, Errno> {
    Ok(fcntl_getfl(file)?.contains(OFlags::DIRECT))
}

/// Writes whole blocks at `offset`, over interruptions and short writes. A write that ends inside a
/// block is repeated from that block's start: direct I/O takes no other.
fn write_all(
    mut bytes: &[u8],
    mut offset: u64,
    mut write: impl FnMut(&[u8], u64) -> Result<usize, Errno>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = match write(bytes, offset) {
            Ok(written) => written / BLOCK_BYTES * BLOCK_BYTES,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

impl Segment for DirectSegment {
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
        self.write_and_sync()
            .map_err(|source| self.failed("sync", source))
            .inspect_err(|error| self.poison.set(error))
    }
}

impl Drop for DirectSegment {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_and_short_writes_go_on_at_a_block() {
        let bytes: Vec<u8> = (0..8 * BLOCK_BYTES)
            .map(|index| (index / 100 % 251).to_le_bytes()[0])
            .collect();
        let mut disk = vec![0; bytes.len() + BLOCK_BYTES];
        // Interrupted, inside the second block, one block, two and a piece, the rest.
        let mut lengths = [None, Some(5000), Some(4096), Some(8192 + 512)]
            .into_iter()
            .chain(std::iter::repeat(Some(usize::MAX)));
        write_all(&bytes, BLOCK_BYTES as u64, |whole, offset| {
            let at = usize::try_from(offset).unwrap();
            assert!(at.is_multiple_of(BLOCK_BYTES));
            let Some(most) = lengths.next().flatten() else {
                return Err(Errno::INTR);
            };
            let taken = whole.len().min(most);
            disk[at..at + taken].copy_from_slice(&whole[..taken]);
            Ok(taken)
        })
        .unwrap();
        assert!(disk[BLOCK_BYTES..] == bytes, "the bytes differ");
    }

    #[test]
    fn a_write_that_takes_nothing_or_fails_is_an_error() {
        let block = [1; BLOCK_BYTES];
        let nothing = write_all(&block, 0, |_, _| Ok(100)).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WriteZero);
        let failed = write_all(&block, 0, |_, _| Err(Errno::IO)).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(Errno::IO.raw_os_error()));
    }
}
