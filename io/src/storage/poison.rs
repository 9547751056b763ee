//! Remembers the first failure of a segment, after which nothing may be written to it.

use std::path::Path;

use crate::IoError;

/// The first failure, once there was one.
#[derive(Debug, Default)]
pub(super) struct Poison {
    reason: Option<String>,
}

impl Poison {
    /// Refuses if an earlier call on `path` failed.
    pub(super) fn check(&self, path: &Path) -> Result<(), IoError> {
        match &self.reason {
            None => Ok(()),
            Some(reason) => Err(IoError::Poisoned {
                path: path.to_path_buf(),
                reason: reason.clone(),
            }),
        }
    }

    /// Refuses everything from now on; the first reason is kept.
    pub(super) fn set(&mut self, error: &IoError) {
        self.reason.get_or_insert_with(|| error.to_string());
    }
}
