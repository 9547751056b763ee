//! The histograms of the engine that say what a checkpoint costs.

use crate::result::HistogramResult;
use crate::text::units::Unit;
use frazil::Statistics;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// One histogram: how it is called, and where the engine has it.
pub(crate) struct Cost {
    /// Name in the JSON result; ends with the unit.
    pub(crate) name: &'static str,
    /// Title for people.
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) view: View,
    of: fn(&Statistics) -> &Histogram<u64>,
}

/// How it is shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Bars,
    Row,
    JsonOnly,
}

const fn time(
    name: &'static str,
    title: &'static str,
    view: View,
    of: fn(&Statistics) -> &Histogram<u64>,
) -> Cost {
    Cost {
        name,
        title,
        unit: Unit::Nanoseconds,
        view,
        of,
    }
}

/// All of them, in the order of a checkpoint's life.
pub(crate) const COSTS: [Cost; 13] = [
    time("align_ns", "align", View::JsonOnly, |s| {
        &s.checkpoints.align
    }),
    time("freeze_ns", "freeze (no records)", View::Bars, |s| {
        &s.freeze
    }),
    time("capture_slice_ns", "capture, one slice", View::Bars, |s| {
        &s.capture_slice
    }),
    time("capture_ns", "capture, whole", View::Bars, |s| {
        &s.checkpoints.capture
    }),
    time("write_ns", "write (from the request)", View::Bars, |s| {
        &s.checkpoints.write
    }),
    time("sync_ns", "sync", View::Bars, |s| &s.checkpoints.sync),
    time("publish_ns", "publish", View::JsonOnly, |s| {
        &s.checkpoints.publish
    }),
    time("checkpoint_ns", "whole checkpoint", View::Bars, |s| {
        &s.checkpoints.whole
    }),
    Cost {
        name: "checkpoint_bytes",
        title: "bytes per checkpoint",
        unit: Unit::Bytes,
        view: View::Bars,
        of: |s| &s.checkpoints.bytes,
    },
    time(
        "latency_steady_ns",
        "no checkpoint in flight",
        View::Row,
        |s| &s.latency.steady,
    ),
    time(
        "latency_after_barrier_ns",
        "shortly after a barrier",
        View::Row,
        |s| &s.latency.after_barrier,
    ),
    time("latency_capturing_ns", "during capture", View::Row, |s| {
        &s.latency.capturing
    }),
    time(
        "latency_syncing_ns",
        "during write and sync",
        View::Row,
        |s| &s.latency.syncing,
    ),
];

/// The histograms of [`COSTS`], over a part of a job's life or over several jobs.
#[derive(Clone, Debug)]
pub(crate) struct CostHistograms([Histogram<u64>; COSTS.len()]);

impl CostHistograms {
    /// What a job has recorded so far.
    pub(crate) fn of(statistics: &Statistics) -> Self {
        Self(COSTS.map(|cost| (cost.of)(statistics).clone()))
    }

    /// What the same job has recorded since `earlier`.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for (later, earlier) in self.0.iter_mut().zip(&earlier.0) {
            let subtracted = later.subtract(earlier);
            subtracted.expect("a job's histograms only grow");
        }
        self
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (into, from) in self.0.iter_mut().zip(&other.0) {
            into.add(from).expect("the engine's bounds are fixed");
        }
    }

    pub(crate) fn with_costs(&self) -> impl Iterator<Item = (&'static Cost, &Histogram<u64>)> {
        COSTS.iter().zip(&self.0)
    }

    /// The one that is called `name` in the result.
    pub(crate) fn named(&self, name: &str) -> Option<&Histogram<u64>> {
        let mut named = self.with_costs();
        named
            .find(|(cost, _)| cost.name == name)
            .map(|(_, found)| found)
    }

    /// The engine's latencies, whatever was going on.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        let mut latencies = self.with_costs().filter(|(cost, _)| cost.view == View::Row);
        let mut all = latencies.next().expect("there are four").1.clone();
        for (_, histogram) in latencies {
            all.add(histogram).expect("the engine's bounds are fixed");
        }
        all
    }

    pub(crate) fn results(&self) -> BTreeMap<String, HistogramResult> {
        let named = self.with_costs();
        named
            .map(|(cost, histogram)| (cost.name.to_owned(), HistogramResult::from(histogram)))
            .collect()
    }
}
