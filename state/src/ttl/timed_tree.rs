//! Timed values by key and part in an ordered table: the ground of maps and lists that expire.

use std::ops::{ControlFlow, RangeBounds};

use arrayvec::ArrayVec;

use super::policy::Expiry;
use super::timed::{ArchivedTimed, Timed, expires_at};
use super::timed_table::{At, TimedEntries, TimedTable};
use crate::error::StateError;
use crate::hash::KeyHash;
use crate::key::{Key, KeyBuffer};
use crate::store::Store;
use crate::tree::{Edge, FoundEntry, KeyedTree, Order, Span};
use crate::value::Value;

/// Entries that are looked at before they are changed, which moves none of them.
const RUN_ENTRIES: usize = 64;

/// A table with expiry whose entries lie in a tree.
pub(super) type TimedTree<K, P, V> = TimedTable<K, P, V, KeyedTree<K, P, Timed<V>>>;

/// Entries that lie one behind the other, and the key of the last one.
#[derive(Default)]
struct Run {
    entries: ArrayVec<FoundEntry, RUN_ENTRIES>,
    last: KeyBuffer,
}

impl<K: Key + ?Sized, P: Key + ?Sized, V: Value> TimedTree<K, P, V> {
    pub(super) fn open_tree(
        store: &mut Store,
        name: &str,
        role: &str,
        expiry: Expiry,
    ) -> Result<Self, StateError> {
        let entries = KeyedTree::open(store, name, role)?;
        Self::open(store, name, entries, expiry)
    }

    /// The next entries between two edges, expired or not.
    fn run(
        &self,
        store: &Store,
        group: u32,
        (from, to): (Edge<'_>, Edge<'_>),
        order: Order,
        limit: usize,
    ) -> Run {
        let (arena, table) = (store.arena(), &self.entries.tree.table);
        let limit = limit.clamp(1, RUN_ENTRIES);
        let mut run = Run::default();
        let collect = |key: &[u8], found| {
            run.entries.push(found);
            if run.entries.len() < limit {
                return ControlFlow::Continue(());
            }
            run.last = key.iter().copied().collect();
            ControlFlow::Break(())
        };
        let _ = match order {
            Order::Rising => table.scan(arena, group, from, to, collect),
            Order::Falling => table.scan_back(arena, group, from, to, collect),
        };
        run
    }

    /// Visits a key's entries that have not expired until the visitor breaks. Those that are
    /// visited are read.
    pub(super) fn visit(
        &self,
        store: &mut Store,
        (hash, key): (KeyHash, &K),
        span: &Span,
        order: Order,
        mut visit: impl FnMut(&P, &V::Archived) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let (tree, group) = (&self.entries.tree, self.entries.group(hash));
        let prefix_bytes = KeyedTree::<K, P, Timed<V>>::prefix(key).len();
        let mut behind: Option<KeyBuffer> = None;
        loop {
            let run = self.run(
                store,
                group,
                span.rest(order, behind.as_deref()),
                order,
                RUN_ENTRIES,
            );
            for found in &run.entries {
                let bytes = tree.table.value(store.arena(), *found)?;
                let expires_ms = tree.view(store.arena(), bytes)?.expires_ms.to_native();
                if expires_ms <= store.time() {
                    continue;
                }
                if let Some(anew_ms) = self.after_read(store, expires_ms) {
                    let arena = store.arena_mut();
                    let word = anew_ms.to_le_bytes();
                    tree.table
                        .write_word(arena, *found, expires_at::<V>, word)?;
                }
                let arena = store.arena();
                let timed = tree.view(arena, tree.table.value(arena, *found)?)?;
                let part = &tree.table.key(arena, *found)[prefix_bytes..];
                let visited = P::from_bytes(part, |part| visit(part, &timed.value));
                if visited
                    .map_err(|error| tree.invalid_key(arena, &error))?
                    .is_break()
                {
                    return Ok(());
                }
            }
            if run.entries.len() < RUN_ENTRIES {
                return Ok(());
            }
            behind = Some(run.last);
        }
    }

