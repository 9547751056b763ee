//! The one clock of a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Gives the processing time of all shards.
#[derive(Clone)]
pub(crate) enum Clock {
    /// The time of the machine at the start of the job, gone on from by its monotonic clock: it
    /// never goes back while the job runs.
    Machine { start_ms: u64 },
    /// Time as a test sets it.
    Logical(LogicalClock),
}

impl Clock {
    /// The machine's clock, for a job that starts now.
    pub(crate) fn machine() -> Self {
        Self::Machine {
            start_ms: unix_ms(),
        }
    }

    /// Milliseconds since 1970, `run_ns` after the start of the job.
    #[inline]
    pub(crate) fn now_ms(&self, run_ns: u64) -> u64 {
        match self {
            Self::Machine { start_ms } => start_ms + run_ns / 1_000_000,
            Self::Logical(clock) => clock.now_ms(),
        }
    }
}

/// Milliseconds since 1970 by the machine's clock.
pub(crate) fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since_1970.unwrap_or_default().as_millis();
    u64::try_from(ms).expect("some million years are left")
}

/// A clock that goes on only when a test says so; clones are the same clock.
#[doc(hidden)]
#[derive(Clone, Debug, Default)]
pub struct LogicalClock(Arc<AtomicU64>);

impl LogicalClock {
    /// The time, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}
