//! A typed keyed table of ordered maps whose entries expire.

use std::ops::{ControlFlow, RangeBounds};

use super::policy::{Expired, Expiry};
use super::timed::Timed;
use super::timed_table::{At, queue_name};
use super::timed_tree::TimedTree;
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::key_walk::KeyWalk;
use crate::store::Store;
use crate::tree::{KeyedTree, Order, OrderedCursor, TimerTable};
use crate::value::Value;

const ROLE: &str = "expiring map";

/// For every key an ordered map, each of whose entries nobody sees any more once its time is over.
///
/// Times and the queue are those of an [`ExpiringTable`](super::ExpiringTable); every entry has its
/// own. Key and map key have 1000 bytes together.
///
/// ```
/// use frazil_state::{Expiry, ExpiringMapTable, ExpiryPolicy, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let expiry = Expiry { after_ms: 1000, policy: ExpiryPolicy::OnWrite };
/// let mut devices = ExpiringMapTable::<str, u32, u64>::open(&mut store, "devices", expiry)?;
/// let (user, hash) = ("ann", hash_key("ann"));
/// store.set_time(5_000);
/// devices.put(&mut store, hash, user, &1, &7)?;
/// store.set_time(5_500);
/// devices.put(&mut store, hash, user, &2, &8)?;
/// store.set_time(6_000);
/// assert_eq!(devices.get(&mut store, hash, user, &1)?, None);
/// assert_eq!(devices.get(&mut store, hash, user, &2)?, Some(8));
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ExpiringMapTable<K: ?Sized, M: ?Sized, V> {
    pub(super) timed: TimedTree<K, M, V>,
}

fn at<'k, K: ?Sized, M: ?Sized>(hash: KeyHash, key: &'k K, map_key: &'k M) -> At<'k, K, M> {
    let part = map_key;
    At { hash, key, part }
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> ExpiringMapTable<K, M, V> {
    /// Opens the table `name`, creating it and its queue if the store has none. Entries that are
    /// there keep the time that they have.
    ///
    /// # Errors
    /// [`StateError::FormChanged`] or [`StateError::TypeChanged`] if the table is another one,
    /// [`StateError::Table`] if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError> {
        Ok(Self {
            timed: TimedTree::open_tree(store, name, ROLE, expiry)?,
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
            KeyedTree::<K, M, Timed<V>>::identity(ROLE),
            TimerTable::<K, M>::types(),
        )
    }

    /// A value, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<Option<V>, StateError> {
        self.timed.get(store, at(hash, key, map_key))
    }

    /// An archived value, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get_archived<'a>(
        &self,
        store: &'a mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        self.timed.get_archived(store, at(hash, key, map_key))
    }

    /// True if the key's map has the map key. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn contains(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<bool, StateError> {
        self.timed.contains(store, at(hash, key, map_key))
    }

    /// True if the key's map has no entries. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    ///
    /// # Cost
    /// A look at each entry that has expired in front of the first one that has not.
    pub fn is_empty_at(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, StateError> {
        let span = TimedTree::<K, M, V>::span(key, &(..));
        self.timed.is_empty_at(store, hash, &span)
    }

    /// Sets a value.
    ///
    /// # Errors
    /// Keys or a value over the limits, or an exhausted budget; nothing is changed then.
    pub fn put(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
        value: &V,
    ) -> Result<(), StateError>
    where
        V: Clone,
    {
        self.timed.put(store, at(hash, key, map_key), value.clone())
    }

    /// Changes a value, starting from `initial` where there is none, and gives what `update`
    /// returned.
    ///
    /// # Errors
    /// As [`ExpiringMapTable::put`], or stored bytes that are no value of this type.
    pub fn update<T>(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        let (place, first) = (at(hash, key, map_key), || initial.clone());
        self.timed
            .change(store, place, first, |value, _| update(value))
    }

    /// Removes a map key; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    pub fn remove(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<bool, StateError> {
        self.timed.remove(store, at(hash, key, map_key))
    }

    /// Removes map keys of a range, at most `limit` (and one at least); gives how many had not
    /// expired, and whether the range is empty.
    ///
    /// # Errors
    /// As [`ExpiringMapTable::remove`].
    ///
    /// # Cost
    /// Some descents an entry, for its place in the queue.
    pub fn remove_some(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let span = TimedTree::<K, M, V>::span(key, &range);
        self.timed.remove_some(store, (hash, key), &span, limit)
    }

    /// Visits a key's entries with map keys in `range`, rising, until the visitor breaks. What is
    /// visited is read.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn range(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let span = TimedTree::<K, M, V>::span(key, &range);
        self.timed
            .visit(store, (hash, key), &span, Order::Rising, visit)
    }

    /// Visits a key's entries with map keys in `range`, falling, until the visitor breaks. What is
    /// visited is read.
    ///
    /// # Errors
    /// As [`ExpiringMapTable::range`].
    pub fn range_back(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let span = TimedTree::<K, M, V>::span(key, &range);
        self.timed
            .visit(store, (hash, key), &span, Order::Falling, visit)
    }

    /// Frees entries that have expired, looking at no more than `limit` entries of the queue.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    pub fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
        self.timed.expire(store, limit)
    }

    /// Visits entries of all keys that have not expired from the cursor on, `limit` of them and the
    /// expired ones among them; true at the end. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        mut visit: impl FnMut(&K, &M, V),
    ) -> Result<bool, StateError> {
        let entries = &self.timed.entries;
        entries.scan(store, cursor, limit, |key, map_key, timed| {
            if store.time() < timed.expires_ms {
                visit(key, map_key, timed.value);
            }
        })
    }

    /// Visits the next keys of a walk, as [`MapTable::walk_keys`](crate::MapTable::walk_keys) does,
    /// also those of which all has expired and is not freed yet.
    ///
    /// # Errors
    /// As [`MapTable::walk_keys`](crate::MapTable::walk_keys).
    ///
    /// # Panics
    /// As [`MapTable::walk_keys`](crate::MapTable::walk_keys).
    pub fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<(), StateError> {
        self.timed.entries.walk_keys(store, walk, limit, visit)
    }

    /// Removes entries of all keys, `limit` of them if so many are left; true if none is left.
    ///
    /// # Errors
    /// As [`ExpiringMapTable::expire`].
    pub fn clear(&mut self, store: &mut Store, limit: usize) -> Result<bool, StateError> {
        self.timed.clear(store, limit)
    }

    /// Entries in memory: those that are seen, and those that have expired and are not freed yet.
    #[must_use]
    pub fn held_count(&self, store: &Store) -> u64 {
        self.timed.entries.tree.len(store)
    }
}
