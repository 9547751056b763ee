//! The pages of `latency` and `overhead`.

use super::frame::Figure;
use super::page::{Page, Tile};
use super::percentiles::{self, Curve};
use super::timeline::{Timeline, Window};
use super::words::Quantity;
use super::{phases, sizes, waterfall};
use crate::open_loop::{Activity, Overhead, Report};
use crate::pairs::PairedCell;
use crate::ratios::short;
use crate::text::percentiles::PERCENTILES;
use crate::text::units::per_second;
use hdrhistogram::Histogram;

/// What `latency` found; `work` says of what.
pub(crate) fn of_latency(report: &Report, work: &str, shard_count: usize) -> Page {
    let all = report.latencies.all();
    Page {
        command: "latency",
        lead: format!("{work}. {}", offered(report)),
        tiles: latency_tiles(&all)
            .into_iter()
            .chain([reached(report)])
            .collect(),
        doubts: report.doubts(),
        tables: Vec::new(),
        figures: latency_figures(report),
        shard_count,
        facts: facts(report),
    }
}

/// What `overhead` found; `work` says of what.
pub(crate) fn of_overhead(overhead: &Overhead, work: &str, shard_count: usize) -> Page {
    let (on, off) = (&overhead.on, &overhead.off);
    let mut doubts = on.doubts();
    doubts.extend(off.doubts());
    doubts.sort();
    doubts.dedup();
    let slices = on.phase("freeze_ns").map(|histogram| histogram.max());
    let tiles = vec![
        ratio_tile("p99.9 latency, on / off", &overhead.latency),
        ratio_tile("CPU per event, on / off", &overhead.cpu),
        Tile {
            label: "longest freeze",
            value: Quantity::Nanoseconds.text(slices.unwrap_or(0) as f64),
            note: format!("of {} checkpoints", on.checkpoints.reports.len()),
        },
        reached(on),
    ];
    Page {
        command: "overhead",
        lead: format!(
            "{work}. {} The same running job with checkpoints on and off in turn, {} pairs.",
            offered(on),
            overhead.latency.pairs.len()
        ),
        tiles,
        doubts,
        tables: Vec::new(),
        figures: overhead_figures(overhead),
        shard_count,
        facts: facts(on),
    }
}

/// The charts of one side alone.
pub(super) fn latency_figures(report: &Report) -> Vec<Figure> {
    let all = report.latencies.all();
    let name = if report.interval.is_some() {
        "checkpoints on"
    } else {
        "checkpoints off"
    };
    let curve = Curve {
        name,
        class: "on",
        histogram: &all,
    };
    let timeline = Timeline {
        windows: vec![Window {
            name,
            class: "on",
            parts: &report.parts,
            traces: &report.traces,
        }],
    };
    let mut figures: Vec<Figure> = Vec::new();
    figures.extend(percentiles::figure(
        "percentiles",
        "Latency by percentile",
        "From the moment an event was due, however late it was read.",
        &[curve],
    ));
    figures.extend(timeline.latency("Percentiles of each tenth of a second."));
    figures.extend(attribution(report));
    figures.extend(of_checkpoints(report));
    figures.extend(timeline.memory());
    figures
}

/// The charts of both sides.
pub(super) fn overhead_figures(overhead: &Overhead) -> Vec<Figure> {
    let (on, off) = (&overhead.on, &overhead.off);
    let (all_on, all_off) = (on.latencies.all(), off.latencies.all());
    let curves = [
        Curve {
            name: "checkpoints on",
            class: "on",
            histogram: &all_on,
        },
        Curve {
            name: "checkpoints off",
            class: "off",
            histogram: &all_off,
        },
    ];
    let first = first_pair(overhead);
    let mut figures: Vec<Figure> = Vec::new();
    figures.extend(percentiles::figure(
        "percentiles",
        "Latency by percentile, checkpoints on and off",
        "All windows of each side together, from the moment an event was due.",
        &curves,
    ));
    figures
        .extend(first.latency("The first pair of windows; percentiles of each tenth of a second."));
    figures.extend(attribution(on));
    figures.extend(of_checkpoints(on));
    figures.extend(first.memory());
    figures
}

