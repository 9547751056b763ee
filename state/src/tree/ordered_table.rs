//! A table of trees, one for each key group: find, descend, roots.
//!
//! A root (16 bytes, laid out as a hash table's: page `u32`, height `u32`, entries `u64`) refers to
//! nothing (0) or to the tree's top page; its height is the number of branch levels above the
//! leaves. Pages have no links to their neighbours: a walk keeps the path from the root.

use arrayvec::ArrayVec;

use super::node::{BRANCH, Node, Shape};
use crate::arena::Arena;
use crate::catalog::{self, NewTable, TableIndex};
use crate::error::StateError;
use crate::page::{LINE_BYTES, PageId};
use crate::runs::{self, Run};
use crate::table::{self, OwnedGroups, ValueForm};

/// Most branch levels of a tree. Pages that merge keep the mean fan-out at two or more, and 2^25
/// pages are all there can be.
pub(super) const HEIGHT_MAX: usize = 32;

/// Lines with the slots of a page that holds about a hundred entries.
const SEARCHED_LINES: usize = 9;

/// A table's place and shape, decoded from its descriptor.
#[derive(Debug)]
pub(crate) struct OrderedTable {
    pub(crate) index: TableIndex,
    pub(super) roots: PageId,
    pub(crate) owned: OwnedGroups,
    pub(super) shape: Shape,
}

/// A page on the way from a root to a leaf, and the entry taken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) page: PageId,
    pub(super) index: usize,
}

/// Steps through branches, from the top; the leaf is not among them.
pub(super) type Path = ArrayVec<Step, HEIGHT_MAX>;

/// A tree's top page and how many branch levels it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) page: PageId,
    pub(super) height: usize,
}

/// An entry that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundEntry {
    pub(super) page: PageId,
    pub(super) index: usize,
}

