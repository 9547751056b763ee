//! A typed keyed table of ordered maps.

use std::ops::{ControlFlow, RangeBounds};

use super::keyed::KeyedTree;
use super::scan::OrderedCursor;
use super::typed::Order;
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::store::Store;
use crate::value::Value;

const ROLE: &str = "map";

/// For every key an ordered map from map keys to values, inside a [`Store`].
///
/// The entries of one key lie side by side in the order of their map keys. `hash` is the key's hash
/// everywhere; map keys are not hashed.
///
/// ```
/// use std::ops::ControlFlow;
/// use frazil_state::{MapTable, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let clicks = MapTable::<str, u64, u32>::open(&mut store, "clicks by day")?;
/// let (user, hash) = ("ann", hash_key("ann"));
/// for day in [3, 1, 7, 3] {
///     clicks.update(&mut store, hash, user, &day, &0, |count| *count += 1)?;
/// }
/// let mut days = Vec::new();
/// clicks.range(&store, hash, user, 2..=7, |day, count| {
///     days.push((*day, count.to_native()));
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(days, [(3, 2), (7, 1)]);
/// assert_eq!(clicks.clear(&mut store, hash, user)?, 3);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct MapTable<K: ?Sized, M: ?Sized, V> {
    pub(crate) keyed: KeyedTree<K, M, V>,
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> MapTable<K, M, V> {
    /// Opens the table `name`, creating it if the store has none.
    ///
    /// # Errors
    /// [`StateError::FormChanged`] or [`StateError::TypeChanged`] if the table is another one,
    /// [`StateError::Table`] if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str) -> Result<Self, StateError> {
        let keyed = KeyedTree::open(store, name, ROLE)?;
        Ok(Self { keyed })
    }

    /// Identity of such a table's types, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> TypeIdentity {
        KeyedTree::<K, M, V>::identity(ROLE)
    }

    /// A value, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<Option<V>, StateError> {
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        let group = self.keyed.group(hash);
        self.keyed.tree.get_owned(store, group, &entry)
    }

    /// An archived value, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    ///
    /// # Cost
    /// One search a level of the tree; does not allocate or copy the value.
    pub fn get_archived<'a>(
        &self,
        store: &'a Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        self.keyed.tree.get(store, self.keyed.group(hash), &entry)
    }

    /// True if the key's map has the map key.
    #[must_use]
    pub fn contains(&self, store: &Store, hash: KeyHash, key: &K, map_key: &M) -> bool {
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        let group = self.keyed.group(hash);
        self.keyed
            .tree
            .table
            .find(store.arena(), group, &entry)
            .is_some()
    }

    /// Sets a value.
    ///
    /// # Errors
    /// Keys or a value over the limits, or an exhausted budget; nothing is changed then.
    ///
    /// # Cost
    /// A value whose archive keeps its length is written over the old one. Else bounded by one page
    /// split a level.
    pub fn put(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
        value: &V,
    ) -> Result<(), StateError> {
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        self.keyed
            .tree
            .put(store, self.keyed.group(hash), &entry, value)
    }

    /// Changes a value, starting from `initial` where there is none, and gives what `update`
    /// returned.
    ///
    /// # Errors
    /// As [`MapTable::put`], or stored bytes that are no value of this type.
    ///
    /// # Cost
    /// As [`MapTable::put`]; values of fixed size are changed in place.
    pub fn update<T>(
        &self,
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
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        let group = self.keyed.group(hash);
        self.keyed
            .tree
            .update(store, group, &entry, initial, update)
    }

    /// Removes a map key; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the entry refers to bytes outside the state.
    ///
    /// # Cost
    /// One search a level of the tree; at most one merge of two pages a level.
    pub fn remove(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        map_key: &M,
    ) -> Result<bool, StateError> {
        let entry = KeyedTree::<K, M, V>::entry_key(key, map_key);
        let group = self.keyed.group(hash);
        self.keyed
            .tree
            .table
            .remove(store.arena_mut(), group, &entry)
    }

    /// Removes the map keys of a range and says how many there were.
    ///
    /// # Errors
    /// As [`MapTable::remove`].
    ///
    /// # Cost
    /// One descent for every leaf of the range; leaves that it covers are given back as they are.
    pub fn remove_range(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
    ) -> Result<u64, StateError> {
        let (removed, _) = self
            .keyed
            .remove_range(store, hash, key, &range, u64::MAX)?;
        Ok(removed)
    }

    /// Removes map keys of a range, the lowest first, until at least `limit` are removed (a leaf's
    /// entries more at most) or none is left. Gives how many it removed, and whether none is left.
    ///
    /// # Errors
    /// As [`MapTable::remove`].
    ///
    /// # Cost
    /// As [`MapTable::remove_range`], for one leaf more than `limit` entries fill.
    pub fn remove_some(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        self.keyed.remove_range(store, hash, key, &range, limit)
    }

    /// Removes a key's whole map and says how many entries it had.
    ///
    /// # Errors
    /// As [`MapTable::remove`].
    ///
    /// # Cost
    /// As [`MapTable::remove_range`].
    pub fn clear(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<u64, StateError> {
        self.remove_range(store, hash, key, ..)
    }

    /// Visits a key's entries with map keys in `range`, rising, until the visitor breaks.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    ///
    /// # Cost
    /// One descent, then one search a leaf; values are not copied.
    pub fn range(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        self.visit(store, hash, key, &range, Order::Rising, visit)
    }

    /// Visits a key's entries with map keys in `range`, falling, until the visitor breaks.
    ///
    /// # Errors
    /// As [`MapTable::range`].
    ///
    /// # Cost
    /// As [`MapTable::range`].
    pub fn range_back(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        self.visit(store, hash, key, &range, Order::Falling, visit)
    }

    fn visit(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        range: &impl RangeBounds<M>,
        order: Order,
        mut visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let span = KeyedTree::<K, M, V>::span(key, range);
        let prefix_bytes = KeyedTree::<K, M, V>::prefix(key).len();
        let (tree, group) = (&self.keyed.tree, self.keyed.group(hash));
        tree.visit(store, group, span.edges(), order, |entry, value| {
            M::from_bytes(&entry[prefix_bytes..], |map_key| visit(map_key, value))
                .map_err(|error| tree.invalid_key(store.arena(), &error))
        })
    }

    /// True if the key's map has no entries.
    #[must_use]
    pub fn is_empty_at(&self, store: &Store, hash: KeyHash, key: &K) -> bool {
        let span = KeyedTree::<K, M, V>::span(key, &(..));
        let (from, to) = span.edges();
        let (table, group) = (&self.keyed.tree.table, self.keyed.group(hash));
        table
            .scan(
                store.arena(),
                group,
                from,
                to,
                |_, _| ControlFlow::Break(()),
            )
            .is_continue()
    }

    /// Entries of all keys together.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.keyed.tree.len(store)
    }

    /// True if no key has entries.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }

    /// Visits entries of all keys from the cursor on, at most `limit`; true at the end.
    ///
    /// Every entry that is in the table during the whole scan is visited once.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        visit: impl FnMut(&K, &M, V),
    ) -> Result<bool, StateError> {
        self.keyed.scan(store, cursor, limit, visit)
    }

    /// Visits keys that have entries from the cursor on, at most `limit`; true at the end.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key of this type.
    ///
    /// # Cost
    /// One descent a key, however large its map is.
    pub fn keys(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<bool, StateError> {
        self.keyed.keys(store, cursor, limit, visit)
    }
}
