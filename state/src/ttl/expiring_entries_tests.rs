//! Random histories of maps and lists with expiry against std collections of (value, time), under a
//! clock that only the test moves, with snapshots, restores and other shard counts in between.
//!
//! The story: an entry is seen until its time is over and never after, whatever was read, written,
//! cleared, restored or moved in between; and every entry has one timer, so that all of them are
//! freed in the end and none is freed early.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::policy::any_policy;
use super::{ExpiringListTable, ExpiringMapTable, Expiry, ExpiryPolicy};
use crate::checkpointed::{Checkpointed, SnapshotStep, snapshot_step};
use crate::test_cases::cases;
use crate::{KeyGroups, OrderedCursor, StagingSize, Store, StoreConfig, hash_key};

const GROUPS: u32 = 8;
const KEYS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16, u16),
    Update(u8, u16),
    Get(u8, u16),
    Remove(u8, u16),
    /// So many entries from one on; at most so many in one call.
    RemoveSome(u8, u16, u16, u64),
    /// Rising or falling, at most so many.
    Range(u8, bool, u16, usize),
    Append(u8, Vec<u16>),
    Replace(u8, Vec<u16>),
    ReadList(u8, usize),
    ClearList(u8, u64),
    Advance(u64),
    Expire(usize),
    Reopen(u64),
    Snapshot(SnapshotStep),
}

fn step() -> impl Strategy<Value = Step> {
    let (key, entry) = (|| 0..KEYS, || 0..200u16);
    let numbers = || prop::collection::vec(any::<u16>(), 0..40);
    prop_oneof![
        6 => (key(), entry(), 0..4000u16).prop_map(|(k, m, size)| Step::Put(k, m, size)),
        4 => (key(), entry()).prop_map(|(k, m)| Step::Update(k, m)),
        3 => (key(), entry()).prop_map(|(k, m)| Step::Get(k, m)),
        2 => (key(), entry()).prop_map(|(k, m)| Step::Remove(k, m)),
        2 => (key(), entry(), 0..200u16, 0..80u64)
            .prop_map(|(k, m, count, limit)| Step::RemoveSome(k, m, count, limit)),
        3 => (key(), any::<bool>(), entry(), 0..90usize)
            .prop_map(|(k, rising, m, limit)| Step::Range(k, rising, m, limit)),
        4 => (key(), numbers()).prop_map(|(k, values)| Step::Append(k, values)),
        1 => (key(), numbers()).prop_map(|(k, values)| Step::Replace(k, values)),
        3 => (key(), 0..90usize).prop_map(|(k, limit)| Step::ReadList(k, limit)),
        1 => (key(), 0..80u64).prop_map(|(k, limit)| Step::ClearList(k, limit)),
        5 => (0..60u64).prop_map(Step::Advance),
        3 => (1..80usize).prop_map(Step::Expire),
        1 => (50..150u64).prop_map(Step::Reopen),
        6 => snapshot_step().prop_map(Step::Snapshot),
    ]
}

/// A value and when it expires.
type Timed = (String, u64);

#[derive(Clone)]
struct Model {
    now_ms: u64,
    expiry: Expiry,
    maps: BTreeMap<(u8, u16), Timed>,
    lists: BTreeMap<u8, Vec<Timed>>,
}

impl Model {
    fn anew(&self) -> u64 {
        self.now_ms + self.expiry.after_ms
    }

    /// When an entry that may be there expires after a write.
    fn after_write(&self, before: Option<&Timed>) -> u64 {
        match before {
            Some((_, at)) if self.expiry.policy == ExpiryPolicy::OnCreate => *at,
            _ => self.anew(),
        }
    }

    fn after_read(&self, at: u64) -> u64 {
        match self.expiry.policy {
            ExpiryPolicy::OnRead => at.max(self.anew()),
            ExpiryPolicy::OnCreate | ExpiryPolicy::OnWrite => at,
        }
    }

    fn forget_expired(&mut self) {
        let now_ms = self.now_ms;
        self.maps.retain(|_, (_, at)| now_ms < *at);
        for list in self.lists.values_mut() {
            list.retain(|(_, at)| now_ms < *at);
        }
    }

    fn seen_list(&self, key: u8) -> Vec<String> {
        let list = self.lists.get(&key).into_iter().flatten();
        list.map(|(value, _)| value.clone()).collect()
    }

