//! What every contestant does.

use crate::measure_error::MeasureError;
use crate::probe::threads::own_cpu_ns;
use std::time::{Duration, Instant};

/// Updates between two looks at the clock.
pub(super) const EVENTS_TIMED: u64 = 16 << 10;

/// What one turn showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) events: u64,
    pub(super) seconds: f64,
    /// CPU time of the thread that does the work.
    pub(super) worker_ns: u64,
    /// CPU time of threads that work for it.
    pub(super) helper_ns: u64,
}

impl Turn {
    /// Worker and helpers, in ns an event.
    pub(super) fn cpu_ns_per_event(&self) -> f64 {
        (self.worker_ns + self.helper_ns) as f64 / self.events.max(1) as f64
    }
}

/// Counts uniform keys, each of which it has counted once before its first turn.
pub(super) trait Contestant {
    /// What it is, in a few words.
    fn name(&self) -> &'static str;

    /// Counts keys for `duration`.
    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError>;
}

/// Calls `work`, which gives how many events it did, for `duration` on this thread.
pub(super) fn on_this_thread(
    duration: Duration,
    mut work: impl FnMut() -> Result<u64, MeasureError>,
) -> Result<Turn, MeasureError> {
    let (begun, begun_ns) = (Instant::now(), own_cpu_ns());
    let mut events = 0;
    while begun.elapsed() < duration {
        events += work()?;
    }
    Ok(Turn {
        events,
        seconds: begun.elapsed().as_secs_f64(),
        worker_ns: own_cpu_ns() - begun_ns,
        helper_ns: 0,
    })
}
