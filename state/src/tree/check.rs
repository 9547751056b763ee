//! Every invariant of a tree, checked before anything that stands in a page is computed with.

use std::ops::Range;

use super::edit;
use super::node::{COMMON_AT, LEVEL_AT, Node, SLOTS_AT, head_of, slot_at};
use super::ordered_table::{FoundEntry, HEIGHT_MAX, OrderedTable};
use crate::arena::Arena;
use crate::error::StateError;
use crate::key::KEY_BYTES_MAX;
use crate::page::{PAGE_BYTES, PageId};
use crate::runs::Run;
use crate::table::{self, TablePages};

/// Bounds that the branches above set: at least the first, below the second.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    low: &'a [u8],
    high: Option<&'a [u8]>,
}

/// Visitors of a tree's walk.
pub(crate) struct TreeVisit<P, E> {
    /// Called for every page, before its content is looked at.
    pub(crate) page: P,
    /// Called with the page, key and run of every entry.
    pub(crate) entry: E,
}

impl OrderedTable {
    /// Every page and run of the table.
    ///
    /// # Errors
    /// [`StateError::Damaged`] for the first page that breaks an invariant.
    pub(crate) fn collect_pages(&self, arena: &Arena) -> Result<TablePages, StateError> {
        let mut all = TablePages::default();
        let TablePages { pages, runs } = &mut all;
        pages.extend(table::root_pages(arena, self.roots, self.owned.length)?);
        let mut visit = TreeVisit {
            page: |id: PageId| table::met_once(id, pages.insert(id.0)),
            entry: |_: PageId, _: &[u8], run: Option<Run>| {
                runs.extend(run);
                Ok(())
            },
        };
        (0..self.owned.length).try_for_each(|group| self.check_group(arena, group, &mut visit))?;
        Ok(all)
    }

    /// Walks a group's tree.
    ///
    /// # Errors
    /// [`StateError::Damaged`] for the first page that breaks an invariant, or a visitor's error.
    pub(crate) fn check_group<P, E>(
        &self,
        arena: &Arena,
        group: u32,
        visit: &mut TreeVisit<P, E>,
    ) -> Result<(), StateError>
    where
        P: FnMut(PageId) -> Result<(), StateError>,
        E: FnMut(PageId, &[u8], Option<Run>) -> Result<(), StateError>,
    {
        let (roots, at) = table::root_at(self.roots, group);
        let expected = self.entry_count(arena, group);
        let height = arena.page(roots).u32_at(at + 4) as usize;
        let found = match self.root(arena, group) {
            None if height > 0 => return Err(damaged(roots, "height of no tree", "0", height)),
            None => 0,
            Some(root) if root.height > HEIGHT_MAX => return Err(self.too_high(arena, group)),
            Some(root) => {
                let bounds = Bounds {
                    low: &[],
                    high: None,
                };
                self.check_page(arena, root.page, root.height, bounds, visit)?
            }
        };
        if found != expected {
            return Err(damaged(roots, "entries of a group", expected, found));
        }
        Ok(())
    }

    /// The damage of a root with more levels than a tree can have.
    pub(super) fn too_high(&self, arena: &Arena, group: u32) -> StateError {
        let (roots, _) = table::root_at(self.roots, group);
        let height = self.root(arena, group).map_or(0, |root| root.height);
        let expected = format!("at most {HEIGHT_MAX}");
        damaged(roots, "height of a tree", expected, height)
    }

    /// Checks a page and all below it; gives the number of entries in its leaves.
    fn check_page<P, E>(
        &self,
        arena: &Arena,
        id: PageId,
        level: usize,
        bounds: Bounds<'_>,
        visit: &mut TreeVisit<P, E>,
    ) -> Result<u64, StateError>
    where
        P: FnMut(PageId) -> Result<(), StateError>,
        E: FnMut(PageId, &[u8], Option<Run>) -> Result<(), StateError>,
    {
        table::checked(arena, id.0, edit::kind_of(level))?;
        (visit.page)(id)?;
        let node = Node {
            page: arena.page(id),
            shape: self.shape.at_level(level),
        };
        check_layout(id, node, level)?;
        check_keys(id, node, bounds)?;
        if level == 0 {
            for index in 0..node.count() {
                let run = self.run(arena, FoundEntry { page: id, index })?;
                (visit.entry)(id, node.key(index), run)?;
            }
            return Ok(node.count() as u64);
        }
        let mut entries = 0;
        for index in 0..node.count() {
            let child = Bounds {
                low: if index == 0 {
                    bounds.low
                } else {
                    node.key(index)
                },
                high: match index + 1 {
                    next if next < node.count() => Some(node.key(next)),
                    _ => bounds.high,
                },
            };
            entries += self.check_page(arena, node.child(index), level - 1, child, visit)?;
        }
        Ok(entries)
    }
}

