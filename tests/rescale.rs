//! A job crashes on one number of shards and goes on with another, and its output is that of a run
//! without a crash.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{LogicalClock, Tuning};
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_tests::{
    KeyedStates, MortalStorage, Step, TimedWords, WalkedWords, WordCount, assert_nothing_early,
    check_walks, committed_rows, input_file, reference_rows, run_through, text,
};

/// A job whose chain is folded all the time, so that images and deltas are both restored.
struct Moving {
    _folder: tempfile::TempDir,
    input: PathBuf,
    key_groups: u32,
    reference: BTreeMap<(String, u64), u64>,
}

impl Moving {
    fn new(key_groups: u32) -> Self {
        let text = text(12_000, 900);
        let (folder, input) = input_file(&text);
        let rounds = WordCount::new(&input, Arc::new(MemoryStorage::new())).rounds;
        Self {
            _folder: folder,
            input,
            key_groups,
            reference: reference_rows(&text, rounds),
        }
    }

    fn on(&self, storage: Arc<dyn Storage>, shards: usize) -> WordCount {
        let run = WordCount::new(&self.input, storage);
        let tuning = Tuning {
            ring_messages: 8,
            fold_chain_bytes_min: 4 << 10,
            ..run.tuning
        };
        WordCount {
            shards,
            key_groups: self.key_groups,
            tuning,
            ..run
        }
    }

    /// Runs on `disk` until operation `crash_at` takes the job; gives the disk after a power loss.
    fn crash(&self, disk: &MemoryStorage, shards: usize, crash_at: u64) -> MemoryStorage {
        let plan = FaultPlan::none().crash_at(crash_at).with_seed(crash_at);
        let storage = MortalStorage::new(disk, plan);
        let outcome = self.on(Arc::new(storage), shards).run_in_steps(|_| {});
        outcome.expect_err("the crash is in the middle of the run");
        let disk = disk.after_power_loss(crash_at);
        assert_nothing_early(&disk, &self.reference);
        disk
    }

    /// Goes on with `shards` from a checkpoint of `before` shards to the end.
    fn finish(&self, disk: &MemoryStorage, before: usize, shards: usize, case: &str) {
        let handle = self.on(Arc::new(disk.clone()), shards).start();
        let handle = handle.unwrap_or_else(|error| panic!("{case}: {error}"));
        let recovery = handle.recovery().expect("there is a checkpoint");
        assert!(recovery.skipped.is_empty(), "{case}: {recovery:?}");
        assert_eq!(recovery.shard_count, before, "{case}");
        let ended = handle.wait();
        ended.unwrap_or_else(|error| panic!("{case}: {error}"));
        let rows = committed_rows(disk);
        assert!(rows == self.reference, "{case}: rows differ");
    }
}

#[test]
fn a_job_goes_on_exactly_once_with_another_number_of_shards() {
    let moving = Moving::new(128);
    for (before, after) in [(1, 2), (2, 1), (2, 5), (3, 2)] {
        let disk = moving.crash(&MemoryStorage::new(), before, 60);
        let case = format!("{before} -> {after}");
        moving.finish(&disk, before, after, &case);
    }
}

#[test]
fn one_shard_becomes_64_and_64_become_one() {
    let moving = Moving::new(64);
    // A checkpoint of 64 shards takes more operations.
    for (before, after, crash_at) in [(1, 64, 60), (64, 1, 600)] {
        let disk = moving.crash(&MemoryStorage::new(), before, crash_at);
        let case = format!("{before} -> {after}");
        moving.finish(&disk, before, after, &case);
    }
}

#[test]
fn a_crash_before_the_first_checkpoint_of_the_new_shards_recovers_from_the_old_one() {
    let moving = Moving::new(8);
    let old = moving.crash(&MemoryStorage::new(), 2, 50);
    // From the first operation of the new run to beyond its first manifest, folds included.
    for crash_at in (0..40).step_by(3) {
        let cut = moving.crash(&old.after_process_crash(), 3, crash_at);
        let names = cut.list().expect("lists");
        let newest = |disk: &MemoryStorage| {
            let names = disk.list().expect("lists");
            names.into_iter().rfind(|name| name.starts_with("manifest"))
        };
        let is_new = newest(&cut) > newest(&old);
        let case = format!("2 -> 3, crash_at={crash_at} -> 4: {names:?}");
        moving.finish(&cut, if is_new { 3 } else { 2 }, 4, &case);
    }
}

/// Every restart is on another number of shards.
const STEPS: [Step; 9] = [
    Step::Checkpoint,
    Step::Kill,
    Step::Checkpoint,
    Step::Checkpoint,
    Step::PowerLoss(7),
    Step::Stop,
    Step::Checkpoint,
    Step::Kill,
    Step::Kill,
];

/// Shards of the starts in turn.
#[derive(Default)]
struct Shards(Cell<usize>);

impl Shards {
    fn next(&self) -> usize {
        let start = self.0.replace(self.0.get() + 1);
        [2, 3, 1, 4][start % 4]
    }
}

#[test]
fn states_of_every_kind_move_with_their_keys() {
    let text = text(4_000, 300);
    let (_folder, input) = input_file(&text);
    let run = KeyedStates {
        input,
        rounds: 20,
        shards: 1,
        tuning: Tuning::default(),
    };
    let counts = Shards::default();
    let start = |storage| {
        let shards = counts.next();
        KeyedStates {
            shards,
            ..run.clone()
        }
        .start(storage)
    };
    let disk = run_through(start, &STEPS);
    assert!(committed_rows(&disk) == run.reference_rows(&text));
}

#[test]
fn timers_move_with_their_keys_and_fire_once() {
    let text = text(4_000, 300);
    let (_folder, input) = input_file(&text);
    let run = TimedWords {
        input,
        rounds: 20,
        shards: 1,
        tuning: Tuning::default(),
        clock: LogicalClock::default(),
    };
    let counts = Shards::default();
    let start = |storage| {
        run.clock.advance_ms(20);
        let shards = counts.next();
        TimedWords {
            shards,
            ..run.clone()
        }
        .start(storage)
    };
    let disk = run_through(start, &STEPS);
    assert!(committed_rows(&disk) == run.reference_rows(&text));
}

#[test]
fn walks_go_on_with_the_keys_wherever_they_are() {
    let (_folder, input) = input_file(&text(4_000, 900));
    let run = WalkedWords {
        input,
        rounds: 10,
        ticks: 100,
        shards: 1,
        tuning: Tuning::default(),
    };
    let counts = Shards::default();
    let start = |storage| {
        let shards = counts.next();
        WalkedWords {
            shards,
            ..run.clone()
        }
        .start(storage)
    };
    let disk = run_through(start, &STEPS);
    check_walks(committed_rows(&disk), 100);
}
