//! Random histories of map tables against a `BTreeMap`, with snapshots in between.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use proptest::prelude::*;

use super::{MapTable, OrderedCursor};
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{Key, StagingSize, Store, Value, hash_key};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16, u8),
    Update(u8, u16),
    Remove(u8, u16),
    PutRange(u8, u16, u16, u8),
    /// Every second one, so that leaves run low and merge.
    RemoveSparse(u8, u16, u16),
    RemoveRange(u8, Bound<u16>, Bound<u16>),
    /// In slices of so many entries.
    RemoveSlices(u8, Bound<u16>, Bound<u16>, u64),
    Clear(u8),
    Snapshot(SnapshotStep),
}

fn bound() -> impl Strategy<Value = Bound<u16>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (0..700u16).prop_map(Bound::Included),
        (0..700u16).prop_map(Bound::Excluded),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (key, number) = (0..6u8, 0..700u16);
    let entry = (key.clone(), number.clone());
    prop_oneof![
        8 => (key.clone(), number.clone(), any::<u8>())
            .prop_map(|(key, m, size)| Step::Put(key, m, size)),
        6 => entry.clone().prop_map(|(key, m)| Step::Update(key, m)),
        4 => entry.prop_map(|(key, m)| Step::Remove(key, m)),
        4 => (key.clone(), number.clone(), 1..300u16, any::<u8>())
            .prop_map(|(key, from, count, size)| Step::PutRange(key, from, count, size)),
        2 => (key.clone(), number, 1..300u16)
            .prop_map(|(key, from, count)| Step::RemoveSparse(key, from, count)),
        2 => (key.clone(), bound(), bound())
            .prop_map(|(key, from, to)| Step::RemoveRange(key, from, to)),
        2 => (key.clone(), bound(), bound(), 0..200u64)
            .prop_map(|(key, from, to, limit)| Step::RemoveSlices(key, from, to, limit)),
        1 => key.prop_map(Step::Clear),
        15 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

/// How numbers become keys and values.
trait Shape {
    type Key: Key + Clone + Ord;
    type MapKey: Key + Clone + Ord;
    type Value: Value + Clone + PartialEq + std::fmt::Debug;
    fn key(number: u8) -> Self::Key;
    fn map_key(number: u16) -> Self::MapKey;
    fn value(number: u16, size: u8) -> Self::Value;
    fn next(value: &mut Self::Value);
}

struct Fixed;
impl Shape for Fixed {
    type Key = u64;
    type MapKey = u32;
    type Value = u64;
    fn key(number: u8) -> u64 {
        // One at the very end, whose entries have no key behind them.
        if number == 5 {
            u64::MAX
        } else {
            u64::from(number)
        }
    }
    fn map_key(number: u16) -> u32 {
        u32::from(number) * 0x0101
    }
    fn value(number: u16, size: u8) -> u64 {
        u64::from(number) * 1000 + u64::from(size)
    }
    fn next(value: &mut u64) {
        *value += 1;
    }
}

/// Keys that are each other's beginnings, and hold the bytes that end and escape parts.
struct Texts;
impl Shape for Texts {
    type Key = String;
    type MapKey = String;
    type Value = (u32, String);
    fn key(number: u8) -> String {
        "a\0".repeat(usize::from(number))
    }
    fn map_key(number: u16) -> String {
        format!("{}{number}", "m".repeat(usize::from(number % 90) * 3))
    }
    fn value(number: u16, size: u8) -> (u32, String) {
        (u32::from(number), "v".repeat(usize::from(size) * 6))
    }
    fn next(value: &mut (u32, String)) {
        value.0 += 1;
        if value.0.is_multiple_of(3) {
            value.1.push('w');
        }
    }
}

/// Values in and out of runs.
struct Blobs;
impl Shape for Blobs {
    type Key = u16;
    type MapKey = u16;
    type Value = Vec<u8>;
    fn key(number: u8) -> u16 {
        u16::from(number)
    }
    fn map_key(number: u16) -> u16 {
        number
    }
    fn value(number: u16, size: u8) -> Vec<u8> {
        let factor = if size.is_multiple_of(4) { 70 } else { 9 };
        vec![number.to_le_bytes()[0]; usize::from(size) * factor]
    }
    fn next(value: &mut Vec<u8>) {
        match value.len() % 3 {
            0 => value.extend([7; 700]),
            1 => value.truncate(value.len() / 3),
            _ => value.push(1),
        }
    }
}

/// Few entries a page and long separators: many levels with little in them.
struct Long;
impl Shape for Long {
    type Key = u8;
    type MapKey = String;
    type Value = ();
    fn key(number: u8) -> u8 {
        number
    }
    fn map_key(number: u16) -> String {
        format!("{}{number:05}", "l".repeat(1000))
    }
    fn value(_: u16, _: u8) {}
    fn next(_: &mut ()) {}
}

type Model<S> = BTreeMap<(<S as Shape>::Key, <S as Shape>::MapKey), <S as Shape>::Value>;
type Table<S> = MapTable<<S as Shape>::Key, <S as Shape>::MapKey, <S as Shape>::Value>;

struct World<S: Shape> {
    checkpointed: Checkpointed<Model<S>>,
    table: Table<S>,
    model: Model<S>,
}

impl<S: Shape> World<S> {
    fn new(groups: u32, staging: StagingSize) -> Self {
        let mut checkpointed = Checkpointed::new(groups, staging);
        let table = MapTable::open(&mut checkpointed.store, "map").expect("first table");
        Self {
            checkpointed,
            table,
            model: Model::<S>::new(),
        }
    }

    fn put(&mut self, key: u8, number: u16, size: u8) {
        let (key, map_key, value) = (S::key(key), S::map_key(number), S::value(number, size));
        let store = &mut self.checkpointed.store;
        self.table
            .put(store, hash_key(&key), &key, &map_key, &value)
            .expect("within the budget");
        self.model.insert((key, map_key), value);
    }

    fn update(&mut self, key: u8, number: u16) {
        let (key, map_key, initial) = (S::key(key), S::map_key(number), S::value(number, 1));
        let store = &mut self.checkpointed.store;
        self.table
            .update(store, hash_key(&key), &key, &map_key, &initial, S::next)
            .expect("within the budget");
        S::next(self.model.entry((key, map_key)).or_insert(initial));
    }

    fn remove(&mut self, key: u8, number: u16) {
        let (key, map_key) = (S::key(key), S::map_key(number));
        let store = &mut self.checkpointed.store;
        let removed = self.table.remove(store, hash_key(&key), &key, &map_key);
        let was_there = self.model.remove(&(key, map_key)).is_some();
        assert_eq!(removed.expect("own run"), was_there);
    }

    fn remove_range(&mut self, key: u8, from: Bound<u16>, to: Bound<u16>) {
        let range = (from.map(S::map_key), to.map(S::map_key));
        let (key, store) = (S::key(key), &mut self.checkpointed.store);
        let borrowed = (range.0.as_ref(), range.1.as_ref());
        let removed = self
            .table
            .remove_range(store, hash_key(&key), &key, borrowed);
        let before = self.model.len();
        self.model
            .retain(|(k, m), _| *k != key || !std::ops::RangeBounds::contains(&range, m));
        let expected = (before - self.model.len()) as u64;
        assert_eq!(removed.expect("own runs"), expected);
    }

    /// Each slice takes the lowest, as many as it is asked for and a leaf more at most.
    fn remove_slices(&mut self, key: u8, from: Bound<u16>, to: Bound<u16>, limit: u64) {
        let range = (from.map(S::map_key), to.map(S::map_key));
        let (key, store) = (S::key(key), &mut self.checkpointed.store);
        let borrowed = (range.0.as_ref(), range.1.as_ref());
        loop {
            let (removed, is_done) = self
                .table
                .remove_some(store, hash_key(&key), &key, borrowed, limit.max(1))
                .expect("own runs");
            let inside = |(k, m): &&(S::Key, S::MapKey)| {
                *k == key && std::ops::RangeBounds::contains(&range, m)
            };
            let lowest: Vec<_> = self.model.keys().filter(inside).cloned().collect();
            assert!(is_done || (removed >= limit && removed < limit + 400));
            assert_eq!(is_done, removed == lowest.len() as u64);
            for entry in &lowest[..usize::try_from(removed).expect("few")] {
                self.model.remove(entry);
            }
            if is_done {
                return;
            }
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Put(key, number, size) => self.put(key, number, size),
            Step::Update(key, number) => self.update(key, number),
            Step::Remove(key, number) => self.remove(key, number),
            Step::PutRange(key, from, count, size) => {
                (from..from + count).for_each(|number| self.put(key, number, size));
            }
            Step::RemoveSparse(key, from, count) => (from..from + count)
                .filter(|number| number % 8 != 0)
                .for_each(|number| self.remove(key, number)),
            Step::RemoveRange(key, from, to) => self.remove_range(key, from, to),
            Step::RemoveSlices(key, from, to, limit) => self.remove_slices(key, from, to, limit),
            Step::Clear(key) => self.remove_range(key, Bound::Unbounded, Bound::Unbounded),
            Step::Snapshot(ref step) => {
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
    let table = Table::<S>::open(store, "map").expect("same types");
    check_content::<S>(store, &table, model);
}

fn check_content<S: Shape>(store: &Store, table: &Table<S>, model: &Model<S>) {
    assert_eq!(table.len(store), model.len() as u64);
    for ((key, map_key), value) in model {
        let found = table
            .get(store, hash_key(key), key, map_key)
            .expect("valid");
        assert_eq!(found.as_ref(), Some(value));
    }
    let mut visited = Model::<S>::new();
    let mut cursor = OrderedCursor::default();
    while !table
        .scan(store, &mut cursor, 7, |key, map_key, value| {
            let twice = visited.insert((key.clone(), map_key.clone()), value);
            assert!(twice.is_none(), "an entry is visited twice");
        })
        .expect("valid")
    {}
    assert!(visited == *model, "a scan sees what is there");
    let mut keys = Vec::new();
    let mut cursor = OrderedCursor::default();
    while !table
        .keys(store, &mut cursor, 2, |key| keys.push(key.clone()))
        .expect("valid")
    {}
    keys.sort_unstable();
    let mut expected: Vec<S::Key> = model.keys().map(|(key, _)| key.clone()).collect();
    expected.dedup();
    assert!(keys == expected, "every key once");
    for number in 0..6 {
        check_ranges::<S>(store, table, model, number);
    }
    assert_eq!(store.dump().expect("sound").len(), model.len());
}

fn check_ranges<S: Shape>(store: &Store, table: &Table<S>, model: &Model<S>, number: u8) {
    let key = S::key(number);
    let edges = [Bound::Unbounded, Bound::Included(90), Bound::Excluded(300)];
    for (from, to) in edges.iter().flat_map(|from| edges.map(|to| (*from, to))) {
        let range = (from.map(S::map_key), to.map(S::map_key));
        let mut expected: Vec<S::MapKey> = model
            .keys()
            .filter(|(k, m)| *k == key && std::ops::RangeBounds::contains(&range, m))
            .map(|(_, map_key)| map_key.clone())
            .collect();
        let borrowed = (range.0.as_ref(), range.1.as_ref());
        let mut found = Vec::new();
        table
            .range(store, hash_key(&key), &key, borrowed, |map_key, _| {
                found.push(map_key.clone());
                ControlFlow::Continue(())
            })
            .expect("valid");
        assert!(found == expected, "a range rises");
        found.clear();
        table
            .range_back(store, hash_key(&key), &key, borrowed, |map_key, _| {
                found.push(map_key.clone());
                ControlFlow::Continue(())
            })
            .expect("valid");
        expected.reverse();
        assert!(found == expected, "a range falls");
    }
}

fn run<S: Shape>(groups: u32, chunk_count: usize, steps: &[Step]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut world = World::<S>::new(groups, staging);
    for (number, step) in steps.iter().enumerate() {
        world.apply(step);
        if number % 8 == 0 {
            world.checkpointed.store.verify().expect("sound");
        }
    }
    world.check();
    world.checkpointed.finish(&world.model, check_restored::<S>);
    for key in 0..6 {
        world.apply(&Step::Clear(key));
    }
    world.check();
    // Nothing is left but the superblock, the roots and free pages.
    assert_eq!(world.checkpointed.store.used_bytes(), 2 * 4096);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..100)
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn fixed_entries_match_the_model(steps in steps(), chunks in 1..12usize) {
        run::<Fixed>(4, chunks, &steps);
    }

    #[test]
    fn entries_of_changing_length_match_the_model(steps in steps(), chunks in 1..60usize) {
        run::<Texts>(1, chunks, &steps);
    }

    #[test]
    fn values_in_and_out_of_runs_match_the_model(steps in steps(), chunks in 1..60usize) {
        run::<Blobs>(1, chunks, &steps);
    }

    #[test]
    fn trees_of_many_levels_match_the_model(steps in steps(), chunks in 1..60usize) {
        run::<Long>(1, chunks, &steps);
    }
}
