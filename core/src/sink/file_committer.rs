//! The committer of sinks that write files.

use frazil_io::staged::StagedFiles;
use frazil_io::storage::StorageLock;

use super::{Committer, Restored, SinkError};

/// The file-sink protocol with a checkpoint's number as the generation.
pub(super) struct FileCommitter {
    files: StagedFiles,
    _lock: Option<Box<dyn StorageLock>>,
}

impl FileCommitter {
    /// Holds `lock` as long as files may be written.
    pub(super) fn new(files: StagedFiles, lock: Option<Box<dyn StorageLock>>) -> Self {
        Self { files, _lock: lock }
    }
}

impl Committer for FileCommitter {
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        let restored = restored.map(|restored| (restored.checkpoint, restored.pre_commit));
        Ok(self.files.recover(restored)?)
    }

    fn check_fresh(&self) -> Result<(), SinkError> {
        Ok(self.files.check_fresh()?)
    }

    /// Later files are moved aside.
    fn can_retract(&self) -> bool {
        true
    }

    fn stage(&mut self, epoch: u64, rows: &[u8]) -> Result<(), SinkError> {
        Ok(self.files.stage(epoch, rows)?)
    }

    fn pre_commit(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(self.files.pre_commit(epoch)?)
    }

    fn commit(&mut self, epoch: u64) -> Result<(), SinkError> {
        Ok(self.files.commit(epoch)?)
    }
}
