//! One accumulator a key, read through a function.

use frazil_state::{Key, Value};

use super::context::ProcessContext;
use super::value_state::ValueState;
use crate::flow::error::FlowError;

/// One accumulator `A` for each key, to which inputs `I` are added and from which results `T` are
/// computed; declared with [`States::aggregating`](crate::States::aggregating).
///
/// # Errors
/// As those of [`ValueState`].
pub struct AggregatingState<K: ?Sized, A, I: ?Sized, T> {
    pub(super) value: ValueState<K, A>,
    initial: A,
    add: fn(&mut A, &I),
    result: fn(&A) -> T,
}

impl<K: Key + ?Sized, A: Value + Clone, I: ?Sized, T> AggregatingState<K, A, I, T> {
    pub(super) fn new(
        value: ValueState<K, A>,
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
    /// See [`AggregatingState`].
    ///
    /// # Cost
    /// One lookup. An accumulator of fixed size is changed in place.
    pub fn add(&self, cx: &mut ProcessContext<'_, K>, input: &I) -> Result<(), FlowError> {
        self.value
            .update(cx, &self.initial, |sum| (self.add)(sum, input))
    }

    /// The result for what was added; none before the first [`AggregatingState::add`].
    ///
    /// # Errors
    /// See [`AggregatingState`].
    pub fn get(&self, cx: &ProcessContext<'_, K>) -> Result<Option<T>, FlowError> {
        Ok(self.value.get(cx)?.as_ref().map(self.result))
    }

    /// Removes the accumulator; true if there was one.
    ///
    /// # Errors
    /// See [`AggregatingState`].
    pub fn remove(&self, cx: &mut ProcessContext<'_, K>) -> Result<bool, FlowError> {
        self.value.remove(cx)
    }
}
