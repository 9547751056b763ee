//! Every setting of checkpoints does what it says, at the start and changed while the job runs. The
//! tests push the records and wait for what the job tells its listener, so none depends on how fast
//! the machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use frazil::push::{self, Pusher};
use frazil::{
    CheckpointEvent, CheckpointReport, CheckpointSettings, Checkpoints, Cores, Count, DriverChoice,
    Error, Job, JobHandle, PastMaxAge,
};
use frazil_io::storage::{FaultPlan, MemoryStorage, Storage};
use frazil_tests::MortalStorage;

/// Far beyond what a test takes.
const NEVER: Duration = Duration::from_secs(3_600);
const SHARDS: usize = 2;

/// A record at which the shard stands until it is let go.
const STANDS: u64 = u64::MAX;

/// Whether the shard stands, and may go on.
#[derive(Clone, Debug, Default)]
struct Stand(Arc<(AtomicBool, AtomicBool)>);

impl Stand {
    fn pass(&self, record: u64) {
        while record == STANDS && !self.0.1.load(Ordering::Relaxed) {
            self.0.0.store(true, Ordering::Relaxed);
            std::thread::yield_now();
        }
    }

    fn wait(&self) {
        while !self.0.0.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    }

    fn let_go(&self) {
        self.0.1.store(true, Ordering::Relaxed);
    }
}

/// A job whose records are pushed, and what it tells.
struct Pushed {
    handle: JobHandle,
    records: Pusher<u64>,
    count: Count,
    stand: Stand,
    events: Receiver<CheckpointEvent>,
}

impl Pushed {
    fn start(settings: CheckpointSettings) -> Self {
        Self::start_on(Arc::new(MemoryStorage::new()), settings)
    }

    fn start_on(storage: Arc<dyn Storage>, settings: CheckpointSettings) -> Self {
        let (tell, events) = channel();
        let listener = move |event: &CheckpointEvent| {
            // A test that has seen enough listens no more.
            let _ = tell.send(event.clone());
        };
        let job = Job::builder("pushed")
            .cores(Cores::count(SHARDS))
            .driver(DriverChoice::Thread)
            .state_bytes_per_shard(256 << 20)
            .checkpoints(
                Checkpoints::when(settings)
                    .listener(listener)
                    .storage(storage),
            );
        let (records, source) = push::channel::<u64>(1 << 16);
        let count = Count::new();
        let rows = count.clone();
        let stand = Stand::default();
        let in_flow = stand.clone();
        let handle = job.build().expect("valid settings").start(move |flow| {
            let stand = in_flow.clone();
            flow.source(source.clone())
                .inspect(move |record| stand.pass(*record))
                .key_by_value(|record| *record)
                .aggregate("count", 0u64, |count, _record| *count += 1)
                .sink(rows.clone());
        });
        Self {
            handle: handle.expect("starts"),
            records,
            count,
            stand,
            events,
        }
    }

    fn push(&self, records: std::ops::Range<u64>) {
        records.for_each(|record| self.records.push(record).expect("the job runs"));
    }

    fn next(&self) -> CheckpointEvent {
        self.events.recv().expect("the job runs")
    }

    /// The next checkpoint that was made; nothing else may have happened to one.
    fn committed(&self) -> CheckpointReport {
        loop {
            match self.next() {
                CheckpointEvent::Committed(report) => return report,
                CheckpointEvent::Dropped { reason, .. } => panic!("dropped: {reason}"),
                _ => {}
            }
        }
    }

    /// Nothing was requested without being asked.
    fn assert_quiet(&self) {
        let told: Vec<_> = self.events.try_iter().collect();
        assert!(told.is_empty(), "{told:?}");
    }

    fn stop(self) {
        self.handle.stop();
        self.handle.wait().expect("ends well");
    }
}

#[test]
fn manual_settings_make_one_when_asked_and_a_last_one() {
    let job = Pushed::start(CheckpointSettings::manual());
    job.push(0..1_000);
    let asked = job.handle.checkpoint().expect("durable");
    assert_eq!(job.committed().checkpoint, asked.checkpoint);
    job.push(0..1_000);
    job.assert_quiet();
    job.handle.stop();
    assert!(job.committed().last);
}

#[test]
fn interval_makes_one_after_the_other() {
    let job = Pushed::start(CheckpointSettings::manual().every(Duration::from_millis(5)));
    let numbers = [(); 3].map(|()| job.committed().checkpoint);
    assert_eq!(numbers, [1, 2, 3]);
    job.stop();
}

#[test]
fn record_count_makes_one_when_so_many_were_emitted() {
    let job = Pushed::start(CheckpointSettings::manual().every_records(500));
    job.push(0..499);
    job.handle.checkpoint().expect("durable");
    assert_eq!(job.committed().checkpoint, 1);
    // It counts from the request: 499 of these and at most 499 of those are too few alone.
    job.push(0..1_000);
    let second = job.committed();
    assert_eq!((second.checkpoint, second.last), (2, false));
    job.stop();
}