    fn seen_count(&self) -> (u64, u64) {
        let elements: usize = self.lists.values().map(Vec::len).sum();
        (self.maps.len() as u64, elements as u64)
    }
}

struct Tables {
    maps: ExpiringMapTable<u8, u16, String>,
    lists: ExpiringListTable<u8, String>,
}

impl Tables {
    fn open(store: &mut Store, expiry: Expiry) -> Self {
        Self {
            maps: ExpiringMapTable::open(store, "maps", expiry).expect("same types"),
            lists: ExpiringListTable::open(store, "lists", expiry).expect("same types"),
        }
    }

    /// Every entry has one timer.
    fn check_queues(&self, store: &Store) {
        let (maps, lists) = (&self.maps.timed.queue, &self.lists.timed.queue);
        assert_eq!(maps.len(store), self.maps.held_count(store));
        assert_eq!(lists.len(store), self.lists.held_count(store));
    }

    fn expire(&mut self, store: &mut Store, limit: usize) -> bool {
        let maps = self.maps.expire(store, limit).expect("sound");
        let lists = self.lists.expire(store, limit).expect("sound");
        let freed = maps.record_count + lists.record_count;
        assert!(maps.freed_bytes + lists.freed_bytes >= 3 * freed);
        maps.is_done && lists.is_done
    }
}

type Entries = Vec<(u8, u16, String)>;
type Elements = Vec<(u8, String)>;

/// All that is seen in a store, without reading it in the sense of expiry.
fn seen(store: &mut Store, tables: &Tables) -> (Entries, Elements) {
    let (mut maps, mut lists) = (Entries::new(), Elements::new());
    let mut cursor = OrderedCursor::default();
    let visit = |key: &u8, map_key: &u16, value| maps.push((*key, *map_key, value));
    let whole = tables.maps.scan(store, &mut cursor, usize::MAX, visit);
    assert!(whole.expect("valid"));
    let mut cursor = OrderedCursor::default();
    let visit = |key: &u8, value| lists.push((*key, value));
    let whole = tables.lists.scan(store, &mut cursor, usize::MAX, visit);
    assert!(whole.expect("valid"));
    (maps, lists)
}

fn expected(model: &Model) -> (Entries, Elements) {
    let maps = model.maps.iter();
    let maps = maps.map(|((key, map_key), (value, _))| (*key, *map_key, value.clone()));
    let lists = model.lists.keys();
    let lists = lists.flat_map(|key| model.seen_list(*key).into_iter().map(|value| (*key, value)));
    (maps.collect(), lists.collect())
}

/// What is seen in stores that hold the state together, then and after all was freed.
fn check_stores(stores: &mut [Store], model: &Model) {
    let mut model = model.clone();
    model.forget_expired();
    let (mut maps, mut lists) = (Entries::new(), Elements::new());
    for store in &mut *stores {
        store.set_time(model.now_ms);
        let mut tables = Tables::open(store, model.expiry);
        tables.check_queues(store);
        let (found_maps, found_lists) = seen(store, &tables);
        maps.extend(found_maps);
        lists.extend(found_lists);
        while !tables.expire(store, 7) {}
        tables.check_queues(store);
        let (found_maps, found_lists) = seen(store, &tables);
        let held = (
            tables.maps.held_count(store),
            tables.lists.held_count(store),
        );
        let found = (found_maps.len() as u64, found_lists.len() as u64);
        assert_eq!(held, found, "what has expired is freed, and nothing else");
    }
    maps.sort();
    lists.sort_by_key(|(key, _)| *key);
    assert_eq!((maps, lists), expected(&model));
    for store in stores {
        store.set_time(u64::MAX);
        let mut tables = Tables::open(store, model.expiry);
        while !tables.expire(store, 100) {}
        assert!(store.dump().expect("sound").is_empty(), "something stayed");
        store.verify().expect("sound");
    }
}

