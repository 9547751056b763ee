//! The child's side of the main job: run it, and say how it goes.

use super::error::DemoError;
use super::protocol::{ChildEvent, Finished, JobSettings, Recovered};
use crate::child::EventWriter;
use crate::job::{self, Tallied, Tally};
use crate::progress::ProgressSample;
use frazil::{Checkpoints, JobHandle, RecoveryReport, TextFiles};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two progress events: how far behind the parent is when it kills.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(20);
/// Time over which a rate is averaged.
const RATE_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two looks for the first record.
const FIRST_RECORD_POLL: Duration = Duration::from_micros(100);

/// Runs the job in the settings file to its end and writes [`ChildEvent`]s to `out`; `started` is
/// when the process was.
///
/// # Errors
///
/// Unreadable settings, the engine's failure, and [`DemoError::Print`] once the parent is gone.
pub fn run(settings: &Path, started: Instant, out: impl Write) -> Result<(), DemoError> {
    let settings = read_settings(settings)?;
    let events = EventWriter::new(out);
    let tally = Arc::new(Tally::default());
    let checkpoints = Checkpoints::every(settings.checkpoint_every).dir(&settings.checkpoints);
    let source = TextFiles::new(settings.files).rounds(settings.rounds.get());
    let shared = Arc::clone(&tally);
    let handle = job::start(
        settings.engine,
        checkpoints,
        source,
        settings.output,
        shared,
    )?;

    let restored_bytes = match handle.recovery() {
        Some(recovery) => report_recovery(recovery, &handle, &tally, started, &events)?,
        None => 0,
    };
    let mut watch = Watch::new(restored_bytes, &tally);
    while !handle.is_finished() {
        watch.look(&handle, &events)?;
        thread::sleep(PROGRESS_INTERVAL);
    }
    let statistics = handle.wait()?;
    events.send(&ChildEvent::Finished(Finished {
        checkpoint_count: statistics.checkpoints.completed_count,
        elapsed_seconds: started.elapsed().as_secs_f64(),
    }))?;
    Ok(())
}

fn read_settings(path: &Path) -> Result<JobSettings, DemoError> {
    let read = || Ok(serde_json::from_slice(&fs::read(path)?)?);
    read().map_err(|source: io::Error| DemoError::Settings {
        path: path.to_path_buf(),
        source,
    })
}

/// Tells where the job goes on, once its first record is counted; gives the bytes before that.
fn report_recovery(
    recovery: &RecoveryReport,
    handle: &JobHandle,
    tally: &Tally,
    started: Instant,
    events: &EventWriter<impl Write>,
) -> Result<u64, DemoError> {
    while tally.read().bytes == 0 && !handle.is_finished() {
        thread::sleep(FIRST_RECORD_POLL);
    }
    let recovery_ms = started.elapsed().as_secs_f64() * 1e3;
    for skipped in &recovery.skipped {
        let (number, reason) = (skipped.checkpoint, &skipped.reason);
        let line = format!("checkpoint {number} is not whole: {reason}");
        events.send(&ChildEvent::Message { line })?;
    }
    let mut restored_bytes = 0;
    for restored in &recovery.splits {
        restored_bytes += TextFiles::bytes_before(&restored.split, &restored.position)
            .map_err(|source| frazil::FlowError::Source {
                name: restored.source.clone(),
                source,
            })
            .map_err(frazil::Error::from)?;
    }
    events.send(&ChildEvent::Recovered(Recovered {
        checkpoint_number: recovery.checkpoint,
        recovery_ms,
        restored_bytes,
    }))?;
    Ok(restored_bytes)
}

/// Turns what can be seen of a running job into events.
struct Watch<'a> {
    restored_bytes: u64,
    tally: &'a Tally,
    reported_checkpoint: Option<u64>,
    rate_since: Instant,
    rate_from: Tallied,
    records_per_second: f64,
}

impl<'a> Watch<'a> {
    fn new(restored_bytes: u64, tally: &'a Tally) -> Self {
        Self {
            restored_bytes,
            tally,
            reported_checkpoint: None,
            rate_since: Instant::now(),
            rate_from: tally.read(),
            records_per_second: 0.0,
        }
    }

    fn look(
        &mut self,
        handle: &JobHandle,
        events: &EventWriter<impl Write>,
    ) -> Result<(), DemoError> {
        let tallied = self.tally.read();
        self.measure_rate(tallied);
        let newest = handle.newest_checkpoint();
        let number = newest.as_ref().map(|newest| newest.checkpoint);
        events.send(&ChildEvent::Progress(ProgressSample {
            bytes_done: self.restored_bytes + tallied.bytes,
            records_per_second: self.records_per_second,
            checkpoint_number: number,
            checkpoint_age: newest
                .as_ref()
                .map_or(Duration::ZERO, |newest| newest.durable_at.elapsed()),
            checkpoint_bytes: newest.as_ref().map_or(0, |newest| newest.bytes),
        }))?;
        if let Some(newest) = newest
            && self.reported_checkpoint != number
        {
            self.reported_checkpoint = number;
            events.send(&ChildEvent::CheckpointDurable {
                checkpoint_number: newest.checkpoint,
                committed_bytes: newest.output_bytes,
            })?;
        }
        Ok(())
    }

    fn measure_rate(&mut self, tallied: Tallied) {
        let elapsed = self.rate_since.elapsed();
        if elapsed >= RATE_INTERVAL {
            let identifiers = (tallied - self.rate_from).identifiers;
            self.records_per_second = identifiers as f64 / elapsed.as_secs_f64();
            self.rate_since = Instant::now();
            self.rate_from = tallied;
        }
    }
}
