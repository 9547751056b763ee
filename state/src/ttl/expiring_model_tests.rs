//! Random histories of a table with expiry against a map of (value, time), under a clock that only
//! the test moves, with snapshots in between.
//!
//! The story: a value is seen until its time is over and never after, whatever was read, written,
//! restored or freed in between; and freeing takes all that has expired and nothing else.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::policy::any_policy;
use super::{ExpiringTable, Expiry, ExpiryPolicy};
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{ScanCursor, StagingSize, Store, hash_key};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Update(u8),
    Get(u8),
    GetArchived(u8),
    Remove(u8),
    Advance(u64),
    Expire(usize),
    Clear(usize),
    Reopen(u64),
    Snapshot(SnapshotStep),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..60u8, 0..6000u16).prop_map(|(key, bytes)| Step::Put(key, bytes)),
        4 => (0..60u8).prop_map(Step::Update),
        4 => (0..60u8).prop_map(Step::Get),
        2 => (0..60u8).prop_map(Step::GetArchived),
        2 => (0..60u8).prop_map(Step::Remove),
        4 => (0..60u64).prop_map(Step::Advance),
        3 => (1..40usize).prop_map(Step::Expire),
        1 => (1..40usize).prop_map(Step::Clear),
        1 => (50..150u64).prop_map(Step::Reopen),
        6 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

#[derive(Clone)]
struct Model {
    now_ms: u64,
    expiry: Expiry,
    /// By key: the value and when it expires; what has expired stays until it is freed.
    held: BTreeMap<u8, (String, u64)>,
}

impl Model {
    fn seen(&self, key: u8) -> Option<&String> {
        let (value, expires_ms) = self.held.get(&key)?;
        (self.now_ms < *expires_ms).then_some(value)
    }

    fn write(&mut self, key: u8, value: String) {
        let anew = self.now_ms + self.expiry.after_ms;
        let expires_ms = match (self.seen(key), self.expiry.policy) {
            (Some(_), ExpiryPolicy::OnCreate) => self.held[&key].1,
            _ => anew,
        };
        self.held.insert(key, (value, expires_ms));
    }

    fn read(&mut self, key: u8) -> Option<String> {
        let value = self.seen(key).cloned()?;
        if self.expiry.policy == ExpiryPolicy::OnRead {
            let anew = self.now_ms + self.expiry.after_ms;
            let expires_ms = self.held[&key].1.max(anew);
            self.held.insert(key, (value.clone(), expires_ms));
        }
        Some(value)
    }

    fn expired_count(&self) -> usize {
        let is_expired = |held: &&(String, u64)| held.1 <= self.now_ms;
        self.held.values().filter(is_expired).count()
    }
}

fn open(store: &mut Store, expiry: Expiry) -> ExpiringTable<u8, String> {
    ExpiringTable::open(store, "texts", expiry).expect("same types")
}

/// What is seen in a restored store, at the time of the freeze and after everything was freed.
fn check(store: &mut Store, model: &Model) {
    store.set_time(model.now_ms);
    let mut table = open(store, model.expiry);
    assert_eq!(table.held_count(store), model.held.len() as u64);
    let mut seen = BTreeMap::new();
    let whole = table.scan(
        store,
        &mut ScanCursor::default(),
        usize::MAX,
        |key, value| {
            seen.insert(*key, value);
        },
    );
    assert!(whole.expect("valid"));
    for key in 0..60 {
        assert_eq!(seen.get(&key), model.seen(key), "key {key}");
    }
    while !table.expire(store, 7).expect("sound").is_done {}
    assert_eq!(table.held_count(store), seen.len() as u64);
    store.set_time(u64::MAX);
    while !table.expire(store, 1000).expect("sound").is_done {}
    assert_eq!(table.held_count(store), 0);
    assert_eq!(table.timed.queue.len(store), 0);
    store.verify().expect("sound");
}

