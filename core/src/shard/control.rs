//! What the helper threads tell all shards: a few words that every turn looks at.
//!
//! Each word is written by one helper thread; epochs only rise. A shard acts on what it reads at
//! any later time, so no other memory is published through them and relaxed order serves.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Commands to the shards of one job; 0 stands for "no epoch yet".
#[derive(Default)]
pub(crate) struct JobControl {
    requested: AtomicU64,
    last: AtomicU64,
    aborted: AtomicU64,
    durable: AtomicU64,
    patient: AtomicBool,
    sources_held: AtomicBool,
    drain: AtomicBool,
    exit: AtomicBool,
}

impl JobControl {
    /// Asks for a checkpoint; after a `last` one sources emit no record.
    pub(crate) fn request(&self, epoch: u64, last: bool) {
        if last {
            self.last.store(epoch, Ordering::Relaxed);
        }
        // Release pairs with the acquire in `requested`: a shard that sees the epoch sees whether
        // it is the last.
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
