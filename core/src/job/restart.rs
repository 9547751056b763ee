//! Whether a job that failed is started again, and when: pure decisions over failures and time.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use frazil_state::StateError;

use crate::error::Error;
use crate::flow::FlowError;
use crate::source::SourceError;

/// What happens when a running job fails: code of yours panics, or a source, an operator or a sink
/// returns an error.
///
/// The job ends whole, whatever it had not committed is discarded, and it starts again in this
/// process from its newest whole checkpoint, with the flow's closure called anew. Output is what it
/// would have been without the failure. A restart takes milliseconds beside reading the state.
///
/// Without a setting, a job restarts as [`RestartStrategy::exponential`] says if it keeps
/// checkpoints and all its sources can be replayed, and not at all otherwise: without checkpoints
/// there is nothing to go on from, and a source that cannot be replayed would lose records that
/// nobody hears of. Such a job ends with the error of its failure.
///
/// ```
/// use std::time::Duration;
/// use frazil::{Checkpoints, Job, RestartStrategy};
///
/// # let directory = tempfile::tempdir().unwrap();
/// let job = Job::builder("patient")
///     .checkpoints(Checkpoints::manual().dir(directory.path()))
///     .restart(RestartStrategy::FixedDelay { restarts: 3, delay: Duration::from_secs(1) })
///     .build()?;
/// # let _ = job;
/// # Ok::<(), frazil::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RestartStrategy {
    /// The job ends with its first failure.
    None,
    /// After each failure the same pause.
    FixedDelay {
        /// Restarts in the whole life of the job; the failure after them ends it.
        restarts: u32,
        /// From a failure to the restart.
        delay: Duration,
    },
    /// The pause grows with failures in a row and is short again after a time without one.
    ExponentialDelay {
        /// Pause after the first failure.
        initial: Duration,
        /// Longest pause.
        max: Duration,
        /// How much longer each pause is than the one before; at least 1.
        multiplier: f64,
        /// Largest part by which a pause is made longer or shorter at random, so that jobs that
        /// failed together do not come back together; from 0 to 1.
        jitter: f64,
        /// Time of running without a failure after which counting begins anew.
        reset_after: Duration,
        /// Restarts in a row; the failure after them ends the job.
        restarts: u32,
    },
    /// After each failure the same pause, until failures come too often.
    FailureRate {
        /// Failures within the interval that are tolerated; one more ends the job.
        failures: u32,
        /// The interval.
        within: Duration,
        /// From a failure to the restart.
        delay: Duration,
    },
}

impl RestartStrategy {
    /// The default of jobs that can come back: 100 ms after the first failure, twice as long after
    /// each further one up to 10 s, each by up to a tenth longer or shorter, and at most 5 restarts
    /// in a row; counting begins anew after a minute without a failure.
    ///
    /// A passing disturbance (a full table of a neighbour, a broken connection) is over by the
    /// first or second restart. An error that every replay meets again (a record that the code
    /// cannot take) ends the job after about 3 s instead of hiding in an endless loop, which is
    /// what whoever waits on the [`JobHandle`](crate::JobHandle) has to know. Choose more restarts
    /// where something outside restarts nothing.
    #[must_use]
    pub fn exponential() -> Self {
        Self::ExponentialDelay {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(10),
            multiplier: 2.0,
            jitter: 0.1,
            reset_after: Duration::from_secs(60),
            restarts: 5,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let Self::ExponentialDelay {
            initial,
            max,
            multiplier,
            jitter,
            ..
        } = *self
        else {
            return Ok(());
        };
        if !(multiplier.is_finite() && multiplier >= 1.0) {
            let setting = "RestartStrategy::ExponentialDelay::multiplier";
            return Err(Error::setting(
                setting,
                "at least 1",
                multiplier.to_string(),
            ));
        }
        if !(0.0..=1.0).contains(&jitter) {
            let setting = "RestartStrategy::ExponentialDelay::jitter";
            return Err(Error::setting(setting, "0 to 1", jitter.to_string()));
        }
        if initial > max {
            let setting = "RestartStrategy::ExponentialDelay::initial";
            return Err(Error::setting(
                setting,
                "at most max",
                format!("{initial:?}"),
            ));
        }
        Ok(())
    }
}

/// What a strategy remembers of the failures so far.
#[derive(Debug)]
pub(super) struct RestartPolicy {
    strategy: RestartStrategy,
    /// Failures that count: all, those in a row, or none where times are kept.
    failure_count: u32,
    /// Times of failures within the interval of a rate.
    recent: Vec<Instant>,
    /// When the last restart was due.
    restarted_at: Option<Instant>,
}

impl RestartPolicy {
    pub(super) fn new(strategy: RestartStrategy) -> Self {
        Self {
            strategy,
            failure_count: 0,
            recent: Vec::new(),
            restarted_at: None,
        }
    }

