//! A segment of sixteen chunks written and synced in each way to write, and a manifest published.

use criterion::{Criterion, Throughput};
use frazil_io::storage::{FileStorage, Storage, WriteMode};

const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS: usize = 16;
const MANIFEST_BYTES: usize = 2 << 10;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("storage");
    group.sample_size(10);
    let bytes = (CHUNKS * CHUNK_BYTES) as u64;
    let chunk = vec![7; CHUNK_BYTES];
    for (name, mode) in [
        ("segment of 4 MiB, direct", WriteMode::Direct),
        ("segment of 4 MiB, mapped", WriteMode::Mapped),
        ("segment of 4 MiB, plain", WriteMode::Plain),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let storage = FileStorage::open(folder.path()).expect("an empty folder");
        let storage = storage.with_write_mode(mode);
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut segment = storage.create("segment", bytes).expect("disk space");
                for _ in 0..CHUNKS {
                    segment.append(&chunk).expect("disk space");
                }
                segment.sync().expect("a working disk");
                drop(segment);
                storage.remove("segment").expect("it is there");
            });
        });
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let storage = FileStorage::open(folder.path()).expect("an empty folder");
    let manifest = vec![7; MANIFEST_BYTES];
    group.throughput(Throughput::Elements(1));
    group.bench_function("publish of 2 KiB", |bencher| {
        bencher.iter(|| {
            storage
                .publish("manifest", &manifest)
                .expect("a working disk")
        });
    });
    group.finish();
    criterion.final_summary();
}
