//! The random moment of a kill.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The part of the work after which a kill may come, and before which it has come.
const WORK_FROM: f64 = 0.25;
const WORK_TO: f64 = 0.65;

/// When to kill: two numbers drawn from a seed, so that the seed names the moment.
///
/// ```
/// use frazil_bench::child::KillMoment;
/// use std::time::Duration;
///
/// let moment = KillMoment::from_seed(7, Duration::from_millis(100));
/// assert!(!moment.is_reached(0, 100));
/// assert!(moment.is_reached(65, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KillMoment {
    work_part: f64,
    delay: Duration,
}

impl KillMoment {
    /// Draws a part of the work, and a delay of up to `delay_max` after it, so that the kill does
    /// not always follow the child's own report.
    #[must_use]
    pub fn from_seed(seed: u64, delay_max: Duration) -> Self {
        Self {
            work_part: WORK_FROM + (WORK_TO - WORK_FROM) * unit_interval(seed, 1),
            delay: delay_max.mul_f64(unit_interval(seed, 2)),
        }
    }

    /// Whether `done` of `total` is past the drawn part of the work.
    #[must_use]
    pub fn is_reached(self, done: u64, total: u64) -> bool {
        done as f64 >= total as f64 * self.work_part
    }

    /// How long to wait with the kill once the part is reached.
    #[must_use]
    pub const fn delay(self) -> Duration {
        self.delay
    }
}

/// A seed that differs from run to run.
#[must_use]
pub fn fresh_seed() -> u64 {
    // The standard library seeds each RandomState from the operating system.
    RandomState::new().hash_one(std::process::id())
}

/// The `index`-th number below one of the SplitMix64 sequence of `seed`.
fn unit_interval(seed: u64, index: u64) -> f64 {
    let mut mixed = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    // 53 bits are what an f64 holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn same_seed_gives_the_same_moment_and_others_differ() {
        let of = |seed| KillMoment::from_seed(seed, Duration::from_secs(1));
        assert_eq!(of(5), of(5));
        assert_ne!(of(5), of(6));
        assert_ne!(fresh_seed(), fresh_seed());
    }

    proptest! {
        #[test]
        fn moments_lie_within_their_bounds(seed in any::<u64>()) {
            let delay_max = Duration::from_millis(100);
            let moment = KillMoment::from_seed(seed, delay_max);
            prop_assert!(moment.delay() < delay_max);
            prop_assert!(!moment.is_reached(24, 100));
            prop_assert!(moment.is_reached(65, 100));
        }
    }
}