    /// The pause before the restart after a failure at `now`; `None` ends the job. `random` is from
    /// 0 to 1.
    pub(super) fn after_failure(&mut self, now: Instant, random: f64) -> Option<Duration> {
        let delay = match self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { restarts, delay } => {
                (self.count() <= restarts).then_some(delay)
            }
            RestartStrategy::FailureRate {
                failures,
                within,
                delay,
            } => {
                self.recent.retain(|at| now.duration_since(*at) < within);
                self.recent.push(now);
                (self.recent.len() <= failures as usize).then_some(delay)
            }
            RestartStrategy::ExponentialDelay {
                initial,
                max,
                multiplier,
                jitter,
                reset_after,
                restarts,
            } => {
                let ran = self
                    .restarted_at
                    .map(|at| now.saturating_duration_since(at));
                if ran.is_some_and(|ran| ran >= reset_after) {
                    self.failure_count = 0;
                }
                let in_a_row = self.count();
                let exponent = i32::try_from(in_a_row - 1).unwrap_or(i32::MAX);
                let grown = initial.as_secs_f64() * multiplier.powi(exponent);
                let capped = grown.min(max.as_secs_f64());
                let spread = capped * (1.0 + jitter * (2.0 * random - 1.0));
                let pause = Duration::try_from_secs_f64(spread).unwrap_or(max);
                (in_a_row <= restarts).then_some(pause)
            }
        };
        self.restarted_at = delay.and_then(|delay| now.checked_add(delay));
        delay
    }

    fn count(&mut self) -> u32 {
        self.failure_count = self.failure_count.saturating_add(1);
        self.failure_count
    }
}

/// A number from 0 to 1, another one each time.
pub(super) fn random() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 32;
    bits as f64 / f64::from(u32::MAX)
}

