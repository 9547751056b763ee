//! The flow, and starting it.

use super::{EngineSettings, Tally};
use crate::demo::tokenizer::Tokenizer;
use crate::interrupt::stopped_by_signals;
use frazil::{Checkpoints, CsvFiles, Flow, JobHandle, Source};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Starts counting the identifiers of the lines of `source`, with rows going to CSV files in
/// `output` and progress to `tally`.
///
/// # Errors
///
/// The engine's.
pub fn start<S>(
    engine: EngineSettings,
    checkpoints: Checkpoints,
    source: S,
    output: PathBuf,
    tally: Arc<Tally>,
) -> Result<JobHandle, frazil::Error>
where
    S: Source<Record = str> + Clone + Send + Sync,
{
    let checkpoints = engine.barriers.of(checkpoints);
    let job = engine.builder().checkpoints(checkpoints).build()?;
    let handle = job.start(move |flow| declare(flow, source.clone(), &output, &tally))?;
    Ok(stopped_by_signals(handle))
}

fn declare(flow: &Flow, lines: impl Source<Record = str>, output: &Path, tally: &Tally) {
    let counter = tally.counter();
    flow.source(lines)
        .flat_map(move |line, out| {
            for identifier in Tokenizer::new(line.as_bytes()) {
                out.push(identifier);
            }
            counter.add_line(line, out.len());
        })
        .key_by(|identifier| identifier)
        .aggregate("count", 0u64, |count, _identifier| *count += 1)
        .emit_when(|_identifier, count| count.is_power_of_two())
        .emit_at_end()
        .sink(CsvFiles::new(output));
}