#[test]
fn dirty_bytes_make_one_when_so_many_wait() {
    let bytes = 256 << 10;
    let job = Pushed::start(CheckpointSettings::manual().every_dirty_bytes(bytes));
    // The same few keys stay the same few lines.
    (0..20).for_each(|_| job.push(0..100));
    job.handle.checkpoint().expect("durable");
    assert_eq!(job.committed().checkpoint, 1);
    job.push(0..50_000);
    let report = job.committed();
    assert_eq!(report.checkpoint, 2);
    assert!(report.bytes >= bytes, "{} bytes", report.bytes);
    job.stop();
}

#[test]
fn continuous_follows_itself_and_the_pause_lies_between() {
    let pause = Duration::from_millis(20);
    let job = Pushed::start(CheckpointSettings::manual().continuous(pause));
    (0..3).for_each(|_| assert!(!job.committed().last));
    let history = job.handle.checkpoint_history();
    for two in history.windows(2) {
        let over = two[0].commit.expect("committed").end;
        assert!(two[1].requested.duration_since(over) >= pause);
    }
    job.stop();
}

#[test]
fn min_pause_holds_an_interval_back() {
    let pause = Duration::from_millis(30);
    let settings = CheckpointSettings::manual()
        .every(Duration::from_millis(1))
        .min_pause(pause);
    let job = Pushed::start(settings);
    (0..3).for_each(|_| assert!(!job.committed().last));
    let history = job.handle.checkpoint_history();
    for two in history.windows(2) {
        let over = two[0].commit.expect("committed").end;
        assert!(two[1].requested.duration_since(over) >= pause);
    }
    job.stop();
}

/// A disk that is full for ever, or for its first so many operations.
fn full_disk(operations: u64) -> Arc<dyn Storage> {
    let plan = FaultPlan::none().full_during(0..operations);
    Arc::new(MortalStorage::new(&MemoryStorage::new(), plan))
}

#[test]
fn failures_beyond_the_tolerable_end_the_job() {
    let settings = CheckpointSettings::manual().tolerable_failures(1);
    let job = Pushed::start_on(full_disk(u64::MAX), settings);
    for _ in 0..2 {
        job.push(0..1_000);
        job.handle.checkpoint().expect_err("the disk is full");
    }
    let ended = job.handle.wait();
    let Err(Error::TooManyFailedCheckpoints {
        failed_count,
        tolerable,
        reason,
    }) = ended
    else {
        panic!("{ended:?}");
    };
    assert_eq!((failed_count, tolerable), (2, 1));
    assert!(reason.contains("no space left"), "{reason}");
}

#[test]
fn data_at_risk_grows_with_failures_and_falls_when_one_is_durable() {
    let job = Pushed::start_on(full_disk(4), CheckpointSettings::manual());
    job.push(0..1_000);
    let mut failed_count = 0;
    while job.handle.checkpoint().is_err() {
        failed_count += 1;
        let at_risk = job.handle.data_at_risk();
        assert_eq!(at_risk.failed_count, failed_count);
        job.push(0..1_000);
    }
    assert!(failed_count > 0, "the disk was full");
    assert_eq!(job.handle.data_at_risk().failed_count, 0);
    let history = job.handle.checkpoint_history();
    let durable = history.last().expect("one was made");
    let since_request = durable.requested.elapsed();
    assert!(job.handle.data_at_risk().time >= since_request);
    job.stop();
}

#[test]
fn past_the_age_one_is_made_and_a_warning_given() {
    let age = Duration::from_millis(30);
    let job = Pushed::start(CheckpointSettings::manual().max_age(age, PastMaxAge::Warn));
    let CheckpointEvent::TooOld { age: found, .. } = job.next() else {
        panic!("nothing else is due");
    };
    assert!(found > age);
    assert!(!job.committed().last);
    job.stop();
}

#[test]
fn past_the_age_sources_are_held_until_one_is_durable() {
    let age = Duration::from_millis(20);
    let settings = CheckpointSettings::manual().max_age(age, PastMaxAge::HoldSources);
    let job = Pushed::start_on(full_disk(6), settings);
    let held = |wanted| loop {
        if let CheckpointEvent::SourcesHeld { held } = job.next() {
            assert_eq!(held, wanted);
            return;
        }
    };
    held(true);
    // The barrier comes behind every record that was emitted before; what is pushed now waits.
    let before = job.count.get();
    job.push(0..1_000);
    held(false);
    let dropped = job.handle.checkpoint_history();
    assert!(dropped.len() > 1, "the disk was full: {dropped:?}");
    // Not held: they come.
    while job.count.get() < before + 1_000 {
        std::thread::yield_now();
    }
    job.handle.stop();
}

