//! A typed keyed table of lists whose elements expire.

use std::ops::ControlFlow;

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
use crate::value::{self, Value};

const ROLE: &str = "expiring list";

/// For every key a list, each of whose elements nobody sees any more once its time is over.
///
/// Times and the queue are those of an [`ExpiringTable`](super::ExpiringTable); every element has
/// its own. Keys have up to 1000 bytes.
///
/// ```
/// use frazil_state::{Expiry, ExpiringListTable, ExpiryPolicy, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let expiry = Expiry { after_ms: 1000, policy: ExpiryPolicy::OnWrite };
/// let mut visits = ExpiringListTable::<str, u64>::open(&mut store, "visits", expiry)?;
/// let (user, hash) = ("ann", hash_key("ann"));
/// store.set_time(5_000);
/// visits.append(&mut store, hash, user, &7)?;
/// store.set_time(5_500);
/// visits.append(&mut store, hash, user, &8)?;
/// store.set_time(6_000);
/// assert_eq!(visits.get(&mut store, hash, user)?, [8]);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ExpiringListTable<K: ?Sized, V> {
    /// Elements by index; what was freed leaves gaps.
    pub(super) timed: TimedTree<K, u64, V>,
}

impl<K: Key + ?Sized, V: Value + Clone> ExpiringListTable<K, V> {
    /// Opens the table `name`, creating it and its queue if the store has none. Elements that are
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
            KeyedTree::<K, u64, Timed<V>>::identity(ROLE),
            TimerTable::<K, u64>::types(),
        )
    }

    /// Adds a value at the end of a key's list.
    ///
    /// # Errors
    /// A key or value over the limits, or an exhausted budget; nothing is changed then.
    pub fn append(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        value: &V,
    ) -> Result<(), StateError> {
        self.append_all(store, hash, key, std::slice::from_ref(value))
    }

    /// Adds values at the end of a key's list.
    ///
    /// # Errors
    /// As [`ExpiringListTable::append`]; the values before the refused one are in the list then.
    pub fn append_all(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        values: &[V],
    ) -> Result<(), StateError> {
        let end = self.timed.entries.last_index(store, hash, key);
        for (part, value) in (end.map_or(0, |last| last + 1)..).zip(values) {
            let part = &part;
            self.timed
                .put(store, At { hash, key, part }, value.clone())?;
        }
        Ok(())
    }

    /// Sets a key's whole list; the time of every element starts anew.
    ///
    /// # Errors
    /// As [`ExpiringListTable::append`]; the values before the refused one are set then.
    pub fn replace(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        values: &[V],
    ) -> Result<(), StateError> {
        self.clear_some(store, hash, key, u64::MAX)?;
        self.append_all(store, hash, key, values)
    }

    /// Removes elements of a key's list, at most `limit` (and one at least); gives how many had not
    /// expired, and whether the list is empty.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    ///
    /// # Cost
    /// Some descents an element, for its place in the queue.
    pub fn clear_some(
        &mut self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let span = TimedTree::<K, u64, V>::span(key, &(..));
        self.timed.remove_some(store, (hash, key), &span, limit)
    }

    /// True if the key's list has no elements. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    ///
    /// # Cost
    /// A look at each element that has expired in front of the first one that has not.
    pub fn is_empty_at(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, StateError> {
        let span = TimedTree::<K, u64, V>::span(key, &(..));
        self.timed.is_empty_at(store, hash, &span)
    }

    /// A key's list, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    pub fn get(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<Vec<V>, StateError> {
        let mut values = Vec::new();
        let mut failure = None;
        self.for_each(store, hash, key, |archived| {
            match value::owned::<V>(archived) {
                Ok(value) => values.push(value),
                Err(error) => failure = Some(error),
            }
            ControlFlow::Continue(())
        })?;
        match failure {
            None => Ok(values),
            Some(error) => Err(self
                .timed
                .entries
                .tree
                .invalid(store.arena(), "value", &error)),
        }
    }

    /// Visits the archived elements of a key's list in order until the visitor breaks. What is
    /// visited is read.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    pub fn for_each(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        mut visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let span = TimedTree::<K, u64, V>::span(key, &(..));
        let visit = |_: &u64, value: &V::Archived| visit(value);
        self.timed
            .visit(store, (hash, key), &span, Order::Rising, visit)
    }

    /// Frees elements that have expired, looking at no more than `limit` entries of the queue.
    ///
    /// # Errors
    /// [`StateError::Invalid`] or [`StateError::Damaged`] if stored bytes are none of this table.
    pub fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
        self.timed.expire(store, limit)
    }

    /// Visits elements of all keys that have not expired from the cursor on, `limit` of them and
    /// the expired ones among them; true at the end. Starts nothing anew.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        mut visit: impl FnMut(&K, V),
    ) -> Result<bool, StateError> {
        let entries = &self.timed.entries;
        entries.scan(store, cursor, limit, |key, _, timed| {
            if store.time() < timed.expires_ms {
                visit(key, timed.value);
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

    /// Elements in memory: those that are seen, and those that have expired and are not freed yet.
    #[must_use]
    pub fn held_count(&self, store: &Store) -> u64 {
        self.timed.entries.tree.len(store)
    }
}
