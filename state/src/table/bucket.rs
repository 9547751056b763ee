//! One bucket page: header, tags, slots, records.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | kind |
//! | 1 | 1 | depth: path bits that lead here |
//! | 2 | 1 | tag groups of 16 slots |
//! | 4 | 2 | records |
//! | 6 | 2 | deleted tags |
//! | 8 | 2 | start of the heap (slotted geometry) |
//! | 10 | 2 | garbage bytes in the heap |
//! | 12 | 4 | overflow page, 0 = none |
//! | 16 | 16 a group | tags |
//!
//! Fixed geometry: slots from `slots_at`. Slotted: `u16` offsets behind the tags, heap at the
//! page's end. The bucket is a small open-addressed table of tag groups: a probe starts at the
//! hash's home group and ends at the first group with an empty tag, or when it has seen all groups.

use std::ops::Range;

use super::geometry::{BUCKET_HEADER_BYTES, GROUP_SLOTS, Geometry, RECORD_HEADER_BYTES, ValueForm};
use super::tags;
use crate::arena::Arena;
use crate::hash::KeyHash;
use crate::page::{PAGE_BYTES, Page, PageId, PageKind, line_mask};
use crate::runs::RUN_REFERENCE_BYTES;

const DEPTH_AT: usize = 1;
const GROUPS_AT: usize = 2;
const COUNT_AT: usize = 4;
const DELETED_AT: usize = 6;
const HEAP_AT: usize = 8;
const GARBAGE_AT: usize = 10;
const NEXT_AT: usize = 12;
const OFFSET_BYTES: usize = 2;
const GROUPS_MAX: usize = 32;
/// A rebuild must win at least this much, or the bucket splits instead.
const REBUILD_GAIN_BYTES: usize = PAGE_BYTES / 16;

/// A bucket page seen through its table's geometry.
#[derive(Clone, Copy)]
pub(crate) struct Bucket<'a> {
    pub(crate) page: &'a Page,
    pub(crate) geometry: &'a Geometry,
}

/// Where a new record goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    slot: usize,
    record_at: usize,
    key_at: usize,
    value_at: usize,
    /// How long the record says that its value is.
    length: usize,
    /// The slot's tag was `DELETED`.
    reused: bool,
    mask: u64,
}

impl Spot {
    /// Lines that the insertion writes.
    pub(crate) fn mask(&self) -> u64 {
        self.mask
    }

    pub(crate) fn value_at(&self) -> usize {
        self.value_at
    }
}

/// Whether a record fits.
pub(crate) enum Fit {
    Here(Spot),
    /// After a rebuild with this many tag groups.
    AfterRebuild(usize),
    No,
}

impl<'a> Bucket<'a> {
    pub(crate) fn depth(&self) -> u32 {
        u32::from(self.page.u8_at(DEPTH_AT))
    }

    #[inline]
    pub(crate) fn groups(&self) -> usize {
        // Where the geometry knows, the header line need not be loaded.
        match &self.geometry.fixed {
            Some(fixed) => fixed.groups,
            None => usize::from(self.page.u8_at(GROUPS_AT)),
        }
    }

    pub(crate) fn count(&self) -> usize {
        usize::from(self.page.u16_at(COUNT_AT))
    }

    pub(super) fn deleted_count(&self) -> usize {
        usize::from(self.page.u16_at(DELETED_AT))
    }

    pub(super) fn heap_start(&self) -> usize {
        usize::from(self.page.u16_at(HEAP_AT))
    }

