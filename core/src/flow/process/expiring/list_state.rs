//! A list a key, whose elements expire.

use std::ops::ControlFlow;
use std::rc::Rc;

use frazil_state::{ExpiringListTable, Key, Value};

use super::super::context::ProcessContext;
use super::slot::ExpiringSlot;
use crate::flow::error::FlowError;

/// A list for each key, whose elements nobody sees any more once their time is over; declared with
/// [`ExpiringStates::list`](crate::ExpiringStates::list).
///
/// ```
/// use frazil::{ExpiringListState, FlowError, ProcessContext};
/// /// Failed logins of the last while, this one included.
/// fn failures(
///     failed_at: &ExpiringListState<str, u64>,
///     cx: &mut ProcessContext<'_, str>,
/// ) -> Result<usize, FlowError> {
///     let now_ms = cx.now_ms();
///     failed_at.push(cx, &now_ms)?;
///     Ok(failed_at.get(cx)?.len())
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no
/// value of this type, a key or value over the limits, or an exhausted budget.
pub struct ExpiringListState<K: ?Sized, V> {
    pub(in crate::flow::process) slot: Rc<ExpiringSlot<ExpiringListTable<K, V>>>,
}

impl<K: Key + ?Sized, V: Value + Clone> ExpiringListState<K, V> {
    pub(super) fn new(slot: Rc<ExpiringSlot<ExpiringListTable<K, V>>>) -> Self {
        Self { slot }
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn push(&self, cx: &mut ProcessContext<'_, K>, value: &V) -> Result<(), FlowError> {
        self.extend(cx, std::slice::from_ref(value))
    }

    /// Adds values at the end.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn extend(&self, cx: &mut ProcessContext<'_, K>, values: &[V]) -> Result<(), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.append_all(cx.store, cx.hash, cx.key, values))
    }

    /// Puts `values` in the place of the list; the time of each starts now.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn replace(&self, cx: &mut ProcessContext<'_, K>, values: &[V]) -> Result<(), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.replace(cx.store, cx.hash, cx.key, values))
    }

    /// Removes all elements and says how many there were.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    ///
    /// # Cost
    /// Some searches an element, for its place in the queue. A long list is cleared in slices, by
    /// [`ExpiringListState::clear_some`].
    pub fn clear(&self, cx: &mut ProcessContext<'_, K>) -> Result<u64, FlowError> {
        Ok(self.clear_some(cx, u64::MAX)?.0)
    }

    /// Removes the first elements, at most `limit` (and one at least); gives how many there were,
    /// not counting expired ones, and whether the list is empty.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn clear_some(
        &self,
        cx: &mut ProcessContext<'_, K>,
        limit: u64,
    ) -> Result<(u64, bool), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.clear_some(cx.store, cx.hash, cx.key, limit))
    }

    /// Whether the list has no element.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn is_empty(&self, cx: &ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.is_empty_at(cx.store, cx.hash, cx.key))
    }

    /// The list, copied out.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>) -> Result<Vec<V>, FlowError> {
        let table = self.slot.table();
        self.slot.named(table.get(cx.store, cx.hash, cx.key))
    }

    /// Visits the archived elements where they lie, in order, until the visitor breaks.
    ///
    /// # Errors
    /// See [`ExpiringListState`].
    pub fn for_each(
        &self,
        cx: &mut ProcessContext<'_, K>,
        visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.for_each(cx.store, cx.hash, cx.key, visit))
    }
}
