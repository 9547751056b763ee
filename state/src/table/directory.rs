//! From a key group and a path to a bucket page: a trie over the hash bits behind the group.
//!
//! A root (16 bytes: reference `u32`, depth `u32`, records `u64`) refers to nothing (0), to a
//! bucket, or to a directory page (bit 31 set). A directory page has `2^depth` references to
//! buckets or nodes, depth 1 to 9, and doubles inside its page. The depth stands in the root, so
//! that a lookup reads one line of the directory page and no more. Below depth 9 hang nodes: one
//! line with 16 references for the next four bits, addressed by page and line (bit 31 set, page in
//! bits 6..31, line in bits 0..6). Every reference is a `u32`; a bucket's depth says how many of
//! the references around it are its own.
//!
//! | page | offset | size | field |
//! |---|---|---|---|
//! | roots | 64 | 16 each | roots of [`ROOTS_PER_PAGE`] groups; a table's pages are consecutive |
//! | directory | 64 | 4 each | references |
//! | nodes | 4 | 4 | lines ever used, line 0 included |
//! | nodes | 8 | 4 | first free line, 0 = none; a free line begins with the next one's number |
//! | nodes | 12 | 4 | free lines |
//! | nodes | 64 | 64 each | nodes |

use super::nodes;
use crate::arena::Arena;
use crate::error::StateError;
use crate::page::{LINE_BYTES, PAGE_BYTES, Page, PageId, PageKind};

pub(super) const ENTRIES_AT: usize = 64;
const ROOT_BYTES: usize = 16;
const ROOT_COUNT_AT: usize = 8;
/// Roots in a page.
pub(crate) const ROOTS_PER_PAGE: u32 = 252;
const _: () = assert!(ENTRIES_AT + ROOTS_PER_PAGE as usize * ROOT_BYTES <= PAGE_BYTES);

pub(super) const ROOT_DEPTH_AT: usize = 4;
pub(super) const DIRECTORY_DEPTH_MAX: u32 = 9;
const _: () = assert!(ENTRIES_AT + (4 << DIRECTORY_DEPTH_MAX) <= PAGE_BYTES);

pub(super) const NODE_BITS: u32 = 4;
pub(super) const INDIRECT: u32 = 1 << 31;

/// What refers to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The group's root.
    Root,
    /// A directory page.
    Directory(PageId),
    /// A node that begins at `base` path bits.
    Node { page: PageId, at: usize, base: u32 },
}

/// A bucket and what refers to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: PageId,
    pub(crate) parent: Parent,
    /// Path bits that the parent resolves, counted from the path's top; 0 for a root.
    pub(crate) resolved: u32,
}

impl Place {
    /// Where the parent's references stand (page, offset), and how many path bits lead to it.
    pub(super) fn entries(&self) -> (PageId, usize, u32) {
        match self.parent {
            Parent::Root => unreachable!("a root resolves no bits"),
            Parent::Directory(page) => (page, ENTRIES_AT, 0),
            Parent::Node { page, at, base } => (page, at, base),
        }
    }
}

/// Place of the root of a table's group: page and offset.
#[inline]
pub(crate) fn root_at(roots_first: PageId, group: u32) -> (PageId, usize) {
    (
        PageId(roots_first.0 + group / ROOTS_PER_PAGE),
        ENTRIES_AT + (group % ROOTS_PER_PAGE) as usize * ROOT_BYTES,
    )
}

/// Pages that the roots of `groups` groups take.
pub(crate) fn roots_page_count(groups: u32) -> usize {
    groups.div_ceil(ROOTS_PER_PAGE) as usize
}

/// Records in a group.
pub(crate) fn record_count(arena: &Arena, roots_first: PageId, group: u32) -> u64 {
    let (page, at) = root_at(roots_first, group);
    arena.page(page).u64_at(at + ROOT_COUNT_AT)
}

pub(crate) fn set_record_count(arena: &mut Arena, roots_first: PageId, group: u32, count: u64) {
    let (page, at) = root_at(roots_first, group);
    arena.write(page, at + ROOT_COUNT_AT, &count.to_le_bytes());
}

