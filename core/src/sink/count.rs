//! Only the number of records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::no_commit::NothingToCommit;
use super::{Committer, Sink, SinkError, SinkWriter};
use crate::flow::Record;
use crate::lock::locked;

/// Counts records and forgets them; clones share the count.
///
/// At-least-once: after a crash in the same process the records since the restored checkpoint count
/// again.
///
/// # Examples
/// ```
/// use frazil::{Count, Sink, SinkWriter};
///
/// let counted = Count::new();
/// // In the flow: `.sink(counted.clone())`. What a shard does with it:
/// let mut writer = Sink::<str>::writer(&counted)?;
/// SinkWriter::<str>::write(&mut writer, "ice", &mut Vec::new())?;
/// assert_eq!(counted.get(), 1);
/// # Ok::<(), frazil::SinkError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Count {
    counters: Arc<Mutex<Vec<Arc<Counter>>>>,
}

/// One shard's count. Two cache lines of its own (processors fetch pairs), so that shards do not
/// wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter(AtomicU64);

impl Count {
    /// Counts from zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of records so far, of all shards.
    #[must_use]
    pub fn get(&self) -> u64 {
        locked(&self.counters)
            .iter()
            .map(|counter| counter.0.load(Ordering::Relaxed))
            .sum()
    }
}

impl<R: Record + ?Sized> Sink<R> for Count {
    type Writer = CountWriter;

    fn name(&self) -> String {
        "count".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(NothingToCommit))
    }

    fn writer(&self) -> Result<CountWriter, SinkError> {
        let counter = Arc::<Counter>::default();
        locked(&self.counters).push(Arc::clone(&counter));
        Ok(CountWriter { counter })
    }
}

/// Counts the records of one shard for a [`Count`].
#[derive(Debug)]
pub struct CountWriter {
    counter: Arc<Counter>,
}

impl<R: Record + ?Sized> SinkWriter<R> for CountWriter {
    #[inline]
    fn write(&mut self, _record: R::Ref<'_>, _rows: &mut Vec<u8>) -> Result<(), SinkError> {
        // The only writer of this counter: a plain load and store are enough, and cheaper than an
        // add.
        let count = self.counter.0.load(Ordering::Relaxed);
        self.counter.0.store(count + 1, Ordering::Relaxed);
        Ok(())
    }
}
