//! A list a key.

use std::ops::ControlFlow;
use std::rc::Rc;

use frazil_state::{Key, ListTable, StateError, Value};

use super::context::ProcessContext;
use super::declared::TableSlot;
use crate::flow::error::FlowError;

/// A list for each key; declared with [`States::list`](crate::States::list).
///
/// Elements are loaded and stored one by one, so a list may be long.
///
/// ```
/// use std::ops::ControlFlow;
/// use frazil::{FlowError, ListState, ProcessContext};
/// fn longest(
///     words: &ListState<u64, String>,
///     cx: &ProcessContext<'_, u64>,
/// ) -> Result<usize, FlowError> {
///     let mut longest = 0;
///     words.for_each(cx, |word| {
///         longest = longest.max(word.len());
///         ControlFlow::Continue(())
///     })?;
///     Ok(longest)
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no
/// value of this type, a key or value over the limits, or an exhausted budget.
pub struct ListState<K: ?Sized, V> {
    pub(super) slot: Rc<TableSlot<ListTable<K, V>>>,
}

impl<K: Key + ?Sized, V: Value> ListState<K, V> {
    pub(super) fn new(slot: Rc<TableSlot<ListTable<K, V>>>) -> Self {
        Self { slot }
    }

    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, FlowError> {
        result.map_err(|source| self.slot.failure(source))
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn push(&self, cx: &mut ProcessContext<'_, K>, value: &V) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.append(cx.store, cx.hash, cx.key, value))
    }

    /// Adds values at the end.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn extend(&self, cx: &mut ProcessContext<'_, K>, values: &[V]) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.append_all(cx.store, cx.hash, cx.key, values))
    }

    /// Puts `values` in the place of the list.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn replace(&self, cx: &mut ProcessContext<'_, K>, values: &[V]) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.replace(cx.store, cx.hash, cx.key, values))
    }

    /// Removes all elements and says how many there were.
    ///
    /// # Errors
    /// See [`ListState`].
    ///
    /// # Cost
    /// As [`MapState::clear`](crate::MapState::clear).
    pub fn clear(&self, cx: &mut ProcessContext<'_, K>) -> Result<u64, FlowError> {
        self.named(self.slot.table().clear(cx.store, cx.hash, cx.key))
    }

    /// Removes the last elements, at most `limit`; gives how many it removed, and whether the list
    /// is empty. A timer set to now takes a long list apart so, with records in between.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn clear_some(
        &self,
        cx: &mut ProcessContext<'_, K>,
        limit: u64,
    ) -> Result<(u64, bool), FlowError> {
        let table = self.slot.table();
        self.named(table.clear_some(cx.store, cx.hash, cx.key, limit))
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self, cx: &ProcessContext<'_, K>) -> u64 {
        self.slot.table().len_at(cx.store, cx.hash, cx.key)
    }

    /// Whether the list has no element.
    #[must_use]
    pub fn is_empty(&self, cx: &ProcessContext<'_, K>) -> bool {
        self.slot.table().is_empty_at(cx.store, cx.hash, cx.key)
    }

    /// The list, copied out.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn get(&self, cx: &ProcessContext<'_, K>) -> Result<Vec<V>, FlowError> {
        self.named(self.slot.table().get(cx.store, cx.hash, cx.key))
    }

    /// Visits the archived elements where they lie, in order, until the visitor breaks.
    ///
    /// # Errors
    /// See [`ListState`].
    pub fn for_each(
        &self,
        cx: &ProcessContext<'_, K>,
        visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.for_each(cx.store, cx.hash, cx.key, visit))
    }
}
