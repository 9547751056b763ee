//! One job in two processes: the first is killed with SIGKILL at a random moment, the second goes
//! on from the newest whole checkpoint.

use super::error::DemoError;
use super::protocol::{ChildEvent, Finished, Recovered};
use crate::child::{self, ChildEnd, KillMoment, Next};
use crate::progress::{Progress, ProgressSample};
use crate::text::units::Unit;
use std::process::Command;
use std::time::{Duration, Instant};

/// A kill waits for so many checkpoints with committed rows, so that there is output that must not
/// come twice.
pub const CHECKPOINT_COUNT_MIN: u32 = 3;

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Since the first process was started.
    pub at: Duration,
    /// What it said.
    pub sample: ProgressSample,
}

/// How the job went.
#[derive(Clone, Debug, PartialEq)]
pub struct KillReport {
    /// All signs of life of both processes.
    pub seen: Vec<Seen>,
    /// The last sign of life of the first process.
    pub killed_at: Duration,
    /// When the second had its first record.
    pub recovered_at: Duration,
    /// Input that the first process had counted when it was last heard of, in bytes.
    pub killed_at_bytes: u64,
    /// The recovery of the second process.
    pub recovered: Recovered,
    /// The end of the second process.
    pub finished: Finished,
}

impl KillReport {
    /// Input that both processes counted, in bytes: from the checkpoint to the last sign of life.
    #[must_use]
    pub fn replayed_bytes(&self) -> u64 {
        self.killed_at_bytes
            .saturating_sub(self.recovered.restored_bytes)
    }
}

/// Runs the job of `command` twice, with a kill at `moment` of the `bytes_total` bytes of input.
///
/// # Errors
///
/// [`DemoError`] if a process fails, if the first one ends before its kill, or if the second one
/// does not recover and finish.
pub fn run_with_kill(
    mut command: impl FnMut() -> Command,
    bytes_total: u64,
    moment: KillMoment,
    progress: &mut Progress,
) -> Result<KillReport, DemoError> {
    let begun = Instant::now();
    let mut first = Listener::new(progress, begun, Vec::new());
    let end = child::run(&mut command(), |event| {
        first.hear(event);
        let enough = first.row_checkpoint_count >= CHECKPOINT_COUNT_MIN;
        match enough && moment.is_reached(first.bytes_done, bytes_total) {
            true => Next::KillAfter(moment.delay()),
            false => Next::Continue,
        }
    })?;
    let (killed_at_bytes, seen) = (first.bytes_done, first.seen);
    let killed_at = seen.last().map_or(begun.elapsed(), |seen| seen.at);
    match end {
        ChildEnd::Killed => {}
        ChildEnd::Exited(status) if status.success() => {
            return Err(DemoError::NotKilled {
                checkpoint_count_min: CHECKPOINT_COUNT_MIN,
            });
        }
        ChildEnd::Exited(status) => return Err(DemoError::ChildFailed(status)),
    }
    let done = Unit::Bytes.text(killed_at_bytes);
    progress.message(&format!(
        "killed the job with SIGKILL after {done}; starting it again"
    ));
    let mut second = Listener::new(progress, begun, seen);
    run_to_end(&mut command(), &mut second)?;
    Ok(KillReport {
        seen: second.seen,
        killed_at,
        recovered_at: second.recovered_at,
        killed_at_bytes,
        recovered: second.recovered.ok_or(DemoError::NotRecovered)?,
        finished: second.finished.ok_or(DemoError::Unfinished)?,
    })
}

fn run_to_end(command: &mut Command, second: &mut Listener<'_>) -> Result<(), DemoError> {
    let end = child::run(command, |event| {
        second.hear(event);
        Next::Continue
    })?;
    match end {
        ChildEnd::Exited(status) if status.success() => Ok(()),
        ChildEnd::Exited(status) => Err(DemoError::ChildFailed(status)),
        ChildEnd::Killed => unreachable!("nothing asked for a second kill"),
    }
}

/// What one process has said so far.
struct Listener<'a> {
    progress: &'a mut Progress,
    begun: Instant,
    seen: Vec<Seen>,
    bytes_done: u64,
    row_checkpoint_count: u32,
    recovered: Option<Recovered>,
    recovered_at: Duration,
    finished: Option<Finished>,
}

impl<'a> Listener<'a> {
    /// Goes on after what was `seen` since `begun`.
    fn new(progress: &'a mut Progress, begun: Instant, seen: Vec<Seen>) -> Self {
        Self {
            progress,
            begun,
            seen,
            bytes_done: 0,
            row_checkpoint_count: 0,
            recovered: None,
            recovered_at: Duration::ZERO,
            finished: None,
        }
    }

