//! How fast the engine counts this input here, so that a run can be made to take a wanted time.

use super::error::DemoError;
use crate::job::{self, EngineSettings, Tally};
use crate::work_folder::WorkFolder;
use frazil::{Checkpoints, DriverDecision, TextFiles};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const FOLDER: &str = "calibration";
/// Longest wait for the end of the first round, in which keys are still new.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);

/// What a short run has shown.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Input counted in a second, in bytes.
    pub bytes_per_second: f64,
    /// Identifiers counted in a second.
    pub identifiers_per_second: f64,
    /// What drives the shards, and why.
    pub driver: DriverDecision,
}

/// Counts `files` (of `input_bytes`) without checkpoints: once to the end, then for `window`.
///
/// # Errors
///
/// The engine's, and what the work folder says.
pub fn calibrate(
    engine: EngineSettings,
    files: &[PathBuf],
    input_bytes: u64,
    window: Duration,
    folder: &WorkFolder,
) -> Result<Calibration, DemoError> {
    let output = folder.empty_job_folders(FOLDER)?.output;
    let tally = Arc::new(Tally::default());
    let source = TextFiles::new(files.iter().cloned()).rounds(u64::MAX);
    let handle = job::start(
        engine,
        Checkpoints::off(),
        source,
        output,
        Arc::clone(&tally),
    )?;
    let driver = handle.driver().clone();

    let begun = Instant::now();
    while tally.read().bytes < input_bytes
        && begun.elapsed() < FIRST_ROUND_MAX
        && !handle.is_finished()
    {
        thread::sleep(POLL);
    }
    let (started, before) = (Instant::now(), tally.read());
    thread::sleep(window);
    let (seconds, counted) = (started.elapsed().as_secs_f64(), tally.read() - before);

    handle.stop();
    handle.wait()?;
    folder.remove_job_folders(FOLDER)?;
    Ok(Calibration {
        bytes_per_second: counted.bytes as f64 / seconds,
        identifiers_per_second: counted.identifiers as f64 / seconds,
        driver,
    })
}
