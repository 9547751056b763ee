//! What a query gave: how many rows, and a sum over them that does not depend on their order.

use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that came out, equal for equal rows in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: u64,
    /// The rows' hashes added up.
    pub(super) sum: u64,
}

impl Rows {
    pub(super) fn add(&mut self, row: &impl Hash) {
        let mut hasher = FxHasher::default();
        row.hash(&mut hasher);
        self.count += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }
}

/// Takes the rows of all shards; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// False where rows are only counted, as cheaply as may be.
    is_checked: bool,
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
}

/// One shard's rows.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    count: AtomicU64,
    sum: AtomicU64,
}

impl Output {
    pub(super) fn new(is_checked: bool) -> Self {
        Self {
            is_checked,
            slots: Arc::default(),
        }
    }

    /// Takes the rows of one shard; references to hashed things hash as these do.
    pub(super) fn taker(&self) -> Taker {
        let slot = Arc::<Slot>::default();
        let slots = self.slots.lock();
        slots
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&slot));
        Taker {
            is_checked: self.is_checked,
            slot,
        }
    }

    /// What was taken so far.
    pub(super) fn rows(&self) -> Rows {
        let slots = self.slots.lock();
        let mut rows = Rows::default();
        for slot in &*slots.unwrap_or_else(PoisonError::into_inner) {
            rows.count += slot.count.load(Ordering::Relaxed);
            rows.sum = rows.sum.wrapping_add(slot.sum.load(Ordering::Relaxed));
        }
        rows
    }
}

pub(super) struct Taker {
    is_checked: bool,
    slot: Arc<Slot>,
}

impl Taker {
    #[inline]
    pub(super) fn take(&self, row: &impl Hash) {
        // The shard is the slot's only writer.
        let count = self.slot.count.load(Ordering::Relaxed);
        self.slot.count.store(count + 1, Ordering::Relaxed);
        if self.is_checked {
            let mut rows = Rows::default();
            rows.add(row);
            let sum = self.slot.sum.load(Ordering::Relaxed);
            let sum = sum.wrapping_add(rows.sum);
            self.slot.sum.store(sum, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_shards_do_not_matter_and_every_row_does() {
        let sum = |rows: &[(u64, &str)]| {
            let mut sum = Rows::default();
            rows.iter().for_each(|row| sum.add(row));
            sum
        };
        let rows = [(1, "a"), (2, "b"), (2, "b")];
        let output = Output::new(true);
        let (one, other) = (output.taker(), output.taker());
        one.take(&rows[2]);
        other.take(&rows[1]);
        one.take(&rows[0]);
        assert_eq!(output.rows(), sum(&rows));
        assert_ne!(sum(&rows[..2]), sum(&rows));
        assert_ne!(sum(&[(1, "b"), (2, "a"), (2, "b")]), sum(&rows));
    }
}
