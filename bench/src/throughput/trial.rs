//! One rate, tried on a running flow.

use super::search::{Precision, search};
use crate::measure_error::MeasureError;
use crate::open_loop::{Part, Report, Session};
use crate::text::units::{Unit, per_second};
use serde::Serialize;
use std::thread;
use std::time::Duration;

/// From setting a rate to the first reading, at most a window.
const RUN_UP: Duration = Duration::from_millis(300);
/// Equal parts of a window whose medians are compared.
const PART_COUNT: u32 = 4;
/// The last median may be this many times the first, and [`GROWTH_NS`] more.
const GROWTH_FACTOR: u64 = 2;
const GROWTH_NS: u64 = 1_000_000;
/// Longest p99 that counts as bounded where nothing else is said.
pub(crate) const P99_MAX: Duration = Duration::from_millis(50);
/// A rate at which everything is due at once.
const ALL_DUE: f64 = 1e10;

/// What a sustained rate has to keep within.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest p99 latency.
    pub(crate) p99: Duration,
    /// Time between two checkpoints, if some are made.
    pub(crate) interval: Option<Duration>,
}

/// A rate that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    /// Events a second that were due.
    pub offered_rate: f64,
    /// Events a second that came out.
    pub reached_rate: f64,
    /// How long.
    pub seconds: f64,
    /// Latency at p99, in ns.
    pub p99_ns: u64,
    /// Median latency in the first quarter of the time, in ns.
    pub first_median_ns: u64,
    /// In the last.
    pub last_median_ns: u64,
    /// Why it is not sustained; none if it is.
    pub failed_by: Option<&'static str>,
}

impl Trial {
    /// For people.
    pub(crate) fn line(&self) -> String {
        format!(
            "  tried {}: p99 {}, {}",
            per_second(self.offered_rate, "events"),
            Unit::Nanoseconds.text(self.p99_ns),
            self.failed_by.unwrap_or("sustained"),
        )
    }
}

/// The highest rate of one flow.
#[derive(Clone, Debug)]
pub(crate) struct Highest {
    /// Events a second when all are due at once.
    pub(crate) saturated_rate: f64,
    /// The highest sustained rate; none if even slow ones were not.
    pub(crate) rate: Option<f64>,
    pub(crate) trials: Vec<Trial>,
    /// The window that confirmed it.
    pub(crate) report: Option<Report>,
}

/// Looks for the highest rate that `session` sustains; `each` hears of every trial.
pub(crate) fn highest(
    session: &mut Session,
    limits: Limits,
    precision: Precision,
    mut each: impl FnMut(&Trial),
) -> Result<Highest, MeasureError> {
    session.set_rate(ALL_DUE);
    let run_up = RUN_UP.min(precision.window);
    thread::sleep(run_up);
    let saturated = session.window(precision.window, None)?;
    session.drain();
    let saturated_rate = saturated.reached_rate();
    let (mut trials, mut last_good) = (Vec::new(), None);
    let rate = search(saturated_rate, precision, |rate, window| {
        session.set_rate(rate);
        thread::sleep(run_up);
        let report = session.window_in_parts(window, PART_COUNT, limits.interval)?;
        session.drain();
        let trial = judge(&report, limits.p99);
        each(&trial);
        let is_sustained = trial.failed_by.is_none();
        trials.push(trial);
        if is_sustained {
            last_good = Some(report);
        }
        Ok::<_, MeasureError>(is_sustained)
    })?;
    Ok(Highest {
        saturated_rate,
        report: rate.and(last_good),
        rate,
        trials,
    })
}

fn judge(report: &Report, p99_max: Duration) -> Trial {
    let median = |at: Option<&Part>| at.map_or(0, |part| part.p50_ns);
    let first_median_ns = median(report.parts.first());
    let last_median_ns = median(report.parts.last());
    let p99_ns = report.latencies.all().value_at_quantile(0.99);
    let failed_by = if !report.kept_up() {
        Some("fewer came out than were due")
    } else if last_median_ns > GROWTH_FACTOR * first_median_ns + GROWTH_NS {
        Some("the backlog grew")
    } else if u128::from(p99_ns) > p99_max.as_nanos() {
        Some("p99 was over its bound")
    } else {
        None
    };
    Trial {
        offered_rate: report.offered_rate,
        reached_rate: report.reached_rate(),
        seconds: report.duration.as_secs_f64(),
        p99_ns,
        first_median_ns,
        last_median_ns,
        failed_by,
    }
}
