//! An ordered table with values of one type: what all typed tables over trees share.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use rkyv::rancor::BoxedError;

use super::ordered_table::{Edge, FoundEntry, OrderedTable};
use crate::arena::Arena;
use crate::catalog::{self, NewTable, UserKeyPlace};
use crate::error::StateError;
use crate::form::{TableForm, TableKind, TableScope};
use crate::hash::hash_bytes;
use crate::identity::TypeIdentity;
use crate::key::{Key, KeyError};
use crate::store::Store;
use crate::table::Geometry;
use crate::value::{self, Value};

/// What a typed table says of its entries' keys.
pub(super) struct KeyLayout {
    pub(super) scope: TableScope,
    pub(super) identity: TypeIdentity,
    /// Length of every entry's key where it is the same for all.
    pub(super) bytes: Option<usize>,
    pub(super) user_key: Option<UserKeyPlace>,
}

/// Identity of a table's types: `role` tells tables with the same types apart that mean something
/// else by them.
pub(super) fn identity<V: Value>(role: &str, key_parts: &[u64]) -> TypeIdentity {
    let description = format!("{role} {key_parts:x?}");
    TypeIdentity {
        key_fingerprint: hash_bytes(description.as_bytes()).0,
        value_fingerprint: value::fingerprint::<V>(),
    }
}

/// Fingerprint of one key type.
pub(super) fn part_fingerprint<K: Key + ?Sized>() -> u64 {
    value::type_fingerprint::<K>(K::FIXED_BYTES.unwrap_or(0), 1)
}

/// An ordered table of values of type `V` by entry key bytes.
#[derive(Debug)]
pub(crate) struct TypedTree<V> {
    pub(crate) table: OrderedTable,
    value: PhantomData<V>,
}

impl<V: Value> TypedTree<V> {
    /// Opens the table `name`, creating it if the store has none.
    pub(super) fn open(
        store: &mut Store,
        name: &str,
        layout: &KeyLayout,
    ) -> Result<Self, StateError> {
        let form = TableForm {
            kind: TableKind::Ordered,
            scope: layout.scope,
        };
        let keyed = store.owned_groups();
        let table = if let Some(index) = catalog::find(store.arena(), name) {
            catalog::check_form(store.arena(), index, form)?;
            let found = catalog::identity(store.arena(), index);
            layout.identity.check(name, found)?;
            OrderedTable::open(store.arena(), index, keyed)?
        } else {
            let geometry = Geometry::new(
                layout.bytes,
                value::fixed_bytes::<V>(),
                value::alignment::<V>(),
            );
            let new = NewTable {
                name,
                form,
                identity: layout.identity,
                geometry: &geometry,
                user_key: layout.user_key,
            };
            OrderedTable::create(store.arena_mut(), &new, keyed)?
        };
        Ok(Self {
            table,
            value: PhantomData,
        })
    }

    /// Entries of all groups.
    pub(crate) fn len(&self, store: &Store) -> u64 {
        (0..self.table.owned.length)
            .map(|group| self.table.entry_count(store.arena(), group))
            .sum()
    }

