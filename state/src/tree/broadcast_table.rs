//! An ordered map that every shard holds alike.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::ordered_table::Edge;
use super::typed::{self, KeyLayout, Order, TypedTree, part_fingerprint};
use crate::error::StateError;
use crate::form::TableScope;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::store::Store;
use crate::value::Value;

const ROLE: &str = "broadcast";

/// An ordered map inside a [`Store`] for what all shards are told alike: rules, settings, prices.
///
/// Who writes it sees to it that every shard's copy gets the same writes in the same order.
///
/// ```
/// use frazil_state::{BroadcastTable, Store, StoreConfig};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let limits = BroadcastTable::<str, u32>::open(&mut store, "limits")?;
/// limits.put(&mut store, "requests", &100)?;
/// assert_eq!(limits.get(&store, "requests")?, Some(100));
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct BroadcastTable<K: ?Sized, V> {
    tree: TypedTree<V>,
    key: PhantomData<fn(&K)>,
}

/// The one tree of a table that is not keyed.
const TREE: u32 = 0;

impl<K: Key + ?Sized, V: Value> BroadcastTable<K, V> {
    /// Opens the table `name`, creating it if the store has none.
    ///
    /// # Errors
    /// [`StateError::FormChanged`] or [`StateError::TypeChanged`] if the table is another one,
    /// [`StateError::Table`] if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str) -> Result<Self, StateError> {
        let layout = KeyLayout {
            scope: TableScope::Broadcast,
            identity: Self::types(),
            bytes: K::FIXED_BYTES,
            user_key: None,
        };
        Ok(Self {
            tree: TypedTree::open(store, name, &layout)?,
            key: PhantomData,
        })
    }

    /// Identity of such a table's types, for [`Store::check_types`].
    #[must_use]
    pub fn types() -> TypeIdentity {
        typed::identity::<V>(ROLE, &[part_fingerprint::<K>()])
    }

    /// The value of a key, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(&self, store: &Store, key: &K) -> Result<Option<V>, StateError> {
        key.with_bytes(|key| self.tree.get_owned(store, TREE, key))
    }

    /// The archived value of a key, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get_archived<'a>(
        &self,
        store: &'a Store,
        key: &K,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        key.with_bytes(|key| self.tree.get(store, TREE, key))
    }

    /// True if the table has the key.
    #[must_use]
    pub fn contains(&self, store: &Store, key: &K) -> bool {
        key.with_bytes(|key| self.tree.table.find(store.arena(), TREE, key).is_some())
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// A key or value over the limits, or an exhausted budget; nothing is changed then.
    pub fn put(&self, store: &mut Store, key: &K, value: &V) -> Result<(), StateError> {
        key.with_bytes(|key| self.tree.put(store, TREE, key, value))
    }

    /// Removes a key; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the entry refers to bytes outside the state.
    pub fn remove(&self, store: &mut Store, key: &K) -> Result<bool, StateError> {
        let arena = store.arena_mut();
        key.with_bytes(|key| self.tree.table.remove(arena, TREE, key))
    }

    /// Removes all keys and says how many there were.
    ///
    /// # Errors
    /// As [`BroadcastTable::remove`].
    pub fn clear(&self, store: &mut Store) -> Result<u64, StateError> {
        let arena = store.arena_mut();
        let edges = (Edge::Start, Edge::End);
        let (removed, _) = self.tree.table.remove_range(arena, TREE, edges, u64::MAX)?;
        Ok(removed)
    }

    /// Visits keys and archived values in key order until the visitor breaks.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn for_each(
        &self,
        store: &Store,
        mut visit: impl FnMut(&K, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let (tree, edges) = (&self.tree, (Edge::Start, Edge::End));
        tree.visit(store, TREE, edges, Order::Rising, |entry, value| {
            K::from_bytes(entry, |key| visit(key, value))
                .map_err(|error| tree.invalid_key(store.arena(), &error))
        })
    }

    /// Keys in the table.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.tree.len(store)
    }

    /// True if the table has no keys.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }
}
