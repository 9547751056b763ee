//! What a run at a fixed rate showed.

use super::activity::Activity;
use super::part::Part;
use super::recorder::Latencies;
use super::run::Options;
use crate::costs::{CostHistograms, View};
use crate::limits::RawDisk;
use crate::measure_error::MeasureError;
use crate::pairs::is_noisy;
use crate::probe::threads::ThreadUse;
use crate::text::percentiles::row;
use crate::text::units::{Unit, duration, per_second};
use crate::workload::Triggered;
use frazil::CheckpointTrace;
use hdrhistogram::Histogram;
use std::io::Write;
use std::time::Duration;

/// A reached rate below this part of the offered one is not the rate that was asked for.
const REACHED_PART_MIN: f64 = 0.99;
/// Fewer checkpoints say little about what they cost.
const CHECKPOINT_COUNT_MIN: usize = 20;
/// Checkpoints may come this much later than asked for.
const INTERVAL_FACTOR_MAX: f64 = 1.1;
/// Where they come later than that, they count if they took no longer than this many times what the
/// disk alone takes for as many bytes.
const RAW_DISK_FACTOR_MAX: f64 = 2.0;
/// Page faults a second on shards that are no steady state.
const FAULTS_PER_SECOND_MAX: f64 = 1.0;

/// What a run at a fixed rate showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Events a second that were due.
    pub offered_rate: f64,
    /// Events that came out.
    pub completed: u64,
    /// How long was measured.
    pub duration: Duration,
    /// Time between two checkpoints that was asked for.
    pub interval: Option<Duration>,
    /// Latencies by activity.
    pub latencies: Latencies,
    /// How it went over time, in equal parts of a window.
    pub parts: Vec<Part>,
    /// Checkpoints while it was measured.
    pub checkpoints: Triggered,
    /// When each of their phases began and ended.
    pub traces: Vec<CheckpointTrace>,
    pub(crate) costs: CostHistograms,
    /// What the shard threads used meanwhile.
    pub shards: ThreadUse,
    /// What Frazil's helper threads used.
    pub helpers: ThreadUse,
    /// Hiccup floor before and after, in ns.
    pub floor_ns: [f64; 2],
    /// Part of all CPU time that was stolen meanwhile.
    pub stolen_part: f64,
    /// What drives the shards.
    pub driver: String,
    /// What the disk alone does with checkpoints of that size, where that had to be known.
    pub raw_disk: Option<RawDisk>,
}

impl Report {
    /// Events a second that came out.
    #[must_use]
    pub fn reached_rate(&self) -> f64 {
        self.completed as f64 / self.duration.as_secs_f64()
    }

    /// Whether events came out as fast as they were due.
    #[must_use]
    pub fn kept_up(&self) -> bool {
        self.reached_rate() >= REACHED_PART_MIN * self.offered_rate
    }

    /// CPU time of shards and helpers for each event, in ns.
    #[must_use]
    pub fn cpu_ns_per_event(&self) -> f64 {
        (self.shards.cpu_ns + self.helpers.cpu_ns) as f64 / self.completed.max(1) as f64
    }

