//! What travels on a ring.

use frazil_state::KeyHash;

use crate::flow::{Record, RecordBatch};

/// Most records in one batch.
const BATCH_RECORDS_MAX: usize = 1024;
/// A batch takes no further record once it holds this many bytes.
const BATCH_BYTES_FULL: usize = 64 << 10;

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
    #[inline]
    pub(super) fn push(&mut self, hash: KeyHash, record: R::Ref<'_>, stamp_ns: u64) {
        self.stamp_ns = self.stamp_ns.min(stamp_ns);
        self.hashes.push(hash);
        self.records.push(record);
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.hashes.len() >= BATCH_RECORDS_MAX || self.records.byte_count() >= BATCH_BYTES_FULL
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