/// False for what a restart would meet again for certain: settings, another job's or flow's
/// directory, changed input, state that outgrew its budget, damage that nothing can be fallen back
/// from, and a last checkpoint that was given up.
pub(super) fn is_worth_a_restart(error: &Error) -> bool {
    match error {
        Error::Flow(FlowError::Source { source, .. }) => {
            matches!(
                source,
                SourceError::Unreadable { .. } | SourceError::Custom(_)
            )
        }
        Error::State { source, .. } | Error::Flow(FlowError::State { source, .. }) => !matches!(
            source,
            StateError::BudgetExhausted { .. } | StateError::BudgetTooSmall { .. }
        ),
        Error::Flow(FlowError::Sink { .. } | FlowError::Process { .. })
        | Error::Io(_)
        | Error::Format(_)
        | Error::DamagedRestore { .. }
        | Error::ShardPanicked { .. }
        | Error::HelperPanicked { .. }
        | Error::Ended => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The pauses after failures at these seconds, with a given random number.
    fn delays(strategy: RestartStrategy, at: &[u64], random: f64) -> Vec<Option<Duration>> {
        let mut policy = RestartPolicy::new(strategy);
        let start = Instant::now();
        at.iter()
            .map(|second| {
                policy.after_failure(start + SECOND * u32::try_from(*second).unwrap(), random)
            })
            .collect()
    }

    #[test]
    fn no_restart_means_none() {
        assert_eq!(delays(RestartStrategy::None, &[1], 0.5), [None]);
    }

    #[test]
    fn a_fixed_delay_ends_after_its_restarts() {
        let strategy = RestartStrategy::FixedDelay {
            restarts: 2,
            delay: SECOND,
        };
        let expected = [Some(SECOND), Some(SECOND), None];
        assert_eq!(delays(strategy, &[1, 1000, 2000], 0.5), expected);
    }

    #[test]
    fn a_failure_rate_tolerates_failures_that_are_far_apart() {
        let strategy = RestartStrategy::FailureRate {
            failures: 2,
            within: 10 * SECOND,
            delay: SECOND,
        };
        let all = [Some(SECOND); 4];
        assert_eq!(delays(strategy, &[0, 9, 18, 27], 0.5), all);
        assert_eq!(delays(strategy, &[0, 4, 9], 0.5)[2], None);
    }

    fn exponential(jitter: f64, restarts: u32) -> RestartStrategy {
        RestartStrategy::ExponentialDelay {
            initial: SECOND,
            max: 5 * SECOND,
            multiplier: 2.0,
            jitter,
            reset_after: 60 * SECOND,
            restarts,
        }
    }

    #[test]
    fn exponential_delays_grow_to_their_bound_and_begin_anew_after_a_time_without_failure() {
        let seconds = |numbers: &[u64]| -> Vec<Option<Duration>> {
            numbers
                .iter()
                .map(|n| Some(Duration::from_secs(*n)))
                .collect()
        };
        let delays = delays(exponential(0.0, 9), &[0, 10, 20, 30, 40, 140, 150], 0.5);
        assert_eq!(delays, seconds(&[1, 2, 4, 5, 5, 1, 2]));
    }

    #[test]
    fn exponential_delays_end_after_restarts_in_a_row() {
        let delays = delays(exponential(0.0, 2), &[0, 10, 110, 120, 130], 0.5);
        let expected = [
            Some(SECOND),
            Some(2 * SECOND),
            Some(SECOND),
            Some(2 * SECOND),
            None,
        ];
        assert_eq!(delays, expected);
    }

    #[test]
    fn pauses_beyond_all_time_are_no_fault() {
        let strategy = RestartStrategy::ExponentialDelay {
            initial: Duration::MAX,
            max: Duration::MAX,
            multiplier: 2.0,
            jitter: 1.0,
            reset_after: Duration::MAX,
            restarts: 2,
        };
        assert_eq!(delays(strategy, &[0, 1], 1.0), [Some(Duration::MAX); 2]);
    }

    #[test]
    fn jitter_spreads_a_pause_both_ways() {
        let pause = |random| delays(exponential(0.5, 1), &[0], random)[0].unwrap();
        assert_eq!(pause(0.0), SECOND / 2);
        assert_eq!(pause(1.0), SECOND * 3 / 2);
        let random = random();
        assert!((0.0..=1.0).contains(&random), "{random}");
    }

    #[test]
    fn what_a_restart_would_meet_again_is_told_apart() {
        let of_source = |source| {
            let name = String::new();
            Error::Flow(FlowError::Source { name, source })
        };
        let broken = SourceError::Custom("connection reset".into());
        assert!(is_worth_a_restart(&of_source(broken)));
        let changed = SourceError::changed_fingerprint("lines", 1, 2);
        assert!(!is_worth_a_restart(&of_source(changed)));
        let full = Error::State {
            shard: 0,
            source: StateError::BudgetExhausted { budget_bytes: 1 },
        };
        assert!(!is_worth_a_restart(&full));
        assert!(!is_worth_a_restart(&Error::NoCheckpoints));
        assert!(is_worth_a_restart(&Error::Ended));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        assert!(RestartStrategy::exponential().check().is_ok());
        let with = |multiplier, jitter, initial| RestartStrategy::ExponentialDelay {
            initial,
            max: SECOND,
            multiplier,
            jitter,
            reset_after: SECOND,
            restarts: 1,
        };
        for wrong in [
            with(0.5, 0.0, SECOND),
            with(f64::NAN, 0.0, SECOND),
            with(1.0, 1.5, SECOND),
            with(1.0, 0.0, 2 * SECOND),
        ] {
            assert!(
                matches!(wrong.check(), Err(Error::Setting { .. })),
                "{wrong:?}"
            );
        }
    }
}