    pub(super) fn garbage_bytes(&self) -> usize {
        usize::from(self.page.u16_at(GARBAGE_AT))
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<PageId> {
        let next = PageId(self.page.u32_at(NEXT_AT));
        (next != PageId::SUPERBLOCK).then_some(next)
    }

    #[inline]
    fn tag_group(&self, group: usize) -> [u8; GROUP_SLOTS] {
        self.page
            .array_at(BUCKET_HEADER_BYTES + group * GROUP_SLOTS)
    }

    pub(super) fn capacity(&self) -> usize {
        match &self.geometry.fixed {
            Some(fixed) => fixed.capacity,
            None => self.groups() * GROUP_SLOTS,
        }
    }

    /// Slot of a key.
    #[inline]
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8]) -> Option<usize> {
        // Two loops out of one, so that the fixed geometry's has no branch per access.
        match &self.geometry.fixed {
            Some(fixed) => self.probe(hash, fixed.groups, |slot| {
                let at = fixed.slots_at + slot * fixed.stride;
                bytes_equal(self.page.bytes_at(at, key.len()), key)
            }),
            None => self.probe(hash, self.groups(), |slot| bytes_equal(self.key(slot), key)),
        }
    }

    /// First slot on the hash's probe path whose tag matches and that `is_it`.
    #[inline]
    fn probe(&self, hash: KeyHash, groups: usize, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let tag = tags::tag_of(hash);
        let mut group = tags::home_group(hash, groups);
        for _ in 0..groups {
            let candidates = self.tag_group(group);
            for position in tags::positions(tags::matches(&candidates, tag)) {
                let slot = group * GROUP_SLOTS + position;
                if is_it(slot) {
                    return Some(slot);
                }
            }
            if tags::matches(&candidates, tags::EMPTY) != 0 {
                return None;
            }
            group = if group + 1 == groups { 0 } else { group + 1 };
        }
        None
    }

    /// First slot of the home group whose tag is that of the hash: it holds a record.
    #[inline(always)]
    pub(crate) fn likely_slot(&self, hash: KeyHash) -> Option<usize> {
        let group = tags::home_group(hash, self.groups());
        let found = tags::matches(&self.tag_group(group), tags::tag_of(hash));
        (found != 0).then(|| group * GROUP_SLOTS + found.trailing_zeros() as usize)
    }

    /// Whether a slot that held a record in this layout of the arena holds this key; false for a
    /// slot that no page has.
    #[inline(always)]
    pub(crate) fn holds(&self, slot: usize, hash: KeyHash, key: &[u8]) -> bool {
        match &self.geometry.fixed {
            Some(fixed) => {
                let at = fixed.slots_at + slot * fixed.stride;
                let stored = self.page.0.get(at..at + key.len());
                stored.is_some_and(|stored| bytes_equal(stored, key))
            }
            // A slotted record may have been removed without a change of the layout.
            None => {
                slot < self.groups() * GROUP_SLOTS
                    && self.page.u8_at(BUCKET_HEADER_BYTES + slot) == tags::tag_of(hash)
                    && bytes_equal(self.key(slot), key)
            }
        }
    }

    #[inline]
    pub(super) fn record_at(&self, slot: usize) -> usize {
        match &self.geometry.fixed {
            Some(fixed) => fixed.slots_at + slot * fixed.stride,
            None => usize::from(self.page.u16_at(self.offset_at(slot))),
        }
    }

    #[inline]
    fn offset_at(&self, slot: usize) -> usize {
        BUCKET_HEADER_BYTES + self.groups() * GROUP_SLOTS + slot * OFFSET_BYTES
    }

    #[inline]
    pub(super) fn slotted_lengths(&self, record_at: usize) -> (usize, ValueForm) {
        (
            usize::from(self.page.u16_at(record_at)),
            ValueForm::from_length(usize::from(self.page.u16_at(record_at + 2))),
        )
    }

    /// Key bytes of a slot that holds a record.
    #[inline]
    pub(crate) fn key(&self, slot: usize) -> &'a [u8] {
        let at = self.record_at(slot);
        match (&self.geometry.fixed, self.geometry.key_bytes) {
            (Some(_), Some(key_bytes)) => self.page.bytes_at(at, key_bytes),
            _ => {
                let (key_bytes, _) = self.slotted_lengths(at);
                self.page.bytes_at(at + RECORD_HEADER_BYTES, key_bytes)
            }
        }
    }

    /// How the record of a slot keeps its value, and where the value, or the reference to its run,
    /// lies in the page.
    #[inline(always)]
    pub(crate) fn stored(&self, slot: usize) -> (ValueForm, Range<usize>) {
        let at = self.record_at(slot);
        match (&self.geometry.fixed, self.geometry.value_bytes) {
            (Some(fixed), Some(value_bytes)) => {
                let value_at = at + fixed.value_at;
                (
                    ValueForm::InPage(value_bytes),
                    value_at..value_at + value_bytes,
                )
            }
            _ => {
                let (key_bytes, form) = self.slotted_lengths(at);
                let value_at = at + self.geometry.slotted_value_at(key_bytes);
                (form, value_at..value_at + form.stored_bytes())
            }
        }
    }

    /// The reference to the run that holds a slot's value, if one does; unchecked bytes.
    pub(crate) fn run_reference(&self, slot: usize) -> Option<[u8; RUN_REFERENCE_BYTES]> {
        let (form, range) = self.stored(slot);
        (form == ValueForm::InRun).then(|| self.page.array_at(range.start))
    }

    /// All slots that hold records, rising.
    pub(crate) fn slots(self) -> impl Iterator<Item = usize> {
        (0..self.groups() * GROUP_SLOTS).filter(move |slot| self.holds_record(*slot))
    }

    /// Whether a slot holds a record.
    #[inline]
    pub(crate) fn holds_record(&self, slot: usize) -> bool {
        tags::is_record(self.page.u8_at(BUCKET_HEADER_BYTES + slot))
    }

    /// Bytes of the records in the heap.
    fn live_bytes(&self) -> usize {
        PAGE_BYTES - self.heap_start() - self.garbage_bytes()
    }

    /// True if at most a quarter is in use, so that a look at the sibling is worth while.
    pub(crate) fn is_sparse(&self) -> bool {
        let sparse = self.count() * 4 <= self.capacity();
        sparse && (self.geometry.fixed.is_some() || self.live_bytes() * 4 <= PAGE_BYTES)
    }

    /// Whether the records of both buckets fill at most half a page, so that they do not split
    /// again soon.
    pub(crate) fn fits_with(&self, other: Self) -> bool {
        let count = self.count() + other.count();
        match &self.geometry.fixed {
            Some(fixed) => count * 2 <= fixed.capacity,
            None => (self.live_bytes() + other.live_bytes()) * 2 <= PAGE_BYTES,
        }
    }

    /// Whether a record fits, and where.
    pub(crate) fn fit(&self, hash: KeyHash, key_bytes: usize, form: ValueForm) -> Fit {
        let value_bytes = form.stored_bytes();
        let full = self.count() >= self.capacity() - self.capacity() / 16;
        let crowded = self.deleted_count() > self.capacity() / 4;
        if let Some(fixed) = &self.geometry.fixed {
            return match (full, crowded) {
                (true, _) => Fit::No,
                (false, true) => Fit::AfterRebuild(fixed.groups),
                (false, false) => self.fixed_spot(hash, key_bytes, value_bytes),
            };
        }
        let record_bytes = self.geometry.record_bytes(key_bytes, value_bytes);
        let room = self.heap_start() - self.arrays_end(self.groups());
        if full || crowded || room < record_bytes {
            return self.fit_after_rebuild(record_bytes);
        }
        let (slot, reused) = self.free_slot(hash);
        let record_at = self.heap_start() - record_bytes;
        let value_at = record_at + self.geometry.slotted_value_at(key_bytes);
        let mask = self.spot_mask(slot, record_at, value_at + value_bytes)
            | line_mask(self.offset_at(slot), OFFSET_BYTES);
        Fit::Here(Spot {
            slot,
            record_at,
            key_at: record_at + RECORD_HEADER_BYTES,
            value_at,
            length: form.to_length(),
            reused,
            mask,
        })
    }

    fn fixed_spot(&self, hash: KeyHash, key_bytes: usize, value_bytes: usize) -> Fit {
        let (slot, reused) = self.free_slot(hash);
        let record_at = self.record_at(slot);
        let value_at = self
            .geometry
            .fixed
            .as_ref()
            .map_or(0, |fixed| record_at + fixed.value_at);
        debug_assert_eq!(self.geometry.key_bytes, Some(key_bytes));
        Fit::Here(Spot {
            slot,
            record_at,
            key_at: record_at,
            value_at,
            length: value_bytes,
            reused,
            mask: self.spot_mask(slot, record_at, (value_at + value_bytes).max(record_at + 1)),
        })
    }

    fn spot_mask(&self, slot: usize, record_at: usize, end: usize) -> u64 {
        line_mask(0, BUCKET_HEADER_BYTES)
            | line_mask(BUCKET_HEADER_BYTES + slot, 1)
            | line_mask(record_at, end - record_at)
    }

    fn fit_after_rebuild(&self, record_bytes: usize) -> Fit {
        let heap_bytes = self.live_bytes() + record_bytes;
        let groups = groups_for(self.count() + 1, heap_bytes);
        let gain = self.garbage_bytes() + (self.deleted_count() * REBUILD_GAIN_BYTES / GROUP_SLOTS);
        let wins = gain >= REBUILD_GAIN_BYTES || groups != self.groups();
        if wins && self.arrays_end(groups) + heap_bytes <= PAGE_BYTES {
            Fit::AfterRebuild(groups)
        } else {
            Fit::No
        }
    }

    pub(super) fn arrays_end(&self, groups: usize) -> usize {
        BUCKET_HEADER_BYTES + groups * GROUP_SLOTS * (1 + OFFSET_BYTES)
    }

    /// First slot on the probe path without a record; one exists because the bucket is not full.
    fn free_slot(&self, hash: KeyHash) -> (usize, bool) {
        let groups = self.groups();
        let mut group = tags::home_group(hash, groups);
        for _ in 0..groups {
            let tag_group = self.tag_group(group);
            let empty = tags::matches(&tag_group, tags::EMPTY);
            let deleted = tags::matches(&tag_group, tags::DELETED);
            if empty | deleted != 0 {
                let position = (empty | deleted).trailing_zeros() as usize;
                return (
                    group * GROUP_SLOTS + position,
                    deleted & (1 << position) != 0,
                );
            }
            group = if group + 1 == groups { 0 } else { group + 1 };
        }
        unreachable!("a bucket below its load limit has a free slot");
    }
}

