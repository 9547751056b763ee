//! The one recipe of atomic publication, written over the other operations of a storage.
//!
//! `staged <= data synced <= earlier names durable <= renamed <= durable`
//!
//! Every implementation uses this function, so a crash test over [`super::FaultyStorage`], where
//! each step counts as an operation of its own, walks the same steps that real files go through.

use std::io;
use std::path::PathBuf;

use super::{Storage, names};
use crate::IoError;

/// Makes `bytes` appear under `name` as a whole or not at all; see [`Storage::publish`].
pub(super) fn publish_whole(
    storage: &dyn Storage,
    name: &str,
    bytes: &[u8],
) -> Result<(), IoError> {
    names::check(name)?;
    let temporary = names::temporary(name);
    let renamed = stage(storage, &temporary, bytes)
        .and_then(|()| storage.sync_directory())
        .and_then(|()| storage.rename(&temporary, name));
    if let Err(error) = renamed {
        // The first failure is the one to report; a leftover is listed and replaced next time.
        let _ = storage.remove(&temporary);
        return Err(error);
    }
    storage
        .sync_directory()
        .map_err(|error| IoError::Undecided {
            path: PathBuf::from(storage.location()).join(name),
            source: source_of(error),
        })
}

fn stage(storage: &dyn Storage, temporary: &str, bytes: &[u8]) -> Result<(), IoError> {
    let mut segment = match storage.create(temporary, 0) {
        Err(IoError::Exists { .. }) => {
            storage.remove(temporary)?;
            storage.create(temporary, 0)?
        }
        created => created?,
    };
    segment.append(bytes)?;
    segment.sync()
}

fn source_of(error: IoError) -> io::Error {
    match error {
        IoError::File { source, .. } => source,
        other => io::Error::other(other),
    }
}
