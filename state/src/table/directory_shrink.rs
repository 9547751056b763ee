//! The way back of `directory`: references of a joined pair of buckets, nodes and directory pages
//! that resolve nothing any more.

use arrayvec::ArrayVec;

use super::directory::{
    DIRECTORY_DEPTH_MAX, ENTRIES_AT, INDIRECT, NODE_BITS, Parent, Place, ROOT_DEPTH_AT, node_at,
    root_at, set_root, top_bits,
};
use super::nodes;
use crate::arena::Arena;
use crate::page::PageId;

const HALF_BYTES_MAX: usize = 2 << DIRECTORY_DEPTH_MAX;

/// Points all references of a pair of siblings to `bucket`. `place` is the place of either, both
/// have depth `depth` and hang below the same parent.
pub(super) fn join_references(
    arena: &mut Arena,
    place: Place,
    path: u64,
    depth: u32,
    bucket: PageId,
) {
    let (page, at, base) = place.entries();
    debug_assert!(base < depth && depth <= place.resolved);
    let below = place.resolved - depth + 1;
    let first = top_bits(path, base, place.resolved - base) >> below << below;
    let bytes = arena.bytes_mut(page, at + 4 * first, 4 << below);
    for entry in bytes.chunks_exact_mut(4) {
        entry.copy_from_slice(&bucket.0.to_le_bytes());
    }
    arena.raise_layout_version();
}

/// Takes away what resolves nothing above a bucket of depth `depth`: its node if all references in
/// it are the bucket's, or the last bits of a directory page whose pairs are equal. `nodes_page` is
/// the table's page for new nodes.
///
/// # Cost
/// Reads at most 2 KiB of a directory page, and only if the bucket's depth is just below the
/// page's.
pub(super) fn collapse(
    arena: &mut Arena,
    roots_first: PageId,
    group: u32,
    path: u64,
    depth: u32,
    place: Place,
    nodes_page: &mut PageId,
) {
    match place.parent {
        Parent::Node { page, at, base } if depth <= base => {
            let (holder, entry_at) = reference_to_node(arena, roots_first, group, path, base);
            arena.write(holder, entry_at, &place.bucket.0.to_le_bytes());
            nodes::free(arena, page, at, nodes_page);
        }
        Parent::Directory(directory) if depth < place.resolved => {
            let mut resolved = place.resolved;
            while resolved > 0 && halve(arena, directory, resolved) {
                resolved -= 1;
            }
            if resolved == 0 {
                set_root(arena, roots_first, group, place.bucket);
                arena.free(directory);
            } else if resolved < place.resolved {
                let (page, at) = root_at(roots_first, group);
                arena.write(page, at + ROOT_DEPTH_AT, &resolved.to_le_bytes());
            }
        }
        Parent::Root | Parent::Directory(_) | Parent::Node { .. } => {}
    }
}

/// Where the reference stands that leads to the node which begins at `base` path bits.
fn reference_to_node(
    arena: &Arena,
    roots_first: PageId,
    group: u32,
    path: u64,
    base: u32,
) -> (PageId, usize) {
    let (page, at) = root_at(roots_first, group);
    let directory = PageId(arena.page(page).u32_at(at) & !INDIRECT);
    let mut resolved = arena.page(page).u32_at(at + ROOT_DEPTH_AT);
    let mut holder = (directory, ENTRIES_AT + 4 * top_bits(path, 0, resolved));
    while resolved < base {
        let (page, at) = node_at(arena.page(holder.0).u32_at(holder.1));
        holder = (page, at + 4 * top_bits(path, resolved, NODE_BITS));
        resolved += NODE_BITS;
    }
    holder
}

/// Makes one reference of two where all pairs are equal; at most 2 KiB becomes 1 KiB.
fn halve(arena: &mut Arena, directory: PageId, depth: u32) -> bool {
    let bytes = 4 << depth;
    let pairs: ArrayVec<u8, HALF_BYTES_MAX> = {
        let entries = arena.page(directory).bytes_at(ENTRIES_AT, bytes);
        let (pairs, _) = entries.as_chunks::<8>();
        if pairs.iter().any(|pair| pair[..4] != pair[4..]) {
            return false;
        }
        pairs
            .iter()
            .flat_map(|pair| pair[..4].iter().copied())
            .collect()
    };
    arena.write(directory, ENTRIES_AT, &pairs);
    true
}
