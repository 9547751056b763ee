//! What the threads of a job leave for its handle.

use std::sync::{Arc, Mutex};

use super::history::CheckpointHistory;
use super::report::CheckpointReport;
use crate::statistics::CheckpointStatistics;

/// Written by writer, restorer and coordinator, read by the handle; clones are the same.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) statistics: Arc<Mutex<CheckpointStatistics>>,
    pub(crate) newest: Arc<Mutex<Option<CheckpointReport>>>,
    pub(crate) history: CheckpointHistory,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            statistics: Arc::new(Mutex::new(CheckpointStatistics::new())),
            newest: Arc::default(),
            history: CheckpointHistory::default(),
        }
    }
}
