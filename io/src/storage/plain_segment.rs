//! A segment written by positioned writes: small files, and file systems that cannot reserve.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::Segment;
use super::poison::Poison;
use crate::IoError;

/// `length_bytes == size of the file` between calls; disk may be reserved beyond it.
#[derive(Debug)]
pub(super) struct PlainSegment {
    file: File,
    path: PathBuf,
    length_bytes: u64,
    reserved_bytes: u64,
    poison: Poison,
}

impl PlainSegment {
    /// Takes an empty file with `reserved_bytes` of disk kept beyond its end.
    pub(super) fn new(file: File, path: PathBuf, reserved_bytes: u64) -> Self {
        Self {
            file,
            path,
            length_bytes: 0,
            reserved_bytes,
            poison: Poison::default(),
        }
    }

    /// Takes back what a short write left, so that the file is again what it was.
    fn undo_append(&mut self, error: &IoError) {
        let cut = self.file.set_len(self.length_bytes);
        if cut.is_err() || !error.is_full() {
            self.poison.set(error);
        }
    }
}

impl Segment for PlainSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        self.poison.check(&self.path)?;
        let needed_bytes = bytes.len() as u64;
        self.file
            .write_all_at(bytes, self.length_bytes)
            .map_err(|source| IoError::from_call("append to", &self.path, needed_bytes, source))
            .inspect_err(|error| self.undo_append(error))?;
        self.length_bytes += needed_bytes;
        Ok(())
    }

    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn sync(&mut self) -> Result<(), IoError> {
        self.poison.check(&self.path)?;
        let has_surplus = self.reserved_bytes > self.length_bytes;
        let cut = if has_surplus {
            self.file.set_len(self.length_bytes)
        } else {
            Ok(())
        };
        cut.and_then(|()| self.file.sync_data())
            .map_err(|source| IoError::from_call("sync", &self.path, 0, source))
            .inspect_err(|error| self.poison.set(error))?;
        self.reserved_bytes = self.reserved_bytes.min(self.length_bytes);
        Ok(())
    }
}
