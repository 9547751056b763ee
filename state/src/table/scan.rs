//! Visiting every record of a table, in slices.

use super::directory;
use super::hash_table::{Chain, Found, HashTable};
use crate::arena::Arena;
use crate::error::StateError;
use crate::hash::hash_bytes;

/// Where a scan stands: group and path, so it stays valid while buckets split and are
/// joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor {
    group: u32,
    path: u64,
}

impl HashTable {
    /// Visits whole buckets from the cursor on until at least `limit` records were visited; true at
    /// the end.
    pub(crate) fn scan(
        &self,
        arena: &Arena,
        cursor: &mut ScanCursor,
        limit: usize,
        visit: impl FnMut(&[u8], Found) -> Result<(), StateError>,
    ) -> Result<bool, StateError> {
        self.scan_until(arena, cursor, self.owned.length, limit, visit)
    }

    /// The same, of the groups before `end` only.
    pub(super) fn scan_until(
        &self,
        arena: &Arena,
        cursor: &mut ScanCursor,
        end: u32,
        limit: usize,
        mut visit: impl FnMut(&[u8], Found) -> Result<(), StateError>,
    ) -> Result<bool, StateError> {
        let mut visited = 0;
        while cursor.group < end {
            if visited >= limit {
                return Ok(false);
            }
            let Some(place) = directory::locate(arena, self.roots, cursor.group, cursor.path)
            else {
                *cursor = cursor.next_group();
                continue;
            };
            let depth = self.bucket(arena, place.bucket).depth();
            // Siblings that were joined since the first of them was visited: only the rest is due.
            let is_joined = cursor.begins_inside(depth);
            let mut page = Some(place.bucket);
            let mut chain = Chain::of(arena);
            while let Some(id) = page {
                let bucket = self.bucket(arena, id);
                for slot in bucket.slots() {
                    if is_joined && self.path(bucket.key(slot)) < cursor.path {
                        continue;
                    }
                    visit(bucket.key(slot), Found { page: id, slot })?;
                    visited += 1;
                }
                page = chain.next(bucket);
            }
            *cursor = cursor.after_bucket(depth);
        }
        Ok(true)
    }

    fn path(&self, key: &[u8]) -> u64 {
        self.owned.groups.path_of(hash_bytes(key))
    }
}

impl ScanCursor {
    pub(crate) fn at(group: u32, path: u64) -> Self {
        Self { group, path }
    }

    /// Group and path.
    pub(crate) fn place(self) -> (u32, u64) {
        (self.group, self.path)
    }

    fn next_group(self) -> Self {
        Self {
            group: self.group + 1,
            path: 0,
        }
    }

    /// True if the bucket of `depth` path bits holds paths before the cursor.
    fn begins_inside(self, depth: u32) -> bool {
        depth < 64 && self.path << depth != 0
    }

    /// Behind all paths that share the first `depth` bits.
    fn after_bucket(self, depth: u32) -> Self {
        if depth == 0 {
            return self.next_group();
        }
        let step = 1u64 << (64 - depth);
        let begin = self.path & !(step - 1);
        match begin.checked_add(step) {
            Some(path) => Self { path, ..self },
            None => self.next_group(),
        }
    }
}