/// Another number of shards takes the state over, then one shard again.
fn check_rescaled(source: &Store, model: &Model) {
    let stores = |shard_count: usize| {
        (0..shard_count).map(move |shard| {
            let config = StoreConfig {
                key_groups: KeyGroups::new(GROUPS),
                shard,
                shard_count,
                budget_bytes: 64 << 20,
                staging: StagingSize {
                    chunk_count: 1,
                    chunk_bytes: 8 << 10,
                },
                ..StoreConfig::default()
            };
            Store::new(&config).expect("reserved")
        })
    };
    let mut three: Vec<Store> = stores(3).collect();
    let mut one: Vec<Store> = stores(1).collect();
    for target in &mut three {
        target.adopt(source).expect("fits");
        one[0].adopt(target).expect("fits");
    }
    assert!(one[0].dump().expect("sound") == source.dump().expect("sound"));
    check_stores(&mut three, model);
}

fn check(store: &mut Store, model: &Model) {
    check_rescaled(store, model);
    check_stores(std::slice::from_mut(store), model);
}

fn value(number: u16) -> String {
    "v".repeat(usize::from(number % 4000))
}

fn apply_to_maps(store: &mut Store, tables: &mut Tables, model: &mut Model, step: &Step) {
    let maps = &mut tables.maps;
    match *step {
        Step::Put(key, map_key, size) => {
            let put = maps.put(store, hash_key(&key), &key, &map_key, &value(size));
            put.expect("fits");
            let at = model.after_write(model.maps.get(&(key, map_key)));
            model.maps.insert((key, map_key), (value(size), at));
        }
        Step::Update(key, map_key) => {
            let (hash, push) = (hash_key(&key), |value: &mut String| value.push('w'));
            maps.update(store, hash, &key, &map_key, &"new".to_owned(), push)
                .expect("fits");
            let before = model.maps.get(&(key, map_key));
            let at = model.after_write(before);
            let mut value = before.map_or("new".to_owned(), |(value, _)| value.clone());
            push(&mut value);
            model.maps.insert((key, map_key), (value, at));
        }
        Step::Get(key, map_key) => {
            let hash = hash_key(&key);
            let contains = maps.contains(store, hash, &key, &map_key).expect("valid");
            let got = maps.get(store, hash, &key, &map_key).expect("valid");
            let before = model.maps.get(&(key, map_key)).cloned();
            assert_eq!(
                (contains, &got),
                (before.is_some(), &before.clone().map(|b| b.0))
            );
            if let Some((value, at)) = before {
                let at = model.after_read(at);
                model.maps.insert((key, map_key), (value, at));
            }
        }
        Step::Remove(key, map_key) => {
            let removed = maps.remove(store, hash_key(&key), &key, &map_key);
            let was_there = model.maps.remove(&(key, map_key)).is_some();
            assert_eq!(removed.expect("sound"), was_there);
        }
        _ => apply_to_ranges(store, tables, model, step),
    }
}

fn apply_to_ranges(store: &mut Store, tables: &mut Tables, model: &mut Model, step: &Step) {
    let maps = &mut tables.maps;
    match *step {
        Step::RemoveSome(key, from, count, limit) => {
            let range = from..from + count;
            let removed = maps.remove_some(store, hash_key(&key), &key, range, limit);
            let (removed, is_done) = removed.expect("sound");
            let inside = model.maps.range((key, from)..(key, from + count));
            let lowest: Vec<_> = inside.map(|(entry, _)| *entry).collect();
            assert!(removed <= limit.max(1));
            assert!(
                !is_done || removed == lowest.len() as u64,
                "something is left"
            );
            for entry in &lowest[..usize::try_from(removed).expect("few")] {
                model.maps.remove(entry);
            }
        }
        Step::Range(key, rising, from, limit) => {
            let mut found = Vec::new();
            let visit = |map_key: &u16, value: &rkyv::string::ArchivedString| {
                found.push((*map_key, value.as_str().to_owned()));
                if found.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            };
            let hash = hash_key(&key);
            let visited = if rising {
                maps.range(store, hash, &key, from.., visit)
            } else {
                maps.range_back(store, hash, &key, ..from, visit)
            };
            visited.expect("valid");
            let inside = |map_key: u16| (map_key >= from) == rising;
            let entries = model.maps.range((key, 0)..=(key, u16::MAX));
            let mut entries: Vec<_> = entries
                .filter(|((_, map_key), _)| inside(*map_key))
                .map(|((_, map_key), (value, _))| (*map_key, value.clone()))
                .collect();
            if !rising {
                entries.reverse();
            }
            entries.truncate(limit.max(1));
            assert_eq!(found, entries);
            for (map_key, _) in found {
                let at = model.after_read(model.maps[&(key, map_key)].1);
                model.maps.get_mut(&(key, map_key)).expect("found").1 = at;
            }
        }
        _ => apply_to_lists(store, &mut tables.lists, model, step),
    }
}

