//! The story: a sink takes a hundredth of what the sources could give, so every ring, outbox and
//! queue is full. A barrier that waits for its turn does not get through; one that overtakes does,
//! and what it overtook comes back after a kill, once, on any number of shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    CheckpointMode, CheckpointReport, Checkpoints, Committer, Cores, Count, CsvFiles, CsvWriter,
    DriverChoice, Error, Iter, Job, JobHandle, RestartStrategy, Restored, ShardTrace, Sink,
    SinkError, Tuning,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::committed_rows;

const RECORDS: u64 = 60_000;
const KEYS: u64 = 100;
/// Most that can be between sources and sinks: two batches in a ring, two in an outbox, and one
/// each open, spare and in hand, for four pairs of shards.
const QUEUED_MAX: u64 = 4 * 7 * 1024;
/// Records that are read before a checkpoint is asked for: far more than it lets the sink take.
const READ_MIN: u64 = 6_000;
/// Bytes of a key, so that a row buffer has about a hundred rows.
const KEY_BYTES: usize = 600;
/// Rows in a buffer, at most.
const BUFFER_ROWS: u64 = 110;
/// Row buffers that the sink takes while it is asked again for a checkpoint, and how often.
const PERMITS: i64 = 4;
const ROUNDS: i64 = 5;

type Row = (String, u64);

/// How many row buffers the sink still takes.
#[derive(Clone, Default)]
struct Permits(Arc<AtomicI64>);

impl Permits {
    fn give(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn take(&self) -> Result<(), SinkError> {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        if before > 0 {
            return Ok(());
        }
        self.give(1);
        Err(SinkError::Custom("the sink takes no more just now".into()))
    }
}

struct SlowSink {
    files: CsvFiles,
    permits: Permits,
}

struct SlowCommitter {
    files: Box<dyn Committer>,
    permits: Permits,
}

impl Sink<Row> for SlowSink {
    type Writer = CsvWriter;

    fn name(&self) -> String {
        "slow".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(SlowCommitter {
            files: Sink::<Row>::committer(&self.files)?,
            permits: self.permits.clone(),
        }))
    }

    fn writer(&self) -> Result<CsvWriter, SinkError> {
        Sink::<Row>::writer(&self.files)
    }
}

impl Committer for SlowCommitter {
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        self.files.recover(restored)
    }

    fn can_retract(&self) -> bool {
        self.files.can_retract()
    }

    fn stage(&mut self, epoch: u64, rows: &[u8]) -> Result<(), SinkError> {
        self.permits.take()?;
        self.files.stage(epoch, rows)
    }

    fn pre_commit(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        self.files.pre_commit(epoch)
    }

    fn commit(&mut self, epoch: u64) -> Result<(), SinkError> {
        self.files.commit(epoch)
    }
}

fn key_of(number: u64) -> String {
    format!("{:0>KEY_BYTES$}", number % KEYS)
}

fn start(
    disk: &MemoryStorage,
    shards: usize,
    checkpoints: Checkpoints,
    permits: &Permits,
) -> Result<JobHandle, Error> {
    start_flow(disk, shards, checkpoints, permits, false)
}

/// With another source and sink if it `has_more`.
fn start_flow(
    disk: &MemoryStorage,
    shards: usize,
    checkpoints: Checkpoints,
    permits: &Permits,
    has_more: bool,
) -> Result<JobHandle, Error> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let job = Job::builder("slow-sink")
        .cores(Cores::count(shards))
        .checkpoints(checkpoints.storage(Arc::clone(&storage)))
        .driver(DriverChoice::Thread)
        .restart(RestartStrategy::None)
        .state_bytes_per_shard(64 << 20)
        .tuning(Tuning {
            ring_messages: 2,
            row_buffers: 2,
            ..Tuning::default()
        })
        .build()?;
    let permits = permits.clone();
    job.start(move |flow| {
        let sink = SlowSink {
            files: CsvFiles::new("out").storage(Arc::clone(&storage)),
            permits: permits.clone(),
        };
        // A split for each of two readers, whatever the shards are.
        flow.source(Iter::new(|split, splits| {
            (split as u64..RECORDS).step_by(splits)
        }))
        .key_by_value(|number| number % KEYS)
        .aggregate("counts", 0u64, |count, _number| *count += 1)
        .map(|(key, count)| (key_of(*key), *count))
        .sink(sink);
        if has_more {
            flow.source(Iter::new(|_split, _splits| 0..1u64))
                .sink(Count::new());
        }
    })
}

/// Starts the job with a sink that takes nothing, and waits until much is queued.
fn full(checkpoints: Checkpoints) -> (MemoryStorage, Permits, JobHandle) {
    let (disk, permits) = (MemoryStorage::new(), Permits::default());
    let handle = start(&disk, 2, checkpoints, &permits).expect("starts");
    while handle.statistics().record_count < READ_MIN {
        std::thread::yield_now();
    }
    (disk, permits, handle)
}

/// Asks for a checkpoint while the sink takes a few buffers now and then; where the barrier
/// `overtakes`, none before all shards have frozen.
fn checkpoint(
    handle: &JobHandle,
    permits: &Permits,
    overtakes: bool,
) -> Result<CheckpointReport, Error> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| handle.checkpoint());
        while overtakes && !asked.is_finished() && !has_frozen(handle) {
            std::thread::yield_now();
        }
        for _ in 0..ROUNDS {
            permits.give(PERMITS);
            let given = permits.0.load(Ordering::Relaxed);
            while !asked.is_finished() && permits.0.load(Ordering::Relaxed) >= given.min(1) {
                std::thread::yield_now();
            }
        }
        asked.join().expect("no panic")
    })
}

