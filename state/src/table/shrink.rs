//! Deletes give pages back: overflow pages, joined siblings, directory levels, whole tables.
//!
//! After a removal from a bucket that is a quarter full or less, the bucket and its sibling (the
//! bucket whose path differs in the last bit only) become one if together they fill at most half a
//! page, and so on upwards. So a page that splits is far from being joined, and the other way
//! round. A bucket whose sibling is split further stays, even empty; it is joined when its
//! sibling's halves are.

use super::bucket::{self, Bucket};
use super::directory::{self, Parent, Place};
use super::directory_shrink;
use super::hash_table::{Chain, HashTable};
use crate::arena::Arena;
use crate::catalog;
use crate::error::StateError;
use crate::hash::hash_bytes;
use crate::page::{Page, PageId};
use crate::runs::{self, Run};

/// Where in a table something was removed.
#[derive(Clone, Copy)]
pub(super) struct Spotted {
    pub(super) group: u32,
    pub(super) path: u64,
}

impl HashTable {
    /// Gives back what a removal from `touched` made superfluous.
    ///
    /// # Cost
    /// A look at the sibling; at most one join for every path bit, and each undoes a split.
    #[cold]
    pub(super) fn shrink(&self, arena: &mut Arena, at: Spotted, touched: PageId) {
        let place = directory::locate(arena, self.roots, at.group, at.path)
            .expect("the group has the bucket from which a record was removed");
        if touched != place.bucket && self.bucket(arena, touched).count() == 0 {
            self.unlink(arena, place.bucket, touched);
        }
        while let Some(place) = directory::locate(arena, self.roots, at.group, at.path) {
            if !self.join(arena, at, place) {
                break;
            }
        }
    }

    /// Frees an empty overflow page of the chain that begins with `first`.
    fn unlink(&self, arena: &mut Arena, first: PageId, empty: PageId) {
        let next = self.bucket(arena, empty).next();
        let mut before = first;
        let mut chain = Chain::of(arena);
        while let Some(page) = chain
            .next(self.bucket(arena, before))
            .filter(|p| *p != empty)
        {
            before = page;
        }
        bucket::set_next(arena.page_mut(before, bucket::HEADER_MASK), next);
        arena.free(empty);
    }

    /// Joins the bucket at `place` with its sibling, or frees it if it is the group's only one;
    /// true if there may be more to join.
    fn join(&self, arena: &mut Arena, at: Spotted, place: Place) -> bool {
        let bucket = self.bucket(arena, place.bucket);
        let (depth, count) = (bucket.depth(), bucket.count());
        if bucket.next().is_some() || !bucket.is_sparse() {
            return false;
        }
        if place.parent == Parent::Root {
            if count == 0 {
                directory::set_root(arena, self.roots, at.group, PageId::SUPERBLOCK);
                arena.free(place.bucket);
            }
            return false;
        }
        let (_, _, base) = place.entries();
        if depth <= base {
            // A split that found no page for the second half left a parent that resolves nothing.
            self.collapse(arena, at, depth, place);
            return true;
        }
        let other_path = at.path ^ (1 << (64 - depth));
        let other = directory::locate(arena, self.roots, at.group, other_path)
            .expect("a directory has no empty references");
        let sibling = self.bucket(arena, other.bucket);
        let joins = other.parent == place.parent
            && sibling.depth() == depth
            && sibling.next().is_none()
            && bucket.fits_with(sibling);
        if !joins {
            return false;
        }
        let is_high = at.path & (1 << (64 - depth)) != 0;
        let (low, high) = match is_high {
            true => (other.bucket, place.bucket),
            false => (place.bucket, other.bucket),
        };
        let (kept, freed) = self.join_records(arena, low, high, depth - 1);
        directory_shrink::join_references(arena, place, at.path, depth, kept);
        arena.free(freed);
        let joined = Place {
            bucket: kept,
            ..place
        };
        self.collapse(arena, at, depth - 1, joined);
        true
    }

    /// Puts the records of both into one of them; gives that and the other.
    fn join_records(
        &self,
        arena: &mut Arena,
        low: PageId,
        high: PageId,
        depth: u32,
    ) -> (PageId, PageId) {
        let (a, b) = (self.bucket(arena, low), self.bucket(arena, high));
        if a.count() == 0 || b.count() == 0 {
            let (kept, freed) = if a.count() == 0 {
                (high, low)
            } else {
                (low, high)
            };
            bucket::set_depth(arena.page_mut(kept, bucket::HEADER_MASK), depth);
            return (kept, freed);
        }
        let mut joined = Page::zeroed();
        let groups = bucket::groups_for_both(a, b);
        bucket::format(&mut joined, &self.geometry, depth, Some(groups));
        for source in [a, b] {
            for slot in source.slots() {
                bucket::copy_record(&mut joined, source, slot, hash_bytes(source.key(slot)));
            }
        }
        arena.replace(low, &joined);
        (low, high)
    }

    fn collapse(&self, arena: &mut Arena, at: Spotted, depth: u32, place: Place) {
        let before = catalog::nodes_page(arena, self.index);
        let mut nodes_page = before;
        directory_shrink::collapse(
            arena,
            self.roots,
            at.group,
            at.path,
            depth,
            place,
            &mut nodes_page,
        );
        if nodes_page != before {
            catalog::set_nodes_page(arena, self.index, nodes_page);
        }
    }

    /// Removes whole buckets until at least `limit` records are gone; true if the table is empty.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if a record refers to no run inside the arena.
    pub(crate) fn clear(&self, arena: &mut Arena, limit: usize) -> Result<bool, StateError> {
        let mut removed = 0;
        for group in 0..self.owned.length {
            let mut path = 0;
            while directory::record_count(arena, self.roots, group) > 0 {
                if removed >= limit {
                    return Ok(false);
                }
                let place = directory::locate(arena, self.roots, group, path)
                    .expect("a group with records has a bucket");
                let depth = self.bucket(arena, place.bucket).depth();
                removed += self.clear_bucket(arena, Spotted { group, path }, place.bucket)?;
                // The bucket may have been joined since; its first path is a place to go on from.
                path = match depth {
                    0 => 0,
                    _ => (path >> (64 - depth)).wrapping_add(1) << (64 - depth),
                };
            }
        }
        Ok(true)
    }

    /// Removes all records of a bucket and its overflow pages; gives how many they were.
    fn clear_bucket(
        &self,
        arena: &mut Arena,
        at: Spotted,
        first: PageId,
    ) -> Result<usize, StateError> {
        let mut removed = 0;
        let mut page = Some(first);
        let mut chain = Chain::of(arena);
        while let Some(id) = page {
            let bucket = self.bucket(arena, id);
            removed += bucket.count();
            page = chain.next(bucket);
            self.free_runs(arena, id)?;
            match id == first {
                true => bucket::clear(arena, id, &self.geometry),
                false => arena.free(id),
            }
        }
        let count = directory::record_count(arena, self.roots, at.group) - removed as u64;
        directory::set_record_count(arena, self.roots, at.group, count);
        self.shrink(arena, at, first);
        Ok(removed)
    }

    fn free_runs(&self, arena: &mut Arena, id: PageId) -> Result<(), StateError> {
        let slots = self.bucket(arena, id).groups() * super::geometry::GROUP_SLOTS;
        for slot in 0..slots {
            let bucket: Bucket<'_> = self.bucket(arena, id);
            if bucket.holds_record(slot)
                && let Some(reference) = bucket.run_reference(slot)
            {
                let run = Run::from_bytes(arena, id, reference)?;
                runs::free(arena, run);
            }
        }
        Ok(())
    }
}
