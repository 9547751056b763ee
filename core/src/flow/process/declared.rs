//! The tables of a process operator: opened by their names, announced to, freed, walked over.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use frazil_state::{
    BroadcastTable, Key, KeyHash, KeyWalk, ListTable, MapTable, StateError, Store, TimerTable,
    Value, ValueTable,
};

use super::keys_in_hand::KeysInHand;
use super::timers::Timers;
use super::walks_slot::WalksSlot;
use crate::flow::error::FlowError;

/// What one operator declared.
pub(in crate::flow) struct Declared<K: ?Sized> {
    /// In the order of their declaration.
    pub(super) tables: Vec<Rc<dyn DeclaredTable<K>>>,
    /// One of the tables.
    pub(in crate::flow) timers: Option<Timers<K>>,
    /// One of the tables.
    pub(in crate::flow) walks: Option<Rc<WalksSlot>>,
}

impl<K: ?Sized> Default for Declared<K> {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            timers: None,
            walks: None,
        }
    }
}

impl<K: ?Sized> Declared<K> {
    pub(in crate::flow) fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.tables.iter().try_for_each(|table| table.open(store))?;
        if let Some(walks) = &self.walks {
            let states = self.tables.iter().filter_map(|table| table.walked());
            walks.know(states.map(|state| state.name().to_owned()).collect());
        }
        Ok(())
    }

    /// Whether a key still has the state that a walk is over.
    pub(in crate::flow) fn has(
        &self,
        state: &str,
        store: &Store,
        hash: KeyHash,
        key: &K,
    ) -> Result<bool, FlowError> {
        self.walked(state).has(store, hash, key)
    }

    fn walked(&self, name: &str) -> &dyn WalkedTable<K> {
        let mut states = self.tables.iter().filter_map(|table| table.walked());
        let state = states.find(|state| state.name() == name);
        state.expect("a walk is over a state of its own operator")
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

impl<K: Key + ?Sized> Declared<K> {
    /// Takes keys of the first walk that is left in hand, if none are.
    pub(in crate::flow) fn take_keys(
        &self,
        keys: &mut KeysInHand,
        store: &Store,
    ) -> Result<(), FlowError> {
        let Some(walks) = &self.walks else {
            return Ok(());
        };
        while keys.is_empty() && walks.pending_count() > 0 {
            walks.take_keys(keys, store, |name| self.walked(name))?;
        }
        Ok(())
    }
}

/// Queue entries that one table looks at in one slice of freeing what has expired.
const EXPIRE_SLICE: usize = 64;

/// A table that is opened by its name.
pub(super) trait DeclaredTable<K: ?Sized> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError>;
    /// Announces a run of records, two runs before it comes; for tables in which a hash alone tells
    /// where their state lies.
    fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        let _ = (store, hashes);
    }
    /// Frees what has expired, with a look at `limit` entries at most; gives how many went.
    fn expire(&self, store: &mut Store, limit: usize) -> Result<usize, FlowError> {
        let _ = (store, limit);
        Ok(0)
    }
    /// The table as one that has keys to walk over.
    fn walked(&self) -> Option<&dyn WalkedTable<K>> {
        None
    }
}

/// A table that keeps something for each of its keys.
pub(super) trait WalkedTable<K: ?Sized> {
    fn name(&self) -> &str;

    /// Shows the next keys of a walk to `visit`, about `limit` of them.
    fn walk_keys(
        &self,
        store: &Store,
        walk: &mut KeyWalk,
        limit: usize,
        visit: &mut dyn FnMut(&K),
    ) -> Result<(), FlowError>;

    /// Whether a key has anything here.
    fn has(&self, store: &Store, hash: KeyHash, key: &K) -> Result<bool, FlowError>;
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

impl<K: Key + ?Sized, V: Value> DeclaredTable<K> for TableSlot<ValueTable<K, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(ValueTable::open(store, &self.name).map(ValueTable::announcing))
    }

    fn prefetch(&self, store: &Store, hashes: &[KeyHash]) {
        self.table().announce(store, hashes);
    }

    fn walked(&self) -> Option<&dyn WalkedTable<K>> {
        Some(self)
    }
}

impl<K: Key + ?Sized, M: Key + ?Sized, V: Value> DeclaredTable<K> for TableSlot<MapTable<K, M, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(MapTable::open(store, &self.name))
    }

    fn walked(&self) -> Option<&dyn WalkedTable<K>> {
        Some(self)
    }
}

impl<K: Key + ?Sized, V: Value> DeclaredTable<K> for TableSlot<ListTable<K, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(ListTable::open(store, &self.name))
    }

    fn walked(&self) -> Option<&dyn WalkedTable<K>> {
        Some(self)
    }
}

impl<K: Key + ?Sized> DeclaredTable<K> for TableSlot<RefCell<TimerTable<K>>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(TimerTable::open(store, &self.name).map(RefCell::new))
    }
}

impl<K: ?Sized, M: Key + ?Sized, V: Value> DeclaredTable<K> for TableSlot<BroadcastTable<M, V>> {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        self.fill(BroadcastTable::open(store, &self.name))
    }
}

/// What keys have in a table: `is_empty_at` for those of many entries a key.
macro_rules! walked {
    (
        $table:ty, [$($other:ident),*],
        |$self:ident, $store:ident, $hash:ident, $key:ident| $has:expr
    ) => {
        impl<K: Key + ?Sized, $($other: Key + ?Sized,)* V: Value> WalkedTable<K>
            for TableSlot<$table>
        {
            fn name(&self) -> &str {
                &self.name
            }

            fn walk_keys(
                &self,
                store: &Store,
                walk: &mut KeyWalk,
                limit: usize,
                visit: &mut dyn FnMut(&K),
            ) -> Result<(), FlowError> {
                let walked = self.table().walk_keys(store, walk, limit, visit);
                walked.map_err(|source| self.failure(source))
            }

            fn has(
                &$self,
                $store: &Store,
                $hash: KeyHash,
                $key: &K,
            ) -> Result<bool, FlowError> {
                Ok($has)
            }
        }
    };
}

walked!(ValueTable<K, V>, [], |self, store, hash, key| self.table().contains(store, hash, key));
walked!(MapTable<K, M, V>, [M], |self, store, hash, key| {
    !self.table().is_empty_at(store, hash, key)
});
walked!(ListTable<K, V>, [], |self, store, hash, key| {
    !self.table().is_empty_at(store, hash, key)
});
