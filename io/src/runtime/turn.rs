//! What a pinned loop is: turns that never block, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What one turn of a pinned loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Work was done: turn again at once.
    Busy,
    /// There was nothing to do: the driver may spin, yield or park before the next turn.
    Idle,
    /// The loop has ended: it is dropped on its thread and never turned again.
    Done,
}

/// A loop that a driver turns until it is done.
///
/// A turn is short (well under a millisecond) and never blocks: it takes what is there and returns.
/// Whoever hands work to the loop rings its [`Bell`](super::Bell) afterwards; work from a source
/// that has no bell is seen after one park at the latest, see
/// [`spawn_pinned`](super::spawn_pinned).
pub trait PinnedLoop {
    /// Does one bounded piece of work.
    ///
    /// It is called once more after the loop was marked asleep; what it finds then is work that
    /// came too late for the turn before and too early to ring the bell.
    fn turn(&mut self) -> Turn;
}

/// How many turns a loop has made; clones read the same count.
#[derive(Clone, Debug, Default)]
pub struct TurnCounter(Arc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    count: AtomicU64,
    /// Whether the loop is parked after a long idle time, for longer than the others park.
    is_resting: AtomicBool,
}

impl TurnCounter {
    /// Turns so far. A count that stands still belongs to a loop that is parked, stuck in one turn,
    /// or ended.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    pub(super) fn is_resting(&self) -> bool {
        self.0.is_resting.load(Ordering::Relaxed)
    }

    pub(super) fn set_resting(&self, is_resting: bool) {
        self.0.is_resting.store(is_resting, Ordering::Relaxed);
    }

    /// Counts one turn. Only the loop's own thread calls this, so a load and a store replace the
    /// locked addition.
    pub(super) fn advance(&self) {
        let count = &self.0.count;
        count.store(
            count.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Relaxed,
        );
    }
}
