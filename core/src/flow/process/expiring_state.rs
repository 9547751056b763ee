//! One value a key, which expires.

use std::cell::RefCell;
use std::rc::Rc;

use frazil_state::{ExpiringTable, Expiry, Key, StateError, Store, Value};

use super::context::ProcessContext;
use super::states::{DeclaredTable, TableSlot};
use crate::flow::error::FlowError;

/// One value for each key, which nobody sees any more once its time is over; declared with
/// [`States::expiring`](crate::States::expiring).
///
/// Time is processing time, see [`ProcessContext::now_ms`]. Expiry is exact; the memory of expired
/// values comes back in small slices between records.
///
/// ```
/// use frazil::{ExpiringState, FlowError, ProcessContext};
/// fn is_new(
///     seen: &ExpiringState<u64, ()>,
///     cx: &mut ProcessContext<'_, u64>,
/// ) -> Result<bool, FlowError> {
///     let is_new = !seen.exists(cx)?;
///     if is_new {
///         seen.put(cx, &())?;
///     }
///     Ok(is_new)
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no
/// value of this type, a key or value over the limits, or an exhausted budget.
pub struct ExpiringState<K: ?Sized, V> {
    slot: Rc<ExpiringSlot<K, V>>,
}

/// The table of an expiring state, and what opens it.
pub(super) struct ExpiringSlot<K: ?Sized, V> {
    table: TableSlot<RefCell<ExpiringTable<K, V>>>,
    expiry: Expiry,
}

impl<K: ?Sized, V> ExpiringSlot<K, V> {
    pub(super) fn new(name: &str, expiry: Expiry) -> Self {
        Self {
            table: TableSlot::new(name),
            expiry,
        }
    }
}

impl<K: Key + ?Sized, V: Value + Clone> DeclaredTable for ExpiringSlot<K, V> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        let opened = ExpiringTable::open(store, self.table.name(), self.expiry);
        self.table.fill(opened.map(RefCell::new))
    }

    fn expire(&self, store: &mut Store, limit: usize) -> Result<usize, FlowError> {
        let mut table = self.table.table().borrow_mut();
        let expired = table.expire(store, limit);
        let expired = expired.map_err(|source| self.table.failure(source))?;
        Ok(usize::try_from(expired.record_count).expect("at most the limit"))
    }
}

impl<K: Key + ?Sized, V: Value + Clone> ExpiringState<K, V> {
    pub(super) fn new(slot: Rc<ExpiringSlot<K, V>>) -> Self {
        Self { slot }
    }

    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, FlowError> {
        result.map_err(|source| self.slot.table.failure(source))
    }

    /// The value, copied out.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        let table = self.slot.table.table().borrow();
        self.named(table.get(cx.store, cx.hash, cx.key))
    }

    /// The archived value where it lies.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    ///
    /// # Cost
    /// Does not copy or allocate.
    pub fn view<'c>(
        &self,
        cx: &'c mut ProcessContext<'_, K>,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        let table = self.slot.table.table().borrow();
        self.named(table.get_archived(cx.store, cx.hash, cx.key))
    }

    /// Whether there is a value; not a read that would start its time anew.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    pub fn exists(&self, cx: &ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let table = self.slot.table.table().borrow();
        self.named(table.contains(cx.store, cx.hash, cx.key))
    }

    /// Sets the value.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    pub fn put(&self, cx: &mut ProcessContext<'_, K>, value: &V) -> Result<(), FlowError> {
        let mut table = self.slot.table.table().borrow_mut();
        self.named(table.put(cx.store, cx.hash, cx.key, value))
    }

    /// Changes the value, which is `initial` where there is none, and gives what `update` returned.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    pub fn update<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, FlowError> {
        let mut table = self.slot.table.table().borrow_mut();
        self.named(table.update(cx.store, cx.hash, cx.key, initial, update))
    }

    /// Removes the value; true if there was one.
    ///
    /// # Errors
    /// See [`ExpiringState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let mut table = self.slot.table.table().borrow_mut();
        self.named(table.remove(cx.store, cx.hash, cx.key))
    }
}
