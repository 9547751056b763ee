//! One page of a tree, read: leaf or branch, slotted and sorted.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | kind |
//! | 1 | 1 | level: 0 = leaf, else branch |
//! | 2 | 2 | entries |
//! | 4 | 2 | start of the heap |
//! | 6 | 2 | garbage bytes in the heap |
//! | 8 | 2 | common: leading bytes that all compared keys share |
//! | 10 | 2 | entries with their values in runs |
//! | 16 | 6 each | slots in key order: record offset `u16`, head `[u8; 4]` |
//! | heap | | records, growing down from the page's end |
//!
//! A record is key length `u16` (where keys vary), value length `u16` (where values vary), key,
//! padding to the value's alignment, value. Value length `ffff` says that the value lies in a page
//! run and the record holds the 8-byte reference. A slot's head is the key's four bytes behind the
//! common ones, so that a search reads records only where heads tie. A branch's value is a child
//! page `u32`; child i holds the keys from key i up to key i + 1. The key of a branch's entry 0 is
//! never compared: the page above bounds it.
//!
//! `16 + 6 * entries <= heap start <= 4096`; `garbage + bytes of all records = 4096 - heap start`.

use std::ops::Range;

use crate::key::KEY_BYTES_MAX;
use crate::page::{PAGE_BYTES, Page, PageId, align_up};
use crate::runs::RUN_REFERENCE_BYTES;
use crate::table::{Geometry, ValueForm};

pub(super) const LEVEL_AT: usize = 1;
pub(super) const COUNT_AT: usize = 2;
pub(super) const HEAP_AT: usize = 4;
pub(super) const GARBAGE_AT: usize = 6;
pub(super) const COMMON_AT: usize = 8;
pub(super) const RUNS_AT: usize = 10;
pub(super) const SLOTS_AT: usize = 16;
pub(super) const SLOT_BYTES: usize = 6;
pub(super) const HEAD_BYTES: usize = 4;
const LENGTH_BYTES: usize = 2;

/// Bytes of a page for slots and records.
pub(super) const CAPACITY_BYTES: usize = PAGE_BYTES - SLOTS_AT;
/// Largest record: whatever a full page holds, its records and one more fit into two pages.
pub(super) const RECORD_BYTES_MAX: usize = 1984;
const _: () = assert!(2 * (RECORD_BYTES_MAX + SLOT_BYTES) <= CAPACITY_BYTES);
const _: () = assert!(
    2 * LENGTH_BYTES + KEY_BYTES_MAX + 16 + RUN_REFERENCE_BYTES <= RECORD_BYTES_MAX,
    "the longest key and a reference fit"
);

/// Lengths and alignment of a tree's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of every key where it is the same for all.
    key_bytes: Option<usize>,
    /// Length of every value where it is the same for all.
    value_bytes: Option<usize>,
    value_align: usize,
    /// First entry whose key is compared.
    pub(super) first_compared: usize,
}

/// Shape of branch pages.
pub(super) static BRANCH: Shape = Shape {
    key_bytes: None,
    value_bytes: Some(size_of::<u32>()),
    value_align: 1,
    first_compared: 1,
};

impl Shape {
    /// Shape of a table's leaves. Values of one length that might not fit beside the longest key
    /// are kept like those of varying length.
    pub(super) fn leaf(geometry: &Geometry) -> Self {
        let shape = |value_bytes| Self {
            key_bytes: geometry.key_bytes,
            value_bytes,
            value_align: geometry.value_align,
            first_compared: 0,
        };
        let fixed = shape(geometry.value_bytes);
        let key_bytes_max = geometry.key_bytes.unwrap_or(KEY_BYTES_MAX);
        match geometry.value_bytes {
            Some(value_bytes)
                if fixed.record_bytes(key_bytes_max, value_bytes) > RECORD_BYTES_MAX =>
            {
                shape(None)
            }
            _ => fixed,
        }
    }

    /// Shape of the pages of a level.
    #[inline]
    pub(super) fn at_level(&self, level: usize) -> &Self {
        if level == 0 { self } else { &BRANCH }
    }

    /// How an entry keeps a value.
    #[inline]
    pub(super) fn form(&self, key_bytes: usize, value_bytes: usize) -> ValueForm {
        let is_fixed = self.value_bytes.is_some();
        if is_fixed || self.record_bytes(key_bytes, value_bytes) <= RECORD_BYTES_MAX {
            ValueForm::InPage(value_bytes)
        } else {
            ValueForm::InRun
        }
    }

