//! Reserving disk ahead of use, so that a full disk is an error at a known place.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

use crate::IoError;

/// Reserves the byte range `range` of a file; `Ok(false)` where the file system cannot reserve.
///
/// With `FallocateFlags::empty()` the file grows to the end of the range, with `KEEP_SIZE` only its
/// disk blocks do. After an error some of the blocks may stay reserved until the file is cut.
pub(super) fn reserve(
    file: &File,
    path: &Path,
    range: Range<u64>,
    flags: FallocateFlags,
) -> Result<bool, IoError> {
    let needed_bytes = range.end - range.start;
    match retry_on_intr(|| fallocate(file, flags, range.start, needed_bytes)) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(errno) => {
            let source = io::Error::from(errno);
            Err(IoError::from_call(
                "reserve space for",
                path,
                needed_bytes,
                source,
            ))
        }
    }
}
