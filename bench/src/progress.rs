//! The progress line on standard error: a bar on a terminal, else a plain line every two seconds.

use crate::text::units::{Unit, duration, per_second};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
/// Rare enough not to disturb what is measured meanwhile.
const TICK: Duration = Duration::from_millis(500);
const TIME_BAR_CELLS: usize = 24;

/// Where a running job stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgressSample {
    /// Input processed, in bytes.
    pub bytes_done: u64,
    /// Records processed lately.
    pub records_per_second: f64,
    /// The newest durable checkpoint, if there is one.
    pub checkpoint_number: Option<u64>,
    /// How long ago it became durable.
    pub checkpoint_age: Duration,
    /// What was written for it, in bytes.
    pub checkpoint_bytes: u64,
}

/// Shows how far a job is.
pub struct Progress {
    bytes_total: u64,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines {
        out: Box<dyn Write>,
        shown_at: Option<Instant>,
    },
}

impl Progress {
    /// Starts a display on standard error for an input of `bytes_total` bytes.
    #[must_use]
    pub fn new(bytes_total: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self::plain(bytes_total, Box::new(io::stderr()));
        }
        let style = ProgressStyle::with_template("[{bar:24}] {wide_msg}")
            .expect("the template is valid")
            .progress_chars("##-");
        let bar = ProgressBar::new(bytes_total).with_style(style);
        Self {
            bytes_total,
            display: Display::Bar(bar),
        }
    }

    /// Shows `sample`: at once on a terminal, else if the last line is two seconds old.
    pub fn update(&mut self, sample: &ProgressSample) {
        self.update_at(sample, Instant::now());
    }

    /// Shows one line of its own above the progress.
    pub fn message(&mut self, line: &str) {
        match &mut self.display {
            Display::Bar(bar) => bar.println(line),
            Display::Lines { out, .. } => write_line(out, line),
        }
    }

    /// Takes the progress line away.
    pub fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.finish_and_clear();
        }
    }

    /// Starts a display of plain lines on `out`.
    pub(crate) fn plain(bytes_total: u64, out: Box<dyn Write>) -> Self {
        Self {
            bytes_total,
            display: Display::Lines {
                out,
                shown_at: None,
            },
        }
    }

    fn update_at(&mut self, sample: &ProgressSample, now: Instant) {
        let text = describe(sample, self.bytes_total);
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(sample.bytes_done);
                bar.set_message(text);
            }
            Display::Lines { out, shown_at } => {
                if shown_at.is_none_or(|shown_at| now - shown_at >= PLAIN_INTERVAL) {
                    *shown_at = Some(now);
                    write_line(out, &text);
                }
            }
        }
    }
}

/// A part of a measurement that says how far it is by the time it is expected to take: a bar on a
/// terminal, else a plain line at its beginning.
#[must_use = "the bar goes when this is dropped"]
pub struct Step(Option<ProgressBar>);

impl Step {
    /// Begins `what`, which is expected to take `expected`.
    pub fn begin(what: &str, expected: Duration) -> Self {
        if !io::stderr().is_terminal() {
            if expected >= PLAIN_INTERVAL {
                note(&format!("{what}, about {:.0} s", expected.as_secs_f64()));
            }
            return Self(None);
        }
        let bar_of = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            // The bar has no place for an error.
            let _ = out.write_str(&time_bar(state.elapsed(), expected));
        };
        let template = format!(
            "[{{time_bar}}] {{elapsed}} of about {}s  {{wide_msg}}",
            expected.as_secs()
        );
        let style = ProgressStyle::with_template(&template)
            .expect("the template is valid")
            .with_key("time_bar", bar_of);
        let bar = ProgressBar::no_length().with_style(style);
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn time_bar(elapsed: Duration, expected: Duration) -> String {
    let part = (elapsed.as_secs_f64() / expected.as_secs_f64().max(0.001)).min(1.0);
    let cells = TIME_BAR_CELLS as f64 * part;
    (0..TIME_BAR_CELLS)
        .map(|cell| if (cell as f64) < cells { '#' } else { '-' })
        .collect()
}

/// Writes one line to standard error, where no progress is shown.
pub fn note(line: &str) {
    write_line(&mut io::stderr(), line);
}

/// A closed standard error must not end the job.
fn write_line(out: &mut impl Write, line: &str) {
    drop(writeln!(out, "{line}"));
}

fn describe(sample: &ProgressSample, bytes_total: u64) -> String {
    let checkpoint = match sample.checkpoint_number {
        Some(number) => format!(
            "checkpoint {number}: {} old, {}",
            duration(sample.checkpoint_age),
            Unit::Bytes.text(sample.checkpoint_bytes)
        ),
        None => "no checkpoint yet".to_owned(),
    };
    format!(
        "{} of {}, {}, {checkpoint}",
        Unit::Bytes.text(sample.bytes_done.min(bytes_total)),
        Unit::Bytes.text(bytes_total),
        per_second(sample.records_per_second, "records"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const SAMPLE: ProgressSample = ProgressSample {
        bytes_done: 3 << 20,
        records_per_second: 4_560_000.0,
        checkpoint_number: Some(17),
        checkpoint_age: Duration::from_millis(42),
        checkpoint_bytes: 5 << 20,
    };

    #[test]
    fn plain_lines_come_every_two_seconds_and_messages_at_once() {
        let out = Shared::default();
        let mut progress = Progress::plain(8 << 20, Box::new(out.clone()));
        let start = Instant::now();
        for millis in [0, 100, 1_999, 2_000, 2_100] {
            progress.update_at(&SAMPLE, start + Duration::from_millis(millis));
        }
        progress.message("killed");
        progress.finish();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let line = "3.00 MiB of 8.00 MiB, 4.56 M records/s, checkpoint 17: 42.0 ms old, 5.00 MiB";
        assert_eq!(text.lines().collect::<Vec<_>>(), [line, line, "killed"]);
    }

    #[test]
    fn time_bar_fills_with_the_time_and_stays_full() {
        let bar = |seconds| time_bar(Duration::from_secs(seconds), Duration::from_secs(10));
        assert_eq!(bar(0), "-".repeat(24));
        assert_eq!(bar(5), "############------------");
        assert_eq!(bar(11), "#".repeat(24));
    }

    #[test]
    fn says_when_there_is_no_checkpoint_yet() {
        let text = describe(&ProgressSample::default(), 1024);
        assert_eq!(text, "0 B of 1.00 KiB, 0 records/s, no checkpoint yet");
    }
}
