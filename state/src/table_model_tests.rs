//! Random histories of a whole value table: everything that adds, removes and visits keys, with
//! snapshots in between; and pages come back.
//!
//! The story: whatever is deleted, by key, by range or all at once, its pages can be used again,
//! and neither a snapshot in flight nor a scan in progress loses or repeats a key.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::model_tests::{Blobs, Fixed, Lines, Shape, Step, Texts, World, finish, step};
use crate::test_cases::cases;
use crate::{Key, KeyGroups, ScanCursor, StagingSize, Store, StoreConfig, ValueTable, hash_key};

#[derive(Clone, Debug)]
enum Op {
    Step(Step),
    Take(u16),
    Contains(u16),
    GetOrInsert(u16, u8),
    Touch(u16, u8),
    Clear(u16),
    /// Scans some keys at a time with the step in between.
    ScanAround(u16, Step),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => step().prop_map(Op::Step),
        2 => (0..900u16).prop_map(Op::Take),
        1 => (0..900u16).prop_map(Op::Contains),
        2 => (0..900u16, any::<u8>()).prop_map(|(key, size)| Op::GetOrInsert(key, size)),
        2 => (0..900u16, any::<u8>()).prop_map(|(key, size)| Op::Touch(key, size)),
        1 => (1..500u16).prop_map(Op::Clear),
        1 => (1..90u16, step()).prop_map(|(limit, step)| Op::ScanAround(limit, step)),
    ]
}

fn apply<S: Shape>(world: &mut World<S>, op: &Op) {
    match op {
        Op::Step(step) => world.apply(step),
        Op::Take(number) => {
            let key = S::key(*number);
            let taken = world
                .table
                .take(&mut world.checkpointed.store, hash_key(&key), &key);
            assert_eq!(taken.expect("valid"), world.model.remove(number));
        }
        Op::Contains(number) => {
            let key = S::key(*number);
            let found = world
                .table
                .contains(&world.checkpointed.store, hash_key(&key), &key);
            assert_eq!(found, world.model.contains_key(number));
        }
        Op::GetOrInsert(number, size) => {
            let (key, initial) = (S::key(*number), S::value(*number, *size));
            let hash = hash_key(&key);
            world
                .table
                .get_or_insert(&mut world.checkpointed.store, hash, &key, &initial)
                .expect("fits");
            let expected = world.model.entry(*number).or_insert(initial);
            let found = world
                .table
                .get(&world.checkpointed.store, hash, &key)
                .expect("valid");
            assert_eq!(found.as_ref(), Some(&*expected));
        }
        Op::Touch(number, size) => {
            let (key, initial) = (S::key(*number), S::value(*number, *size));
            let hash = hash_key(&key);
            world
                .table
                .update_archived(&mut world.checkpointed.store, hash, &key, &initial, |_| ())
                .expect("fits");
            world.model.entry(*number).or_insert(initial);
        }
        Op::Clear(limit) => clear(world, usize::from(*limit)),
        Op::ScanAround(limit, step) => scan_around(world, usize::from(*limit), step),
    }
}

fn keys<S: Shape>(world: &World<S>) -> BTreeSet<Vec<u8>> {
    world
        .model
        .keys()
        .map(|number| S::key(*number).with_bytes(<[u8]>::to_vec))
        .collect()
}

/// One slice; what it removed is found out by looking for every key.
fn clear<S: Shape>(world: &mut World<S>, limit: usize) {
    let before = world.model.len();
    let empty = world
        .table
        .clear(&mut world.checkpointed.store, limit)
        .expect("sound");
    let (store, table) = (&world.checkpointed.store, &world.table);
    world.model.retain(|number, _| {
        let key = S::key(*number);
        table.contains(store, hash_key(&key), &key)
    });
    assert_eq!(empty, world.model.is_empty());
    assert!(empty || before - world.model.len() >= limit);
}

fn scan_around<S: Shape>(world: &mut World<S>, limit: usize, step: &Step) {
    let before = keys(world);
    let mut cursor = ScanCursor::default();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut visit = |world: &World<S>| {
        world
            .table
            .scan_keys(&world.checkpointed.store, &mut cursor, limit, |key| {
                seen.push(key.with_bytes(<[u8]>::to_vec));
            })
            .expect("valid")
    };
    visit(world);
    world.apply(step);
    while !visit(world) {}
    let once: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "a key was visited twice");
    let after = keys(world);
    assert!(before.intersection(&after).all(|key| once.contains(key)));
}

