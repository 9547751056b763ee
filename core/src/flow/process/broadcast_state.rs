//! A sorted map that is the same on every shard.

use std::ops::ControlFlow;
use std::rc::Rc;

use frazil_state::{BroadcastTable, Key, StateError, Value};

use super::context::{BroadcastContext, ReadContext};
use super::declared::TableSlot;
use crate::flow::error::FlowError;

/// A map from `M` to `V`, sorted by `M`, that every shard holds alike; declared with
/// [`States::broadcast`](crate::States::broadcast).
///
/// It is read with every record and timer of any key, and written with the records of a broadcast
/// stream only, since all shards get those. For an example see
/// [`KeyedStream::connect`](crate::KeyedStream::connect).
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no key
/// or value of these types, a key or value over the limits, or an exhausted budget.
pub struct BroadcastState<M: ?Sized, V> {
    slot: Rc<TableSlot<BroadcastTable<M, V>>>,
}

impl<M: ?Sized, V> Clone for BroadcastState<M, V> {
    /// Another handle of the same map.
    fn clone(&self) -> Self {
        Self {
            slot: Rc::clone(&self.slot),
        }
    }
}

impl<M: Key + ?Sized, V: Value> BroadcastState<M, V> {
    pub(super) fn new(slot: Rc<TableSlot<BroadcastTable<M, V>>>) -> Self {
        Self { slot }
    }

    fn named<T>(&self, result: Result<T, StateError>) -> Result<T, FlowError> {
        result.map_err(|source| self.slot.failure(source))
    }

    /// The value of a map key, copied out.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    pub fn get(&self, cx: &impl ReadContext, map_key: &M) -> Result<Option<V>, FlowError> {
        self.named(self.slot.table().get(cx.store(), map_key))
    }

    /// The archived value of a map key where it lies.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    ///
    /// # Cost
    /// Does not copy or allocate; checks the archive, which is free for integers.
    pub fn view<'c>(
        &self,
        cx: &'c impl ReadContext,
        map_key: &M,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        self.named(self.slot.table().get_archived(cx.store(), map_key))
    }

    /// Whether the map has a map key.
    #[must_use]
    pub fn contains(&self, cx: &impl ReadContext, map_key: &M) -> bool {
        self.slot.table().contains(cx.store(), map_key)
    }

    /// How many entries the map has.
    #[must_use]
    pub fn len(&self, cx: &impl ReadContext) -> u64 {
        self.slot.table().len(cx.store())
    }

    /// Whether the map has no entry.
    #[must_use]
    pub fn is_empty(&self, cx: &impl ReadContext) -> bool {
        self.slot.table().is_empty(cx.store())
    }

    /// Shows all entries by rising map key to `visit` until it breaks.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    pub fn for_each(
        &self,
        cx: &impl ReadContext,
        visit: impl FnMut(&M, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), FlowError> {
        self.named(self.slot.table().for_each(cx.store(), visit))
    }

    /// Sets the value of a map key.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    pub fn put(
        &self,
        cx: &mut BroadcastContext<'_>,
        map_key: &M,
        value: &V,
    ) -> Result<(), FlowError> {
        self.named(self.slot.table().put(cx.store, map_key, value))
    }

    /// Removes a map key; true if it was there.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    pub fn remove(&self, cx: &mut BroadcastContext<'_>, map_key: &M) -> Result<bool, FlowError> {
        self.named(self.slot.table().remove(cx.store, map_key))
    }

    /// Removes all entries; gives how many there were.
    ///
    /// # Errors
    /// See [`BroadcastState`].
    pub fn clear(&self, cx: &mut BroadcastContext<'_>) -> Result<u64, FlowError> {
        self.named(self.slot.table().clear(cx.store))
    }
}
