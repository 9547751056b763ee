//! One value a key, which expires.

use std::rc::Rc;

use frazil_state::{ExpiringTable, Key, Value};

use super::super::context::ProcessContext;
use super::slot::ExpiringSlot;
use crate::flow::error::FlowError;

/// One value for each key, which nobody sees any more once its time is over; declared with
/// [`ExpiringStates::value`](crate::ExpiringStates::value).
///
/// Time, expiry and memory are as [`ExpiringStates`](crate::ExpiringStates) says.
///
/// ```
/// use frazil::{ExpiringValueState, FlowError, ProcessContext};
/// fn is_new(
///     seen: &ExpiringValueState<u64, ()>,
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
pub struct ExpiringValueState<K: ?Sized, V> {
    pub(in crate::flow::process) slot: Rc<ExpiringSlot<ExpiringTable<K, V>>>,
}

impl<K: Key + ?Sized, V: Value + Clone> ExpiringValueState<K, V> {
    pub(super) fn new(slot: Rc<ExpiringSlot<ExpiringTable<K, V>>>) -> Self {
        Self { slot }
    }

    /// The value, copied out.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        let table = self.slot.table();
        self.slot.named(table.get(cx.store, cx.hash, cx.key))
    }

    /// The archived value where it lies.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    ///
    /// # Cost
    /// Does not copy or allocate.
    pub fn view<'c>(
        &self,
        cx: &'c mut ProcessContext<'_, K>,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.get_archived(cx.store, cx.hash, cx.key))
    }

    /// Whether there is a value; not a read that would start its time anew.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    pub fn exists(&self, cx: &ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let table = self.slot.table();
        self.slot.named(table.contains(cx.store, cx.hash, cx.key))
    }

    /// Sets the value.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    pub fn put(&self, cx: &mut ProcessContext<'_, K>, value: &V) -> Result<(), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot.named(table.put(cx.store, cx.hash, cx.key, value))
    }

    /// Changes the value, which is `initial` where there is none, and gives what `update` returned.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    pub fn update<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.update(cx.store, cx.hash, cx.key, initial, update))
    }

    /// Removes the value; true if there was one.
    ///
    /// # Errors
    /// See [`ExpiringValueState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let mut table = self.slot.table_mut();
        self.slot.named(table.remove(cx.store, cx.hash, cx.key))
    }
}
