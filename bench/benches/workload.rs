//! What the measurements themselves cost: drawing a key, and recording a latency.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use frazil_bench::workload::{Distribution, Draw, Keys};
use hdrhistogram::Histogram;

const KEYS: u64 = 10_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("one event");
    let mut position = KEYS;
    let keys = Keys::new(KEYS);
    group.bench_function("uniform key of the throughput jobs", |bencher| {
        bencher.iter(|| {
            position += 1;
            keys.at(position)
        });
    });
    for distribution in [Distribution::Uniform, Distribution::Zipf(0.99)] {
        let draw = Draw::new(KEYS, distribution);
        group.bench_function(
            format!("key of the latency jobs, {distribution}"),
            |bencher| {
                bencher.iter(|| {
                    position += 1;
                    draw.at(position)
                });
            },
        );
    }
    group.bench_function("reading the clock", |bencher| bencher.iter(Instant::now));
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3);
    let histogram = histogram.as_mut().expect("valid bounds");
    group.bench_function("recording a latency", |bencher| {
        bencher.iter(|| {
            position += 1;
            histogram.saturating_record(black_box(position % 100_000));
        });
    });
    group.finish();
    criterion.final_summary();
}
