//! A typed keyed table: one value a key.

use std::cell::RefCell;
use std::marker::PhantomData;

use rkyv::rancor::BoxedError;
use rkyv::seal::Seal;

use super::geometry::{Geometry, RECORD_BYTES_MAX};
use super::hash_table::{Found, HashTable};
use super::lookahead::Lookahead;
use crate::arena::Arena;
use crate::catalog::{self, NewTable};
use crate::error::StateError;
use crate::form::TableForm;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::Key;
use crate::page::PageId;
use crate::store::Store;
use crate::value::{self, Value};

/// A table of values by key, inside a [`Store`].
///
/// ```
/// use frazil_state::{Store, StoreConfig, ValueTable, hash_key};
/// let mut store = Store::new(&StoreConfig::default())?;
/// let counts = ValueTable::<str, u64>::open(&mut store, "counts")?;
/// for word in ["ice", "water", "ice"] {
///     counts.update(&mut store, hash_key(word), word, &0, |count| *count += 1)?;
/// }
/// assert_eq!(counts.get(&store, hash_key("ice"), "ice")?, Some(2));
/// # Ok::<(), frazil_state::StateError>(())
/// ```
#[derive(Debug)]
pub struct ValueTable<K: ?Sized, V> {
    pub(super) table: HashTable,
    /// What is known of the keys to come, where the table keeps it.
    ahead: Option<Box<RefCell<Lookahead>>>,
    key: PhantomData<fn(&K)>,
    value: PhantomData<V>,
}