fn apply(store: &mut Store, table: &mut ExpiringTable<u8, String>, model: &mut Model, step: &Step) {
    match *step {
        Step::Put(key, bytes) => {
            let value = "v".repeat(usize::from(bytes));
            table
                .put(store, hash_key(&key), &key, &value)
                .expect("fits");
            model.write(key, value);
        }
        Step::Update(key) => {
            let push = |value: &mut String| value.push('w');
            table
                .update(store, hash_key(&key), &key, &"new".to_owned(), push)
                .expect("fits");
            let mut value = model.seen(key).cloned().unwrap_or("new".to_owned());
            push(&mut value);
            model.write(key, value);
        }
        Step::Get(key) => {
            let found = table.get(store, hash_key(&key), &key).expect("valid");
            assert_eq!(found, model.read(key));
        }
        Step::GetArchived(key) => {
            let found = table.get_archived(store, hash_key(&key), &key);
            let found = found.expect("valid").map(|text| text.as_str().to_owned());
            assert_eq!(found, model.read(key));
        }
        Step::Remove(key) => {
            let removed = table.remove(store, hash_key(&key), &key).expect("sound");
            assert_eq!(removed, model.seen(key).is_some());
            model.held.remove(&key);
        }
        Step::Advance(ms) => {
            model.now_ms += ms;
            store.set_time(model.now_ms);
            store.set_time(model.now_ms / 2);
            assert_eq!(store.time(), model.now_ms, "the time never goes back");
        }
        Step::Expire(limit) => expire(store, table, model, limit),
        Step::Clear(limit) => {
            let is_empty = table.clear(store, limit).expect("sound");
            let left: BTreeMap<_, _> = std::mem::take(&mut model.held);
            let is_held = |key: &u8| table.timed.entries.contains(store, hash_key(key), key);
            model.held = left.into_iter().filter(|(key, _)| is_held(key)).collect();
            assert_eq!(is_empty, model.held.is_empty());
        }
        Step::Reopen(after_ms) => {
            model.expiry.after_ms = after_ms;
            *table = open(store, model.expiry);
        }
        Step::Snapshot(_) => unreachable!("done by the caller"),
    }
}

fn expire(
    store: &mut Store,
    table: &mut ExpiringTable<u8, String>,
    model: &mut Model,
    limit: usize,
) {
    let before = model.expired_count();
    let expired = table.expire(store, limit).expect("sound");
    let mut bytes = 0;
    model.held.retain(|key, (value, expires_ms)| {
        let is_held = table.timed.entries.contains(store, hash_key(key), key);
        assert!(
            is_held || *expires_ms <= model.now_ms,
            "key {key} was freed early"
        );
        if !is_held {
            bytes += value.len() as u64;
        }
        is_held
    });
    let freed = before
        - model
            .held
            .values()
            .filter(|held| held.1 <= model.now_ms)
            .count();
    assert_eq!(expired.record_count, freed as u64);
    assert!(expired.freed_bytes >= bytes);
    assert!(!expired.is_done || freed == before, "something is left");
}

fn run(policy: ExpiryPolicy, chunk_count: usize, steps: &[Step]) {
    let staging = StagingSize {
        chunk_count,
        chunk_bytes: 8 << 10,
    };
    let mut model = Model {
        now_ms: 1000,
        expiry: Expiry {
            after_ms: 100,
            policy,
        },
        held: BTreeMap::new(),
    };
    let mut checkpointed = Checkpointed::new(4, staging);
    let mut table = open(&mut checkpointed.store, model.expiry);
    checkpointed.store.set_time(model.now_ms);
    for step in steps {
        if let Step::Snapshot(step) = step {
            checkpointed.apply(step, &model, check);
            continue;
        }
        apply(&mut checkpointed.store, &mut table, &mut model, step);
        assert_eq!(
            table.timed.queue.len(&checkpointed.store),
            table.held_count(&checkpointed.store),
            "every value has one entry in the queue"
        );
    }
    checkpointed.store.verify().expect("sound");
    checkpointed.finish(&model, check);
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn values_expire_as_their_policy_says(
        policy in any_policy(),
        steps in prop::collection::vec(step(), 1..150),
        chunks in 1..40usize
    ) {
        run(policy, chunks, &steps);
    }
}

#[test]
fn a_read_that_starts_the_time_anew_writes_one_line() {
    let staging = StagingSize::default();
    let mut checkpointed = Checkpointed::<()>::new(1, staging);
    let store = &mut checkpointed.store;
    let expiry = Expiry {
        after_ms: 100,
        policy: ExpiryPolicy::OnRead,
    };
    let mut table = open(store, expiry);
    let hash = hash_key(&7u8);
    table
        .put(store, hash, &7, &"v".repeat(30_000))
        .expect("fits");
    store.freeze();
    while store.capture(1 << 20) != crate::CaptureStatus::Done {}
    while let Some(chunk) = store.take_chunk() {
        store.give_chunk(chunk);
    }
    store.forget_snapshot();
    store.set_time(60);
    assert!(table.get(store, hash, &7).expect("valid").is_some());
    store.freeze();
    assert_eq!(store.capture(1 << 20), crate::CaptureStatus::Done);
    let chunk = store.take_chunk().expect("something changed");
    assert_eq!(chunk.body_bytes(), 16 + crate::LINE_BYTES);
    store.give_chunk(chunk);
}
