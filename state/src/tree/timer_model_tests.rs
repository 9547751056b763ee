//! Random histories of a timer table against a sorted set, with snapshots in between.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::TimerTable;
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{KeyGroups, StagingSize, Store, hash_key};

const GROUPS: u32 = 8;

#[derive(Clone, Debug)]
enum Step {
    Register(u64, u8, u8),
    RegisterRange(u64, u8),
    Delete(u64, u8, u8),
    PopDue(u64),
    Reopen,
    Snapshot(SnapshotStep),
}

fn step() -> impl Strategy<Value = Step> {
    let timer = (0..200u64, 0..30u8, 0..3u8);
    prop_oneof![
        8 => timer.clone().prop_map(|(time, key, space)| Step::Register(time, key, space)),
        3 => (0..200u64, 0..30u8).prop_map(|(time, key)| Step::RegisterRange(time, key)),
        4 => timer.prop_map(|(time, key, space)| Step::Delete(time, key, space)),
        3 => (0..200u64).prop_map(Step::PopDue),
        1 => Just(Step::Reopen),
        8 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

/// Timers as (time, key group, key, namespace): the order in which they are due.
type Model = BTreeSet<(u64, u32, String, u8)>;

fn key(number: u8) -> String {
    "k\0".repeat(usize::from(number % 4)) + &number.to_string()
}

fn model_timer(time: u64, number: u8, space: u8) -> (u64, u32, String, u8) {
    let key = key(number);
    let group = KeyGroups::new(GROUPS).group_of(hash_key(&key));
    (time, group, key, space)
}

fn open(store: &mut Store) -> TimerTable<str, u8> {
    TimerTable::open(store, "timers").expect("same types")
}

/// Takes what is due at `now` out of both and compares; true if a timer was due.
fn pop(store: &mut Store, timers: &mut TimerTable<str, u8>, model: &mut Model, now: u64) -> bool {
    let expected = model.first().filter(|timer| timer.0 <= now).cloned();
    let due = timers.pop_due(store, now).expect("valid");
    let found = due.map(|due| {
        let (key, space) = (
            due.with_key(str::to_owned),
            due.with_namespace(|space| *space),
        );
        let group = KeyGroups::new(GROUPS).group_of(hash_key(&key));
        (due.time(), group, key, space)
    });
    assert_eq!(found, expected);
    found.is_some_and(|timer| model.remove(&timer))
}

fn check(store: &mut Store, model: &Model) {
    let mut timers = open(store);
    let mut rest = model.clone();
    assert_eq!(timers.len(store), rest.len() as u64);
    while pop(store, &mut timers, &mut rest, u64::MAX) {}
    assert!(timers.is_empty(store));
    store.verify().expect("sound");
}

fn run(chunk_count: usize, steps: &[Step]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut checkpointed = Checkpointed::<Model>::new(GROUPS, staging);
    let mut timers = open(&mut checkpointed.store);
    let mut model = Model::new();
    for step in steps {
        let store = &mut checkpointed.store;
        match *step {
            Step::Register(time, number, space) => {
                let key = key(number);
                let is_new = timers
                    .register(store, hash_key(&key), time, &key, &space)
                    .expect("fits");
                assert_eq!(is_new, model.insert(model_timer(time, number, space)));
            }
            Step::RegisterRange(from, number) => {
                let key = key(number);
                for time in from..from + 150 {
                    timers
                        .register(store, hash_key(&key), time, &key, &0)
                        .expect("fits");
                    model.insert(model_timer(time, number, 0));
                }
            }
            Step::Delete(time, number, space) => {
                let key = key(number);
                let deleted = timers.delete(store, hash_key(&key), time, &key, &space);
                let was_there = model.remove(&model_timer(time, number, space));
                assert_eq!(deleted.expect("sound"), was_there);
            }
            Step::PopDue(now) => while pop(store, &mut timers, &mut model, now) {},
            Step::Reopen => timers = open(store),
            Step::Snapshot(ref step) => checkpointed.apply(step, &model, check),
        }
        assert_eq!(timers.earliest(), model.first().map(|timer| timer.0));
    }
    checkpointed.store.verify().expect("sound");
    checkpointed.finish(&model, check);
    check(&mut checkpointed.store, &model);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..100)
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn timers_match_the_model(steps in steps(), chunks in 1..30usize) {
        run(chunks, &steps);
    }
}
