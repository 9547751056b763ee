//! The ways to end a job: what each commits, what it leaves for a later start, and no record is
//! lost or counted twice whichever were used, in whatever order.

use std::sync::Arc;
use std::time::Duration;

use frazil::{
    Checkpoints, Cores, CsvFiles, DriverChoice, Ended, Error, Flow, Iter, Job, JobHandle,
    RestartStrategy,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{Faults, FragileFiles, FragileNumbers, Place, committed_rows};
use proptest::prelude::*;

const SPLITS: u64 = 4;
const SPLIT_COUNT: usize = 4;

/// An endless job: each split counts its numbers and keeps the largest.
struct Run {
    disk: MemoryStorage,
    shards: usize,
    interval: Option<Duration>,
    faults: Faults,
}

impl Run {
    fn new(shards: usize, interval: Option<Duration>) -> Self {
        Self {
            disk: MemoryStorage::new(),
            shards,
            interval,
            faults: Faults::default(),
        }
    }

    fn start(&self) -> JobHandle {
        let checkpoints = self
            .interval
            .map_or_else(Checkpoints::manual, Checkpoints::every);
        let job = Job::builder("endless")
            .cores(Cores::count(self.shards))
            .checkpoints(checkpoints.storage(Arc::new(self.disk.clone())))
            .restart(RestartStrategy::FixedDelay {
                restarts: 9,
                delay: Duration::ZERO,
            })
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(64 << 20)
            .build()
            .expect("valid settings");
        let (disk, faults) = (self.disk.clone(), self.faults.clone());
        let handle = job.start(move |flow| declare(flow, &disk, &faults));
        handle.expect("starts")
    }

    /// Starts the job and lets it read something.
    fn start_and_read(&self) -> JobHandle {
        let handle = self.start();
        while handle.statistics().record_count < 1_000 {
            std::thread::yield_now();
        }
        handle
    }

    /// The final rows say that each split's numbers were counted once, up to the largest; gives how
    /// many in all. A split that ended before its first number has no row.
    fn counted(&self) -> u64 {
        let rows = committed_rows(&self.disk);
        let value = |name: String| {
            let mut found = rows.iter().filter(|((row, _), _)| *row == name);
            let ((_, value), times) = found.next()?;
            assert!(*times == 1 && found.next().is_none(), "{name} twice");
            Some(*value)
        };
        let split = |split| {
            let count = value(format!("count {split}")).unwrap_or(0);
            let largest = (count > 0).then(|| split + SPLITS * (count - 1));
            assert_eq!(value(format!("largest {split}")), largest);
            count
        };
        (0..SPLITS).map(split).sum()
    }
}

fn declare(flow: &Flow, disk: &MemoryStorage, faults: &Faults) {
    let numbers = Iter::new(|split, _| (split as u64..).step_by(SPLIT_COUNT));
    flow.source(FragileNumbers {
        numbers: numbers.splits(SPLIT_COUNT),
        faults: faults.clone(),
    })
    .key_by_value(|number| number % SPLITS)
    .aggregate("split", (0u64, 0u64), |(count, largest), number| {
        *count += 1;
        *largest = (*largest).max(*number);
    })
    .emit_at_end()
    .flat_map(|(split, (count, largest)), out| {
        out.push(&(format!("count {split}"), *count));
        out.push(&(format!("largest {split}"), *largest));
    })
    .sink(FragileFiles {
        files: CsvFiles::new("out").storage(Arc::new(disk.clone())),
        faults: faults.clone(),
    });
}

#[test]
fn a_drain_commits_all_that_was_read_and_leaves_nothing_to_do() {
    for interval in [None, Some(Duration::from_millis(1))] {
        let run = Run::new(2, interval);
        let end = run.start_and_read().drain().expect("drains");
        assert_eq!(end.how, Ended::Drained);
        assert!(end.checkpoint.expect("the last one").last);
        assert_eq!(run.counted(), end.statistics.record_count);
        let again = run.start();
        assert!(again.recovery().expect("restored").finished);
        let end = again.end().expect("ends");
        assert_eq!((end.how, end.statistics.record_count), (Ended::Finished, 0));
        run.counted();
    }
}

#[test]
fn a_drain_without_checkpoints_commits_as_the_end_of_the_input_does() {
    let disk = MemoryStorage::new();
    let job = Job::builder("forgetful")
        .cores(Cores::count(1))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(64 << 20)
        .build()
        .expect("valid settings");
    let output = disk.clone();
    let handle = job.start(move |flow| declare(flow, &output, &Faults::default()));
    let handle = handle.expect("starts");
    while handle.statistics().record_count == 0 {
        std::thread::yield_now();
    }
    let end = handle.drain().expect("drains");
    let rows: u64 = committed_rows(&disk).values().sum();
    assert_eq!((end.how, rows > 0), (Ended::Drained, true));
}

#[test]
fn a_failure_while_a_job_drains_only_delays_it() {
    for (place, pass) in [
        (Place::Writer, 2),
        (Place::PreCommit, 1),
        (Place::Commit, 1),
    ] {
        let run = Run::new(2, None);
        run.faults.plant(place, pass);
        let end = run.start_and_read().drain().expect("drains");
        assert_eq!((end.restarts.count, run.faults.left()), (1, 0), "{place:?}");
        run.counted();
    }
}

#[test]
fn a_stop_makes_a_last_checkpoint_and_a_cancel_makes_none() {
    let run = Run::new(2, None);
    let stopped = run.start_and_read();
    stopped.stopper().stop();
    let stopped = stopped.end().expect("stops");
    assert_eq!(stopped.how, Ended::Stopped);
    let last = stopped.checkpoint.expect("the last one");
    assert!(last.last);
    let canceled = run.start_and_read();
    let restored = canceled.recovery().expect("restored").checkpoint;
    assert_eq!(restored, last.checkpoint);
    let canceled = canceled.cancel().expect("cancels");
    assert_eq!(canceled.how, Ended::Canceled);
    assert!(canceled.checkpoint.is_none());
    let again = run.start();
    assert_eq!(again.recovery().expect("restored").checkpoint, restored);
    again.drain().expect("drains");
    run.counted();
}

#[test]
fn a_cancel_overrules_a_drain_and_ends_a_pause() {
    let run = Run::new(1, None);
    let handle = run.start_and_read();
    let stopper = handle.stopper();
    assert!(!stopper.is_over());
    stopper.drain();
    let how = handle.cancel().expect("cancels").how;
    // The drain may have been faster.
    assert!(matches!(how, Ended::Canceled | Ended::Drained), "{how:?}");
    assert!(stopper.is_over());
    stopper.stop();
    let failing = Run::new(1, None);
    failing.faults.plant(Place::Source, 500);
    let job = Job::builder("endless")
        .cores(Cores::count(1))
        .checkpoints(Checkpoints::manual().storage(Arc::new(failing.disk.clone())))
        .restart(RestartStrategy::FixedDelay {
            restarts: 1,
            delay: Duration::from_secs(3600),
        })
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(64 << 20)
        .build()
        .expect("valid settings");
    let (disk, faults) = (failing.disk.clone(), failing.faults.clone());
    let handle = job
        .start(move |flow| declare(flow, &disk, &faults))
        .expect("starts");
    while handle.restarts().count == 0 {
        std::thread::yield_now();
    }
    assert_eq!(handle.cancel().expect("cancels").how, Ended::Canceled);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Checkpoint,
    Stop,
    Cancel,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_endings_and_new_starts_count_every_number_once(
        steps in prop::collection::vec(
            prop::sample::select(vec![Step::Checkpoint, Step::Stop, Step::Cancel]),
            0..6,
        ),
        shards in 1..4_usize,
        interval_ms in prop::option::of(1..4_u64),
    ) {
        let run = Run::new(shards, interval_ms.map(Duration::from_millis));
        let mut handle = run.start_and_read();
        for step in steps {
            let ended = match step {
                Step::Checkpoint => {
                    handle.checkpoint().expect("durable");
                    continue;
                }
                Step::Stop => {
                    handle.stop();
                    handle.end()
                }
                Step::Cancel => handle.cancel(),
            };
            ended.expect("ends well");
            handle = run.start();
        }
        while handle.statistics().record_count < 1_000 {
            std::thread::yield_now();
        }
        handle.drain().expect("drains");
        run.counted();
    }
}

#[test]
fn a_job_that_has_ended_answers_nobody() {
    let run = Run::new(1, None);
    let handle = run.start_and_read();
    let stopper = handle.stopper();
    stopper.cancel();
    while !stopper.is_over() {
        std::thread::yield_now();
    }
    let answer = handle.checkpoint();
    assert!(matches!(answer, Err(Error::Ended)), "{answer:?}");
}
