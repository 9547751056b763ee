//! User code panics on one shard, or in a sink's committer: the job ends with an error that says
//! where, all its threads end, and a later start goes on from the last checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Committer, Cores, CsvFiles, DriverChoice, Error, Flow, Iter, Job, JobHandle,
    Keyed, Restored, Sink, SinkError,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::committed_rows;

const RECORDS: u64 = 400_000;
const KEYS: u64 = 1_000;
/// Far behind the first checkpoints.
const PANICS_AT: u64 = 300_000;

struct Run {
    disk: MemoryStorage,
    armed: Arc<AtomicBool>,
}

impl Run {
    fn start(&self, driver: DriverChoice) -> JobHandle {
        let storage: Arc<dyn Storage> = Arc::new(self.disk.clone());
        let job = Job::builder("panics")
            .restart(frazil::RestartStrategy::None)
            .cores(Cores::count(3))
            .checkpoints(Checkpoints::manual().storage(Arc::clone(&storage)))
            .driver(driver)
            .state_bytes_per_shard(256 << 20)
            .build()
            .expect("valid settings");
        let armed = Arc::clone(&self.armed);
        let handle = job.start(move |flow| declare(flow, &armed, &storage));
        handle.expect("starts")
    }
}

fn declare(flow: &Flow, armed: &Arc<AtomicBool>, storage: &Arc<dyn Storage>) {
    let armed = Arc::clone(armed);
    let records = Iter::new(|split, split_count| (split as u64..RECORDS).step_by(split_count));
    flow.source(records)
        .inspect(move |number| {
            assert!(
                *number != PANICS_AT || !armed.load(Ordering::Relaxed),
                "poisonous record {number}"
            );
        })
        .key_by_value(|number| format!("key{}", number % KEYS))
        .aggregate("count", 0u64, |count, _number| *count += 1)
        .emit_at_end()
        .sink(CsvFiles::new("out").storage(Arc::clone(storage)));
}

fn assert_equal_to_the_reference(disk: &MemoryStorage) {
    let rows = committed_rows(disk);
    let expected = (0..KEYS).map(|key| ((format!("key{key}"), RECORDS / KEYS), 1));
    assert!(rows == expected.collect(), "rows differ");
}

#[test]
fn a_panic_on_one_of_three_shards_ends_the_job_and_a_restart_goes_on() {
    for driver in [DriverChoice::Thread, DriverChoice::Auto] {
        let run = Run {
            disk: MemoryStorage::new(),
            armed: Arc::new(AtomicBool::new(true)),
        };
        let handle = run.start(driver);
        let mut durable = None;
        while let Ok(report) = handle.checkpoint() {
            durable = Some(report.checkpoint);
        }
        let ended = handle.wait();
        let Err(Error::ShardPanicked { shard, message, .. }) = &ended else {
            panic!("{ended:?}");
        };
        assert!(*shard < 3, "shard={shard}");
        assert_eq!(message, "poisonous record 300000");
        let text = ended.expect_err("panicked").to_string();
        assert!(
            text.contains("panicked") && text.contains("shard"),
            "{text}"
        );
        run.disk.lock().expect("the job let go of its directory");
        run.armed.store(false, Ordering::Relaxed);
        let handle = run.start(driver);
        let restored = handle.recovery().map(|recovery| recovery.checkpoint);
        assert_eq!(restored, durable);
        handle.wait().expect("ends well");
        assert_equal_to_the_reference(&run.disk);
    }
}

#[test]
fn a_panic_while_a_shard_is_built_is_an_error_of_start_or_wait() {
    let is_plan = AtomicBool::new(true);
    let job = Job::builder("panics")
        .cores(Cores::count(3))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .build()
        .expect("valid settings");
    let started = job.start(move |flow| {
        assert!(is_plan.swap(false, Ordering::Relaxed), "built by a shard");
        flow.source(Iter::new(|_, _| 0..10_u64))
            .sink(frazil::Count::new());
    });
    let error = match started {
        Err(error) => error,
        Ok(handle) => handle.wait().expect_err("panicked"),
    };
    let Error::ShardPanicked { message, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(message, "built by a shard");
}

/// A sink whose committer has an error in it.
struct Broken(CsvFiles);

struct BrokenCommitter;

impl Sink<Keyed<u64, u64>> for Broken {
    type Writer = frazil::CsvWriter;

    fn name(&self) -> String {
        "broken".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(BrokenCommitter))
    }

    fn writer(&self) -> Result<Self::Writer, SinkError> {
        Sink::<Keyed<u64, u64>>::writer(&self.0)
    }
}

impl Committer for BrokenCommitter {
    fn recover(&mut self, _restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        Ok(())
    }

    fn can_retract(&self) -> bool {
        true
    }

    fn stage(&mut self, _epoch: u64, _rows: &[u8]) -> Result<(), SinkError> {
        panic!("the committer's own bug");
    }

    fn pre_commit(&mut self, _epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _epoch: u64) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_panic_in_a_sinks_committer_ends_the_job() {
    let job = Job::builder("panics")
        .cores(Cores::count(3))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(256 << 20)
        .build()
        .expect("valid settings");
    let handle = job.start(|flow| {
        flow.source(Iter::new(|_, _| 0..1_000_u64))
            .key_by_value(|number| *number)
            .aggregate("count", 0u64, |count, _number| *count += 1)
            .sink(Broken(CsvFiles::new("unused")));
    });
    let error = handle.expect("starts").wait().expect_err("panicked");
    let Error::HelperPanicked { message, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(message, "the committer's own bug");
}