/// A place between two entries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edge<'a> {
    /// In front of all entries.
    Start,
    /// In front of a key, be it there or not.
    Before(&'a [u8]),
    /// Behind a key, be it there or not.
    After(&'a [u8]),
    /// Behind all entries.
    End,
}

/// An edge's place in a leaf: behind the first `index` entries.
pub(super) struct Place {
    pub(super) path: Path,
    pub(super) leaf: PageId,
    pub(super) index: usize,
}

impl Place {
    /// The entry in front of which the place lies.
    pub(super) fn entry(&self) -> FoundEntry {
        FoundEntry {
            page: self.leaf,
            index: self.index,
        }
    }
}

impl Root {
    /// The branch levels to walk.
    #[inline]
    fn levels(self) -> usize {
        assert!(
            self.height <= HEIGHT_MAX,
            "page={}: a tree of {} levels, of at most {HEIGHT_MAX}: its root is damaged",
            self.page.0,
            self.height
        );
        self.height
    }
}

impl OrderedTable {
    /// Opens a table of the catalog, whose form is ordered.
    pub(crate) fn open(
        arena: &Arena,
        index: TableIndex,
        keyed: OwnedGroups,
    ) -> Result<Self, StateError> {
        let scope = catalog::form(arena, index)?.scope;
        Ok(Self {
            index,
            roots: catalog::roots(arena, index),
            owned: keyed.in_scope(scope),
            shape: Shape::leaf(&catalog::geometry(arena, index)?),
        })
    }

    /// Creates a table.
    pub(crate) fn create(
        arena: &mut Arena,
        new: &NewTable<'_>,
        keyed: OwnedGroups,
    ) -> Result<Self, StateError> {
        let groups = keyed.in_scope(new.form.scope).length;
        let index = catalog::add(arena, new, table::roots_page_count(groups))?;
        Self::open(arena, index, keyed)
    }

    pub(crate) fn name(&self, arena: &Arena) -> String {
        catalog::name(arena, self.index)
    }

    /// Entries of a group.
    pub(crate) fn entry_count(&self, arena: &Arena, group: u32) -> u64 {
        table::record_count(arena, self.roots, group)
    }

    #[inline]
    pub(super) fn root(&self, arena: &Arena, group: u32) -> Option<Root> {
        let (page, at) = table::root_at(self.roots, group);
        let root = arena.page(page);
        let top = PageId(root.u32_at(at));
        (top != PageId::SUPERBLOCK).then(|| Root {
            page: top,
            height: root.u32_at(at + 4) as usize,
        })
    }

    pub(super) fn set_root(&self, arena: &mut Arena, group: u32, root: Option<Root>) {
        let (page, at) = table::root_at(self.roots, group);
        let (top, height) = root.map_or((0, 0), |root| (root.page.0, root.height));
        let height = u32::try_from(height).expect("at most HEIGHT_MAX");
        arena.write(page, at, &top.to_le_bytes());
        arena.write(page, at + 4, &height.to_le_bytes());
    }

    pub(super) fn add_to_count(&self, arena: &mut Arena, group: u32, change: i64) {
        let count = table::record_count(arena, self.roots, group)
            .checked_add_signed(change)
            .expect("a group's entry count never falls below zero");
        table::set_record_count(arena, self.roots, group, count);
    }

    #[inline]
    pub(super) fn leaf<'a>(&'a self, arena: &'a Arena, page: PageId) -> Node<'a> {
        Node {
            page: arena.page(page),
            shape: &self.shape,
        }
    }

    #[inline]
    pub(super) fn branch<'a>(&self, arena: &'a Arena, page: PageId) -> Node<'a> {
        Node {
            page: arena.page(page),
            shape: &BRANCH,
        }
    }

    /// Finds a key.
    ///
    /// # Cost
    /// One search a level.
    #[inline]
    pub(crate) fn find(&self, arena: &Arena, group: u32, key: &[u8]) -> Option<FoundEntry> {
        let root = self.root(arena, group)?;
        let mut page = root.page;
        for _ in 0..root.levels() {
            let node = self.branch(arena, page);
            page = node.child(node.child_index(key));
            prefetch_slots(arena, page);
        }
        let index = self.leaf(arena, page).find(key)?;
        Some(FoundEntry { page, index })
    }

    /// The value bytes of an entry.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the entry refers to no run inside the arena.
    #[inline]
    pub(crate) fn value<'a>(
        &self,
        arena: &'a Arena,
        found: FoundEntry,
    ) -> Result<&'a [u8], StateError> {
        let (form, range) = self.leaf(arena, found.page).stored(found.index);
        match (form, self.run(arena, found)?) {
            (ValueForm::InRun, Some(run)) => Ok(runs::bytes(arena, run)),
            _ => Ok(&arena.page(found.page).0[range]),
        }
    }

    /// The value bytes of an entry, all marked as changed.
    ///
    /// # Errors
    /// As [`OrderedTable::value`].
    #[inline]
    pub(crate) fn value_mut<'a>(
        &self,
        arena: &'a mut Arena,
        found: FoundEntry,
    ) -> Result<&'a mut [u8], StateError> {
        let (form, range) = self.leaf(arena, found.page).stored(found.index);
        match (form, self.run(arena, found)?) {
            (ValueForm::InPage(0), _) => Ok(&mut []),
            (ValueForm::InRun, Some(run)) => Ok(runs::bytes_mut(arena, run)),
            _ => Ok(arena.bytes_mut(found.page, range.start, range.len())),
        }
    }

    /// Overwrites eight bytes of an entry's value; `at` gives their offset from its length.
    ///
    /// # Errors
    /// As [`OrderedTable::value`].
    pub(crate) fn write_word(
        &self,
        arena: &mut Arena,
        found: FoundEntry,
        at: fn(usize) -> usize,
        word: [u8; 8],
    ) -> Result<(), StateError> {
        let (_, range) = self.leaf(arena, found.page).stored(found.index);
        let (page, offset) = match self.run(arena, found)? {
            Some(run) => run.place_of(at(runs::bytes(arena, run).len())),
            None => (found.page, range.start + at(range.len())),
        };
        arena.write(page, offset, &word);
        Ok(())
    }

    /// The key of an entry.
    pub(crate) fn key<'a>(&'a self, arena: &'a Arena, found: FoundEntry) -> &'a [u8] {
        self.leaf(arena, found.page).key(found.index)
    }

    /// The run of an entry whose value lies in one.
    #[inline]
    pub(super) fn run(&self, arena: &Arena, found: FoundEntry) -> Result<Option<Run>, StateError> {
        let reference = self.leaf(arena, found.page).run_reference(found.index);
        reference
            .map(|reference| Run::from_bytes(arena, found.page, reference))
            .transpose()
    }

    /// The leaf on whose entries an edge lies; `None` if the group is empty.
    pub(super) fn seek(&self, arena: &Arena, group: u32, edge: Edge<'_>) -> Option<Place> {
        let root = self.root(arena, group)?;
        let mut path = Path::new();
        let mut page = root.page;
        for _ in 0..root.levels() {
            let node = self.branch(arena, page);
            let index = match edge {
                Edge::Start => 0,
                Edge::Before(key) | Edge::After(key) => node.child_index(key),
                Edge::End => node.count() - 1,
            };
            path.push(Step { page, index });
            page = node.child(index);
            prefetch_slots(arena, page);
        }
        let index = self.leaf(arena, page).index_of(edge);
        Some(Place {
            path,
            leaf: page,
            index,
        })
    }

    /// First key of a group.
    pub(super) fn first_key<'a>(&'a self, arena: &'a Arena, group: u32) -> Option<&'a [u8]> {
        let place = self.seek(arena, group, Edge::Start)?;
        Some(self.leaf(arena, place.leaf).key(0))
    }

    /// Moves to the beginning of the next leaf; false at the tree's end.
    pub(super) fn next_leaf(&self, arena: &Arena, place: &mut Place) -> bool {
        let height = place.path.len();
        while let Some(step) = place.path.pop() {
            let node = self.branch(arena, step.page);
            let index = step.index + 1;
            if index == node.count() {
                continue;
            }
            place.path.push(Step { index, ..step });
            place.leaf = node.child(index);
            while place.path.len() < height {
                let page = place.leaf;
                place.path.push(Step { page, index: 0 });
                place.leaf = self.branch(arena, page).child(0);
            }
            // While this leaf is visited, the one behind it comes nearer.
            if height > 0 && index + 1 < node.count() {
                arena.prefetch(node.child(index + 1), 0);
                arena.prefetch(node.child(index + 1), LINE_BYTES);
            }
            place.index = 0;
            return true;
        }
        false
    }

    /// Moves to the end of the leaf before; false at the tree's beginning.
    pub(super) fn previous_leaf(&self, arena: &Arena, place: &mut Place) -> bool {
        let height = place.path.len();
        while let Some(step) = place.path.pop() {
            let Some(index) = step.index.checked_sub(1) else {
                continue;
            };
            place.path.push(Step { index, ..step });
            place.leaf = self.branch(arena, step.page).child(index);
            while place.path.len() < height {
                let page = place.leaf;
                let node = self.branch(arena, page);
                let index = node.count() - 1;
                place.path.push(Step { page, index });
                place.leaf = node.child(index);
            }
            place.index = self.leaf(arena, place.leaf).count();
            return true;
        }
        false
    }
}

/// Loads the lines that a search in a page will read, all at once: one after the other, each would
/// be waited for.
#[inline]
fn prefetch_slots(arena: &Arena, page: PageId) {
    for line in 0..SEARCHED_LINES {
        arena.prefetch(page, line * LINE_BYTES);
    }
}

impl Node<'_> {
    /// How many entries of a leaf lie in front of an edge.
    pub(super) fn index_of(&self, edge: Edge<'_>) -> usize {
        match edge {
            Edge::Start => 0,
            Edge::Before(key) => self.search(key).unwrap_or_else(|index| index),
            Edge::After(key) => self
                .search(key)
                .map_or_else(|index| index, |index| index + 1),
            Edge::End => self.count(),
        }
    }
}
