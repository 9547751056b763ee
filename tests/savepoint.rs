//! A savepoint is whole by itself, outlives everything of the job that made it, and a job started
//! from it goes on exactly once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use frazil::storage::{FaultPlan, FaultyStorage, FileStorage, MemoryStorage, Storage};
use frazil::{Cores, Count, DriverChoice, Error, Iter, Job, JobHandle, Tuning};
use frazil_tests::{Gate, WordCount, committed_rows, input_file, reference_rows, text};

type Rows = BTreeMap<(String, u64), u64>;

/// A job in the middle of its input, with images and a chain.
struct Running {
    _folder: tempfile::TempDir,
    input: PathBuf,
    output: MemoryStorage,
    gate: Gate,
    handle: JobHandle,
    reference: Rows,
}

fn run(input: &PathBuf, output: &MemoryStorage, shards: usize) -> WordCount {
    let run = WordCount::new(input, Arc::new(MemoryStorage::new()));
    let tuning = Tuning {
        fold_chain_bytes_min: 8 << 10,
        ..run.tuning
    };
    WordCount {
        output: Arc::new(output.clone()),
        shards,
        tuning,
        ..run
    }
}

impl Running {
    fn start(checkpoints: Arc<dyn Storage>) -> Self {
        let text = text(12_000, 900);
        let (folder, input) = input_file(&text);
        let output = MemoryStorage::new();
        let run = WordCount {
            checkpoints,
            gate: Gate::closed(),
            keep: 1,
            ..run(&input, &output, 2)
        };
        let handle = run.start().expect("starts");
        let running = Self {
            _folder: folder,
            input,
            output,
            gate: run.gate,
            handle,
            reference: reference_rows(&text, run.rounds),
        };
        running.steps(4);
        running
    }

    /// Reads on, with a checkpoint after every step.
    fn steps(&self, count: usize) {
        for _ in 0..count {
            self.gate.allow(300);
            self.handle.checkpoint().expect("durable");
        }
    }

    /// A job of its own that starts from `savepoint`.
    fn resumed_from(&self, savepoint: Arc<dyn Storage>, shards: usize) -> WordCount {
        WordCount {
            restore_from: Some(savepoint),
            ..run(&self.input, &self.output, shards)
        }
    }

    /// Lets the job run to its end.
    fn finish(self) {
        self.gate.allow(u64::MAX);
        self.handle.wait().expect("ends well");
        assert!(committed_rows(&self.output) == self.reference);
    }
}

fn finish(run: &WordCount, reference: &Rows) {
    let handle = run.start().expect("starts");
    assert!(handle.recovery().is_some());
    handle.wait().expect("ends well");
    assert!(committed_rows(&*run.output) == *reference, "rows differ");
}

#[test]
fn a_job_goes_on_exactly_once_from_a_savepoint_that_was_moved_away() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| folder.path().join(name);
    for shards in [2, 3] {
        let checkpoints = FileStorage::open(path("checkpoints")).expect("opens");
        let running = Running::start(Arc::new(checkpoints));
        let report = running.handle.savepoint(path("savepoint"));
        let report = report.expect("written");
        assert!(report.checkpoint >= 5 && report.bytes > 0, "{report:?}");
        // The job goes on and commits output that the savepoint does not know.
        running.steps(3);
        let moved = path(&format!("moved to {shards}"));
        std::fs::rename(path("savepoint"), &moved).expect("renames");
        running.handle.stop();
        let (input, output) = (running.input, running.output);
        running.handle.wait().expect("stops well");
        std::fs::remove_dir_all(path("checkpoints")).expect("removes");

        let savepoint = FileStorage::open(&moved).expect("opens");
        let before = savepoint.list().expect("lists");
        let run = WordCount {
            restore_from: Some(Arc::new(savepoint)),
            ..run(&input, &output, shards)
        };
        finish(&run, &running.reference);
        let savepoint = FileStorage::open(&moved).expect("opens");
        assert_eq!(savepoint.list().expect("lists"), before, "only read");
        // From its own checkpoints it goes on without the savepoint.
        let again = WordCount {
            restore_from: None,
            ..run
        };
        std::fs::remove_dir_all(&moved).expect("removes");
        finish(&again, &running.reference);
    }
}

#[test]
fn a_job_that_stops_with_a_savepoint_goes_on_from_it() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let running = Running::start(Arc::new(MemoryStorage::new()));
    let path = folder.path().join("savepoint");
    let savepoint = |path: &PathBuf| Arc::new(FileStorage::open(path).expect("opens"));
    let run = running.resumed_from(savepoint(&path), 1);
    let error = run.start().map(|_| ()).expect_err("still empty");
    assert!(matches!(error, Error::NoSavepoint { .. }), "{error:?}");
    let stopped = running.handle.stop_with_savepoint(&path);
    let (statistics, report) = stopped.expect("stops well");
    assert_eq!(statistics.record_count, 1200);
    let run = WordCount {
        gate: Gate::open(),
        ..run
    };
    let handle = run.start().expect("starts");
    let recovery = handle.recovery().expect("restored");
    assert_eq!(recovery.checkpoint, report.checkpoint);
    handle.wait().expect("ends well");
    assert!(committed_rows(&running.output) == running.reference);
}

#[test]
fn another_output_folder_gets_what_follows_the_savepoint_and_the_first_job_goes_on() {
    let running = Running::start(Arc::new(MemoryStorage::new()));
    let savepoint = Arc::new(MemoryStorage::new());
    let written = running.handle.savepoint_to(savepoint.clone());
    written.expect("written");
    let before = committed_rows(&running.output);
    // Another name: the location of the storage.
    let folder = tempfile::tempdir().expect("temporary directory");
    let other: Arc<dyn Storage> = Arc::new(FileStorage::open(folder.path()).expect("opens"));
    let run = WordCount {
        output: Arc::clone(&other),
        ..running.resumed_from(savepoint, 2)
    };
    let handle = run.start().expect("starts");
    handle.wait().expect("ends well");
    let mut both = committed_rows(&*other);
    for (row, count) in before {
        *both.entry(row).or_default() += count;
    }
    assert!(both == running.reference, "rows differ");
    running.finish();
}