    /// Offset of the value's length in a record, where values vary.
    #[inline]
    pub(super) fn value_length_at(&self) -> Option<usize> {
        self.value_bytes.is_none().then_some(match self.key_bytes {
            None => LENGTH_BYTES,
            Some(_) => 0,
        })
    }

    #[inline]
    pub(super) fn has_key_length(&self) -> bool {
        self.key_bytes.is_none()
    }

    /// Offset of the key in a record.
    #[inline]
    pub(super) fn key_at(&self) -> usize {
        LENGTH_BYTES
            * (usize::from(self.key_bytes.is_none()) + usize::from(self.value_bytes.is_none()))
    }

    /// Offset of the value in a record.
    #[inline]
    pub(super) fn value_at(&self, key_bytes: usize) -> usize {
        align_up(self.key_at() + key_bytes, self.value_align)
    }

    /// Bytes of a record; all records begin at multiples of the alignment.
    #[inline]
    pub(super) fn record_bytes(&self, key_bytes: usize, value_bytes: usize) -> usize {
        align_up(self.value_at(key_bytes) + value_bytes, self.value_align)
    }

    pub(super) fn record_align(&self) -> usize {
        self.value_align
    }
}

/// An entry as it stands in a page or on its way into one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) form: ValueForm,
    /// The value, or the reference to its run.
    pub(super) stored: &'a [u8],
}

impl<'a> Entry<'a> {
    /// An entry with its value beside the key.
    pub(super) fn in_page(key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            key,
            form: ValueForm::InPage(value.len()),
            stored: value,
        }
    }

    /// Bytes that the entry takes in a page.
    pub(super) fn bytes(&self, shape: &Shape) -> usize {
        SLOT_BYTES + shape.record_bytes(self.key.len(), self.stored.len())
    }
}

/// A page seen through its shape.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) page: &'a Page,
    pub(super) shape: &'a Shape,
}

impl<'a> Node<'a> {
    #[inline]
    pub(super) fn count(&self) -> usize {
        usize::from(self.page.u16_at(COUNT_AT))
    }

    #[inline]
    pub(super) fn heap_start(&self) -> usize {
        usize::from(self.page.u16_at(HEAP_AT))
    }

    /// Entries with their values in runs.
    pub(super) fn run_count(&self) -> usize {
        usize::from(self.page.u16_at(RUNS_AT))
    }

    pub(super) fn garbage_bytes(&self) -> usize {
        usize::from(self.page.u16_at(GARBAGE_AT))
    }

    #[inline]
    pub(super) fn common(&self) -> usize {
        usize::from(self.page.u16_at(COMMON_AT))
    }

    /// Bytes that entries take: slots and records.
    pub(super) fn used_bytes(&self) -> usize {
        self.count() * SLOT_BYTES + PAGE_BYTES - self.heap_start() - self.garbage_bytes()
    }

    /// Bytes between the slots and the heap.
    pub(super) fn room(&self) -> usize {
        self.heap_start() - slot_at(self.count())
    }

    #[inline]
    pub(super) fn record_at(&self, index: usize) -> usize {
        usize::from(self.page.u16_at(slot_at(index)))
    }

    #[inline]
    pub(super) fn head(&self, index: usize) -> u32 {
        u32::from_be_bytes(self.page.array_at(slot_at(index) + 2))
    }

