//! The memory budget of a shard: values much larger than its staging pool wait for their capture
//! instead of failing it for ever, and a budget that the state outgrows is named.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use frazil::storage::Storage;
use frazil::{
    Checkpoints, Cores, CsvFiles, DriverChoice, Error, Iter, Job, JobHandle, StagingSize, Tuning,
};
use frazil_io::storage::MemoryStorage;
use frazil_tests::{Step, committed_rows, run_through};

const RECORDS: u64 = 6_000;
const KEYS: u64 = 12;
const ADDED_BYTES: usize = 3_000;
const TEXT_BYTES_MAX: usize = 90_000;

/// Length of a key's text after `count` records.
fn text_bytes(count: u64) -> u64 {
    let rounds = TEXT_BYTES_MAX / ADDED_BYTES;
    let added = (usize::try_from(count).expect("few") - 1) % rounds + 1;
    (added * ADDED_BYTES) as u64
}

/// Keeps a text for every key that grows with each record, up to [`TEXT_BYTES_MAX`].
fn start(storage: Arc<dyn Storage>, budget_bytes: u64) -> Result<JobHandle, Error> {
    let checkpoints = Checkpoints::every(Duration::from_millis(2));
    let job = Job::builder("large-values")
        .cores(Cores::count(1))
        .checkpoints(checkpoints.storage(Arc::clone(&storage)))
        .driver(DriverChoice::Thread)
        .state_bytes_per_shard(budget_bytes)
        .tuning(Tuning {
            staging: StagingSize {
                chunk_count: 2,
                chunk_bytes: 32 << 10,
            },
            ..Tuning::default()
        })
        .build()?;
    job.start(move |flow| {
        flow.source(Iter::new(|split, split_count| {
            (split as u64..RECORDS).step_by(split_count)
        }))
        .key_by_value(|number| number % KEYS)
        .process(
            |states| states.value::<String>("texts"),
            |texts, number, cx, out| {
                let length = texts.update(cx, &String::new(), |text| {
                    if text.len() >= TEXT_BYTES_MAX {
                        text.clear();
                    }
                    text.extend(std::iter::repeat_n('x', ADDED_BYTES));
                    text.len()
                })?;
                out.push_owned((format!("key{}", number % KEYS), length as u64));
                Ok(())
            },
        )
        .sink(CsvFiles::new("out").storage(Arc::clone(&storage)));
    })
}

fn reference_rows() -> BTreeMap<(String, u64), u64> {
    let mut rows = BTreeMap::new();
    for key in 0..KEYS {
        for count in 1..=RECORDS / KEYS {
            *rows
                .entry((format!("key{key}"), text_bytes(count)))
                .or_insert(0) += 1;
        }
    }
    rows
}

#[test]
fn values_larger_than_the_staging_pool_are_checkpointed_without_loss() {
    let disk = MemoryStorage::new();
    let handle = start(Arc::new(disk.clone()), 16 << 20).expect("starts");
    let statistics = handle.wait().expect("ends well").checkpoints;
    // A few are declined before the shard is patient; from then on records wait and all complete.
    let (failed, completed) = (statistics.failed_count, statistics.completed_count);
    assert!(completed > 1, "completed={completed} failed={failed}");
    assert!(failed <= 4, "completed={completed} failed={failed}");
    assert!(committed_rows(&disk) == reference_rows());
}

#[test]
fn large_values_survive_kills() {
    let steps = [
        Step::Checkpoint,
        Step::Kill,
        Step::Checkpoint,
        Step::Checkpoint,
        Step::PowerLoss(7),
    ];
    let disk = run_through(|storage| start(storage, 16 << 20), &steps);
    assert!(committed_rows(&disk) == reference_rows());
}

#[test]
fn a_budget_that_the_state_outgrows_is_named() {
    // Room for what a store starts with and a few of the texts.
    let handle = start(Arc::new(MemoryStorage::new()), 1_800_000).expect("starts");
    let text = handle.wait().expect_err("too large").to_string();
    for part in ["state budget exhausted", "state_bytes_per_shard"] {
        assert!(text.contains(part), "{text}");
    }
}