fn run<S: Shape>(groups: u32, chunk_count: usize, ops: &[Op]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut world = World::<S>::new(groups, staging);
    let empty = world.checkpointed.store.used_bytes();
    for op in ops {
        apply(&mut world, op);
    }
    finish(&mut world);
    for number in std::mem::take(&mut world.model).into_keys() {
        let key = S::key(number);
        let removed = world
            .table
            .remove(&mut world.checkpointed.store, hash_key(&key), &key)
            .expect("sound");
        assert!(removed);
    }
    assert_eq!(
        world.checkpointed.store.used_bytes(),
        empty,
        "deletes give pages back"
    );
    finish(&mut world);
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn whole_tables_of_fixed_records_match_the_model(
        ops in prop::collection::vec(op(), 1..100),
        chunks in 1..20usize
    ) {
        run::<Fixed>(1, chunks, &ops);
    }

    #[test]
    fn whole_tables_of_lines_match_the_model(
        ops in prop::collection::vec(op(), 1..100),
        chunks in 1..20usize
    ) {
        run::<Lines>(2, chunks, &ops);
    }

    #[test]
    fn whole_tables_of_texts_match_the_model(
        ops in prop::collection::vec(op(), 1..120),
        chunks in 1..20usize
    ) {
        run::<Texts>(1, chunks, &ops);
    }

    #[test]
    fn whole_tables_of_large_values_match_the_model(
        ops in prop::collection::vec(op(), 1..60),
        chunks in 1..60usize
    ) {
        run::<Blobs>(1, chunks, &ops);
    }
}

/// A table of one group whose depth goes beyond one directory page, then beyond the path bits.
struct Deep {
    store: Store,
    table: ValueTable<u64, [u64; 110]>,
    keys: Vec<u64>,
    empty_bytes: u64,
}

impl Deep {
    fn new() -> Self {
        let groups = KeyGroups::new(64);
        let config = StoreConfig {
            key_groups: groups,
            shard_count: 64,
            budget_bytes: 64 << 20,
            ..StoreConfig::default()
        };
        let mut store = Store::new(&config).expect("reserved");
        let table = ValueTable::open(&mut store, "deep").expect("first");
        let empty_bytes = store.used_bytes();
        let keys: Vec<u64> = (0..)
            .filter(|key| groups.group_of(hash_key(key)) == 0)
            .take(4000)
            .collect();
        for key in &keys {
            table
                .put(&mut store, hash_key(key), key, &[*key; 110])
                .expect("within the budget");
        }
        store.verify().expect("sound when full");
        assert!(store.used_bytes() > 4 << 20);
        Self {
            store,
            table,
            keys,
            empty_bytes,
        }
    }

    fn assert_empty(&self) {
        assert!(self.table.is_empty(&self.store));
        assert_eq!(self.store.used_bytes(), self.empty_bytes);
        self.store.verify().expect("sound when empty");
    }
}

/// Nodes and overflow chains appear, stay sound, and go again.
#[test]
fn deep_directories_and_overflow_chains_hold_every_record() {
    let mut deep = Deep::new();
    let (store, table) = (&mut deep.store, &deep.table);
    for key in &deep.keys {
        let value = table.get(store, hash_key(key), key).expect("valid");
        assert_eq!(value, Some([*key; 110]));
    }
    for (removed, key) in deep.keys.iter().enumerate() {
        assert!(table.remove(store, hash_key(key), key).expect("sound"));
        if removed % 500 == 0 {
            store.verify().expect("sound in between");
        }
    }
    deep.assert_empty();
}

#[test]
fn clearing_a_deep_table_in_slices_gives_every_page_back() {
    let mut deep = Deep::new();
    let mut slices = 0;
    while !deep.table.clear(&mut deep.store, 300).expect("sound") {
        slices += 1;
        deep.store.verify().expect("sound in between");
    }
    assert!((10..14).contains(&slices), "{slices}");
    deep.assert_empty();
}

/// Clearing writes what it must: a few lines a bucket, not the values.
#[test]
fn clearing_dirties_headers_and_tags_only() {
    let mut store = Store::new(&StoreConfig::default()).expect("reserved");
    let table = ValueTable::<u64, [u64; 7]>::open(&mut store, "lines").expect("first");
    for key in 0..50_000u64 {
        table
            .put(&mut store, hash_key(&key), &key, &[key; 7])
            .expect("within the budget");
    }
    let full = store.used_bytes();
    store.freeze();
    while store.capture(1 << 20) != crate::CaptureStatus::Done {
        while let Some(chunk) = store.take_chunk() {
            store.give_chunk(chunk);
        }
    }
    while let Some(chunk) = store.take_chunk() {
        store.give_chunk(chunk);
    }
    store.forget_snapshot();
    assert!(table.clear(&mut store, usize::MAX).expect("sound"));
    store.freeze();
    let mut bytes = 0;
    let mut done = false;
    while !done {
        done = store.capture(1 << 20) == crate::CaptureStatus::Done;
        while let Some(chunk) = store.take_chunk() {
            bytes += chunk.body_bytes() as u64;
            store.give_chunk(chunk);
        }
    }
    assert!(bytes * 10 < full, "{bytes} of {full}");
}
