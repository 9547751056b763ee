//! A report in files: as JSON fields, as `.hgrm` and as tagged `.hlog`.

use super::activity::Activity;
use super::report::Report;
use crate::files::{hgrm, hlog};
use crate::limits::RawDisk;
use crate::measure_error::MeasureError;
use crate::result::HistogramResult;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The fields of a report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredReport {
    driver: String,
    offered_rate: f64,
    reached_rate: f64,
    seconds: f64,
    cpu_ns_per_event: f64,
    shard_minor_faults: u64,
    checkpoint_interval_ms: Option<u128>,
    achieved_interval_ms: Option<f64>,
    checkpoint_count: usize,
    dropped_checkpoint_count: u64,
    raw_disk: Option<RawDisk>,
    floor_p999_ns: [f64; 2],
    stolen_part: f64,
    /// Why the figures do not count, or not fully.
    doubts: Vec<String>,
    histograms: BTreeMap<String, HistogramResult>,
}

impl Report {
    pub(crate) fn stored(&self) -> StoredReport {
        // The engine's own latencies have the same names and run from the source, not from due.
        let mut histograms = self.costs.results();
        histograms.insert("latency_ns".to_owned(), (&self.latencies.all()).into());
        for activity in Activity::ALL {
            let name = format!("latency_{}_ns", activity.name().replace('-', "_"));
            histograms.insert(name, self.latencies.during(activity).into());
        }
        let seconds = self.duration.as_secs_f64();
        let achieved_ms = self.checkpoints.achieved_ms(seconds);
        StoredReport {
            driver: self.driver.clone(),
            offered_rate: self.offered_rate,
            reached_rate: self.reached_rate(),
            seconds,
            cpu_ns_per_event: self.cpu_ns_per_event(),
            shard_minor_faults: self.shards.minor_faults,
            checkpoint_interval_ms: self.interval.map(|interval| interval.as_millis()),
            achieved_interval_ms: self.interval.map(|_| achieved_ms),
            checkpoint_count: self.checkpoints.reports.len(),
            dropped_checkpoint_count: self.checkpoints.dropped_count,
            raw_disk: self.raw_disk,
            floor_p999_ns: self.floor_ns,
            stolen_part: self.stolen_part,
            doubts: self.doubts(),
            histograms,
        }
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
