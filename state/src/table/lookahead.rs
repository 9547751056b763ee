//! Finding the records of the next runs while the present one is worked on.
//!
//! Each run of keys passes three steps, one a call of [`ValueTable::look_ahead`]:
//!
//! 1. Its keys' buckets are found, and the lines with their tags asked for.
//! 2. These lines have come: the tags name the likely record of each key, whose line is asked for.
//! 3. The run is in use: [`ValueTable::update_ahead`] compares the likely record's key and is done.
//!
//! A table that [announces to itself](super::ValueTable::announcing) keeps its runs beside it, and
//! all accesses look there first: users who may access a key once, often, or not at all need no
//! calls of their own.
//!
//! So a record waits for memory in no step, and its use looks neither at the directory nor, but for
//! one key in six, at tags. What was found is believed as long as the arena's layout version is
//! what it was in step 1: splits, rebuilds and removals raise it. Where a removal does not (slotted
//! geometry, whose records move whenever they change their length), the slot's tag is looked at
//! again. A place that is not believed, or holds another key, costs an ordinary search.
//!
//! [`ValueTable::look_ahead`]: super::ValueTable::look_ahead
//! [`ValueTable::update_ahead`]: super::ValueTable::update_ahead

use super::geometry::Geometry;
use super::hash_table::{Found, HashTable};
use crate::arena::Arena;
use crate::catalog::TableIndex;
use crate::hash::KeyHash;
use crate::page::PageId;

/// Most keys in a run. The lines of a run in step 1 and one in step 2 are a third of a usual
/// first-level cache.
pub const RUN_KEYS_MAX: usize = 64;

/// Step 1: the bucket of a key.
#[derive(Clone, Copy)]
struct Aim {
    hash: KeyHash,
    bucket: PageId,
}

/// Step 2: the slot that is likely to hold a key.
#[derive(Clone, Copy)]
struct Place {
    hash: KeyHash,
    /// Page 0 where the key's group is empty.
    bucket: PageId,
    slot: u32,
}

/// A slot that no page has: no tag in the key's home group is the key's.
const NO_SLOT: u32 = u16::MAX as u32;

/// Keys of a run that may be left out before one is looked for no more.
const SKIPPED_MAX: usize = 8;

/// What is known of the records to come, for one user of one table.
///
/// Made by [`ValueTable::lookahead`](super::ValueTable::lookahead).
pub struct Lookahead {
    table: TableIndex,
    aims: [Aim; RUN_KEYS_MAX],
    aim_count: usize,
    /// Layout version as of step 1, of the run in `aims`.
    aim_version: u32,
    /// Two runs; which one is in use changes with every call.
    places: [Place; 2 * RUN_KEYS_MAX],
    /// Versions of the two runs; 0 is no version of any arena.
    versions: [u32; 2],
    /// Keys in the two runs; behind them stands what belongs to older ones.
    counts: [usize; 2],
    /// Which half of `places` is in use.
    half: usize,
    /// Version of the half in use.
    version: u32,
    /// Place of the next key in use.
    next: usize,
}

impl Lookahead {
    pub(super) fn new(table: TableIndex) -> Self {
        Self {
            table,
            aims: [Aim {
                hash: KeyHash(0),
                bucket: PageId::SUPERBLOCK,
            }; RUN_KEYS_MAX],
            aim_count: 0,
            aim_version: 0,
            places: [Place {
                hash: KeyHash(0),
                bucket: PageId::SUPERBLOCK,
                slot: NO_SLOT,
            }; 2 * RUN_KEYS_MAX],
            versions: [0; 2],
            counts: [0; 2],
            half: 0,
            version: 0,
            next: 0,
        }
    }

    /// Whether the run in use was found in the layout that the table has now.
    #[cfg(test)]
    pub(crate) fn is_of_layout(&self, store: &crate::Store) -> bool {
        self.version == store.arena().layout_version()
    }

    /// The place of a key in use, which is looked for from the last one on: most often it is that
    /// one, or the one behind it.
    #[inline(always)]
    fn place_of(&mut self, hash: KeyHash) -> Option<Place> {
        let end = self.half * RUN_KEYS_MAX + self.counts[self.half];
        let at = (self.next..end.min(self.next + SKIPPED_MAX))
            .find(|at| self.places[*at].hash == hash)?;
        self.next = at;
        Some(self.places[at])
    }

    /// The next place in use.
    #[inline(always)]
    fn take(&mut self) -> Place {
        let place = self.places[self.next % self.places.len()];
        self.next += 1;
        place
    }
}

impl std::fmt::Debug for Lookahead {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Lookahead")
    }
}

