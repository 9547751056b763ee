//! How long each phase of a checkpoint took: a row of bars for each, on one axis, so that they can
//! be compared.

use super::frame::{Axis, Figure, Plot, Size, horizontal_axis, picture};
use super::scale::Scale;
use super::words::{Quantity, px};
use crate::costs::CostHistograms;
use crate::text::percentiles::PERCENTILES;
use crate::text::units::Unit;
use hdrhistogram::Histogram;
use maud::{Markup, html};

const BARS_HEIGHT: f64 = 34.0;
const TEXT_HEIGHT: f64 = 20.0;

/// A row of the chart.
struct Row<'a> {
    title: &'static str,
    histogram: &'a Histogram<u64>,
}

/// All phases that have samples; `None` if none has.
pub(super) fn figure(costs: &CostHistograms) -> Option<Figure> {
    let is_phase = |name: &str| name.ends_with("_ns") && !name.starts_with("latency");
    let rows: Vec<_> = costs
        .with_costs()
        .filter(|(cost, histogram)| {
            cost.unit == Unit::Nanoseconds && is_phase(cost.name) && !histogram.is_empty()
        })
        .map(|(cost, histogram)| Row {
            title: cost.title,
            histogram,
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let note = "How often each phase took how long. Records wait during the freeze only; all other \
                phases run beside them. Each row has its own height.";
    let draw = |size| draw(size, &rows);
    Some(Figure::of_chart(
        "phases",
        "Phases of a checkpoint",
        note,
        Vec::new(),
        draw,
    ))
}

fn draw(size: Size, rows: &[Row<'_>]) -> Markup {
    let row_height = TEXT_HEIGHT + BARS_HEIGHT + 6.0;
    let mut plot = Plot::new(size, row_height * rows.len() as f64);
    plot.left = 2.0;
    let least = rows.iter().map(|row| row.histogram.min()).min();
    let largest = rows.iter().map(|row| row.histogram.max()).max();
    let values = (
        least.unwrap_or(1).max(1) as f64,
        largest.unwrap_or(1) as f64,
    );
    let scale = Scale::log((values.0 * 0.8, values.1 * 1.2), plot.across());
    let x = Axis::new(
        scale,
        "duration (logarithmic)",
        Quantity::Nanoseconds,
        size.pick(10, 6),
    );
    let content = html! {
        text class="label" data-axis="y" x="0" y="12" { "samples" }
        @for (value, _) in &x.ticks {
            @let at = px(x.scale.at(*value));
            line class="grid" x1=(at) x2=(at) y1=(px(plot.top)) y2=(px(plot.bottom)) {}
        }
        (horizontal_axis(&plot, &x))
        @for (index, row) in rows.iter().enumerate() {
            (bars(&plot, plot.top + row_height * index as f64, row, &x.scale))
        }
    };
    picture(size, plot.bottom + 42.0, &content)
}

fn bars(plot: &Plot, top: f64, row: &Row<'_>, x: &Scale) -> Markup {
    let bar_count = plot.size.pick(110, 56);
    let counts = counts(row.histogram, x, bar_count);
    let tallest = counts.iter().copied().max().unwrap_or(1).max(1);
    let width = (plot.right - plot.left) / bar_count as f64;
    let base = top + TEXT_HEIGHT + BARS_HEIGHT;
    html! {
        text class="name" x="2" y=(px(top + 15.0)) { (row.title) }
        text class="end quiet" x=(px(plot.right)) y=(px(top + 15.0)) {
            (summary(row.histogram, plot.size))
        }
        line class="base" x1=(px(plot.left)) x2=(px(plot.right)) y1=(px(base)) y2=(px(base)) {}
        @for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            @let height = (BARS_HEIGHT * *count as f64 / tallest as f64).max(1.5);
            @let left = plot.left + width * index as f64;
            @let part = |index: usize| index as f64 / bar_count as f64;
            g class="hit bar" {
                title {
                    (Quantity::Nanoseconds.text(x.value(part(index)))) " to "
                    (Quantity::Nanoseconds.text(x.value(part(index + 1)))) "\n"
                    (Quantity::Count.text(*count as f64)) " samples"
                }
                rect class="on" x=(px(left + 0.5)) y=(px(base - height)) width=(px(width - 1.0))
                    height=(px(height)) {}
            }
        }
    }
}

/// Samples by equal parts of the axis.
fn counts(histogram: &Histogram<u64>, x: &Scale, bar_count: usize) -> Vec<u64> {
    let mut counts = vec![0; bar_count];
    let (start, end) = (x.at(0.0), x.at(f64::MAX));
    for sample in histogram.iter_recorded() {
        let part = (x.at(sample.value_iterated_to() as f64) - start) / (end - start);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a part of the axis times the number of its bars"
        )]
        let index = (part * bar_count as f64) as usize;
        counts[index.min(bar_count - 1)] += sample.count_since_last_iteration();
    }
    counts
}

/// Percentiles that the samples carry.
fn summary(histogram: &Histogram<u64>, size: Size) -> String {
    let time = |value: u64| Quantity::Nanoseconds.text(value as f64);
    let names = size.pick(&["p50", "p99", "p99.9"][..], &["p50"]);
    let named = PERCENTILES.iter().filter(|one| names.contains(&one.name));
    let mut parts = Vec::new();
    if size == Size::Wide {
        parts.push(format!(
            "{} samples",
            Quantity::Count.text(histogram.len() as f64)
        ));
    }
    for percentile in named {
        if let Some(value) = percentile.of(histogram) {
            parts.push(format!("{} {}", percentile.name, time(value)));
        }
    }
    parts.push(format!("max {}", time(histogram.max())));
    parts.join(" \u{b7} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_a_bar() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in [1, 10, 100, 1_000, 1_000_000] {
            histogram.record_n(value, 3).unwrap();
        }
        let x = Scale::log((1.0, 1e6), (0.0, 500.0));
        let counts = counts(&histogram, &x, 12);
        assert_eq!(counts.iter().sum::<u64>(), 15);
        assert_eq!((counts[0], counts[11]), (3, 3));
    }
}
