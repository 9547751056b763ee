//! Random histories of a store against a plain map, with snapshots taken, declined, aborted and
//! restored in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::page::PageId;
use crate::test_cases::cases;
use crate::{
    CaptureStatus, Key, KeyGroups, StagingSize, Store, StoreConfig, Switches, Value, ValueTable,
    hash_key,
};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(u16, u8),
    Update(u16),
    Remove(u16),
    PutRange(u16, u16),
    RemoveRange(u16, u16),
    Snapshot(SnapshotStep),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..600u16, any::<u8>()).prop_map(|(key, size)| Step::Put(key, size)),
        8 => (0..600u16).prop_map(Step::Update),
        4 => (0..600u16).prop_map(Step::Remove),
        2 => (0..600u16, 1..300u16).prop_map(|(from, count)| Step::PutRange(from, count)),
        1 => (0..600u16, 1..300u16).prop_map(|(from, count)| Step::RemoveRange(from, count)),
        15 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

/// How a number becomes a key, a value, and the next value.
pub(crate) trait Shape {
    type Key: Key + Clone;
    type Value: Value + Clone + PartialEq + std::fmt::Debug;
    fn key(number: u16) -> Self::Key;
    fn value(number: u16, size: u8) -> Self::Value;
    fn next(value: &mut Self::Value);
}

pub(crate) struct Fixed;
impl Shape for Fixed {
    type Key = u64;
    type Value = u64;
    fn key(number: u16) -> u64 {
        u64::from(number)
    }
    fn value(number: u16, size: u8) -> u64 {
        u64::from(number) * 1000 + u64::from(size)
    }
    fn next(value: &mut u64) {
        *value += 1;
    }
}

pub(crate) struct Lines;
impl Shape for Lines {
    type Key = u64;
    type Value = [u64; 7];
    fn key(number: u16) -> u64 {
        u64::from(number)
    }
    fn value(number: u16, size: u8) -> [u64; 7] {
        [u64::from(number) + u64::from(size); 7]
    }
    fn next(value: &mut [u64; 7]) {
        value[6] += 1;
    }
}

pub(crate) struct Words;
impl Shape for Words {
    type Key = String;
    type Value = u64;
    fn key(number: u16) -> String {
        "k".repeat(usize::from(number % 40)) + &number.to_string()
    }
    fn value(number: u16, size: u8) -> u64 {
        Fixed::value(number, size)
    }
    fn next(value: &mut u64) {
        *value += 1;
    }
}

pub(crate) struct Texts;
impl Shape for Texts {
    type Key = String;
    type Value = (u32, String, Vec<String>);
    fn key(number: u16) -> String {
        Words::key(number)
    }
    fn value(number: u16, size: u8) -> Self::Value {
        let text = "v".repeat(usize::from(size) * 3);
        (
            u32::from(number),
            text,
            vec!["x".into(); usize::from(size % 5)],
        )
    }
    fn next(value: &mut Self::Value) {
        value.0 += 1;
        if value.0.is_multiple_of(3) {
            value.1.push('w');
        }
    }
}

pub(crate) struct Blobs;
impl Shape for Blobs {
    type Key = String;
    type Value = Vec<u8>;
    fn key(number: u16) -> String {
        Words::key(number)
    }
    fn value(number: u16, size: u8) -> Vec<u8> {
        let length = match size % 8 {
            0..=3 => usize::from(size) * 7,
            4 | 5 => 1850 + usize::from(size),
            6 => usize::from(size) * 64,
            _ => usize::from(size) * 250,
        };
        vec![number.to_le_bytes()[0]; length]
    }
    fn next(value: &mut Vec<u8>) {
        match value.len() % 5 {
            0 => value.extend([7; 700]),
            1 => value.truncate(value.len() / 3),
            2 => value.push(1),
            _ => {
                if let Some(last) = value.last_mut() {
                    *last = last.wrapping_add(1);
                }
            }
        }
    }
}

pub(crate) struct Arrays;
impl Shape for Arrays {
    type Key = u64;
    type Value = [u64; 700];
    fn key(number: u16) -> u64 {
        u64::from(number)
    }
    fn value(number: u16, size: u8) -> [u64; 700] {
        [u64::from(number) + u64::from(size); 700]
    }
    fn next(value: &mut [u64; 700]) {
        value[600] += 1;
    }
}

pub(crate) type Model<S> = BTreeMap<u16, <S as Shape>::Value>;

/// A store with one table, and its model.
pub(crate) struct World<S: Shape> {
    pub(crate) checkpointed: Checkpointed<Model<S>>,
    pub(crate) table: ValueTable<S::Key, S::Value>,
    pub(crate) model: Model<S>,
}

