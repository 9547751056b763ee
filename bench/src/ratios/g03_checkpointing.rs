//! G3 and G4: what checkpoints take from throughput.

use super::ratio::{Ratio, short};
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{PairedCell, Side, measure_pairs, median_ratio};
use crate::text::units::Unit;
use crate::workload::{KeyedJob, Triggered, Window};
use std::time::Duration;

/// The two jobs, equal but for checkpoints, and what the last runs showed.
pub(super) struct Jobs {
    off: KeyedJob,
    on: KeyedJob,
    state_bytes: u64,
    folder: std::path::PathBuf,
}

impl Jobs {
    pub(super) fn start(setting: &Setting) -> Result<Self, MeasureError> {
        let state_bytes = setting.pick(128 << 20, 1 << 30);
        let folder = setting.folder();
        let off = KeyedJob::start(&setting.wide(state_bytes, None))?;
        let on = KeyedJob::start(&setting.wide(state_bytes, Some(folder.clone())))?;
        // The first one holds everything; it is not what is measured.
        on.checkpoint()?;
        Ok(Self {
            off,
            on,
            state_bytes,
            folder,
        })
    }

    pub(super) fn stop(self, setting: &Setting) -> Result<(), MeasureError> {
        self.off.stop()?;
        self.on.stop()?;
        setting.remove(&self.folder)
    }

    pub(super) fn measure(
        &self,
        setting: &Setting,
        id: &str,
        interval: Duration,
    ) -> Result<Ratio, MeasureError> {
        // Both sides look at the same number of seconds; an on side has several checkpoints.
        let length = setting.window().max(interval * 3);
        let mut on = On::default();
        let cell = measure_pairs(setting.plan(), |side| {
            Ok::<_, MeasureError>(match side {
                Side::A => {
                    let (window, made) = self.on.run_with_checkpoints(length, interval)?;
                    on.add(&window, &made);
                    window.rate()
                }
                Side::B => {
                    let window = self.off.run_for(length)?;
                    on.off_rates_by_cpu.push(window.rate_by_cpu());
                    window.rate()
                }
            })
        })?;
        Ok(self.ratio(id, &cell, &on, interval))
    }

    fn ratio(&self, id: &str, cell: &PairedCell, on: &On, interval: Duration) -> Ratio {
        let by_cpu = median_ratio(&on.rates_by_cpu, &on.off_rates_by_cpu);
        let achieved_ms = on.seconds * 1e3 / on.completed.max(1) as f64;
        let folds = self.on.statistics().checkpoints.fold_count;
        let note = format!(
            "{} of 64-byte records, uniform, one shard on the first core and helpers beside it; \
             {} checkpoints, one every {achieved_ms:.0} ms of {} ms wanted, {} each, {} dropped, \
             {folds} folds; by CPU time of the shard {}",
            Unit::Bytes.text(self.state_bytes),
            on.completed,
            interval.as_millis(),
            Unit::Bytes.text(on.bytes / on.completed.max(1)),
            on.dropped,
            short(by_cpu),
        );
        if on.completed == 0 {
            return Ratio::none(id, format!("no checkpoint became durable; {note}"));
        }
        Ratio::of_cell(id, cell, "events/s", &note)
    }
}

/// What the runs with checkpoints showed.
#[derive(Default)]
struct On {
    completed: u64,
    dropped: u64,
    bytes: u64,
    seconds: f64,
    rates_by_cpu: Vec<f64>,
    off_rates_by_cpu: Vec<f64>,
}

impl On {
    fn add(&mut self, window: &Window, made: &Triggered) {
        self.completed += made.reports.len() as u64;
        self.dropped += made.dropped_count;
        self.bytes += made.reports.iter().map(|report| report.bytes).sum::<u64>();
        self.seconds += window.seconds;
        self.rates_by_cpu.push(window.rate_by_cpu());
    }
}
