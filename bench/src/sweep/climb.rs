//! A running job at one part of its highest rate after the other.

use crate::measure_error::MeasureError;
use crate::open_loop::{Options, Session, WorkArguments};
use crate::progress::note;
use crate::text::units::per_second;
use crate::throughput::{Highest, Limits, P99_MAX, Precision, Trial, highest};
use serde::Serialize;
use std::io::Write;
use std::time::Duration;

/// What is offered, in percent of the highest sustained rate.
const LOADS_PERCENT: [u32; LOAD_COUNT as usize] = [10, 50, 70, 90];
pub(super) const LOAD_COUNT: u32 = 4;

/// What was found at one of the rates.
#[derive(Clone, Debug)]
pub(crate) struct Load<T> {
    /// Of the highest sustained rate.
    pub(crate) percent: u32,
    pub(crate) found: T,
}

/// The same as it is stored.
#[derive(Serialize)]
pub(super) struct StoredLoad<T> {
    load: f64,
    #[serde(flatten)]
    found: T,
}

impl<T> Load<T> {
    pub(super) fn stored<S>(&self, store: impl FnOnce(&T) -> S) -> StoredLoad<S> {
        StoredLoad {
            load: f64::from(self.percent) / 100.0,
            found: store(&self.found),
        }
    }
}

/// A sweep as it is stored.
#[derive(Serialize)]
pub(super) struct StoredSweep<T> {
    saturated_rate: f64,
    highest_rate: f64,
    trials: Vec<Trial>,
    pub(super) loads: Vec<StoredLoad<T>>,
}

impl<T> StoredSweep<T> {
    pub(super) fn new(climb: &Climb, loads: Vec<StoredLoad<T>>) -> Self {
        Self {
            saturated_rate: climb.found.saturated_rate,
            highest_rate: climb.highest_rate,
            trials: climb.found.trials.clone(),
            loads,
        }
    }
}

/// A running job whose highest sustained rate is known.
pub(super) struct Climb {
    session: Session,
    found: Highest,
    highest_rate: f64,
}

impl Climb {
    /// Starts the job, fills it, and looks for the rate that it sustains.
    pub(super) fn start(
        work: &WorkArguments,
        options: &Options,
        precision: Precision,
        out: &mut impl Write,
    ) -> Result<Self, MeasureError> {
        let limits = Limits {
            p99: P99_MAX,
            interval: options.interval,
        };
        let mut session = Session::start(options, work.flow())?;
        session.warm_up(options)?;
        let found = highest(&mut session, limits, precision, |trial| note(&trial.line()))?;
        let saturated = per_second(found.saturated_rate, "events");
        let Some(highest_rate) = found.rate else {
            session.stop()?;
            return Err(MeasureError::NoSustainedRate { saturated });
        };
        writeln!(
            out,
            "highest sustained rate {}; {saturated} without checkpoints when all is due at once",
            per_second(highest_rate, "events"),
        )?;
        Ok(Self {
            session,
            found,
            highest_rate,
        })
    }

    /// One whose highest rate need not be looked for.
    #[cfg(test)]
    pub(super) fn at(work: &WorkArguments, options: &Options, highest_rate: f64) -> Self {
        Self {
            session: Session::start(options, work.flow()).unwrap(),
            found: Highest {
                saturated_rate: highest_rate,
                rate: Some(highest_rate),
                trials: Vec::new(),
                report: None,
            },
            highest_rate,
        }
    }

    /// Calls `measure` at each rate, with the job warmed up at it, for as long as
    /// `duration_at` says.
    pub(super) fn each<T>(
        &mut self,
        options: &Options,
        duration_at: impl Fn(f64) -> Duration,
        mut measure: impl FnMut(&mut Session, &Options) -> Result<T, MeasureError>,
    ) -> Result<Vec<Load<T>>, MeasureError> {
        let mut loads = Vec::with_capacity(LOADS_PERCENT.len());
        for percent in LOADS_PERCENT {
            let rate = self.highest_rate * f64::from(percent) / 100.0;
            let options = Options {
                rate,
                duration: duration_at(rate),
                ..options.clone()
            };
            note(&format!("at {percent} %: {}", per_second(rate, "events")));
            self.session.warm_up(&options)?;
            let found = measure(&mut self.session, &options)?;
            loads.push(Load { percent, found });
        }
        Ok(loads)
    }

    pub(super) fn stop(self) -> Result<(), MeasureError> {
        self.session.stop()
    }
}
