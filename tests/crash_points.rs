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

struct Sweep {
    run: WordCount,
    reference: BTreeMap<(String, u64), u64>,
}

impl Sweep {
    /// Runs on `disk` until the crash or the end; gives the newest checkpoint reported durable.
    fn run_to(&self, disk: &MemoryStorage, crash_at: u64) -> Option<u64> {
        let plan = FaultPlan::none()
            .crash_at(crash_at)
            .with_seed(crash_at);
        let storage = MortalStorage::new(disk, plan);
        let begun = Instant::now();
        let (outcome, durable) = self.run.on(Arc::new(storage.clone())).run();
        let standstill = begun.elapsed().as_secs() >= 30;
        assert!(!standstill, "crash_at={crash_at}: it stood still");
        let has_crashed = storage.operations() > crash_at;
        assert_eq!(
            outcome.is_err(),
            has_crashed,
            "crash_at={crash_at}: {outcome:?}"
        );
        durable.last().copied()
    }

    /// Goes on from what a crash left: from a checkpoint no older than `durable`, with no damage
    /// to report, to the same output.
    fn finish(&self, disk: &MemoryStorage, durable: Option<u64>, case: &str) {
        assert_nothing_early(disk, &self.reference);
        let run = self.run.on(Arc::new(disk.clone()));
        let handle = run
            .start()
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        let restored = handle.recovery().map(|recovery| recovery.checkpoint);
        assert!(restored >= durable, "{case}: {restored:?} < {durable:?}");
        let skipped = handle.recovery().map_or(0, |recovery| recovery.skipped.len());
        assert_eq!(skipped, 0, "{case}: {:?}", handle.recovery());
        let begun = Instant::now();
        let ended = handle.wait();
        ended.unwrap_or_else(|error| panic!("{case}: {error}"));
        // A checkpoint that somebody's message went missing for waits for its timeout of a minute.
        assert!(begun.elapsed().as_secs() < 30, "{case}: it stood still");
        let rows = committed_rows(disk);
        assert!(rows == self.reference, "{case}: rows differ");
    }

    /// Operations of the longest of some runs without a crash: how many checkpoints fit is up to
    /// the machine.
    fn count_operations(&self) -> u64 {
        let counts = (0..5).map(|_| {
            let counting = MortalStorage::new(&MemoryStorage::new(), FaultPlan::none());
            let (outcome, _) = self.run.on(Arc::new(counting.clone())).run();
            outcome.expect("a run without a crash ends well");
            counting.operations()
        });
        counts.max().expect("five runs")
    }

    fn sweep(&self, stride: usize) {
        let operations = self.count_operations();
        assert!(operations > 60, "too few operations: {operations}");
        let sampled = (ALL_BELOW..operations).step_by(stride);
        for crash_at in (0..ALL_BELOW.min(operations)).chain(sampled) {
            self.crash(crash_at);
        }
    }

    fn crash(&self, crash_at: u64) {
        let disk = MemoryStorage::new();
        let durable = self.run_to(&disk, crash_at);
        let case = format!("shards={} crash_at={crash_at}", self.run.shards);
        let killed = disk.after_process_crash();
        if crash_at % 3 == 0 {
            // The recovery crashes as well.
            let durable = self.run_to(&killed, crash_at % 41).max(durable);
            let twice = killed.after_power_loss(crash_at);
            self.finish(&twice, durable, &format!("{case} twice"));
        } else {
            self.finish(&killed, durable, &case);
        }
        let cut = disk.after_power_loss(crash_at);
        self.finish(&cut, durable, &format!("{case} power loss"));
    }
}

fn sweep(shards: usize, stride: usize) {
    let text = text(12_000, 900);
    let (_folder, input) = input_file(&text);
    let mut run = WordCount::new(input, Arc::new(MemoryStorage::new()));
    run.shards = shards;
    run.rounds = 40;
    let reference = reference_rows(&text, run.rounds);
    Sweep { run, reference }.sweep(stride);
}

#[test]
fn no_crash_of_one_shard_changes_the_output() {
    sweep(1, 7);
}

#[test]
fn no_crash_of_two_shards_changes_the_output() {
    sweep(2, 11);
}

#[test]
fn a_crash_ends_the_job_with_an_error_and_not_in_a_wait_for_ever() {
    let (_folder, input) = input_file(&text(2_000, 100));
    let disk = MemoryStorage::new();
    let storage = MortalStorage::new(&disk, FaultPlan::none().crash_at(3));
    let (outcome, _) = WordCount::new(input, Arc::new(storage)).run();
    let Err(Error::HelperPanicked { thread, message }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(thread, "checkpoint writer");
    assert!(message.contains("simulated"), "{message}");
    disk.lock().expect("the lock was released with the job");
}