/// Tag groups for a slotted bucket that holds `count` records in `heap_bytes` and is to fill up
/// with their like.
fn groups_for(count: usize, heap_bytes: usize) -> usize {
    let record_bytes = heap_bytes.div_ceil(count.max(1));
    let expected = (PAGE_BYTES - BUCKET_HEADER_BYTES) / (record_bytes + 1 + OFFSET_BYTES);
    let needed = (count + 1 + count / 15).div_ceil(GROUP_SLOTS);
    expected
        .div_ceil(GROUP_SLOTS)
        .clamp(1, GROUPS_MAX)
        .max(needed)
}

/// Formats a bucket page; `groups` is taken from the geometry where that is fixed.
pub(crate) fn format(page: &mut Page, geometry: &Geometry, depth: u32, groups: Option<usize>) {
    page.0[0] = PageKind::Bucket as u8;
    set_depth(page, depth);
    let groups = match &geometry.fixed {
        Some(fixed) => {
            let tags_end = BUCKET_HEADER_BYTES + fixed.groups * GROUP_SLOTS;
            page.0[BUCKET_HEADER_BYTES + fixed.capacity..tags_end].fill(tags::ABSENT);
            fixed.groups
        }
        None => groups.unwrap_or(1),
    };
    page.0[GROUPS_AT] = u8::try_from(groups).expect("bounded by GROUPS_MAX or a page");
    put_u16(page, HEAP_AT, PAGE_BYTES);
}