/// The bucket for a path; `None` where the group is empty. `group` is relative to the shard's
/// first.
///
/// # Cost
/// Two dependent loads up to about 100,000 records a group, one more for each further factor of 16.
#[inline]
pub(crate) fn locate(arena: &Arena, roots_first: PageId, group: u32, path: u64) -> Option<Place> {
    let (page, at) = root_at(roots_first, group);
    let root = arena.page(page).u32_at(at);
    if root == 0 {
        return None;
    }
    if root & INDIRECT == 0 {
        return Some(Place {
            bucket: PageId(root),
            parent: Parent::Root,
            resolved: 0,
        });
    }
    let directory = PageId(root & !INDIRECT);
    let depth = arena.page(page).u32_at(at + ROOT_DEPTH_AT);
    let mut parent = Parent::Directory(directory);
    let mut resolved = depth;
    let mut reference = arena
        .page(directory)
        .u32_at(ENTRIES_AT + 4 * top_bits(path, 0, depth));
    while reference & INDIRECT != 0 {
        let (page, at) = node_at(reference);
        check_path_left(page, resolved);
        parent = Parent::Node {
            page,
            at,
            base: resolved,
        };
        reference = arena
            .page(page)
            .u32_at(at + 4 * top_bits(path, resolved, NODE_BITS));
        resolved += NODE_BITS;
    }
    Some(Place {
        bucket: PageId(reference),
        parent,
        resolved,
    })
}

/// As [`locate`], without what refers to the bucket; page 0 where the group is empty. This is the
/// one that every record needs.
#[inline(always)]
pub(crate) fn bucket_for(pages: &[Page], roots_first: PageId, group: u32, path: u64) -> PageId {
    // Without a division where all roots lie in the first page, as those of 252 groups do.
    let (page, at) = if group < ROOTS_PER_PAGE {
        (roots_first, ENTRIES_AT + group as usize * ROOT_BYTES)
    } else {
        root_at(roots_first, group)
    };
    let root = &pages[page.index()];
    let reference = root.u32_at(at);
    if reference & INDIRECT == 0 {
        return PageId(reference);
    }
    let depth = root.u32_at(at + ROOT_DEPTH_AT);
    let directory = &pages[(reference & !INDIRECT) as usize];
    let reference = directory.u32_at(ENTRIES_AT + 4 * top_bits(path, 0, depth));
    if reference & INDIRECT == 0 {
        return PageId(reference);
    }
    bucket_below(pages, reference, path, depth)
}

/// The bucket below a node at `resolved` path bits.
#[inline(never)]
fn bucket_below(pages: &[Page], node: u32, path: u64, resolved: u32) -> PageId {
    let (mut reference, mut resolved) = (node, resolved);
    while reference & INDIRECT != 0 {
        let (page, at) = node_at(reference);
        check_path_left(page, resolved);
        let entry = at + 4 * top_bits(path, resolved, NODE_BITS);
        reference = pages[page.index()].u32_at(entry);
        resolved += NODE_BITS;
    }
    PageId(reference)
}

/// A directory ends where its paths do: nodes that lead round in a circle, as those of a damaged
/// page that is not verified yet may, are no longer walked then.
#[inline]
fn check_path_left(page: PageId, resolved: u32) {
    assert!(
        resolved + NODE_BITS <= 64,
        "page={}: a directory node behind {resolved} path bits, all there are: the page is damaged",
        page.0
    );
}

/// `count` bits of the path after the first `skip`.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most nine bits are left"
)]
pub(super) fn top_bits(path: u64, skip: u32, count: u32) -> usize {
    ((path << skip) >> (64 - count)) as usize
}

#[inline]
pub(super) fn node_at(reference: u32) -> (PageId, usize) {
    let address = reference & !INDIRECT;
    (PageId(address >> 6), (address & 63) as usize * LINE_BYTES)
}

/// A group's root: reference, depth of its directory page, records.
pub(super) fn root(arena: &Arena, roots_first: PageId, group: u32) -> (u32, u32, u64) {
    let (page, at) = root_at(roots_first, group);
    let page = arena.page(page);
    (
        page.u32_at(at),
        page.u32_at(at + ROOT_DEPTH_AT),
        page.u64_at(at + ROOT_COUNT_AT),
    )
}