#[test]
fn a_crash_while_a_savepoint_is_written_leaves_none_or_a_whole_one() {
    let running = Running::start(Arc::new(MemoryStorage::new()));
    let mut whole = 0;
    for operation in 0.. {
        let disk = MemoryStorage::new();
        let plan = FaultPlan::none().crash_at(operation).with_seed(operation);
        let faulty = FaultyStorage::new(Arc::new(disk.clone()), plan);
        let written = running.handle.savepoint_to(Arc::new(faulty.clone()));
        if faulty.operations() <= operation {
            written.expect("nothing crashed");
            break;
        }
        written.expect_err("its disk crashed");
        let cut = Arc::new(disk.after_power_loss(operation));
        let output = running.output.after_process_crash();
        let run = WordCount {
            output: Arc::new(output),
            ..running.resumed_from(cut, 1)
        };
        match run.start() {
            Ok(handle) => {
                whole += 1;
                handle.wait().expect("ends well");
                assert!(committed_rows(&*run.output) == running.reference);
            }
            Err(Error::NoSavepoint { .. }) => {}
            Err(error) => panic!("crash_at={operation}: {error}"),
        }
    }
    assert!(whole <= 2, "the last steps of a publish, not {whole}");
    running.finish();
}

#[test]
fn a_full_disk_refuses_the_savepoint_and_the_job_goes_on() {
    let running = Running::start(Arc::new(MemoryStorage::new()));
    let disk = MemoryStorage::new();
    for from in [0, 1, 4, 8] {
        let full = FaultPlan::none().full_during(from..u64::MAX);
        let storage = FaultyStorage::new(Arc::new(disk.clone()), full);
        let error = running.handle.savepoint_to(Arc::new(storage));
        let error = error.expect_err("the disk is full");
        assert!(
            matches!(&error, Error::Io(error) if error.is_full()),
            "{error:?}"
        );
        assert!(disk.list().expect("lists").is_empty(), "given back");
    }
    running.finish();
}

#[test]
fn a_savepoint_replaces_nothing_and_a_job_with_checkpoints_does_not_start_from_one() {
    let checkpoints = MemoryStorage::new();
    let running = Running::start(Arc::new(checkpoints.clone()));
    let savepoint = Arc::new(MemoryStorage::new());
    let written = running.handle.savepoint_to(savepoint.clone());
    written.expect("written");
    for taken in [savepoint.clone(), Arc::new(checkpoints.clone())] {
        let error = running.handle.savepoint_to(taken);
        let error = error.expect_err("there is one");
        assert!(matches!(error, Error::SavepointExists { .. }), "{error:?}");
    }
    running.handle.stop();
    running.handle.wait().expect("stops well");
    let run = WordCount {
        checkpoints: Arc::new(checkpoints),
        restore_from: Some(savepoint),
        ..run(&running.input, &running.output, 2)
    };
    let error = run.start().map(|_| ()).expect_err("there are checkpoints");
    assert!(matches!(error, Error::CheckpointsExist { .. }), "{error:?}");
    assert!(error.to_string().contains("restore_from"), "{error}");
}

#[test]
fn a_pinned_checkpoint_outlives_retention_and_restarts_and_can_be_started_from() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let path = folder.path().join("checkpoints");
    let open = || FileStorage::open(&path).expect("opens");
    let manifests = || {
        let names = open().list().expect("lists");
        let count = |prefix| names.iter().filter(|name| name.starts_with(prefix)).count();
        (count("manifest-"), count("pin-"))
    };
    let running = Running::start(Arc::new(open()));
    let pinned = running
        .handle
        .newest_checkpoint()
        .expect("durable")
        .checkpoint;
    running.handle.pin(pinned).expect("kept");
    running.steps(3);
    // An answer of the writer comes after what it had to retire.
    let error = running.handle.pin(pinned - 1).expect_err("gone");
    let Error::UnknownCheckpoint { kept, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(kept, &[pinned, pinned + 3]);
    assert_eq!(manifests(), (2, 1), "the newest and the pinned one");
    running.handle.stop();
    running.handle.wait().expect("stops well");

    // Another run keeps it, and gives it up when it is told to.
    let again = WordCount {
        checkpoints: Arc::new(open()),
        gate: Gate::closed(),
        keep: 1,
        ..run(&running.input, &running.output, 2)
    };
    let handle = again.start().expect("starts");
    handle.checkpoint().expect("durable");
    handle.pin(pinned).expect("still pinned");
    assert_eq!(manifests(), (2, 1));
    let job = Job::builder("word-count")
        .cores(Cores::count(1))
        .driver(DriverChoice::Thread)
        .restore_from_checkpoint(&path, pinned);
    // Its own flow would go on from there; another is told which checkpoint it met.
    let started = job.build().expect("valid settings").start(|flow| {
        flow.source(Iter::new(|_, _| 0..9u64)).sink(Count::new());
    });
    let error = started.map(|_| ()).expect_err("another flow");
    assert!(
        matches!(error, Error::Preflight { checkpoint, .. } if checkpoint == pinned),
        "{error:?}"
    );
    handle.unpin(pinned).expect("unpinned");
    assert_eq!(manifests(), (1, 0));
    again.gate.allow(u64::MAX);
    handle.wait().expect("ends well");
    assert!(committed_rows(&running.output) == running.reference);
}
