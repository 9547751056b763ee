//! G7 and G8: what checkpoints add to the tail of latency, at half of the highest rate.

use super::ratio::{Ratio, short};
use super::setting::Setting;
use crate::barriers::Barriers;
use crate::measure_error::MeasureError;
use crate::open_loop::{
    Interval, Options, Overhead, Session, WorkArguments, of_session, sample_every,
};
use crate::pairs::Side;
use crate::text::units::{Unit, grouped, per_second};
use crate::throughput::{Limits, P99_MAX, Precision, highest};
use crate::workload::Distribution;
use hdrhistogram::Histogram;
use std::num::NonZeroU64;
use std::time::Duration;

/// Part of the highest rate that is offered.
const LOAD: f64 = 0.5;
/// The machine's own hiccups may make the off side this many times worse than they are.
const FLOOR_FACTOR_MAX: f64 = 3.0;
/// Checkpoints of all windows together, and one more for each because the last may end behind it.
const CHECKPOINT_COUNT: u32 = 20;
/// What p99.9 and p99.99 need.
const SAMPLE_COUNTS: [u64; 2] = [100_000, 1_000_000];

/// A job at half of its highest rate.
pub(super) struct HalfLoad {
    session: Session,
    options: Options,
    rate: f64,
    describe: String,
    folder: std::path::PathBuf,
}

impl HalfLoad {
    /// Starts the job, fills it and looks for its highest rate; `None` if none is sustained.
    pub(super) fn start(setting: &Setting) -> Result<Option<Self>, MeasureError> {
        let state_bytes: u64 = setting.pick(64 << 20, 1 << 30);
        let work = WorkArguments {
            keys: NonZeroU64::new(state_bytes / 64).expect("a positive size"),
            dist: Distribution::Uniform,
            value_bytes: "56".to_owned(),
            checkpoint: Interval(None),
            barriers: Barriers::default(),
            warm_up: Duration::from_secs(3),
        };
        let folder = setting.folder();
        // Each cell has a rate and an interval of its own.
        let mut options = work
            .options(1.0, 1)
            .checkpoints(Duration::from_secs(1), &folder)?;
        let limits = Limits {
            p99: P99_MAX,
            interval: None,
        };
        let precision = Precision {
            factor: setting.pick(1.1, 1.05),
            window: setting.pick(Duration::from_secs(1), Duration::from_secs(2)),
        };
        let mut session = Session::start(&options, work.flow())?;
        let found = highest(&mut session, limits, precision, |_| ())?;
        let Some(highest_rate) = found.rate else {
            session.stop()?;
            setting.remove(&folder)?;
            return Ok(None);
        };
        options.rate = LOAD * highest_rate;
        session.warm_up(&options)?;
        Ok(Some(Self {
            session,
            rate: options.rate,
            options,
            describe: format!("{}, {}", Unit::Bytes.text(state_bytes), work.describe(1)),
            folder,
        }))
    }

    pub(super) fn measure(
        &mut self,
        setting: &Setting,
        id: &str,
        interval: Duration,
    ) -> Result<Ratio, MeasureError> {
        let plan = setting.plan();
        let pair_count = u32::try_from(plan.pair_count).expect("a few");
        let in_window = CHECKPOINT_COUNT.div_ceil(pair_count) + 1;
        let samples = 1.2 * sample_every(self.rate) as f64 / self.rate;
        let carrying =
            (SAMPLE_COUNTS[0] as f64).max(SAMPLE_COUNTS[1] as f64 / plan.pair_count as f64);
        let duration = (interval * in_window)
            .max(setting.window())
            .max(Duration::from_secs_f64(carrying * samples));
        let options = Options {
            interval: Some(interval),
            duration,
            ..self.options.clone()
        };
        let found = of_session(&mut self.session, &options, plan)?;
        let ratio = self.ratio(id, &found);
        setting.keep(id, found);
        Ok(ratio)
    }

    fn ratio(&self, id: &str, found: &Overhead) -> Ratio {
        let (on, off) = (&found.on, &found.off);
        let [on_all, off_all] = [on, off].map(|report| report.latencies.all());
        let slices = on.phase("capture_slice_ns").map_or(0, Histogram::max);
        let far = |histogram: &Histogram<u64>| {
            let value = histogram.value_at_quantile(0.9999);
            let carried = histogram.len() >= SAMPLE_COUNTS[1];
            if carried {
                Unit::Nanoseconds.text(value)
            } else {
                "-".to_owned()
            }
        };
        let floor_ns = found.latency.floor_ns.iter().copied().fold(0.0, f64::max);
        let off_ns = found.latency.side(Side::B).median;
        let mut doubts = on.doubts();
        doubts.extend(off.doubts());
        doubts.sort();
        doubts.dedup();
        let doubts: String = doubts.iter().map(|doubt| format!("; {doubt}")).collect();
        let note = format!(
            "{} at {} (half of the highest rate), {} and {} samples; p99.99 {} / {}; worst capture \
             slice {}; {} checkpoints, one every {:.0} ms{}",
            self.describe,
            per_second(self.rate, "events"),
            grouped(on_all.len()),
            grouped(off_all.len()),
            far(&on_all),
            far(&off_all),
            Unit::Nanoseconds.text(slices),
            on.checkpoints.reports.len(),
            on.checkpoints.achieved_ms(on.duration.as_secs_f64()),
            doubts,
        );
        if off_ns > FLOOR_FACTOR_MAX * floor_ns.max(1.0) {
            return Ratio::none(
                id,
                format!(
                    "off side p99.9 {} us is over {FLOOR_FACTOR_MAX} times the hiccup floor of {} \
                     us: with checkpoints {} us; {note}",
                    short(off_ns / 1e3),
                    short(floor_ns / 1e3),
                    short(found.latency.side(Side::A).median / 1e3),
                ),
            );
        }
        Ratio::of_cell(id, &found.latency, "ns", &note)
    }

    pub(super) fn stop(self, setting: &Setting) -> Result<(), MeasureError> {
        self.session.stop()?;
        setting.remove(&self.folder)
    }
}