/// Tag groups for the first record of a new slotted bucket.
pub(crate) fn groups_for_first(geometry: &Geometry, key_bytes: usize, form: ValueForm) -> usize {
    groups_for(1, geometry.record_bytes(key_bytes, form.stored_bytes()))
}

/// Tag groups for one half of a bucket that splits.
pub(crate) fn groups_for_half(bucket: Bucket<'_>) -> usize {
    let live_bytes = bucket.live_bytes();
    // All records may land in one half, which must hold them beside its arrays; the present number
    // of groups does.
    let groups_max =
        (PAGE_BYTES - BUCKET_HEADER_BYTES - live_bytes) / (GROUP_SLOTS * (1 + OFFSET_BYTES));
    groups_for(bucket.count(), live_bytes).min(groups_max)
}

/// Tag groups for the records of two buckets that [`Bucket::fits_with`] each other.
pub(crate) fn groups_for_both(a: Bucket<'_>, b: Bucket<'_>) -> usize {
    groups_for(a.count() + b.count(), a.live_bytes() + b.live_bytes())
}

/// Lines that [`set_depth`] and [`set_next`] write.
pub(crate) const HEADER_MASK: u64 = 1;

/// Sets how many path bits lead to a bucket; the caller has marked [`HEADER_MASK`].
pub(crate) fn set_depth(page: &mut Page, depth: u32) {
    page.0[DEPTH_AT] = u8::try_from(depth).expect("path bits are at most 40");
}

/// Removes all records of a bucket page and its link to the next.
pub(crate) fn clear(arena: &mut Arena, id: PageId, geometry: &Geometry) {
    let page = arena.page(id);
    let bucket = Bucket { page, geometry };
    let (depth, groups) = (bucket.depth(), bucket.groups());
    let tags_end = BUCKET_HEADER_BYTES + groups * GROUP_SLOTS;
    let page = arena.page_mut(id, line_mask(0, tags_end));
    page.0[..tags_end].fill(0);
    format(page, geometry, depth, Some(groups));
}