    /// What the engine recorded meanwhile about one phase, as `freeze_ns`, `capture_slice_ns`,
    /// `capture_ns`, `write_ns`, `sync_ns`, `publish_ns`, `checkpoint_ns` or `checkpoint_bytes`.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&Histogram<u64>> {
        self.costs.named(name)
    }

    /// Adds another window of the same flow in the same setting.
    pub(crate) fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.duration += other.duration;
        self.latencies.add(&other.latencies);
        self.parts.extend(&other.parts);
        self.traces.extend(other.traces.iter().cloned());
        let reports = other.checkpoints.reports.iter().cloned();
        self.checkpoints.reports.extend(reports);
        self.checkpoints.dropped_count += other.checkpoints.dropped_count;
        self.costs.add(&other.costs);
        for (into, from) in [
            (&mut self.shards, &other.shards),
            (&mut self.helpers, &other.helpers),
        ] {
            into.cpu_ns += from.cpu_ns;
            into.minor_faults += from.minor_faults;
        }
        self.stolen_part = self.stolen_part.max(other.stolen_part);
    }

    /// Where checkpoints came late: measures the disk alone, to tell whether it is the reason.
    pub(crate) fn compare_with_raw_disk(&mut self, options: &Options) -> Result<(), MeasureError> {
        if let (Some(storage), true) = (&options.storage, self.is_interval_late())
            && !self.checkpoints.reports.is_empty()
        {
            let bytes = self.checkpoints.mean_bytes();
            self.raw_disk = Some(RawDisk::of(&**storage, bytes)?);
        }
        Ok(())
    }

    fn achieved_ms(&self) -> f64 {
        self.checkpoints.achieved_ms(self.duration.as_secs_f64())
    }

    fn is_interval_late(&self) -> bool {
        let late = |interval: Duration| {
            self.achieved_ms() > INTERVAL_FACTOR_MAX * interval.as_secs_f64() * 1e3
        };
        self.interval.is_some_and(late)
    }

    fn is_disk_the_reason(&self) -> bool {
        self.raw_disk.is_some_and(|raw| {
            let raw_ms = raw.seconds(self.checkpoints.mean_bytes() as f64) * 1e3;
            self.achieved_ms() <= RAW_DISK_FACTOR_MAX * raw_ms
        })
    }

    /// Why the figures do not count, or not fully; none if they do.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if !self.kept_up() {
            doubts.push("OVERLOADED: this is no latency at that rate".to_owned());
        }
        if self.interval.is_some() {
            let count = self.checkpoints.reports.len();
            if count < CHECKPOINT_COUNT_MIN {
                doubts.push(format!(
                    "TOO FEW CHECKPOINTS: {count}, needed {CHECKPOINT_COUNT_MIN}"
                ));
            }
            if self.is_interval_late() && !self.is_disk_the_reason() {
                doubts.push(format!(
                    "CHECKPOINTS LATE: one every {:.0} ms, and not for the disk's sake",
                    self.achieved_ms()
                ));
            }
        }
        let faults = self.shards.minor_faults as f64 / self.duration.as_secs_f64();
        if faults > FAULTS_PER_SECOND_MAX {
            doubts.push(format!(
                "NOT STEADY: {} page faults on shards, {faults:.1} a second",
                self.shards.minor_faults
            ));
        }
        if is_noisy(self.floor_ns, self.stolen_part) {
            doubts.push("NOISY: the machine was busy with something else".to_owned());
        }
        doubts
    }

    /// Prints the latencies and the phases of checkpoints.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Print`].
    pub fn print(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        let interval = self.interval.map_or_else(
            || "no checkpoints".to_owned(),
            |interval| self.describe_interval(interval),
        );
        writeln!(
            out,
            "offered {}, reached {}; {interval}; {} driver",
            per_second(self.offered_rate, "events"),
            per_second(self.reached_rate(), "events"),
            self.driver,
        )?;
        let latency = |name, histogram: &_| row(name, histogram, Unit::Nanoseconds);
        writeln!(out, "{}", latency("latency", &self.latencies.all()))?;
        if self.interval.is_some() {
            for activity in Activity::ALL {
                let during = self.latencies.during(activity);
                writeln!(out, "{}", latency(activity.name(), during))?;
            }
            let costs = self.costs.with_costs();
            for (cost, histogram) in costs.filter(|(cost, _)| cost.view != View::Row) {
                writeln!(out, "{}", row(cost.title, histogram, cost.unit))?;
            }
        }
        self.print_conditions(out)
    }

    fn print_conditions(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        let [before, after] = self.floor_ns.map(|floor| floor / 1e3);
        writeln!(
            out,
            "CPU {:.0} ns an event (shards and helpers); {} page faults on shards; hiccup floor \
             p99.9 {before:.1} us before, {after:.1} us after; {:.1} % stolen",
            self.cpu_ns_per_event(),
            self.shards.minor_faults,
            self.stolen_part * 100.0
        )?;
        for doubt in self.doubts() {
            writeln!(out, "{doubt}")?;
        }
        Ok(())
    }

    fn describe_interval(&self, interval: Duration) -> String {
        let mut text = format!(
            "{} checkpoints, one every {:.0} ms of {} ms wanted, {} dropped",
            self.checkpoints.reports.len(),
            self.achieved_ms(),
            interval.as_millis(),
            self.checkpoints.dropped_count,
        );
        if let Some(raw) = self.raw_disk {
            let bytes = self.checkpoints.mean_bytes();
            let seconds = raw.seconds(bytes as f64);
            text.push_str(&format!(
                " (the disk alone takes {} for {})",
                duration(Duration::from_secs_f64(seconds)),
                Unit::Bytes.text(bytes),
            ));
        }
        text
    }
}
