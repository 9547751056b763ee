//! Freeze, capture, and the first write to a frozen line.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use frazil_state::{CaptureStatus, LINE_BYTES, Store, StoreConfig, ValueTable, hash_key};

const KEYS: u64 = 100_000;
/// Records of one line each that are changed between two freezes.
const CHANGED: u64 = 1_000;
const SLICE_BYTES: usize = 16 << 10;

/// A key and seven words: one line.
type Wide = [u64; 7];

struct Work {
    store: Store,
    table: ValueTable<u64, Wide>,
    position: u64,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut work = Work::filled();
    let mut group = criterion.benchmark_group("snapshot");
    group.bench_function("freeze", |bencher| {
        bencher.iter_custom(|count| work.timed(count, Store::freeze, capture_all));
    });
    group.throughput(Throughput::Bytes(CHANGED * LINE_BYTES as u64));
    group.bench_function("capture of 1,000 lines", |bencher| {
        bencher.iter_custom(|count| work.timed(count, freeze_and_capture, capture_all));
    });
    group.throughput(Throughput::Elements(CHANGED));
    group.bench_function("update of 1,000 lines that are frozen", |bencher| {
        bencher.iter_custom(|count| work.updates_timed(count));
    });
    group.finish();
    criterion.final_summary();
}

impl Work {
    fn filled() -> Self {
        let mut store = Store::new(&StoreConfig::default()).expect("1 GiB of address space");
        let table = ValueTable::open(&mut store, "records").expect("the first table");
        for key in 0..KEYS {
            let put = table.put(&mut store, hash_key(&key), &key, &[0; 7]);
            put.expect("within the budget");
        }
        store.freeze();
        capture_all(&mut store);
        Self {
            store,
            table,
            position: 0,
        }
    }

    /// Changes the same records as the last time.
    fn change(&mut self, first: u64) {
        for step in first..first + CHANGED {
            let key = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS;
            let add = |value: &mut Wide| value[0] += 1;
            let hash = hash_key(&key);
            let updated = self.table.update(&mut self.store, hash, &key, &[0; 7], add);
            updated.expect("within the budget");
        }
    }

    /// Time of `timed`, after changes and before `rest`.
    fn timed(&mut self, count: u64, timed: fn(&mut Store), rest: fn(&mut Store)) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..count {
            self.position += CHANGED;
            self.change(self.position);
            let begun = Instant::now();
            timed(&mut self.store);
            sum += begun.elapsed();
            rest(&mut self.store);
        }
        sum
    }

    /// Time of changing again what is frozen and not captured.
    fn updates_timed(&mut self, count: u64) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..count {
            self.position += CHANGED;
            self.change(self.position);
            self.store.freeze();
            let begun = Instant::now();
            self.change(self.position);
            sum += begun.elapsed();
            capture_all(&mut self.store);
        }
        sum
    }
}

fn freeze_and_capture(store: &mut Store) {
    store.freeze();
    while store.capture(SLICE_BYTES) == CaptureStatus::More {}
}

/// Captures what is left, and ends the snapshot as one that became durable.
fn capture_all(store: &mut Store) {
    loop {
        let status = store.capture(SLICE_BYTES);
        while let Some(chunk) = store.take_chunk() {
            store.give_chunk(chunk);
        }
        if status == CaptureStatus::Done {
            break;
        }
    }
    store.forget_snapshot();
}