/// Writes everything of a record but its value; the caller has marked `spot.mask()`.
pub(crate) fn insert(page: &mut Page, geometry: &Geometry, spot: &Spot, hash: KeyHash, key: &[u8]) {
    let bucket = Bucket { page, geometry };
    let (count, deleted) = (bucket.count(), bucket.deleted_count());
    let offset_at = bucket.offset_at(spot.slot);
    page.0[BUCKET_HEADER_BYTES + spot.slot] = tags::tag_of(hash);
    put_u16(page, COUNT_AT, count + 1);
    put_u16(page, DELETED_AT, deleted - usize::from(spot.reused));
    page.put(spot.key_at, key);
    if geometry.fixed.is_none() {
        put_u16(page, offset_at, spot.record_at);
        put_u16(page, HEAP_AT, spot.record_at);
        put_u16(page, spot.record_at, key.len());
        put_u16(page, spot.record_at + 2, spot.length);
    }
}

/// Lines that the removal of a slot's record writes.
pub(crate) fn remove_mask(slot: usize) -> u64 {
    line_mask(0, BUCKET_HEADER_BYTES) | line_mask(BUCKET_HEADER_BYTES + slot, 1)
}

/// Removes a slot's record; the caller has marked `remove_mask(slot)`.
pub(crate) fn remove(page: &mut Page, geometry: &Geometry, slot: usize) {
    let bucket = Bucket { page, geometry };
    let count = bucket.count() - 1;
    let group = bucket.tag_group(slot / GROUP_SLOTS);
    // A probe that reached this group would have ended here anyway if the group has an empty tag.
    let ends_probe = tags::matches(&group, tags::EMPTY) != 0;
    let deleted = bucket.deleted_count() + usize::from(!ends_probe);
    let garbage = match &geometry.fixed {
        Some(_) => 0,
        None => {
            let (key, form) = bucket.slotted_lengths(bucket.record_at(slot));
            bucket.garbage_bytes() + geometry.record_bytes(key, form.stored_bytes())
        }
    };
    page.0[BUCKET_HEADER_BYTES + slot] = if ends_probe {
        tags::EMPTY
    } else {
        tags::DELETED
    };
    put_u16(page, COUNT_AT, count);
    put_u16(page, DELETED_AT, deleted);
    put_u16(page, GARBAGE_AT, garbage);
}

/// Links an overflow page; the caller has marked line 0.
pub(crate) fn set_next(page: &mut Page, next: Option<PageId>) {
    let next = next.unwrap_or(PageId::SUPERBLOCK);
    page.put(NEXT_AT, &next.0.to_le_bytes());
}

/// Copies a slot's record into a page under construction, which has room for it.
pub(crate) fn copy_record(target: &mut Page, source: Bucket<'_>, slot: usize, hash: KeyHash) {
    let geometry = source.geometry;
    let (key, (form, range)) = (source.key(slot), source.stored(slot));
    let bucket = Bucket {
        page: target,
        geometry,
    };
    let Fit::Here(spot) = bucket.fit(hash, key.len(), form) else {
        unreachable!("a page under construction holds a part of one page's records");
    };
    insert(target, geometry, &spot, hash, key);
    target.put(spot.value_at, &source.page.0[range]);
}

#[inline]
fn put_u16(page: &mut Page, offset: usize, value: usize) {
    let value = u16::try_from(value).expect("offsets, counts and lengths in a page have two bytes");
    page.put(offset, &value.to_le_bytes());
}

/// Equality of keys; short ones without a call.
#[inline]
fn bytes_equal(a: &[u8], b: &[u8]) -> bool {
    if let (Ok(a), Ok(b)) = (a.try_into(), b.try_into()) {
        return u64::from_le_bytes(a) == u64::from_le_bytes(b);
    }
    if a.len() != b.len() {
        return false;
    }
    // First and last word overlap where the length lies between one word and two.
    if let (Some((a_first, _)), Some((b_first, _))) = (a.split_first_chunk(), b.split_first_chunk())
        && let (Some((_, a_last)), Some((_, b_last))) = (a.split_last_chunk(), b.split_last_chunk())
        && a.len() <= 16
    {
        return u64::from_le_bytes(*a_first) == u64::from_le_bytes(*b_first)
            && u64::from_le_bytes(*a_last) == u64::from_le_bytes(*b_last);
    }
    a == b
}
