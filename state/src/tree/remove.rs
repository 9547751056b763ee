//! Taking entries out: one, or a range leaf by leaf. Pages that run empty are given back at once,
//! pages that run low are merged with a neighbour below the same branch.

use std::ops::Range;

use super::edit::{self, Packer};
use super::node::{BRANCH, CAPACITY_BYTES, Node, Shape};
use super::ordered_table::{Edge, FoundEntry, OrderedTable, Path, Place, Root, Step};
use crate::arena::Arena;
use crate::error::StateError;
use crate::page::PageId;
use crate::runs;

/// A page with less looks for a neighbour to merge with.
const LOW_BYTES: usize = CAPACITY_BYTES / 4;
/// A merged page keeps room, so that the next entries do not split it again.
const MERGED_BYTES_MAX: usize = CAPACITY_BYTES / 4 * 3;

impl OrderedTable {
    /// Removes a key; true if it was there.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the entry refers to no run inside the arena.
    ///
    /// # Cost
    /// One search a level; at most one merge of two pages a level.
    pub(crate) fn remove(
        &self,
        arena: &mut Arena,
        group: u32,
        key: &[u8],
    ) -> Result<bool, StateError> {
        let Some(place) = self.seek(arena, group, Edge::Before(key)) else {
            return Ok(false);
        };
        let leaf = self.leaf(arena, place.leaf);
        if place.index == leaf.count() || leaf.key(place.index) != key {
            return Ok(false);
        }
        let end = place.index + 1;
        self.take_out(arena, group, place, end)?;
        Ok(true)
    }

    /// Removes entries between two edges, leaf by leaf, until at least `limit` are removed or none
    /// is left. Gives how many it removed, and whether none is left.
    ///
    /// # Errors
    /// As [`OrderedTable::remove`]; the entries of the leaves before are removed then.
    ///
    /// # Cost
    /// One descent a leaf; what lies in whole leaves is not touched, runs excepted.
    pub(crate) fn remove_range(
        &self,
        arena: &mut Arena,
        group: u32,
        (from, to): (Edge<'_>, Edge<'_>),
        limit: u64,
    ) -> Result<(u64, bool), StateError> {
        let mut removed = 0;
        while let Some(mut place) = self.seek(arena, group, from) {
            let count = self.leaf(arena, place.leaf).count();
            if place.index == count && !self.next_leaf(arena, &mut place) {
                break;
            }
            let leaf = self.leaf(arena, place.leaf);
            let (end, count) = (leaf.index_of(to), leaf.count());
            if end <= place.index {
                break;
            }
            if removed >= limit {
                return Ok((removed, false));
            }
            removed += (end - place.index) as u64;
            self.take_out(arena, group, place, end)?;
            if end < count {
                break;
            }
        }
        Ok((removed, true))
    }

    /// Takes the entries from `place` to `end` out of a leaf and sees to the pages.
    fn take_out(
        &self,
        arena: &mut Arena,
        group: u32,
        mut place: Place,
        end: usize,
    ) -> Result<(), StateError> {
        let (leaf, range) = (place.leaf, place.index..end);
        self.free_runs(arena, leaf, range.clone())?;
        let change = i64::try_from(range.len()).expect("entries of a page");
        self.add_to_count(arena, group, -change);
        if range.len() == self.leaf(arena, leaf).count() {
            self.release(arena, group, &mut place.path, leaf);
        } else {
            remove_entries(arena, &self.shape, leaf, range);
            self.settle(arena, group, &mut place.path, leaf, 0);
        }
        Ok(())
    }

    /// Gives back the runs of entries that are about to go; none if one of them is damaged.
    fn free_runs(
        &self,
        arena: &mut Arena,
        page: PageId,
        range: Range<usize>,
    ) -> Result<(), StateError> {
        if self.leaf(arena, page).run_count() == 0 {
            return Ok(());
        }
        let entries = range.map(|index| FoundEntry { page, index });
        for found in entries.clone() {
            self.run(arena, found)?;
        }
        for found in entries {
            if let Some(run) = self.run(arena, found)? {
                runs::free(arena, run);
            }
        }
        Ok(())
    }

