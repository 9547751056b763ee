//! How far shards have come, for threads beside them: written once a turn, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One shard's words, on a cache line of their own (two: CPUs fetch them in pairs).
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct ShardProgress {
    record_count: AtomicU64,
    dirty_bytes: AtomicU64,
}

impl ShardProgress {
    /// Relaxed: the words stand for themselves, and a look at them may be a turn late.
    #[inline]
    pub(crate) fn report(&self, record_count: u64, dirty_bytes: u64) {
        self.record_count.store(record_count, Ordering::Relaxed);
        self.dirty_bytes.store(dirty_bytes, Ordering::Relaxed);
    }
}

/// All shards of a run.
#[derive(Clone)]
pub(crate) struct JobProgress(Arc<[ShardProgress]>);

impl JobProgress {
    pub(crate) fn new(shard_count: usize) -> Self {
        Self((0..shard_count).map(|_| ShardProgress::default()).collect())
    }

    pub(crate) fn of(&self, shard: usize) -> &ShardProgress {
        &self.0[shard]
    }

    /// Records that all sources have emitted since the run began, and bytes of state that wait to
    /// be written.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let shards = self.0.iter();
        shards.fold((0, 0), |(records, bytes), shard| {
            (
                records + shard.record_count.load(Ordering::Relaxed),
                bytes + shard.dirty_bytes.load(Ordering::Relaxed),
            )
        })
    }
}
