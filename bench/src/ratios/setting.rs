//! What all cells of a run share.

use crate::measure_error::MeasureError;
use crate::open_loop::Overhead;
use crate::pairs::PairPlan;
use crate::scratch::Scratch;
use crate::workload::{Engine, JobSpec, Keys, RecordBytes};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shorter or longer, and where.
pub(super) struct Setting {
    pub(super) quick: bool,
    scratch: Scratch,
    kept: RefCell<Vec<(String, Overhead)>>,
}

impl Setting {
    /// Work below a folder of our own in `directory`, emptied first.
    pub(super) fn new(directory: &Path, quick: bool) -> Result<Self, MeasureError> {
        Ok(Self {
            quick,
            scratch: Scratch::new(directory, "ratios")?,
            kept: RefCell::default(),
        })
    }

    /// A folder that no other cell uses.
    pub(super) fn folder(&self) -> PathBuf {
        self.scratch.folder()
    }

    pub(super) fn remove(&self, folder: &Path) -> Result<(), MeasureError> {
        self.scratch.remove(folder)
    }

    /// Keeps the latencies of the ratio called `id` for the report.
    pub(super) fn keep(&self, id: &str, overhead: Overhead) {
        self.kept.borrow_mut().push((id.to_owned(), overhead));
    }

    /// What was kept.
    pub(super) fn into_kept(self) -> Vec<(String, Overhead)> {
        self.kept.into_inner()
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
            checkpoints: checkpoints.map(Into::into),
            engine: Engine::default(),
        }
    }

    /// One side of a pair of throughputs.
    pub(super) fn window(&self) -> Duration {
        self.pick(Duration::from_secs(2), Duration::from_secs(5))
    }
}
