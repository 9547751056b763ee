//! Files whose checksums are right and whose content is not, and tables that are dropped from files
//! that nobody has read yet.
//!
//! The story: somebody changes numbers in a manifest and signs it anew. Before memory is taken for
//! what it claims, its claims are compared with the files; what does not fit is damage.

use std::sync::Arc;

use frazil_state::format::Manifest;
use frazil_state::{KeyGroups, StoreConfig};

use super::bit_flip_tests::Whole;
use super::recovery::is_damage;
use super::rescale::rescale_shards;
use super::restore::{RestoreMode, restore_shards};
use crate::{ChannelSink, Checkpoints, Cores, DriverChoice, Iter, Job, Out};

/// Far more than the checkpoint has, and well within its budget.
fn roomy() -> StoreConfig {
    StoreConfig {
        budget_bytes: 64 << 30,
        ..Whole::config()
    }
}

fn refused(whole: &Whole, manifest: &Manifest) -> String {
    let mut messages = Vec::new();
    for mode in [RestoreMode::Eager, RestoreMode::Mapped] {
        let restored = restore_shards(&whole.disk, manifest, &[roomy()], mode);
        let error = restored.err().expect("refused");
        assert!(is_damage(&error), "{error}");
        messages.push(error.to_string());
    }
    messages.swap_remove(0)
}

#[test]
fn more_pages_than_the_files_hold_are_refused() {
    let whole = Whole::new();
    let restored = restore_shards(&whole.disk, &whole.manifest, &[roomy()], RestoreMode::Eager);
    assert!(restored.is_ok(), "as it is");
    let mut manifest = whole.manifest.clone();
    manifest.shards[0].page_count = 1 << 23;
    let message = refused(&whole, &manifest);
    assert!(message.contains("page count of a shard"), "{message}");
    // Taking a shard over takes the memory that the manifest claims, whatever the budget is.
    let mut manifest = whole.manifest.clone();
    manifest.key_group_count = 2;
    manifest.shards[0].page_count = 1 << 23;
    let halves = [0, 1].map(|shard| StoreConfig {
        key_groups: KeyGroups::new(2),
        shard,
        shard_count: 2,
        ..roomy()
    });
    let error = rescale_shards(&whole.disk, &manifest, &halves)
        .err()
        .expect("refused");
    assert!(is_damage(&error), "{error}");
    assert!(
        error.to_string().contains("page count of a shard"),
        "{error}"
    );
}

#[test]
fn longer_segments_than_the_files_are_refused() {
    let whole = Whole::new();
    let mut manifest = whole.manifest.clone();
    manifest.segments[0].length_bytes += 1 << 40;
    let message = refused(&whole, &manifest);
    assert!(message.contains("file length"), "{message}");
    let mut manifest = whole.manifest.clone();
    manifest.segments[0].length_bytes -= 64;
    refused(&whole, &manifest);
    let mut manifest = whole.manifest.clone();
    manifest.segments[0].frame_count = u32::MAX;
    refused(&whole, &manifest);
}

#[test]
fn tables_are_dropped_from_verified_pages_only() {
    let disk = Whole::new().disk;
    let checkpoints = Checkpoints::manual()
        .restore(RestoreMode::Mapped)
        .storage(Arc::new(disk));
    let job = Job::builder("flipped")
        .restart(crate::RestartStrategy::None)
        .cores(Cores::count(1))
        .key_groups(1)
        .checkpoints(checkpoints)
        .driver(DriverChoice::Thread)
        .allow_dropped_state()
        .state_bytes_per_shard(64 << 20);
    let (sink, _received) = ChannelSink::<u64>::new();
    let handle = job.build().expect("valid").start(move |flow| {
        flow.source(Iter::new(|split, count| (split as u64..).step_by(count)))
            .key_by_value(|number| number % 3)
            .process(
                |states| states.value::<u64>("count"),
                |count, _number, cx, _out: &mut Out<u64>| {
                    count.update(cx, &0, |count| *count += 1)?;
                    Ok(())
                },
            )
            .sink(sink.clone());
    });
    let handle = handle.expect("starts");
    let report = handle.recovery().expect("it was restored").clone();
    handle.stop();
    handle.wait().expect("stops well");
    assert!(report.restoring.is_none(), "nothing was mapped");
}
