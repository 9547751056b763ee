//! User code fails while the job runs: the job starts again in the same process, from its newest
//! checkpoint, and its output is what it would have been.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, Count, CsvFiles, DriverChoice, Error, Flow, Iter, Job, JobBuilder,
    JobHandle, RestartReport, RestartStrategy, push,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{Faults, FragileFiles, FragileNumbers, Place, committed_rows};
use proptest::prelude::*;

const RECORDS: u64 = 6_000;
const KEYS: u64 = 300;

const AT_ONCE: RestartStrategy = RestartStrategy::FixedDelay {
    restarts: u32::MAX,
    delay: Duration::ZERO,
};

/// A job in which everything that is the user's can fail.
#[derive(Clone)]
struct Run {
    /// Where rows go.
    disk: MemoryStorage,
    checkpoints: MemoryStorage,
    interval: Option<Duration>,
    faults: Faults,
    shards: usize,
    driver: DriverChoice,
}

impl Run {
    fn new(shards: usize) -> Self {
        let disk = MemoryStorage::new();
        Self {
            checkpoints: disk.clone(),
            disk,
            interval: Some(Duration::from_millis(2)),
            faults: Faults::default(),
            shards,
            driver: DriverChoice::Thread,
        }
    }

    fn builder(&self) -> JobBuilder {
        let storage = Arc::new(self.checkpoints.clone());
        let checkpoints = self
            .interval
            .map_or_else(Checkpoints::manual, Checkpoints::every);
        Job::builder("fragile")
            .cores(Cores::count(self.shards))
            .checkpoints(checkpoints.storage(storage))
            .driver(self.driver)
            .state_bytes_per_shard(64 << 20)
    }

    fn start(&self, strategy: RestartStrategy) -> JobHandle {
        self.start_as(self.builder().restart(strategy))
    }

    fn start_as(&self, builder: JobBuilder) -> JobHandle {
        let (faults, disk) = (self.faults.clone(), self.disk.clone());
        let job = builder.build().expect("valid settings");
        let handle = job.start(move |flow| declare(flow, &faults, Arc::new(disk.clone())));
        handle.expect("starts")
    }

    fn assert_equal_to_the_reference(&self) {
        let each = RECORDS / KEYS;
        let powers = (0..64)
            .map(|bit| 1_u64 << bit)
            .take_while(|power| *power <= each);
        let counts: Vec<u64> = powers.chain([each]).collect();
        let mut expected = BTreeMap::new();
        for key in 0..KEYS {
            for count in &counts {
                *expected.entry((format!("key{key}"), *count)).or_insert(0) += 1;
            }
        }
        assert!(committed_rows(&self.disk) == expected, "rows differ");
    }
}

fn declare(flow: &Flow, faults: &Faults, storage: Arc<dyn Storage>) {
    faults.pass(Place::Closure);
    let (in_operator, in_state) = (faults.clone(), faults.clone());
    let numbers = Iter::new(|split, split_count| (split as u64..RECORDS).step_by(split_count));
    flow.source(FragileNumbers {
        numbers,
        faults: faults.clone(),
    })
    .inspect(move |_| in_operator.pass(Place::Operator))
    .key_by_value(|number| format!("key{}", number % KEYS))
    .aggregate("count", (0u64, 0u64), move |(count, twice), _number| {
        *count += 1;
        in_state.pass(Place::State);
        *twice += 2;
        assert_eq!(*twice, 2 * *count, "a torn value");
    })
    .emit_when(|_key, (count, _)| count.is_power_of_two())
    .emit_at_end()
    .flat_map(|(key, (count, _)), out| out.push(&(key.clone(), *count)))
    .sink(FragileFiles {
        files: CsvFiles::new("out").storage(storage),
        faults: faults.clone(),
    });
}

/// What the handle says once the job has ended.
fn ended(handle: JobHandle) -> (RestartReport, Result<(), Error>) {
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    (handle.restarts(), handle.wait().map(|_| ()))
}

#[test]
fn a_failure_anywhere_is_followed_by_a_restart_and_output_is_exactly_once() {
    for driver in [DriverChoice::Thread, DriverChoice::Auto] {
        for place in Place::ALL {
            let run = Run {
                driver,
                ..Run::new(2)
            };
            let mut failures = 1;
            if place == Place::Closure {
                // Called three times by the start, it fails in the restart after another failure.
                run.faults.plant(place, 4);
                run.faults.plant(Place::Operator, 3);
                failures = 2;
            } else {
                run.faults.plant(place, 1);
            }
            let (restarts, end) = ended(run.start(AT_ONCE));
            end.unwrap_or_else(|error| panic!("{place:?}: {error}"));
            assert_eq!(run.faults.left(), 0, "{place:?}");
            assert_eq!(restarts.count, failures, "{place:?}");
            let reason = restarts.last_reason.expect("restarted");
            let planted = format!("planted in {place:?}");
            assert!(reason.contains(&planted), "{reason}");
            run.assert_equal_to_the_reference();
        }
    }
}

