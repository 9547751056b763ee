//! Directory above, buckets below: finding keys and places for new ones. `records` puts values
//! there.
//!
//! Growth: a bucket that is full is rebuilt if that wins space, else split in two by the next path
//! bit; one page is allocated and one directory node touched. Where the path bits are used up
//! (equal hashes), overflow pages chain.

use super::bucket::{self, Bucket, Fit, Spot};
use super::directory::{self, Place};
use super::geometry::{Geometry, ValueForm};
use crate::arena::Arena;
use crate::catalog::{self, NewTable, TableIndex};
use crate::error::StateError;
use crate::form::TableScope;
use crate::hash::{KeyGroups, KeyHash, hash_bytes};
use crate::page::{Page, PageId, PageKind};

/// Hashes prefetched together: their lines fit into the first-level cache beside everything else.
const PREFETCH_BLOCK: usize = 32;

/// Key groups of a job and the part of them that a shard owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnedGroups {
    pub(crate) groups: KeyGroups,
    pub(crate) first: u32,
    pub(crate) length: u32,
}

impl OwnedGroups {
    /// Group of a key, relative to the shard's first.
    #[inline]
    pub(crate) fn relative(self, hash: KeyHash) -> u32 {
        let group = self.groups.group_of(hash);
        debug_assert!(
            group >= self.first && group < self.first + self.length,
            "a record of key group {group} reached a shard that owns {} from {}",
            self.length,
            self.first
        );
        group - self.first
    }

    /// Whether element `index` of a list of `count` in a shard of `source` is dealt to this shard.
    /// Elements are spread over the key groups evenly, from the source's first group on, so that
    /// short lists of many shards are spread as well.
    pub(crate) fn deals(self, source: Self, index: u64, count: u64) -> bool {
        let groups = u128::from(self.groups.count());
        let step = u128::from(index) * groups / u128::from(count);
        let group = (u128::from(source.first) + step) % groups;
        let first = u128::from(self.first);
        (first..first + u128::from(self.length)).contains(&group)
    }

    /// What a table of this scope is cut into: the shard's key groups, or one part that no hash
    /// leads to.
    pub(crate) fn in_scope(self, scope: TableScope) -> Self {
        match scope {
            TableScope::Keyed => self,
            TableScope::SplitList | TableScope::UnionList | TableScope::Broadcast => Self {
                groups: KeyGroups::new(1),
                first: 0,
                length: 1,
            },
        }
    }
}

/// A table's place and shape, decoded from its descriptor.
#[derive(Debug)]
pub(crate) struct HashTable {
    pub(crate) index: TableIndex,
    pub(crate) roots: PageId,
    pub(crate) owned: OwnedGroups,
    pub(crate) geometry: Geometry,
}

/// A record that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) page: PageId,
    pub(crate) slot: usize,
}

/// A walk along overflow pages. Each is another page, so it ends in an arena of so many, also where
/// those of damaged pages that are not verified yet lead round in a circle.
pub(super) struct Chain {
    pages_left: u32,
}

impl Chain {
    pub(super) fn of(arena: &Arena) -> Self {
        Self {
            pages_left: arena.page_count(),
        }
    }

    /// The page behind `bucket`.
    #[inline]
    pub(super) fn next(&mut self, bucket: Bucket<'_>) -> Option<PageId> {
        let next = bucket.next()?;
        assert!(
            self.pages_left > 0,
            "page={}: more overflow pages than the state has pages: the page is damaged",
            next.0
        );
        self.pages_left -= 1;
        Some(next)
    }
}

impl HashTable {
    /// Opens a table of the catalog.
    pub(crate) fn open(
        arena: &Arena,
        index: TableIndex,
        owned: OwnedGroups,
    ) -> Result<Self, StateError> {
        Ok(Self {
            index,
            roots: catalog::roots(arena, index),
            owned,
            geometry: catalog::geometry(arena, index)?,
        })
    }

    /// Creates a table.
    pub(crate) fn create(
        arena: &mut Arena,
        new: &NewTable<'_>,
        owned: OwnedGroups,
    ) -> Result<Self, StateError> {
        let pages = directory::roots_page_count(owned.length);
        let index = catalog::add(arena, new, pages)?;
        Self::open(arena, index, owned)
    }