/// Sets all of a group's root.
pub(super) fn put_root(
    arena: &mut Arena,
    roots_first: PageId,
    group: u32,
    (reference, depth, records): (u32, u32, u64),
) {
    let (page, at) = root_at(roots_first, group);
    let root = arena.bytes_mut(page, at, ROOT_BYTES);
    root[..ROOT_DEPTH_AT].copy_from_slice(&reference.to_le_bytes());
    root[ROOT_DEPTH_AT..ROOT_COUNT_AT].copy_from_slice(&depth.to_le_bytes());
    root[ROOT_COUNT_AT..].copy_from_slice(&records.to_le_bytes());
    arena.raise_layout_version();
}

/// Makes `bucket` the only bucket of an empty group.
pub(crate) fn set_root(arena: &mut Arena, roots_first: PageId, group: u32, bucket: PageId) {
    let (page, at) = root_at(roots_first, group);
    arena.write(page, at, &bucket.0.to_le_bytes());
    arena.raise_layout_version();
}

/// Makes room below `place` so that its bucket, of depth `depth`, can have two references:
/// afterwards the bucket's parent resolves more than `depth` bits. `nodes_page` is the table's page
/// for new nodes (or 0) and is replaced when full.
///
/// # Errors
/// [`StateError::BudgetExhausted`] with the trie unchanged.
pub(crate) fn deepen(
    arena: &mut Arena,
    roots_first: PageId,
    group: u32,
    path: u64,
    place: Place,
    nodes_page: &mut PageId,
) -> Result<(), StateError> {
    match place.parent {
        Parent::Root => {
            let directory = arena.allocate(PageKind::Directory)?;
            for entry in 0..2 {
                arena.write(
                    directory,
                    ENTRIES_AT + 4 * entry,
                    &place.bucket.0.to_le_bytes(),
                );
            }
            let (page, at) = root_at(roots_first, group);
            arena.write(page, at, &(directory.0 | INDIRECT).to_le_bytes());
            arena.write(page, at + ROOT_DEPTH_AT, &1u32.to_le_bytes());
        }
        Parent::Directory(directory) if place.resolved < DIRECTORY_DEPTH_MAX => {
            double(arena, directory, place.resolved);
            let (page, at) = root_at(roots_first, group);
            let depth = place.resolved + 1;
            arena.write(page, at + ROOT_DEPTH_AT, &depth.to_le_bytes());
        }
        Parent::Directory(directory) => {
            let at = ENTRIES_AT + 4 * top_bits(path, 0, place.resolved);
            let node = nodes::allocate(arena, place.bucket, nodes_page)?;
            arena.write(directory, at, &node.to_le_bytes());
        }
        Parent::Node { page, at, base } => {
            let entry = at + 4 * top_bits(path, base, NODE_BITS);
            let node = nodes::allocate(arena, place.bucket, nodes_page)?;
            arena.write(page, entry, &node.to_le_bytes());
        }
    }
    Ok(())
}

/// Every reference becomes two; at most 1 KiB becomes 2 KiB.
fn double(arena: &mut Arena, directory: PageId, depth: u32) {
    let count = 1usize << depth;
    let bytes = arena.bytes_mut(directory, ENTRIES_AT, 8 * count);
    for entry in (0..count).rev() {
        let reference: [u8; 4] = [
            bytes[4 * entry],
            bytes[4 * entry + 1],
            bytes[4 * entry + 2],
            bytes[4 * entry + 3],
        ];
        bytes[8 * entry..8 * entry + 4].copy_from_slice(&reference);
        bytes[8 * entry + 4..8 * entry + 8].copy_from_slice(&reference);
    }
}

/// Points the upper half of a bucket's references to `sibling`: those whose bit number `depth` of
/// the path is set. `place` is the bucket's place and resolves more than `depth` bits.
pub(crate) fn split_references(
    arena: &mut Arena,
    place: Place,
    path: u64,
    depth: u32,
    sibling: PageId,
) {
    let (page, at, base) = place.entries();
    debug_assert!(base <= depth && depth < place.resolved);
    let bits = place.resolved - base;
    let below = place.resolved - depth - 1;
    // The bucket's references share the bits before `depth`; the upper half has a one at `depth`.
    let prefix = top_bits(path, base, bits) >> (below + 1);
    let first = ((prefix << 1) | 1) << below;
    let bytes = arena.bytes_mut(page, at + 4 * first, 4 << below);
    for entry in bytes.chunks_exact_mut(4) {
        entry.copy_from_slice(&sibling.0.to_le_bytes());
    }
    arena.raise_layout_version();
}

