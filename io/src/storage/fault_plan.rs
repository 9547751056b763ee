//! Which operations of a faulty storage fail, and the count that decides it.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::random::SplitMix64;
use crate::IoError;

/// Which operations of a [`super::FaultyStorage`] fail, and how; the faults can be combined.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    crash_at: Option<u64>,
    full_during: Range<u64>,
    fail_sync_at: Option<u64>,
    seed: u64,
}

impl FaultPlan {
    /// Nothing fails; operations are only counted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Operation `operation` is torn (an append takes a part of its bytes, anything else happens or
    /// does not) and fails, as does everything after it: the process is gone.
    #[must_use]
    pub fn crash_at(self, operation: u64) -> Self {
        Self {
            crash_at: Some(operation),
            ..self
        }
    }

    /// Creations and appends among these operations find the disk full and change nothing.
    #[must_use]
    pub fn full_during(self, operations: Range<u64>) -> Self {
        Self {
            full_during: operations,
            ..self
        }
    }

    /// Operation `operation` fails without effect if it is a segment's sync, which poisons the
    /// segment, or a `sync_directory`; as the last step of a publish it leaves that undecided.
    #[must_use]
    pub fn fail_sync_at(self, operation: u64) -> Self {
        Self {
            fail_sync_at: Some(operation),
            ..self
        }
    }

    /// Another seed tears the crashing operation at another place.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// The plan and how far it has come; shared by a storage and its segments.
pub(super) struct Faults {
    plan: FaultPlan,
    operations: AtomicU64,
}

/// What a fault can do to an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Grows { needed_bytes: u64 },
    Syncs,
    Names,
}

pub(super) enum Fate {
    Works,
    Fails(IoError),
    /// Crashes now, torn as the dice say.
    Torn(SplitMix64, IoError),
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self {
            plan,
            operations: AtomicU64::new(0),
        }
    }

    /// Operations so far, failed ones included.
    pub(super) fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    /// Counts one operation and decides it.
    pub(super) fn next(&self, action: &'static str, path: &Path, kind: Kind) -> Fate {
        let operation = self.operations.fetch_add(1, Ordering::SeqCst);
        let failed = |reason: &str| IoError::File {
            action,
            path: path.to_path_buf(),
            source: io::Error::other(reason),
        };
        if let Some(crash_at) = self.plan.crash_at.filter(|crash_at| *crash_at <= operation) {
            let crashed = failed("crashed");
            let dice = SplitMix64::new(self.plan.seed ^ operation.rotate_left(32));
            return if crash_at == operation {
                Fate::Torn(dice, crashed)
            } else {
                Fate::Fails(crashed)
            };
        }
        match kind {
            Kind::Grows { needed_bytes } if self.plan.full_during.contains(&operation) => {
                Fate::Fails(IoError::Full {
                    action,
                    path: path.to_path_buf(),
                    needed_bytes,
                })
            }
            Kind::Syncs if self.plan.fail_sync_at == Some(operation) => {
                Fate::Fails(failed("the device failed to sync"))
            }
            Kind::Grows { .. } | Kind::Syncs | Kind::Names => Fate::Works,
        }
    }

    /// Runs an operation that happens as a whole or not at all.
    pub(super) fn run<T>(
        &self,
        action: &'static str,
        path: &Path,
        kind: Kind,
        work: impl FnOnce() -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        match self.next(action, path, kind) {
            Fate::Works => work(),
            Fate::Fails(error) => Err(error),
            Fate::Torn(mut dice, crashed) => {
                if dice.coin() {
                    // The process that would see the result is gone.
                    let _ = work();
                }
                Err(crashed)
            }
        }
    }

    /// Refuses reads after the crash.
    pub(super) fn check_alive(&self, action: &'static str, path: &Path) -> Result<(), IoError> {
        let operations = self.operations.load(Ordering::SeqCst);
        if self
            .plan
            .crash_at
            .is_some_and(|crash_at| crash_at < operations)
        {
            let source = io::Error::other("crashed");
            return Err(IoError::File {
                action,
                path: path.to_path_buf(),
                source,
            });
        }
        Ok(())
    }
}
