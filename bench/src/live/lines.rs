//! The same in plain lines, for logs.

use crate::open_loop::{Activity, Moment};
use crate::text::units::{Unit, duration, per_second};
use std::io::Write;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Lines {
    out: Box<dyn Write + Send>,
    shown_at: Option<Instant>,
}

impl Lines {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self {
            out,
            shown_at: None,
        }
    }

    /// Writes a line if the last one is a second old.
    pub(super) fn add(&mut self, moment: &Moment, now: Instant) {
        if self.shown_at.is_some_and(|shown_at| now - shown_at < EVERY) {
            return;
        }
        self.shown_at = Some(now);
        // A closed standard error must not end the measurement.
        drop(writeln!(self.out, "{}", line(moment)));
    }
}

fn line(moment: &Moment) -> String {
    let time = |ns| Unit::Nanoseconds.text(ns);
    let part = &moment.part;
    let loads = moment
        .shard_loads
        .iter()
        .map(|load| format!(" {:.0} %", load * 100.0));
    format!(
        "{}: {}, p50 {}, p99 {}, longest {}, shards{}, {}",
        setting(moment),
        per_second(moment.reached_rate, "events"),
        time(part.p50_ns),
        time(part.p99_ns),
        time(part.max_ns),
        loads.collect::<String>(),
        checkpoint(moment),
    )
}

/// Which side of a comparison runs.
pub(super) fn setting(moment: &Moment) -> &'static str {
    if moment.with_checkpoints {
        "checkpoints on"
    } else {
        "checkpoints off"
    }
}

/// The newest checkpoint with its age and size, and what is done for the next.
pub(super) fn checkpoint(moment: &Moment) -> String {
    let newest = match &moment.newest {
        Some(newest) => format!(
            "checkpoint {}: {} old, {}",
            newest.checkpoint,
            duration(newest.durable_at.elapsed()),
            Unit::Bytes.text(newest.bytes)
        ),
        None => "no checkpoint yet".to_owned(),
    };
    let phase = match moment.activity {
        Activity::Steady => "none in flight",
        Activity::AfterBarrier => "the next has begun",
        Activity::Capturing => "the next is captured and written",
        Activity::Syncing => "the next is synced and published",
    };
    format!("{newest}; {phase}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::open_loop::Part;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(in super::super) fn moment() -> Moment {
        Moment {
            offered_rate: 50_000.0,
            reached_rate: 49_900.0,
            with_checkpoints: true,
            part: Part {
                begun: Instant::now(),
                ended: Instant::now(),
                count: 5_000,
                p50_ns: 1_200,
                p99_ns: 34_000,
                max_ns: 2_000_000,
                anonymous_bytes: 1 << 30,
            },
            shard_loads: vec![0.25, 0.5],
            activity: Activity::Syncing,
            newest: None,
        }
    }

    #[test]
    fn a_line_a_second_with_all_that_matters() {
        let out = Shared::default();
        let mut lines = Lines::new(Box::new(out.clone()));
        let start = Instant::now();
        for millis in [0, 100, 999, 1_000] {
            lines.add(&moment(), start + Duration::from_millis(millis));
        }
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2);
        let expected = [
            "checkpoints on: 49.9 k events/s, p50 1.20 us, p99 34.0 us, longest 2.00 ms",
            "shards 25 % 50 %",
            "no checkpoint yet; the next is synced and published",
        ];
        assert_eq!(text.lines().next(), Some(&expected.join(", ")[..]));
    }
}
