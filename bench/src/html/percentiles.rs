//! Latency by percentile, on a logarithmic percentile axis: each further nine is as wide as the one
//! before.

use super::frame::{Axis, Figure, Key, Plot, Size, chart, hit, path};
use super::scale::Scale;
use super::words::{Quantity, percent, px};
use crate::text::percentiles::PERCENTILES;
use hdrhistogram::Histogram;
use maud::{Markup, html};

const HEIGHT: f64 = 300.0;
const STEPS: u32 = 160;
/// The axis of latency begins at p5: the few quickest of all would take most of it.
const AXIS_FROM_NINES: f64 = 0.022;

/// One curve.
pub(super) struct Curve<'a> {
    pub(super) name: &'a str,
    pub(super) class: &'static str,
    pub(super) histogram: &'a Histogram<u64>,
}

impl Curve<'_> {
    fn value(&self, nines: f64) -> f64 {
        self.histogram.value_at_quantile(1.0 - 10_f64.powf(-nines)) as f64
    }

    /// As far as the samples carry it.
    fn nines_max(&self) -> f64 {
        let carried = PERCENTILES
            .iter()
            .filter(|one| one.of(self.histogram).is_some());
        carried.map(|one| one.nines()).fold(0.0, f64::max)
    }
}

/// A chart of all curves that have samples.
pub(super) fn figure(id: &str, title: &str, note: &str, curves: &[Curve<'_>]) -> Option<Figure> {
    let curves: Vec<_> = curves
        .iter()
        .filter(|curve| curve.nines_max() > 0.0)
        .collect();
    if curves.is_empty() {
        return None;
    }
    let keys = curves.iter().map(|curve| Key::new(curve.class, curve.name));
    let note = format!("{note} A curve ends where its samples carry no further percentile.");
    let draw = |size| draw(size, &curves);
    Some(Figure::of_chart(id, title, &note, keys.collect(), draw))
}

fn draw(size: Size, curves: &[&Curve<'_>]) -> Markup {
    let plot = Plot::new(size, HEIGHT);
    let nines_max = curves
        .iter()
        .map(|curve| curve.nines_max())
        .fold(1.0, f64::max);
    let least = curves
        .iter()
        .map(|curve| curve.value(AXIS_FROM_NINES))
        .fold(f64::MAX, f64::min);
    let largest = curves.iter().map(|curve| curve.value(curve.nines_max()));
    let largest = largest.fold(0.0, f64::max);
    let nines = Scale::linear((0.0, nines_max), plot.across());
    let x = Axis {
        scale: nines,
        label: "percentile".to_owned(),
        ticks: marked(nines_max, size),
    };
    let values = Scale::log((least.max(1.0) * 0.9, largest * 1.1), plot.upward());
    let y = Axis::new(values, "latency (logarithmic)", Quantity::Nanoseconds, 8);
    let marks = html! {
        @for curve in curves {
            @let end = curve.nines_max();
            @let points = (0..=STEPS).map(|step| {
                let nines = end * f64::from(step) / f64::from(STEPS);
                (x.scale.at(nines), y.scale.at(curve.value(nines)))
            });
            path class={ "line " (curve.class) } d=(path(points)) {}
        }
        (hits(&plot, curves, nines_max, &x.scale, &y.scale))
    };
    chart(&plot, &x, &y, &marks)
}

fn hits(plot: &Plot, curves: &[&Curve<'_>], nines_max: f64, x: &Scale, y: &Scale) -> Markup {
    let count = plot.size.pick(10, 5) * 5;
    let step = nines_max / f64::from(count);
    html! {
        @for index in 0..=count {
            @let nines = step * f64::from(index);
            @let reaches = |one: &&&Curve<'_>| one.nines_max() >= nines - 1e-9;
            @let shown: Vec<_> = curves.iter().filter(reaches).collect();
            @let tip = shown.iter().fold(percent(nines), |tip, curve| {
                let value = Quantity::Nanoseconds.text(curve.value(nines));
                format!("{tip}\n{value}  {}", curve.name)
            });
            g {
                (hit(plot, x.at(nines - step / 2.0), x.at(nines + step / 2.0), x.at(nines), &tip))
                @for curve in &shown {
                    circle class={ "dot " (curve.class) } r="3.5"
                        cx=(px(x.at(nines))) cy=(px(y.at(curve.value(nines)))) {}
                }
            }
        }
    }
}

fn marked(nines_max: f64, size: Size) -> Vec<(f64, String)> {
    let mut all = vec![0.0, 1.0, 2.0, 3.0, 4.0];
    if size == Size::Wide {
        all.insert(1, 2_f64.log10());
    }
    let within = all.into_iter().filter(|nines| *nines <= nines_max + 1e-9);
    within.map(|nines| (nines, percent(nines))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_end_where_samples_do() {
        let mut histogram = Histogram::new(3).unwrap();
        let empty = histogram.clone();
        histogram.record_n(1_000, 99).unwrap();
        histogram.record(50_000).unwrap();
        let curve = |histogram| Curve {
            name: "on",
            class: "on",
            histogram,
        };
        assert!((curve(&histogram).nines_max() - 2.0).abs() < 1e-9);
        let curves = [curve(&histogram), curve(&empty)];
        let drawn = figure("p", "Latency", "All.", &curves).unwrap();
        assert_eq!(drawn.keys.len(), 1);
        let text = drawn.body[0].clone().into_string();
        assert!(text.contains("99 %") && !text.contains("99.9 %"), "{text}");
        assert!(figure("p", "Latency", "All.", &curves[1..]).is_none());
    }
}
