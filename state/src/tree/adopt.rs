//! Copying key groups of an ordered table from one arena into another: pages as they are, children
//! and runs rewritten.

use std::ops::Range;

use super::check::check_layout;
use super::edit;
use super::node::Node;
use super::ordered_table::{FoundEntry, HEIGHT_MAX, OrderedTable, Root};
use super::scan::OrderedCursor;
use crate::arena::Arena;
use crate::error::StateError;
use crate::page::{Page, PageId};
use crate::runs;
use crate::table;

impl OrderedTable {
    /// Copies key groups, numbered as the job's, from `source` in the arena `from`. Both tables own
    /// them, and here they are empty.
    ///
    /// # Errors
    /// [`StateError::BudgetExhausted`], and [`StateError::Damaged`] at the first page that breaks
    /// an invariant; what was copied before stays.
    pub(crate) fn adopt(
        &self,
        arena: &mut Arena,
        source: &Self,
        from: &Arena,
        groups: Range<u32>,
    ) -> Result<(), StateError> {
        for group in groups {
            let (own, other) = (group - self.owned.first, group - source.owned.first);
            assert!(
                self.root(arena, own).is_none(),
                "key group {group} has entries here already"
            );
            let Some(root) = source.root(from, other) else {
                continue;
            };
            if root.height > HEIGHT_MAX {
                return Err(source.too_high(from, other));
            }
            let page = source.copy_page(from, arena, root.page, root.height)?;
            let root = Root { page, ..root };
            self.set_root(arena, own, Some(root));
            let count = source.entry_count(from, other);
            table::set_record_count(arena, self.roots, own, count);
        }
        Ok(())
    }

    /// Appends the elements of `source`, a list in the arena `from`, that are taken: `takes` is
    /// asked with an element's index and their number.
    ///
    /// # Errors
    /// As [`OrderedTable::adopt`].
    pub(crate) fn adopt_elements(
        &self,
        arena: &mut Arena,
        source: &Self,
        from: &Arena,
        takes: impl Fn(u64, u64) -> bool,
    ) -> Result<(), StateError> {
        let count = source.entry_count(from, 0);
        let mut index = 0;
        let mut next = self.entry_count(arena, 0);
        let mut cursor = OrderedCursor::default();
        source.scan_slice(from, &mut cursor, usize::MAX, |_, _, found| {
            if takes(index, count) {
                let value = source.value(from, found)?;
                self.put(arena, 0, &next.to_be_bytes(), value)?;
                next += 1;
            }
            index += 1;
            Ok(())
        })?;
        Ok(())
    }

    /// Copies a page of this table and all below it out of `from`.
    fn copy_page(
        &self,
        from: &Arena,
        arena: &mut Arena,
        id: PageId,
        level: usize,
    ) -> Result<PageId, StateError> {
        table::checked(from, id.0, edit::kind_of(level))?;
        let node = Node {
            page: from.page(id),
            shape: self.shape.at_level(level),
        };
        check_layout(id, node, level)?;
        let mut copy: Page = *node.page;
        for index in 0..node.count() {
            let reference_at = node.stored(index).1.start;
            if level > 0 {
                let child = self.copy_page(from, arena, node.child(index), level - 1)?;
                copy.put(reference_at, &child.0.to_le_bytes());
            } else if let Some(run) = self.run(from, FoundEntry { page: id, index })? {
                let own = runs::allocate(arena, run.length as usize)?;
                runs::bytes_mut(arena, own).copy_from_slice(runs::bytes(from, run));
                copy.put(reference_at, &own.to_bytes());
            }
        }
        let own = arena.allocate(edit::kind_of(level))?;
        arena.replace(own, &copy);
        Ok(own)
    }
}
