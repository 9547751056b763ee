//! Pages of directory nodes: a line a node, handed out and taken back.
//!
//! A table has one page that new nodes come from; a page all of whose nodes were taken back is
//! freed. The layout stands in `directory`.

use super::directory::INDIRECT;
use crate::arena::Arena;
use crate::error::StateError;
use crate::page::{LINE_BYTES, LINES_PER_PAGE, PageId, PageKind};

const LINES_USED_AT: usize = 4;
const FREE_FIRST_AT: usize = 8;
const FREE_COUNT_AT: usize = 12;

/// A node whose 16 references all lead to `bucket`; the result is a reference to it.
pub(super) fn allocate(
    arena: &mut Arena,
    bucket: PageId,
    current: &mut PageId,
) -> Result<u32, StateError> {
    let mut references = [0; LINE_BYTES];
    for entry in references.chunks_exact_mut(4) {
        entry.copy_from_slice(&bucket.0.to_le_bytes());
    }
    put(arena, &references, current)
}

/// A node with these references; the result is a reference to it. `current` is the table's page for
/// new nodes, or 0.
pub(super) fn put(
    arena: &mut Arena,
    references: &[u8; LINE_BYTES],
    current: &mut PageId,
) -> Result<u32, StateError> {
    if !has_room(arena, *current) {
        let page = arena.allocate(PageKind::Nodes)?;
        arena.write(page, LINES_USED_AT, &1u32.to_le_bytes());
        *current = page;
    }
    let page = *current;
    let free = arena.page(page).u32_at(FREE_FIRST_AT);
    let line = if free == 0 {
        let line = arena.page(page).u32_at(LINES_USED_AT);
        arena.write(page, LINES_USED_AT, &(line + 1).to_le_bytes());
        line
    } else {
        let next = arena.page(page).u32_at(free as usize * LINE_BYTES);
        let free_count = arena.page(page).u32_at(FREE_COUNT_AT);
        arena.write(page, FREE_FIRST_AT, &next.to_le_bytes());
        arena.write(page, FREE_COUNT_AT, &(free_count - 1).to_le_bytes());
        free
    };
    arena.write(page, line as usize * LINE_BYTES, references);
    Ok(INDIRECT | (page.0 << 6) | line)
}

/// Takes a node back, and its page with it if that holds no other.
pub(super) fn free(arena: &mut Arena, page: PageId, at: usize, current: &mut PageId) {
    let line = u32::try_from(at / LINE_BYTES).expect("below 64");
    let next = arena.page(page).u32_at(FREE_FIRST_AT);
    let free_count = arena.page(page).u32_at(FREE_COUNT_AT) + 1;
    arena.write(page, at, &next.to_le_bytes());
    arena.write(page, FREE_FIRST_AT, &line.to_le_bytes());
    arena.write(page, FREE_COUNT_AT, &free_count.to_le_bytes());
    if node_count(arena, page) == 0 {
        if *current == page {
            *current = PageId::SUPERBLOCK;
        }
        arena.free(page);
    } else if !has_room(arena, *current) {
        *current = page;
    }
}

/// Nodes in a page.
pub(crate) fn node_count(arena: &Arena, page: PageId) -> u32 {
    let page = arena.page(page);
    let used = page.u32_at(LINES_USED_AT).saturating_sub(1);
    used.saturating_sub(page.u32_at(FREE_COUNT_AT))
}

fn has_room(arena: &Arena, page: PageId) -> bool {
    page != PageId::SUPERBLOCK && (node_count(arena, page) as usize) < LINES_PER_PAGE - 1
}