    fn hear(&mut self, event: ChildEvent) {
        match event {
            ChildEvent::Progress(sample) => {
                self.bytes_done = sample.bytes_done;
                let at = self.begun.elapsed();
                self.seen.push(Seen { at, sample });
                self.progress.update(&sample);
            }
            ChildEvent::CheckpointDurable {
                committed_bytes, ..
            } => {
                self.row_checkpoint_count += u32::from(committed_bytes > 0);
            }
            ChildEvent::Recovered(recovered) => {
                self.progress.message(&format!(
                    "recovered from checkpoint {} in {:.1} ms; going on after {}",
                    recovered.checkpoint_number,
                    recovered.recovery_ms,
                    Unit::Bytes.text(recovered.restored_bytes),
                ));
                self.recovered = Some(recovered);
                self.recovered_at = self.begun.elapsed();
            }
            ChildEvent::Message { line } => self.progress.message(&line),
            ChildEvent::Finished(finished) => self.finished = Some(finished),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell that says `events`, and then goes on or ends.
    fn says(events: &[ChildEvent], then: &str) -> Command {
        let mut script = String::new();
        for event in events {
            let line = serde_json::to_string(event).unwrap();
            script.push_str(&format!("echo '{line}'; "));
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script} {then}")]);
        command
    }

    fn checkpoint(checkpoint_number: u64, committed_bytes: u64) -> ChildEvent {
        ChildEvent::CheckpointDurable {
            checkpoint_number,
            committed_bytes,
        }
    }

    fn done(bytes_done: u64) -> ChildEvent {
        ChildEvent::Progress(ProgressSample {
            bytes_done,
            ..ProgressSample::default()
        })
    }

    const RECOVERED: Recovered = Recovered {
        checkpoint_number: 4,
        recovery_ms: 2.0,
        restored_bytes: 80,
    };
    const FINISHED: Finished = Finished {
        checkpoint_count: 6,
        elapsed_seconds: 1.0,
    };

    fn run(commands: [Command; 2]) -> Result<KillReport, DemoError> {
        let mut commands = commands.into_iter();
        let moment = KillMoment::from_seed(1, Duration::from_millis(1));
        let mut progress = Progress::plain(100, Box::new(std::io::sink()));
        run_with_kill(|| commands.next().unwrap(), 100, moment, &mut progress)
    }

    fn ready_to_die() -> Command {
        let events = [
            checkpoint(1, 5),
            checkpoint(2, 0),
            checkpoint(3, 1),
            checkpoint(4, 2),
        ];
        says(&[&events[..], &[done(90)]].concat(), "exec sleep 1000")
    }

    #[test]
    fn kills_the_first_process_and_reports_the_second() {
        let second = [
            ChildEvent::Recovered(RECOVERED),
            ChildEvent::Finished(FINISHED),
        ];
        let report = run([ready_to_die(), says(&second, "exit 0")]).unwrap();
        assert_eq!(report.killed_at_bytes, 90);
        assert_eq!((report.recovered, report.finished), (RECOVERED, FINISHED));
        assert!(report.killed_at <= report.recovered_at && report.seen.len() == 1);
        assert_eq!(report.replayed_bytes(), 10);
    }

    #[test]
    fn job_that_ends_before_three_checkpoints_with_rows_is_no_proof() {
        let events = [
            checkpoint(1, 5),
            checkpoint(2, 0),
            checkpoint(3, 1),
            done(90),
        ];
        let first = says(&events, "exit 0");
        let error = run([first, says(&[], "exit 0")]).unwrap_err();
        assert!(matches!(error, DemoError::NotKilled { .. }), "{error}");
    }

    #[test]
    fn silent_fresh_start_after_the_kill_is_an_error() {
        let second = says(&[ChildEvent::Finished(FINISHED)], "exit 0");
        let error = run([ready_to_die(), second]).unwrap_err();
        assert!(matches!(error, DemoError::NotRecovered), "{error}");
    }

    #[test]
    fn failing_process_passes_its_status_on() {
        let error = run([says(&[], "exit 4"), says(&[], "exit 0")]).unwrap_err();
        assert_eq!(error.exit().status(), 4);
        let error = run([ready_to_die(), says(&[], "exit 2")]).unwrap_err();
        assert_eq!(error.exit().status(), 2);
    }
}
