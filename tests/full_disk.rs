//! A full disk loses nothing: checkpoints are dropped and reported, rows wait, and all of it goes
//! on when there is room again.

use std::ops::Range;
use std::sync::Arc;

use frazil::{Error, Statistics};
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{
    Gate, MortalStorage, WordCount, committed_rows, input_file, reference_rows, text,
};

/// Asks for checkpoints, each after some more input, until `disk` was full and is no more; then
/// lets the job run to its end. Gives the reasons of the checkpoints that were dropped.
fn run_past(
    run: &WordCount,
    disk: &MortalStorage,
    window: &Range<u64>,
) -> (Statistics, Vec<String>) {
    let run = WordCount {
        gate: Gate::closed(),
        ..run.clone()
    };
    let handle = run.start().expect("starts");
    let mut reasons = Vec::new();
    loop {
        run.gate.allow(100);
        match handle.checkpoint() {
            Ok(_) if disk.operations() > window.end => break,
            Ok(_) => {}
            Err(Error::CheckpointDropped { reason, .. }) => reasons.push(reason),
            Err(error) => panic!("window={window:?}: {error}"),
        }
    }
    run.gate.allow(u64::MAX);
    (handle.wait().expect("ends well"), reasons)
}

#[test]
fn a_full_checkpoint_disk_drops_checkpoints_and_the_job_goes_on() {
    let text = text(20_000, 2_000);
    let (_folder, input) = input_file(&text);
    // From the delta's creation, from one of its appends, and from the manifest on.
    for (shards, window) in [(1, 10..16), (2, 12..18), (1, 4..10), (2, 26..40)] {
        let full = FaultPlan::none().full_during(window.clone());
        let storage = MortalStorage::new(&MemoryStorage::new(), full);
        let mut run = WordCount::new(&input, Arc::new(MemoryStorage::new()));
        run.checkpoints = Arc::new(storage.clone());
        run.shards = shards;
        let (statistics, reasons) = run_past(&run, &storage, &window);
        assert!(!reasons.is_empty(), "window={window:?}: nothing dropped");
        for reason in &reasons {
            assert!(
                reason.contains("no space left") && reason.contains("free space"),
                "{reason}"
            );
        }
        assert!(statistics.checkpoints.failed_count >= reasons.len() as u64);
        let equal = committed_rows(&*run.output) == reference_rows(&text, run.rounds);
        assert!(equal, "window={window:?}: rows differ");
        // What was dropped in between is in what the later ones say.
        let again = WordCount {
            checkpoints: Arc::new(storage.disk().after_power_loss(1)),
            ..run.clone()
        };
        again.start().expect("starts").wait().expect("ends well");
        assert!(committed_rows(&*run.output) == reference_rows(&text, run.rounds));
    }
}

#[test]
fn rows_wait_for_a_full_output_disk() {
    let text = text(20_000, 2_000);
    let (_folder, input) = input_file(&text);
    for (shards, window) in [(1, 0..3), (2, 2..6), (1, 9..13)] {
        let disk = MemoryStorage::new();
        let full = FaultPlan::none().full_during(window.clone());
        let output = MortalStorage::new(&disk, full);
        let mut run = WordCount::new(&input, Arc::new(MemoryStorage::new()));
        run.output = Arc::new(output.clone());
        run.shards = shards;
        run.tuning.row_buffers = 2;
        let (_, reasons) = run_past(&run, &output, &window);
        assert_eq!(
            reasons, [""; 0],
            "a full output disk delays, it drops nothing"
        );
        let equal = committed_rows(&disk) == reference_rows(&text, run.rounds);
        assert!(equal, "window={window:?}: rows differ");
    }
}

#[test]
fn a_disk_that_stays_full_ends_the_job_uncommitted_and_the_next_start_commits_the_rest() {
    let text = text(2_000, 200);
    let (_folder, input) = input_file(&text);
    let disk = MemoryStorage::new();
    let full = FaultPlan::none().full_during(0..u64::MAX);
    let checkpoints = MortalStorage::new(&disk, full);
    let mut run = WordCount::new(&input, Arc::new(MemoryStorage::new()));
    run.checkpoints = Arc::new(checkpoints);
    let ended = run.start().expect("starts").wait();
    let Err(Error::NoFinalCheckpoint { reason, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("no space left"), "{reason}");
    assert!(committed_rows(&*run.output).is_empty());
    run.checkpoints = Arc::new(disk);
    run.start().expect("starts").wait().expect("ends well");
    assert!(committed_rows(&*run.output) == reference_rows(&text, run.rounds));
}