    /// Removes a key's entries in a span, `limit` of them if there are so many. Gives how many of
    /// them had not expired, and whether none is left.
    pub(super) fn remove_some(
        &mut self,
        store: &mut Store,
        (hash, key): (KeyHash, &K),
        span: &Span,
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let group = self.entries.group(hash);
        let (mut seen_count, mut left) = (0, limit.max(1));
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            let edges = span.edges();
            let run = self.run(store, group, edges, Order::Rising, limit);
            left -= run.entries.len() as u64;
            for found in &run.entries {
                seen_count += u64::from(self.remove_timer(store, (hash, key), *found)?);
            }
            let table = &self.entries.tree.table;
            let is_last = run.last.is_empty();
            let to = if is_last {
                edges.1
            } else {
                Edge::After(&run.last)
            };
            table.remove_range(store.arena_mut(), group, (edges.0, to), u64::MAX)?;
            if is_last {
                return Ok((seen_count, true));
            }
        }
        let rest = self.run(store, group, span.edges(), Order::Rising, 1);
        Ok((seen_count, rest.entries.is_empty()))
    }

    /// Takes the timer of an entry out of the queue; true if the entry has not expired.
    fn remove_timer(
        &mut self,
        store: &mut Store,
        (hash, key): (KeyHash, &K),
        found: FoundEntry,
    ) -> Result<bool, StateError> {
        let (tree, arena) = (&self.entries.tree, store.arena());
        let timed = tree.view(arena, tree.table.value(arena, found)?)?;
        let (expires_ms, queued_ms) = (timed.expires_ms.to_native(), timed.queued_ms.to_native());
        let prefix_bytes = KeyedTree::<K, P, Timed<V>>::prefix(key).len();
        let part = &tree.table.key(arena, found)[prefix_bytes..];
        let part: KeyBuffer = part.iter().copied().collect();
        let queue = &mut self.queue;
        P::from_bytes(&part, |part| {
            queue.delete(store, hash, queued_ms, key, part)
        })
        .map_err(|error| self.entries.tree.invalid_key(store.arena(), &error))??;
        Ok(store.time() < expires_ms)
    }

    /// True if a key has no entry in a span that has not expired.
    ///
    /// # Cost
    /// A look at each entry that has expired in front of the first one that has not.
    pub(super) fn is_empty_at(
        &self,
        store: &Store,
        hash: KeyHash,
        span: &Span,
    ) -> Result<bool, StateError> {
        let (tree, group) = (&self.entries.tree, self.entries.group(hash));
        let mut is_empty = true;
        tree.visit(store, group, span.edges(), Order::Rising, |_, timed| {
            if timed.expires_ms.to_native() <= store.time() {
                return Ok(ControlFlow::Continue(()));
            }
            is_empty = false;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(is_empty)
    }

    /// The entries of a key whose parts lie in a range.
    pub(super) fn span(key: &K, range: &impl RangeBounds<P>) -> Span {
        KeyedTree::<K, P, Timed<V>>::span(key, range)
    }
}

impl<K: Key + ?Sized, P: Key + ?Sized, V: Value> TimedEntries<K, P, V>
    for KeyedTree<K, P, Timed<V>>
{
    fn view<'a>(
        &self,
        store: &'a Store,
        place: At<'_, K, P>,
    ) -> Result<Option<&'a ArchivedTimed<V>>, StateError> {
        let entry = Self::entry_key(place.key, place.part);
        self.tree.get(store, self.group(place.hash), &entry)
    }

    fn get(&self, store: &Store, place: At<'_, K, P>) -> Result<Option<Timed<V>>, StateError> {
        let entry = Self::entry_key(place.key, place.part);
        self.tree.get_owned(store, self.group(place.hash), &entry)
    }

    fn put(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
        timed: &Timed<V>,
    ) -> Result<(), StateError> {
        let entry = Self::entry_key(place.key, place.part);
        self.tree.put(store, self.group(place.hash), &entry, timed)
    }

    fn remove(&self, store: &mut Store, place: At<'_, K, P>) -> Result<(), StateError> {
        let entry = Self::entry_key(place.key, place.part);
        let (group, arena) = (self.group(place.hash), store.arena_mut());
        self.tree.table.remove(arena, group, &entry).map(|_| ())
    }

    fn write_word(
        &self,
        store: &mut Store,
        place: At<'_, K, P>,
        at: fn(usize) -> usize,
        word: u64,
    ) -> Result<(), StateError> {
        let entry = Self::entry_key(place.key, place.part);
        let (group, arena, table) = (self.group(place.hash), store.arena_mut(), &self.tree.table);
        match table.find(arena, group, &entry) {
            Some(found) => table.write_word(arena, found, at, word.to_le_bytes()),
            None => Ok(()),
        }
    }

    fn record_bytes(&self, store: &Store, place: At<'_, K, P>) -> Result<Option<u64>, StateError> {
        let entry = Self::entry_key(place.key, place.part);
        let (arena, table) = (store.arena(), &self.tree.table);
        let Some(found) = table.find(arena, self.group(place.hash), &entry) else {
            return Ok(None);
        };
        let bytes = entry.len() + table.value(arena, found)?.len();
        Ok(Some(bytes as u64))
    }

    fn len(&self, store: &Store) -> u64 {
        self.tree.len(store)
    }
}
