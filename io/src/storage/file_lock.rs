//! The lock of a directory: `flock` on its `LOCK` file, which holds the process id as text.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::StorageLock;
use super::names::LOCK_NAME;
use crate::IoError;

/// The kernel releases the lock when this handle closes, however the process ends; the text may
/// outlive the lock and is read only after a conflict.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl StorageLock for FileLock {}

/// Locks the directory `root`, or names the process that holds it.
pub(super) fn lock_directory(root: &Path) -> Result<FileLock, IoError> {
    let path = root.join(LOCK_NAME);
    let failed = |source: io::Error| IoError::from_call("lock", &path, 0, source);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            return Err(IoError::Locked {
                path: root.to_path_buf(),
                holder: holder(&mut file),
            });
        }
        Err(errno) => return Err(failed(errno.into())),
    }
    file.set_len(0).map_err(failed)?;
    write!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(FileLock { _file: file })
}

/// The holder writes its id just after it took the lock, so the text may still be missing.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let is_known = file.read_to_string(&mut text).is_ok() && text.trim().parse::<u32>().is_ok();
    if is_known {
        text.trim().to_owned()
    } else {
        "unknown".to_owned()
    }
}
