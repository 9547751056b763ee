//! Positioned reads of a complete file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::private_map::map_over_reservation;
use super::{PrivateMemory, ReadAt};
use crate::IoError;

/// A file that does not change any more; its length is taken once.
#[derive(Debug)]
pub(super) struct FileReader {
    file: File,
    path: PathBuf,
    length_bytes: u64,
}

impl FileReader {
    pub(super) fn open(path: PathBuf) -> Result<Self, IoError> {
        let opened = File::open(&path).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        match opened {
            Ok((file, metadata)) if metadata.is_file() => Ok(Self {
                file,
                path,
                length_bytes: metadata.len(),
            }),
            Ok(_) => Err(IoError::Missing { path }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(IoError::Missing { path })
            }
            Err(source) => Err(IoError::from_call("open", &path, 0, source)),
        }
    }

    fn short(&self, expected_bytes: u64, found_bytes: u64) -> IoError {
        IoError::Short {
            path: self.path.clone(),
            expected_bytes,
            found_bytes,
        }
    }
}

impl ReadAt for FileReader {
    fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), IoError> {
        let end_bytes = offset.saturating_add(buffer.len() as u64);
        if end_bytes > self.length_bytes {
            return Err(self.short(end_bytes, self.length_bytes));
        }
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|source| match source.kind() {
                // Somebody cut the file after it was opened.
                io::ErrorKind::UnexpectedEof => {
                    self.short(end_bytes, self.file.metadata().map_or(0, |now| now.len()))
                }
                _ => IoError::from_call("read", &self.path, 0, source),
            })
    }

    fn map_private(
        &self,
        file_bytes: usize,
        total_bytes: usize,
    ) -> Result<Option<PrivateMemory>, IoError> {
        map_over_reservation(&self.file, &self.path, file_bytes, total_bytes).map(Some)
    }
}
