//! Copying key groups of a hash table from one arena into another: pages as they are, references
//! rewritten.

use std::ops::Range;

use super::bucket;
use super::directory::{self, DIRECTORY_DEPTH_MAX, ENTRIES_AT, INDIRECT, NODE_BITS};
use super::hash_table::HashTable;
use super::nodes;
use crate::arena::Arena;
use crate::catalog;
use crate::error::StateError;
use crate::page::{LINE_BYTES, Page, PageId, PageKind};
use crate::runs::{self, Run};

impl HashTable {
    /// Copies key groups, numbered as the job's, from `source` in the arena `from`. Both tables own
    /// them, and here they are empty.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`], and [`StateError::Damaged`] at the first reference that
    /// leads nowhere; what was copied before stays.
    pub(crate) fn adopt(
        &self,
        arena: &mut Arena,
        source: &Self,
        from: &Arena,
        groups: Range<u32>,
    ) -> Result<(), StateError> {
        let mut copy = Copy {
            table: source,
            from,
            nodes: catalog::nodes_page(arena, self.index),
            arena,
        };
        for group in groups {
            copy.group(self, group)?;
        }
        let nodes = copy.nodes;
        if nodes != catalog::nodes_page(arena, self.index) {
            catalog::set_nodes_page(arena, self.index, nodes);
        }
        Ok(())
    }
}

/// From one arena to another.
struct Copy<'a> {
    table: &'a HashTable,
    from: &'a Arena,
    arena: &'a mut Arena,
    /// The page for new nodes in `arena`.
    nodes: PageId,
}

impl Copy<'_> {
    fn group(&mut self, target: &HashTable, group: u32) -> Result<(), StateError> {
        let own = group - target.owned.first;
        let other = group - self.table.owned.first;
        assert_eq!(
            directory::root(self.arena, target.roots, own).0,
            0,
            "key group {group} has records here already"
        );
        let (reference, depth, records) = directory::root(self.from, self.table.roots, other);
        let copied = match reference {
            0 => return Ok(()),
            bucket if bucket & INDIRECT == 0 => self.chain(bucket)?,
            indirect => self.directory(indirect & !INDIRECT, depth)?,
        };
        directory::put_root(self.arena, target.roots, own, (copied, depth, records));
        Ok(())
    }

    fn directory(&mut self, page: u32, depth: u32) -> Result<u32, StateError> {
        let page = directory::checked(self.from, page, PageKind::Directory)?;
        if !(1..=DIRECTORY_DEPTH_MAX).contains(&depth) {
            let expected = format!("1 to {DIRECTORY_DEPTH_MAX}");
            return Err(too_deep(page, expected, depth));
        }
        let entries = ENTRIES_AT..ENTRIES_AT + (4 << depth);
        let mut copy = Page::zeroed();
        copy.0[0] = PageKind::Directory as u8;
        copy.0[entries.clone()].copy_from_slice(&self.from.page(page).0[entries.clone()]);
        self.references(&mut copy.0[entries], depth)?;
        let id = self.arena.allocate(PageKind::Directory)?;
        self.arena.replace(id, &copy);
        Ok(id.0 | INDIRECT)
    }

    /// Rewrites references that `resolved` path bits lead to. Those to one bucket stand side by
    /// side, so remembering the last one copies each bucket once.
    fn references(&mut self, entries: &mut [u8], resolved: u32) -> Result<(), StateError> {
        let mut last = None;
        for entry in entries.as_chunks_mut::<4>().0 {
            let reference = u32::from_le_bytes(*entry);
            let copied = match last {
                Some((before, copied)) if before == reference => copied,
                _ if reference & INDIRECT == 0 => self.chain(reference)?,
                _ => self.node(reference, resolved)?,
            };
            last = Some((reference, copied));
            *entry = copied.to_le_bytes();
        }
        Ok(())
    }

    fn node(&mut self, reference: u32, resolved: u32) -> Result<u32, StateError> {
        let (page, at) = directory::node_at(reference);
        let page = directory::checked(self.from, page.0, PageKind::Nodes)?;
        let path_bits = self.table.owned.groups.path_bits_max();
        let limit = path_bits.max(DIRECTORY_DEPTH_MAX) + NODE_BITS;
        if at == 0 || resolved + NODE_BITS > limit {
            let expected = format!("a line from 1 to 63, at most {limit} path bits");
            return Err(too_deep(page, expected, resolved + NODE_BITS));
        }
        let mut references: [u8; LINE_BYTES] = self.from.page(page).array_at(at);
        self.references(&mut references, resolved + NODE_BITS)?;
        nodes::put(self.arena, &references, &mut self.nodes)
    }

    /// Copies the runs that the records of a bucket refer to, and rewrites the references in its
    /// copy.
    fn runs(&mut self, source: PageId, copy: &mut Page) -> Result<(), StateError> {
        let bucket = self.table.bucket(self.from, source);
        for slot in bucket.slots() {
            let Some(reference) = bucket.run_reference(slot) else {
                continue;
            };
            let run = Run::from_bytes(self.from, source, reference)?;
            let bytes = runs::bytes(self.from, run);
            let copied = runs::allocate(self.arena, bytes.len())?;
            runs::bytes_mut(self.arena, copied).copy_from_slice(bytes);
            let (_, range) = bucket.stored(slot);
            copy.put(range.start, &copied.to_bytes());
        }
        Ok(())
    }

    /// Copies a bucket and its overflow pages.
    fn chain(&mut self, first: u32) -> Result<u32, StateError> {
        let mut copied_first = None;
        let mut before = None;
        let mut next = Some(first);
        let mut left = self.from.page_count();
        while let Some(number) = next {
            let source = directory::checked(self.from, number, PageKind::Bucket)?;
            if left == 0 {
                return Err(endless(source));
            }
            left -= 1;
            next = self.table.bucket(self.from, source).next().map(|id| id.0);
            let mut page = *self.from.page(source);
            bucket::set_next(&mut page, None);
            self.runs(source, &mut page)?;
            let id = self.arena.allocate(PageKind::Bucket)?;
            self.arena.replace(id, &page);
            if let Some(before) = before {
                bucket::set_next(self.arena.page_mut(before, 1), Some(id));
            }
            copied_first.get_or_insert(id.0);
            before = Some(id);
        }
        Ok(copied_first.expect("a chain has a first page"))
    }
}

fn endless(page: PageId) -> StateError {
    StateError::Damaged {
        page: page.0,
        what: "overflow pages of a bucket",
        expected: "fewer than the state has pages".to_owned(),
        found: "an endless chain".to_owned(),
    }
}

fn too_deep(page: PageId, expected: String, found: u32) -> StateError {
    StateError::Damaged {
        page: page.0,
        what: "directory depth",
        expected,
        found: found.to_string(),
    }
}
