//! A typed keyed table whose values expire.

use super::policy::{Expired, Expiry};
use super::timed::{ArchivedTimed, Timed};
use super::timed_table::{At, TimedEntries, TimedTable, queue_name};
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::key_walk::KeyWalk;
use crate::store::Store;
use crate::table::{ScanCursor, ValueTable};
use crate::tree::TimerTable;
use crate::value::Value;

/// A table of values by key that nobody sees any more once their time is over.
///
/// The time is the store's ([`Store::set_time`]). What has expired is not seen, exactly; its
/// memory comes back by [`ExpiringTable::expire`], in slices.
///
/// Every value has one entry in a queue, a timer table beside the values. An access that starts a
/// value's time anew writes the value only; the entry is put right when it comes up.
///
/// A table has one handle, and keys of up to 1000 bytes.
///
/// ```
/// use frazil_state::{Expiry, ExpiryPolicy, ExpiringTable, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let expiry = Expiry { after_ms: 1000, policy: ExpiryPolicy::OnWrite };
/// let mut seen = ExpiringTable::<str, u64>::open(&mut store, "seen", expiry)?;
/// let hash = hash_key("ann");
/// store.set_time(5_000);
/// seen.put(&mut store, hash, "ann", &7)?;
/// store.set_time(5_999);
/// assert_eq!(seen.get(&mut store, hash, "ann")?, Some(7));
/// store.set_time(6_000);
/// assert_eq!(seen.get(&mut store, hash, "ann")?, None);
/// assert_eq!(seen.expire(&mut store, 100)?.record_count, 1);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ExpiringTable<K: ?Sized, V> {
    pub(super) timed: TimedTable<K, u8, V, ValueTable<K, Timed<V>>>,
}

/// A key has one value, so nothing has to tell its timers apart.
fn at<K: ?Sized>(hash: KeyHash, key: &K) -> At<'_, K, u8> {
    let part = &0;
    At { hash, key, part }
}

impl<K: Key + ?Sized, V: Value> ExpiringTable<K, V> {
    /// Opens the table `name`, creating it and its queue if the store has none. Values that are
    /// there keep the time that they have.
    ///
    /// # Errors
    /// [`StateError::TypeChanged`] if the table was written with other types, [`StateError::Table`]
    /// if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError> {
        let values = ValueTable::open(store, name)?;
        Ok(Self {
            timed: TimedTable::open(store, name, values, expiry)?,
        })
    }

    /// Name of the queue beside the table `name`.
    #[must_use]
    pub fn queue_name(name: &str) -> String {
        queue_name(name)
    }

    /// Identities of such a table's types and of its queue's, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> (TypeIdentity, TypeIdentity) {
        (
            TypeIdentity::of::<K, Timed<V>>(),
            TimerTable::<K, u8>::types(),
        )
    }

    /// The value of a key, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<Option<V>, StateError> {
        self.timed.get(store, at(hash, key))
    }

    /// The archived value of a key, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get_archived<'a>(
        &self,
        store: &'a mut Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        self.timed.get_archived(store, at(hash, key))
    }

    /// True if a key has a value. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn contains(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, StateError> {
        self.timed.contains(store, at(hash, key))
    }

    /// Changes the value of a key, starting from `initial` where there is none, and gives what
    /// `update` returned.
    ///
    /// # Errors
    /// A key or value over the limits, an exhausted budget, or stored bytes that are no value of
    /// this type; the value is as before.
    pub fn update<T>(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        let first = || initial.clone();
        self.timed
            .change(store, at(hash, key), first, |value, _| update(value))
    }

    /// Sets the value of a key that has none to `first`; changes the one that it has.
    ///
    /// # Errors
    /// As [`ExpiringTable::update`].
    pub fn fold(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        first: &V,
        fold: impl FnOnce(&mut V),
    ) -> Result<(), StateError>
    where
        V: Clone,
    {
        let first = || first.clone();
        self.timed
            .change(store, at(hash, key), first, |value, is_new| {
                if !is_new {
                    fold(value);
                }
            })
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// As [`ExpiringTable::update`].
    pub fn put(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        value: &V,
    ) -> Result<(), StateError>
    where
        V: Clone,
    {
        self.timed.put(store, at(hash, key), value.clone())
    }

    /// Removes a key; true if it had a value.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    pub fn remove(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<bool, StateError> {
        self.timed.remove(store, at(hash, key))
    }

    /// Frees values that have expired, looking at no more than `limit` entries of the queue.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    ///
    /// # Cost
    /// Some descents an entry. A value whose time started anew costs one look for each time that
    /// it lived longer than its entry said.
    pub fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
        self.timed.expire(store, limit)
    }

    /// Visits keys and values that have not expired, as [`ValueTable::scan`] does. Starts nothing
    /// anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut ScanCursor,
        limit: usize,
        mut visit: impl FnMut(&K, V),
    ) -> Result<bool, StateError> {
        let values = &self.timed.entries;
        values.scan(store, cursor, limit, |key, timed| {
            if store.time() < timed.expires_ms {
                visit(key, timed.value);
            }
        })
    }

    /// Visits the next keys of a walk, as [`ValueTable::walk_keys`] does, also those of which the
    /// value has expired and is not freed yet.
    ///
    /// # Errors
    /// As [`ValueTable::walk_keys`].
    ///
    /// # Panics
    /// As [`ValueTable::walk_keys`].
    pub fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<(), StateError> {
        self.timed.entries.walk_keys(store, walk, limit, visit)
    }

    /// Removes keys, `limit` of them if so many are left; true if the table is empty.
    ///
    /// # Errors
    /// As [`ExpiringTable::expire`].
    pub fn clear(&mut self, store: &mut Store, limit: usize) -> Result<bool, StateError> {
        self.timed.clear(store, limit)
    }

    /// Values in memory: those that are seen, and those that have expired and are not freed yet.
    #[must_use]
    pub fn held_count(&self, store: &Store) -> u64 {
        self.timed.entries.len(store)
    }
}

impl<K: Key + ?Sized, V: Value> TimedEntries<K, u8, V> for ValueTable<K, Timed<V>> {
    fn view<'a>(
        &self,
        store: &'a Store,
        place: At<'_, K, u8>,
    ) -> Result<Option<&'a ArchivedTimed<V>>, StateError> {
        self.get_archived(store, place.hash, place.key)
    }

    fn get(&self, store: &Store, place: At<'_, K, u8>) -> Result<Option<Timed<V>>, StateError> {
        ValueTable::get(self, store, place.hash, place.key)
    }

    fn put(
        &self,
        store: &mut Store,
        place: At<'_, K, u8>,
        timed: &Timed<V>,
    ) -> Result<(), StateError> {
        ValueTable::put(self, store, place.hash, place.key, timed)
    }

    fn remove(&self, store: &mut Store, place: At<'_, K, u8>) -> Result<(), StateError> {
        ValueTable::remove(self, store, place.hash, place.key).map(|_| ())
    }

    fn write_word(
        &self,
        store: &mut Store,
        place: At<'_, K, u8>,
        at: fn(usize) -> usize,
        word: u64,
    ) -> Result<(), StateError> {
        ValueTable::write_word(self, store, place.hash, place.key, at, word.to_le_bytes())
    }

    fn record_bytes(&self, store: &Store, place: At<'_, K, u8>) -> Result<Option<u64>, StateError> {
        ValueTable::record_bytes(self, store, place.hash, place.key)
    }

    fn len(&self, store: &Store) -> u64 {
        ValueTable::len(self, store)
    }
}
