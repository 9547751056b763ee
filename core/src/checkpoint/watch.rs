//! What the threads of a job leave for its handle.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::history::CheckpointHistory;
use super::listener::Listening;
use super::report::CheckpointReport;
use super::settings::CheckpointSettings;
use super::settings_record::InForce;
use crate::lock::locked;
use crate::shard::{JobProgress, StuckShard, unix_ms};
use crate::statistics::CheckpointStatistics;

/// What a crash at this moment would have to do again; it grows until the next checkpoint is
/// durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataAtRisk {
    /// Time since the newest durable checkpoint was requested, or since the start of the run.
    pub time: Duration,
    /// Records that sources have emitted since; those between the request and the barrier count
    /// although the checkpoint has them.
    pub record_count: u64,
    /// Checkpoints that were dropped since.
    pub failed_count: u32,
}

/// From where on data is at risk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RiskBase {
    pub(crate) since: Instant,
    pub(crate) record_count: u64,
    pub(crate) failed_count: u32,
}

/// Written by writer, restorer and coordinator, read by the handle; clones are the same.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) statistics: Arc<Mutex<CheckpointStatistics>>,
    pub(crate) newest: Arc<Mutex<Option<CheckpointReport>>>,
    pub(crate) history: CheckpointHistory,
    pub(crate) listening: Listening,
    stuck: Arc<Mutex<Vec<StuckShard>>>,
    standing: Arc<Mutex<Standing>>,
}

struct Standing {
    settings: InForce,
    progress: JobProgress,
    risk: RiskBase,
}

impl Watch {
    pub(crate) fn new(settings: CheckpointSettings, listening: Listening) -> Self {
        let standing = Standing {
            settings: InForce {
                settings,
                changed_unix_ms: None,
            },
            progress: JobProgress::new(0),
            risk: RiskBase::now(),
        };
        Self {
            statistics: Arc::new(Mutex::new(CheckpointStatistics::new())),
            newest: Arc::default(),
            history: CheckpointHistory::default(),
            listening,
            stuck: Arc::default(),
            standing: Arc::new(Mutex::new(standing)),
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        locked(&self.standing)
    }

    /// A run begins whose shards report to `progress`; gives the settings that it begins with.
    pub(crate) fn begin(&self, progress: JobProgress) -> CheckpointSettings {
        let mut standing = self.standing();
        standing.progress = progress;
        standing.risk = RiskBase::now();
        standing.settings.settings.clone()
    }

    /// Changes from where on data is at risk.
    pub(crate) fn cover(&self, change: impl FnOnce(&mut RiskBase)) {
        change(&mut self.standing().risk);
    }

    pub(crate) fn settings(&self) -> CheckpointSettings {
        self.standing().settings.settings.clone()
    }

    /// The same for a manifest.
    pub(crate) fn in_force(&self) -> InForce {
        self.standing().settings.clone()
    }

    /// The settings of this run, and of those that follow it.
    pub(crate) fn change_settings(&self, settings: CheckpointSettings) {
        self.standing().settings = InForce {
            settings,
            changed_unix_ms: Some(unix_ms()),
        };
    }

    /// Shards that stand still.
    pub(crate) fn stuck(&self) -> Vec<StuckShard> {
        locked(&self.stuck).clone()
    }

    pub(crate) fn set_stuck(&self, stuck: &[StuckShard]) {
        *locked(&self.stuck) = stuck.to_vec();
    }

    pub(crate) fn data_at_risk(&self) -> DataAtRisk {
        let standing = self.standing();
        let (record_count, _) = standing.progress.sum();
        let risk = standing.risk;
        DataAtRisk {
            time: risk.since.elapsed(),
            record_count: record_count.saturating_sub(risk.record_count),
            failed_count: risk.failed_count,
        }
    }
}

impl RiskBase {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            record_count: 0,
            failed_count: 0,
        }
    }
}
