//! The whole screen.

use super::lines::{checkpoint, setting};
use crate::open_loop::Moment;
use crate::text::units::{Unit, per_second};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Paragraph, Sparkline};
use std::collections::VecDeque;
use std::time::Instant;

/// Moments that are remembered: as many as a wide terminal shows.
const MOMENT_COUNT_MAX: usize = 300;
/// More shards than this many do not fit beside the rest.
const SHARD_ROWS_MAX: usize = 8;

/// What is on the screen.
pub(super) struct View {
    title: String,
    begun: Instant,
    newest: Option<Moment>,
    p99_ns: VecDeque<u64>,
    longest_ns: u64,
}

impl View {
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            begun: Instant::now(),
            newest: None,
            p99_ns: VecDeque::new(),
            longest_ns: 0,
        }
    }

    pub(super) fn add(&mut self, moment: &Moment) {
        if self.p99_ns.len() == MOMENT_COUNT_MAX {
            self.p99_ns.pop_front();
        }
        self.p99_ns.push_back(moment.part.p99_ns);
        self.longest_ns = self.longest_ns.max(moment.part.max_ns);
        self.newest = Some(moment.clone());
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let Some(moment) = &self.newest else {
            return;
        };
        let shard_rows = moment.shard_loads.len().min(SHARD_ROWS_MAX);
        let rows = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(3),
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(u16::try_from(shard_rows + 1).unwrap_or(1)),
            Constraint::Length(2),
        ]);
        let [head, numbers, label, spark, shards, foot] = rows.areas(frame.area());
        frame.render_widget(self.head(moment), head);
        frame.render_widget(self.numbers(moment), numbers);
        frame.render_widget(self.label(usize::from(spark.width)), label);
        self.draw_sparkline(frame, spark);
        draw_shards(frame, shards, &moment.shard_loads[..shard_rows]);
        frame.render_widget(Paragraph::new(checkpoint(moment)), foot);
    }

    fn head(&self, moment: &Moment) -> Paragraph<'_> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let elapsed = self.begun.elapsed().as_secs();
        Paragraph::new(Line::from(vec![
            Span::styled(format!("Frazil {}", self.title), bold),
            Span::raw(format!("   {}   {elapsed} s", setting(moment))),
        ]))
    }

    fn numbers(&self, moment: &Moment) -> Paragraph<'_> {
        let time = |ns| Unit::Nanoseconds.text(ns);
        let part = &moment.part;
        Paragraph::new(vec![
            Line::from(format!(
                "rate     {} of {} due",
                per_second(moment.reached_rate, "events"),
                per_second(moment.offered_rate, "events"),
            )),
            Line::from(format!(
                "latency  p50 {:>8}   p99 {:>8}   longest {:>8}   longest of all {:>8}",
                time(part.p50_ns),
                time(part.p99_ns),
                time(part.max_ns),
                time(self.longest_ns),
            )),
        ])
    }

    fn label(&self, width: usize) -> Paragraph<'_> {
        let tallest = self.shown(width).max().unwrap_or(0);
        let text = format!(
            "p99 of each tenth of a second, tallest {}",
            Unit::Nanoseconds.text(tallest)
        );
        Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
    }

    fn draw_sparkline(&self, frame: &mut Frame<'_>, area: Rect) {
        let shown: Vec<u64> = self.shown(usize::from(area.width)).collect();
        let sparkline = Sparkline::default().data(&shown);
        frame.render_widget(sparkline.style(Style::new().fg(Color::Cyan)), area);
    }

    /// The newest that fit.
    fn shown(&self, width: usize) -> impl Iterator<Item = u64> {
        let skipped = self.p99_ns.len().saturating_sub(width);
        self.p99_ns.iter().skip(skipped).copied()
    }
}

fn draw_shards(frame: &mut Frame<'_>, area: Rect, loads: &[f64]) {
    for (row, load) in area.rows().skip(1).zip(loads.iter().enumerate()) {
        let (shard, load) = (load.0, load.1.clamp(0.0, 1.0));
        let gauge = LineGauge::default()
            .ratio(load)
            .label(format!("shard {shard} {:>3.0} %", load * 100.0))
            .filled_style(Style::new().fg(Color::Cyan));
        frame.render_widget(gauge, row);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::tests::moment;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(width: u16, height: u16, view: &View) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        let rows = cells.chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>())
            .collect()
    }

    #[test]
    fn everything_that_is_watched_is_on_the_screen() {
        let mut view = View::new("latency");
        for p99_ns in [10_000, 90_000, 34_000] {
            let mut moment = moment();
            moment.part.p99_ns = p99_ns;
            view.add(&moment);
        }
        let screen = drawn(90, 20, &view);
        let text = screen.join("\n");
        for part in [
            "Frazil latency   checkpoints on",
            "49.9 k events/s of 50.0 k events/s due",
            "p50  1.20 us   p99  34.0 us   longest  2.00 ms",
            "tallest 90.0 us",
            "shard 0  25 %",
            "shard 1  50 %",
            "the next is synced and published",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        // The second tenth of a second is the tallest bar.
        let tallest = screen
            .iter()
            .position(|row| row.starts_with([' ', '\u{2588}']) && row.contains('\u{2588}'));
        let row = &screen[tallest.unwrap()];
        assert_eq!(row.chars().nth(1), Some('\u{2588}'), "{text}");
    }

    #[test]
    fn small_terminals_and_no_moment_are_drawn_without_a_panic() {
        let mut view = View::new("overhead");
        assert!(drawn(20, 3, &view).iter().all(|row| row.trim().is_empty()));
        let mut many = moment();
        many.shard_loads = vec![2.0; 64];
        for _ in 0..MOMENT_COUNT_MAX + 5 {
            view.add(&many);
        }
        for (width, height) in [(1, 1), (10, 5), (400, 80)] {
            drawn(width, height, &view);
        }
        assert_eq!(view.p99_ns.len(), MOMENT_COUNT_MAX);
    }
}
