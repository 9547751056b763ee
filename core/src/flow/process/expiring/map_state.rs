//! A sorted map a key, whose entries expire.

use std::ops::{ControlFlow, RangeBounds};
use std::rc::Rc;

use frazil_state::{ExpiringMapTable, Key, Value};

use super::super::context::ProcessContext;
use super::slot::ExpiringSlot;
use crate::flow::error::FlowError;

/// A map from `M` to `V` for each key, sorted by `M`, whose entries nobody sees any more once their
/// time is over; declared with [`ExpiringStates::map`](crate::ExpiringStates::map).
///
/// ```
/// use frazil::{ExpiringMapState, FlowError, ProcessContext};
/// /// True the first time that a user is seen on a device in a while.
/// fn is_new_device(
///     devices: &ExpiringMapState<str, u64, ()>,
///     cx: &mut ProcessContext<'_, str>,
///     device: u64,
/// ) -> Result<bool, FlowError> {
///     let is_new = !devices.contains(cx, &device)?;
///     devices.put(cx, &device, &())?;
///     Ok(is_new)
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no key
/// or value of these types, a key or value over the limits, or an exhausted budget.
pub struct ExpiringMapState<K: ?Sized, M: ?Sized, V> {
    pub(in crate::flow::process) slot: Rc<ExpiringSlot<ExpiringMapTable<K, M, V>>>,
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value + Clone> ExpiringMapState<K, M, V> {
    pub(super) fn new(slot: Rc<ExpiringSlot<ExpiringMapTable<K, M, V>>>) -> Self {
        Self { slot }
    }

    /// The value of a map key, copied out.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>, map_key: &M) -> Result<Option<V>, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.get(cx.store, cx.hash, cx.key, map_key))
    }

    /// The archived value of a map key where it lies.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    ///
    /// # Cost
    /// Does not copy or allocate.
    pub fn view<'c>(
        &self,
        cx: &'c mut ProcessContext<'_, K>,
        map_key: &M,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.get_archived(cx.store, cx.hash, cx.key, map_key))
    }

    /// Whether the map has a map key; not a read that would start its time anew.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn contains(&self, cx: &ProcessContext<'_, K>, map_key: &M) -> Result<bool, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.contains(cx.store, cx.hash, cx.key, map_key))
    }

    /// Whether the map has no entry.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn is_empty(&self, cx: &ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.is_empty_at(cx.store, cx.hash, cx.key))
    }

    /// Sets the value of a map key.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn put(
        &self,
        cx: &mut ProcessContext<'_, K>,
        map_key: &M,
        value: &V,
    ) -> Result<(), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.put(cx.store, cx.hash, cx.key, map_key, value))
    }

    /// Changes the value of a map key, which is `initial` where there is none, and gives what
    /// `update` returned.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn update<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        map_key: &M,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.update(cx.store, cx.hash, cx.key, map_key, initial, update))
    }

    /// Removes a map key; true if it was there.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>, map_key: &M) -> Result<bool, FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.remove(cx.store, cx.hash, cx.key, map_key))
    }

    /// Removes the lowest map keys of a range, at most `limit` (and one at least); gives how many
    /// there were, not counting expired ones, and whether the range is empty.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    ///
    /// # Cost
    /// Some searches an entry, for its place in the queue.
    pub fn remove_some(
        &self,
        cx: &mut ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        limit: u64,
    ) -> Result<(u64, bool), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.remove_some(cx.store, cx.hash, cx.key, range, limit))
    }

    /// Removes all entries and says how many there were. A large map is cleared in slices, by
    /// [`ExpiringMapState::remove_some`].
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn clear(&self, cx: &mut ProcessContext<'_, K>) -> Result<u64, FlowError> {
        Ok(self.remove_some(cx, .., u64::MAX)?.0)
    }

    /// Visits the entries with map keys in `range`, rising, until the visitor breaks.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn range(
        &self,
        cx: &mut ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.range(cx.store, cx.hash, cx.key, range, visit))
    }

    /// Visits the entries with map keys in `range`, falling, until the visitor breaks.
    ///
    /// # Errors
    /// See [`ExpiringMapState`].
    pub fn range_back(
        &self,
        cx: &mut ProcessContext<'_, K>,
        range: impl RangeBounds<M>,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        self.slot
            .named(table.range_back(cx.store, cx.hash, cx.key, range, visit))
    }
}