    /// Gives a page back that holds nothing more, and those above it that held only that.
    fn release(&self, arena: &mut Arena, group: u32, path: &mut Path, mut page: PageId) {
        let mut level = 0;
        loop {
            arena.free(page);
            level += 1;
            let Some(step) = path.pop() else {
                return self.set_root(arena, group, None);
            };
            page = step.page;
            if self.branch(arena, page).count() > 1 {
                remove_entries(arena, &BRANCH, page, step.index..step.index + 1);
                return self.settle(arena, group, path, page, level);
            }
        }
    }

    /// Merges a page that lost entries with a neighbour if both together leave room, then sees to
    /// the branch above in the same way.
    fn settle(
        &self,
        arena: &mut Arena,
        group: u32,
        path: &mut Path,
        mut page: PageId,
        mut level: usize,
    ) {
        while let Some(step) = path.pop() {
            if self.node(arena, page, level).used_bytes() >= LOW_BYTES {
                return;
            }
            let Some(left) = self.mergeable(arena, step, level) else {
                return;
            };
            self.merge(arena, step.page, left, level);
            page = step.page;
            level += 1;
        }
        self.lower(arena, group);
    }

    fn node<'a>(&'a self, arena: &'a Arena, page: PageId, level: usize) -> Node<'a> {
        Node {
            page: arena.page(page),
            shape: self.shape.at_level(level),
        }
    }

    /// Index of the left one of two neighbours that fit into one page, one of them at `step`.
    fn mergeable(&self, arena: &Arena, step: Step, level: usize) -> Option<usize> {
        let parent = self.branch(arena, step.page);
        let used = |index: usize| self.node(arena, parent.child(index), level).used_bytes();
        let fits = |left: &usize| {
            // A branch's first key comes down from above.
            let key_bytes = if level == 0 {
                0
            } else {
                parent.key(left + 1).len()
            };
            used(*left) + used(left + 1) + key_bytes <= MERGED_BYTES_MAX
        };
        let right_neighbour = (step.index + 1 < parent.count()).then_some(step.index);
        let left_neighbour = step.index.checked_sub(1);
        right_neighbour.filter(fits).or(left_neighbour.filter(fits))
    }

    fn merge(&self, arena: &mut Arena, parent: PageId, left: usize, level: usize) {
        let above = self.branch(arena, parent);
        let (into, from) = (above.child(left), above.child(left + 1));
        let mut packer = Packer::new(self.shape.at_level(level), level);
        for (page, first_key) in [(into, above.key(left)), (from, above.key(left + 1))] {
            let node = self.node(arena, page, level);
            for index in 0..node.count() {
                let mut entry = node.entry(index);
                if level > 0 && index == 0 {
                    entry.key = first_key;
                }
                packer.push(entry);
            }
        }
        let merged = packer.finish();
        arena.replace(into, &merged);
        arena.free(from);
        remove_entries(arena, &BRANCH, parent, left + 1..left + 2);
    }

    /// Takes away branches at a tree's top that have one child.
    fn lower(&self, arena: &mut Arena, group: u32) {
        while let Some(root) = self.root(arena, group) {
            let top = self.branch(arena, root.page);
            if root.height == 0 || top.count() > 1 {
                return;
            }
            let below = Root {
                page: top.child(0),
                height: root.height - 1,
            };
            self.set_root(arena, group, Some(below));
            arena.free(root.page);
        }
    }
}

fn remove_entries(arena: &mut Arena, shape: &Shape, page: PageId, range: Range<usize>) {
    let node = Node {
        page: arena.page(page),
        shape,
    };
    let mask = edit::removal_mask(node, range.start, range.end);
    edit::remove(arena.page_mut(page, mask), shape, range.start, range.end);
}
