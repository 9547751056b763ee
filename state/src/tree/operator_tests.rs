//! Operator lists and broadcast tables: against a vector and a map, and over changes of the number
//! of shards.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{BroadcastTable, ListRedistribution, OperatorList};
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{KeyGroups, StagingSize, Store, StoreConfig};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u16>),
    Replace(Vec<u16>),
    Clear,
    Put(u16, u8),
    Remove(u16),
    Snapshot(SnapshotStep),
}

fn step() -> impl Strategy<Value = Step> {
    let numbers = || prop::collection::vec(any::<u16>(), 0..90);
    prop_oneof![
        5 => numbers().prop_map(Step::Append),
        2 => numbers().prop_map(Step::Replace),
        1 => Just(Step::Clear),
        8 => (0..300u16, any::<u8>()).prop_map(|(key, size)| Step::Put(key, size)),
        4 => (0..300u16).prop_map(Step::Remove),
        8 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

type Model = (Vec<String>, BTreeMap<String, Vec<u8>>);

fn texts(numbers: &[u16]) -> Vec<String> {
    numbers.iter().map(u16::to_string).collect()
}

fn open(store: &mut Store) -> (OperatorList<String>, BroadcastTable<str, Vec<u8>>) {
    let split = ListRedistribution::Split;
    (
        OperatorList::open(store, "list", split).expect("same types"),
        BroadcastTable::open(store, "rules").expect("same types"),
    )
}

fn check(store: &mut Store, (list, rules): &Model) {
    let (elements, table) = open(store);
    assert_eq!(&elements.get(store).expect("valid"), list);
    assert_eq!(elements.len(store), list.len() as u64);
    let mut visited = Vec::new();
    elements
        .for_each(store, |element| {
            visited.push(element.as_str().to_owned());
            ControlFlow::Continue(())
        })
        .expect("valid");
    assert_eq!(&visited, list);
    let mut found = Vec::new();
    table
        .for_each(store, |key, value| {
            found.push((key.to_owned(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .expect("valid");
    assert!(found.into_iter().eq(rules.clone()), "in key order");
    assert_eq!(table.len(store), rules.len() as u64);
}

fn run(steps: &[Step]) {
    let staging = StagingSize {
        chunk_count: 8,
        chunk_bytes: 8 << 10,
    };
    let mut checkpointed = Checkpointed::<Model>::new(4, staging);
    let (list, rules) = open(&mut checkpointed.store);
    let mut model = Model::default();
    for step in steps {
        let store = &mut checkpointed.store;
        match step {
            Step::Append(numbers) => {
                list.append_all(store, &texts(numbers)).expect("fits");
                model.0.extend(texts(numbers));
            }
            Step::Replace(numbers) => {
                list.replace(store, &texts(numbers)).expect("fits");
                model.0 = texts(numbers);
            }
            Step::Clear => {
                let removed = list.clear(store).expect("sound");
                assert_eq!(removed, model.0.len() as u64);
                model.0.clear();
            }
            Step::Put(number, size) => {
                let key = number.to_string();
                let value = vec![*size; usize::from(*size) * 20];
                rules.put(store, &key, &value).expect("fits");
                assert!(rules.contains(store, &key));
                assert_eq!(
                    rules.get(store, &key).expect("valid").as_ref(),
                    Some(&value)
                );
                model.1.insert(key, value);
            }
            Step::Remove(number) => {
                let key = number.to_string();
                let removed = rules.remove(store, &key).expect("sound");
                assert_eq!(removed, model.1.remove(&key).is_some());
                assert!(rules.get_archived(store, &key).expect("valid").is_none());
            }
            Step::Snapshot(step) => checkpointed.apply(step, &model, check),
        }
    }
    checkpointed.store.verify().expect("sound");
    checkpointed.finish(&model, check);
    check(&mut checkpointed.store, &model);
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn lists_and_broadcast_tables_match_the_model(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps);
    }
}

fn stores(shard_count: usize) -> Vec<Store> {
    let config = |shard| StoreConfig {
        key_groups: KeyGroups::new(64),
        shard,
        shard_count,
        budget_bytes: 4 << 20,
        staging: StagingSize {
            chunk_count: 2,
            chunk_bytes: 16 << 10,
        },
        ..StoreConfig::default()
    };
    (0..shard_count)
        .map(|shard| Store::new(&config(shard)).expect("reserved"))
        .collect()
}

/// Lists of the old shards with these lengths, and what the new shards hold of them.
fn redistribute(
    lengths: &[usize],
    shard_count: usize,
    redistribution: ListRedistribution,
) -> (Vec<u64>, Vec<Vec<u64>>) {
    let mut old = stores(lengths.len());
    let mut next = 0;
    for (store, length) in old.iter_mut().zip(lengths) {
        let values: Vec<u64> = (next..).take(*length).collect();
        next += *length as u64;
        let list = OperatorList::<u64>::open(store, "list", redistribution).expect("first");
        list.append_all(store, &values).expect("fits");
    }
    let mut new = stores(shard_count);
    let parts = new.iter_mut().map(|store| {
        old.iter()
            .for_each(|source| store.adopt(source).expect("fits"));
        store.verify().expect("sound");
        let list = OperatorList::<u64>::open(store, "list", redistribution).expect("same");
        list.append(store, &u64::MAX).expect("it goes on");
        let mut values = list.get(store).expect("valid");
        assert_eq!(values.pop(), Some(u64::MAX));
        values
    });
    ((0..next).collect(), parts.collect())
}

#[test]
fn a_split_list_is_dealt_out_evenly_and_whole() {
    for lengths in [&[1, 1, 1, 1][..], &[100], &[7, 0, 300, 2], &[64, 64]] {
        for shard_count in [1, 2, 3, 4, 7, 64] {
            let (all, parts) = redistribute(lengths, shard_count, ListRedistribution::Split);
            let mut found = parts.concat();
            found.sort_unstable();
            assert_eq!(found, all, "every element once");
            // Each old list is spread evenly, so the parts differ by a few elements for each.
            let fair = all.len() / shard_count;
            for part in parts {
                let spread = part.len().abs_diff(fair);
                assert!(
                    spread <= 1 + 2 * lengths.len() + fair / 8,
                    "{lengths:?} {shard_count}"
                );
            }
        }
    }
    let (_, parts) = redistribute(&[1, 1, 1, 1], 2, ListRedistribution::Split);
    assert!(
        parts.iter().all(|part| part.len() == 2),
        "short lists are spread too"
    );
}

#[test]
fn every_shard_gets_the_whole_union_list() {
    let (all, parts) = redistribute(&[5, 0, 90], 2, ListRedistribution::Union);
    assert!(parts.iter().all(|part| *part == all));
}

#[test]
fn every_shard_gets_the_broadcast_table() {
    let mut old = stores(3);
    for store in &mut old {
        let table = BroadcastTable::<u32, String>::open(store, "rules").expect("first");
        for key in 0..500 {
            table.put(store, &key, &key.to_string()).expect("fits");
        }
    }
    for store in &mut stores(2) {
        old.iter()
            .for_each(|source| store.adopt(source).expect("fits"));
        store.verify().expect("sound");
        let table = BroadcastTable::<u32, String>::open(store, "rules").expect("same");
        assert_eq!(table.len(store), 500);
        assert_eq!(table.get(store, &77).expect("valid"), Some("77".to_owned()));
        assert_eq!(table.clear(store).expect("sound"), 500);
        assert!(table.is_empty(store));
    }
}

#[test]
fn a_list_keeps_its_redistribution() {
    let store = &mut stores(1)[0];
    OperatorList::<u64>::open(store, "list", ListRedistribution::Split).expect("first");
    let error = OperatorList::<u64>::open(store, "list", ListRedistribution::Union);
    let text = error.expect_err("another form").to_string();
    assert!(
        text.contains("list (union), found") && text.contains("list (split)"),
        "{text}"
    );
}
