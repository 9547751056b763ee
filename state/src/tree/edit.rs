//! One page of a tree, changed: entries put in and taken out, pages packed anew.
//!
//! Everything that changes a page in use says first which lines it will write.

use std::ops::Range;

use super::node::{
    BRANCH, CAPACITY_BYTES, COMMON_AT, COUNT_AT, Entry, GARBAGE_AT, HEAP_AT, LEVEL_AT, Node,
    RUNS_AT, SLOT_BYTES, SLOTS_AT, Shape, head_of, shared_bytes, slot_at,
};
use crate::page::{PAGE_BYTES, Page, PageId, PageKind, line_mask};
use crate::table::ValueForm;

/// What pages of a level are.
pub(super) fn kind_of(level: usize) -> PageKind {
    if level == 0 {
        PageKind::Leaf
    } else {
        PageKind::Branch
    }
}

/// Formats a page without entries.
pub(super) fn format(page: &mut Page, level: usize) {
    page.0[0] = kind_of(level) as u8;
    page.0[LEVEL_AT] = u8::try_from(level).expect("bounded by HEIGHT_MAX");
    put_u16(page, HEAP_AT, PAGE_BYTES);
}

/// How an entry will be written into a page that has room for it.
pub(super) struct Plan {
    index: usize,
    /// The entry's key is there already, with a value of another length.
    replaces: bool,
    record_at: usize,
    /// What `common` becomes; all heads are written where that is less than it was.
    common: usize,
    /// Lines that will be written.
    pub(super) mask: u64,
}

/// Plans an entry at `index`; `None` if there is no room between slots and heap.
pub(super) fn plan(node: Node<'_>, index: usize, replaces: bool, entry: Entry<'_>) -> Option<Plan> {
    let record_bytes = node.shape.record_bytes(entry.key.len(), entry.stored.len());
    let slot_bytes = if replaces { 0 } else { SLOT_BYTES };
    if node.room() < slot_bytes + record_bytes {
        return None;
    }
    let record_at = node.heap_start() - record_bytes;
    let common = if replaces {
        node.common()
    } else {
        common_with(node, index, entry.key)
    };
    let first_written = if common < node.common() { 0 } else { index };
    let slots_end = if replaces {
        index + 1
    } else {
        node.count() + 1
    };
    let slots = slot_at(slots_end) - slot_at(first_written);
    let record = line_mask(record_at, record_bytes);
    Some(Plan {
        index,
        replaces,
        record_at,
        common,
        mask: line_mask(0, SLOTS_AT) | line_mask(slot_at(first_written), slots) | record,
    })
}

/// What `common` becomes with one more key.
fn common_with(node: Node<'_>, index: usize, key: &[u8]) -> usize {
    let first = node.shape.first_compared;
    if index < first {
        return node.common();
    }
    if node.count() <= first {
        return key.len();
    }
    // Between two keys that share bytes lie only keys that share them too.
    if index > first && index < node.count() {
        return node.common();
    }
    node.common().min(shared_bytes(node.key(first), key))
}

/// Writes an entry as planned; the caller has marked the plan's lines.
pub(super) fn write(page: &mut Page, shape: &Shape, plan: &Plan, entry: Entry<'_>) {
    let node = Node { page, shape };
    let (count, common) = (node.count(), node.common());
    let garbage = node.garbage_bytes();
    let mut runs = node.run_count() + usize::from(entry.form == ValueForm::InRun);
    if plan.replaces {
        let old_bytes = node.record_bytes(plan.index);
        runs -= usize::from(node.run_reference(plan.index).is_some());
        put_u16(page, GARBAGE_AT, garbage + old_bytes);
    } else {
        let slots = slot_at(plan.index)..slot_at(count);
        page.0.copy_within(slots, slot_at(plan.index + 1));
        put_u16(page, COUNT_AT, count + 1);
    }
    put_record(page, shape, plan.record_at, entry);
    put_u16(page, HEAP_AT, plan.record_at);
    put_u16(page, COMMON_AT, plan.common);
    put_u16(page, RUNS_AT, runs);
    put_u16(page, slot_at(plan.index), plan.record_at);
    if plan.common == common {
        put_head(page, shape, plan.index);
    } else {
        put_heads(page, shape);
    }
}

fn put_record(page: &mut Page, shape: &Shape, at: usize, entry: Entry<'_>) {
    if shape.has_key_length() {
        put_u16(page, at, entry.key.len());
    }
    if let Some(length_at) = shape.value_length_at() {
        put_u16(page, at + length_at, entry.form.to_length());
    }
    page.put(at + shape.key_at(), entry.key);
    page.put(at + shape.value_at(entry.key.len()), entry.stored);
}

fn put_head(page: &mut Page, shape: &Shape, index: usize) {
    let node = Node { page, shape };
    // The key that is never compared may be shorter than what the others share.
    let rest = node.key(index).get(node.common()..).unwrap_or(&[]);
    let head = head_of(rest);
    page.put(slot_at(index) + 2, &head.to_be_bytes());
}

fn put_heads(page: &mut Page, shape: &Shape) {
    for index in 0..(Node { page, shape }).count() {
        put_head(page, shape, index);
    }
}

/// Lines that taking out the entries `begin..end` writes.
pub(super) fn removal_mask(node: Node<'_>, begin: usize, end: usize) -> u64 {
    let moved = slot_at(node.count()) - slot_at(end);
    let header = line_mask(0, SLOTS_AT);
    match moved {
        0 => header,
        bytes => header | line_mask(slot_at(begin), bytes),
    }
}

