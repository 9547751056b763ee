//! The word count as a process of its own, to be killed: prints one line for each durable
//! checkpoint.
//!
//! Arguments: input file, rounds, shards, checkpoint directory, output folder.

use std::io::Write;
use std::sync::Arc;

use frazil::Error;
use frazil_io::storage::FileStorage;
use frazil_tests::WordCount;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, rounds, shards, checkpoints, output] = &arguments[..] else {
        return Err("expected: input rounds shards checkpoints output".into());
    };
    let mut run = WordCount::new(input, Arc::new(FileStorage::open(checkpoints)?));
    run.output = Arc::new(FileStorage::open(output)?);
    run.rounds = rounds.parse()?;
    run.shards = shards.parse()?;
    run.tuning.fold_chain_bytes_min = 256 << 10;
    let handle = run.start()?;
    let mut out = std::io::stdout();
    let restored = handle.recovery().map_or(0, |recovery| recovery.checkpoint);
    writeln!(out, "restored {restored}")?;
    loop {
        match handle.checkpoint() {
            Ok(report) => writeln!(out, "durable {}", report.checkpoint)?,
            Err(Error::CheckpointDropped { reason, .. }) => return Err(reason.into()),
            Err(_) => break,
        }
        out.flush()?;
    }
    handle.wait()?;
    Ok(())
}
