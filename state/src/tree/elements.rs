//! One list: entries whose keys are a common prefix and an index.

use std::ops::ControlFlow;

use super::ordered_table::Edge;
use super::typed::{Order, TypedTree};
use crate::error::StateError;
use crate::key::{KeyBuffer, push_cut};
use crate::store::Store;
use crate::value::Value;

/// A list inside an ordered table. Its indices are `0..n` without gaps.
pub(super) struct Elements<'a, V> {
    pub(super) tree: &'a TypedTree<V>,
    pub(super) group: u32,
    /// What the keys of all elements begin with.
    pub(super) prefix: KeyBuffer,
}

impl<V: Value> Elements<'_, V> {
    fn entry(&self, index: u64) -> KeyBuffer {
        let mut entry = self.prefix.clone();
        push_cut(&index.to_be_bytes(), &mut entry);
        entry
    }

    /// Number of elements, by one descent.
    pub(super) fn len(&self, store: &Store) -> u64 {
        let (first, last) = (self.entry(0), self.entry(u64::MAX));
        let (from, to) = (Edge::Before(&first), Edge::After(&last));
        let table = &self.tree.table;
        let last = table.scan_back(store.arena(), self.group, from, to, |entry, _| {
            ControlFlow::Break(
                entry
                    .last_chunk()
                    .map_or(0, |index| u64::from_be_bytes(*index)),
            )
        });
        match last {
            ControlFlow::Break(index) => index + 1,
            ControlFlow::Continue(()) => 0,
        }
    }

    /// Sets the elements from index `begin` on, which is at most the length; those before a refused
    /// one are set.
    pub(super) fn put_from(
        &self,
        store: &mut Store,
        begin: u64,
        values: &[V],
    ) -> Result<(), StateError> {
        for (index, value) in (begin..).zip(values) {
            self.tree
                .put(store, self.group, &self.entry(index), value)?;
        }
        Ok(())
    }

    /// Adds elements at the end.
    pub(super) fn append(&self, store: &mut Store, values: &[V]) -> Result<(), StateError> {
        self.put_from(store, self.len(store), values)
    }

    /// Sets the whole list.
    pub(super) fn replace(&self, store: &mut Store, values: &[V]) -> Result<(), StateError> {
        self.put_from(store, 0, values)?;
        self.remove_from(store, values.len() as u64)?;
        Ok(())
    }

    /// Removes the elements from index `begin` on and says how many there were.
    pub(super) fn remove_from(&self, store: &mut Store, begin: u64) -> Result<u64, StateError> {
        let (first, last) = (self.entry(begin), self.entry(u64::MAX));
        let edges = (Edge::Before(&first), Edge::After(&last));
        let (arena, table) = (store.arena_mut(), &self.tree.table);
        let (removed, _) = table.remove_range(arena, self.group, edges, u64::MAX)?;
        Ok(removed)
    }

    /// Visits the archived elements in order until the visitor breaks.
    pub(super) fn for_each(
        &self,
        store: &Store,
        mut visit: impl FnMut(&V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let (first, last) = (self.entry(0), self.entry(u64::MAX));
        let edges = (Edge::Before(&first), Edge::After(&last));
        self.tree
            .visit(store, self.group, edges, Order::Rising, |_, value| {
                Ok(visit(value))
            })
    }

    /// All elements, copied out.
    pub(super) fn get(&self, store: &Store) -> Result<Vec<V>, StateError> {
        let (first, last) = (self.entry(0), self.entry(u64::MAX));
        let (from, to) = (Edge::Before(&first), Edge::After(&last));
        let (arena, tree) = (store.arena(), self.tree);
        let mut values = Vec::new();
        let broken = tree.table.scan(arena, self.group, from, to, |_, found| {
            let bytes = tree.table.value(arena, found);
            match bytes.and_then(|bytes| tree.unarchive(arena, bytes)) {
                Ok(value) => {
                    values.push(value);
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        });
        match broken {
            ControlFlow::Continue(()) => Ok(values),
            ControlFlow::Break(error) => Err(error),
        }
    }
}
