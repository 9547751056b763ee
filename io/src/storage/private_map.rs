//! A private map of a file at the start of a larger reservation: copy-on-write memory whose content
//! comes from the file when it is first touched, with room behind it.
//!
//! What is written to it never reaches the file. Pages that were not written show the file, so it
//! must not change while it is mapped: the files of a storage do not once they are synced, and a
//! removed one lives on below its map. The length is checked first; a file that is cut afterwards,
//! against the contract, ends in a signal (SIGBUS).
#![expect(
    unsafe_code,
    reason = "a file map at a fixed address has no safe interface"
)]

use std::fs::File;
use std::path::Path;

use memmap2::MmapOptions;
use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::PrivateMemory;
use crate::IoError;

/// Reserves `total_bytes` of zeros and lays the first `file_bytes` of the file over their start.
///
/// # Panics
/// If the file's part is not a multiple of 4096 bytes or larger than the whole.
pub(super) fn map_over_reservation(
    file: &File,
    path: &Path,
    file_bytes: usize,
    total_bytes: usize,
) -> Result<PrivateMemory, IoError> {
    assert!(
        file_bytes.is_multiple_of(4096) && file_bytes <= total_bytes,
        "no place for file_bytes={file_bytes} in total_bytes={total_bytes}"
    );
    let failed = |source| IoError::from_call("map", path, 0, source);
    let mut reservation = reserved(total_bytes).map_err(failed)?;
    let found_bytes = file.metadata().map_err(failed)?.len();
    if found_bytes < file_bytes as u64 {
        return Err(IoError::Short {
            path: path.to_path_buf(),
            expected_bytes: file_bytes as u64,
            found_bytes,
        });
    }
    if file_bytes > 0 {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        let start = reservation.as_mut_ptr().cast();
        // SAFETY: the range lies inside `reservation`, which nobody else knows and which unmaps it
        // whole when it is dropped; the bytes are valid at any time, because the file is long
        // enough and does not change (see above).
        let mapped = unsafe { mmap(start, file_bytes, protection, flags, file, 0) };
        mapped.map_err(|errno| failed(errno.into()))?;
    }
    Ok(reservation)
}

/// Address space with zeros in it, which costs memory where it is touched.
pub(super) fn reserved(bytes: usize) -> std::io::Result<PrivateMemory> {
    MmapOptions::new().len(bytes).no_reserve_swap().map_anon()
}
