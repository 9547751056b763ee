//! One value a key that everything added is folded into.

use frazil_state::{Key, Value};

use super::context::ProcessContext;
use super::value_state::ValueState;
use crate::flow::error::FlowError;

/// One value for each key: the first one added, with every later one folded into it; declared with
/// [`States::reducing`](crate::States::reducing).
///
/// # Errors
/// As those of [`ValueState`].
pub struct ReducingState<K: ?Sized, V> {
    pub(super) value: ValueState<K, V>,
    reduce: fn(&mut V, &V),
}

impl<K: Key + ?Sized, V: Value + Clone> ReducingState<K, V> {
    pub(super) fn new(value: ValueState<K, V>, reduce: fn(&mut V, &V)) -> Self {
        Self { value, reduce }
    }

    /// Folds `added` into the value.
    ///
    /// # Errors
    /// See [`ReducingState`].
    ///
    /// # Cost
    /// One lookup. A value of fixed size is changed in place.
    pub fn add(&self, cx: &mut ProcessContext<'_, K>, added: &V) -> Result<(), FlowError> {
        self.value
            .fold(cx, added, |value| (self.reduce)(value, added))
    }

    /// The value; none before the first [`ReducingState::add`].
    ///
    /// # Errors
    /// See [`ReducingState`].
    pub fn get(&self, cx: &ProcessContext<'_, K>) -> Result<Option<V>, FlowError> {
        self.value.get(cx)
    }

    /// Removes the value; true if there was one.
    ///
    /// # Errors
    /// See [`ReducingState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        self.value.remove(cx)
    }
}