/// Takes out the entries `begin..end`; the caller has marked [`removal_mask`].
pub(super) fn remove(page: &mut Page, shape: &Shape, begin: usize, end: usize) {
    let node = Node { page, shape };
    let count = node.count();
    let freed: usize = (begin..end).map(|index| node.record_bytes(index)).sum();
    let garbage = node.garbage_bytes() + freed;
    let runs = match node.run_count() {
        0 => 0,
        count => {
            count
                - (begin..end)
                    .filter_map(|index| node.run_reference(index))
                    .count()
        }
    };
    page.0
        .copy_within(slot_at(end)..slot_at(count), slot_at(begin));
    put_u16(page, COUNT_AT, count - (end - begin));
    put_u16(page, GARBAGE_AT, garbage);
    put_u16(page, RUNS_AT, runs);
}

/// A page under construction: entries are appended in order.
pub(super) struct Packer<'a> {
    page: Page,
    shape: &'a Shape,
    count: usize,
    heap_start: usize,
    runs: usize,
}

impl<'a> Packer<'a> {
    pub(super) fn new(shape: &'a Shape, level: usize) -> Self {
        let mut page = Page::zeroed();
        format(&mut page, level);
        Self {
            page,
            shape,
            count: 0,
            heap_start: PAGE_BYTES,
            runs: 0,
        }
    }

    /// Appends an entry, for which there is room.
    pub(super) fn push(&mut self, entry: Entry<'_>) {
        // A branch's first key is never compared and takes no space.
        let key = if self.count < self.shape.first_compared {
            &[]
        } else {
            entry.key
        };
        let entry = Entry { key, ..entry };
        self.heap_start -= self.shape.record_bytes(key.len(), entry.stored.len());
        put_record(&mut self.page, self.shape, self.heap_start, entry);
        put_u16(&mut self.page, slot_at(self.count), self.heap_start);
        self.count += 1;
        self.runs += usize::from(entry.form == ValueForm::InRun);
    }

    /// The page, with heads behind all bytes that its keys share.
    pub(super) fn finish(mut self) -> Page {
        put_u16(&mut self.page, COUNT_AT, self.count);
        put_u16(&mut self.page, HEAP_AT, self.heap_start);
        put_u16(&mut self.page, RUNS_AT, self.runs);
        debug_assert!(slot_at(self.count) <= self.heap_start, "a page overflows");
        let first = self.shape.first_compared;
        if self.count > first {
            let node = Node {
                page: &self.page,
                shape: self.shape,
            };
            let common = shared_bytes(node.key(first), node.key(self.count - 1));
            put_u16(&mut self.page, COMMON_AT, common);
        }
        put_heads(&mut self.page, self.shape);
        self.page
    }
}

/// A page's entries with one more, or one in place of another.
#[derive(Clone, Copy)]
pub(super) struct WithEntry<'a> {
    pub(super) node: Node<'a>,
    pub(super) index: usize,
    pub(super) replaces: bool,
    pub(super) entry: Entry<'a>,
}

impl<'a> WithEntry<'a> {
    pub(super) fn count(&self) -> usize {
        self.node.count() + usize::from(!self.replaces)
    }

    pub(super) fn get(&self, index: usize) -> Entry<'a> {
        if index == self.index {
            return self.entry;
        }
        let moved = usize::from(index > self.index && !self.replaces);
        self.node.entry(index - moved)
    }

    /// Where the entries are to be split if one page does not hold them.
    pub(super) fn split(&self) -> Option<usize> {
        let shape = self.node.shape;
        let total: usize = (0..self.count())
            .map(|index| self.get(index).bytes(shape))
            .sum();
        (total > CAPACITY_BYTES).then(|| self.split_index(total))
    }

    /// A page with the entries of a range.
    pub(super) fn pack(&self, level: usize, range: Range<usize>) -> Page {
        let mut packer = Packer::new(self.node.shape, level);
        for index in range {
            packer.push(self.get(index));
        }
        packer.finish()
    }

    /// First entry of the right page: in the middle by bytes, or the new entry alone where it comes
    /// behind all others, so that rising keys fill their pages.
    fn split_index(&self, total: usize) -> usize {
        let last = self.count() - 1;
        if self.index == last && !self.replaces {
            return last;
        }
        let shape = self.node.shape;
        let mut left = 0;
        let mut at = 0;
        loop {
            let bytes = self.get(at).bytes(shape);
            if left + bytes > total / 2 {
                break;
            }
            left += bytes;
            at += 1;
        }
        // Where the rest does not fit, `left` is less than one record, so that it takes one more.
        at + usize::from(total - left > CAPACITY_BYTES)
    }
}

/// A branch page with two children.
pub(super) fn branch_of_two(level: usize, left: PageId, key: &[u8], right: PageId) -> Page {
    let mut packer = Packer::new(&BRANCH, level);
    for (key, child) in [(&[][..], left), (key, right)] {
        packer.push(Entry::in_page(key, &child.0.to_le_bytes()));
    }
    packer.finish()
}

#[inline]
fn put_u16(page: &mut Page, offset: usize, value: usize) {
    let value = u16::try_from(value).expect("offsets and counts in a page are at most 4096");
    page.put(offset, &value.to_le_bytes());
}
