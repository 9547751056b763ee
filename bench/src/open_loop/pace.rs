//! When events are due. The bench sets it while the flow runs; every split follows at its next
//! poll.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Events a second that are timed at most. A reading of the clock and the recording cost about
/// 30 ns; timing each of some millions of events a second would measure that.
pub(crate) const TIMED_PER_SECOND_MAX: u32 = 200_000;

/// Only every n-th event is timed at `rate` events a second. Odd, so that the timed ones come to
/// stand at every place of a batch.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 ends at the largest u64"
)]
pub(crate) fn sample_every(rate: f64) -> u64 {
    (rate / f64::from(TIMED_PER_SECOND_MAX)).ceil() as u64 | 1
}

/// Events at a fixed rate from an instant on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    /// Due time of event 0, in ns of the recording.
    pub(super) start_ns: u64,
    pub(super) ns_per_event: f64,
    /// Only every n-th event of a split is timed.
    pub(super) sample_every: u64,
}

impl Schedule {
    /// `rate` events a second.
    pub(super) fn at_rate(rate: f64, start_ns: u64) -> Self {
        Self {
            start_ns,
            ns_per_event: 1e9 / rate,
            sample_every: sample_every(rate),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from f64 ends at the largest u64"
    )]
    pub(super) fn due_ns(&self, index: u64) -> u64 {
        self.start_ns + (index as f64 * self.ns_per_event) as u64
    }

    /// Events of split `split` of `split_count` (those with `index % split_count == split`) that
    /// are due at `now_ns`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from f64 ends at the largest u64"
    )]
    pub(super) fn due_count(&self, now_ns: u64, split: u64, split_count: u64) -> u64 {
        let Some(since_ns) = now_ns.checked_sub(self.start_ns) else {
            return 0;
        };
        let all = (since_ns as f64 / self.ns_per_event) as u64 + 1;
        all.saturating_sub(split).div_ceil(split_count)
    }
}

/// The schedule that holds now, and how far the filling is; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Pace(Arc<Shared>);

/// On lines of its own: the generation is read at each poll.
#[derive(Default)]
#[repr(align(128))]
struct Shared {
    generation: AtomicU64,
    schedule: Mutex<Option<Schedule>>,
    filled: AtomicU64,
}

impl Pace {
    /// From now on `schedule` holds; what was due before and not read is forgotten.
    pub(super) fn set(&self, schedule: Option<Schedule>) {
        let mut held = self
            .0
            .schedule
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = schedule;
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The schedule, if it is another one than at `generation`, which is brought up to date.
    #[inline]
    pub(super) fn changed(&self, generation: &mut u64) -> Option<Option<Schedule>> {
        let now = self.0.generation.load(Ordering::Acquire);
        if now == *generation {
            return None;
        }
        *generation = now;
        Some(
            *self
                .0
                .schedule
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn add_filled(&self, count: u64) {
        self.0.filled.fetch_add(count, Ordering::Relaxed);
    }

    /// Events that were emitted to fill the state.
    pub(super) fn filled(&self) -> u64 {
        self.0.filled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_share_what_is_due() {
        let schedule = Schedule::at_rate(1e8, 1_000);
        assert_eq!(schedule.due_count(999, 0, 1), 0);
        for now_ns in [1_000, 1_009, 1_010, 1_055, 2_000] {
            let due = (0..).take_while(|index| schedule.due_ns(*index) <= now_ns);
            let due = due.count() as u64;
            for split_count in 1..5 {
                let of_split = |split| schedule.due_count(now_ns, split, split_count);
                let all: u64 = (0..split_count).map(of_split).sum();
                assert_eq!(all, due, "{now_ns} {split_count}");
            }
        }
    }

    #[test]
    fn every_event_of_a_slow_flow_is_timed_and_few_of_a_fast_one() {
        let rates = [1.0, 50_000.0, 200_000.0, 200_001.0, 7.5e6, 1e10];
        assert_eq!(rates.map(sample_every), [1, 1, 1, 3, 39, 50_001]);
    }

    #[test]
    fn a_change_is_seen_once() {
        let (pace, mut generation) = (Pace::default(), 0);
        assert_eq!(pace.changed(&mut generation), None);
        let schedule = Schedule::at_rate(5e8, 1);
        pace.set(Some(schedule));
        assert_eq!(pace.changed(&mut generation), Some(Some(schedule)));
        assert_eq!(pace.changed(&mut generation), None);
        pace.set(None);
        assert_eq!(pace.changed(&mut generation), Some(None));
    }
}
