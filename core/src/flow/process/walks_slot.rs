//! The walks of a process function that are not done.
//!
//! They lie in memory while records flow, and are written into a list of the shard at each barrier,
//! when no key of a walk is in hand. The list is united when the number of shards changes: of each
//! walk every shard then takes what is left of it in the key groups that are its own.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;

use frazil_state::{Key, KeyWalk, ListRedistribution, OperatorList, Store, TypeIdentity};

use super::declared::{DeclaredTable, TableSlot, WalkedTable};
use super::keys_in_hand::KeysInHand;
use crate::flow::error::FlowError;

/// Keys that one look at a table takes in hand, and those of one page more.
const TAKEN_KEYS: usize = 64;

/// Name of the state, argument, what is left.
type StoredWalk = (String, u64, KeyWalk);

pub(super) fn stored_walk_types() -> TypeIdentity {
    OperatorList::<StoredWalk>::types()
}

/// Walks in the order in which they began.
pub(in crate::flow) struct WalksSlot {
    list: TableSlot<OperatorList<StoredWalk>>,
    left: RefCell<VecDeque<StoredWalk>>,
    /// Whether the list holds what is left.
    is_written: Cell<bool>,
    /// Names of the states of the same operator.
    states: OnceCell<Vec<String>>,
}

impl WalksSlot {
    pub(super) fn new(name: &str) -> Self {
        Self {
            list: TableSlot::new(name),
            left: RefCell::default(),
            is_written: Cell::new(true),
            states: OnceCell::new(),
        }
    }

    /// Tells the states that can be walked over. What is left of walks over others, which the
    /// program had when the checkpoint was made, is dropped with them.
    pub(super) fn know(&self, states: Vec<String>) {
        let mut left = self.left.borrow_mut();
        left.retain(|(state, ..)| states.contains(state));
        assert!(self.states.set(states).is_ok(), "a shard is built once");
    }

    pub(super) fn start(&self, store: &Store, state: &str, argument: u64) {
        let states = self.states.get();
        assert!(
            states.is_some_and(|states| states.iter().any(|known| known == state)),
            "a walk over the state {state:?}, which is none of its own operator"
        );
        let walk = (state.to_owned(), argument, KeyWalk::over(store));
        self.left.borrow_mut().push_back(walk);
        self.is_written.set(false);
    }

    pub(in crate::flow) fn pending_count(&self) -> usize {
        self.left.borrow().len()
    }

    /// Takes the next keys of the first walk in hand; the walk is over if none are left then.
    pub(super) fn take_keys<'t, K: Key + ?Sized + 't>(
        &self,
        keys: &mut KeysInHand,
        store: &Store,
        table: impl FnOnce(&str) -> &'t dyn WalkedTable<K>,
    ) -> Result<(), FlowError> {
        let mut left = self.left.borrow_mut();
        let Some((state, argument, walk)) = left.front_mut() else {
            return Ok(());
        };
        self.is_written.set(false);
        keys.begin(state, *argument);
        table(state).walk_keys(store, walk, TAKEN_KEYS, &mut |key| keys.push(key))?;
        if walk.is_done() {
            left.pop_front();
        }
        Ok(())
    }

    /// Writes what is left into the list.
    pub(in crate::flow) fn write(&self, store: &mut Store) -> Result<(), FlowError> {
        if self.is_written.replace(true) {
            return Ok(());
        }
        let mut left = self.left.borrow_mut();
        let written = self.list.table().replace(store, left.make_contiguous());
        written.map_err(|source| self.list.failure(source))
    }
}

impl<K: ?Sized> DeclaredTable<K> for WalksSlot {
    fn open(&self, store: &mut Store) -> Result<(), FlowError> {
        let union = ListRedistribution::Union;
        self.list
            .fill(OperatorList::open(store, self.list.name(), union))?;
        let stored = self.list.table().get(store);
        let stored = stored.map_err(|source| self.list.failure(source))?;
        // The next barrier writes the list anew: after another number of shards it has parts that
        // belong to others.
        self.is_written.set(stored.is_empty());
        let here = stored.into_iter().filter_map(|(state, argument, walk)| {
            let walk = walk.on(store)?;
            Some((state, argument, walk))
        });
        self.left.borrow_mut().extend(here);
        Ok(())
    }
}
