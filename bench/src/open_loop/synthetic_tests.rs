//! Known delays are put into each phase, and must be found in that phase's histogram and in no
//! other: what the harness attributes can be believed.

use super::activity::Activity;
use super::report::Report;
use super::run::{OpenLoop, Options, run};
use frazil::storage::{MemoryStorage, ReadAt, Segment, Storage, StorageLock};
use frazil::{Flow, ForEach, IoError};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(150);
const DELAY_NS: u64 = 150_000_000;
/// How long one record takes; over, with all that waited for it, before the delay is.
const STALL: Duration = Duration::from_millis(40);
/// The record that is slow where no checkpoint is.
const SLOW_RECORD: u64 = 1_000;
/// Later than this is one that waited.
const LATE_NS: u64 = 15_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Append,
    Sync,
    Publish,
}

/// Slow in one way; says when it is being so.
struct SlowStorage {
    inner: MemoryStorage,
    slow: Slow,
    is_slow: Arc<AtomicBool>,
}

fn delay(is_slow: &AtomicBool) {
    is_slow.store(true, Ordering::SeqCst);
    thread::sleep(DELAY);
    is_slow.store(false, Ordering::SeqCst);
}

impl Storage for SlowStorage {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create(&self, name: &str, expected_bytes: u64) -> Result<Box<dyn Segment>, IoError> {
        Ok(Box::new(SlowSegment {
            inner: self.inner.create(name, expected_bytes)?,
            slow: self.slow,
            is_slow: Arc::clone(&self.is_slow),
            has_appended: false,
        }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ReadAt>, IoError> {
        self.inner.open(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<(), IoError> {
        if self.slow == Slow::Publish {
            delay(&self.is_slow);
        }
        self.inner.publish(name, bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.inner.rename(from, to)
    }

    fn sync_directory(&self) -> Result<(), IoError> {
        self.inner.sync_directory()
    }

    fn remove(&self, name: &str) -> Result<(), IoError> {
        self.inner.remove(name)
    }

    fn list(&self) -> Result<Vec<String>, IoError> {
        self.inner.list()
    }

    fn lock(&self) -> Result<Box<dyn StorageLock>, IoError> {
        self.inner.lock()
    }
}

struct SlowSegment {
    inner: Box<dyn Segment>,
    slow: Slow,
    is_slow: Arc<AtomicBool>,
    has_appended: bool,
}

impl SlowSegment {
    /// Folds write images meanwhile, which is no phase of a checkpoint.
    fn is_slow_in(&self, slow: Slow) -> bool {
        self.slow == slow && thread::current().name() != Some("frazil-folder")
    }
}

impl Segment for SlowSegment {
    fn append(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        // Once a checkpoint, however many frames it has.
        if self.is_slow_in(Slow::Append) && !std::mem::replace(&mut self.has_appended, true) {
            delay(&self.is_slow);
        }
        self.inner.append(bytes)
    }

    fn length_bytes(&self) -> u64 {
        self.inner.length_bytes()
    }

    fn sync(&mut self) -> Result<(), IoError> {
        if self.is_slow_in(Slow::Sync) {
            delay(&self.is_slow);
        }
        self.inner.sync()
    }
}

/// Makes the next record take long, once each time that the flag is set.
fn stall(is_due: &AtomicBool) {
    if is_due.swap(false, Ordering::SeqCst) {
        thread::sleep(STALL);
    }
}

fn flow(built: &Flow, open_loop: &OpenLoop, is_due: &Arc<AtomicBool>) {
    let is_due = Arc::clone(is_due);
    flow_with(built, open_loop, move || stall(&is_due));
}

/// Calls `before` ahead of each record at the sink.
fn flow_with(built: &Flow, open_loop: &OpenLoop, before: impl Fn() + 'static) {
    let completed = open_loop.completed();
    built
        .source(open_loop.source(|index| index % 100))
        .key_by(|(_due_ns, key)| key)
        .aggregate("last", 0_u64, |last, (due_ns, _key)| *last = *due_ns)
        .sink(ForEach::new(move |(_key, due_ns): (&u64, &u64)| {
            before();
            completed(*due_ns);
        }));
}

fn options() -> Options {
    let mut options = Options::new(2_000.0);
    options.warm_up = Duration::from_millis(100);
    options.duration = Duration::from_millis(1_300);
    options.state_bytes_per_shard = 64 << 20;
    options
}

/// Runs with slow storage, and records that take long exactly while it is slow.
fn with_slow(slow: Slow) -> Report {
    let is_slow = Arc::<AtomicBool>::default();
    let storage = SlowStorage {
        inner: MemoryStorage::new(),
        slow,
        is_slow: Arc::clone(&is_slow),
    };
    let mut options = options();
    options.interval = Some(Duration::from_millis(400));
    options.storage = Some(Arc::new(storage));
    run(&options, move |built, open_loop| {
        flow(built, open_loop, &is_slow)
    })
    .unwrap()
}

/// The delayed records are in one activity's histogram. A bound from below alone: a busy machine
/// delays records of the other activities too, and those around the edges may be in the neighbours.
fn assert_delayed(report: &Report, expected: Activity) {
    let histogram = report.latencies.during(expected);
    let late = histogram.count_between(LATE_NS, u64::MAX);
    // 50 wait for each slow record, of which there is one a checkpoint.
    assert!(late >= 20, "{late} late records during {expected:?}");
}

fn phase<'a>(report: &'a Report, name: &str) -> &'a Histogram<u64> {
    report.phase(name).expect("a phase of this name")
}

#[test]
fn slow_write_is_found_in_write_and_in_records_during_capture() {
    let report = with_slow(Slow::Append);
    assert!(phase(&report, "write_ns").min() >= DELAY_NS * 9 / 10);
    assert!(phase(&report, "sync_ns").min() < DELAY_NS / 2);
    assert!(phase(&report, "publish_ns").min() < DELAY_NS / 2);
    assert_delayed(&report, Activity::Capturing);
}

#[test]
fn slow_sync_is_found_in_sync_and_in_records_during_sync() {
    let report = with_slow(Slow::Sync);
    assert!(phase(&report, "sync_ns").min() >= DELAY_NS * 9 / 10);
    assert!(phase(&report, "write_ns").min() < DELAY_NS / 2);
    assert!(phase(&report, "publish_ns").min() < DELAY_NS / 2);
    assert_delayed(&report, Activity::Syncing);
}

#[test]
fn slow_publish_is_found_in_publish_and_in_records_during_sync() {
    let report = with_slow(Slow::Publish);
    assert!(phase(&report, "publish_ns").min() >= DELAY_NS * 9 / 10);
    assert!(phase(&report, "write_ns").min() < DELAY_NS / 2);
    assert!(phase(&report, "sync_ns").min() < DELAY_NS / 2);
    assert_delayed(&report, Activity::Syncing);
}

#[test]
fn slow_record_delays_itself_and_those_behind_it_and_no_checkpoint_is_blamed() {
    let is_due = Arc::<AtomicBool>::default();
    let report = run(&options(), move |built, open_loop| {
        // Behind the 200 events of the warm-up and ahead of the end, whatever the clock says.
        let (is_due, count) = (Arc::clone(&is_due), AtomicU64::new(0));
        let before = move || {
            let is_slow = count.fetch_add(1, Ordering::Relaxed) == SLOW_RECORD;
            is_due.store(is_slow, Ordering::SeqCst);
            stall(&is_due);
        };
        flow_with(built, open_loop, before);
    })
    .unwrap();
    let steady = report.latencies.during(Activity::Steady);
    assert_eq!(steady.len(), report.latencies.all().len());
    // Due in the first 25 of these 40 ms at 2000/s: 50 records, as late as their due time says.
    let late = steady.count_between(LATE_NS, u64::MAX);
    assert!(late >= 45, "{late} late records");
    assert!(steady.max() >= 40_000_000);
    let reached = report.reached_rate() / report.offered_rate;
    assert!(reached > 0.5, "the source did not catch up: {reached}");
}

#[test]
fn slow_records_are_found_in_the_alignment_or_the_capture_that_they_hold_up() {
    const SLOW: Duration = Duration::from_millis(20);
    let mut options = options();
    options.interval = Some(Duration::from_millis(400));
    options.storage = Some(Arc::new(MemoryStorage::new()));
    let report = run(&options, |built, open_loop| {
        // Some records of each checkpoint, far enough apart not to be in one batch: they lie ahead
        // of the barrier, or between the slices of the capture.
        let (recording, count) = (open_loop.recording.clone(), AtomicU64::new(0));
        let before = move || {
            if recording.watch.at(recording.now_ns()) == Activity::Steady {
                count.store(0, Ordering::Relaxed);
                return;
            }
            let count = count.fetch_add(1, Ordering::Relaxed);
            if count < 150 && count.is_multiple_of(30) {
                thread::sleep(SLOW);
            }
        };
        flow_with(built, open_loop, before);
    })
    .unwrap();
    let longest = |name| Duration::from_nanos(phase(&report, name).max());
    let held_up = longest("align_ns").max(longest("capture_ns"));
    assert!(held_up >= SLOW / 2, "{held_up:?}");
    assert!(longest("checkpoint_ns") >= held_up / 2);
    let late = |activity| {
        let during = report.latencies.during(activity);
        during.count_between(LATE_NS, u64::MAX)
    };
    assert!(late(Activity::Capturing) + late(Activity::Syncing) > 0);
}
