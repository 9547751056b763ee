//! Declaring states, and opening their tables when the shard is built.
//!
//! The closure that declares states runs together with the flow's closure, when there is no store
//! yet: so that the plan knows every table's name before any shard starts. A handle is therefore
//! made with an empty slot, which the operator fills with the opened table before the first record.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use frazil_state::{
    BroadcastTable, Expiry, Key, KeyHash, ListTable, MapTable, StateError, Store, TimerTable,
    TypeIdentity, Value, ValueTable,
};

use super::aggregating_state::AggregatingState;
use super::broadcast_state::BroadcastState;
use super::expiring::ExpiringStates;
use super::list_state::ListState;
use super::map_state::MapState;
use super::reducing_state::ReducingState;
use super::timers::Timers;
use super::value_state::ValueState;
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

    fn declare<T: 'static>(&mut self, name: &str, types: TypeIdentity) -> Rc<TableSlot<T>>
    where
        TableSlot<T>: DeclaredTable,
    {
        let slot = Rc::new(TableSlot::new(name));
        self.add(name, types, slot.clone());
        slot
    }

    /// Adds a table that its slot opens.
    pub(super) fn add(&mut self, name: &str, types: TypeIdentity, slot: Rc<dyn DeclaredTable>) {
        self.add_beside(name, types);
        self.declared.tables.push(slot);
    }

    /// Adds a table that another one opens with itself.
    pub(super) fn add_beside(&self, name: &str, types: TypeIdentity) {
        self.flow.add_table(name, types);
    }
}

/// What one operator declared.
pub(in crate::flow) struct Declared<K: ?Sized> {
    /// In the order of their declaration.
    tables: Vec<Rc<dyn DeclaredTable>>,
    /// One of the tables.
    pub(in crate::flow) timers: Option<Timers<K>>,
}

impl<K: ?Sized> Default for Declared<K> {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            timers: None,
        }
    }
}

impl<K: ?Sized> Declared<K> {
    pub(in crate::flow) fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.tables.iter().try_for_each(|table| table.open(store))
    }

    /// Announces records to the tables that gain from it.
    pub(in crate::flow) fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        for table in &self.tables {
            table.prefetch(store, hashes);
        }
    }

    /// One slice of freeing what has expired; gives how many records went.
    pub(in crate::flow) fn expire(&self, store: &mut Store) -> Result<usize, FlowError> {
        let tables = self.tables.iter();
        tables.map(|table| table.expire(store, EXPIRE_SLICE)).sum()
    }
}

/// Queue entries that one table looks at in one slice of freeing what has expired.
const EXPIRE_SLICE: usize = 64;

/// A table that is opened by its name.
pub(super) trait DeclaredTable {
    fn open(&self, store: &mut Store) -> Result<(), FlowError>;
    /// Announces records; for tables in which a hash alone tells where their state lies.
    fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        let _ = (store, hashes);
    }
    /// Frees what has expired, with a look at `limit` entries at most; gives how many went.
    fn expire(&self, store: &mut Store, limit: usize) -> Result<usize, FlowError> {
        let _ = (store, limit);
        Ok(0)
    }
}

/// A declared table: empty until the shard is built.
pub(super) struct TableSlot<T> {
    name: String,
    table: OnceCell<T>,
}

impl<T> TableSlot<T> {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            table: OnceCell::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    #[inline]
    pub(super) fn table(&self) -> &T {
        self.table
            .get()
            .expect("a state is used with the operator that declared it, on a shard that was built")
    }

    #[cold]
    pub(super) fn failure(&self, source: StateError) -> FlowError {
        let name = self.name.clone();
        FlowError::State { name, source }
    }

    pub(super) fn fill(&self, opened: Result<T, StateError>) -> Result<(), FlowError> {
        let table = opened.map_err(|source| self.failure(source))?;
        assert!(self.table.set(table).is_ok(), "a shard is built once");
        Ok(())
    }
}

impl<K: Key + ?Sized, V: Value> DeclaredTable for TableSlot<ValueTable<K, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(ValueTable::open(store, &self.name))
    }

    fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        self.table().prefetch(store, hashes);
    }
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> DeclaredTable for TableSlot<MapTable<K, M, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(MapTable::open(store, &self.name))
    }
}

impl<K: Key + ?Sized, V: Value> DeclaredTable for TableSlot<ListTable<K, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(ListTable::open(store, &self.name))
    }
}

impl<K: Key + ?Sized> DeclaredTable for TableSlot<RefCell<TimerTable<K>>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(TimerTable::open(store, &self.name).map(RefCell::new))
    }
}

impl<M: Key + ?Sized, V: Value> DeclaredTable for TableSlot<BroadcastTable<M, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(BroadcastTable::open(store, &self.name))
    }
}
