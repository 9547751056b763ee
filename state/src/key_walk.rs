//! Walks over the keys of a table that can be put aside: in a checkpoint, and on to another shard.

use rkyv::{Archive, Deserialize, Serialize};

use crate::error::StateError;
use crate::key::{KEY_BYTES_MAX, Key};
use crate::store::Store;
use crate::table::{ScanCursor, ValueTable};
use crate::tree::{KeyedTree, ListTable, MapTable, OrderedCursor};
use crate::value::Value;

/// Where a walk over all keys of one table stands: the key groups that are left, and how far the
/// first of them was walked.
///
/// A key that is in the table during the whole walk is visited once, whatever is put or removed
/// meanwhile; one that comes or goes is visited once or not at all. A walk is a [`Value`], so it
/// can be kept in the store that it walks over. After a restore it goes on where it stood; on other
/// shards each goes on with the key groups that are its own now ([`KeyWalk::on`]).
///
/// ```
/// use frazil_state::{KeyWalk, Store, StoreConfig, ValueTable, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let counts = ValueTable::<u64, u64>::open(&mut store, "counts")?;
/// for key in 0..1000 {
///     counts.put(&mut store, hash_key(&key), &key, &1)?;
/// }
/// let mut walk = KeyWalk::over(&store);
/// let mut sum = 0;
/// while !walk.is_done() {
///     counts.walk_keys(&store, &mut walk, 64, |key| sum += key)?; // A slice; then other work.
/// }
/// assert_eq!(sum, 999 * 1000 / 2);
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct KeyWalk {
    /// The first group that is left, numbered as the job's.
    group: u32,
    /// Behind the last group.
    end: u32,
    /// Where in the first group: a hash table's path, an ordered table's key, or nothing for its
    /// beginning.
    within: Vec<u8>,
}

impl KeyWalk {
    /// A walk over all keys of a table in `store`, at its beginning.
    #[must_use]
    pub fn over(store: &Store) -> Self {
        let owned = store.owned_groups();
        Self {
            group: owned.first,
            end: owned.first + owned.length,
            within: Vec::new(),
        }
    }

    /// What is left of the walk in the key groups of `store`; none if nothing is. A store of
    /// another shard layout keeps this in the place of the walk.
    #[must_use]
    pub fn on(&self, store: &Store) -> Option<Self> {
        let here = Self::over(store);
        let walk = Self {
            group: self.group.max(here.group),
            end: self.end.min(here.end),
            within: if self.group < here.group {
                Vec::new()
            } else {
                self.within.clone()
            },
        };
        (!walk.is_done()).then_some(walk)
    }

    /// Whether no key is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.group >= self.end
    }

    /// The groups that are left, numbered as the store's.
    ///
    /// # Panics
    /// If the walk reaches beyond the store's groups.
    fn groups(&self, store: &Store) -> (u32, u32) {
        let here = Self::over(store);
        assert!(
            self.is_done() || (here.group <= self.group && self.end <= here.end),
            "a walk over key groups {} to {} in a store of {} to {}",
            self.group,
            self.end,
            here.group,
            here.end
        );
        (self.group - here.group, self.end - here.group)
    }

    fn go_on_at(&mut self, store: &Store, group: u32, within: Option<&[u8]>) {
        self.group = store.owned_groups().first + group;
        self.within.clear();
        self.within.extend_from_slice(within.unwrap_or_default());
    }

    /// A stored walk whose place is none of the table's.
    #[cold]
    fn invalid(&self, table: String) -> StateError {
        StateError::Invalid {
            table,
            what: "place of a walk",
            reason: format!("{} bytes", self.within.len()),
        }
    }
}

impl<K: Key + ?Sized, V: Value> ValueTable<K, V> {
    /// Visits the next keys of a walk, at least `limit` of them if so many are left.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key of this type, or the walk is another
    /// table's.
    ///
    /// # Panics
    /// If the walk reaches beyond the store's key groups.
    ///
    /// # Cost
    /// Bounded by `limit` keys and those of one page, and a look at each empty key group on the
    /// way.
    pub fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        mut visit: impl FnMut(&K),
    ) -> Result<(), StateError> {
        let (group, end) = walk.groups(store);
        let path = match walk.within.as_slice() {
            [] => 0,
            within => match within.try_into() {
                Ok(path) => u64::from_le_bytes(path),
                Err(_) => return Err(walk.invalid(self.name(store))),
            },
        };
        let mut cursor = ScanCursor::at(group, path);
        self.scan_keys_until(store, &mut cursor, end, limit, &mut visit)?;
        let (group, path) = cursor.place();
        walk.go_on_at(store, group, Some(&path.to_le_bytes()));
        Ok(())
    }
}

impl<K: Key + ?Sized, S: Key + ?Sized, V: Value> KeyedTree<K, S, V> {
    /// As [`MapTable::walk_keys`].
    pub(crate) fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<(), StateError> {
        let (group, end) = walk.groups(store);
        if walk.within.len() > KEY_BYTES_MAX {
            return Err(walk.invalid(self.tree.table.name(store.arena())));
        }
        let mut cursor = OrderedCursor::behind(group, &walk.within);
        self.keys_until(store, &mut cursor, end, limit, visit)?;
        let (group, after) = cursor.place();
        walk.go_on_at(store, group, after);
        Ok(())
    }
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> MapTable<K, M, V> {
    /// Visits the next keys of a walk that have entries, at most `limit`.
    ///
    /// # Errors
    /// As [`ValueTable::walk_keys`].
    ///
    /// # Panics
    /// As [`ValueTable::walk_keys`].
    ///
    /// # Cost
    /// One descent a key, however large its map is.
    pub fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<(), StateError> {
        self.keyed.walk_keys(store, walk, limit, visit)
    }
}

impl<K: Key + ?Sized, V: Value> ListTable<K, V> {
    /// Visits the next keys of a walk that have elements, as [`MapTable::walk_keys`] does.
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
        self.keyed.walk_keys(store, walk, limit, visit)
    }
}
