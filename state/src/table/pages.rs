//! All pages of a hash table.

use std::collections::BTreeSet;

use super::directory::{ROOTS_PER_PAGE, Visited, check_group, checked};
use super::hash_table::HashTable;
use crate::arena::Arena;
use crate::catalog;
use crate::error::StateError;
use crate::page::{PageId, PageKind};

impl HashTable {
    /// Adds every page of the table to `pages`: roots, directories, nodes, buckets and overflow.
    ///
    /// # Errors
    /// [`StateError::Damaged`] at the first reference that leads nowhere.
    pub(crate) fn collect_pages(
        &self,
        arena: &Arena,
        pages: &mut BTreeSet<u32>,
    ) -> Result<(), StateError> {
        for step in 0..self.owned.length.div_ceil(ROOTS_PER_PAGE) {
            pages.insert(checked(arena, self.roots.0 + step, PageKind::Roots)?.0);
        }
        let nodes = catalog::nodes_page(arena, self.index);
        if nodes != PageId::SUPERBLOCK {
            pages.insert(checked(arena, nodes.0, PageKind::Nodes)?.0);
        }
        let limit = self.owned.groups.path_bits_max();
        for group in 0..self.owned.length {
            check_group(
                arena,
                self.roots,
                group,
                limit,
                &mut |visited| match visited {
                    Visited::Directory(page) | Visited::Node(page, _) => {
                        pages.insert(page.0);
                        Ok(())
                    }
                    Visited::Bucket { page, .. } => self.collect_chain(arena, page, pages),
                },
            )?;
        }
        Ok(())
    }

    fn collect_chain(
        &self,
        arena: &Arena,
        first: PageId,
        pages: &mut BTreeSet<u32>,
    ) -> Result<(), StateError> {
        let mut next = Some(first);
        // A page that was met before ends the walk: another reference to the same bucket.
        while let Some(page) = next.filter(|page| pages.insert(page.0)) {
            next = match self.bucket(arena, page).next() {
                Some(next) => Some(checked(arena, next.0, PageKind::Bucket)?),
                None => None,
            };
        }
        Ok(())
    }
}