/// What a walk over a group's references comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visited {
    /// A reference to a bucket: the path bits that lead to it and how many they are.
    Bucket {
        page: PageId,
        path: u64,
        resolved: u32,
    },
    /// The directory page.
    Directory(PageId),
    /// A node: its page and offset.
    Node(PageId, usize),
}

/// Visits every bucket that a group refers to, once for each reference, and every page and node of
/// its directory.
///
/// # Errors
/// The first reference outside the arena, page of the wrong kind, or directory that is too deep.
pub(crate) fn check_group(
    arena: &Arena,
    roots_first: PageId,
    group: u32,
    path_bits_max: u32,
    visit: &mut impl FnMut(Visited) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let (page, at) = root_at(roots_first, group);
    let root = arena.page(page).u32_at(at);
    if root == 0 {
        return Ok(());
    }
    if root & INDIRECT == 0 {
        return visit(Visited::Bucket {
            page: checked(arena, root, PageKind::Bucket)?,
            path: 0,
            resolved: 0,
        });
    }
    let directory = checked(arena, root & !INDIRECT, PageKind::Directory)?;
    visit(Visited::Directory(directory))?;
    let depth = arena.page(page).u32_at(at + ROOT_DEPTH_AT);
    if !(1..=DIRECTORY_DEPTH_MAX).contains(&depth) {
        return Err(StateError::Damaged {
            page: directory.0,
            what: "directory depth",
            expected: format!("1 to {DIRECTORY_DEPTH_MAX}"),
            found: depth.to_string(),
        });
    }
    let limit = path_bits_max.max(DIRECTORY_DEPTH_MAX) + NODE_BITS;
    let mut entries = Entries {
        arena,
        limit,
        visit,
    };
    entries.walk(directory, ENTRIES_AT, 0, depth, 0)
}

/// Recursion over references; depth is bounded by the path bits.
struct Entries<'a, V> {
    arena: &'a Arena,
    limit: u32,
    visit: &'a mut V,
}

impl<V: FnMut(Visited) -> Result<(), StateError>> Entries<'_, V> {
    fn walk(
        &mut self,
        page: PageId,
        at: usize,
        base: u32,
        bits: u32,
        prefix: u64,
    ) -> Result<(), StateError> {
        let resolved = base + bits;
        if resolved > self.limit {
            return Err(StateError::Damaged {
                page: page.0,
                what: "directory depth",
                expected: format!("at most {} path bits", self.limit),
                found: resolved.to_string(),
            });
        }
        for entry in 0..1u64 << bits {
            let entry_at = at + 4 * usize::try_from(entry).expect("at most 512");
            let reference = self.arena.page(page).u32_at(entry_at);
            let path = prefix | (entry << (64 - resolved));
            if reference & INDIRECT == 0 {
                (self.visit)(Visited::Bucket {
                    page: checked(self.arena, reference, PageKind::Bucket)?,
                    path,
                    resolved,
                })?;
                continue;
            }
            let (node, node_at) = node_at(reference);
            let node = checked(self.arena, node.0, PageKind::Nodes)?;
            if node_at == 0 {
                return Err(StateError::Damaged {
                    page: node.0,
                    what: "directory node",
                    expected: "a line from 1 to 63".to_owned(),
                    found: "line 0".to_owned(),
                });
            }
            (self.visit)(Visited::Node(node, node_at))?;
            self.walk(node, node_at, resolved, NODE_BITS, path)?;
        }
        Ok(())
    }
}

/// A page number from a reference, once it is known to be inside the arena and of the right kind.
pub(crate) fn checked(arena: &Arena, page: u32, kind: PageKind) -> Result<PageId, StateError> {
    let id = PageId(page);
    if page == 0 || page >= arena.page_count() {
        return Err(StateError::Damaged {
            page,
            what: "page number",
            expected: format!("1 to {}", arena.page_count() - 1),
            found: page.to_string(),
        });
    }
    if !arena.page(id).is_kind(kind) {
        return Err(StateError::Damaged {
            page,
            what: "page kind",
            expected: format!("{} ({kind:?})", kind as u8),
            found: arena.page(id).kind_byte().to_string(),
        });
    }
    Ok(id)
}
