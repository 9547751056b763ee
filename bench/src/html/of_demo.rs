//! The page of `demo`.

use super::frame::Figure;
use super::page::{Page, Tile};
use super::percentiles::{self, Curve};
use super::timeline::{Timeline, Window};
use super::words::Quantity;
use super::{phases, progress_chart, sizes, waterfall};
use crate::demo::kill_run::KillReport;
use crate::overhead::Measurement;
use crate::ratios::short;
use crate::reference::ComparisonReport;
use crate::text::units::grouped;

/// What `demo` found; the cost of checkpoints where it was measured.
pub(crate) fn of_demo(
    killed: &KillReport,
    comparison: &ComparisonReport,
    measurement: Option<&Measurement>,
    shard_count: usize,
    driver: &str,
) -> Page {
    let is_equal = comparison.is_equal();
    let mut tiles = vec![
        Tile {
            label: "equal to the reference",
            value: if is_equal { "yes" } else { "NO" }.to_owned(),
            note: format!(
                "{} rows of {} keys",
                grouped(comparison.row_count),
                grouped(comparison.key_count)
            ),
        },
        Tile {
            label: "kill to first record",
            value: format!("{:.1} ms", killed.recovered.recovery_ms),
            note: format!("from checkpoint {}", killed.recovered.checkpoint_number),
        },
    ];
    let mut figures: Vec<_> = progress_chart::figure(killed).into_iter().collect();
    if let Some(measurement) = measurement {
        let ratio = measurement.result.ratio;
        tiles.push(Tile {
            label: "throughput, on / off",
            value: short(ratio.median),
            note: format!("{} to {}", short(ratio.min), short(ratio.max)),
        });
        let on = median(measurement.result.pairs.iter().map(|pair| pair.on));
        tiles.push(Tile {
            label: "records with checkpoints",
            value: Quantity::PerSecond.text(on),
            note: format!("{} checkpoints", grouped(measurement.checkpoint_count)),
        });
        figures.extend(cost_figures(measurement));
    }
    Page {
        command: "demo",
        lead:
            "Counts every identifier of real text on all cores, with checkpoints on and one real \
               kill -9 in the middle; then compares what was committed with an independent count."
                .to_owned(),
        tiles,
        doubts: if is_equal {
            Vec::new()
        } else {
            vec!["WRONG: what was committed differs from the reference".to_owned()]
        },
        tables: Vec::new(),
        figures,
        shard_count,
        facts: vec![("Driver", driver.to_owned())],
    }
}

/// What checkpoints cost, in charts.
fn cost_figures(measurement: &Measurement) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    let (on, off) = (measurement.costs.latency(), measurement.off_costs.latency());
    figures.extend(percentiles::figure(
        "percentiles",
        "Latency of rows at full load, checkpoints on and off",
        "From reading a record to its row at the sink, with all shards saturated.",
        &[
            Curve {
                name: "checkpoints on",
                class: "on",
                histogram: &on,
            },
            Curve {
                name: "checkpoints off",
                class: "off",
                histogram: &off,
            },
        ],
    ));
    let timeline = timeline(measurement);
    figures.extend(timeline.latency(
        "The last pair of runs, each in a job of its own; percentiles of each twentieth of a run.",
    ));
    figures.extend(phases::figure(&measurement.costs));
    figures.extend(waterfall::figures(&measurement.traces));
    figures.extend(sizes::figure(&measurement.traces));
    figures.extend(timeline.memory());
    figures
}

fn timeline(measurement: &Measurement) -> Timeline<'_> {
    let [on, off] = &measurement.parts;
    Timeline {
        windows: vec![
            Window {
                name: "checkpoints off",
                class: "off",
                parts: off,
                traces: &[],
            },
            Window {
                name: "checkpoints on",
                class: "on",
                parts: on,
                traces: &measurement.traces,
            },
        ],
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    crate::result::Spread::of(values.collect()).map_or(0.0, |spread| spread.median)
}
