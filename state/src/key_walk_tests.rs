//! The story: a walk over all keys is taken slice by slice, while keys come and go, and the state
//! moves to other numbers of shards. Who was there all the time is visited once, nobody twice.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::test_cases::cases;
use crate::{
    ExpiringListTable, ExpiringMapTable, ExpiringTable, Expiry, ExpiryPolicy, KeyGroups, KeyHash,
    KeyWalk, ListRedistribution, ListTable, MapTable, OperatorList, StagingSize, StateError, Store,
    StoreConfig, ValueTable, hash_key,
};

const GROUPS: u32 = 16;

#[derive(Clone, Debug)]
enum Step {
    Put(u16),
    Remove(u16),
    /// Visits some keys on one of the shards.
    Slice(usize, usize),
    /// The state moves to so many shards, and the walk with it.
    Move(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..1500u16).prop_map(Step::Put),
        6 => (0..1500u16).prop_map(Step::Remove),
        8 => (0..GROUPS as usize, 1..70usize).prop_map(|(shard, keys)| Step::Slice(shard, keys)),
        1 => (1..=5usize).prop_map(Step::Move),
    ];
    prop::collection::vec(step, 0..120)
}

/// A table of any form by the key `K` that a number stands for.
trait Walked: Sized {
    fn open(store: &mut Store) -> Self;
    fn hash(number: u16) -> KeyHash;
    fn add(&mut self, store: &mut Store, number: u16);
    fn drop(&mut self, store: &mut Store, number: u16);
    fn walk(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: &mut dyn FnMut(u16),
    ) -> Result<(), StateError>;
}

const EXPIRY: Expiry = Expiry {
    after_ms: 1000,
    policy: ExpiryPolicy::OnWrite,
};

macro_rules! walked {
    ($table:ty, $key:ty, |$store:ident| $open:expr, |$self:ident, $hash:ident, $k:ident|
     $put:expr, $remove:expr) => {
        impl Walked for $table {
            fn open($store: &mut Store) -> Self {
                $open.expect("opens")
            }

            fn hash(number: u16) -> KeyHash {
                hash_key(&<$key as From<u16>>::from(number))
            }

            fn add(&mut $self, $store: &mut Store, number: u16) {
                let $k = <$key as From<u16>>::from(number);
                let ($hash, $k) = (hash_key(&$k), &$k);
                $put.expect("fits");
            }

            fn drop(&mut $self, $store: &mut Store, number: u16) {
                let $k = <$key as From<u16>>::from(number);
                let ($hash, $k) = (hash_key(&$k), &$k);
                $remove.expect("sound");
            }

            fn walk(
                &self,
                store: &Store,
                walk: &mut KeyWalk,
                limit: usize,
                visit: &mut dyn FnMut(u16),
            ) -> Result<(), StateError> {
                self.walk_keys(store, walk, limit, |key| {
                    visit(u16::try_from(*key).expect("small"));
                })
            }
        }
    };
}

walked!(ValueTable<u32, [u64; 6]>, u32, |store| Self::open(store, "t"), |self, hash, key|
    self.put(store, hash, key, &[1; 6]), self.remove(store, hash, key));
walked!(MapTable<u64, str, u64>, u64, |store| Self::open(store, "t"), |self, hash, key|
    self.put(store, hash, key, &"m".repeat((*key % 90) as usize), &1),
    self.clear(store, hash, key));
walked!(ListTable<u64, u64>, u64, |store| Self::open(store, "t"), |self, hash, key|
    self.append_all(store, hash, key, &[1; 3]), self.clear(store, hash, key));
walked!(ExpiringTable<u64, u64>, u64, |store| Self::open(store, "t", EXPIRY), |self, hash, key|
    self.put(store, hash, key, &1), self.remove(store, hash, key));
walked!(ExpiringMapTable<u64, u64, u64>, u64, |store| Self::open(store, "t", EXPIRY),
    |self, hash, key|
    self.put(store, hash, key, &7, &1), self.remove_some(store, hash, key, .., 100));
walked!(ExpiringListTable<u64, u64>, u64, |store| Self::open(store, "t", EXPIRY),
    |self, hash, key|
    self.append(store, hash, key, &1), self.clear_some(store, hash, key, 1000));

/// A shard with the list in which it keeps what is left of the walk.
struct Shard<T> {
    store: Store,
    table: T,
    left: OperatorList<KeyWalk>,
}

impl<T: Walked> Shard<T> {
    fn new(shard: usize, shard_count: usize) -> Self {
        let config = StoreConfig {
            key_groups: KeyGroups::new(GROUPS),
            shard,
            shard_count,
            budget_bytes: 12 << 20,
            staging: StagingSize {
                chunk_count: 2,
                chunk_bytes: 16 << 10,
            },
            ..StoreConfig::default()
        };
        Self::over(Store::new(&config).expect("reserved"))
    }

    fn over(mut store: Store) -> Self {
        let union = ListRedistribution::Union;
        let left = OperatorList::open(&mut store, "walks", union).expect("opens");
        let table = T::open(&mut store);
        Self { store, table, left }
    }

