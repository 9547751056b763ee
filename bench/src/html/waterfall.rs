//! One checkpoint from its request until it is durable: what each shard and the writer did when.

use super::frame::{Axis, Figure, Key, Plot, Size, horizontal_axis, picture};
use super::scale::Scale;
use super::words::{Quantity, px};
use frazil::{CheckpointTrace, PhaseTime, ShardTrace};
use maud::{Markup, html};

const LANE_HEIGHT: f64 = 40.0;
const BAR_HEIGHT: f64 = 12.0;
/// More shards are not told apart on a page.
const SHARDS_MAX: usize = 16;
/// A phase is seen however short it is.
const BAR_WIDTH_MIN: f64 = 2.0;

/// The checkpoint whose duration is the median, and the slowest.
pub(super) fn figures(traces: &[CheckpointTrace]) -> Vec<Figure> {
    let mut by_duration: Vec<_> = traces
        .iter()
        .filter(|trace| trace.publish.is_some())
        .collect();
    by_duration.sort_by_key(|trace| whole_ns(trace));
    let count = by_duration.len();
    let Some(slowest) = by_duration.last() else {
        return Vec::new();
    };
    let typical = by_duration[(count - 1) / 2];
    let mut figures = vec![figure("waterfall", "A typical checkpoint", typical)];
    if count > 1 {
        figures.push(figure(
            "waterfall-slowest",
            "The slowest checkpoint",
            slowest,
        ));
    }
    figures
}

/// From the request until it is durable, in ns.
fn whole_ns(trace: &CheckpointTrace) -> u128 {
    let end = trace.publish.map_or(trace.requested, |publish| publish.end);
    end.saturating_duration_since(trace.requested).as_nanos()
}

fn figure(id: &str, title: &str, trace: &CheckpointTrace) -> Figure {
    let note = format!(
        "Checkpoint {}: {} from its request until it was durable, {} written. A shard goes on with \
         records during all but the freeze.",
        trace.checkpoint,
        Quantity::Nanoseconds.text(whole_ns(trace) as f64),
        Quantity::Bytes.text(trace.bytes as f64),
    );
    let keys = [
        ("align", "align"),
        ("freeze", "freeze"),
        ("capture", "capture"),
        ("write", "write"),
        ("sync", "sync"),
        ("publish", "publish"),
        ("commit", "commit of sinks"),
    ];
    let keys = keys.map(|(class, text)| Key::new(class, text)).to_vec();
    Figure::of_chart(id, title, &note, keys, |size| draw(size, trace))
}

fn draw(size: Size, trace: &CheckpointTrace) -> Markup {
    let shards = &trace.shards[..trace.shards.len().min(SHARDS_MAX)];
    let lane_count = shards.len() + 1;
    let mut plot = Plot::new(size, LANE_HEIGHT * lane_count as f64);
    plot.left = 70.0;
    let commit = trace.commit.map_or(0, |commit| {
        commit
            .end
            .saturating_duration_since(trace.requested)
            .as_nanos()
    });
    let end = whole_ns(trace).max(commit) as f64;
    let scale = Scale::linear((0.0, end), plot.across());
    let label = "time since the request";
    let x = Axis::new(scale, label, Quantity::Nanoseconds, size.pick(8, 4));
    let lane = |index: usize| plot.top + LANE_HEIGHT * index as f64;
    let content = html! {
        text class="label" data-axis="y" x="0" y="12" { "thread" }
        @for (value, _) in &x.ticks {
            @let at = px(x.scale.at(*value));
            line class="grid" x1=(at) x2=(at) y1=(px(plot.top)) y2=(px(plot.bottom)) {}
        }
        (horizontal_axis(&plot, &x))
        @for (index, shard) in shards.iter().enumerate() {
            text class="name" x="0" y=(px(lane(index) + 24.0)) { "shard " (index) }
            (shard_bars(shard, trace, lane(index), &x.scale))
        }
        text class="name" x="0" y=(px(lane(shards.len()) + 24.0)) { "writer" }
        @for (class, phase) in [
            ("sync", trace.sync),
            ("publish", trace.publish),
            ("commit", trace.commit),
        ] {
            (bar(class, class, phase, trace, lane(shards.len()) + 14.0, &x.scale))
        }
    };
    picture(size, plot.bottom + 42.0, &content)
}

fn shard_bars(shard: &ShardTrace, trace: &CheckpointTrace, top: f64, x: &Scale) -> Markup {
    let (upper, lower) = (top + 6.0, top + 8.0 + BAR_HEIGHT);
    html! {
        (bar("align", "align", shard.align, trace, upper, x))
        (bar("capture", "capture", shard.capture, trace, upper, x))
        (bar("freeze", "freeze", shard.freeze, trace, upper, x))
        (bar("write", "write", shard.write, trace, lower, x))
    }
}

fn bar(
    class: &str,
    name: &str,
    phase: Option<PhaseTime>,
    trace: &CheckpointTrace,
    top: f64,
    x: &Scale,
) -> Markup {
    let since =
        |at: std::time::Instant| at.saturating_duration_since(trace.requested).as_nanos() as f64;
    html! {
        @if let Some(phase) = phase {
            @let (from, to) = (since(phase.start), since(phase.end));
            @let width = (x.at(to) - x.at(from)).max(BAR_WIDTH_MIN);
            g class="hit bar" {
                title {
                    (name) " " (Quantity::Nanoseconds.text(to - from)) "\n"
                    "from " (Quantity::Nanoseconds.text(from))
                    " to " (Quantity::Nanoseconds.text(to))
                }
                rect class=(class) x=(px(x.at(from))) y=(px(top)) width=(px(width))
                    height=(px(BAR_HEIGHT)) {}
            }
        }
    }
}
