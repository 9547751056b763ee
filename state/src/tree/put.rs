//! Putting an entry: in place, into a leaf with room, or by one split a level.

use super::edit::{self, WithEntry};
use super::node::{Entry, Node, shared_bytes};
use super::ordered_table::{Edge, HEIGHT_MAX, OrderedTable, Place, Root};
use crate::arena::Arena;
use crate::error::StateError;
use crate::key::{KEY_BYTES_MAX, KeyBuffer};
use crate::page::{PageId, PageKind};
use crate::runs::{self, RUN_BYTES_MAX};
use crate::table::ValueForm;

/// A page of a tree in which an entry is put.
#[derive(Clone, Copy)]
struct Target {
    page: PageId,
    level: usize,
    /// Branch levels above.
    above: usize,
    index: usize,
    /// The entry at `index` has the same key.
    replaces: bool,
}

/// What a level hands to the one above it after a split: the right page's first key, shortened.
struct Separator {
    key: KeyBuffer,
    right: PageId,
}

impl OrderedTable {
    /// Sets the value of a key; true if the key is new.
    ///
    /// # Errors
    /// A key or value over the limits, or an exhausted budget; nothing is changed then.
    ///
    /// # Cost
    /// A value of the same length is written over the old one. Else the slots behind the entry move
    /// in the leaf; a full leaf is packed anew or split, and so is each full branch above. Values
    /// that are too long for a leaf lie in runs.
    pub(crate) fn put(
        &self,
        arena: &mut Arena,
        group: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<bool, StateError> {
        self.check_lengths(arena, key, value.len())?;
        let Some(place) = self.seek(arena, group, Edge::Before(key)) else {
            self.put_new(arena, group, None, key, value)?;
            return Ok(true);
        };
        let leaf = self.leaf(arena, place.leaf);
        if place.index == leaf.count() || leaf.key(place.index) != key {
            self.put_new(arena, group, Some(place), key, value)?;
            return Ok(true);
        }
        self.replace(arena, group, place, key, value)?;
        Ok(false)
    }

    fn check_lengths(
        &self,
        arena: &Arena,
        key: &[u8],
        value_bytes: usize,
    ) -> Result<(), StateError> {
        if key.len() > KEY_BYTES_MAX {
            return Err(StateError::KeyTooLong {
                table: self.name(arena),
                found_bytes: key.len(),
                max_bytes: KEY_BYTES_MAX,
            });
        }
        self.check_value(arena, value_bytes)
    }

    /// # Errors
    /// [`StateError::ValueTooLong`] if no entry can hold so many bytes.
    pub(crate) fn check_value(&self, arena: &Arena, value_bytes: usize) -> Result<(), StateError> {
        if value_bytes <= RUN_BYTES_MAX {
            return Ok(());
        }
        Err(StateError::ValueTooLong {
            table: self.name(arena),
            found_bytes: value_bytes,
            max_bytes: RUN_BYTES_MAX,
        })
    }

    fn put_new(
        &self,
        arena: &mut Arena,
        group: u32,
        place: Option<Place>,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError> {
        self.with_entry(arena, key, value, |arena, entry| match place {
            Some(place) => self.put_entry(arena, group, place, false, entry),
            None => self.first_leaf(arena, group, entry),
        })?;
        self.add_to_count(arena, group, 1);
        Ok(())
    }

    /// Puts an entry by `put`, its value in a run if it is too long for a leaf; the run is given
    /// back if the entry finds no room.
    fn with_entry(
        &self,
        arena: &mut Arena,
        key: &[u8],
        value: &[u8],
        put: impl FnOnce(&mut Arena, Entry<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let form = self.shape.form(key.len(), value.len());
        if form != ValueForm::InRun {
            return put(arena, Entry::in_page(key, value));
        }
        let run = runs::allocate(arena, value.len())?;
        runs::bytes_mut(arena, run).copy_from_slice(value);
        let stored = &run.to_bytes();
        put(arena, Entry { key, form, stored }).inspect_err(|_| runs::free(arena, run))
    }

    /// Replaces the value of the entry at `place`. Pages are kept where the value keeps its length,
    /// or its run its size class.
    fn replace(
        &self,
        arena: &mut Arena,
        group: u32,
        place: Place,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), StateError> {
        let found = place.entry();
        let (old, range) = self.leaf(arena, place.leaf).stored(place.index);
        if old == ValueForm::InPage(value.len()) {
            if !range.is_empty() {
                arena.write(place.leaf, range.start, value);
            }
            return Ok(());
        }
        let old_run = self.run(arena, found)?;
        let is_run = self.shape.form(key.len(), value.len()) == ValueForm::InRun;
        if let Some(run) = old_run.filter(|_| is_run)
            && let Some(resized) = runs::resized(run, value.len())
        {
            runs::replace(arena, resized, value);
            if resized != run {
                arena.write(place.leaf, range.start, &resized.to_bytes());
            }
            return Ok(());
        }
        self.with_entry(arena, key, value, |arena, entry| {
            self.put_entry(arena, group, place, true, entry)
        })?;
        if let Some(run) = old_run {
            runs::free(arena, run);
        }
        Ok(())
    }

    /// Puts an entry at a place in a leaf, and what splits hand up into the branches above.
    fn put_entry(
        &self,
        arena: &mut Arena,
        group: u32,
        mut place: Place,
        replaces: bool,
        entry: Entry<'_>,
    ) -> Result<(), StateError> {
        let mut target = Target {
            page: place.leaf,
            level: 0,
            above: place.path.len(),
            index: place.index,
            replaces,
        };
        let mut separator = self.put_at(arena, target, entry)?;
        while let Some(Separator { key, right }) = separator {
            let Some(step) = place.path.pop() else {
                return self.grow(arena, group, &key, right);
            };
            target = Target {
                page: step.page,
                level: target.level + 1,
                above: place.path.len(),
                index: step.index + 1,
                replaces: false,
            };
            let child = right.0.to_le_bytes();
            separator = self.put_at(arena, target, Entry::in_page(&key, &child))?;
        }
        Ok(())
    }

    fn first_leaf(
        &self,
        arena: &mut Arena,
        group: u32,
        entry: Entry<'_>,
    ) -> Result<(), StateError> {
        let page = arena.allocate(PageKind::Leaf)?;
        edit::format(arena.page_mut(page, 1), 0);
        let target = Target {
            page,
            level: 0,
            above: 0,
            index: 0,
            replaces: false,
        };
        let separator = self.put_at(arena, target, entry)?;
        debug_assert!(separator.is_none(), "one entry fits into a page");
        self.set_root(arena, group, Some(Root { page, height: 0 }));
        Ok(())
    }

    /// Puts an entry into a page, which may split.
    fn put_at(
        &self,
        arena: &mut Arena,
        target: Target,
        entry: Entry<'_>,
    ) -> Result<Option<Separator>, StateError> {
        let shape = self.shape.at_level(target.level);
        let node = Node {
            page: arena.page(target.page),
            shape,
        };
        if let Some(plan) = edit::plan(node, target.index, target.replaces, entry) {
            let page = arena.page_mut(target.page, plan.mask);
            edit::write(page, shape, &plan, entry);
            return Ok(None);
        }
        let merged = WithEntry {
            node,
            index: target.index,
            replaces: target.replaces,
            entry,
        };
        let Some(at) = merged.split() else {
            let page = merged.pack(target.level, 0..merged.count());
            arena.replace(target.page, &page);
            return Ok(None);
        };
        let left = merged.pack(target.level, 0..at);
        let right = merged.pack(target.level, at..merged.count());
        let key = separator(&merged, at, target.level);
        // This page, those above it, and a new top: enough is there for all, or nothing is changed.
        if arena.available_pages() < target.above + 2 {
            return Err(arena.exhausted());
        }
        let id = arena.allocate(edit::kind_of(target.level))?;
        arena.replace(id, &right);
        arena.replace(target.page, &left);
        Ok(Some(Separator { key, right: id }))
    }

    /// Puts a branch above a tree whose top has split.
    fn grow(
        &self,
        arena: &mut Arena,
        group: u32,
        key: &[u8],
        right: PageId,
    ) -> Result<(), StateError> {
        let root = self
            .root(arena, group)
            .expect("a tree that split has a top");
        let height = root.height + 1;
        assert!(
            height <= HEIGHT_MAX,
            "a tree of {HEIGHT_MAX} branch levels is full"
        );
        let page = arena.allocate(PageKind::Branch)?;
        arena.replace(page, &edit::branch_of_two(height, root.page, key, right));
        self.set_root(arena, group, Some(Root { page, height }));
        Ok(())
    }
}

/// The key between the two halves of a page that splits at entry `at`: in leaves as short as can
/// be, in branches the right half's own first key.
fn separator(merged: &WithEntry<'_>, at: usize, level: usize) -> KeyBuffer {
    let right = merged.get(at).key;
    let bytes = match level {
        0 => shared_bytes(merged.get(at - 1).key, right) + 1,
        _ => right.len(),
    };
    right[..bytes].iter().copied().collect()
}