    pub(crate) fn name(&self, arena: &Arena) -> String {
        catalog::name(arena, self.index)
    }

    #[inline]
    pub(crate) fn bucket<'a>(&'a self, arena: &'a Arena, page: PageId) -> Bucket<'a> {
        Bucket {
            page: arena.page(page),
            geometry: &self.geometry,
        }
    }

    /// A bucket through a geometry that may be a constant.
    #[inline]
    pub(super) fn bucket_of<'a>(
        &self,
        arena: &'a Arena,
        geometry: &'a Geometry,
        page: PageId,
    ) -> Bucket<'a> {
        debug_assert_eq!(geometry, &self.geometry);
        Bucket {
            page: arena.page(page),
            geometry,
        }
    }

    /// Group of a key, relative to the shard's first.
    #[inline]
    pub(super) fn group(&self, hash: KeyHash) -> u32 {
        self.owned.relative(hash)
    }

    #[inline]
    pub(super) fn locate(&self, arena: &Arena, hash: KeyHash) -> Option<Place> {
        let path = self.owned.groups.path_of(hash);
        directory::locate(arena, self.roots, self.group(hash), path)
    }

    /// The bucket for a hash; page 0 where the group is empty.
    #[inline(always)]
    pub(super) fn bucket_for(&self, arena: &Arena, hash: KeyHash) -> PageId {
        let path = self.owned.groups.path_of(hash);
        directory::bucket_for(&arena.pages, self.roots, self.group(hash), path)
    }

    /// Loads the lines that finding these keys will read: first tags, then the likely records.
    pub(crate) fn prefetch(&self, arena: &Arena, hashes: &[KeyHash]) {
        for block in hashes.chunks(PREFETCH_BLOCK) {
            let mut pages = [PageId::SUPERBLOCK; PREFETCH_BLOCK];
            for (page, hash) in pages.iter_mut().zip(block) {
                *page = self.bucket_for(arena, *hash);
                arena.prefetch(*page, self.geometry.likely_tags_at(*hash));
            }
            for (page, hash) in pages.iter().zip(block) {
                let bucket = self.bucket(arena, *page);
                if *page != PageId::SUPERBLOCK
                    && let Some(slot) = bucket.likely_slot(*hash)
                {
                    arena.prefetch(*page, bucket.record_at(slot));
                }
            }
        }
    }

    /// Finds a key. `geometry` is the table's own; where it is a constant, the search has no branch
    /// on it.
    #[inline]
    pub(crate) fn find(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        hash: KeyHash,
        key: &[u8],
    ) -> Option<Found> {
        match self.bucket_for(arena, hash) {
            PageId::SUPERBLOCK => None,
            first => self.find_from(arena, geometry, first, hash, key),
        }
    }

    /// Finds a key in a bucket and what overflowed from it.
    #[inline]
    pub(super) fn find_from(
        &self,
        arena: &Arena,
        geometry: &Geometry,
        first: PageId,
        hash: KeyHash,
        key: &[u8],
    ) -> Option<Found> {
        let mut page = first;
        let mut chain = Chain::of(arena);
        loop {
            let bucket = self.bucket_of(arena, geometry, page);
            if let Some(slot) = bucket.find(hash, key) {
                return Some(Found { page, slot });
            }
            page = chain.next(bucket)?;
        }
    }

    /// A place for a new record, made by splits where there is none.
    pub(super) fn find_spot(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key_bytes: usize,
        form: ValueForm,
    ) -> Result<(PageId, Spot), StateError> {
        loop {
            let Some(place) = self.locate(arena, hash) else {
                self.first_bucket(arena, hash, key_bytes, form)?;
                continue;
            };
            let mut page = place.bucket;
            let mut chain = Chain::of(arena);
            let last = loop {
                match self.bucket(arena, page).fit(hash, key_bytes, form) {
                    Fit::Here(spot) => return Ok((page, spot)),
                    Fit::AfterRebuild(groups) => self.rebuild(arena, page, groups),
                    Fit::No => match chain.next(self.bucket(arena, page)) {
                        Some(next) => page = next,
                        None => break page,
                    },
                }
            };
            if self.bucket(arena, place.bucket).depth() < self.owned.groups.path_bits_max() {
                self.split(arena, hash, place)?;
            } else {
                let groups = bucket::groups_for_first(&self.geometry, key_bytes, form);
                self.chain(arena, last, groups)?;
            }
        }
    }

    fn first_bucket(
        &self,
        arena: &mut Arena,
        hash: KeyHash,
        key_bytes: usize,
        form: ValueForm,
    ) -> Result<(), StateError> {
        let groups = bucket::groups_for_first(&self.geometry, key_bytes, form);
        let id = self.new_bucket(arena, 0, groups)?;
        directory::set_root(arena, self.roots, self.group(hash), id);
        Ok(())
    }

    fn new_bucket(
        &self,
        arena: &mut Arena,
        depth: u32,
        groups: usize,
    ) -> Result<PageId, StateError> {
        let id = arena.allocate(PageKind::Bucket)?;
        let mut page = Page::zeroed();
        bucket::format(&mut page, &self.geometry, depth, Some(groups));
        arena.replace(id, &page);
        Ok(id)
    }

    fn chain(&self, arena: &mut Arena, last: PageId, groups: usize) -> Result<(), StateError> {
        let depth = self.bucket(arena, last).depth();
        let id = self.new_bucket(arena, depth, groups)?;
        bucket::set_next(arena.page_mut(last, 1), Some(id));
        Ok(())
    }

    fn rebuild(&self, arena: &mut Arena, id: PageId, groups: usize) {
        let source = self.bucket(arena, id);
        let mut rebuilt = Page::zeroed();
        bucket::format(&mut rebuilt, &self.geometry, source.depth(), Some(groups));
        bucket::set_next(&mut rebuilt, source.next());
        for slot in source.slots() {
            bucket::copy_record(&mut rebuilt, source, slot, hash_bytes(source.key(slot)));
        }
        arena.replace(id, &rebuilt);
        arena.raise_layout_version();
    }

    fn split(&self, arena: &mut Arena, hash: KeyHash, place: Place) -> Result<(), StateError> {
        let path = self.owned.groups.path_of(hash);
        let depth = self.bucket(arena, place.bucket).depth();
        if place.resolved <= depth {
            let mut nodes_page = catalog::nodes_page(arena, self.index);
            let before = nodes_page;
            let group = self.group(hash);
            directory::deepen(arena, self.roots, group, path, place, &mut nodes_page)?;
            if nodes_page != before {
                catalog::set_nodes_page(arena, self.index, nodes_page);
            }
            return Ok(());
        }
        let sibling = arena.allocate(PageKind::Bucket)?;
        let (low, high) = self.halves(self.bucket(arena, place.bucket));
        arena.replace(place.bucket, &low);
        arena.replace(sibling, &high);
        directory::split_references(arena, place, path, depth, sibling);
        Ok(())
    }

    /// The records of a bucket whose next path bit is 0, and those whose is 1.
    fn halves(&self, source: Bucket<'_>) -> (Page, Page) {
        let depth = source.depth();
        let groups = bucket::groups_for_half(source);
        let mut halves = [Page::zeroed(), Page::zeroed()];
        for half in &mut halves {
            bucket::format(half, &self.geometry, depth + 1, Some(groups));
        }
        for slot in source.slots() {
            let hash = hash_bytes(source.key(slot));
            let bit = (self.owned.groups.path_of(hash) >> (63 - depth)) & 1;
            let half = &mut halves[usize::from(bit == 1)];
            bucket::copy_record(half, source, slot, hash);
        }
        let [low, high] = halves;
        (low, high)
    }

    pub(super) fn count(&self, arena: &mut Arena, hash: KeyHash, change: i64) {
        let group = self.group(hash);
        let count = directory::record_count(arena, self.roots, group);
        let count = count
            .checked_add_signed(change)
            .expect("a group's record count never falls below zero");
        directory::set_record_count(arena, self.roots, group, count);
    }

    /// Records in the table.
    pub(crate) fn record_count(&self, arena: &Arena) -> u64 {
        (0..self.owned.length)
            .map(|group| directory::record_count(arena, self.roots, group))
            .sum()
    }
}
