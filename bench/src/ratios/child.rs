//! The child process that measures its own memory.

use crate::interrupt::Guard;
use crate::measure_error::MeasureError;
use crate::probe::memory::anonymous_bytes;
use crate::workload::{Engine, JobSpec, KeyedJob, Keys, RecordBytes};
use serde::{Deserialize, Serialize};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The hidden command that this program runs in the child.
pub const COMMAND: &str = "memory-child";

const SAMPLE: Duration = Duration::from_millis(5);

/// What the child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChildSettings {
    /// Keys and values of its state.
    pub state_bytes: u64,
    /// How long it runs after it was populated.
    pub run_ms: u64,
    /// Between two checkpoints.
    pub interval_ms: u64,
    /// Where checkpoints go; none without.
    pub checkpoints: Option<PathBuf>,
}

/// What the child found.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct PeakMemory {
    /// Most anonymous memory.
    pub bytes: u64,
    /// Checkpoints that became durable.
    pub checkpoints: u64,
}

/// Runs a child and gives what it found.
///
/// # Errors
///
/// [`MeasureError::Child`] if it does not answer.
pub fn peak_memory(settings: &ChildSettings) -> Result<PeakMemory, MeasureError> {
    let program = env::current_exe().map_err(MeasureError::file("find", "this program"))?;
    let json = serde_json::to_string(settings).expect("settings have a JSON form");
    let child = Command::new(&program)
        .args([COMMAND, &json])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(MeasureError::file("start", &program))?;
    let _guard = Guard::of_child(child.id());
    let output = child
        .wait_with_output()
        .map_err(MeasureError::file("wait for", &program))?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&answer).map_err(|_| MeasureError::Child { answer })
}

/// The child's work; gives the line that it prints.
///
/// # Errors
///
/// The job's, or [`MeasureError::Child`] for settings that are none.
pub fn run(settings: &str) -> Result<String, MeasureError> {
    let settings: ChildSettings =
        serde_json::from_str(settings).map_err(|_| MeasureError::Child {
            answer: settings.to_owned(),
        })?;
    let peak = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                thread::sleep(SAMPLE);
            }
        });
        let found = work(&settings);
        is_over.store(true, Ordering::Relaxed);
        found
    });
    let found = PeakMemory {
        bytes: peak.load(Ordering::Relaxed),
        checkpoints: found?,
    };
    Ok(serde_json::to_string(&found).expect("the result has a JSON form"))
}

fn work(settings: &ChildSettings) -> Result<u64, MeasureError> {
    let job = KeyedJob::start(&JobSpec {
        keys: Keys::new(settings.state_bytes / RecordBytes::SixtyFour.bytes()),
        record_bytes: RecordBytes::SixtyFour,
        checkpoints: settings.checkpoints.clone().map(Into::into),
        engine: Engine::default(),
    })?;
    let duration = Duration::from_millis(settings.run_ms);
    let count = if settings.checkpoints.is_some() {
        let interval = Duration::from_millis(settings.interval_ms);
        job.run_with_checkpoints(duration, interval)?
            .1
            .reports
            .len()
    } else {
        job.run_for(duration)?;
        0
    };
    job.stop()?;
    Ok(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn child_finds_its_state_in_its_memory() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ChildSettings {
            state_bytes: 8 << 20,
            run_ms: 200,
            interval_ms: 50,
            checkpoints: Some(folder.path().to_path_buf()),
        };
        let line = run(&serde_json::to_string(&settings).unwrap()).unwrap();
        let found: PeakMemory = serde_json::from_str(&line).unwrap();
        assert!(found.bytes >= settings.state_bytes, "{found:?}");
        assert!(found.checkpoints > 0);
        assert!(matches!(run("nonsense"), Err(MeasureError::Child { .. })));
    }
}