/// The first window with checkpoints and the one without after it.
fn first_pair(overhead: &Overhead) -> Timeline<'_> {
    let pair_count = overhead.latency.pairs.len().max(1);
    let first = |report: &'_ Report| report.parts.len() / pair_count;
    let (on, off) = (&overhead.on, &overhead.off);
    let parts = &on.parts[..first(on)];
    let until = parts.last().map(|part| part.ended);
    let is_first = |requested| until.is_some_and(|until| requested < until);
    let trace_count = on
        .traces
        .iter()
        .take_while(|trace| is_first(trace.requested))
        .count();
    Timeline {
        windows: vec![
            Window {
                name: "checkpoints on",
                class: "on",
                parts,
                traces: &on.traces[..trace_count],
            },
            Window {
                name: "checkpoints off",
                class: "off",
                parts: &off.parts[..first(off)],
                traces: &[],
            },
        ],
    }
}

fn attribution(report: &Report) -> Option<Figure> {
    report.interval?;
    let class = |activity| match activity {
        Activity::Steady => ("no checkpoint in flight", "steady"),
        Activity::AfterBarrier => ("the first millisecond after a request", "after"),
        Activity::Capturing => ("capture and write", "capturing"),
        Activity::Syncing => ("sync and publish", "syncing"),
    };
    let curves = Activity::ALL.map(|activity| {
        let (name, class) = class(activity);
        Curve {
            name,
            class,
            histogram: report.latencies.during(activity),
        }
    });
    percentiles::figure(
        "attribution",
        "Latency by what was going on",
        "With checkpoints on: what the engine did when the event came out.",
        &curves,
    )
}

fn of_checkpoints(report: &Report) -> Vec<Figure> {
    let mut figures = Vec::new();
    if report.interval.is_some() {
        figures.extend(phases::figure(&report.costs));
        figures.extend(waterfall::figures(&report.traces));
        figures.extend(sizes::figure(&report.traces));
    }
    figures
}

/// The percentiles that the samples carry.
fn latency_tiles(all: &Histogram<u64>) -> Vec<Tile> {
    let labels = [
        ("p50", "p50 latency"),
        ("p99", "p99 latency"),
        ("p99.9", "p99.9 latency"),
    ];
    let tile = |(name, label)| {
        let percentile = PERCENTILES.iter().find(|one| one.name == name);
        let value = percentile.and_then(|one| one.of(all));
        Tile {
            label,
            value: carried(value),
            note: if value.is_some() {
                format!("of {} events", Quantity::Count.text(all.len() as f64))
            } else {
                "too few events".to_owned()
            },
        }
    };
    labels.map(tile).to_vec()
}

/// A latency, or a dash where the samples do not carry it.
pub(super) fn carried(value_ns: Option<u64>) -> String {
    let text = |value: u64| Quantity::Nanoseconds.text(value as f64);
    value_ns.map_or_else(|| "\u{2013}".to_owned(), text)
}

fn ratio_tile(label: &'static str, cell: &PairedCell) -> Tile {
    let spread = cell.ratio();
    Tile {
        label,
        value: short(spread.median),
        note: format!("{} to {}", short(spread.min), short(spread.max)),
    }
}

fn reached(report: &Report) -> Tile {
    Tile {
        label: "rate reached",
        value: Quantity::PerSecond.text(report.reached_rate()),
        note: format!(
            "{} of CPU an event",
            Quantity::Nanoseconds.text(report.cpu_ns_per_event())
        ),
    }
}

fn offered(report: &Report) -> String {
    let rate = per_second(report.offered_rate, "events");
    match report.interval {
        Some(interval) => format!(
            "Events are due at {rate}, whatever the engine does; a checkpoint every {} ms.",
            interval.as_millis()
        ),
        None => format!("Events are due at {rate}, whatever the engine does; no checkpoints."),
    }
}

pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let [before, after] = report
        .floor_ns
        .map(|floor| Quantity::Nanoseconds.text(floor));
    vec![
        ("Driver", report.driver.clone()),
        (
            "Hiccup floor",
            format!("p99.9 {before} before, {after} after"),
        ),
        (
            "Stolen time",
            format!("{:.1} %", report.stolen_part * 100.0),
        ),
        (
            "Page faults",
            format!("{} on shards while measured", report.shards.minor_faults),
        ),
    ]
}
