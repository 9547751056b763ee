//! A typed table as a whole: how much is in it, all of it, none of it.

use super::scan::ScanCursor;
use super::value_table::ValueTable;
use crate::arena::Arena;
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::key::{Key, KeyError};
use crate::store::Store;
use crate::value::{self, Value};

impl<K: Key + ?Sized, V: Value> ValueTable<K, V> {
    /// Keys in the table.
    #[must_use]
    pub fn len(&self, store: &Store) -> u64 {
        self.table.record_count(store.arena())
    }

    /// True if the table has no keys.
    #[must_use]
    pub fn is_empty(&self, store: &Store) -> bool {
        self.len(store) == 0
    }

    /// Visits keys and values from the cursor on, at least `limit` of them if so many are left;
    /// true at the end.
    ///
    /// Every key that is in the table during the whole scan is visited once.
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
        let arena = store.arena();
        self.table.scan(arena, cursor, limit, |key, found| {
            let bytes = self.table.value(arena, &self.table.geometry, found)?;
            let value =
                value::unarchive::<V>(bytes).map_err(|error| self.invalid(store, &error))?;
            K::from_bytes(key, |key| visit(key, value))
                .map_err(|error| self.invalid_key(arena, &error))
        })
    }

    /// Visits keys as [`ValueTable::scan`] does, without their values.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if stored bytes are no key of this type.
    pub fn scan_keys(
        &self,
        store: &Store,
        cursor: &mut ScanCursor,
        limit: usize,
        mut visit: impl FnMut(&K),
    ) -> Result<bool, StateError> {
        let end = store.owned_groups().length;
        self.scan_keys_until(store, cursor, end, limit, &mut visit)
    }

    /// The same, of the groups before `end` only.
    pub(crate) fn scan_keys_until(
        &self,
        store: &Store,
        cursor: &mut ScanCursor,
        end: u32,
        limit: usize,
        mut visit: impl FnMut(&K),
    ) -> Result<bool, StateError> {
        let arena = store.arena();
        self.table.scan_until(arena, cursor, end, limit, |key, _| {
            K::from_bytes(key, &mut visit).map_err(|error| self.invalid_key(arena, &error))
        })
    }

    pub(crate) fn name(&self, store: &Store) -> String {
        self.table.name(store.arena())
    }

    /// Removes keys, at least `limit` of them if so many are left; true if the table is empty.
    /// Pages are given back.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a record refers to bytes outside the state.
    ///
    /// # Cost
    /// For every bucket of some dozen records its header, its tags and its neighbours; values are
    /// not touched. A large table is best cleared in slices.
    pub fn clear(&self, store: &mut Store, limit: usize) -> Result<bool, StateError> {
        self.table.clear(store.arena_mut(), limit)
    }

    /// Overwrites eight bytes of a key's archive, if there is one; `at` gives their offset from the
    /// archive's length, and what is written is part of a valid archive.
    pub(crate) fn write_word(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        at: impl FnOnce(usize) -> usize,
        word: [u8; 8],
    ) -> Result<(), StateError> {
        let arena = store.arena_mut();
        let Some(found) = key.with_bytes(|key| self.table.find(arena, Self::GEOMETRY, hash, key))
        else {
            return Ok(());
        };
        let bytes = self.table.value(arena, Self::GEOMETRY, found)?.len();
        self.table.write_word(arena, found, at(bytes), word)
    }

    /// Bytes of a key and its archive, if there is one.
    pub(crate) fn record_bytes(
        &self,
        store: &Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<Option<u64>, StateError> {
        let arena = store.arena();
        key.with_bytes(|key| {
            let Some(found) = self.table.find(arena, Self::GEOMETRY, hash, key) else {
                return Ok(None);
            };
            let bytes = key.len() + self.table.value(arena, Self::GEOMETRY, found)?.len();
            Ok(Some(bytes as u64))
        })
    }

    #[cold]
    fn invalid_key(&self, arena: &Arena, error: &KeyError) -> StateError {
        StateError::Invalid {
            table: self.table.name(arena),
            what: "key",
            reason: error.to_string(),
        }
    }
}
