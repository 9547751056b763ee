//! What was written for each checkpoint.

use super::frame::{Axis, Figure, Plot, Size, chart};
use super::scale::Scale;
use super::words::{Quantity, px};
use frazil::CheckpointTrace;
use maud::{Markup, html};

const HEIGHT: f64 = 150.0;

/// Bytes of each checkpoint, in order; `None` where there is none.
pub(super) fn figure(traces: &[CheckpointTrace]) -> Option<Figure> {
    let sizes: Vec<_> = traces
        .iter()
        .map(|trace| (trace.checkpoint, trace.bytes))
        .collect();
    if sizes.is_empty() {
        return None;
    }
    let total: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
    let note = format!(
        "Frames and manifest of {} checkpoints, {} in all. Only lines that changed since the \
         checkpoint before are written.",
        Quantity::Count.text(sizes.len() as f64),
        Quantity::Bytes.text(total as f64),
    );
    let draw = |size| draw(size, &sizes);
    Some(Figure::of_chart(
        "bytes",
        "Bytes per checkpoint",
        &note,
        Vec::new(),
        draw,
    ))
}

fn draw(size: Size, sizes: &[(u64, u64)]) -> Markup {
    let plot = Plot::new(size, HEIGHT);
    let step = (plot.right - plot.left) / sizes.len() as f64;
    let width = (step * 0.8).min(28.0);
    let largest = sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(1);
    let scale = Scale::linear((0.0, largest as f64 * 1.1), plot.upward());
    let y = Axis::new(scale, "bytes written", Quantity::Bytes, 4);
    let order = Scale::linear((0.0, sizes.len() as f64), plot.across());
    let middle = |index: usize| index as f64 + 0.5;
    let every = sizes.len().div_ceil(size.pick(12, 6));
    let ticks = sizes.iter().enumerate().step_by(every.max(1));
    let x = Axis {
        scale: order,
        label: "number of the checkpoint".to_owned(),
        ticks: ticks
            .map(|(index, (number, _))| (middle(index), number.to_string()))
            .collect(),
    };
    let marks = html! {
        @for (index, (number, bytes)) in sizes.iter().enumerate() {
            @let top = y.scale.at(*bytes as f64);
            @let left = x.scale.at(middle(index)) - width / 2.0;
            g class="hit bar" {
                title { "checkpoint " (number) "\n" (Quantity::Bytes.text(*bytes as f64)) }
                rect class="on" x=(px(left)) y=(px(top)) width=(format!("{width:.2}"))
                    height=(px(plot.bottom - top)) {}
            }
        }
    };
    chart(&plot, &x, &y, &marks)
}
