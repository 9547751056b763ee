//! Random histories of list tables against vectors, with snapshots in between.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{ListTable, OrderedCursor};
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{StagingSize, Store, hash_key};

#[derive(Clone, Debug)]
enum Step {
    Append(u8, u16),
    AppendAll(u8, Vec<u16>),
    Replace(u8, Vec<u16>),
    Clear(u8),
    ClearSome(u8, u64),
    Snapshot(SnapshotStep),
}

fn step() -> impl Strategy<Value = Step> {
    let values = || prop::collection::vec(any::<u16>(), 0..60);
    prop_oneof![
        8 => (0..5u8, any::<u16>()).prop_map(|(key, value)| Step::Append(key, value)),
        6 => (0..5u8, values()).prop_map(|(key, values)| Step::AppendAll(key, values)),
        3 => (0..5u8, values()).prop_map(|(key, values)| Step::Replace(key, values)),
        1 => (0..5u8).prop_map(Step::Clear),
        2 => (0..5u8, 0..90u64).prop_map(|(key, limit)| Step::ClearSome(key, limit)),
        8 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

type Model = BTreeMap<u8, Vec<String>>;

fn element(number: u16) -> String {
    "e".repeat(usize::from(number % 50)) + &number.to_string()
}

fn elements(numbers: &[u16]) -> Vec<String> {
    numbers.iter().copied().map(element).collect()
}

fn check(store: &mut Store, model: &Model) {
    let table = ListTable::<u8, String>::open(store, "lists").expect("same types");
    let mut expected = Vec::new();
    for key in 0..5 {
        let list = model.get(&key).cloned().unwrap_or_default();
        let hash = hash_key(&key);
        assert_eq!(table.len_at(store, hash, &key), list.len() as u64);
        assert_eq!(table.is_empty_at(store, hash, &key), list.is_empty());
        assert_eq!(table.get(store, hash, &key).expect("valid"), list);
        let mut visited = Vec::new();
        table
            .for_each(store, hash, &key, |element| {
                visited.push(element.as_str().to_owned());
                ControlFlow::Continue(())
            })
            .expect("valid");
        assert_eq!(visited, list);
        expected.extend(
            (0..)
                .zip(list)
                .map(|(index, element)| (key, index, element)),
        );
    }
    let mut scanned: Vec<(u8, u64, String)> = Vec::new();
    let mut cursor = OrderedCursor::default();
    while !table
        .scan(store, &mut cursor, 11, |key, index, element| {
            scanned.push((*key, index, element))
        })
        .expect("valid")
    {}
    scanned.sort_unstable();
    assert_eq!(table.len(store), expected.len() as u64);
    assert_eq!(scanned, expected);
}

fn run(chunk_count: usize, steps: &[Step]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut checkpointed = Checkpointed::<Model>::new(2, staging);
    let table = ListTable::<u8, String>::open(&mut checkpointed.store, "lists").expect("first");
    let mut model = Model::new();
    for step in steps {
        let store = &mut checkpointed.store;
        match step {
            Step::Append(key, number) => {
                let value = element(*number);
                table
                    .append(store, hash_key(key), key, &value)
                    .expect("fits");
                model.entry(*key).or_default().push(value);
            }
            Step::AppendAll(key, numbers) => {
                let values = elements(numbers);
                table
                    .append_all(store, hash_key(key), key, &values)
                    .expect("fits");
                model.entry(*key).or_default().extend(values);
            }
            Step::Replace(key, numbers) => {
                let values = elements(numbers);
                table
                    .replace(store, hash_key(key), key, &values)
                    .expect("fits");
                model.insert(*key, values);
            }
            Step::Clear(key) => {
                let removed = table.clear(store, hash_key(key), key);
                let list = model.remove(key).unwrap_or_default();
                assert_eq!(removed.expect("sound"), list.len() as u64);
            }
            Step::ClearSome(key, limit) => {
                let list = model.entry(*key).or_default();
                let left = list.len() - list.len().min(usize::try_from(*limit).expect("small"));
                let removed = table.clear_some(store, hash_key(key), key, *limit);
                let expected = ((list.len() - left) as u64, left == 0);
                assert_eq!(removed.expect("sound"), expected);
                list.truncate(left);
            }
            Step::Snapshot(step) => checkpointed.apply(step, &model, check),
        }
    }
    checkpointed.store.verify().expect("sound");
    check(&mut checkpointed.store, &model);
    checkpointed.finish(&model, check);
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn lists_match_the_model(steps in prop::collection::vec(step(), 1..120), chunks in 1..30usize) {
        run(chunks, &steps);
    }
}
