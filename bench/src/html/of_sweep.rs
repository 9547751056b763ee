//! The pages of `latency --sweep` and `overhead --sweep`: all rates in one table and one chart,
//! then the charts of each.

use super::frame::Figure;
use super::of_open_loop::{carried, facts, latency_figures, overhead_figures};
use super::page::{Page, Tile};
use super::percentiles::{self, Curve};
use super::words::Quantity;
use crate::open_loop::{Overhead, Report};
use crate::pairs::{PairedCell, Side};
use crate::ratios::short;
use crate::sweep::Load;
use crate::text::percentiles::PERCENTILES;
use hdrhistogram::Histogram;
use maud::{Markup, html};

const LEAD: &str = "Events are due at parts of the highest rate that this job sustains, whatever \
                    the engine does.";
/// The curves of the rates, from the lowest on.
const CLASSES: [&str; 4] = ["first", "second", "third", "fourth"];

/// What `latency --sweep` found; `work` says of what.
pub(crate) fn of_latency_sweep(loads: &[Load<Report>], work: &str, shard_count: usize) -> Page {
    let all: Vec<_> = loads
        .iter()
        .map(|load| load.found.latencies.all())
        .collect();
    let header: Vec<_> = PERCENTILES.iter().map(|one| one.name).collect();
    let rows = loads.iter().zip(&all).map(|(load, all)| {
        let values = PERCENTILES.iter().map(|one| carried(one.of(all)));
        row(load, load.found.offered_rate, &values.collect::<Vec<_>>())
    });
    let tiles = loads.iter().zip(&all).map(|(load, all)| Tile {
        label: "p99 latency",
        value: carried(PERCENTILES[2].of(all)),
        note: at(load, load.found.offered_rate),
    });
    let mut figures: Vec<Figure> = by_load("Latency by percentile", loads, &all)
        .into_iter()
        .collect();
    for load in loads {
        figures.extend(of_load(load, latency_figures(&load.found)));
    }
    Page {
        command: "latency",
        lead: format!("{work}. {LEAD}"),
        tiles: tiles.collect(),
        doubts: doubts(loads, |report| report.doubts()),
        tables: vec![table(&header, &rows.collect::<Vec<_>>())],
        figures,
        shard_count,
        facts: loads
            .last()
            .map_or_else(Vec::new, |load| facts(&load.found)),
    }
}

/// What `overhead --sweep` found; `work` says of what.
pub(crate) fn of_overhead_sweep(loads: &[Load<Overhead>], work: &str, shard_count: usize) -> Page {
    let rows = loads.iter().map(|load| {
        let found = &load.found;
        let side = |side| Quantity::Nanoseconds.text(found.latency.side(side).median);
        let values = [
            side(Side::A),
            side(Side::B),
            with_spread(&found.latency),
            with_spread(&found.cpu),
        ];
        row(load, found.on.offered_rate, &values)
    });
    let tiles = loads.iter().map(|load| Tile {
        label: "p99.9 latency, on / off",
        value: short(load.found.latency.ratio().median),
        note: at(load, load.found.on.offered_rate),
    });
    let all: Vec<_> = loads
        .iter()
        .map(|load| load.found.on.latencies.all())
        .collect();
    let title = "Latency by percentile, checkpoints on";
    let mut figures: Vec<Figure> = by_load(title, loads, &all).into_iter().collect();
    for load in loads {
        figures.extend(of_load(load, overhead_figures(&load.found)));
    }
    Page {
        command: "overhead",
        lead: format!("{work}. {LEAD} Checkpoints on and off in turn at each."),
        tiles: tiles.collect(),
        doubts: doubts(loads, |overhead| {
            [overhead.on.doubts(), overhead.off.doubts()].concat()
        }),
        tables: vec![table(
            &["p99.9 on", "off", "on / off", "CPU, on / off"],
            &rows.collect::<Vec<_>>(),
        )],
        figures,
        shard_count,
        facts: loads
            .last()
            .map_or_else(Vec::new, |load| facts(&load.found.on)),
    }
}

fn at<T>(load: &Load<T>, rate: f64) -> String {
    format!("at {} %: {}", load.percent, Quantity::PerSecond.text(rate))
}

fn with_spread(cell: &PairedCell) -> String {
    let spread = cell.ratio();
    format!(
        "{} ({} to {})",
        short(spread.median),
        short(spread.min),
        short(spread.max)
    )
}

/// Each doubt once, with the load that it is about.
fn doubts<T>(loads: &[Load<T>], of: impl Fn(&T) -> Vec<String>) -> Vec<String> {
    let of_load = |load: &Load<T>| {
        let percent = load.percent;
        let doubts = of(&load.found).into_iter();
        doubts.map(move |doubt| format!("at {percent} %: {doubt}"))
    };
    let mut all: Vec<_> = loads.iter().flat_map(of_load).collect();
    all.dedup();
    all
}

/// One curve for each load.
fn by_load<T>(title: &str, loads: &[Load<T>], all: &[Histogram<u64>]) -> Option<Figure> {
    let names: Vec<_> = loads
        .iter()
        .map(|load| format!("{} % of the highest rate", load.percent))
        .collect();
    let curves: Vec<_> = names
        .iter()
        .zip(CLASSES)
        .zip(all)
        .map(|((name, class), histogram)| Curve {
            name,
            class,
            histogram,
        })
        .collect();
    let note = "From the moment an event was due, however late it was read.";
    percentiles::figure("percentiles", title, note, &curves)
}

/// The charts of one load among those of others.
fn of_load<T>(load: &Load<T>, figures: Vec<Figure>) -> impl Iterator<Item = Figure> {
    let (id, title) = (
        format!("load-{}", load.percent),
        format!("At {} %", load.percent),
    );
    figures
        .into_iter()
        .map(move |figure| figure.among(&id, &title))
}

fn row<T>(load: &Load<T>, rate: f64, values: &[String]) -> (String, String, Vec<String>) {
    let rate = Quantity::PerSecond.text(rate);
    (format!("{} %", load.percent), rate, values.to_vec())
}

fn table(header: &[&'static str], rows: &[(String, String, Vec<String>)]) -> Markup {
    html! {
        section id="loads" {
            h2 { "By load" }
            table class="loads" {
                thead {
                    tr {
                        th { "load" }
                        th class="number" { "events due" }
                        @for name in header { th class="number" { (name) } }
                    }
                }
                tbody {
                    @for (load, rate, values) in rows {
                        tr {
                            th scope="row" { (load) }
                            td class="number" data-label="events due" { (rate) }
                            @for (name, value) in header.iter().zip(values) {
                                td class="number" data-label=(name) { (value) }
                            }
                        }
                    }
                }
            }
        }
    }
}
