//! A sorted map a key.

use std::ops::{ControlFlow, RangeBounds};
use std::rc::Rc;

use frazil_state::{Key, MapTable, StateError, Value};

use super::context::ProcessContext;
use super::declared::TableSlot;
use crate::flow::error::FlowError;

/// A map from `M` to `V` for each key, sorted by `M`; declared with
/// [`States::map`](crate::States::map).
///
/// Entries are loaded and stored one by one, so a map may be large; each entry is at most as large
/// as a value of a [`ValueState`](crate::ValueState).
///
/// ```
/// use std::ops::ControlFlow;
/// use frazil::{FlowError, MapState, ProcessContext};
/// /// Sum of what was paid on the days from `first` on.
/// fn paid_since(
///     cents_by_day: &MapState<str, u32, u64>,
///     cx: &ProcessContext<'_, str>,
///     first: u32,
/// ) -> Result<u64, FlowError> {
///     let mut sum = 0;
///     cents_by_day.range(cx, first.., |_day, cents| {
///         sum += cents.to_native();
///         ControlFlow::Continue(())
///     })?;
///     Ok(sum)
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no key
/// or value of these types, a key or value over the limits, or an exhausted budget.
pub struct MapState<K: ?Sized, M: ?Sized, V> {
    pub(super) slot: Rc<TableSlot<MapTable<K, M, V>>>,
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> MapState<K, M, V> {
    pub(super) fn new(slot: Rc<TableSlot<MapTable<K, M, V>>>) -> Self {
        Self { slot }
    }

    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, FlowError> {
        result.map_err(|source| self.slot.failure(source))
    }

    /// The value of a map key, copied out.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn get(&self, cx: &ProcessContext<'_, K>, map_key: &M) -> Result<Option<V>, FlowError> {
        let got = self.slot.table().get(cx.store, cx.hash, cx.key, map_key);
        self.named(got)
    }

    /// The archived value of a map key where it lies.
    ///
    /// # Errors
    /// See [`MapState`].
    ///
    /// # Cost
    /// Does not copy or allocate; checks the archive, which is free for integers.
    pub fn view<'c>(
        &self,
        cx: &'c ProcessContext<'_, K>,
        map_key: &M,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        let table = self.slot.table();
        self.named(table.get_archived(cx.store, cx.hash, cx.key, map_key))
    }

    /// Whether the map has a map key.
    #[must_use]
    pub fn contains(&self, cx: &ProcessContext<'_, K>, map_key: &M) -> bool {
        let table = self.slot.table();
        table.contains(cx.store, cx.hash, cx.key, map_key)
    }

    /// Whether the map has no entry.
    #[must_use]
    pub fn is_empty(&self, cx: &ProcessContext<'_, K>) -> bool {
        self.slot.table().is_empty_at(cx.store, cx.hash, cx.key)
    }

    /// Sets the value of a map key.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn put(
        &self,
        cx: &mut ProcessContext<'_, K>,
        map_key: &M,
        value: &V,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.put(cx.store, cx.hash, cx.key, map_key, value))
    }

    /// Changes the value of a map key, which is `initial` where there is none, and gives what
    /// `update` returned.
    ///
    /// # Errors
    /// See [`MapState`].
    ///
    /// # Cost
    /// A value of fixed size is changed in place.
    pub fn update<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        map_key: &M,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, FlowError>
    where
        V: Clone,
    {
        let table = self.slot.table();
        self.named(table.update(cx.store, cx.hash, cx.key, map_key, initial, update))
    }

    /// Removes a map key; true if it was there.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>, map_key: &M) -> Result<bool, FlowError> {
        let table = self.slot.table();
        self.named(table.remove(cx.store, cx.hash, cx.key, map_key))
    }

    /// Removes the map keys of a range and says how many there were.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn remove_range(
        &self,
        cx: &mut ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
    ) -> Result<u64, FlowError> {
        let table = self.slot.table();
        self.named(table.remove_range(cx.store, cx.hash, cx.key, range))
    }

    /// Removes the lowest map keys of a range until at least `limit` are removed (a page's entries
    /// more at most) or none is left; gives how many it removed, and whether none is left. A timer
    /// set to now takes a large map apart so, with records in between.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn remove_some(
        &self,
        cx: &mut ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        limit: u64,
    ) -> Result<(u64, bool), FlowError> {
        let table = self.slot.table();
        self.named(table.remove_some(cx.store, cx.hash, cx.key, range, limit))
    }

    /// Removes all entries and says how many there were.
    ///
    /// # Errors
    /// See [`MapState`].
    ///
    /// # Cost
    /// About a microsecond for each page of the map (some dozen to a hundred entries), in which no
    /// record is processed: a map of millions of entries is cleared by [`MapState::remove_some`].
    pub fn clear(&self, cx: &mut ProcessContext<'_, K>) -> Result<u64, FlowError> {
        self.named(self.slot.table().clear(cx.store, cx.hash, cx.key))
    }

    /// Visits the entries with map keys in `range`, rising, until the visitor breaks.
    ///
    /// # Errors
    /// See [`MapState`].
    ///
    /// # Cost
    /// Values are not copied.
    pub fn range(
        &self,
        cx: &ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.range(cx.store, cx.hash, cx.key, range, visit))
    }

    /// Visits the entries with map keys in `range`, falling, until the visitor breaks.
    ///
    /// # Errors
    /// See [`MapState`].
    ///
    /// # Cost
    /// As [`MapState::range`].
    pub fn range_back(
        &self,
        cx: &ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.named(table.range_back(cx.store, cx.hash, cx.key, range, visit))
    }

    /// The lowest map key.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn first(&self, cx: &ProcessContext<'_, K>) -> Result<Option<M>, FlowError>
    where
        M: Clone,
    {
        let mut first = None;
        self.range(cx, .., |map_key, _value| {
            first = Some(map_key.clone());
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// The highest map key.
    ///
    /// # Errors
    /// See [`MapState`].
    pub fn last(&self, cx: &ProcessContext<'_, K>) -> Result<Option<M>, FlowError>
    where
        M: Clone,
    {
        let mut last = None;
        self.range_back(cx, .., |map_key, _value| {
            last = Some(map_key.clone());
            ControlFlow::Break(())
        })?;
        Ok(last)
    }
}
