//! Entries by user key and something behind it: the ground of maps and lists.

use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use super::ordered_table::Edge;
use super::scan::OrderedCursor;
use super::typed::{self, KeyLayout, Order, TypedTree, part_fingerprint};
use crate::catalog::UserKeyPlace;
use crate::error::StateError;
use crate::form::TableScope;
use crate::hash::KeyHash;
use crate::identity::TypeIdentity;
use crate::key::{Key, KeyBuffer, KeyError, first_part, push_cut, push_part};
use crate::store::Store;
use crate::value::Value;

/// Entries with keys (user key, sub key), in the group of the user key: all of one user key lie
/// side by side, in the order of the sub keys.
#[derive(Debug)]
pub(crate) struct KeyedTree<K: ?Sized, S: ?Sized, V> {
    pub(crate) tree: TypedTree<V>,
    key: PhantomData<fn(&K, &S)>,
}

/// A range of entries, as the edges around it.
pub(crate) struct Span {
    from: (KeyBuffer, bool),
    /// `None` reaches to the end of the group.
    to: Option<(KeyBuffer, bool)>,
}

impl Span {
    pub(crate) fn edges(&self) -> (Edge<'_>, Edge<'_>) {
        (edge(&self.from), self.to.as_ref().map_or(Edge::End, edge))
    }

    /// The edges around what is left of the span behind a key that was visited last.
    pub(crate) fn rest<'a>(
        &'a self,
        order: Order,
        visited: Option<&'a [u8]>,
    ) -> (Edge<'a>, Edge<'a>) {
        let (from, to) = self.edges();
        match (order, visited) {
            (_, None) => (from, to),
            (Order::Rising, Some(key)) => (Edge::After(key), to),
            (Order::Falling, Some(key)) => (from, Edge::Before(key)),
        }
    }
}

fn edge((key, is_after): &(KeyBuffer, bool)) -> Edge<'_> {
    if *is_after {
        Edge::After(key)
    } else {
        Edge::Before(key)
    }
}

impl<K: Key + ?Sized, S: Key + ?Sized, V: Value> KeyedTree<K, S, V> {
    pub(crate) fn identity(role: &str) -> TypeIdentity {
        typed::identity::<V>(role, &[part_fingerprint::<K>(), part_fingerprint::<S>()])
    }

    pub(crate) fn open(store: &mut Store, name: &str, role: &str) -> Result<Self, StateError> {
        let layout = KeyLayout {
            scope: TableScope::Keyed,
            identity: Self::identity(role),
            bytes: K::FIXED_BYTES
                .zip(S::FIXED_BYTES)
                .map(|(key, sub)| key + sub),
            user_key: Some(UserKeyPlace {
                at: 0,
                bytes: K::FIXED_BYTES,
            }),
        };
        Ok(Self {
            tree: TypedTree::open(store, name, &layout)?,
            key: PhantomData,
        })
    }

    /// Group of a key, relative to the shard's first.
    #[inline]
    pub(crate) fn group(&self, hash: KeyHash) -> u32 {
        self.tree.table.owned.relative(hash)
    }

    /// What all entries of a user key begin with.
    pub(crate) fn prefix(key: &K) -> KeyBuffer {
        let mut prefix = KeyBuffer::new();
        key.with_bytes(|bytes| push_part::<K>(bytes, &mut prefix));
        prefix
    }

    /// Calls `with` with an entry's key.
    #[inline]
    pub(crate) fn entry_key(key: &K, sub: &S) -> KeyBuffer {
        let mut entry = Self::prefix(key);
        sub.with_bytes(|bytes| push_cut(bytes, &mut entry));
        entry
    }

    /// The entries of a user key whose sub keys lie in a range.
    pub(crate) fn span(key: &K, range: &impl RangeBounds<S>) -> Span {
        let from = match range.start_bound() {
            Bound::Included(sub) => (Self::entry_key(key, sub), false),
            Bound::Excluded(sub) => (Self::entry_key(key, sub), true),
            Bound::Unbounded => (Self::prefix(key), false),
        };
        let to = match range.end_bound() {
            Bound::Included(sub) => Some((Self::entry_key(key, sub), true)),
            Bound::Excluded(sub) => Some((Self::entry_key(key, sub), false)),
            Bound::Unbounded => successor(&Self::prefix(key)).map(|end| (end, false)),
        };
        Span { from, to }
    }

