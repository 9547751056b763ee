//! What all cells of a run share.

use crate::measure_error::MeasureError;
use crate::pairs::PairPlan;
use crate::workload::{JobSpec, Keys, RecordBytes};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shorter or longer, and where.
pub(super) struct Setting {
    pub(super) quick: bool,
    root: PathBuf,
    folder_count: Cell<u32>,
}

impl Setting {
    /// Work below a folder of our own in `directory`, emptied first.
    pub(super) fn new(directory: &Path, quick: bool) -> Result<Self, MeasureError> {
        let root = directory.join("ratios");
        if root.exists() {
            fs::remove_dir_all(&root).map_err(MeasureError::file("empty", &root))?;
        }
        fs::create_dir_all(&root).map_err(MeasureError::file("create", &root))?;
        Ok(Self {
            quick,
            root,
            folder_count: Cell::new(0),
        })
    }

    /// A folder that no other cell uses.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder_count.set(self.folder_count.get() + 1);
        self.root.join(self.folder_count.get().to_string())
    }

    pub(super) fn remove(&self, folder: &Path) -> Result<(), MeasureError> {
        fs::remove_dir_all(folder).map_err(MeasureError::file("remove", folder))
    }

    pub(super) fn plan(&self) -> PairPlan {
        PairPlan::new(self.quick)
    }

    /// The first if it is to be quick, else the second.
    pub(super) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Records of 64 bytes that make up `state_bytes`.
    pub(super) fn wide(&self, state_bytes: u64, checkpoints: Option<PathBuf>) -> JobSpec {
        JobSpec {
            keys: Keys::new(state_bytes / RecordBytes::SixtyFour.bytes()),
            record_bytes: RecordBytes::SixtyFour,
            checkpoints,
        }
    }

    /// One side of a pair of throughputs.
    pub(super) fn window(&self) -> Duration {
        self.pick(Duration::from_secs(2), Duration::from_secs(5))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // What is left over is in the way of nobody.
        let _ = fs::remove_dir_all(&self.root);
    }
}