    /// The walks that are left here.
    fn walks(&self) -> Vec<KeyWalk> {
        let stored = self.left.get(&self.store).expect("sound");
        stored
            .iter()
            .filter_map(|walk| walk.on(&self.store))
            .collect()
    }

    fn slice(&mut self, limit: usize, visit: &mut dyn FnMut(u16)) {
        let mut walks = self.walks();
        if let Some(walk) = walks.first_mut() {
            let walked = self.table.walk(&self.store, walk, limit, visit);
            walked.expect("sound");
        }
        walks.retain(|walk| !walk.is_done());
        self.left.replace(&mut self.store, &walks).expect("fits");
    }
}

fn shards<T: Walked>(count: usize) -> Vec<Shard<T>> {
    (0..count).map(|shard| Shard::new(shard, count)).collect()
}

fn moved<T: Walked>(from: &[Shard<T>], count: usize) -> Vec<Shard<T>> {
    let shard = |shard| {
        let mut store = Shard::<T>::new(shard, count).store;
        for source in from {
            store.adopt(&source.store).expect("fits");
        }
        let mut shard = Shard::over(store);
        // All shards got all walks: each keeps what is its own.
        let walks = shard.walks();
        shard.left.replace(&mut shard.store, &walks).expect("fits");
        shard
    };
    (0..count).map(shard).collect()
}

/// Walks with the steps in between.
fn walk_with<T: Walked>(first: &BTreeSet<u16>, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut all = shards::<T>(2);
    let groups = KeyGroups::new(GROUPS);
    let shard_of = |number: u16, count| groups.shard_of(T::hash(number), count);
    for number in first {
        let Shard { store, table, .. } = &mut all[shard_of(*number, 2)];
        table.add(store, *number);
    }
    for shard in &mut all {
        let walk = KeyWalk::over(&shard.store);
        shard.left.append(&mut shard.store, &walk).expect("fits");
    }
    let (mut stayed, mut ever) = (first.clone(), first.clone());
    let mut visited = Vec::new();
    for step in steps {
        let count = all.len();
        match *step {
            Step::Put(number) => {
                let Shard { store, table, .. } = &mut all[shard_of(number, count)];
                table.add(store, number);
                ever.insert(number);
            }
            Step::Remove(number) => {
                let Shard { store, table, .. } = &mut all[shard_of(number, count)];
                table.drop(store, number);
                stayed.remove(&number);
            }
            Step::Slice(shard, limit) => {
                all[shard % count].slice(limit, &mut |number| visited.push(number));
            }
            Step::Move(count) => all = moved(&all, count),
        }
    }
    for shard in &mut all {
        while !shard.walks().is_empty() {
            shard.slice(64, &mut |number| visited.push(number));
        }
    }
    let once: BTreeSet<u16> = visited.iter().copied().collect();
    prop_assert_eq!(once.len(), visited.len(), "a key was visited twice");
    prop_assert!(stayed.is_subset(&once), "a key was left out");
    prop_assert!(once.is_subset(&ever), "a key was made up");
    Ok(())
}

proptest! {
    #![proptest_config(cases(4))]

    #[test]
    fn who_stays_is_visited_once_and_nobody_twice(
        first in prop::collection::btree_set(0..1500u16, 0..1200),
        steps in steps(),
    ) {
        walk_with::<ValueTable<u32, [u64; 6]>>(&first, &steps)?;
        walk_with::<MapTable<u64, str, u64>>(&first, &steps)?;
        walk_with::<ListTable<u64, u64>>(&first, &steps)?;
        walk_with::<ExpiringTable<u64, u64>>(&first, &steps)?;
        walk_with::<ExpiringMapTable<u64, u64, u64>>(&first, &steps)?;
        walk_with::<ExpiringListTable<u64, u64>>(&first, &steps)?;
    }
}

#[test]
fn a_slice_visits_no_more_keys_than_asked_for_and_those_of_one_page() {
    let mut shard = Shard::<ValueTable<u32, [u64; 6]>>::new(0, 1);
    for number in 0..5000 {
        shard.table.add(&mut shard.store, number);
    }
    let mut walk = KeyWalk::over(&shard.store);
    let (mut slices, mut count) = (0, 0);
    while !walk.is_done() {
        let before = count;
        let walked = shard
            .table
            .walk(&shard.store, &mut walk, 32, &mut |_| count += 1);
        walked.expect("sound");
        assert!(count - before < 32 + 4096 / 52);
        slices += 1;
    }
    assert_eq!(count, 5000);
    assert!(slices > 50);
}

#[test]
fn a_walk_that_is_another_tables_is_refused() {
    let mut shard = Shard::<MapTable<u64, str, u64>>::new(0, 1);
    for number in 0..100 {
        shard.table.add(&mut shard.store, number);
    }
    let mut walk = KeyWalk::over(&shard.store);
    let walked = shard.table.walk(&shard.store, &mut walk, 10, &mut |_| ());
    walked.expect("sound");
    let values = ValueTable::<u32, u64>::open(&mut shard.store, "values").expect("opens");
    let error = values.walk_keys(&shard.store, &mut walk, 10, |_| ());
    let error = error.expect_err("no path").to_string();
    assert!(error.contains("place of a walk"), "{error}");
}