impl HashTable {
    /// Brings each run one step further and takes `hashes` in as the last one.
    #[inline(always)]
    pub(super) fn look_ahead(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        ahead: &mut Lookahead,
        hashes: &[KeyHash],
    ) {
        assert!(
            ahead.table == self.index && hashes.len() <= RUN_KEYS_MAX,
            "a run of {} keys, at most {RUN_KEYS_MAX}, of the table that the lookahead is for",
            hashes.len()
        );
        ahead.half ^= 1;
        ahead.version = ahead.versions[ahead.half];
        ahead.next = ahead.half * RUN_KEYS_MAX;
        let filled = ahead.half ^ 1;
        ahead.versions[filled] = ahead.aim_version;
        ahead.counts[filled] = ahead.aim_count;
        // Pages that were buckets in another layout may be anything now.
        if ahead.aim_version == arena.layout_version() {
            let aims = &ahead.aims[..ahead.aim_count];
            let places = &mut ahead.places[filled * RUN_KEYS_MAX..][..RUN_KEYS_MAX];
            self.aim_at_records(arena, geometry, aims, places);
        }
        ahead.aim_version = arena.layout_version();
        ahead.aim_count = hashes.len();
        self.aim_at_buckets(arena, geometry, hashes, &mut ahead.aims);
    }

    /// Step 1 of a run.
    #[inline(always)]
    fn aim_at_buckets(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        hashes: &[KeyHash],
        aims: &mut [Aim; RUN_KEYS_MAX],
    ) {
        for (aim, hash) in aims.iter_mut().zip(hashes) {
            let bucket = self.bucket_for(arena, *hash);
            arena.prefetch(bucket, geometry.likely_tags_at(*hash));
            *aim = Aim {
                hash: *hash,
                bucket,
            };
        }
    }

    /// Step 2 of a run.
    #[inline(always)]
    fn aim_at_records(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        aims: &[Aim],
        places: &mut [Place],
    ) {
        for (place, aim) in places.iter_mut().zip(aims) {
            let Aim { hash, bucket } = *aim;
            *place = Place {
                hash,
                bucket,
                slot: NO_SLOT,
            };
            // An empty group has no bucket.
            if bucket == PageId::SUPERBLOCK {
                continue;
            }
            let tags = self.bucket_of(arena, geometry, bucket);
            if let Some(slot) = tags.likely_slot(hash) {
                arena.prefetch(bucket, tags.record_at(slot));
                arena.prefetch_meta(bucket);
                place.slot = u32::try_from(slot).unwrap_or(NO_SLOT);
            }
        }
    }

    /// Finds the next key in use; afterwards it is that of the key behind it.
    #[inline(always)]
    pub(super) fn find_ahead(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        ahead: &mut Lookahead,
        hash: KeyHash,
        key: &[u8],
    ) -> Option<Found> {
        let place = ahead.take();
        let believed = place.hash == hash && ahead.version == arena.layout_version();
        let bucket = self.bucket_of(arena, geometry, place.bucket);
        let slot = place.slot as usize;
        if believed && bucket.holds(slot, hash, key) {
            return Some(Found {
                page: place.bucket,
                slot,
            });
        }
        self.find_late(arena, believed.then_some(place.bucket), hash, key)
    }

    /// Finds a key, first among those of the run in use.
    #[inline(always)]
    pub(super) fn find_in_use(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        ahead: &mut Lookahead,
        hash: KeyHash,
        key: &[u8],
    ) -> Option<Found> {
        if ahead.version == arena.layout_version()
            && let Some(place) = ahead.place_of(hash)
        {
            let bucket = self.bucket_of(arena, geometry, place.bucket);
            let slot = place.slot as usize;
            if bucket.holds(slot, hash, key) {
                return Some(Found {
                    page: place.bucket,
                    slot,
                });
            }
        }
        self.find(arena, geometry, hash, key)
    }

