//! The story: a random flow on real threads, with random settings, in one mode after the other,
//! meets whatever can go wrong: code of the user panics, the disk is full or fails a sync, the
//! process dies at any operation, the power fails, somebody stops it or starts it from an older
//! checkpoint, with another number of shards. In the end its output is that of plain maps, once,
//! and its state that of an undisturbed run on one shard; at least once, where a leg asked for no
//! more.
//!
//! A failing case is said with its seed; `FRAZIL_SEED=N` runs that case alone.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, UNIX_EPOCH};

use frazil::storage::Storage;
use frazil::{
    CheckpointMode, CheckpointSettings, Checkpoints, Cores, DriverChoice, Error, Job, JobHandle,
    RestartStrategy, StagingSize, StartFrom, Tuning,
};
use frazil_io::storage::{FaultPlan, MemoryStorage};
use frazil_state::DumpRecord;
use frazil_tests::{
    Faults, Link, MortalStorage, Place, RandomFlow, assert_nothing_early, committed_rows, dump,
    manifests,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// Cases of each of the two tests, which run side by side.
const CASES: u64 = 100;
/// A case that takes longer stands still.
const STANDSTILL: Duration = Duration::from_secs(60);

/// What goes wrong in a leg.
#[derive(Clone, Debug)]
enum Misfortune {
    /// Nothing: the leg is the last one, unless it is stopped.
    Stop,
    Cancel,
    Kill,
    PowerLoss(u64),
    /// At an operation of the disk; what it had not synced is lost or not.
    Crash(u64, bool),
    FullDisk(Range<u64>),
    FailedSync(u64),
    Panics(Vec<(Place, u64)>),
}

/// What the barriers of a leg wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Barriers {
    Aligned,
    AtLeastOnce,
    Unaligned,
    AlignedFor(Duration),
}

/// From one start to the next.
#[derive(Clone, Debug)]
struct Leg {
    shards: usize,
    barriers: Barriers,
    settings: CheckpointSettings,
    misfortune: Misfortune,
    /// Records that are read before the job is interrupted.
    after: u64,
    /// Which of the older checkpoints it starts from, if not from the newest.
    older: Option<usize>,
}

#[derive(Clone, Debug)]
struct Case {
    flow: RandomFlow,
    ring_messages: usize,
    row_buffers: usize,
    legs: Vec<Leg>,
}

fn flows() -> impl Strategy<Value = RandomFlow> {
    let link = prop_oneof![
        1 => Just(Link::Rebalance),
        3 => Just(Link::Count),
        1 => Just(Link::Twice),
    ];
    let parts = (0..3_000u64, 1..50u64, vec(link, 1..=3), any::<bool>());
    parts.prop_map(|(records, keys, links, is_slow)| RandomFlow {
        records,
        keys,
        links,
        is_slow,
    })
}

fn settings() -> impl Strategy<Value = CheckpointSettings> {
    let triggers = (
        proptest::option::of(1..4u64),
        proptest::option::of(100..1_000u64),
        proptest::option::of(1_000..20_000u64),
        proptest::option::of(0..2u64),
    );
    triggers.prop_map(|(interval, records, bytes, pause)| {
        let mut settings = CheckpointSettings::manual();
        settings.interval = interval.map(Duration::from_millis);
        settings.record_count = records;
        settings.dirty_bytes = bytes;
        match pause {
            Some(ms) => settings.continuous(Duration::from_millis(ms)),
            None => settings,
        }
    })
}

fn misfortunes() -> impl Strategy<Value = Misfortune> {
    let places = vec![
        Place::Source,
        Place::Operator,
        Place::State,
        Place::Writer,
        Place::Stage,
        Place::PreCommit,
        Place::Commit,
    ];
    let panic = (proptest::sample::select(places), 1..400u64).prop_map(|(place, pass)| {
        // Fewer pass a committer than an operator.
        let is_rare = matches!(place, Place::Stage | Place::PreCommit | Place::Commit);
        (place, if is_rare { 1 + pass % 8 } else { pass })
    });
    prop_oneof![
        1 => Just(Misfortune::Stop),
        1 => Just(Misfortune::Cancel),
        3 => Just(Misfortune::Kill),
        2 => any::<u64>().prop_map(Misfortune::PowerLoss),
        3 => (0..150u64, any::<bool>()).prop_map(|(at, is_cut)| Misfortune::Crash(at, is_cut)),
        1 => (0..80u64, 1..6u64).prop_map(|(at, length)| Misfortune::FullDisk(at..at + length)),
        1 => (0..100u64).prop_map(Misfortune::FailedSync),
        3 => vec(panic, 1..4).prop_map(Misfortune::Panics),
    ]
}