    /// Removes entries of a user key whose sub keys lie in a range, as
    /// [`OrderedTable::remove_range`](super::OrderedTable::remove_range) does.
    pub(super) fn remove_range(
        &self,
        store: &mut Store,
        hash: KeyHash,
        key: &K,
        range: &impl RangeBounds<S>,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let span = Self::span(key, range);
        let edges = span.edges();
        let group = self.group(hash);
        self.tree
            .table
            .remove_range(store.arena_mut(), group, edges, limit)
    }

    /// Visits entries from the cursor on; true at the end.
    pub(crate) fn scan(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        mut visit: impl FnMut(&K, &S, V),
    ) -> Result<bool, StateError> {
        let (arena, tree) = (store.arena(), &self.tree);
        tree.table
            .scan_slice(arena, cursor, limit, |_, entry, found| {
                let value = tree.unarchive(arena, tree.table.value(arena, found)?)?;
                let visited = split::<K>(entry).and_then(|(key, sub)| {
                    K::from_bytes(&key, |key| S::from_bytes(sub, |sub| visit(key, sub, value)))?
                });
                visited.map_err(|error| tree.invalid_key(arena, &error))
            })
    }

    /// Visits user keys from the cursor on, each once; true at the end.
    pub(super) fn keys(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        limit: usize,
        visit: impl FnMut(&K),
    ) -> Result<bool, StateError> {
        let end = self.tree.table.owned.length;
        self.keys_until(store, cursor, end, limit, visit)
    }

    /// The same, of the groups before `end` only.
    pub(crate) fn keys_until(
        &self,
        store: &Store,
        cursor: &mut OrderedCursor,
        end: u32,
        limit: usize,
        mut visit: impl FnMut(&K),
    ) -> Result<bool, StateError> {
        let (arena, tree) = (store.arena(), &self.tree);
        for _ in 0..limit {
            let behind = cursor.last_key().map(|entry| {
                let sub_bytes = split::<K>(entry).map_or(0, |(_, sub)| sub.len());
                successor(&entry[..entry.len() - sub_bytes])
            });
            let entry = match &behind {
                None => tree.table.first_at(arena, cursor, end, Edge::Start),
                Some(None) => tree.table.first_at(arena, cursor, end, Edge::End),
                Some(Some(key)) => tree.table.first_at(arena, cursor, end, Edge::Before(key)),
            };
            let Some(entry) = entry else {
                return Ok(true);
            };
            let visited = split::<K>(entry).and_then(|(key, _)| K::from_bytes(&key, &mut visit));
            visited.map_err(|error| tree.invalid_key(arena, &error))?;
        }
        Ok(false)
    }
}

impl<K: Key + ?Sized, V: Value> KeyedTree<K, u64, V> {
    /// The last index that a user key has.
    pub(crate) fn last_index(&self, store: &Store, hash: KeyHash, key: &K) -> Option<u64> {
        let span = Self::span(key, &(..));
        let (from, to) = span.edges();
        let (arena, table) = (store.arena(), &self.tree.table);
        let last = table.scan_back(arena, self.group(hash), from, to, |entry, _| {
            ControlFlow::Break(entry.last_chunk().copied().map(u64::from_be_bytes))
        });
        last.break_value().flatten()
    }
}

/// User key bytes and sub key bytes of an entry.
pub(super) fn split<K: Key + ?Sized>(entry: &[u8]) -> Result<(KeyBuffer, &[u8]), KeyError> {
    first_part(entry, K::FIXED_BYTES).ok_or(KeyError {
        expected: "a user key and a sub key",
        found_bytes: entry.len(),
    })
}

/// The first key behind all that begin with a prefix; `None` if there is no such.
fn successor(prefix: &[u8]) -> Option<KeyBuffer> {
    let end = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key: KeyBuffer = prefix[..=end].iter().copied().collect();
    key[end] += 1;
    Some(key)
}
