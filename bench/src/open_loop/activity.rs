//! What the engine was doing when a record came out, as far as it can be seen from outside: when a
//! checkpoint was asked for, when its storage syncs and publishes, when it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long after the request of a checkpoint records count as after a barrier.
const AFTER_BARRIER_NS: u64 = 1_000_000;

/// What was going on beside records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// No checkpoint under way.
    Steady,
    /// The first millisecond after a checkpoint was asked for.
    AfterBarrier,
    /// Captured lines are taken and written.
    Capturing,
    /// The segment is synced and the manifest published.
    Syncing,
}

impl Activity {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [
        Self::Steady,
        Self::AfterBarrier,
        Self::Capturing,
        Self::Syncing,
    ];

    /// As in tags and tables, without blanks.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::AfterBarrier => "after-barrier",
            Self::Capturing => "capturing",
            Self::Syncing => "syncing",
        }
    }
}

/// Written by the trigger and the storage, read for each record; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<State>);

/// On lines of its own: it is read for each record.
#[derive(Debug, Default)]
#[repr(align(128))]
struct State {
    in_flight: AtomicBool,
    syncing: AtomicBool,
    requested_ns: AtomicU64,
}

impl Watch {
    pub(super) fn requested(&self, now_ns: u64) {
        self.0.requested_ns.store(now_ns, Ordering::Relaxed);
        self.0.in_flight.store(true, Ordering::Release);
    }

    pub(super) fn syncing(&self) {
        self.0.syncing.store(true, Ordering::Relaxed);
    }

    pub(super) fn over(&self) {
        self.0.in_flight.store(false, Ordering::Relaxed);
        self.0.syncing.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn at(&self, now_ns: u64) -> Activity {
        if !self.0.in_flight.load(Ordering::Acquire) {
            return Activity::Steady;
        }
        let since_request = now_ns.saturating_sub(self.0.requested_ns.load(Ordering::Relaxed));
        if since_request < AFTER_BARRIER_NS {
            Activity::AfterBarrier
        } else if self.0.syncing.load(Ordering::Relaxed) {
            Activity::Syncing
        } else {
            Activity::Capturing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_passes_through_all_activities() {
        let watch = Watch::default();
        assert_eq!(watch.at(5), Activity::Steady);
        watch.requested(10);
        assert_eq!(watch.at(999_999), Activity::AfterBarrier);
        assert_eq!(watch.at(1_000_010), Activity::Capturing);
        watch.syncing();
        assert_eq!(watch.at(1_000_010), Activity::Syncing);
        watch.over();
        assert_eq!(watch.at(2_000_000), Activity::Steady);
    }
}