fn legs() -> impl Strategy<Value = Leg> {
    let barriers = prop_oneof![
        3 => Just(Barriers::Aligned),
        1 => Just(Barriers::AtLeastOnce),
        4 => Just(Barriers::Unaligned),
        3 => (0..2_000u64).prop_map(|us| Barriers::AlignedFor(Duration::from_micros(us))),
    ];
    let older = prop_oneof![3 => Just(None), 1 => (0..5usize).prop_map(Some)];
    let parts = (
        1..=4usize,
        barriers,
        settings(),
        misfortunes(),
        0..3_000u64,
        older,
    );
    parts.prop_map(
        |(shards, barriers, settings, misfortune, after, older)| Leg {
            shards,
            barriers,
            settings,
            misfortune,
            after,
            older,
        },
    )
}

fn cases() -> impl Strategy<Value = Case> {
    let parts = (flows(), 1..6usize, 1..4usize, vec(legs(), 1..5));
    parts.prop_map(|(flow, ring_messages, row_buffers, legs)| Case {
        flow,
        ring_messages,
        row_buffers,
        legs,
    })
}

impl Leg {
    fn plan(&self) -> FaultPlan {
        let plan = FaultPlan::none();
        match &self.misfortune {
            Misfortune::Crash(at, _) => plan.crash_at(*at).with_seed(*at),
            Misfortune::FullDisk(operations) => plan.full_during(operations.clone()),
            Misfortune::FailedSync(at) => plan.fail_sync_at(*at),
            _ => plan,
        }
    }

    fn faults(&self) -> Faults {
        let faults = Faults::default();
        if let Misfortune::Panics(panics) = &self.misfortune {
            panics
                .iter()
                .for_each(|(place, pass)| faults.plant(*place, *pass));
        }
        faults
    }

    fn checkpoints(&self) -> Checkpoints {
        let checkpoints = Checkpoints::when(self.settings.clone()).keep(4);
        match self.barriers {
            Barriers::Aligned => checkpoints,
            Barriers::AtLeastOnce => checkpoints.mode(CheckpointMode::AtLeastOnce),
            Barriers::Unaligned => checkpoints.mode(CheckpointMode::Unaligned),
            Barriers::AlignedFor(timeout) => checkpoints.alignment_timeout(timeout),
        }
    }

    fn start_from(&self, disk: &MemoryStorage) -> StartFrom {
        let counting = counting_checkpoints(disk);
        match self.older {
            Some(choice) if !counting.is_empty() => {
                StartFrom::Checkpoint(counting[choice % counting.len()])
            }
            _ => StartFrom::Newest,
        }
    }

    /// Waits until the job has read its records, or has ended.
    fn await_records(&self, handle: &JobHandle) {
        while !handle.is_finished() && handle.statistics().record_count < self.after {
            std::thread::yield_now();
        }
    }

    /// What the leg's misfortune leaves on the disk.
    fn end(&self, started: Result<JobHandle, Error>, disk: &MemoryStorage) -> MemoryStorage {
        let handle = match (started, &self.misfortune) {
            (Ok(handle), _) => handle,
            (Err(_), Misfortune::Crash(_, true)) => return disk.after_power_loss(1),
            (Err(_), Misfortune::Crash(_, false)) => return disk.after_process_crash(),
            (Err(_), Misfortune::FullDisk(_) | Misfortune::FailedSync(_)) => return disk.clone(),
            (Err(error), _) => panic!("{self:?} does not start: {error}"),
        };
        match &self.misfortune {
            Misfortune::Stop => {
                self.await_records(&handle);
                handle.stop();
                handle.wait().expect("stops well");
            }
            Misfortune::Cancel => {
                self.await_records(&handle);
                handle.cancel().expect("ends at once");
            }
            Misfortune::Kill => {
                self.await_records(&handle);
                return left_behind(handle, disk.after_process_crash());
            }
            Misfortune::PowerLoss(seed) => {
                self.await_records(&handle);
                return left_behind(handle, disk.after_power_loss(*seed));
            }
            Misfortune::Crash(_, is_cut) => {
                let _ = handle.wait();
                return match is_cut {
                    true => disk.after_power_loss(2),
                    false => disk.after_process_crash(),
                };
            }
            // A sink whose sync failed may have lost rows, and says so.
            Misfortune::FullDisk(_) | Misfortune::FailedSync(_) => _ = handle.wait(),
            Misfortune::Panics(_) => _ = handle.wait().expect("comes back each time"),
        }
        disk.clone()
    }
}

/// What an old job does now happens on a disk that nobody looks at any more.
fn left_behind(handle: JobHandle, disk: MemoryStorage) -> MemoryStorage {
    let _ = handle.cancel();
    disk
}

/// Checkpoints that were not abandoned, oldest first.
fn counting_checkpoints(disk: &MemoryStorage) -> Vec<u64> {
    let names = disk.list().expect("memory lists");
    let notes = names
        .iter()
        .filter_map(|name| name.strip_prefix("abandoned-"));
    let abandoned: Vec<(u64, u64)> = notes
        .map(|note| {
            let (last, before) = note.split_once('-').expect("two numbers");
            (
                before.parse().expect("a number"),
                last.parse().expect("a number"),
            )
        })
        .collect();
    let is_abandoned = |n: u64| {
        abandoned
            .iter()
            .any(|(before, last)| n > *before && n <= *last)
    };
    let mut counting: Vec<_> = manifests(disk).iter().map(|it| it.checkpoint).collect();
    counting.retain(|checkpoint| !is_abandoned(*checkpoint));
    counting
}

