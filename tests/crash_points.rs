//! A crash at every storage operation of a small job: whatever the crash leaves, the job goes on
//! from it and its output is that of a run without a crash.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use frazil::Error;
use frazil::storage::Storage;
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{
    MortalStorage, WordCount, assert_nothing_early, committed_rows, input_file, reference_rows,
    text,
};

/// Operations that are all crashed at; beyond them a sample is.
const ALL_BELOW: u64 = 100;

/// A checkpoint whose messages went missing would wait for its timeout of a minute.
const STANDSTILL_SECONDS: u64 = 30;

/// Which disk's operations are counted for the crash, which stops both.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CrashIn {
    Checkpoints,
    Output,
}

/// Two disks: a sync of one directory must not make up for a missing sync of the other.
#[derive(Clone, Default)]
struct Disks {
    checkpoints: MemoryStorage,
    output: MemoryStorage,
}

impl Disks {
    fn after_process_crash(&self) -> Self {
        Self {
            checkpoints: self.checkpoints.after_process_crash(),
            output: self.output.after_process_crash(),
        }
    }

    fn after_power_loss(&self, seed: u64) -> Self {
        Self {
            checkpoints: self.checkpoints.after_power_loss(seed),
            output: self.output.after_power_loss(!seed),
        }
    }
}

struct Sweep {
    run: WordCount,
    reference: BTreeMap<(String, u64), u64>,
    crash_in: CrashIn,
}

impl Sweep {
    /// Runs on `disks` until the crash or the end; gives the newest checkpoint reported durable,
    /// and the operations of the disk that crashes.
    fn run_to(&self, disks: &Disks, crash: FaultPlan) -> (Result<(), Error>, Option<u64>, u64) {
        let (for_checkpoints, for_output) = match self.crash_in {
            CrashIn::Checkpoints => (crash, FaultPlan::none()),
            CrashIn::Output => (FaultPlan::none(), crash),
        };
        let checkpoints = MortalStorage::new(&disks.checkpoints, for_checkpoints);
        let output = MortalStorage::new(&disks.output, for_output);
        let run = WordCount {
            checkpoints: Arc::new(checkpoints.clone()),
            output: Arc::new(output.clone()),
            ..self.run.clone()
        };
        let begun = Instant::now();
        let mut durable = None;
        let outcome = run.run_in_steps(|report| {
            if let Ok(report) = report {
                durable = Some(report.checkpoint);
            }
        });
        let seconds = begun.elapsed().as_secs();
        assert!(seconds < STANDSTILL_SECONDS, "it stood still: {outcome:?}");
        let operations = match self.crash_in {
            CrashIn::Checkpoints => checkpoints.operations(),
            CrashIn::Output => output.operations(),
        };
        (outcome, durable, operations)
    }

    fn crash_at(&self, disks: &Disks, operation: u64) -> Option<u64> {
        let plan = FaultPlan::none().crash_at(operation).with_seed(operation);
        let (outcome, durable, operations) = self.run_to(disks, plan);
        let has_crashed = operations > operation;
        assert_eq!(
            outcome.is_err(),
            has_crashed,
            "crash_at={operation}: {outcome:?}"
        );
        durable
    }

    /// Goes on from what a crash left: from a checkpoint no older than `durable`, with no damage
    /// to report, to the same output.
    fn finish(&self, disks: &Disks, durable: Option<u64>, case: &str) {
        assert_nothing_early(&disks.output, &self.reference);
        let run = WordCount {
            checkpoints: Arc::new(disks.checkpoints.clone()),
            output: Arc::new(disks.output.clone()),
            ..self.run.clone()
        };
        let handle = run.start();
        let handle = handle.unwrap_or_else(|error| panic!("{case}: {error}"));
        let restored = handle.recovery().map(|recovery| recovery.checkpoint);
        assert!(restored >= durable, "{case}: {restored:?} < {durable:?}");
        let skipped = handle
            .recovery()
            .map_or(0, |recovery| recovery.skipped.len());
        assert_eq!(skipped, 0, "{case}: {:?}", handle.recovery());
        let begun = Instant::now();
        let ended = handle.wait();
        ended.unwrap_or_else(|error| panic!("{case}: {error}"));
        let seconds = begun.elapsed().as_secs();
        assert!(seconds < STANDSTILL_SECONDS, "{case}: it stood still");
        let rows = committed_rows(&disks.output);
        assert!(rows == self.reference, "{case}: rows differ");
    }

    fn sweep(&self, stride: usize) {
        let (outcome, _, operations) = self.run_to(&Disks::default(), FaultPlan::none());
        outcome.expect("a run without a crash ends well");
        assert!(operations > 40, "too few operations: {operations}");
        let sampled = (ALL_BELOW..operations).step_by(stride);
        for operation in (0..ALL_BELOW.min(operations)).chain(sampled) {
            self.crash(operation);
        }
    }

    fn crash(&self, operation: u64) {
        let disks = Disks::default();
        let durable = self.crash_at(&disks, operation);
        let (shards, crash_in) = (self.run.shards, self.crash_in);
        let case = format!("shards={shards} crash_in={crash_in:?} crash_at={operation}");
        let killed = disks.after_process_crash();
        if operation.is_multiple_of(3) {
            // The recovery crashes as well.
            let durable = self.crash_at(&killed, operation % 41).max(durable);
            let twice = killed.after_power_loss(operation);
            self.finish(&twice, durable, &format!("{case} twice"));
        } else {
            self.finish(&killed, durable, &case);
        }
        let cut = disks.after_power_loss(operation);
        self.finish(&cut, durable, &format!("{case} power loss"));
    }
}

fn sweep(shards: usize, crash_in: CrashIn) {
    let text = text(12_000, 900);
    let (_folder, input) = input_file(&text);
    let mut run = WordCount::new(input, Arc::new(MemoryStorage::new()));
    run.shards = shards;
    let reference = reference_rows(&text, run.rounds);
    let sweep = Sweep {
        run,
        reference,
        crash_in,
    };
    sweep.sweep(11);
}

#[test]
fn no_crash_in_the_checkpoints_of_one_shard_changes_the_output() {
    sweep(1, CrashIn::Checkpoints);
}

#[test]
fn no_crash_in_the_checkpoints_of_two_shards_changes_the_output() {
    sweep(2, CrashIn::Checkpoints);
}

#[test]
fn no_crash_in_the_output_of_one_shard_changes_the_output() {
    sweep(1, CrashIn::Output);
}

#[test]
fn no_crash_in_the_output_of_two_shards_changes_the_output() {
    sweep(2, CrashIn::Output);
}

#[test]
fn a_crash_ends_the_job_with_an_error_and_not_in_a_wait_for_ever() {
    let (_folder, input) = input_file(&text(2_000, 100));
    let disk = MemoryStorage::new();
    let storage = MortalStorage::new(&disk, FaultPlan::none().crash_at(3));
    let outcome = WordCount::new(input, Arc::new(storage)).run_in_steps(|_| {});
    let Err(Error::HelperPanicked { thread, message }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(thread, "checkpoint writer");
    assert!(message.contains("simulated"), "{message}");
    disk.lock().expect("the lock was released with the job");
}
