//! A job restarts a thousand times in one process, several jobs run side by side: nothing is left
//! behind. The only test of its process, since it counts what the process holds.

use std::fs;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, Count, DriverChoice, Iter, Job, JobHandle, RestartStrategy, StagingSize,
    Tuning,
};
use frazil_io::storage::MemoryStorage;

/// Restarts before the first count: pools and the allocator's arenas have their size then.
const WARM_UP: u64 = 200;
const RESTARTS: u64 = 1_000;
const JOBS: usize = 2;
/// Of the allocator, whose arenas depend on which thread comes when.
const RSS_NOISE_BYTES: u64 = 16 << 20;
/// A descriptor that some other part of the process opens for a moment.
const COUNT_NOISE: usize = 2;

#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    resident_bytes: u64,
}

impl Held {
    fn now() -> Self {
        let count = |folder| fs::read_dir(folder).expect("proc is there").count();
        let statm = fs::read_to_string("/proc/self/statm").expect("proc is there");
        let pages = statm.split_whitespace().nth(1).expect("resident pages");
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            resident_bytes: pages.parse::<u64>().expect("a number") * 4096,
        }
    }
}

/// A job that goes on from the storage's checkpoint and fails `failures` times.
fn start(name: &str, storage: &Arc<dyn Storage>, driver: DriverChoice, failures: u64) -> JobHandle {
    let job = Job::builder(name)
        .cores(Cores::count(2))
        .checkpoints(Checkpoints::manual().storage(Arc::clone(storage)))
        .restart(RestartStrategy::FixedDelay {
            restarts: u32::MAX,
            delay: Duration::ZERO,
        })
        .driver(driver)
        .state_bytes_per_shard(4 << 20)
        .tuning(Tuning {
            staging: StagingSize {
                chunk_count: 4,
                chunk_bytes: 16 << 10,
            },
            row_buffers: 2,
            ..Tuning::default()
        })
        .build()
        .expect("valid settings");
    let left = Arc::new(AtomicU64::new(failures));
    let handle = job.start(move |flow| {
        let left = Arc::clone(&left);
        flow.source(Iter::new(|split, splits| (split as u64..).step_by(splits)))
            .key_by_value(|number| number % 500)
            .aggregate("count", 0u64, move |count, _number| {
                *count += 1;
                let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
                if fails.is_ok() {
                    // Without the message that a panic prints.
                    resume_unwind(Box::new("again"));
                }
            })
            .emit_at_end()
            .sink(Count::new());
    });
    handle.expect("starts")
}

/// Lets jobs side by side fail `failures` times in all, and stops them.
fn fail(storages: &[Arc<dyn Storage>], driver: DriverChoice, failures: u64) {
    let each = failures / storages.len() as u64;
    let jobs = storages.iter().zip(["first", "second"]);
    let handles: Vec<JobHandle> = jobs.map(|(s, name)| start(name, s, driver, each)).collect();
    for handle in handles {
        // Two shards may fail in the same run: then one restart answers two failures.
        while handle.checkpoint().is_err() {}
        handle.stop();
        let end = handle.end().expect("stops well");
        assert!(end.restarts.count * 2 >= each, "{:?}", end.restarts);
        assert!(each == 0 || end.restarts.recovery.is_some());
    }
}

#[test]
fn a_thousand_restarts_leave_no_descriptor_thread_or_memory_behind() {
    for driver in [DriverChoice::Thread, DriverChoice::Auto] {
        let storages: Vec<Arc<dyn Storage>> = (0..JOBS)
            .map(|_| Arc::new(MemoryStorage::new()) as Arc<dyn Storage>)
            .collect();
        // The checkpoint that all restarts come back to.
        fail(&storages, driver, 0);
        fail(&storages, driver, WARM_UP);
        let before = Held::now();
        fail(&storages, driver, RESTARTS);
        let after = Held::now();
        let story = format!("{driver:?}: before {before:?}, after {after:?}");
        println!("{story}");
        assert!(
            after.descriptors <= before.descriptors + COUNT_NOISE,
            "{story}"
        );
        assert!(after.threads <= before.threads + COUNT_NOISE, "{story}");
        assert!(
            after.resident_bytes <= before.resident_bytes + RSS_NOISE_BYTES,
            "{story}"
        );
    }
}
