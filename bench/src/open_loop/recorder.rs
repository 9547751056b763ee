//! Latencies by activity, recorded on every shard without waiting for another.

use super::activity::{Activity, Watch};
use crate::probe::hiccups::nanos;
use hdrhistogram::Histogram;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Longer latencies, in ns, count as ten minutes.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Latencies in ns, by what was going on when the record came out.
#[derive(Clone, Debug)]
pub struct Latencies([Histogram<u64>; 4]);

impl Default for Latencies {
    fn default() -> Self {
        Self(Activity::ALL.map(|_| new_histogram()))
    }
}

impl Latencies {
    /// Those during one activity.
    #[must_use]
    pub fn during(&self, activity: Activity) -> &Histogram<u64> {
        &self.0[activity as usize]
    }

    /// All together.
    #[must_use]
    pub fn all(&self) -> Histogram<u64> {
        let mut all = new_histogram();
        for histogram in &self.0 {
            all += histogram;
        }
        all
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (into, from) in self.0.iter_mut().zip(&other.0) {
            if !from.is_empty() {
                *into += from;
            }
        }
    }

    /// Empties all of them, and touches their memory even where they are empty.
    fn clear(&mut self) {
        self.0.iter_mut().for_each(Histogram::reset);
    }
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are valid")
}

/// What all shards' recorders share; clones are the same.
#[derive(Clone)]
pub(super) struct Recording {
    pub(super) start: Instant,
    pub(super) watch: Watch,
    slots: Arc<Mutex<Vec<Arc<Slot>>>>,
}

/// What one shard's recorder has seen.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    /// All events that came out, timed or not; written by one shard.
    completed: AtomicU64,
    latencies: Mutex<Latencies>,
    /// Empty between two calls of [`Recording::take`]; shards never wait for it. The two are
    /// exchanged and never freed, so that a shard meets no page that was not touched before.
    spare: Mutex<Latencies>,
}

impl Recording {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            watch: Watch::default(),
            slots: Arc::default(),
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    /// A recorder for one shard.
    pub(super) fn recorder(&self) -> Recorder {
        let slot = Arc::<Slot>::default();
        locked(&slot.latencies).clear();
        locked(&slot.spare).clear();
        locked(&self.slots).push(Arc::clone(&slot));
        Recorder {
            recording: self.clone(),
            slot,
        }
    }

    /// What was recorded since the last call.
    pub(super) fn take(&self) -> Latencies {
        let mut total = Latencies::default();
        for slot in &*locked(&self.slots) {
            let mut taken = locked(&slot.spare);
            mem::swap(&mut *locked(&slot.latencies), &mut *taken);
            total.add(&taken);
            taken.clear();
        }
        total
    }

    /// Events that came out so far.
    pub(super) fn completed(&self) -> u64 {
        let slots = locked(&self.slots);
        let completed = slots
            .iter()
            .map(|slot| slot.completed.load(Ordering::Relaxed));
        completed.sum()
    }
}

/// Records for one shard; its lock is free but for the moment of [`Recording::take`].
pub(super) struct Recorder {
    recording: Recording,
    slot: Arc<Slot>,
}

impl Recorder {
    /// An event came out that was due at `due_ns`; it is counted only if that is zero.
    #[inline]
    pub(super) fn completed(&self, due_ns: u64) {
        // No other thread writes it.
        let completed = self.slot.completed.load(Ordering::Relaxed) + 1;
        self.slot.completed.store(completed, Ordering::Relaxed);
        if due_ns > 0 {
            self.record(due_ns);
        }
    }

    fn record(&self, due_ns: u64) {
        let now_ns = self.recording.now_ns();
        let activity = self.recording.watch.at(now_ns);
        let latency_ns = now_ns.saturating_sub(due_ns);
        locked(&self.slot.latencies).0[activity as usize].saturating_record(latency_ns);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_go_to_the_activity_of_their_end_and_are_taken_once() {
        let recording = Recording::new(Instant::now());
        let (one, other) = (recording.recorder(), recording.recorder());
        one.completed(1);
        recording.watch.requested(recording.now_ns());
        other.completed(1);
        other.completed(0);
        let taken = recording.take();
        assert_eq!(taken.during(Activity::Steady).len(), 1);
        assert_eq!(taken.during(Activity::AfterBarrier).len(), 1);
        assert_eq!(taken.all().len(), 2);
        assert_eq!(recording.completed(), 3);
        assert_eq!(recording.take().all().len(), 0);
        // What was taken leaves no trace, not even as the longest.
        one.completed(u64::MAX);
        assert_eq!(recording.take().all().max(), 0);
    }
}