impl Case {
    fn start(
        &self,
        leg: &Leg,
        storage: Arc<dyn Storage>,
        faults: Faults,
        from: StartFrom,
    ) -> Result<JobHandle, Error> {
        let restarts = 50;
        let delay = Duration::ZERO;
        let restart = match leg.misfortune {
            Misfortune::Panics(_) => RestartStrategy::FixedDelay { restarts, delay },
            _ => RestartStrategy::None,
        };
        let job = Job::builder("random")
            .restart(restart)
            .cores(Cores::count(leg.shards))
            .checkpoints(leg.checkpoints().storage(Arc::clone(&storage)))
            .start_from(from)
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(16 << 20)
            .tuning(Tuning {
                ring_messages: self.ring_messages,
                row_buffers: self.row_buffers,
                staging: StagingSize {
                    chunk_count: 48,
                    chunk_bytes: 64 << 10,
                },
                ..Tuning::default()
            })
            .build()?;
        let flow = self.flow.clone();
        job.start(move |built| flow.declare(built, &faults, &storage))
    }

    /// Runs from what is on the disk to the end.
    fn finish(&self, leg: &Leg, disk: &MemoryStorage) {
        let storage = Arc::new(disk.clone());
        let last = Leg {
            misfortune: Misfortune::Stop,
            ..leg.clone()
        };
        let handle = self.start(&last, storage, Faults::default(), StartFrom::Newest);
        handle.expect("starts").wait().expect("ends well");
    }

    fn check(&self) {
        let reference = self.flow.reference_rows();
        let is_exact = (self.legs.iter()).all(|leg| leg.barriers != Barriers::AtLeastOnce);
        let mut disk = MemoryStorage::new();
        for leg in &self.legs {
            println!("{leg:?}");
            let storage = Arc::new(MortalStorage::new(&disk, leg.plan()));
            let started = self.start(leg, storage, leg.faults(), leg.start_from(&disk));
            disk = leg.end(started, &disk);
            if is_exact {
                assert_nothing_early(&disk, &reference);
            }
        }
        let last = self.legs.last().expect("one at least");
        self.finish(last, &disk);
        let rows = committed_rows(&disk);
        if !is_exact {
            let is_there = |(row, count): (&(String, u64), &u64)| rows.get(row) >= Some(count);
            assert!(reference.iter().all(is_there), "rows were lost");
            return;
        }
        assert!(rows == reference, "rows differ");
        let undisturbed = MemoryStorage::new();
        let alone = Leg {
            shards: 1,
            barriers: Barriers::Aligned,
            ..last.clone()
        };
        self.finish(&alone, &undisturbed);
        assert!(state(&disk) == state(&undisturbed), "state differs");
    }
}

fn state(disk: &MemoryStorage) -> Vec<DumpRecord> {
    let manifests = manifests(disk);
    let newest = manifests.iter().max_by_key(|it| it.checkpoint);
    dump(disk, newest.expect("the last one"))
}

fn run_case(seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        cases: 1,
        failure_persistence: None,
        // On real threads a smaller case may fail another time only.
        max_shrink_iters: 0,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&cases(), |case| {
        println!("FRAZIL_SEED={seed} {case:#?}");
        case.check();
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("FRAZIL_SEED={seed} {failure}"));
}

/// Says which case it was if it does not end.
fn run_guarded(seed: u64) {
    let (done, outcome) = channel::<()>();
    let guard = std::thread::spawn(move || {
        if outcome.recv_timeout(STANDSTILL) == Err(RecvTimeoutError::Timeout) {
            // Past the test's captured output.
            let _ = writeln!(std::io::stderr(), "FRAZIL_SEED={seed} stands still");
            std::process::exit(101);
        }
    });
    run_case(seed);
    drop(done);
    guard.join().expect("it only waits");
}

/// Runs cases whose seeds are `half` of a new range; or, in one half, the one that was asked for.
fn run_cases(half: u64) {
    if let Ok(seed) = std::env::var("FRAZIL_SEED") {
        if half == 0 {
            run_guarded(seed.parse().expect("FRAZIL_SEED is a number"));
        }
        return;
    }
    let since = UNIX_EPOCH.elapsed().expect("the clock is set");
    let first = (since.as_secs() << 16) + half * CASES;
    (first..first + CASES).for_each(run_guarded);
}

#[test]
fn whatever_happens_output_and_state_are_those_of_a_run_without_it() {
    run_cases(0);
}

#[test]
fn whatever_happens_output_and_state_are_those_of_a_run_without_it_in_other_cases() {
    run_cases(1);
}