impl<S: Shape> World<S> {
    pub(crate) fn new(groups: u32, staging: StagingSize) -> Self {
        Self::over(Checkpointed::new(groups, staging))
    }

    fn over(mut checkpointed: Checkpointed<Model<S>>) -> Self {
        let table = ValueTable::open(&mut checkpointed.store, "model").expect("first table");
        Self {
            checkpointed,
            table,
            model: Model::<S>::new(),
        }
    }

    fn put(&mut self, number: u16, size: u8) {
        let (key, value) = (S::key(number), S::value(number, size));
        self.table
            .put(&mut self.checkpointed.store, hash_key(&key), &key, &value)
            .expect("within the budget");
        self.model.insert(number, value);
    }

    fn remove(&mut self, number: u16) {
        let key = S::key(number);
        let store = &mut self.checkpointed.store;
        let removed = self.table.remove(store, hash_key(&key), &key);
        assert_eq!(
            removed.expect("own run"),
            self.model.remove(&number).is_some()
        );
    }

    fn update(&mut self, number: u16) {
        let (key, initial) = (S::key(number), S::value(number, 1));
        let store = &mut self.checkpointed.store;
        self.table
            .update(store, hash_key(&key), &key, &initial, S::next)
            .expect("within the budget");
        S::next(self.model.entry(number).or_insert(initial));
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Put(number, size) => self.put(*number, *size),
            Step::Update(number) => self.update(*number),
            Step::Remove(number) => self.remove(*number),
            Step::PutRange(from, count) => (*from..from + count).for_each(|n| self.put(n, 7)),
            Step::RemoveRange(from, count) => (*from..from + count).for_each(|n| self.remove(n)),
            Step::Snapshot(step) => {
                self.checkpointed
                    .apply(step, &self.model, check_restored::<S>);
            }
        }
    }

    fn check(&self) {
        let store = &self.checkpointed.store;
        store.verify().expect("store is sound");
        check_content::<S>(store, &self.table, &self.model);
    }
}

fn check_restored<S: Shape>(store: &mut Store, model: &Model<S>) {
    let table = ValueTable::open(store, "model").expect("same types");
    check_content::<S>(store, &table, model);
}

fn check_content<S: Shape>(store: &Store, table: &ValueTable<S::Key, S::Value>, model: &Model<S>) {
    assert_eq!(table.len(store), model.len() as u64);
    for (number, value) in model {
        let key = S::key(*number);
        let found = table.get(store, hash_key(&key), &key).expect("valid");
        assert_eq!(found.as_ref(), Some(value), "key number {number}");
    }
    let mut visited = 0;
    let mut cursor = crate::ScanCursor::default();
    while !table
        .scan(store, &mut cursor, 10, |_, _| visited += 1)
        .expect("valid")
    {}
    assert_eq!(visited, model.len());
}

fn run<S: Shape>(groups: u32, chunk_count: usize, steps: &[Step]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut world = World::<S>::new(groups, staging);
    for step in steps {
        world.apply(step);
    }
    finish(&mut world);
}

