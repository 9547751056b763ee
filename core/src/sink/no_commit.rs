//! The committer of sinks without rows.

use super::{Committer, Restored, SinkError};

/// Has nothing staged, so there is nothing to commit.
pub(super) struct NothingToCommit;

impl Committer for NothingToCommit {
    fn recover(&mut self, _restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        Ok(())
    }

    /// Nothing is ever committed: no fall-back need be refused because of this sink.
    fn can_retract(&self) -> bool {
        true
    }

    fn stage(&mut self, _epoch: u64, rows: &[u8]) -> Result<(), SinkError> {
        assert!(
            rows.is_empty(),
            "a sink without rows got {} bytes",
            rows.len()
        );
        Ok(())
    }

    fn pre_commit(&mut self, _epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _epoch: u64) -> Result<(), SinkError> {
        Ok(())
    }
}
