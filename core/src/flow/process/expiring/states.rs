//! Declaring states that expire.

use std::rc::Rc;

use frazil_state::{Expiry, Key, Value};

use super::super::states::States;
use super::aggregating_state::ExpiringAggregatingState;
use super::list_state::ExpiringListState;
use super::map_state::ExpiringMapState;
use super::reducing_state::ExpiringReducingState;
use super::slot::{Expiring, ExpiringSlot};
use super::value_state::ExpiringValueState;

/// Declares one state whose content expires; made by [`States::ttl`].
///
/// What has expired is never given out, exactly from its millisecond on. Its memory comes back in
/// small slices between records, found by a queue beside the state (a table of its own, named
/// `<name>.expiry`); [`Statistics`](crate::Statistics) counts records and bytes. Time is processing
/// time, see [`ProcessContext::now_ms`](crate::ProcessContext::now_ms).
///
/// Elements of lists and entries of maps have a time each. A visit of elements or entries reads
/// those that it visits; asking whether something is there is no read.
pub struct ExpiringStates<'s, 'f, K: ?Sized> {
    states: &'s mut States<'f, K>,
    expiry: Expiry,
}

impl<'s, 'f, K: Key + ?Sized> ExpiringStates<'s, 'f, K> {
    pub(in crate::flow::process) fn new(states: &'s mut States<'f, K>, expiry: Expiry) -> Self {
        Self { states, expiry }
    }

    /// One value for each key.
    pub fn value<V: Value + Clone>(self, name: &str) -> ExpiringValueState<K, V> {
        ExpiringValueState::new(self.declare(name))
    }

    /// One value for each key, into which `reduce` folds what is added; an addition is a write.
    pub fn reducing<V: Value + Clone>(
        self,
        name: &str,
        reduce: fn(&mut V, &V),
    ) -> ExpiringReducingState<K, V> {
        ExpiringReducingState::new(self.declare(name), reduce)
    }

    /// One accumulator for each key, as [`States::aggregating`] has it; an addition is a write.
    pub fn aggregating<A: Value + Clone, I: ?Sized, T>(
        self,
        name: &str,
        initial: A,
        add: fn(&mut A, &I),
        result: fn(&A) -> T,
    ) -> ExpiringAggregatingState<K, A, I, T> {
        ExpiringAggregatingState::new(self.value(name), initial, add, result)
    }

    /// One list for each key, whose elements expire one by one.
    pub fn list<V: Value + Clone>(self, name: &str) -> ExpiringListState<K, V> {
        ExpiringListState::new(self.declare(name))
    }

    /// One map for each key, sorted by its own keys of type `M`, whose entries expire one by one.
    pub fn map<M: Key + ?Sized, V: Value + Clone>(self, name: &str) -> ExpiringMapState<K, M, V> {
        ExpiringMapState::new(self.declare(name))
    }

    fn declare<T: Expiring<K>>(self, name: &str) -> Rc<ExpiringSlot<T>> {
        let (types, queue_types) = T::types();
        let slot = Rc::new(ExpiringSlot::new(name, self.expiry));
        self.states.add(name, types, slot.clone());
        self.states.add_beside(&T::queue_name(name), queue_types);
        slot
    }
}
