//! The stores of simulated shards.

use frazil_state::{KeyGroups, ScanCursor, StagingSize, Store, StoreConfig, ValueTable};

/// What a table from `str` to `u64` holds.
pub(super) fn dump(store: &mut Store, table: &str) -> Vec<(String, u64)> {
    let table = ValueTable::<str, u64>::open(store, table).expect("table is open");
    let mut cursor = ScanCursor::default();
    let mut counts = vec![];
    let is_done = table.scan(store, &mut cursor, usize::MAX, |key, count| {
        counts.push((key.to_owned(), count));
    });
    assert!(is_done.expect("store is whole"));
    counts
}

pub(super) fn new_store(shard: usize, shard_count: usize, chunk_count: usize) -> Store {
    let config = store_config(shard, shard_count, chunk_count);
    Store::new(&config).expect("address space is to be had")
}

pub(super) fn store_config(shard: usize, shard_count: usize, chunk_count: usize) -> StoreConfig {
    StoreConfig {
        shard,
        shard_count,
        key_groups: KeyGroups::default(),
        budget_bytes: 32 << 20,
        staging: StagingSize {
            chunk_count,
            chunk_bytes: 64 << 10,
        },
        ..StoreConfig::default()
    }
}
