//! All pages of a hash table, and the runs that its records refer to.

use std::collections::BTreeSet;

use super::bucket_check::check_shape;
use super::directory::{ROOTS_PER_PAGE, Visited, check_group, checked};
use super::hash_table::HashTable;
use crate::arena::Arena;
use crate::catalog;
use crate::error::StateError;
use crate::page::{PageId, PageKind};
use crate::runs::Run;

/// What belongs to a table.
#[derive(Default)]
pub(crate) struct TablePages {
    /// All that are reached from the descriptor, but for runs.
    pub(crate) pages: BTreeSet<u32>,
    /// Runs of values.
    pub(crate) runs: Vec<Run>,
}

/// Pages of the roots of `groups` groups.
///
/// # Errors
/// [`StateError::Damaged`] if one of them is no page of roots.
pub(crate) fn root_pages(
    arena: &Arena,
    first: PageId,
    groups: u32,
) -> Result<Vec<u32>, StateError> {
    (0..groups.div_ceil(ROOTS_PER_PAGE))
        .map(|step| checked(arena, first.0.saturating_add(step), PageKind::Roots))
        .map(|page| page.map(|page| page.0))
        .collect()
}

/// Refuses a page, or a node in it, that was met before.
pub(crate) fn met_once(page: PageId, is_new: bool) -> Result<(), StateError> {
    if is_new {
        return Ok(());
    }
    Err(StateError::Damaged {
        page: page.0,
        what: "references to a page of a directory or tree",
        expected: "one".to_owned(),
        found: "more".to_owned(),
    })
}

impl HashTable {
    /// Every page and run of the table.
    ///
    /// # Errors
    /// [`StateError::Damaged`] at the first reference that leads nowhere.
    pub(crate) fn collect_pages(&self, arena: &Arena) -> Result<TablePages, StateError> {
        let mut all = TablePages::default();
        let TablePages { pages, runs } = &mut all;
        pages.extend(root_pages(arena, self.roots, self.owned.length)?);
        let nodes = catalog::nodes_page(arena, self.index);
        if nodes != PageId::SUPERBLOCK {
            pages.insert(checked(arena, nodes.0, PageKind::Nodes)?.0);
        }
        let limit = self.owned.groups.path_bits_max();
        // Nodes that several references lead to could be walked over in more ways than there is
        // time for.
        let mut node_places = BTreeSet::new();
        for group in 0..self.owned.length {
            check_group(
                arena,
                self.roots,
                group,
                limit,
                &mut |visited| match visited {
                    Visited::Directory(page) => met_once(page, pages.insert(page.0)),
                    Visited::Node(page, at) => {
                        pages.insert(page.0);
                        met_once(page, node_places.insert((page, at)))
                    }
                    Visited::Bucket { page, .. } => {
                        self.collect_chain(arena, page, limit, pages, runs)
                    }
                },
            )?;
        }
        Ok(all)
    }

    fn collect_chain(
        &self,
        arena: &Arena,
        first: PageId,
        limit: u32,
        pages: &mut BTreeSet<u32>,
        runs: &mut Vec<Run>,
    ) -> Result<(), StateError> {
        let mut next = Some(first);
        // A page that was met before ends the walk: another reference to the same bucket.
        while let Some(page) = next.filter(|page| pages.insert(page.0)) {
            check_shape(arena, page, &self.geometry, limit)?;
            let bucket = self.bucket(arena, page);
            for reference in bucket.slots().filter_map(|slot| bucket.run_reference(slot)) {
                runs.push(Run::from_bytes(arena, page, reference)?);
            }
            next = match bucket.next() {
                Some(next) => Some(checked(arena, next.0, PageKind::Bucket)?),
                None => None,
            };
        }
        Ok(())
    }
}
