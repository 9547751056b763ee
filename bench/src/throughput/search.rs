//! Looking for the highest rate, whatever decides whether one is sustained.

use crate::common::CommonArguments;
use std::time::Duration;

/// Part of the rate at saturation that is tried first.
const FIRST_PART: f64 = 0.9;
/// Nothing above this part of it is tried: an engine may be faster when nothing disturbs it.
const HIGHEST_PART: f64 = 1.2;
/// What fails its confirmation is lowered by this factor.
const STEP_DOWN: f64 = 0.96;
/// A window sees at least so many checkpoints.
const CHECKPOINTS_IN_WINDOW: u32 = 3;
const CONFIRMATION_COUNT_MAX: u32 = 8;

/// How closely is looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Precision {
    /// A rate this much above the highest one was seen to fail.
    pub(crate) factor: f64,
    /// How long a rate has to hold; at the end twice as long.
    pub(crate) window: Duration,
}

impl Precision {
    /// As a measurement of its own, with some checkpoints in a window where they come every
    /// `interval`; `window` if it is asked for.
    pub(crate) fn new(
        common: &CommonArguments,
        window: Option<Duration>,
        interval: Option<Duration>,
    ) -> Self {
        let window = window.unwrap_or(Duration::from_secs(common.pick(1, 4)));
        Self {
            factor: common.pick(1.05, 1.02),
            window: window.max(interval.unwrap_or_default() * CHECKPOINTS_IN_WINDOW),
        }
    }

    /// About how long it takes to look.
    pub(crate) fn expected(self, common: &CommonArguments) -> Duration {
        self.window * common.pick(9, 12) + Duration::from_secs(5)
    }
}

/// The highest rate for which `holds` says yes, also for a window of twice the length; `None` if
/// none does. `saturated` is what comes out when everything is due at once.
pub(super) fn search<E>(
    saturated: f64,
    precision: Precision,
    mut holds: impl FnMut(f64, Duration) -> Result<bool, E>,
) -> Result<Option<f64>, E> {
    let (mut low, mut high) = (0.0, HIGHEST_PART * saturated);
    let mut next = FIRST_PART * saturated;
    while high > low * precision.factor && next > saturated / 100.0 {
        if holds(next, precision.window)? {
            low = next;
        } else {
            high = next;
        }
        next = f64::midpoint(low, high);
    }
    for _ in 0..CONFIRMATION_COUNT_MAX {
        if low > 0.0 && holds(low, 2 * precision.window)? {
            return Ok(Some(low));
        }
        low *= STEP_DOWN;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRECISION: Precision = Precision {
        factor: 1.02,
        window: Duration::from_secs(1),
    };

    fn found(limit: f64, saturated: f64) -> Option<f64> {
        let holds = |rate, _| Ok::<_, ()>(rate <= limit);
        search(saturated, PRECISION, holds).unwrap()
    }

    #[test]
    fn finds_the_limit_to_the_precision() {
        for limit in [20.0, 60.0, 89.0, 91.0, 100.0, 115.0] {
            let rate = found(limit, 100.0).unwrap();
            assert!(rate <= limit && rate * 1.02 >= limit, "{limit}: {rate}");
        }
    }

    #[test]
    fn gives_up_where_nothing_holds() {
        assert_eq!(found(0.0, 100.0), None);
    }

    #[test]
    fn lowers_what_does_not_hold_for_longer() {
        let holds = |rate, window| {
            Ok::<_, ()>(
                rate <= if window > PRECISION.window {
                    70.0
                } else {
                    80.0
                },
            )
        };
        let rate = search(100.0, PRECISION, holds).unwrap().unwrap();
        assert!((67.0..=70.0).contains(&rate), "{rate}");
    }
}
