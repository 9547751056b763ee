//! Which names a storage accepts, and the two that it keeps for itself.

use crate::IoError;

/// The file that carries a storage's lock; never listed, never accepted as a name.
pub(super) const LOCK_NAME: &str = "LOCK";

const TEMPORARY_PREFIX: &str = ".tmp-";

/// Linux allows 255 bytes for one part of a path; a temporary name must fit as well.
const PART_BYTES_MAX: usize = 255 - TEMPORARY_PREFIX.len();

/// Accepts `file` and `folder/file`, and nothing that could leave the root.
pub(super) fn check(name: &str) -> Result<(), IoError> {
    let part_is_valid = |part: &str| {
        let is_navigation = part.is_empty() || part == "." || part == "..";
        // A leftover temporary file must stay reachable, so its prefix does not count.
        let bare = part.strip_prefix(TEMPORARY_PREFIX).unwrap_or(part);
        !is_navigation && !part.contains('\0') && bare.len() <= PART_BYTES_MAX
    };
    let is_valid =
        name != LOCK_NAME && name.split('/').count() <= 2 && name.split('/').all(part_is_valid);
    if is_valid {
        Ok(())
    } else {
        Err(IoError::BadName {
            name: name.to_owned(),
        })
    }
}

/// The folder of a valid name; empty for the root.
pub(super) fn folder_of(name: &str) -> &str {
    name.split_once('/').map_or("", |(folder, _)| folder)
}

/// The name under which `name` is written before it is published: same folder, so that the rename
/// cannot cross file systems.
pub(super) fn temporary(name: &str) -> String {
    match name.split_once('/') {
        Some((folder, file)) => format!("{folder}/{TEMPORARY_PREFIX}{file}"),
        None => format!("{TEMPORARY_PREFIX}{name}"),
    }
}

/// True for the names that [`temporary`] makes.
pub(super) fn is_temporary(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|file| file.starts_with(TEMPORARY_PREFIX))
}
