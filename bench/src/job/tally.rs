//! How far a running job has come, readable at any time without disturbing it.

use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the text and the identifiers that a job has taken since its process started.
///
/// Text is counted as the engine shows it: a line's end is one byte whether it was written as
/// `\n`, `\r\n` or not at all, and a wrong byte counts as the U+FFFD in its place.
///
/// ```
/// use frazil_bench::job::Tally;
///
/// let tally = Tally::default();
/// let counter = tally.counter();
/// counter.add_line("let x", 2);
/// assert_eq!((tally.read().bytes, tally.read().identifiers), (6, 2));
/// ```
#[derive(Debug, Default)]
pub struct Tally {
    counters: Mutex<Vec<TallyCounter>>,
}

/// One shard's part of a [`Tally`].
#[derive(Clone, Debug, Default)]
pub struct TallyCounter(Arc<Counts>);

/// Two cache lines of its own (processors fetch pairs), so that shards do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
    bytes: AtomicU64,
    identifiers: AtomicU64,
}

/// What was counted up to one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// Text, in bytes.
    pub bytes: u64,
    /// Identifiers.
    pub identifiers: u64,
}

impl Tally {
    /// A counter for one shard.
    #[must_use]
    pub fn counter(&self) -> TallyCounter {
        let counter = TallyCounter::default();
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.push(counter.clone());
        counter
    }

    /// The sums over all shards.
    #[must_use]
    pub fn read(&self) -> Tallied {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: sums to look at, which order nothing else.
        let sum = |of: fn(&Counts) -> &AtomicU64| {
            let values = counters.iter().map(|c| of(&c.0).load(Ordering::Relaxed));
            values.sum()
        };
        Tallied {
            bytes: sum(|counts| &counts.bytes),
            identifiers: sum(|counts| &counts.identifiers),
        }
    }
}

impl TallyCounter {
    /// Adds one line and the number of identifiers in it; one thread at a time may do so.
    ///
    /// # Cost
    ///
    /// Two loads and two stores in a cache line that is the shard's own.
    #[inline]
    pub fn add_line(&self, line: &str, identifier_count: usize) {
        let add = |counter: &AtomicU64, more: u64| {
            let count = counter.load(Ordering::Relaxed);
            counter.store(count + more, Ordering::Relaxed);
        };
        add(&self.0.bytes, line.len() as u64 + 1);
        add(&self.0.identifiers, identifier_count as u64);
    }
}

impl Sub for Tallied {
    type Output = Self;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            bytes: self.bytes - earlier.bytes,
            identifiers: self.identifiers - earlier.identifiers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_the_counters_of_all_shards() {
        let tally = Tally::default();
        let counters = [tally.counter(), tally.counter()];
        let before = tally.read();
        assert_eq!(before, Tallied::default());
        counters[0].add_line("a b", 2);
        counters[1].add_line("", 0);
        counters[1].add_line("c", 1);
        let expected = Tallied {
            bytes: 7,
            identifiers: 3,
        };
        assert_eq!(tally.read() - before, expected);
    }
}
