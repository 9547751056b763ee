//! One accumulator a key, read through a function, which expires.

use frazil_state::{Key, Value};

use super::super::context::ProcessContext;
use super::value_state::ExpiringValueState;
use crate::flow::error::FlowError;

/// One accumulator `A` for each key, to which inputs `I` are added and from which results `T` are
/// computed; after it expired the next input finds the initial one. Declared with
/// [`ExpiringStates::aggregating`](crate::ExpiringStates::aggregating).
///
/// # Errors
/// As those of [`ExpiringValueState`].
pub struct ExpiringAggregatingState<K: ?Sized, A, I: ?Sized, T> {
    pub(in crate::flow::process) value: ExpiringValueState<K, A>,
    initial: A,
    add: fn(&mut A, &I),
    result: fn(&A) -> T,
}

impl<K: Key + ?Sized, A: Value + Clone, I: ?Sized, T> ExpiringAggregatingState<K, A, I, T> {
    pub(super) fn new(
        value: ExpiringValueState<K, A>,
        initial: A,
        add: fn(&mut A, &I),
        result: fn(&A) -> T,
    ) -> Self {
        Self {
            value,
            initial,
            add,
            result,
        }
    }

    /// Adds `input` to the accumulator.
    ///
    /// # Errors
    /// See [`ExpiringAggregatingState`].
    pub fn add(&self, cx: &mut ProcessContext<'_, K>, input: &I) -> Result<(), FlowError> {
        self.value
            .update(cx, &self.initial, |sum| (self.add)(sum, input))
    }

    /// The result for what was added; none before the first [`ExpiringAggregatingState::add`].
    ///
    /// # Errors
    /// See [`ExpiringAggregatingState`].
    pub fn get(&self, cx: &mut ProcessContext<'_, K>) -> Result<Option<T>, FlowError> {
        Ok(self.value.get(cx)?.as_ref().map(self.result))
    }

    /// Removes the accumulator; true if there was one.
    ///
    /// # Errors
    /// See [`ExpiringAggregatingState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        self.value.remove(cx)
    }
}
