//! What travels on a ring.

use frazil_state::KeyHash;

use crate::flow::{Record, RecordBatch};
use crate::in_flight::Route;

/// Most records in one batch, where few shards share the memory.
const RECORDS_MAX: usize = 1024;
/// Fewest that a batch is made for: one run of a stage.
const RECORDS_MIN: usize = 64;
/// A batch takes no further record once its records have this many bytes each on average.
const BYTES_A_RECORD: usize = 64;
/// Memory for the batches of one exchange that one shard sends, shared by its targets. The same for
/// any number of shards: 64 shards have 256 MiB in all.
const SENDER_BYTES: usize = 4 << 20;
/// Batches between a pair of shards at least: one open, one spare, one on its way, one in hand.
const BATCHES_MIN: usize = 4;

/// How much one pair of shards can have under way, fixed when the rings are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchPlan {
    /// Batches that go back and forth.
    pub(super) batch_count: usize,
    /// Records after which a batch is full.
    pub(super) records_full: usize,
}

impl BatchPlan {
    /// For records of type `R` between one sender and each of `shard_count` shards; more than
    /// `useful_count` batches would not be used.
    pub(super) fn new<R: Record + ?Sized>(shard_count: usize, useful_count: usize) -> Self {
        let pair_bytes = SENDER_BYTES / shard_count;
        let mut records_full = RECORDS_MAX;
        while records_full > RECORDS_MIN
            && Self::batch_bytes::<R>(records_full) * BATCHES_MIN > pair_bytes
        {
            records_full /= 2;
        }
        let affordable = pair_bytes / Self::batch_bytes::<R>(records_full);
        Self {
            batch_count: affordable.min(useful_count).max(BATCHES_MIN),
            records_full,
        }
    }

    fn batch_bytes<R: Record + ?Sized>(records: usize) -> usize {
        let capacity = R::Batch::capacity_bytes(records, records * BYTES_A_RECORD);
        records * size_of::<KeyHash>() + capacity
    }
}

/// One message on one ring. The order on a ring is the order of the sender's records and barriers.
pub(crate) enum Message<R: Record + ?Sized> {
    /// Records, at least one.
    Batch(ExchangeBatch<R>),
    /// The records in front of it belong to this epoch or an earlier one.
    Barrier(u64),
    /// Nothing follows.
    End,
}

/// Records on their way to one shard, with their keys' hashes. Its memory is used again and again.
pub(crate) struct ExchangeBatch<R: Record + ?Sized> {
    /// When the earliest of the records entered the flow.
    pub(crate) stamp_ns: u64,
    /// One for each record.
    pub(crate) hashes: Vec<KeyHash>,
    /// The records.
    pub(crate) records: R::Batch,
}

impl<R: Record + ?Sized> Default for ExchangeBatch<R> {
    fn default() -> Self {
        Self {
            stamp_ns: u64::MAX,
            hashes: Vec::new(),
            records: R::Batch::default(),
        }
    }
}

impl<R: Record + ?Sized> ExchangeBatch<R> {
    /// An empty batch whose memory is there and was touched.
    pub(super) fn with_capacity(plan: BatchPlan) -> Self {
        let mut hashes = vec![KeyHash(u64::MAX); plan.records_full];
        hashes.clear();
        let bytes = plan.records_full * BYTES_A_RECORD;
        Self {
            hashes,
            records: R::Batch::with_capacity(plan.records_full, bytes),
            ..Self::default()
        }
    }

    #[inline]
    pub(super) fn push(&mut self, hash: KeyHash, record: R::Ref<'_>, stamp_ns: u64) {
        self.stamp_ns = self.stamp_ns.min(stamp_ns);
        self.hashes.push(hash);
        self.records.push(record);
    }

    #[inline]
    pub(super) fn is_full(&self, plan: BatchPlan) -> bool {
        self.hashes.len() >= plan.records_full
            || self.records.byte_count() >= plan.records_full * BYTES_A_RECORD
    }

    /// What tells where a record that was on its way to `shard` goes on after a restore.
    pub(super) fn route(&self, index: usize, route: Route, shard: u64) -> u64 {
        match route {
            Route::Key => self.hashes[index].0,
            Route::Shard | Route::EachShard => shard,
        }
    }

    /// Takes a record out of a checkpoint; false if the bytes are none.
    pub(crate) fn push_restored(&mut self, route: u64, record: &[u8]) -> bool {
        self.stamp_ns = 0;
        self.hashes.push(KeyHash(route));
        self.records.decode(record)
    }

    /// Records in it.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.stamp_ns = u64::MAX;
        self.hashes.clear();
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_sender_is_bounded_on_any_number_of_shards() {
        for shard_count in [1, 2, 3, 8, 64] {
            let text = BatchPlan::new::<str>(shard_count, 68);
            let numbers = BatchPlan::new::<u64>(shard_count, 68);
            for (plan, batch_bytes) in [
                (text, BatchPlan::batch_bytes::<str>(text.records_full)),
                (numbers, BatchPlan::batch_bytes::<u64>(numbers.records_full)),
            ] {
                assert!((BATCHES_MIN..=68).contains(&plan.batch_count), "{plan:?}");
                assert!(
                    plan.batch_count * batch_bytes * shard_count <= SENDER_BYTES,
                    "{plan:?}"
                );
            }
        }
    }

    #[test]
    fn batch_fills_to_its_plan_within_its_memory() {
        let plan = BatchPlan::new::<str>(64, 68);
        let mut batch = ExchangeBatch::<str>::with_capacity(plan);
        let room = batch.hashes.capacity();
        while !batch.is_full(plan) {
            batch.push(KeyHash(1), "a record of twenty-some bytes", 7);
        }
        assert_eq!(batch.hashes.capacity(), room);
        assert!(batch.records.byte_count() <= plan.records_full * BYTES_A_RECORD + 29);
    }
}
