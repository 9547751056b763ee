//! Walks over entries in key order, both ways, and over whole tables in slices.

use std::ops::ControlFlow;

use super::ordered_table::{Edge, FoundEntry, OrderedTable};
use crate::arena::Arena;
use crate::error::StateError;
use crate::key::KeyBuffer;
use crate::page::PageId;

/// Where a scan over an ordered table stands: behind a key, so that it stays valid whatever is put
/// or removed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderedCursor {
    group: u32,
    /// Key that was visited last in the group.
    after: Option<KeyBuffer>,
}

impl OrderedCursor {
    /// Behind a key of a group, or at the group's beginning if there is none.
    pub(crate) fn behind(group: u32, key: &[u8]) -> Self {
        let after = (!key.is_empty()).then(|| key.iter().copied().collect());
        Self { group, after }
    }

    /// Group, and the key behind which the cursor stands in it.
    pub(crate) fn place(&self) -> (u32, Option<&[u8]>) {
        (self.group, self.last_key())
    }

    /// Key of the entry behind which the cursor stands in its group.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }
}

/// A walk over leaves. Each is another page, so it ends in an arena of so many, also where the
/// branches of damaged pages that are not verified yet lead round in a circle.
struct Leaves {
    left: u32,
}

impl Leaves {
    fn of(arena: &Arena) -> Self {
        Self {
            left: arena.page_count(),
        }
    }

    fn take(&mut self, leaf: PageId) {
        assert!(
            self.left > 0,
            "page={}: more leaves than the state has pages: a page is damaged",
            leaf.0
        );
        self.left -= 1;
    }
}

impl OrderedTable {
    /// Moves the cursor onto the first entry behind an edge of its group, else onto the first entry
    /// of the groups that follow, before `end`.
    pub(super) fn first_at<'a>(
        &'a self,
        arena: &'a Arena,
        cursor: &mut OrderedCursor,
        end: u32,
        mut from: Edge<'_>,
    ) -> Option<&'a [u8]> {
        while cursor.group < end {
            let group = cursor.group;
            let first = self.scan(arena, group, from, Edge::End, |key, _| {
                ControlFlow::Break(key)
            });
            if let ControlFlow::Break(key) = first {
                cursor.after = Some(key.iter().copied().collect());
                return Some(key);
            }
            *cursor = OrderedCursor {
                group: group + 1,
                after: None,
            };
            from = Edge::Start;
        }
        None
    }

    /// Visits the entries between two edges in rising order until the visitor breaks.
    ///
    /// # Cost
    /// One descent, then one comparison a leaf; keys and values are not copied.
    pub(crate) fn scan<'a, B>(
        &'a self,
        arena: &'a Arena,
        group: u32,
        from: Edge<'_>,
        to: Edge<'_>,
        mut visit: impl FnMut(&'a [u8], FoundEntry) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(mut place) = self.seek(arena, group, from) else {
            return ControlFlow::Continue(());
        };
        let mut leaves = Leaves::of(arena);
        loop {
            let leaf = self.leaf(arena, place.leaf);
            let (end, count) = (leaf.index_of(to), leaf.count());
            leaves.take(place.leaf);
            for index in place.index..end {
                let page = place.leaf;
                visit(leaf.key(index), FoundEntry { page, index })?;
            }
            if end < count || !self.next_leaf(arena, &mut place) {
                return ControlFlow::Continue(());
            }
        }
    }

    /// Visits the entries between two edges in falling order until the visitor breaks.
    ///
    /// # Cost
    /// As [`OrderedTable::scan`].
    pub(crate) fn scan_back<'a, B>(
        &'a self,
        arena: &'a Arena,
        group: u32,
        from: Edge<'_>,
        to: Edge<'_>,
        mut visit: impl FnMut(&'a [u8], FoundEntry) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(mut place) = self.seek(arena, group, to) else {
            return ControlFlow::Continue(());
        };
        let mut leaves = Leaves::of(arena);
        loop {
            let leaf = self.leaf(arena, place.leaf);
            let begin = leaf.index_of(from);
            leaves.take(place.leaf);
            for index in (begin..place.index).rev() {
                let page = place.leaf;
                visit(leaf.key(index), FoundEntry { page, index })?;
            }
            if begin > 0 || !self.previous_leaf(arena, &mut place) {
                return ControlFlow::Continue(());
            }
        }
    }

    /// Visits `limit` entries from the cursor on, group by group in key order; true at the end.
    pub(crate) fn scan_slice(
        &self,
        arena: &Arena,
        cursor: &mut OrderedCursor,
        limit: usize,
        mut visit: impl FnMut(u32, &[u8], FoundEntry) -> Result<(), StateError>,
    ) -> Result<bool, StateError> {
        let mut visited = 0;
        while cursor.group < self.owned.length {
            let group = cursor.group;
            let mut last: Option<&[u8]> = None;
            let from = cursor
                .after
                .as_ref()
                .map_or(Edge::Start, |key| Edge::After(key));
            let broken = self.scan(arena, group, from, Edge::End, |key, found| {
                if visited == limit {
                    return ControlFlow::Break(Ok(()));
                }
                if let Err(error) = visit(group, key, found) {
                    return ControlFlow::Break(Err(error));
                }
                visited += 1;
                last = Some(key);
                ControlFlow::Continue(())
            });
            match broken {
                ControlFlow::Continue(()) => {
                    *cursor = OrderedCursor {
                        group: group + 1,
                        after: None,
                    };
                }
                ControlFlow::Break(result) => {
                    if let Some(key) = last {
                        cursor.after = Some(key.iter().copied().collect());
                    }
                    return result.map(|()| false);
                }
            }
        }
        Ok(true)
    }
}
