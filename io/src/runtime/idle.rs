//! What an idle loop does before its next turn: spin, yield, park.
//!
//! Right after work a loop keeps turning for an idle budget (where it has its CPU to itself) or
//! gives its CPU away once (where it has not). Then it parks, always with a bound, because a loop
//! may poll sources that have no bell: 1 ms at first, 4 ms once it has been idle for about 130 ms,
//! 20 ms once it has been for about a second. Each wake costs up to 90 us with the turns around it,
//! so two loops that wake every 4 ms take 2 to 5 % of a core, and a fifth of that at 20 ms.

use std::time::{Duration, Instant};

/// How long an idle loop keeps turning before it parks. A wake costs the sleeper 25 to 60 us, so
/// spinning longer than that costs more than it can save.
const SPIN_BUDGET: Duration = Duration::from_micros(50);

/// First bound of a park, and so the delay of a source without a bell on a loop that was busy
/// lately.
const PARK_SHORT: Duration = Duration::from_millis(1);

/// Bound of a park after a long idle time.
pub(super) const PARK_LONG: Duration = Duration::from_millis(4);

/// Bound of a park of a loop that rests: nothing has come for about a second.
pub(super) const REST: Duration = Duration::from_millis(20);

/// Short parks in a row before long ones.
const SHORT_PARK_COUNT_MAX: u32 = 128;
/// Short and long parks in a row before a loop rests.
const PARK_COUNT_MAX: u32 = SHORT_PARK_COUNT_MAX + 220;

/// What to do before the next turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IdleStep {
    /// Turn again at once.
    Spin,
    /// Offer the CPU to another thread, then turn.
    Yield,
    /// Park until the bell rings, at most this long.
    Park(Duration),
    /// The same for a loop that may be left alone for longer than others.
    Rest(Duration),
}

/// The idle policy of one loop.
#[derive(Debug)]
pub(super) struct IdlePolicy {
    may_spin: bool,
    phase: Phase,
    park_short: Duration,
    park_long: Duration,
}

#[derive(Debug)]
enum Phase {
    Busy,
    Spinning { until: Instant },
    Parking { park_count: u32 },
}

impl IdlePolicy {
    /// `may_spin` only where the loop has a CPU to itself.
    pub(super) fn new(may_spin: bool) -> Self {
        Self {
            may_spin,
            phase: Phase::Busy,
            park_short: PARK_SHORT,
            park_long: PARK_LONG,
        }
    }

    /// A policy whose parks end by the bell or not at all within a test's time.
    #[cfg(test)]
    pub(super) fn parking_for(bound: Duration) -> Self {
        Self {
            park_short: bound,
            park_long: bound,
            ..Self::new(false)
        }
    }

    /// The last turn did work.
    pub(super) fn busy(&mut self) {
        self.phase = Phase::Busy;
    }

    /// The last turn found nothing.
    pub(super) fn idle(&mut self) -> IdleStep {
        match &mut self.phase {
            Phase::Busy if self.may_spin => {
                self.phase = Phase::Spinning {
                    until: Instant::now() + SPIN_BUDGET,
                };
                IdleStep::Spin
            }
            Phase::Busy => {
                self.phase = Phase::Parking { park_count: 0 };
                IdleStep::Yield
            }
            Phase::Spinning { until } if Instant::now() < *until => IdleStep::Spin,
            Phase::Spinning { .. } => {
                self.phase = Phase::Parking { park_count: 1 };
                IdleStep::Park(self.park_short)
            }
            Phase::Parking { park_count } if *park_count < SHORT_PARK_COUNT_MAX => {
                *park_count += 1;
                IdleStep::Park(self.park_short)
            }
            Phase::Parking { park_count } if *park_count < PARK_COUNT_MAX => {
                *park_count += 1;
                IdleStep::Park(self.park_long)
            }
            Phase::Parking { .. } => IdleStep::Rest(REST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cpu_of_its_own_a_loop_yields_once_and_parks() {
        let mut policy = IdlePolicy::new(false);
        assert_eq!(policy.idle(), IdleStep::Yield);
        assert_eq!(policy.idle(), IdleStep::Park(PARK_SHORT));
        policy.busy();
        assert_eq!(policy.idle(), IdleStep::Yield);
    }

    #[test]
    fn a_spinning_loop_parks_when_its_budget_is_spent() {
        let mut policy = IdlePolicy::new(true);
        let start = Instant::now();
        assert_eq!(policy.idle(), IdleStep::Spin);
        while policy.idle() == IdleStep::Spin {}
        assert!(start.elapsed() >= SPIN_BUDGET);
        assert_eq!(policy.idle(), IdleStep::Park(PARK_SHORT));
    }

    #[test]
    fn parks_grow_long_after_long_idling_and_short_again_after_work() {
        let mut policy = IdlePolicy::new(false);
        assert_eq!(policy.idle(), IdleStep::Yield);
        for _ in 0..SHORT_PARK_COUNT_MAX {
            assert_eq!(policy.idle(), IdleStep::Park(PARK_SHORT));
        }
        for _ in SHORT_PARK_COUNT_MAX..PARK_COUNT_MAX {
            assert_eq!(policy.idle(), IdleStep::Park(PARK_LONG));
        }
        assert_eq!(policy.idle(), IdleStep::Rest(REST));
        assert_eq!(policy.idle(), IdleStep::Rest(REST));
        policy.busy();
        assert_eq!(policy.idle(), IdleStep::Yield);
        assert_eq!(policy.idle(), IdleStep::Park(PARK_SHORT));
    }
}
