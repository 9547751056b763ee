//! Declaring states, and opening their tables when the shard is built.
//!
//! The closure that declares states runs together with the flow's closure, when there is no store
//! yet: so that the plan knows every table's name before any shard starts. A handle is therefore
//! made with an empty slot, which the operator fills with the opened table before the first record.

use std::rc::Rc;

use frazil_state::{
    BroadcastTable, Expiry, Key, ListTable, MapTable, TimerTable, TypeIdentity, Value,
};

use super::aggregating_state::AggregatingState;
use super::broadcast_state::BroadcastState;
use super::declared::{Declared, DeclaredTable, TableSlot};
use super::expiring::ExpiringStates;
use super::key_walks::KeyWalks;
use super::list_state::ListState;
use super::map_state::MapState;
use super::reducing_state::ReducingState;
use super::timers::Timers;
use super::value_state::ValueState;
use super::walks_slot::{WalksSlot, stored_walk_types};
use crate::flow::error::FlowError;
use crate::flow::flow_builder::Flow;

/// Declares the states of a process operator whose key is a `K`; handed to the closure that makes
/// the process function.
///
/// Each state has a name, which must be the only one in the flow. A checkpoint restores states by
/// name, so it must not change from one run to the next.
///
/// ```
/// use frazil::{States, ValueState};
/// struct Account { balance: ValueState<str, i64>, is_blocked: ValueState<str, bool> }
/// fn open(states: &mut States<'_, str>) -> Account {
///     Account { balance: states.value("balance"), is_blocked: states.value("is blocked") }
/// }
/// ```
pub struct States<'f, K: ?Sized> {
    flow: &'f Flow,
    declared: Declared<K>,
}

impl<'f, K: Key + ?Sized> States<'f, K> {
    pub(in crate::flow) fn new(flow: &'f Flow) -> Self {
        Self {
            flow,
            declared: Declared::default(),
        }
    }

    pub(in crate::flow) fn into_declared(self) -> Declared<K> {
        self.declared
    }

    /// One value for each key.
    pub fn value<V: Value>(&mut self, name: &str) -> ValueState<K, V> {
        ValueState::new(self.declare(name, TypeIdentity::of::<K, V>()))
    }

    /// Declares one state whose content expires as `expiry` says (Flink's `StateTtlConfig`).
    ///
    /// ```
    /// # use frazil::{ExpiringMapState, ExpiringValueState, Expiry, ExpiryPolicy, States};
    /// # type Open = (ExpiringValueState<str, u64>, ExpiringMapState<str, u64, String>);
    /// fn open(states: &mut States<'_, str>) -> Open {
    ///     let expiry = Expiry { after_ms: 60_000, policy: ExpiryPolicy::OnWrite };
    ///     (states.ttl(expiry).value("last request"), states.ttl(expiry).map("sessions"))
    /// }
    /// ```
    pub fn ttl(&mut self, expiry: Expiry) -> ExpiringStates<'_, 'f, K> {
        ExpiringStates::new(self, expiry)
    }

    /// One value for each key, into which `reduce` folds what is added.
    ///
    /// ```
    /// # use frazil::{ReducingState, States};
    /// fn open(states: &mut States<'_, str>) -> ReducingState<str, u64> {
    ///     states.reducing("highest bid", |highest, bid| *highest = (*highest).max(*bid))
    /// }
    /// ```
    pub fn reducing<V: Value + Clone>(
        &mut self,
        name: &str,
        reduce: fn(&mut V, &V),
    ) -> ReducingState<K, V> {
        ReducingState::new(self.value(name), reduce)
    }

    /// One accumulator for each key, `initial` at first, into which `add` folds what is added and
    /// from which `result` computes what is read.
    ///
    /// ```
    /// # use frazil::{AggregatingState, States};
    /// fn open(states: &mut States<'_, str>) -> AggregatingState<str, (u64, u64), u64, u64> {
    ///     states.aggregating(
    ///         "mean duration",
    ///         (0, 0),
    ///         |(sum, count), duration| {
    ///             *sum += duration;
    ///             *count += 1;
    ///         },
    ///         |(sum, count)| sum / count,
    ///     )
    /// }
    /// ```
    pub fn aggregating<A: Value + Clone, I: ?Sized, T>(
        &mut self,
        name: &str,
        initial: A,
        add: fn(&mut A, &I),
        result: fn(&A) -> T,
    ) -> AggregatingState<K, A, I, T> {
        AggregatingState::new(self.value(name), initial, add, result)
    }

    /// One list for each key.
    pub fn list<V: Value>(&mut self, name: &str) -> ListState<K, V> {
        ListState::new(self.declare(name, ListTable::<K, V>::types()))
    }

    /// One map for each key, sorted by its own keys of type `M`.
    pub fn map<M: Key + ?Sized, V: Value>(&mut self, name: &str) -> MapState<K, M, V> {
        MapState::new(self.declare(name, MapTable::<K, M, V>::types()))
    }

    /// One sorted map that is the same on every shard, written with the records of the broadcast
    /// stream that the keyed stream is [connected](crate::KeyedStream::connect) with.
    pub fn broadcast<M: Key + ?Sized, V: Value>(&mut self, name: &str) -> BroadcastState<M, V> {
        BroadcastState::new(self.declare(name, BroadcastTable::<M, V>::types()))
    }

    /// The timers of the process function: one set of them, which is kept like a state.
    pub fn timers(&mut self, name: &str) -> Timers<K> {
        let timers = Timers::new(self.declare(name, TimerTable::<K>::types()));
        if self.declared.timers.replace(timers.clone()).is_some() {
            let name = name.to_owned();
            self.flow.note_error(FlowError::SecondTimers { name });
        }
        timers
    }

    /// Walks over all keys that a state has on this shard: one set of them, which is kept like a
    /// state.
    pub fn walks(&mut self, name: &str) -> KeyWalks<K> {
        let slot = Rc::new(WalksSlot::new(name));
        self.add(name, stored_walk_types(), slot.clone());
        if self.declared.walks.replace(Rc::clone(&slot)).is_some() {
            let name = name.to_owned();
            self.flow.note_error(FlowError::SecondWalks { name });
        }
        KeyWalks::new(slot)
    }

    fn declare<T: 'static>(&mut self, name: &str, types: TypeIdentity) -> Rc<TableSlot<T>>
    where
        TableSlot<T>: DeclaredTable<K>,
    {
        let slot = Rc::new(TableSlot::new(name));
        self.add(name, types, slot.clone());
        slot
    }

    /// Adds a table that its slot opens.
    pub(super) fn add(&mut self, name: &str, types: TypeIdentity, slot: Rc<dyn DeclaredTable<K>>) {
        self.add_beside(name, types);
        self.declared.tables.push(slot);
    }

    /// Adds a table that another one opens with itself.
    pub(super) fn add_beside(&self, name: &str, types: TypeIdentity) {
        self.flow.add_table(name, types);
    }
}
