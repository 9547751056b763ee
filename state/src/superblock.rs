//! Page 0: the fields from which everything else in a shard is reached.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | kind |
//! | 4 | 4 | magic `FRZ1` |
//! | 8 | 4 | first free page, 0 = none; a free page links to the next at its offset 4 |
//! | 12 | 4 | free pages |
//! | 16 | 4 | pages in use or free: the end of the arena |
//! | 20 | 4 | tables |
//! | 24 | 4 | first key group of this shard |
//! | 28 | 4 | key groups of this shard |
//! | 32 | 4 | key groups of the job |
//! | 36 | 8 | pages in runs, see `runs` |
//! | 64 | 128 each | table descriptors, see `catalog` |
//! | 4032 | 64 | free runs by class, see `runs` |

use crate::arena::Arena;
use crate::page::{PAGE_BYTES, Page, PageId, PageKind};

/// 128 GiB: a directory node is addressed by a page number of 25 bits and a line.
pub(crate) const MAX_PAGES: usize = 1 << 25;

const MAGIC: [u8; 4] = *b"FRZ1";
const MAGIC_AT: usize = 4;
const FREE_FIRST_AT: usize = 8;
const FREE_COUNT_AT: usize = 12;
const PAGE_COUNT_AT: usize = 16;
pub(crate) const TABLE_COUNT_AT: usize = 20;
const GROUP_FIRST_AT: usize = 24;
const GROUP_LENGTH_AT: usize = 28;
const GROUP_COUNT_AT: usize = 32;
pub(crate) const TABLES_AT: usize = 64;
pub(crate) const TABLE_BYTES: usize = 128;
/// Tables that fit into the superblock page.
pub(crate) const TABLES_MAX: usize = (PAGE_BYTES - TABLES_AT) / TABLE_BYTES;

const FREE_NEXT_AT: usize = 4;

pub(crate) fn format(arena: &mut Arena) {
    let page = arena.page_mut(PageId::SUPERBLOCK, 1);
    page.0[0] = PageKind::Superblock as u8;
    page.put(MAGIC_AT, &MAGIC);
    page.put(PAGE_COUNT_AT, &1u32.to_le_bytes());
}

/// The first field that is no superblock's, as (what, expected, found).
pub(crate) fn damage(page: &Page) -> Option<(&'static str, String, String)> {
    if !page.is_kind(PageKind::Superblock) {
        let expected = (PageKind::Superblock as u8).to_string();
        return Some(("page kind", expected, page.kind_byte().to_string()));
    }
    let magic: [u8; 4] = page.array_at(MAGIC_AT);
    (magic != MAGIC).then(|| {
        (
            "superblock magic",
            format!("{MAGIC:?}"),
            format!("{magic:?}"),
        )
    })
}

#[inline]
pub(crate) fn page_count(arena: &Arena) -> u32 {
    page_count_of(arena.page(PageId::SUPERBLOCK))
}

pub(crate) fn page_count_of(page: &Page) -> u32 {
    page.u32_at(PAGE_COUNT_AT)
}

pub(crate) fn set_page_count(arena: &mut Arena, count: u32) {
    put_u32(arena, PAGE_COUNT_AT, count);
}

pub(crate) fn free_first(arena: &Arena) -> PageId {
    PageId(arena.page(PageId::SUPERBLOCK).u32_at(FREE_FIRST_AT))
}

pub(crate) fn free_count(arena: &Arena) -> u32 {
    arena.page(PageId::SUPERBLOCK).u32_at(FREE_COUNT_AT)
}

pub(crate) fn free_next(arena: &Arena, id: PageId) -> PageId {
    PageId(arena.page(id).u32_at(FREE_NEXT_AT))
}

pub(crate) fn pop_free(arena: &mut Arena) -> Option<PageId> {
    let first = free_first(arena);
    if first == PageId::SUPERBLOCK {
        return None;
    }
    let next = free_next(arena, first);
    let count = free_count(arena);
    put_u32(arena, FREE_FIRST_AT, next.0);
    put_u32(arena, FREE_COUNT_AT, count - 1);
    Some(first)
}

pub(crate) fn push_free(arena: &mut Arena, id: PageId) {
    let first = free_first(arena);
    let count = free_count(arena);
    let page = arena.page_mut(id, 1);
    page.0[0] = PageKind::Free as u8;
    page.put(FREE_NEXT_AT, &first.0.to_le_bytes());
    put_u32(arena, FREE_FIRST_AT, id.0);
    put_u32(arena, FREE_COUNT_AT, count + 1);
}

/// Key groups as (first of this shard, groups of this shard, groups of the job).
pub(crate) fn key_groups(arena: &Arena) -> (u32, u32, u32) {
    let page = arena.page(PageId::SUPERBLOCK);
    (
        page.u32_at(GROUP_FIRST_AT),
        page.u32_at(GROUP_LENGTH_AT),
        page.u32_at(GROUP_COUNT_AT),
    )
}

pub(crate) fn set_key_groups(arena: &mut Arena, first: u32, length: u32, count: u32) {
    put_u32(arena, GROUP_FIRST_AT, first);
    put_u32(arena, GROUP_LENGTH_AT, length);
    put_u32(arena, GROUP_COUNT_AT, count);
}

pub(crate) fn table_count(arena: &Arena) -> u32 {
    arena.page(PageId::SUPERBLOCK).u32_at(TABLE_COUNT_AT)
}

pub(crate) fn put_u32(arena: &mut Arena, offset: usize, value: u32) {
    arena.write(PageId::SUPERBLOCK, offset, &value.to_le_bytes());
}
