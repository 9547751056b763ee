//! The parent's side: build once, kill, and restart as often as wanted.

use super::child::COMMAND;
use super::files::CheckpointFiles;
use super::protocol::{ChildEvent, ChildSettings, Restarted, Restore, Task, now_ns};
use crate::child::{self, ChildEnd, Next};
use crate::measure_error::MeasureError;
use crate::workload::{Keys, RecordBytes};
use serde::Serialize;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A killed job that can be restarted again and again: a restart writes nothing.
pub(crate) struct Restarts {
    settings: ChildSettings,
    files: CheckpointFiles,
    checkpoint: u64,
}

/// Where the time of one restart went, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Split {
    /// From the start of the process to `main`.
    pub(crate) process_ms: f64,
    /// From there until the first image is opened: directory, manifest, room for the state.
    pub(crate) open_ms: f64,
    /// The base image.
    pub(crate) base_ms: f64,
    /// The chain of deltas.
    pub(crate) chain_ms: f64,
    /// From the last byte of the chain to the first record: threads, the record.
    pub(crate) record_ms: f64,
    /// All of it.
    pub(crate) whole_ms: f64,
    /// From the start of the process until all of the state is verified; none if that is before the
    /// first record, as it is with an eager restore.
    pub(crate) verified_ms: Option<f64>,
    /// From the start of the process until the shard takes no more page faults; none if it went on.
    pub(crate) steady_ms: Option<f64>,
}

impl Restarts {
    /// Lets a child build `state_bytes` of state with its checkpoints in `directory`, and kills it
    /// with SIGKILL.
    pub(crate) fn build(state_bytes: u64, directory: &Path) -> Result<Self, MeasureError> {
        let settings = ChildSettings {
            task: Task::Build,
            state_bytes,
            checkpoints: directory.to_path_buf(),
        };
        let mut built = None;
        run_and_kill(&settings, |event| {
            if let ChildEvent::Built { checkpoint } = event {
                built = Some(checkpoint);
            }
        })?;
        let checkpoint = built.ok_or(MeasureError::Child {
            answer: "nothing built".to_owned(),
        })?;
        Ok(Self {
            files: CheckpointFiles::of(directory)?,
            settings,
            checkpoint,
        })
    }

    /// Base and chain, in bytes.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.files.base_bytes, self.files.chain_bytes)
    }

    /// The checkpoint that the job comes back from.
    pub(crate) fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Starts the job, waits for its first record, checks it, and kills it again.
    pub(crate) fn restart(&self, restore: Restore) -> Result<Split, MeasureError> {
        let settings = ChildSettings {
            task: Task::Restart(restore),
            ..self.settings.clone()
        };
        let mut restarted = None;
        let begun_ns = now_ns();
        run_and_kill(&settings, |event| {
            if let ChildEvent::Restarted(found) = event {
                restarted = Some(found);
            }
        })?;
        let found = restarted.ok_or(MeasureError::NotRecovered)?;
        self.check(&found)?;
        Ok(Split::new(begun_ns, &found))
    }

    /// Takes the files out of the page cache; true if they are.
    pub(crate) fn evict(&self) -> Result<bool, MeasureError> {
        self.files.evict()
    }

    /// Reads the same files without an engine; gives ms.
    pub(crate) fn read_raw(&self) -> Result<f64, MeasureError> {
        Ok(self.files.read()? * 1e3)
    }

    /// The first record is correct if its count is that of its key in all of the sequence so far.
    fn check(&self, found: &Restarted) -> Result<(), MeasureError> {
        let record_count = self.settings.state_bytes / RecordBytes::SixtyFour.bytes();
        let keys = Keys::new(record_count.max(1));
        let expected_key = keys.at(found.position);
        let sequence = (0..=found.position).filter(|at| keys.at(*at) == expected_key);
        let expected = (expected_key, sequence.count() as u64);
        if expected == (found.key, found.count) {
            return Ok(());
        }
        Err(MeasureError::WrongRecord {
            expected,
            found: (found.key, found.count),
        })
    }
}

impl Split {
    fn new(begun_ns: u64, found: &Restarted) -> Self {
        let ms = |from_ns: u64, to_ns: u64| to_ns.saturating_sub(from_ns) as f64 / 1e6;
        Self {
            process_ms: ms(begun_ns, found.main_ns),
            open_ms: ms(found.main_ns, found.open_ns),
            base_ms: ms(found.open_ns, found.chain_ns),
            chain_ms: ms(found.chain_ns, found.read_ns),
            record_ms: ms(found.read_ns, found.first_record_ns),
            whole_ms: ms(begun_ns, found.first_record_ns),
            verified_ms: found
                .verified_ns
                .map(|verified_ns| ms(begun_ns, verified_ns)),
            steady_ms: found.steady_ns.map(|steady_ns| ms(begun_ns, steady_ns)),
        }
    }
}

/// Runs a child until it has said something, and kills it.
fn run_and_kill(
    settings: &ChildSettings,
    mut hear: impl FnMut(ChildEvent),
) -> Result<(), MeasureError> {
    let program: PathBuf =
        env::current_exe().map_err(MeasureError::file("find", "this program"))?;
    let json = serde_json::to_string(settings).expect("settings have a JSON form");
    let end = child::run(Command::new(program).args([COMMAND, &json]), |event| {
        hear(event);
        Next::KillAfter(Duration::ZERO)
    })?;
    match end {
        ChildEnd::Killed => Ok(()),
        ChildEnd::Exited(status) => Err(MeasureError::Child {
            answer: status.to_string(),
        }),
    }
}
