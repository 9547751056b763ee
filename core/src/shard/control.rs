//! What the helper threads tell all shards: a few words that every turn looks at.
//!
//! Each word is written by one helper thread; epochs only rise. A shard acts on what it reads at
//! any later time, so no other memory is published through them and relaxed order serves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::statistics::nanos;

/// A barrier that overtakes nothing.
const NEVER: u64 = u64::MAX;

/// Commands to the shards of one job; 0 stands for "no epoch yet".
#[derive(Default)]
pub(crate) struct JobControl {
    requested: AtomicU64,
    last: AtomicU64,
    overtake_after_ns: AtomicU64,
    align_next: AtomicBool,
    aborted: AtomicU64,
    durable: AtomicU64,
    patient: AtomicBool,
    sources_held: AtomicBool,
    drain: AtomicBool,
    exit: AtomicBool,
}

impl JobControl {
    /// Asks for a checkpoint; after a `last` one sources emit no record. Its barrier overtakes
    /// records after `overtake_after`, `None` = never; that of a last one never does.
    pub(crate) fn request(&self, epoch: u64, last: bool, overtake_after: Option<Duration>) {
        if last {
            self.last.store(epoch, Ordering::Relaxed);
        }
        let is_aligned = self.align_next.swap(false, Ordering::Relaxed) || last;
        let after = overtake_after.filter(|_| !is_aligned);
        let after_ns = after.map_or(NEVER, |after| nanos(after).min(NEVER - 1));
        self.overtake_after_ns.store(after_ns, Ordering::Relaxed);
        // Release pairs with the acquire in `requested`: a shard that sees the epoch sees what was
        // said of it. No other epoch is requested before all shards are through with this one.
        self.requested.store(epoch, Ordering::Release);
    }

    /// The newest requested epoch, and whether it is the last.
    pub(crate) fn requested(&self) -> (u64, bool) {
        // Acquire: see `request`.
        let epoch = self.requested.load(Ordering::Acquire);
        (
            epoch,
            epoch != 0 && self.last.load(Ordering::Relaxed) == epoch,
        )
    }

    /// Has the next request's barrier overtake nothing.
    pub(crate) fn align_next(&self) {
        self.align_next.store(true, Ordering::Relaxed);
    }

    /// How long the barrier of the newest requested epoch waits before it overtakes; `None` = for
    /// ever.
    pub(crate) fn overtake_after(&self) -> Option<Duration> {
        let after_ns = self.overtake_after_ns.load(Ordering::Relaxed);
        (after_ns != NEVER).then(|| Duration::from_nanos(after_ns))
    }

    /// Gives up epoch `epoch`.
    pub(crate) fn abort(&self, epoch: u64) {
        self.aborted.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn is_aborted(&self, epoch: u64) -> bool {
        self.aborted.load(Ordering::Relaxed) >= epoch
    }

    /// Checkpoint `epoch` is durable.
    pub(crate) fn make_durable(&self, epoch: u64) {
        self.durable.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn is_durable(&self, epoch: u64) -> bool {
        self.durable.load(Ordering::Relaxed) >= epoch
    }

    /// Lets shards wait for their capture instead of declining, from the next barrier on.
    pub(crate) fn be_patient(&self) {
        self.patient.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_patient(&self) -> bool {
        self.patient.load(Ordering::Relaxed)
    }

    /// Lets sources give no records from the next turn on, or give them again.
    pub(crate) fn hold_sources(&self, held: bool) {
        self.sources_held.store(held, Ordering::Relaxed);
    }

    pub(crate) fn holds_sources(&self) -> bool {
        self.sources_held.load(Ordering::Relaxed)
    }

    /// Lets all sources end where they are.
    pub(crate) fn drain(&self) {
        self.drain.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.load(Ordering::Relaxed)
    }

    /// Ends all shard loops.
    pub(crate) fn exit(&self) {
        self.exit.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_exiting(&self) -> bool {
        self.exit.load(Ordering::Relaxed)
    }
}
