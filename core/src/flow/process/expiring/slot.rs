//! A declared table whose content expires.

use std::cell::{Ref, RefCell, RefMut};

use frazil_state::{
    Expired, ExpiringListTable, ExpiringMapTable, ExpiringTable, Expiry, Key, KeyHash, KeyWalk,
    StateError, Store, TypeIdentity, Value,
};

use super::super::declared::{DeclaredTable, TableSlot, WalkedTable};
use crate::flow::error::FlowError;

/// The table of an expiring state, empty until the shard is built, and what opens it.
pub(in crate::flow::process) struct ExpiringSlot<T> {
    table: TableSlot<RefCell<T>>,
    expiry: Expiry,
}

impl<T> ExpiringSlot<T> {
    pub(super) fn new(name: &str, expiry: Expiry) -> Self {
        Self {
            table: TableSlot::new(name),
            expiry,
        }
    }

    pub(in crate::flow::process) fn name(&self) -> &str {
        self.table.name()
    }

    pub(super) fn table(&self) -> Ref<'_, T> {
        self.table.table().borrow()
    }

    pub(super) fn table_mut(&self) -> RefMut<'_, T> {
        self.table.table().borrow_mut()
    }

    pub(super) fn named<R>(&self, result: Result<R, StateError>) -> Result<R, FlowError> {
        result.map_err(|source| self.table.failure(source))
    }
}

impl<K: ?Sized, T: Expiring<K>> DeclaredTable<K> for ExpiringSlot<T> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        let opened = T::open(store, self.table.name(), self.expiry);
        self.table.fill(opened.map(RefCell::new))
    }

    fn expire(&self, store: &mut Store, limit: usize) -> Result<usize, FlowError> {
        let expired = self.named(self.table_mut().expire(store, limit))?;
        Ok(usize::try_from(expired.record_count).expect("at most the limit"))
    }

    fn walked(&self) -> Option<&dyn WalkedTable<K>> {
        Some(self)
    }
}

impl<K: ?Sized, T: Expiring<K>> WalkedTable<K> for ExpiringSlot<T> {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: &mut dyn FnMut(&K),
    ) -> Result<(), FlowError> {
        self.named(self.table().walk_keys(store, walk, limit, visit))
    }

    fn has(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, FlowError> {
        self.named(self.table().has(store, hash, key))
    }
}

/// What the tables that expire have in common.
pub(super) trait Expiring<K: ?Sized>: Sized + 'static {
    fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError>;
    fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError>;
    fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: &mut dyn FnMut(&K),
    ) -> Result<(), StateError>;
    /// Whether a key has anything that has not expired.
    fn has(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, StateError>;
    fn queue_name(name: &str) -> String;
    /// Of the table and of its queue.
    fn types() -> (TypeIdentity, TypeIdentity);
}

macro_rules! expiring {
    (
        $table:ty, [$($key:ident),+],
        |$self:ident, $store:ident, $hash:ident, $k:ident| $has:expr
    ) => {
        impl<$($key: Key + ?Sized,)+ V: Value + Clone> Expiring<K> for $table {
            fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError> {
                Self::open(store, name, expiry)
            }

            fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
                self.expire(store, limit)
            }

            fn walk_keys(
                &self,
                store: &Store,
                walk: &mut KeyWalk,
                limit: usize,
                visit: &mut dyn FnMut(&K),
            ) -> Result<(), StateError> {
                self.walk_keys(store, walk, limit, visit)
            }

            fn has(
                &$self,
                $store: &Store,
                $hash: KeyHash,
                $k: &K,
            ) -> Result<bool, StateError> {
                $has
            }

            fn queue_name(name: &str) -> String {
                Self::queue_name(name)
            }

            fn types() -> (TypeIdentity, TypeIdentity) {
                Self::types()
            }
        }
    };
}

expiring!(ExpiringTable<K, V>, [K], |self, store, hash, key| self.contains(store, hash, key));
expiring!(ExpiringListTable<K, V>, [K], |self, store, hash, key| {
    Ok(!self.is_empty_at(store, hash, key)?)
});
expiring!(ExpiringMapTable<K, M, V>, [K, M], |self, store, hash, key| {
    Ok(!self.is_empty_at(store, hash, key)?)
});