#[test]
fn past_the_age_the_job_stops_if_told_to() {
    let age = Duration::from_millis(20);
    let job = Pushed::start(CheckpointSettings::manual().max_age(age, PastMaxAge::Stop));
    let ended = job.handle.wait();
    let Err(Error::CheckpointTooOld { max_age, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(max_age, age);
}

#[test]
fn timeout_drops_one_that_takes_longer() {
    let job = Pushed::start(CheckpointSettings::manual().timeout(Duration::from_millis(1)));
    // The barrier cannot pass.
    job.records.push(STANDS).expect("the job runs");
    job.stand.wait();
    let dropped = job.handle.checkpoint();
    let Err(Error::CheckpointDropped { reason, .. }) = dropped else {
        panic!("{dropped:?}");
    };
    assert!(reason.contains("timeout"), "{reason}");
    job.stand.let_go();
    let settings = job.handle.checkpoint_settings().timeout(NEVER);
    job.handle.change_checkpoints(settings).expect("valid");
    job.handle.checkpoint().expect("durable");
    job.stop();
}

#[test]
fn settings_change_while_the_job_runs() {
    let job = Pushed::start(CheckpointSettings::manual().every(NEVER));
    job.push(0..1_000);
    job.assert_quiet();
    let settings = job.handle.checkpoint_settings();
    assert_eq!(settings.interval, Some(NEVER));
    let fast = settings.every(Duration::from_millis(5));
    job.handle.change_checkpoints(fast.clone()).expect("valid");
    assert_eq!(job.handle.checkpoint_settings(), fast);
    assert!(!job.committed().last);
    job.stop();
}

#[test]
fn a_change_of_settings_is_recorded_in_the_next_manifest_and_in_the_history() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let began = CheckpointSettings::manual().timeout(NEVER);
    let job = Pushed::start_on(Arc::clone(&storage), began.clone());
    job.push(0..10);
    job.handle.checkpoint().expect("durable");
    let changed = began.clone().every_records(1 << 40).tolerable_failures(7);
    job.handle
        .change_checkpoints(changed.clone())
        .expect("valid");
    job.handle.checkpoint().expect("durable");
    let history = job.handle.checkpoint_history();
    let settings = history.iter().map(|trace| trace.settings.clone());
    assert!(settings.eq([began.clone(), changed.clone()]));
    let stored = Checkpoints::manual().storage(storage).stored();
    let stored = stored.expect("manifests read");
    assert!(stored.damaged.is_empty());
    let [first, second] = &stored.checkpoints[..] else {
        panic!("{stored:?}");
    };
    assert_eq!((first.checkpoint, second.checkpoint), (1, 2));
    assert_eq!(
        (&first.settings, first.settings_changed),
        (&Some(began), None)
    );
    assert_eq!(second.settings, Some(changed));
    let changed_at = second.settings_changed.expect("changed while the job ran");
    assert!(changed_at <= second.created);
    assert_eq!((second.shard_count, second.finished), (SHARDS, false));
    job.stop();
}

#[test]
fn settings_that_are_not_valid_change_nothing() {
    let job = Pushed::start(CheckpointSettings::manual());
    let before = job.handle.checkpoint_settings();
    let settings = before.clone().every(Duration::from_millis(1));
    let refused = job.handle.change_checkpoints(settings.every_records(0));
    let Err(Error::Setting { setting, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(setting, "CheckpointSettings::record_count");
    assert_eq!(job.handle.checkpoint_settings(), before);
    job.assert_quiet();
    job.stop();
}

#[test]
fn triggers_need_a_place_also_when_they_come_later() {
    let job = Job::builder("no place")
        .cores(Cores::count(1))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .build()
        .expect("valid settings");
    let (_records, source) = push::channel::<u64>(1);
    let started = job.start(move |flow| flow.source(source.clone()).sink(Count::new()));
    let handle = started.expect("starts");
    let settings = handle.checkpoint_settings().every_records(10);
    let refused = handle.change_checkpoints(settings);
    assert!(matches!(refused, Err(Error::NoCheckpoints)), "{refused:?}");
    handle.stop();
    handle.wait().expect("ends well");
}

#[test]
fn a_listener_is_told_in_order_and_a_panic_of_it_harms_nothing() {
    let job = Pushed::start(CheckpointSettings::manual());
    job.handle.checkpoint().expect("durable");
    let mut told: Vec<String> = Vec::new();
    while told.last().is_none_or(|name| name != "committed") {
        told.push(match job.next() {
            CheckpointEvent::Requested { checkpoint: 1, .. } => "requested".to_owned(),
            CheckpointEvent::Frozen { shard, .. } => format!("frozen {shard}"),
            CheckpointEvent::Durable { checkpoint: 1 } => "durable".to_owned(),
            CheckpointEvent::Committed(_) => "committed".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    told[1..=SHARDS].sort();
    let expected = ["requested", "frozen 0", "frozen 1", "durable", "committed"];
    assert_eq!(told, expected);
    job.stop();

    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let panics = |_event: &CheckpointEvent| panic!("a listener with an error in it");
    let job = Job::builder("panics")
        .cores(Cores::count(1))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .checkpoints(Checkpoints::manual().listener(panics).storage(storage))
        .build()
        .expect("valid settings");
    let (_records, source) = push::channel::<u64>(1);
    let started = job.start(move |flow| flow.source(source.clone()).sink(Count::new()));
    let handle = started.expect("starts");
    handle.checkpoint().expect("durable");
    handle.stop();
    handle.wait().expect("ends well");
}