fn plan() -> impl Strategy<Value = Vec<(Place, u64)>> {
    let place = prop::sample::select(Place::ALL.to_vec());
    let planted = (place, any::<u16>()).prop_map(|(place, part)| {
        let passes = match place {
            Place::Source | Place::Operator | Place::State => RECORDS,
            Place::Writer => RECORDS / 10,
            Place::Closure | Place::Stage | Place::PreCommit | Place::Commit => 12,
        };
        // Most of these surely come.
        (place, 2 + ((passes * u64::from(part)) >> 16))
    });
    prop::collection::vec(planted, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_failures_on_any_number_of_shards_leave_the_output_as_it_would_be(
        plan in plan(),
        shards in 1..5_usize,
    ) {
        let run = Run::new(shards);
        for (place, pass) in plan {
            // Before all shards run a failure of the closure is an error of the start.
            let pass = if place == Place::Closure { pass + shards as u64 } else { pass };
            run.faults.plant(place, pass);
        }
        let (_, end) = ended(run.start(AT_ONCE));
        prop_assert!(end.is_ok(), "{end:?}");
        run.assert_equal_to_the_reference();
    }
}

#[test]
fn a_job_that_keeps_checkpoints_restarts_by_default() {
    let run = Run::new(1);
    run.faults.plant(Place::State, RECORDS / 2);
    let (restarts, end) = ended(run.start_as(run.builder()));
    end.expect("ends well");
    assert_eq!(restarts.count, 1);
    run.assert_equal_to_the_reference();
}

#[test]
fn a_strategy_that_has_had_enough_ends_the_job_with_the_last_failure() {
    let run = Run::new(1);
    for pass in [10, 20, 30] {
        run.faults.plant(Place::Operator, pass);
    }
    let strategy = RestartStrategy::FixedDelay {
        restarts: 2,
        delay: Duration::ZERO,
    };
    let (restarts, failed) = ended(run.start(strategy));
    assert!(
        matches!(failed, Err(Error::ShardPanicked { .. })),
        "{failed:?}"
    );
    assert_eq!((restarts.count, run.faults.left()), (2, 0));
    let (restarts, end) = ended(run.start(RestartStrategy::None));
    end.expect("the next start goes on from there");
    assert_eq!(restarts.count, 0);
    run.assert_equal_to_the_reference();
}

#[test]
fn a_job_without_checkpoints_ends_with_its_first_failure() {
    let faults = Faults::default();
    faults.plant(Place::Operator, 10);
    let builder = || {
        Job::builder("forgetful")
            .cores(Cores::count(1))
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(64 << 20)
    };
    let disk = MemoryStorage::new();
    let (output, planted) = (disk.clone(), faults.clone());
    let job = builder().build().expect("valid settings");
    let handle = job.start(move |flow| declare(flow, &planted, Arc::new(output.clone())));
    let (restarts, end) = ended(handle.expect("starts"));
    assert!(matches!(end, Err(Error::ShardPanicked { .. })), "{end:?}");
    assert_eq!(restarts.count, 0);
    assert!(committed_rows(&disk).is_empty());
    let refused = builder().restart(AT_ONCE).build().map(|_| ());
    let refused = refused
        .expect_err("there is nothing to restart from")
        .to_string();
    assert!(refused.contains("Checkpoints::dir"), "{refused}");
}

#[test]
fn pushed_records_are_not_lost_by_a_restart_that_nobody_asked_for() {
    let run = Run::new(1);
    let (pusher, source) = push::channel::<u64>(8);
    let faults = run.faults.clone();
    faults.plant(Place::Operator, 1);
    let job = run.builder().build().expect("valid settings");
    let handle = job.start(move |flow| {
        let faults = faults.clone();
        flow.source(source.clone())
            .inspect(move |_| faults.pass(Place::Operator))
            .sink(Count::new());
    });
    pusher.push(1).expect("the job runs");
    drop(pusher);
    let (restarts, end) = ended(handle.expect("starts"));
    assert!(matches!(end, Err(Error::ShardPanicked { .. })), "{end:?}");
    assert_eq!(restarts.count, 0);
}

#[test]
fn a_stop_during_a_pause_ends_the_job_well_and_at_once() {
    let run = Run::new(2);
    run.faults.plant(Place::Operator, RECORDS / 2);
    let hour = RestartStrategy::FixedDelay {
        restarts: 1,
        delay: Duration::from_secs(3600),
    };
    let handle = run.start(hour);
    while handle.restarts().count == 0 {
        std::thread::yield_now();
    }
    handle.stop();
    handle.wait().expect("stops well");
    run.start(RestartStrategy::None).wait().expect("ends well");
    run.assert_equal_to_the_reference();
}

#[test]
fn a_job_from_a_savepoint_that_fails_before_its_first_checkpoint_begins_there_again() {
    let before = Run::new(2);
    let handle = before.start(RestartStrategy::None);
    let savepoint: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let made = handle.savepoint_to(Arc::clone(&savepoint));
    let made = made.expect("a savepoint").checkpoint;
    handle.wait().expect("ends well");
    // On: without a checkpoint of its own before the last.
    let run = Run {
        checkpoints: MemoryStorage::new(),
        interval: None,
        faults: Faults::default(),
        ..before
    };
    run.faults.plant(Place::Closure, 5);
    run.faults.plant(Place::Stage, 1);
    run.faults.plant(Place::PreCommit, 1);
    let from = run.builder().restore_from_storage(savepoint);
    let (restarts, end) = ended(run.start_as(from.restart(AT_ONCE)));
    end.expect("ends well");
    let restored = restarts.recovery.map(|recovery| recovery.checkpoint);
    assert!(restarts.count > 0 && restored == Some(made), "{restored:?}");
    run.assert_equal_to_the_reference();
}