    /// The archived value of a key, in place.
    pub(crate) fn get<'a>(
        &self,
        store: &'a Store,
        group: u32,
        key: &[u8],
    ) -> Result<Option<&'a V::Archived>, StateError> {
        let arena = store.arena();
        let Some(found) = self.table.find(arena, group, key) else {
            return Ok(None);
        };
        self.view(arena, self.table.value(arena, found)?).map(Some)
    }

    /// The value of a key, copied out.
    pub(crate) fn get_owned(
        &self,
        store: &Store,
        group: u32,
        key: &[u8],
    ) -> Result<Option<V>, StateError> {
        let arena = store.arena();
        let found = self.table.find(arena, group, key);
        found
            .map(|found| self.unarchive(arena, self.table.value(arena, found)?))
            .transpose()
    }

    /// Value bytes of an entry as what they stand for.
    #[inline]
    pub(crate) fn view<'a>(
        &self,
        arena: &Arena,
        bytes: &'a [u8],
    ) -> Result<&'a V::Archived, StateError> {
        value::view::<V>(bytes).map_err(|error| self.invalid(arena, "value", &error))
    }

    /// Value bytes of an entry, copied out.
    pub(super) fn unarchive(&self, arena: &Arena, bytes: &[u8]) -> Result<V, StateError> {
        value::unarchive::<V>(bytes).map_err(|error| self.invalid(arena, "value", &error))
    }

    /// Sets the value of a key.
    pub(crate) fn put(
        &self,
        store: &mut Store,
        group: u32,
        key: &[u8],
        value: &V,
    ) -> Result<(), StateError> {
        let (arena, scratch) = store.arena_and_scratch();
        let bytes = scratch
            .archive(value)
            .map_err(|error| StateError::Archive {
                table: self.table.name(arena),
                reason: error.to_string(),
            })?;
        self.table.check_value(arena, bytes)?;
        self.table.put(arena, group, key, scratch.bytes(bytes))?;
        Ok(())
    }

    /// Changes the value of a key, starting from `initial` where there is none.
    pub(super) fn update<T>(
        &self,
        store: &mut Store,
        group: u32,
        key: &[u8],
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, StateError>
    where
        V: Clone,
    {
        let Some(found) = self.table.find(store.arena(), group, key) else {
            let mut value = initial.clone();
            let result = update(&mut value);
            self.put(store, group, key, &value)?;
            return Ok(result);
        };
        if value::fixed_bytes::<V>().is_some() {
            let slot = self.table.value_mut(store.arena_mut(), found)?;
            let changed = value::unarchive::<V>(slot).and_then(|mut value| {
                let result = update(&mut value);
                value::archive_fixed(&value, slot)?;
                Ok(result)
            });
            return changed.map_err(|error| self.invalid(store.arena(), "value", &error));
        }
        let arena = store.arena();
        let mut value = self.unarchive(arena, self.table.value(arena, found)?)?;
        let result = update(&mut value);
        self.put(store, group, key, &value)?;
        Ok(result)
    }

    /// Visits the entries between two edges, rising or falling, as key bytes and archived values.
    pub(crate) fn visit<'a>(
        &'a self,
        store: &'a Store,
        group: u32,
        (from, to): (Edge<'_>, Edge<'_>),
        order: Order,
        mut visit: impl FnMut(&'a [u8], &'a V::Archived) -> Result<ControlFlow<()>, StateError>,
    ) -> Result<(), StateError> {
        let arena = store.arena();
        let visit = |key: &'a [u8], found: FoundEntry| {
            let value = self.table.value(arena, found);
            let value = value.and_then(|bytes| self.view(arena, bytes));
            let visited = value.and_then(|value| visit(key, value));
            match visited {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                Ok(ControlFlow::Break(())) => ControlFlow::Break(Ok(())),
                Err(error) => ControlFlow::Break(Err(error)),
            }
        };
        let broken = match order {
            Order::Rising => self.table.scan(arena, group, from, to, visit),
            Order::Falling => self.table.scan_back(arena, group, from, to, visit),
        };
        match broken {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(result) => result,
        }
    }

    #[cold]
    pub(crate) fn invalid(
        &self,
        arena: &Arena,
        what: &'static str,
        error: &BoxedError,
    ) -> StateError {
        StateError::Invalid {
            table: self.table.name(arena),
            what,
            reason: error.to_string(),
        }
    }

    /// Stored key bytes that are no key of the asked type.
    #[cold]
    pub(crate) fn invalid_key(&self, arena: &Arena, error: &KeyError) -> StateError {
        StateError::Invalid {
            table: self.table.name(arena),
            what: "key",
            reason: error.to_string(),
        }
    }
}

/// Which way entries are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Rising,
    Falling,
}