    /// Finds a key that is not where it was likely to be; `bucket` is its bucket, if that is known,
    /// or page 0 if its group is empty.
    #[inline(never)]
    fn find_late(
        &self,
        arena: &Arena,
        bucket: Option<PageId>,
        hash: KeyHash,
        key: &[u8],
    ) -> Option<Found> {
        match bucket {
            None => self.find(arena, &self.geometry, hash, key),
            // A first bucket would have changed the layout.
            Some(PageId::SUPERBLOCK) => None,
            Some(bucket) => self.find_from(arena, &self.geometry, bucket, hash, key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;

    use crate::test_cases::cases;
    use crate::{Key, Store, StoreConfig, Value, ValueTable, hash_key};

    /// What happens to a key between its announcement and its use, or at its use.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Used in its turn.
        Update(u16),
        /// Used in its turn, after another key was removed.
        RemoveAndUpdate(u16, u16),
        /// Used in its turn, after another key was inserted or changed.
        PutAndUpdate(u16, u16),
        /// Announced, and another key is used in its place.
        Instead(u16, u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
        let key = || 0..700_u16;
        let step = prop_oneof![
            8 => key().prop_map(Step::Update),
            1 => (key(), key()).prop_map(|(a, b)| Step::RemoveAndUpdate(a, b)),
            2 => (key(), key()).prop_map(|(a, b)| Step::PutAndUpdate(a, b)),
            1 => (key(), key()).prop_map(|(a, b)| Step::Instead(a, b)),
        ];
        prop::collection::vec(prop::collection::vec(step, 0..super::RUN_KEYS_MAX), 3..30)
    }

    /// Plays the runs on a table and on a map.
    fn compare<K, V>(
        runs: &[Vec<Step>],
        make: impl Fn(u16) -> K,
        initial: &V,
        change: impl Fn(&mut V),
    ) where
        K: Key + Ord + Debug,
        V: Value + Clone + PartialEq + Debug,
    {
        let mut store = Store::new(&StoreConfig::default()).unwrap();
        let table = ValueTable::<K, V>::open(&mut store, "t").unwrap();
        let mut ahead = table.lookahead();
        let mut model = BTreeMap::<K, V>::new();
        for at in 0..runs.len() + 2 {
            let hashes: Vec<_> = {
                let run = runs.get(at).into_iter().flatten();
                run.map(|step| hash_key(&make(announced(step)))).collect()
            };
            table.look_ahead(&store, &mut ahead, &hashes);
            let in_use = at.checked_sub(2).map(|used| &runs[used]);
            for step in in_use.into_iter().flatten() {
                let used = match *step {
                    Step::Update(key) | Step::Instead(_, key) => make(key),
                    Step::RemoveAndUpdate(other, key) => {
                        let other = make(other);
                        let hash = hash_key(&other);
                        let removed = table.remove(&mut store, hash, &other).unwrap();
                        assert_eq!(removed, model.remove(&other).is_some());
                        make(key)
                    }
                    Step::PutAndUpdate(other, key) => {
                        let other = make(other);
                        let hash = hash_key(&other);
                        table.put(&mut store, hash, &other, initial).unwrap();
                        model.insert(other, initial.clone());
                        make(key)
                    }
                };
                let (hash, store) = (hash_key(&used), &mut store);
                table
                    .update_ahead(store, &mut ahead, hash, &used, initial, &change)
                    .unwrap();
                change(model.entry(used).or_insert_with(|| initial.clone()));
            }
        }
        store.verify().unwrap();
        assert_eq!(table.len(&store), model.len() as u64);
        compare_announcing(runs, &make, initial, &change, &model);
        for (key, value) in &model {
            let found = table.get(&store, hash_key(key), key).unwrap();
            assert_eq!(found.as_ref(), Some(value), "{key:?}");
        }
    }

    /// The same on a table that announces to itself, with keys used twice or not at all, must give
    /// what the map holds.
    fn compare_announcing<K, V>(
        runs: &[Vec<Step>],
        make: &impl Fn(u16) -> K,
        initial: &V,
        change: &impl Fn(&mut V),
        model: &BTreeMap<K, V>,
    ) where
        K: Key + Ord + Debug,
        V: Value + Clone + PartialEq + Debug,
    {
        let mut store = Store::new(&StoreConfig::default()).unwrap();
        let table = ValueTable::<K, V>::open(&mut store, "t")
            .unwrap()
            .announcing();
        for at in 0..runs.len() + 2 {
            let run = runs.get(at).into_iter().flatten();
            let hashes: Vec<_> = run.map(|step| hash_key(&make(announced(step)))).collect();
            table.announce(&store, &hashes);
            let in_use = at.checked_sub(2).map(|used| &runs[used]);
            for step in in_use.into_iter().flatten() {
                let store = &mut store;
                let used = match *step {
                    Step::Update(key) => make(key),
                    Step::Instead(_, key) => make(key),
                    Step::RemoveAndUpdate(other, key) => {
                        let other = make(other);
                        table.remove(store, hash_key(&other), &other).unwrap();
                        make(key)
                    }
                    Step::PutAndUpdate(other, key) => {
                        let other = make(other);
                        table.put(store, hash_key(&other), &other, initial).unwrap();
                        make(key)
                    }
                };
                let hash = hash_key(&used);
                let before = table.get(store, hash, &used).unwrap();
                table.update(store, hash, &used, initial, change).unwrap();
                let mut expected = before.unwrap_or_else(|| initial.clone());
                change(&mut expected);
                assert_eq!(table.get(store, hash, &used).unwrap(), Some(expected));
            }
        }
        store.verify().unwrap();
        assert_eq!(table.len(&store), model.len() as u64);
        for (key, value) in model {
            let found = table.get(&store, hash_key(key), key).unwrap();
            assert_eq!(found.as_ref(), Some(value), "{key:?}");
        }
    }

    /// The key that a step's announcement names.
    fn announced(step: &Step) -> u16 {
        match *step {
            Step::Update(key)
            | Step::RemoveAndUpdate(_, key)
            | Step::PutAndUpdate(_, key)
            | Step::Instead(key, _) => key,
        }
    }

    proptest! {
        #![proptest_config(cases(24))]

        /// Splits, rebuilds and removals between announcement and use, and keys out of order.
        #[test]
        fn what_was_found_ahead_is_what_a_map_holds(runs in steps()) {
            let text = |key: u16| format!("key {key}");
            compare(&runs, |key| key, &0_u64, |count| *count += 1);
            compare(&runs, text, &0_u64, |count| *count += 1);
            compare(&runs, text, &String::new(), |value| {
                let is_short = value.len() < 40;
                if is_short { value.push_str("xy") } else { value.clear() }
            });
        }
    }
}
