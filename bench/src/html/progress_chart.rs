//! How the main job went through its kill: the input that was read, over time.

use super::frame::{Axis, Figure, Key, Plot, Size, chart, hit, path};
use super::scale::Scale;
use super::words::{Quantity, px};
use crate::demo::kill_run::{KillReport, Seen};
use crate::text::units::per_second;
use maud::{Markup, html};
use std::time::Duration;

const HEIGHT: f64 = 240.0;

/// The input that was read, with the kill and the checkpoints.
pub(super) fn figure(report: &KillReport) -> Option<Figure> {
    if report.seen.len() < 2 {
        return None;
    }
    let keys = vec![
        Key::new("on", "input read"),
        Key::new("kill", "SIGKILL, then a new process"),
        Key::new("tick", "a checkpoint became durable"),
    ];
    let note = format!(
        "The job is killed, started again, and goes on from its newest whole checkpoint: {} were \
         read a second time, and no row was committed twice.",
        Quantity::Bytes.text(report.replayed_bytes() as f64),
    );
    let draw = |size| draw(size, report);
    Some(Figure::of_chart(
        "run",
        "Through the kill",
        &note,
        keys,
        draw,
    ))
}

fn draw(size: Size, report: &KillReport) -> Markup {
    let plot = Plot::new(size, HEIGHT);
    let end = report.seen.last().map_or(Duration::ZERO, |seen| seen.at);
    let times = Scale::linear((0.0, end.as_secs_f64()), plot.across());
    let x = Axis::new(times, "time (seconds)", Quantity::Seconds, size.pick(10, 5));
    let largest = report
        .seen
        .iter()
        .map(|seen| seen.sample.bytes_done)
        .max()
        .unwrap_or(1);
    let bytes = Scale::linear((0.0, largest as f64 * 1.05), plot.upward());
    let y = Axis::new(bytes, "input read", Quantity::Bytes, 6);
    let place = |seen: &Seen| {
        (
            x.scale.at(seen.at.as_secs_f64()),
            y.scale.at(seen.sample.bytes_done as f64),
        )
    };
    let is_before = |seen: &&Seen| seen.at <= report.killed_at;
    let thinned = || thinned(&report.seen, size.pick(400, 160));
    let (killed, back) = (
        report.killed_at.as_secs_f64(),
        report.recovered_at.as_secs_f64(),
    );
    let marks = html! {
        rect class="kill" x=(px(x.scale.at(killed))) y=(px(plot.top)) height=(px(plot.height()))
            width=(px((x.scale.at(back) - x.scale.at(killed)).max(1.5))) {}
        @for seen in durable(&report.seen) {
            @let at = px(x.scale.at(seen.at.as_secs_f64()));
            line class="tick" x1=(at) x2=(at) y1=(px(plot.bottom - 7.0)) y2=(px(plot.bottom)) {}
        }
        path class="line on" d=(path(thinned().filter(is_before).map(place))) {}
        path class="line on" d=(path(thinned().filter(|seen| !is_before(seen)).map(place))) {}
        @let all: Vec<_> = thinned().collect();
        @for pair in all.windows(2) {
            @let (from, to) = (place(pair[0]).0, place(pair[1]).0);
            (hit(&plot, from, to, from, &tip(pair[0])))
        }
    };
    chart(&plot, &x, &y, &marks)
}

/// The first sight of each checkpoint.
fn durable(seen: &[Seen]) -> impl Iterator<Item = &Seen> {
    let pairs = seen.windows(2);
    let is_new = |pair: &&[Seen]| {
        pair[1].sample.checkpoint_number.is_some()
            && pair[0].sample.checkpoint_number != pair[1].sample.checkpoint_number
    };
    pairs.filter(is_new).map(|pair| &pair[1])
}

fn thinned(seen: &[Seen], count_max: usize) -> impl Iterator<Item = &Seen> {
    let every = seen.len().div_ceil(count_max).max(1);
    seen.iter().step_by(every)
}

fn tip(seen: &Seen) -> String {
    let sample = &seen.sample;
    let mut tip = format!(
        "{}\n{} read\n{}",
        Quantity::Seconds.text(seen.at.as_secs_f64()),
        Quantity::Bytes.text(sample.bytes_done as f64),
        per_second(sample.records_per_second, "records"),
    );
    if let Some(number) = sample.checkpoint_number {
        tip.push_str(&format!("\ncheckpoint {number}"));
    }
    tip
}
