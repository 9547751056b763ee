//! A declared table whose content expires.

use std::cell::{Ref, RefCell, RefMut};

use frazil_state::{
    Expired, ExpiringListTable, ExpiringMapTable, ExpiringTable, Expiry, Key, StateError, Store,
    TypeIdentity, Value,
};

use super::super::states::{DeclaredTable, TableSlot};
use crate::flow::error::FlowError;

/// The table of an expiring state, empty until the shard is built, and what opens it.
pub(super) struct ExpiringSlot<T> {
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

impl<T: Expiring> DeclaredTable for ExpiringSlot<T> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        let opened = T::open(store, self.table.name(), self.expiry);
        self.table.fill(opened.map(RefCell::new))
    }

    fn expire(&self, store: &mut Store, limit: usize) -> Result<usize, FlowError> {
        let expired = self.named(self.table_mut().expire(store, limit))?;
        Ok(usize::try_from(expired.record_count).expect("at most the limit"))
    }
}

/// What the tables that expire have in common.
pub(super) trait Expiring: Sized + 'static {
    fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError>;
    fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError>;
    fn queue_name(name: &str) -> String;
    /// Of the table and of its queue.
    fn types() -> (TypeIdentity, TypeIdentity);
}

macro_rules! expiring {
    ($table:ident, [$($key:ident),+], $value:ident: $bound:path) => {
        impl<$($key: Key + ?Sized,)+ $value: $bound + Clone> Expiring
            for $table<$($key,)+ $value>
        {
            fn open(store: &mut Store, name: &str, expiry: Expiry) -> Result<Self, StateError> {
                Self::open(store, name, expiry)
            }

            fn expire(&mut self, store: &mut Store, limit: usize) -> Result<Expired, StateError> {
                self.expire(store, limit)
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

expiring!(ExpiringTable, [K], V: Value);
expiring!(ExpiringListTable, [K], V: Value);
expiring!(ExpiringMapTable, [K, M], V: Value);
