//! One value a key.

use std::rc::Rc;

use frazil_state::{Key, Value, ValueTable};
use rkyv::seal::Seal;

use super::context::ProcessContext;
use super::declared::TableSlot;
use crate::flow::error::FlowError;

/// One value for each key, or none; declared with [`States::value`](crate::States::value).
///
/// ```
/// use frazil::{FlowError, ProcessContext, ValueState};
/// fn deposit(
///     balance: &ValueState<str, i64>,
///     cx: &mut ProcessContext<'_, str>,
///     cents: i64,
/// ) -> Result<i64, FlowError> {
///     balance.update(cx, &0, |balance| {
///         *balance += cents;
///         *balance
///     })
/// }
/// ```
///
/// # Errors
/// All methods fail with [`FlowError::State`], which names the state: stored bytes that are no
/// value of this type, a key or value over the limits, or an exhausted budget.
pub struct ValueState<K: ?Sized, V> {
    pub(super) slot: Rc<TableSlot<ValueTable<K, V>>>,
}

impl<K: Key + ?Sized, V: Value> ValueState<K, V> {
    pub(super) fn new(slot: Rc<TableSlot<ValueTable<K, V>>>) -> Self {
        Self { slot }
    }

    /// The value, copied out.
    ///
    /// # Errors
    /// See [`ValueState`].
    pub fn get(&self, cx: &ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        let got = self.slot.table().get(cx.store, cx.hash, cx.key);
        got.map_err(|source| self.slot.failure(source))
    }

    /// The archived value where it lies.
    ///
    /// # Errors
    /// See [`ValueState`].
    ///
    /// # Cost
    /// Does not copy or allocate; checks the archive, which is free for integers.
    pub fn view<'c>(
        &self,
        cx: &'c ProcessContext<'_, K>,
    ) -> Result<Option<&'c V::Archived>, FlowError> {
        let got = self.slot.table().get_archived(cx.store, cx.hash, cx.key);
        got.map_err(|source| self.slot.failure(source))
    }

    /// Whether there is a value.
    #[must_use]
    pub fn exists(&self, cx: &ProcessContext<'_, K>) -> bool {
        self.slot.table().contains(cx.store, cx.hash, cx.key)
    }

    /// The archived value where it lies, which becomes `initial` where there is none.
    ///
    /// # Errors
    /// See [`ValueState`].
    pub fn get_or_insert<'c>(
        &self,
        cx: &'c mut ProcessContext<'_, K>,
        initial: &V,
    ) -> Result<&'c V::Archived, FlowError> {
        let table = self.slot.table();
        let got = table.get_or_insert(cx.store, cx.hash, cx.key, initial);
        got.map_err(|source| self.slot.failure(source))
    }

    /// Sets the value.
    ///
    /// # Errors
    /// See [`ValueState`].
    ///
    /// # Cost
    /// A value whose archive has the length of the one before is written in its place.
    pub fn put(&self, cx: &mut ProcessContext<'_, K>, value: &V) -> Result<(), FlowError> {
        let put = self.slot.table().put(cx.store, cx.hash, cx.key, value);
        put.map_err(|source| self.slot.failure(source))
    }

    /// Changes the value, which is `initial` where there is none, and gives what `update` returned.
    ///
    /// # Errors
    /// See [`ValueState`].
    ///
    /// # Cost
    /// One lookup. A value of fixed size is changed in place.
    #[inline]
    pub fn update<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        initial: &V,
        update: impl FnOnce(&mut V) -> T,
    ) -> Result<T, FlowError>
    where
        V: Clone,
    {
        let table = self.slot.table();
        let updated = table.update(cx.store, cx.hash, cx.key, initial, update);
        updated.map_err(|source| self.slot.failure(source))
    }

    /// Changes the value, or sets it to `first` where there is none.
    #[inline]
    pub(super) fn fold(
        &self,
        cx: &mut ProcessContext<'_, K>,
        first: &V,
        fold: impl FnOnce(&mut V),
    ) -> Result<(), FlowError> {
        let table = self.slot.table();
        let folded = table.fold(cx.store, cx.hash, cx.key, first, fold);
        folded.map_err(|source| self.slot.failure(source))
    }

    /// Changes the archived value where it lies, which is `initial` where there is none, and gives
    /// what `update` returned. For large values of which little changes; see
    /// [`ValueTable::update_archived`](crate::state::ValueTable::update_archived).
    ///
    /// # Errors
    /// See [`ValueState`].
    ///
    /// # Cost
    /// Copies and allocates nothing.
    pub fn update_archived<T>(
        &self,
        cx: &mut ProcessContext<'_, K>,
        initial: &V,
        update: impl FnOnce(Seal<'_, V::Archived>) -> T,
    ) -> Result<T, FlowError> {
        let table = self.slot.table();
        let updated = table.update_archived(cx.store, cx.hash, cx.key, initial, update);
        updated.map_err(|source| self.slot.failure(source))
    }

    /// Removes the value and gives it.
    ///
    /// # Errors
    /// See [`ValueState`].
    pub fn take(&self, cx: &mut ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        let taken = self.slot.table().take(cx.store, cx.hash, cx.key);
        taken.map_err(|source| self.slot.failure(source))
    }

    /// Removes the value; true if there was one.
    ///
    /// # Errors
    /// See [`ValueState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let removed = self.slot.table().remove(cx.store, cx.hash, cx.key);
        removed.map_err(|source| self.slot.failure(source))
    }
}