    #[inline]
    pub(super) fn key(&self, index: usize) -> &'a [u8] {
        let at = self.record_at(index);
        self.page
            .bytes_at(at + self.shape.key_at(), self.key_bytes(at))
    }

    #[inline]
    pub(super) fn key_bytes(&self, record_at: usize) -> usize {
        match self.shape.key_bytes {
            Some(bytes) => bytes,
            None => usize::from(self.page.u16_at(record_at)),
        }
    }

    /// How the entry keeps its value, and where in the page that, or the reference to it, lies.
    #[inline]
    pub(super) fn stored(&self, index: usize) -> (ValueForm, Range<usize>) {
        let at = self.record_at(index);
        let begin = at + self.shape.value_at(self.key_bytes(at));
        let form = self.form(at);
        (form, begin..begin + form.stored_bytes())
    }

    #[inline]
    pub(super) fn form(&self, record_at: usize) -> ValueForm {
        match (self.shape.value_bytes, self.shape.value_length_at()) {
            (None, Some(at)) => {
                ValueForm::from_length(usize::from(self.page.u16_at(record_at + at)))
            }
            (bytes, _) => ValueForm::InPage(bytes.unwrap_or(0)),
        }
    }

    /// An entry as it is stored.
    pub(super) fn entry(&self, index: usize) -> Entry<'a> {
        let (form, range) = self.stored(index);
        Entry {
            key: self.key(index),
            form,
            stored: &self.page.0[range],
        }
    }

    /// What an entry holds of its run, if its value lies in one.
    pub(super) fn run_reference(&self, index: usize) -> Option<[u8; RUN_REFERENCE_BYTES]> {
        let (form, range) = self.stored(index);
        (form == ValueForm::InRun).then(|| self.page.array_at(range.start))
    }

    /// Bytes of the record of an entry.
    pub(super) fn record_bytes(&self, index: usize) -> usize {
        let at = self.record_at(index);
        self.shape
            .record_bytes(self.key_bytes(at), self.form(at).stored_bytes())
    }

    /// Child page of a branch's entry.
    #[inline]
    pub(super) fn child(&self, index: usize) -> PageId {
        PageId(self.page.u32_at(self.stored(index).1.start))
    }

    /// Index of the entry with this key, or where it would stand.
    ///
    /// # Cost
    /// A binary search over heads, and one record read for the common bytes, one for the tie.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let (first, end) = (self.shape.first_compared, self.count());
        if end <= first {
            return Err(first.min(end));
        }
        let common = self.common();
        let shared = &self.key(first)[..common];
        match key[..common.min(key.len())].cmp(shared) {
            std::cmp::Ordering::Less => return Err(first),
            std::cmp::Ordering::Greater => return Err(end),
            std::cmp::Ordering::Equal => {}
        }
        let rest = &key[common..];
        let head = head_of(rest);
        let mut low = self.first_head(first, end, |found| found >= head);
        let mut high = end;
        let mut is_bounded = false;
        while low < high && (is_bounded || self.head(low) == head) {
            // Mostly the first look decides; the bound for a search among ties is found after it.
            let middle = if is_bounded {
                low + (high - low) / 2
            } else {
                low
            };
            match self.key(middle)[common..].cmp(rest) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
            if !is_bounded {
                high = high.min(self.first_head(low, high.max(low), |found| found > head));
                is_bounded = true;
            }
        }
        Err(low)
    }

    /// Index of the entry with this key in a leaf.
    ///
    /// # Cost
    /// As [`Node::search`], but the common bytes are compared with the record that is found only.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let end = self.count();
        let head = head_of(key.get(self.common()..)?);
        let low = self.first_head(0, end, |found| found >= head);
        if low == end || self.head(low) != head {
            return None;
        }
        // Mostly heads differ; where they tie, the search compares whole keys.
        if self.key(low) == key {
            return Some(low);
        }
        self.search(key).ok()
    }

    /// First slot of a range whose head is `wanted`; slots before it are not.
    #[inline]
    fn first_head(&self, mut low: usize, high: usize, wanted: impl Fn(u32) -> bool) -> usize {
        let mut length = high - low;
        while length > 1 {
            let half = length / 2;
            // Written so that it compiles to a conditional move: the way is a coin toss.
            low = if wanted(self.head(low + half - 1)) {
                low
            } else {
                low + half
            };
            length -= half;
        }
        low + usize::from(length == 1 && !wanted(self.head(low)))
    }

    /// The child that holds a key.
    #[inline]
    pub(super) fn child_index(&self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(index) => index,
            Err(index) => index - 1,
        }
    }
}

#[inline]
pub(super) fn slot_at(index: usize) -> usize {
    SLOTS_AT + index * SLOT_BYTES
}

/// First four bytes as a number that keeps their order; bytes that are not there count as zero.
#[inline]
pub(super) fn head_of(bytes: &[u8]) -> u32 {
    if let Some(head) = bytes.first_chunk::<HEAD_BYTES>() {
        return u32::from_be_bytes(*head);
    }
    let mut head = [0; HEAD_BYTES];
    head[..bytes.len()].copy_from_slice(bytes);
    u32::from_be_bytes(head)
}

/// Leading bytes that two keys share.
pub(super) fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