impl<K: Key + ?Sized, V: Value> ValueTable<K, V> {
    /// The shape of the records, as a constant, so that an access has no branch on it.
    pub(super) const GEOMETRY: &'static Geometry = &Geometry::new(
        K::FIXED_BYTES,
        value::fixed_bytes::<V>(),
        value::alignment::<V>(),
    );

    /// Opens the table `name`, creating it if the store has none.
    ///
    /// # Errors
    /// [`StateError::TypeChanged`] if the table was written with other types, [`StateError::Table`]
    /// if a bound on names or tables is hit.
    pub fn open(store: &mut Store, name: &str) -> Result<Self, StateError> {
        let identity = TypeIdentity::of::<K, V>();
        let owned = store.owned_groups();
        let table = if let Some(index) = catalog::find(store.arena(), name) {
            catalog::check_form(store.arena(), index, TableForm::KEYED_HASH)?;
            identity.check(name, catalog::identity(store.arena(), index))?;
            HashTable::open(store.arena(), index, owned)?
        } else {
            let new = NewTable {
                name,
                form: TableForm::KEYED_HASH,
                identity,
                geometry: Self::GEOMETRY,
                user_key: None,
            };
            HashTable::create(store.arena_mut(), &new, owned)?
        };
        if table.geometry != *Self::GEOMETRY {
            return Err(StateError::Damaged {
                page: PageId::SUPERBLOCK.0,
                what: "shape of a table's records",
                expected: format!("{:?}", Self::GEOMETRY),
                found: format!("{:?}", table.geometry),
            });
        }
        Ok(Self {
            table,
            ahead: None,
            key: PhantomData,
            value: PhantomData,
        })
    }

    /// The table as one that keeps what it finds ahead by [`ValueTable::announce`], for all
    /// accesses that follow.
    #[must_use]
    pub fn announcing(self) -> Self {
        let ahead = Some(Box::new(RefCell::new(self.lookahead())));
        Self { ahead, ..self }
    }

    /// Announces a run of keys, as [`ValueTable::look_ahead`] does, to the table itself; loads
    /// their lines only where it is not [announcing](ValueTable::announcing).
    ///
    /// # Panics
    /// If there are more than [`RUN_KEYS_MAX`](crate::RUN_KEYS_MAX) keys.
    #[inline]
    pub fn announce(&self, store: &Store, hashes: &[KeyHash]) {
        match &self.ahead {
            Some(ahead) => self.look_ahead(store, &mut ahead.borrow_mut(), hashes),
            None => self.prefetch(store, hashes),
        }
    }

    /// Values of one length that lie beside their keys are written straight over the old ones.
    /// Others are archived aside, so that in a run only the lines that differ become dirty.
    const FITS_ITS_SLOT: bool = match value::fixed_bytes::<V>() {
        Some(bytes) => bytes <= RECORD_BYTES_MAX,
        None => false,
    };

    /// Loads the cache lines that accesses to these keys will read.
    ///
    /// # Cost
    /// Some ns a key; pays where the table is larger than the cache.
    #[inline]
    pub fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        if store.arena().looks_ahead() {
            self.table.prefetch(store.arena(), hashes);
        }
    }

    /// The value of a key, copied out.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    pub fn get(&self, store: &Store, hash: KeyHash, key: &K) -> Result<Option<V>, StateError> {
        self.bytes(store, hash, key)?
            .map(|bytes| value::unarchive::<V>(bytes).map_err(|error| self.invalid(store, &error)))
            .transpose()
    }

    /// The archived value of a key, in place.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type.
    ///
    /// # Cost
    /// Does not allocate or copy; checks the archive, which is free for integers.
    pub fn get_archived<'a>(
        &self,
        store: &'a Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<Option<&'a V::Archived>, StateError> {
        self.bytes(store, hash, key)?
            .map(|bytes| value::view::<V>(bytes).map_err(|error| self.invalid(store, &error)))
            .transpose()
    }

    #[inline]
    fn bytes<'a>(
        &self,
        store: &'a Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<Option<&'a [u8]>, StateError> {
        let arena = store.arena();
        let found = key.with_bytes(|key| self.find(arena, hash, key));
        found
            .map(|found| self.table.value(arena, Self::GEOMETRY, found))
            .transpose()
    }

    #[inline]
    fn find(&self, arena: &Arena, hash: KeyHash, key: &[u8]) -> Option<Found> {
        match &self.ahead {
            None => self.table.find(arena, Self::GEOMETRY, hash, key),
            Some(ahead) => {
                let ahead = &mut ahead.borrow_mut();
                self.table
                    .find_in_use(arena, Self::GEOMETRY, ahead, hash, key)
            }
        }
    }

    /// Changes the value of a key, starting from `initial` where there is none, and gives what
    /// `update` returned.
    ///
    /// # Errors
    /// A key or value over the limits, an exhausted budget, or stored bytes that are no value of
    /// this type.
    ///
    /// # Cost
    /// A value whose archive keeps its length is changed in place and touches no other line. Does
    /// not allocate for fixed-size values. Bounded by one page split.
    #[inline]
    pub fn update<T>(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        key.with_bytes(|key| {
            let found = self.find(store.arena(), hash, key);
            self.update_found(store, found, hash, key, initial, update)
        })
    }

    /// Changes the value of a key, or sets it to `first` where there is none.
    ///
    /// # Errors
    /// As [`ValueTable::update`].
    ///
    /// # Cost
    /// As [`ValueTable::update`].
    #[inline]
    pub fn fold(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        first: &V,
        fold: impl FnOnce(&mut V),
    ) -> Result<(), StateError> {
        key.with_bytes(|key| match self.find(store.arena(), hash, key) {
            Some(found) => self.change_found(store, found, hash, key, fold),
            None => self.insert_bytes(store, hash, key, first),
        })
    }

    /// Where a user of this table keeps what it finds ahead.
    #[must_use]
    pub fn lookahead(&self) -> Lookahead {
        Lookahead::new(self.table.index)
    }

    /// Announces a run of keys, which comes into use with the next call but one; a call without
    /// keys only moves the runs before it on.
    ///
    /// # Panics
    /// If there are more than [`RUN_KEYS_MAX`](crate::RUN_KEYS_MAX) keys, or `ahead` is another
    /// table's.
    ///
    /// # Cost
    /// Some ns a key, in place of the search that [`ValueTable::update`] makes.
    #[inline]
    pub fn look_ahead(&self, store: &Store, ahead: &mut Lookahead, hashes: &[KeyHash]) {
        let arena = store.arena();
        if arena.looks_ahead() {
            self.table.look_ahead(arena, Self::GEOMETRY, ahead, hashes);
        }
    }

    /// As [`ValueTable::update`], for the keys of the run in use in their order.
    ///
    /// # Errors
    /// As [`ValueTable::update`].
    ///
    /// # Cost
    /// As [`ValueTable::update`], without a search where the run was announced in time. Keys in
    /// another order are found as well, by a search.
    #[inline]
    pub fn update_ahead<T>(
        &self,
        store: &mut Store,
        ahead: &mut Lookahead,
        hash: KeyHash,
        key: &K,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        key.with_bytes(|key| {
            let arena = store.arena();
            let found = self
                .table
                .find_ahead(arena, Self::GEOMETRY, ahead, hash, key);
            self.update_found(store, found, hash, key, initial, update)
        })
    }

    #[inline]
    fn update_found<T>(
        &self,
        store: &mut Store,
        found: Option<Found>,
        hash: KeyHash,
        key: &[u8],
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        let Some(found) = found else {
            let mut value = initial.clone();
            let result = update(&mut value);
            self.insert_bytes(store, hash, key, &value)?;
            return Ok(result);
        };
        self.change_found(store, found, hash, key, update)
    }

    /// Changes the value of a record that was found.
    #[inline]
    fn change_found<T>(
        &self,
        store: &mut Store,
        found: Found,
        hash: KeyHash,
        key: &[u8],
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError> {
        if Self::FITS_ITS_SLOT {
            return self.update_in_place(store, found, update);
        }
        let stored = self.table.value(store.arena(), Self::GEOMETRY, found)?;
        let mut value =
            value::unarchive::<V>(stored).map_err(|error| self.invalid(store, &error))?;
        let result = update(&mut value);
        self.replace(store, hash, key, found, &value)?;
        Ok(result)
    }

    #[inline]
    fn update_in_place<T>(
        &self,
        store: &mut Store,
        found: Found,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError> {
        let slot = self
            .table
            .value_mut(store.arena_mut(), Self::GEOMETRY, found)?;
        let changed = value::unarchive::<V>(slot).and_then(|mut value| {
            let result = update(&mut value);
            value::archive_fixed(&value, slot)?;
            Ok(result)
        });
        changed.map_err(|error| self.invalid(store, &error))
    }

    /// The archived value of a key, which becomes `initial` where there is none.
    ///
    /// # Errors
    /// As [`ValueTable::update`].
    pub fn get_or_insert<'a>(
        &self,
        store: &'a mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
    ) -> Result<&'a V::Archived, StateError> {
        let found = self.find_or_insert(store, hash, key, initial)?;
        let bytes = self.table.value(store.arena(), Self::GEOMETRY, found)?;
        value::view::<V>(bytes).map_err(|error| self.invalid(store, &error))
    }

    /// Changes the archived value of a key in place, starting from `initial` where there is none,
    /// and gives what `update` returned. Fields are reached through the seal: by assignment where
    /// the archived type is plain, by `munge!` in a derived one. What cannot be changed without a
    /// new archive (the length of a text) has no safe way through it.
    ///
    /// ```
    /// use frazil_state::{Store, StoreConfig, ValueTable, hash_key};
    /// let mut store = Store::new(&StoreConfig::default())?;
    /// let sums = ValueTable::<str, [u64; 16]>::open(&mut store, "sums")?;
    /// sums.update_archived(&mut store, hash_key("ice"), "ice", &[0; 16], |mut sums| {
    ///     sums[3] += 1;
    /// })?;
    /// assert_eq!(sums.get(&store, hash_key("ice"), "ice")?.map(|sums| sums[3]), Some(1));
    /// # Ok::<(), frazil_state::StateError>(())
    /// ```
    ///
    /// # Errors
    /// As [`ValueTable::update`].
    ///
    /// # Cost
    /// Copies and allocates nothing. All lines of the value become dirty.
    pub fn update_archived<T>(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
        update: impl FnOnce(Seal<'_, V::Archived>) -> T,
    ) -> Result<T, StateError> {
        let found = self.find_or_insert(store, hash, key, initial)?;
        let bytes = self
            .table
            .value_mut(store.arena_mut(), Self::GEOMETRY, found)?;
        match value::view_mut::<V>(bytes) {
            Ok(sealed) => Ok(update(sealed)),
            Err(error) => Err(self.invalid(store, &error)),
        }
    }

    fn find_or_insert(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        initial: &V,
    ) -> Result<Found, StateError> {
        key.with_bytes(|key| {
            if let Some(found) = self.find(store.arena(), hash, key) {
                return Ok(found);
            }
            self.insert_bytes(store, hash, key, initial)?;
            let found = self.find(store.arena(), hash, key);
            Ok(found.expect("the record was just made"))
        })
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// As [`ValueTable::update`].
    pub fn put(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        value: &V,
    ) -> Result<(), StateError> {
        key.with_bytes(|key| match self.find(store.arena(), hash, key) {
            Some(found) => self.replace(store, hash, key, found, value),
            None => self.insert_bytes(store, hash, key, value),
        })
    }

    /// Removes a key; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the record refers to bytes outside the state.
    pub fn remove(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<bool, StateError> {
        let found = key.with_bytes(|key| self.find(store.arena(), hash, key));
        if let Some(found) = found {
            self.table.remove(store.arena_mut(), hash, found)?;
        }
        Ok(found.is_some())
    }

    /// Removes a key and gives the value that it had.
    ///
    /// # Errors
    /// [`StateError::Invalid`] if the stored bytes are no value of this type; then it stays.
    pub fn take(&self, store: &mut Store, hash: KeyHash, key: &K) -> Result<Option<V>, StateError> {
        let value = self.get(store, hash, key)?;
        if value.is_some() {
            self.remove(store, hash, key)?;
        }
        Ok(value)
    }

    /// True if the table has a value for a key.
    #[must_use]
    pub fn contains(&self, store: &Store, hash: KeyHash, key: &K) -> bool {
        key.with_bytes(|key| self.find(store.arena(), hash, key).is_some())
    }

    #[inline]
    fn replace(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &[u8],
        found: Found,
        value: &V,
    ) -> Result<(), StateError> {
        if Self::FITS_ITS_SLOT {
            let slot = self
                .table
                .value_mut(store.arena_mut(), Self::GEOMETRY, found)?;
            return value::archive_fixed(value, slot)
                .map_err(|error| self.not_archived(store, &error));
        }
        let bytes = self.archive_aside(store, value)?;
        let (arena, scratch) = store.arena_and_scratch();
        self.table.check_value(arena, bytes)?;
        self.table
            .replace(arena, hash, key, found, scratch.bytes(bytes))
    }

    #[inline]
    fn insert_bytes(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &[u8],
        value: &V,
    ) -> Result<(), StateError> {
        if let Some(bytes) = value::fixed_bytes::<V>() {
            let slot = self.table.insert(store.arena_mut(), hash, key, bytes)?;
            return match value::archive_fixed(value, slot) {
                Ok(()) => Ok(()),
                Err(error) => Err(self.take_back(store, hash, key, &error)),
            };
        }
        let bytes = self.archive_aside(store, value)?;
        let (arena, scratch) = store.arena_and_scratch();
        let slot = self.table.insert(arena, hash, key, bytes)?;
        slot.copy_from_slice(scratch.bytes(bytes));
        Ok(())
    }

    /// Removes the record that was made for a value whose type then refused to be archived.
    #[cold]
    fn take_back(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &[u8],
        error: &BoxedError,
    ) -> StateError {
        if let Some(found) = self.find(store.arena(), hash, key)
            && let Err(error) = self.table.remove(store.arena_mut(), hash, found)
        {
            return error;
        }
        self.not_archived(store, error)
    }

    fn archive_aside(&self, store: &mut Store, value: &V) -> Result<usize, StateError> {
        let archived = store.arena_and_scratch().1.archive(value);
        archived.map_err(|error| self.not_archived(store, &error))
    }

    #[cold]
    fn not_archived(&self, store: &Store, error: &BoxedError) -> StateError {
        StateError::Archive {
            table: self.table.name(store.arena()),
            reason: error.to_string(),
        }
    }

    #[cold]
    pub(super) fn invalid(&self, store: &Store, error: &BoxedError) -> StateError {
        StateError::Invalid {
            table: self.table.name(store.arena()),
            what: "value",
            reason: error.to_string(),
        }
    }
}
