//! From a thread of the application through source, exchange, keyed state and sink of a running
//! job: many records at once, and one record there and back.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput};
use frazil::{Cores, ForEach, Job, JobHandle, push};

const RECORDS: u64 = 4096;
const KEYS: u64 = 1000;

/// A job that counts pushed keys, and how many came out so far.
struct Running {
    job: JobHandle,
    pusher: push::Pusher<u64>,
    counted: Arc<AtomicU64>,
    pushed: u64,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut running = Running::start();
    let mut group = criterion.benchmark_group("job on one shard");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("records through an exchange", |bencher| {
        bencher.iter(|| running.through(RECORDS));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("one record there and back", |bencher| {
        bencher.iter(|| running.through(1));
    });
    group.finish();
    running.stop();
    criterion.final_summary();
}

impl Running {
    fn start() -> Self {
        let capacity = usize::try_from(RECORDS).expect("a few thousand");
        let (pusher, source) = push::channel::<u64>(capacity);
        let counted = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&counted);
        let job = Job::builder("exchange").cores(Cores::count(1)).build();
        let job = job.expect("valid settings").start(move |flow| {
            let seen = Arc::clone(&seen);
            flow.source(source.clone())
                .key_by(|key| key)
                .aggregate("counts", 0_u64, |count, _key| *count += 1)
                .sink(ForEach::new(move |_pair: (&u64, &u64)| {
                    // The job's only shard is the only writer.
                    seen.store(seen.load(Ordering::Relaxed) + 1, Ordering::Release);
                }));
        });
        Self {
            job: job.expect("a valid flow"),
            pusher,
            counted,
            pushed: 0,
        }
    }

    /// Pushes records and waits until the last one came out.
    fn through(&mut self, count: u64) {
        for key in 0..count {
            self.pusher.push(key % KEYS).expect("a running job");
        }
        self.pushed += count;
        while self.counted.load(Ordering::Acquire) < self.pushed {
            spin_loop();
        }
    }

    fn stop(self) {
        drop(self.pusher);
        self.job.wait().expect("a job that ends by itself");
    }
}
