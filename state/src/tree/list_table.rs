//! A typed keyed table of lists.

use std::ops::ControlFlow;

use super::elements::Elements;
use super::keyed::KeyedTree;
use super::scan::OrderedCursor;
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::store::Store;
use crate::value::Value;

const ROLE: &str = "list";

/// For every key a list of values, inside a [`Store`].
///
/// Elements are entries by index, so that appending writes one of them and never the list.
///
/// ```
/// use frazil_state::{ListTable, Store, StoreConfig, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let visits = ListTable::<str, u64>::open(&mut store, "visits")?;
/// let (user, hash) = ("ann", hash_key("ann"));
/// visits.append_all(&mut store, hash, user, &[7, 8])?;
/// visits.append(&mut store, hash, user, &9)?;
/// assert_eq!(visits.get(&store, hash, user)?, [7, 8, 9]);
/// visits.replace(&mut store, hash, user, &[1])?;
/// assert_eq!(visits.len_at(&store, hash, user), 1);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ListTable<K: ?Sized, V> {
    /// Indices of a key are `0..n` without gaps.
    pub(crate) keyed: KeyedTree<K, u64, V>,
}

impl<K: Key + ?Sized, V: Value> ListTable<K, V> {
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
        KeyedTree::<K, u64, V>::identity(ROLE)
    }

    /// Adds a value at the end of a key's list.
    ///
    /// # Errors
    /// A key or value over the limits, or an exhausted budget; nothing is changed then.
    ///
    /// # Cost
    /// Two descents; bounded by one page split a level.
    pub fn append(
        &self,
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
    /// As [`ListTable::append`]; the values before the refused one are in the list then.
    ///
    /// # Cost
    /// One descent, and one a value.
    pub fn append_all(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        values: &[V],
    ) -> Result<(), StateError> {
        self.elements(hash, key).append(store, values)
    }

    fn elements(&self, hash: KeyHash, key: &K) -> Elements<'_, V> {
        Elements {
            tree: &self.keyed.tree,
            group: self.keyed.group(hash),
            prefix: KeyedTree::<K, u64, V>::prefix(key),
        }
    }

    /// Sets a key's whole list.
    ///
    /// # Errors
    /// As [`ListTable::append`]; the values before the refused one are set then.
    ///
    /// # Cost
    /// One descent a value; elements whose archives keep their length are written over the old.
    pub fn replace(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        values: &[V],
    ) -> Result<(), StateError> {
        self.elements(hash, key).replace(store, values)
    }

    /// Removes a key's whole list and says how many elements it had.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if an element refers to bytes outside the state.
    ///
    /// # Cost
    /// One descent for every leaf of the list; whole leaves are given back as they are.
    pub fn clear(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<u64, StateError> {
        self.elements(hash, key).remove_from(store, 0)
    }

    /// Removes the last elements of a key's list, at most `limit`. Gives how many it removed, and
    /// whether the list is empty.
    ///
    /// # Errors
    /// As [`ListTable::clear`].
    ///
    /// # Cost
    /// As [`ListTable::clear`], for the leaves that `limit` elements fill.
    pub fn clear_some(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let elements = self.elements(hash, key);
        let begin = elements.len(store).saturating_sub(limit);
        Ok((elements.remove_from(store, begin)?, begin == 0))
    }

    /// Elements of a key's list.
    ///
    /// # Cost
    /// One descent.
    #[must_use]
    pub fn len_at(&self, store: &Store, hash: KeyHash, key: &K) -> u64 {
        self.elements(hash, key).len(store)
    }

    /// True if the key has no elements.
    #[must_use]
    pub fn is_empty_at(&self, store: &Store, hash: KeyHash, key: &K) -> bool {
        self.len_at(store, hash, key) == 0
    }

    /// A key's list, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    pub fn get(&self, store: &Store, hash: KeyHash, key: &K) -> Result<Vec<V>, StateError> {
        self.elements(hash, key).get(store)
    }

    /// Visits the archived elements of a key's list in order until the visitor breaks.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no value of this type.
    ///
    /// # Cost
    /// One descent, then one search a leaf; elements are not copied.
    pub fn for_each(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
        visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        self.elements(hash, key).for_each(store, visit)
    }

    /// Elements of all lists together.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.keyed.tree.len(store)
    }

    /// True if no key has elements.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }

    /// Visits elements of all keys from the cursor on, at most `limit`, with their index; true at
    /// the end.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key or value of these types.
    pub fn scan(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        mut visit: impl FnMut(&K, u64, V),
    ) -> Result<bool, StateError> {
        self.keyed.scan(store, cursor, limit, |key, index, value| {
            visit(key, *index, value)
        })
    }

    /// Visits keys that have elements from the cursor on, at most `limit`; true at the end.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key of this type.
    ///
    /// # Cost
    /// One descent a key, however long its list is.
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
