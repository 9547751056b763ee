//! What checkpoints take of a disk: how much space, through folds and a crash in the middle of one,
//! and how fast it may be written.
//!
//! The bound on space: images that kept manifests name and one set more, and the chains. A chain is
//! folded when it is longer than half of its base (and a least length), so it stays below both.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use frazil::storage::Storage;
use frazil::{JobHandle, Tuning};
use frazil_io::storage::MemoryStorage;
use frazil_state::format::Manifest;
use frazil_tests::{
    Gate, WatchedStorage, WordCount, committed_rows, input_file, manifests, reference_rows, text,
};

const KEEP: usize = 2;
const FOLD_BYTES_MIN: u64 = 64 << 10;
const LINES: u64 = 600;
/// Far more than the writer needs to remove a few files.
const PATIENCE: Duration = Duration::from_secs(20);

fn chain_bytes(manifest: &Manifest) -> u64 {
    let segments = manifest.segments.iter();
    segments.map(|segment| segment.length_bytes).sum()
}

fn base_bytes(manifest: &Manifest) -> u64 {
    let images = manifest.shards.iter().flat_map(|shard| &shard.image);
    images.map(|image| image.length_bytes).sum()
}

/// When the engine says it folds.
fn outgrown(manifest: &Manifest) -> bool {
    chain_bytes(manifest) > FOLD_BYTES_MIN.max(base_bytes(manifest) / 2)
}

/// What breaks the bounds, if anything does.
fn excess(disk: &MemoryStorage, largest_delta: u64) -> Option<String> {
    let kept = manifests(disk);
    let newest = kept.last()?;
    let pages = newest.shards.iter().map(|shard| shard.page_count);
    let state_bytes: u64 = pages.map(|pages| u64::from(pages) * 4200 + 4200).sum();
    let chain_max = |base: u64| FOLD_BYTES_MIN.max(base / 2) + 2 * largest_delta;
    for manifest in &kept {
        let (chain, most) = (chain_bytes(manifest), chain_max(base_bytes(manifest)));
        if chain > most {
            return Some(format!("a chain of {chain} bytes, at most {most}"));
        }
    }
    let files = disk.list().expect("memory lists").into_iter();
    let files = files.filter(|name| name.starts_with("image-") || name.starts_with("delta-"));
    // A file may go between the two calls.
    let lengths = files.map(|name| disk.open(&name).map_or(0, |file| file.length_bytes()));
    let listed: u64 = lengths.sum();
    let most = (KEEP as u64 + 1) * (state_bytes + chain_max(state_bytes));
    if kept.len() > KEEP || listed > most {
        let count = kept.len();
        return Some(format!("{count} manifests, {listed} bytes, at most {most}"));
    }
    None
}

/// The bounds hold as soon as the writer has retired what the newest checkpoint made old, which it
/// does just after it said that this one is durable.
fn assert_bounded(disk: &MemoryStorage, largest_delta: u64) {
    let begun = Instant::now();
    while let Some(excess) = excess(disk, largest_delta) {
        assert!(begun.elapsed() < PATIENCE, "{excess}");
        std::thread::yield_now();
    }
}

/// Makes a checkpoint, and waits for the fold that it starts, so that the next is not made beside
/// it: how far a fold lags behind is up to the machine.
fn checkpoint(handle: &JobHandle, disk: &MemoryStorage) -> u64 {
    let folds_before = handle.statistics().checkpoints.fold_count;
    let bytes = handle.checkpoint().expect("durable").bytes;
    if manifests(disk).last().is_some_and(outgrown) {
        while handle.statistics().checkpoints.fold_count == folds_before {
            assert!(!handle.is_finished(), "the job ended while it folded");
            std::thread::yield_now();
        }
    }
    bytes
}

fn run_on(storage: Arc<dyn Storage>, input: &std::path::Path) -> WordCount {
    let mut run = WordCount::new(input, storage);
    run.keep = KEEP;
    run.shards = 2;
    run.gate = Gate::closed();
    run.tuning = Tuning {
        fold_chain_bytes_min: FOLD_BYTES_MIN,
        ..run.tuning
    };
    run
}

#[test]
fn folding_bounds_the_disk_and_survives_a_crash_in_its_middle() {
    let text = text(30_000, 3_000);
    let (_folder, input) = input_file(&text);
    let disk = MemoryStorage::new();
    // What a power loss and a kill leave whenever a fold has made a file and written nothing yet.
    let crashed: Arc<Mutex<Vec<MemoryStorage>>> = Arc::default();
    let (copies, below) = (Arc::clone(&crashed), disk.clone());
    let watched = WatchedStorage::new(
        &disk,
        Arc::new(move |name, _bytes| {
            if name.starts_with("image-") {
                let mut copies = copies.lock().expect("no panic while copying");
                let seed = copies.len() as u64;
                copies.push(below.after_power_loss(seed));
                copies.push(below.after_process_crash());
            }
        }),
    );
    let run = run_on(Arc::new(watched), &input);
    let handle = run.start().expect("starts");
    let mut largest_delta = 0;
    for _ in 0..24 {
        run.gate.allow(LINES);
        largest_delta = largest_delta.max(checkpoint(&handle, &disk));
        assert_bounded(&disk, largest_delta);
    }
    assert!(handle.statistics().checkpoints.fold_count >= 4, "it folds");
    drop(run.gate);
    handle.stop();
    handle.wait().expect("stops well");

    let crashed = crashed.lock().expect("no panic while copying");
    assert!(crashed.len() >= 8);
    for copy in crashed.iter().skip(4).take(4) {
        let mut run = run_on(Arc::new(copy.clone()), &input);
        let handle = run.start().expect("starts again");
        assert_bounded(copy, largest_delta);
        for _ in 0..3 {
            run.gate.allow(LINES);
            checkpoint(&handle, copy);
            assert_bounded(copy, largest_delta);
        }
        handle.stop();
        handle.wait().expect("stops well");
        run.gate = Gate::open();
        run.start().expect("starts").wait().expect("ends well");
        assert!(committed_rows(copy) == reference_rows(&text, run.rounds));
    }
}

#[test]
fn deltas_and_folds_share_the_write_budget() {
    const RATE: u64 = 2 << 20;
    let (_folder, input) = input_file(&text(30_000, 3_000));
    let disk = MemoryStorage::new();
    let begun = Instant::now();
    let written = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let counted = Arc::clone(&written);
    let watched = WatchedStorage::new(
        &disk,
        Arc::new(move |name, bytes| {
            let kind = match name.split('-').next() {
                Some("delta") => 0,
                Some("image") => 1,
                _ => return,
            };
            assert!(bytes as u64 <= RATE / 50, "a piece of {bytes} bytes");
            counted[kind].fetch_add(bytes as u64, Ordering::Relaxed);
            let total: u64 = counted
                .iter()
                .map(|kind| kind.load(Ordering::Relaxed))
                .sum();
            // A slow machine writes less in more time: the bound cannot fail by chance.
            let allowed = RATE as f64 * (begun.elapsed().as_secs_f64() + 0.02);
            assert!(total as f64 <= allowed, "{total} bytes, {allowed} allowed");
        }),
    );
    let mut run = run_on(Arc::new(watched), &input);
    run.max_write_bytes_per_second = Some(RATE);
    let handle = run.start().expect("starts");
    for _ in 0..6 {
        run.gate.allow(LINES);
        checkpoint(&handle, &disk);
    }
    handle.stop();
    handle.wait().expect("stops well");
    for kind in &*written {
        assert!(kind.load(Ordering::Relaxed) > 4 * RATE / 50, "{written:?}");
    }
}
