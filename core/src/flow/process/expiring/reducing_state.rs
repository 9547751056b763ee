//! One value a key that everything added is folded into, which expires.

use std::rc::Rc;

use frazil_state::{ExpiringTable, Key, Value};

use super::super::context::ProcessContext;
use super::slot::ExpiringSlot;
use crate::flow::error::FlowError;

/// One value for each key: the first one added, with every later one folded into it; after it
/// expired the next one added is the first again. Declared with
/// [`ExpiringStates::reducing`](crate::ExpiringStates::reducing).
///
/// # Errors
/// As those of [`ExpiringValueState`](crate::ExpiringValueState).
pub struct ExpiringReducingState<K: ?Sized, V> {
    pub(in crate::flow::process) slot: Rc<ExpiringSlot<ExpiringTable<K, V>>>,
    reduce: fn(&mut V, &V),
}

impl<K: Key + ?Sized, V: Value + Clone> ExpiringReducingState<K, V> {
    pub(super) fn new(slot: Rc<ExpiringSlot<ExpiringTable<K, V>>>, reduce: fn(&mut V, &V)) -> Self {
        Self { slot, reduce }
    }

    /// Folds `added` into the value.
    ///
    /// # Errors
    /// See [`ExpiringReducingState`].
    pub fn add(&self, cx: &mut ProcessContext<'_, K>, added: &V) -> Result<(), FlowError> {
        let mut table = self.slot.table_mut();
        self.slot
            .named(table.fold(cx.store, cx.hash, cx.key, added, |value| {
                (self.reduce)(value, added);
            }))
    }

    /// The value; none before the first [`ExpiringReducingState::add`].
    ///
    /// # Errors
    /// See [`ExpiringReducingState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        let table = self.slot.table();
        self.slot.named(table.get(cx.store, cx.hash, cx.key))
    }

    /// Removes the value; true if there was one.
    ///
    /// # Errors
    /// See [`ExpiringReducingState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        let mut table = self.slot.table_mut();
        self.slot.named(table.remove(cx.store, cx.hash, cx.key))
    }
}
