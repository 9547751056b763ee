//! The parent's side: start a child, hear its events, kill it when asked.

use crate::interrupt::Guard;
use serde::de::DeserializeOwned;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Lines read ahead of the handler; a child that talks faster waits on its pipe.
const LINE_COUNT_MAX: usize = 1024;

/// What the handler of an event wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on listening.
    Continue,
    /// Kill the child with SIGKILL after this time; the first such wish counts.
    KillAfter(Duration),
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    /// By itself, with this status.
    Exited(ExitStatus),
    /// By our SIGKILL.
    Killed,
}

/// A child could not be run, or said something unreadable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}; check that the file is still there and executable")]
    Start {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Reading from the child, or waiting for it, failed.
    #[error("lost the child process: {0}; run the command again")]
    Lost(#[from] io::Error),
    /// A line is not an event.
    #[error("the child wrote `{line}`: {source}; parent and child must be the same program")]
    Unreadable {
        /// What it wrote.
        line: String,
        /// Why that is no event.
        source: serde_json::Error,
    },
}

/// Runs `command` to its end, giving every event it writes to `handle`.
///
/// Standard output is taken for the events; standard error is left as it is. Whatever happens, no
/// child is left running when this returns.
///
/// # Errors
///
/// [`ChildError`] if the child cannot be started, is lost, or writes something else than events.
pub fn run<E: DeserializeOwned>(
    command: &mut Command,
    mut handle: impl FnMut(E) -> Next,
) -> Result<ChildEnd, ChildError> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| ChildError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            source,
        })?;
    let output = child.stdout.take().expect("standard output was piped");
    let (sender, lines) = mpsc::sync_channel(LINE_COUNT_MAX);
    let reader = thread::spawn(move || read_lines(output, &sender));

    let mut running = Running {
        _guard: Guard::of_child(child.id()),
        child,
        is_killed: false,
    };
    running.listen(&lines, &mut handle)?;
    let end = running.wait()?;
    reader.join().expect("reading lines does not panic");
    Ok(end)
}

/// A child that is killed and waited for when dropped.
struct Running {
    child: Child,
    _guard: Guard,
    is_killed: bool,
}

impl Running {
    /// Hears events until the child has closed its output.
    fn listen<E: DeserializeOwned>(
        &mut self,
        lines: &Receiver<io::Result<Vec<u8>>>,
        handle: &mut impl FnMut(E) -> Next,
    ) -> Result<(), ChildError> {
        let mut deadline = None;
        while let Some(line) = self.next_line(lines, deadline)? {
            match serde_json::from_slice(&line) {
                Ok(event) => {
                    if let (Next::KillAfter(delay), None) = (handle(event), deadline) {
                        deadline = Some(Instant::now() + delay);
                    }
                }
                Err(_) if self.is_killed && !line.ends_with(b"\n") => {}
                Err(source) => {
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    return Err(ChildError::Unreadable { line, source });
                }
            }
        }
        Ok(())
    }

    /// The next line, or `None` at the end of the output. Kills the child at `deadline`, and then
    /// goes on with what it had written before.
    fn next_line(
        &mut self,
        lines: &Receiver<io::Result<Vec<u8>>>,
        deadline: Option<Instant>,
    ) -> io::Result<Option<Vec<u8>>> {
        if let (Some(deadline), false) = (deadline, self.is_killed) {
            // A child that never pauses must not put its kill off.
            let remaining = deadline.saturating_duration_since(Instant::now());
            let line = match remaining.is_zero() {
                true => Err(RecvTimeoutError::Timeout),
                false => lines.recv_timeout(remaining),
            };
            match line {
                Ok(line) => return line.map(Some),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.kill()?,
            }
        }
        lines.recv().ok().transpose()
    }

    fn kill(&mut self) -> io::Result<()> {
        self.is_killed = true;
        self.child.kill()
    }

    fn wait(&mut self) -> io::Result<ChildEnd> {
        let status = self.child.wait()?;
        // A child that ended by itself just before the signal has an exit code.
        let is_killed = self.is_killed && status.code().is_none();
        Ok(if is_killed {
            ChildEnd::Killed
        } else {
            ChildEnd::Exited(status)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the child is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_lines(output: ChildStdout, lines: &SyncSender<io::Result<Vec<u8>>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let read = output.read_until(b'\n', &mut line);
        let is_end = matches!(read, Ok(0));
        if is_end || lines.send(read.map(|_| line)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn run_all(script: &str, next: Next) -> (Result<ChildEnd, ChildError>, Vec<u64>) {
        let mut heard = Vec::new();
        let end = run(&mut shell(script), |event: u64| {
            heard.push(event);
            next
        });
        (end, heard)
    }

    #[test]
    fn hears_every_event_and_the_exit_status() {
        let (end, heard) = run_all("echo 1; echo 2; exit 5", Next::Continue);
        assert_eq!(heard, [1, 2]);
        assert!(matches!(end, Ok(ChildEnd::Exited(status)) if status.code() == Some(5)));
    }

    #[test]
    fn kills_a_child_that_would_run_on_and_hears_what_it_wrote_before() {
        let next = Next::KillAfter(Duration::ZERO);
        let (end, heard) = run_all("echo 1; exec sleep 1000", next);
        assert_eq!(end.unwrap(), ChildEnd::Killed);
        assert_eq!(heard, [1]);
    }

    #[test]
    fn line_torn_by_the_kill_is_no_error() {
        let next = Next::KillAfter(Duration::from_millis(1));
        let (end, heard) = run_all("printf '1\\n{\"half'; exec sleep 1000", next);
        assert_eq!(end.unwrap(), ChildEnd::Killed);
        assert_eq!(heard, [1]);
    }

    #[test]
    fn child_that_ends_before_its_kill_has_exited() {
        let next = Next::KillAfter(Duration::from_secs(1000));
        let (end, heard) = run_all("echo 1; exit 0", next);
        assert!(matches!(end, Ok(ChildEnd::Exited(status)) if status.success()));
        assert_eq!(heard, [1]);
    }

    #[test]
    fn what_is_no_event_ends_the_child_and_is_shown() {
        let (end, _) = run_all("echo oops; exec sleep 1000", Next::Continue);
        let error = end.unwrap_err().to_string();
        assert!(error.contains("`oops`"), "{error}");
    }

    #[test]
    fn names_a_program_that_cannot_be_started() {
        let error = run(&mut Command::new("/no/such"), |_: u64| Next::Continue).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
