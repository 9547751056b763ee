//! What a run at a fixed rate showed.

use super::activity::Activity;
use super::recorder::Latencies;
use crate::files::{hgrm, hlog};
use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::result::{HistogramResult, write_json};
use crate::text::percentiles::PERCENTILES;
use crate::text::units::{Unit, per_second};
use crate::workload::Triggered;
use frazil::CheckpointStatistics;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A reached rate below this part of the offered one is not the rate that was asked for.
const REACHED_PART_MIN: f64 = 0.99;

/// What a run at a fixed rate showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Events a second that were due.
    pub offered_rate: f64,
    /// Events a second that came out.
    pub reached_rate: f64,
    /// How long was measured.
    pub duration: Duration,
    /// Time between two checkpoints that was asked for.
    pub interval: Option<Duration>,
    /// Latencies by activity.
    pub latencies: Latencies,
    /// Checkpoints while it was measured.
    pub checkpoints: Triggered,
    /// What the engine says about each phase of all its checkpoints, warm-up included.
    pub phases: CheckpointStatistics,
    /// What the engine says about its freezes, in ns.
    pub freezes: Histogram<u64>,
    /// Hiccup floor before and after, in ns.
    pub floor_ns: [f64; 2],
    /// Part of all CPU time that was stolen meanwhile.
    pub stolen_part: f64,
    /// What drives the shards.
    pub driver: String,
}

#[derive(Serialize)]
struct Stored<'a> {
    schema_version: u32,
    command: &'a str,
    arguments: Vec<String>,
    machine: Machine,
    driver: &'a str,
    offered_rate: f64,
    reached_rate: f64,
    seconds: f64,
    checkpoint_interval_ms: Option<u128>,
    checkpoint_count: usize,
    dropped_checkpoint_count: u64,
    floor_p999_ns: [f64; 2],
    stolen_part: f64,
    histograms: BTreeMap<String, HistogramResult>,
}

impl Report {
    /// Whether events came out as fast as they were due.
    #[must_use]
    pub fn kept_up(&self) -> bool {
        self.reached_rate >= REACHED_PART_MIN * self.offered_rate
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
            "offered {}, reached {}{}; {interval}; {} driver",
            per_second(self.offered_rate, "events"),
            per_second(self.reached_rate, "events"),
            if self.kept_up() {
                ""
            } else {
                " (OVERLOADED: this is no latency at that rate)"
            },
            self.driver,
        )?;
        print_row(out, "all", &self.latencies.all())?;
        for activity in Activity::ALL {
            print_row(out, activity.name(), self.latencies.during(activity))?;
        }
        for (name, phase) in self.phase_histograms() {
            print_row(out, name, phase)?;
        }
        let [before, after] = self.floor_ns.map(|floor| floor / 1e3);
        writeln!(
            out,
            "hiccup floor p99.9 {before:.1} us before, {after:.1} us after; {:.1} % stolen",
            self.stolen_part * 100.0
        )?;
        Ok(())
    }

    fn describe_interval(&self, interval: Duration) -> String {
        format!(
            "{} checkpoints, one every {:.0} ms of {} ms wanted, {} dropped",
            self.checkpoints.reports.len(),
            self.checkpoints.achieved_ms(self.duration.as_secs_f64()),
            interval.as_millis(),
            self.checkpoints.dropped_count,
        )
    }

    fn phase_histograms(&self) -> [(&'static str, &Histogram<u64>); 7] {
        [
            ("phase-align", &self.phases.align),
            ("phase-freeze", &self.freezes),
            ("phase-capture", &self.phases.capture),
            ("phase-write", &self.phases.write),
            ("phase-sync", &self.phases.sync),
            ("phase-publish", &self.phases.publish),
            ("phase-whole", &self.phases.whole),
        ]
    }

    /// Stores the result as JSON at `path`.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Write`].
    pub fn write_json(
        &self,
        path: &Path,
        command: &str,
        directory: &Path,
    ) -> Result<(), MeasureError> {
        let latencies = Activity::ALL.map(|activity| {
            let name = format!("latency_{}_ns", activity.name().replace('-', "_"));
            (name, self.latencies.during(activity).into())
        });
        let phases = self
            .phase_histograms()
            .map(|(name, phase)| (format!("{}_ns", name.replace('-', "_")), phase.into()));
        let mut histograms: BTreeMap<String, HistogramResult> = latencies.into();
        histograms.extend(phases);
        histograms.insert("latency_ns".to_owned(), (&self.latencies.all()).into());
        let stored = Stored {
            schema_version: crate::result::SCHEMA_VERSION,
            command,
            arguments: std::env::args().skip(1).collect(),
            machine: Machine::read(directory),
            driver: &self.driver,
            offered_rate: self.offered_rate,
            reached_rate: self.reached_rate,
            seconds: self.duration.as_secs_f64(),
            checkpoint_interval_ms: self.interval.map(|interval| interval.as_millis()),
            checkpoint_count: self.checkpoints.reports.len(),
            dropped_checkpoint_count: self.checkpoints.dropped_count,
            floor_p999_ns: self.floor_ns,
            stolen_part: self.stolen_part,
            histograms,
        };
        Ok(write_json(path, &stored)?)
    }

    /// Stores the latencies as `NAME.hgrm` (in us) and `NAME.hlog` (tagged by activity) in
    /// `directory`.
    ///
    /// # Errors
    ///
    /// [`MeasureError::File`], or [`MeasureError::Histogram`] if one cannot be encoded.
    pub fn write_histograms(&self, directory: &Path, name: &str) -> Result<(), MeasureError> {
        let percentiles = hgrm::text(&self.latencies.all(), 1e3);
        let intervals = Activity::ALL.map(|activity| hlog::Interval {
            tag: activity.name(),
            begin: Duration::ZERO,
            length: self.duration,
            histogram: self.latencies.during(activity),
        });
        let log = hlog::text(SystemTime::now() - self.duration, &intervals)?;
        for (ending, content) in [("hgrm", percentiles.into_bytes()), ("hlog", log)] {
            let path = directory.join(format!("{name}.{ending}"));
            fs::write(&path, content).map_err(MeasureError::file("write", path))?;
        }
        Ok(())
    }
}

fn print_row(
    out: &mut impl Write,
    name: &str,
    histogram: &Histogram<u64>,
) -> Result<(), MeasureError> {
    write!(out, "  {name:<14} {:>10} samples", histogram.len())?;
    for percentile in PERCENTILES {
        let value = percentile.of(histogram);
        let text = value.map_or_else(|| "-".to_owned(), |ns| Unit::Nanoseconds.text(ns));
        write!(out, "  {} {text:>8}", percentile.name)?;
    }
    if !histogram.is_empty() {
        write!(out, "  max {:>8}", Unit::Nanoseconds.text(histogram.max()))?;
    }
    writeln!(out)?;
    Ok(())
}