/// Whatever is in flight ends, and one more checkpoint restores to the model.
pub(crate) fn finish<S: Shape>(world: &mut World<S>) {
    world.check();
    world.checkpointed.finish(&world.model, check_restored::<S>);
    world.check();
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn fixed_records_match_the_model(steps in prop::collection::vec(step(), 1..200), chunks in 1..6usize) {
        run::<Fixed>(4, chunks, &steps);
    }

    #[test]
    fn line_sized_records_match_the_model(steps in prop::collection::vec(step(), 1..200), chunks in 1..40usize) {
        run::<Lines>(1, chunks, &steps);
    }

    #[test]
    fn slotted_records_match_the_model(steps in prop::collection::vec(step(), 1..200), chunks in 1..12usize) {
        run::<Words>(2, chunks, &steps);
    }

    #[test]
    fn pages_tracked_whole_match_the_model(steps in prop::collection::vec(step(), 1..120), chunks in 1..40usize) {
        let staging = StagingSize { chunk_count: chunks, chunk_bytes: 8 << 10 };
        let switches = Switches { whole_pages: true, ..Switches::default() };
        let mut world = World::<Lines>::over(Checkpointed::with_switches(1, staging, switches));
        steps.iter().for_each(|step| world.apply(step));
        finish(&mut world);
    }

    #[test]
    fn values_of_changing_length_match_the_model(steps in prop::collection::vec(step(), 1..200), chunks in 1..60usize) {
        run::<Texts>(1, chunks, &steps);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn values_in_and_out_of_runs_match_the_model(steps in prop::collection::vec(step(), 1..120), chunks in 1..60usize) {
        run::<Blobs>(2, chunks, &steps);
    }

    #[test]
    fn fixed_values_in_runs_match_the_model(steps in prop::collection::vec(step(), 1..100), chunks in 1..60usize) {
        run::<Arrays>(1, chunks, &steps);
    }
}

#[test]
fn an_exhausted_budget_is_an_error_and_the_store_stays_whole() {
    let config = StoreConfig {
        key_groups: KeyGroups::new(1),
        budget_bytes: StoreConfig::budget_for_pages(256, StagingSize::default()),
        ..StoreConfig::default()
    };
    let mut store = Store::new(&config).expect("reserved");
    let table = ValueTable::<u64, u64>::open(&mut store, "small").expect("first");
    let mut stored = 0u64;
    let refused = loop {
        match table.put(&mut store, hash_key(&stored), &stored, &stored) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(
        refused.to_string().contains("state budget exhausted"),
        "{refused}"
    );
    assert_eq!(table.len(&store), stored);
    store.verify().expect("sound");
    table
        .put(&mut store, hash_key(&0), &0, &77)
        .expect("an existing key needs no page");
}

#[test]
fn a_table_of_other_types_is_refused_with_both_fingerprints() {
    let mut store = Store::new(&StoreConfig::default()).expect("reserved");
    ValueTable::<u64, u64>::open(&mut store, "t").expect("first");
    let error = ValueTable::<u64, u32>::open(&mut store, "t").expect_err("other value type");
    let text = error.to_string();
    assert!(
        text.contains("value type") && text.contains("expected fingerprint"),
        "{text}"
    );
}

#[test]
fn a_table_of_another_form_is_refused_with_both_named() {
    let mut store = Store::new(&StoreConfig::default()).expect("reserved");
    ValueTable::<u64, u64>::open(&mut store, "t").expect("first");
    // The first descriptor's kind byte; no test but this one writes descriptors by hand.
    store
        .arena_mut()
        .write(PageId::SUPERBLOCK, 64 + 94, &[1, 3]);
    let error = ValueTable::<u64, u64>::open(&mut store, "t").expect_err("other kind");
    let text = error.to_string();
    assert!(
        text.contains("expected hash table, keyed, found ordered table, broadcast"),
        "{text}"
    );
    store
        .arena_mut()
        .write(PageId::SUPERBLOCK, 64 + 94, &[2, 0]);
    let error = store.verify().expect_err("no such kind");
    assert!(
        error.to_string().contains("table kind and scope"),
        "{error}"
    );
}

#[test]
fn a_value_without_bytes_makes_a_set_of_keys() {
    let mut store = Store::new(&StoreConfig::default()).expect("reserved");
    let table = ValueTable::<str, ()>::open(&mut store, "seen").expect("first");
    for key in ["ice", "water", "ice"] {
        table
            .update(&mut store, hash_key(key), key, &(), |()| ())
            .expect("fits");
    }
    assert_eq!(table.len(&store), 2);
    store.verify().expect("sound");
}

/// Patience means: what is not captured yet finds room, or no record is applied. Where values lie
/// in runs, all of it has to find room.
#[test]
fn a_patient_store_waits_while_its_capture_has_little_room() {
    // Two chunks hold less than a run of records may need, the others more than that.
    for (chunk_count, keys, value_bytes, waits) in [
        (2, 1, 10, false),
        (2, 40_000, 10, true),
        (8, 100_000, 10, false),
        (8, 60, 100_000, true),
    ] {
        let staging = StagingSize {
            chunk_count,
            chunk_bytes: 256 << 10,
        };
        let config = StoreConfig {
            staging,
            ..StoreConfig::default()
        };
        let mut store = Store::new(&config).expect("reserved");
        let table = ValueTable::<u64, Vec<u8>>::open(&mut store, "t").expect("first");
        let value = vec![7; value_bytes];
        for key in 0..keys {
            table
                .put(&mut store, hash_key(&key), &key, &value)
                .expect("fits");
        }
        store.set_patient(true);
        assert!(!store.must_wait());
        store.freeze();
        assert_eq!(
            store.must_wait(),
            waits,
            "{chunk_count} chunks, {keys} keys"
        );
        while store.capture(1 << 20) != CaptureStatus::Done {
            while let Some(chunk) = store.take_chunk() {
                store.give_chunk(chunk);
            }
        }
        assert!(!store.must_wait());
    }
}