/// Whether all shards have frozen for the newest checkpoint.
fn has_frozen(handle: &JobHandle) -> bool {
    let history = handle.checkpoint_history();
    let newest = history.last();
    newest.is_some_and(|trace| trace.shards.iter().all(|shard| shard.align.is_some()))
}

/// Ends a job whose sink is slow.
fn end(handle: JobHandle, permits: &Permits) {
    permits.give(i64::from(u32::MAX));
    handle.stop();
    handle.wait().expect("stops well");
}

fn reference() -> BTreeMap<Row, u64> {
    let counts = 1..=RECORDS / KEYS;
    let rows = (0..KEYS).flat_map(|key| counts.clone().map(move |count| (key_of(key), count)));
    rows.map(|row| (row, 1)).collect()
}

fn completes_and_comes_back_once(checkpoints: &Checkpoints) {
    let (disk, permits, handle) = full(checkpoints.clone());
    let report = checkpoint(&handle, &permits, true).expect("completes within its timeout");
    assert_overtook(&handle, &report);
    let read = handle.statistics().record_count;
    let taken = u64::try_from(PERMITS * ROUNDS).expect("positive") + 4;
    assert!(read <= QUEUED_MAX + taken * BUFFER_ROWS, "read={read}");
    for shards in [1, 2, 3] {
        let disk = disk.after_process_crash();
        let permits = Permits::default();
        permits.give(i64::from(u32::MAX));
        let handle = start(&disk, shards, checkpoints.clone(), &permits).expect("starts");
        let recovery = handle.recovery().expect("a checkpoint is there");
        assert_eq!(recovery.checkpoint, report.checkpoint);
        handle.wait().expect("ends well");
        assert!(committed_rows(&disk) == reference(), "shards={shards}");
    }
    end(handle, &permits);
}

/// The report and the history tell alike what was overtaken.
fn assert_overtook(handle: &JobHandle, report: &CheckpointReport) {
    assert!(report.in_flight_bytes < report.bytes, "{report:?}");
    assert!(
        (1..=QUEUED_MAX).contains(&report.in_flight_records),
        "{report:?}"
    );
    let history = handle.checkpoint_history();
    let trace = history.iter().find(|it| it.checkpoint == report.checkpoint);
    let shards = &trace.expect("it was just made").shards;
    let sum = |of: fn(&ShardTrace) -> u64| shards.iter().map(of).sum::<u64>();
    let told = (sum(|it| it.in_flight_bytes), sum(|it| it.in_flight_records));
    assert_eq!(told, (report.in_flight_bytes, report.in_flight_records));
}

#[test]
fn barrier_that_waits_for_its_turn_does_not_get_past_a_slow_sink() {
    let checkpoints = Checkpoints::manual().timeout(Duration::from_millis(300));
    let (_disk, permits, handle) = full(checkpoints);
    let dropped = checkpoint(&handle, &permits, false).expect_err("the sink takes too little");
    assert!(
        matches!(dropped, Error::CheckpointDropped { .. }),
        "{dropped:?}"
    );
    end(handle, &permits);
}

#[test]
fn overtaking_barrier_gets_past_a_slow_sink_and_nothing_is_lost_or_repeated() {
    completes_and_comes_back_once(&Checkpoints::manual().mode(CheckpointMode::Unaligned));
}

#[test]
fn barrier_overtakes_once_its_alignment_has_taken_too_long() {
    let timeout = Duration::from_millis(10);
    completes_and_comes_back_once(&Checkpoints::manual().alignment_timeout(timeout));
}

#[test]
fn timeout_set_while_the_job_runs_lets_the_next_barrier_overtake() {
    let (_disk, permits, handle) = full(Checkpoints::manual());
    let settings = handle.checkpoint_settings();
    let settings = settings.alignment_timeout(Duration::from_millis(10));
    handle.change_checkpoints(settings).expect("valid");
    let report = checkpoint(&handle, &permits, true).expect("completes within its timeout");
    assert_overtook(&handle, &report);
    end(handle, &permits);
}

#[test]
fn changed_flow_does_not_take_over_records_in_flight() {
    let checkpoints = Checkpoints::manual().mode(CheckpointMode::Unaligned);
    let (disk, permits, handle) = full(checkpoints.clone());
    checkpoint(&handle, &permits, true).expect("completes within its timeout");
    let killed = disk.after_process_crash();
    end(handle, &permits);
    let refused = start_flow(&killed, 2, checkpoints, &Permits::default(), true);
    let refusal = refused.err().expect("they would find no way").to_string();
    assert!(refusal.contains("records in flight"), "{refusal}");
}

#[test]
fn savepoint_has_nothing_in_flight_whatever_the_mode() {
    let (_disk, permits, handle) = full(Checkpoints::manual().mode(CheckpointMode::Unaligned));
    permits.give(i64::from(u32::MAX));
    let savepoint = MemoryStorage::new();
    let made = handle.savepoint_to(Arc::new(savepoint.clone()));
    made.expect("the sink takes everything");
    let names = savepoint.list().expect("memory lists");
    assert!(
        names.iter().all(|name| !name.starts_with("delta-")),
        "{names:?}"
    );
    end(handle, &permits);
}