fn apply_to_lists(
    store: &mut Store,
    lists: &mut ExpiringListTable<u8, String>,
    model: &mut Model,
    step: &Step,
) {
    let anew = model.anew();
    let timed = |number: &u16| (value(*number), anew);
    match step {
        Step::Append(key, numbers) => {
            let values: Vec<_> = numbers.iter().copied().map(value).collect();
            let appended = lists.append_all(store, hash_key(key), key, &values);
            appended.expect("fits");
            let list = model.lists.entry(*key).or_default();
            list.extend(numbers.iter().map(timed));
        }
        Step::Replace(key, numbers) => {
            let values: Vec<_> = numbers.iter().copied().map(value).collect();
            let replaced = lists.replace(store, hash_key(key), key, &values);
            replaced.expect("fits");
            model
                .lists
                .insert(*key, numbers.iter().map(timed).collect());
        }
        Step::ReadList(key, limit) => {
            let mut found = Vec::new();
            let visited = lists.for_each(store, hash_key(key), key, |element| {
                found.push(element.as_str().to_owned());
                if found.len() < *limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            visited.expect("valid");
            let mut seen = model.seen_list(*key);
            seen.truncate((*limit).max(1));
            assert_eq!(found, seen);
            let after = Model {
                lists: BTreeMap::new(),
                ..model.clone()
            };
            for element in model
                .lists
                .entry(*key)
                .or_default()
                .iter_mut()
                .take(found.len())
            {
                element.1 = after.after_read(element.1);
            }
        }
        Step::ClearList(key, limit) => {
            let cleared = lists.clear_some(store, hash_key(key), key, *limit);
            let (removed, is_empty) = cleared.expect("sound");
            let list = model.lists.entry(*key).or_default();
            assert!(removed <= (*limit).max(1));
            list.drain(..usize::try_from(removed).expect("few"));
            assert!(!is_empty || list.is_empty());
        }
        _ => unreachable!("maps and the clock have their own"),
    }
}

fn apply(store: &mut Store, tables: &mut Tables, model: &mut Model, step: &Step) {
    match *step {
        Step::Advance(ms) => {
            model.now_ms += ms;
            store.set_time(model.now_ms);
        }
        Step::Expire(limit) => {
            if tables.expire(store, limit) {
                let held = (
                    tables.maps.held_count(store),
                    tables.lists.held_count(store),
                );
                assert_eq!(held, model.seen_count());
            }
        }
        Step::Reopen(after_ms) => {
            model.expiry.after_ms = after_ms;
            *tables = Tables::open(store, model.expiry);
        }
        _ => apply_to_maps(store, tables, model, step),
    }
    model.forget_expired();
    for key in 0..KEYS {
        let hash = hash_key(&key);
        let is_empty = tables.lists.is_empty_at(store, hash, &key).expect("valid");
        assert_eq!(is_empty, model.seen_list(key).is_empty());
        let is_empty = tables.maps.is_empty_at(store, hash, &key).expect("valid");
        let mut entries = model.maps.range((key, 0)..=(key, u16::MAX));
        assert_eq!(is_empty, entries.next().is_none());
    }
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
        maps: BTreeMap::new(),
        lists: BTreeMap::new(),
    };
    let mut checkpointed = Checkpointed::new(GROUPS, staging);
    checkpointed.store.set_time(model.now_ms);
    let mut tables = Tables::open(&mut checkpointed.store, model.expiry);
    for step in steps {
        if let Step::Snapshot(step) = step {
            checkpointed.apply(step, &model, check);
            continue;
        }
        apply(&mut checkpointed.store, &mut tables, &mut model, step);
        tables.check_queues(&checkpointed.store);
    }
    checkpointed.store.verify().expect("sound");
    checkpointed.finish(&model, check);
}

proptest! {
    #![proptest_config(cases(18))]

    #[test]
    fn entries_expire_as_their_policy_says(
        policy in any_policy(),
        steps in prop::collection::vec(step(), 1..120),
        chunks in 1..40usize
    ) {
        run(policy, chunks, &steps);
    }
}