/// Header and records lie where they may.
pub(super) fn check_layout(id: PageId, node: Node<'_>, level: usize) -> Result<(), StateError> {
    let found_level = usize::from(node.page.u8_at(LEVEL_AT));
    if found_level != level {
        return Err(damaged(id, "level", level, found_level));
    }
    let heap = node.heap_start();
    let slots_max = (PAGE_BYTES - SLOTS_AT) / super::node::SLOT_BYTES;
    if node.count() == 0 || node.count() > slots_max || slot_at(node.count()) > heap {
        return Err(damaged(
            id,
            "entries",
            format!("1 to the heap at {heap}"),
            node.count(),
        ));
    }
    if heap > PAGE_BYTES {
        return Err(damaged(
            id,
            "start of the heap",
            format!("at most {PAGE_BYTES}"),
            heap,
        ));
    }
    let mut bytes = 0;
    for index in 0..node.count() {
        bytes += check_record(id, node, index, heap..PAGE_BYTES)?;
    }
    let runs = (0..node.count()).filter_map(|index| node.run_reference(index));
    let (expected, found) = (node.run_count(), runs.count());
    if found != expected {
        return Err(damaged(id, "values in runs", expected, found));
    }
    let expected = PAGE_BYTES - heap;
    if bytes + node.garbage_bytes() != expected {
        let found = bytes + node.garbage_bytes();
        return Err(damaged(id, "bytes of records and garbage", expected, found));
    }
    Ok(())
}

/// Bytes of a record that lies inside the heap as a whole.
fn check_record(
    id: PageId,
    node: Node<'_>,
    index: usize,
    heap: Range<usize>,
) -> Result<usize, StateError> {
    let (shape, at) = (node.shape, node.record_at(index));
    let outside = || {
        let expected = format!("aligned and inside the heap {heap:?}");
        Err(damaged(id, "place of a record", expected, at))
    };
    if at < heap.start || !at.is_multiple_of(shape.record_align()) || at + shape.key_at() > heap.end
    {
        return outside();
    }
    let key_bytes = node.key_bytes(at);
    if key_bytes > KEY_BYTES_MAX {
        let expected = format!("at most {KEY_BYTES_MAX}");
        return Err(damaged(id, "bytes of a key", expected, key_bytes));
    }
    let bytes = shape.record_bytes(key_bytes, node.form(at).stored_bytes());
    if at + bytes > heap.end {
        return outside();
    }
    Ok(bytes)
}

/// Keys rise, keep to the bounds, share what the header says, and have true heads.
fn check_keys(id: PageId, node: Node<'_>, bounds: Bounds<'_>) -> Result<(), StateError> {
    let first = node.shape.first_compared;
    let common = usize::from(node.page.u16_at(COMMON_AT));
    let mut before: Option<&[u8]> = None;
    for index in first..node.count() {
        let key = node.key(index);
        let shared = &node.key(first).get(..common);
        if key.get(..common).is_none() || key.get(..common) != *shared {
            return Err(damaged(
                id,
                "bytes that keys share",
                common,
                format!("{key:?}"),
            ));
        }
        if node.head(index) != head_of(&key[common..]) {
            let expected = head_of(&key[common..]);
            return Err(damaged(id, "head of a key", expected, node.head(index)));
        }
        let rises = before.is_none_or(|before| before < key);
        let is_inside = bounds.low <= key && bounds.high.is_none_or(|high| key < high);
        if !rises || !is_inside {
            let high = bounds
                .high
                .map_or("the end".to_owned(), |high| format!("{high:?}"));
            let expected = format!("behind {:?}, from {:?} to {high}", before, bounds.low);
            return Err(damaged(id, "order of keys", expected, format!("{key:?}")));
        }
        before = Some(key);
    }
    Ok(())
}

fn damaged(
    id: PageId,
    what: &'static str,
    expected: impl ToString,
    found: impl ToString,
) -> StateError {
    StateError::Damaged {
        page: id.0,
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}
