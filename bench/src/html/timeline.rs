//! What happened over time: latency with the checkpoints behind it, and memory.

use super::frame::{Axis, Figure, Key, Plot, Size, chart, hit, path};
use super::scale::Scale;
use super::words::{Quantity, px};
use crate::open_loop::Part;
use frazil::CheckpointTrace;
use maud::{Markup, html};
use std::time::Instant;

const LATENCY_HEIGHT: f64 = 260.0;
const MEMORY_HEIGHT: f64 = 130.0;
/// A checkpoint is seen however short it is.
const BAND_WIDTH_MIN: f64 = 1.5;

/// A stretch of time in one setting.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) parts: &'a [Part],
    pub(super) traces: &'a [CheckpointTrace],
}

/// All windows, from the first part's beginning to the last one's end.
pub(super) struct Timeline<'a> {
    pub(super) windows: Vec<Window<'a>>,
}

impl Timeline<'_> {
    fn begin(&self) -> Option<Instant> {
        self.parts().map(|part| part.begun).min()
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.windows.iter().flat_map(|window| window.parts)
    }

    fn axis(&self, plot: &Plot, begin: Instant) -> Axis {
        let ends = self.parts().map(|part| seconds(begin, part.ended));
        let scale = Scale::linear((0.0, ends.fold(0.0, f64::max)), plot.across());
        Axis::new(
            scale,
            "time (seconds)",
            Quantity::Seconds,
            plot.size.pick(10, 5),
        )
    }

    /// Latency over time.
    pub(super) fn latency(&self, note: &str) -> Option<Figure> {
        let begin = self.begin()?;
        let mut keys = Vec::new();
        for window in &self.windows {
            keys.push(Key::new(window.class, &format!("{}, p50", window.name)));
            keys.push(Key::new(thin(window.class), "p99"));
            keys.push(Key::new(dotted(window.class), "longest"));
            if !window.traces.is_empty() {
                keys.push(Key::new(
                    "band",
                    "a checkpoint, from its request until it is durable",
                ));
            }
        }
        let draw = |size| self.draw_latency(size, begin);
        Some(Figure::of_chart(
            "over-time",
            "Latency over time",
            note,
            keys,
            draw,
        ))
    }

    fn draw_latency(&self, size: Size, begin: Instant) -> Markup {
        let plot = Plot::new(size, LATENCY_HEIGHT);
        let x = self.axis(&plot, begin);
        let timed = self.parts().filter(|part| part.count > 0);
        let least = timed.map(|part| part.p50_ns).min().unwrap_or(1);
        let largest = self.parts().map(|part| part.max_ns).max().unwrap_or(1);
        let values = (least.max(1) as f64 * 0.8, largest as f64 * 1.2);
        let values = Scale::log(values, plot.upward());
        let y = Axis::new(values, "latency (logarithmic)", Quantity::Nanoseconds, 8);
        let marks = html! {
            @for window in &self.windows {
                (bands(&plot, window, begin, &x.scale))
                (self.lines(window, begin, &x.scale, &y.scale))
                @for part in window.parts {
                    @let from = x.scale.at(seconds(begin, part.begun));
                    @let to = x.scale.at(seconds(begin, part.ended));
                    (hit(&plot, from, to, f64::midpoint(from, to), &tip(window, part, begin)))
                }
            }
        };
        chart(&plot, &x, &y, &marks)
    }

    fn lines(&self, window: &Window<'_>, begin: Instant, x: &Scale, y: &Scale) -> Markup {
        let line = |of: fn(&Part) -> u64| {
            path(
                window
                    .parts
                    .iter()
                    .filter(|part| part.count > 0)
                    .map(|part| {
                        let middle =
                            f64::midpoint(seconds(begin, part.begun), seconds(begin, part.ended));
                        (x.at(middle), y.at(of(part) as f64))
                    }),
            )
        };
        html! {
            path class={ "line " (window.class) } d=(line(|part| part.p50_ns)) {}
            path class={ "line " (thin(window.class)) } d=(line(|part| part.p99_ns)) {}
            @for part in window.parts.iter().filter(|part| part.count > 0) {
                @let (from, to) = (seconds(begin, part.begun), seconds(begin, part.ended));
                @let middle = f64::midpoint(from, to);
                circle class={ "point " (window.class) } r="1.6"
                    cx=(px(x.at(middle))) cy=(px(y.at(part.max_ns as f64))) {}
            }
        }
    }

    /// Anonymous memory over time.
    pub(super) fn memory(&self) -> Option<Figure> {
        let begin = self.begin()?;
        let of_window = |window: &Window<'_>| Key::new(window.class, window.name);
        let keys = self.windows.iter().map(of_window).collect();
        let note = "Anonymous memory of the whole process: state, staging, rings and this \
                    program's own histograms.";
        let draw = |size| self.draw_memory(size, begin);
        Some(Figure::of_chart("memory", "Memory", note, keys, draw))
    }

    fn draw_memory(&self, size: Size, begin: Instant) -> Markup {
        let plot = Plot::new(size, MEMORY_HEIGHT);
        let x = self.axis(&plot, begin);
        let largest = self
            .parts()
            .map(|part| part.anonymous_bytes)
            .max()
            .unwrap_or(1);
        let values = Scale::linear((0.0, largest as f64 * 1.1), plot.upward());
        let y = Axis::new(values, "resident memory", Quantity::Bytes, 4);
        let marks = html! {
            @for window in &self.windows {
                @let points = window.parts.iter().map(|part| {
                    let at = seconds(begin, part.ended);
                    (x.scale.at(at), y.scale.at(part.anonymous_bytes as f64))
                });
                path class={ "line " (window.class) } d=(path(points)) {}
                @for part in window.parts {
                    @let from = x.scale.at(seconds(begin, part.begun));
                    @let to = x.scale.at(seconds(begin, part.ended));
                    @let value = Quantity::Bytes.text(part.anonymous_bytes as f64);
                    (hit(&plot, from, to, to, &format!("{value}\n{}", window.name)))
                }
            }
        };
        chart(&plot, &x, &y, &marks)
    }
}

fn bands(plot: &Plot, window: &Window<'_>, begin: Instant, x: &Scale) -> Markup {
    html! {
        @for trace in window.traces {
            @if let Some(publish) = trace.publish {
                @let from = x.at(seconds(begin, trace.requested));
                @let to = x.at(seconds(begin, publish.end)).max(from + BAND_WIDTH_MIN);
                rect class="band" x=(px(from)) y=(px(plot.top)) width=(px(to - from))
                    height=(px(plot.height())) {}
            }
        }
    }
}

fn tip(window: &Window<'_>, part: &Part, begin: Instant) -> String {
    let time = |ns: u64| Quantity::Nanoseconds.text(ns as f64);
    let mut tip = format!(
        "{}, {}\np50 {}\np99 {}\nlongest {}\n{} events",
        Quantity::Seconds.text(seconds(begin, part.begun)),
        window.name,
        time(part.p50_ns),
        time(part.p99_ns),
        time(part.max_ns),
        Quantity::Count.text(part.count as f64),
    );
    let within = |trace: &&CheckpointTrace| (part.begun..part.ended).contains(&trace.requested);
    for trace in window.traces.iter().filter(within) {
        tip.push_str(&format!("\ncheckpoint {}", trace.checkpoint));
    }
    tip
}

fn thin(class: &str) -> &'static str {
    if class == "on" { "on thin" } else { "off thin" }
}

fn dotted(class: &str) -> &'static str {
    if class == "on" { "on spot" } else { "off spot" }
}

fn seconds(begin: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(begin).as_secs_f64()
}
