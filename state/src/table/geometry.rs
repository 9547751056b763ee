//! Where records lie in a table's buckets.
//!
//! A table whose keys and values all have one length gets a *fixed* geometry: slot i at a computed
//! place. Otherwise records are *slotted*: a `u16` offset per slot, records in a heap that grows
//! down from the page's end.

use super::tags;
use crate::hash::KeyHash;
use crate::key::KEY_BYTES_MAX;
use crate::page::{LINE_BYTES, PAGE_BYTES, align_up, line_mask};
use crate::runs::RUN_REFERENCE_BYTES;

/// Bytes of a bucket's header; tags follow.
pub(crate) const BUCKET_HEADER_BYTES: usize = 16;
/// Slots that share one tag group.
pub(crate) const GROUP_SLOTS: usize = 16;
/// Bytes in front of a slotted record: key length and value length, `u16` each.
pub(crate) const RECORD_HEADER_BYTES: usize = 4;
/// Largest slotted record; a larger value goes into a run. Two fit into a bucket beside the
/// smallest tag and offset arrays.
pub(crate) const RECORD_BYTES_MAX: usize = 1984;
const _: () = assert!(
    RECORD_HEADER_BYTES + KEY_BYTES_MAX + 16 + RUN_REFERENCE_BYTES <= RECORD_BYTES_MAX,
    "the longest key and a reference fit"
);

/// Value length that says: the value lies in a page run, and the record holds the reference.
pub(crate) const LENGTH_IN_RUN: usize = u16::MAX as usize;

/// How a record keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueForm {
    /// Beside the key, in so many bytes.
    InPage(usize),
    /// In a page run.
    InRun,
}

impl ValueForm {
    /// Bytes that the record takes for the value.
    #[inline]
    pub(crate) fn stored_bytes(self) -> usize {
        match self {
            Self::InPage(bytes) => bytes,
            Self::InRun => RUN_REFERENCE_BYTES,
        }
    }

    #[inline]
    pub(crate) fn to_length(self) -> usize {
        match self {
            Self::InPage(bytes) => bytes,
            Self::InRun => LENGTH_IN_RUN,
        }
    }

    #[inline]
    pub(crate) fn from_length(length: usize) -> Self {
        match length {
            LENGTH_IN_RUN => Self::InRun,
            bytes => Self::InPage(bytes),
        }
    }
}

/// Shape of a table's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) key_bytes: Option<usize>,
    pub(crate) value_bytes: Option<usize>,
    pub(crate) value_align: usize,
    /// Present where key and value have fixed lengths that leave at least two slots a page.
    pub(crate) fixed: Option<FixedSlots>,
}

/// A fixed geometry, computed once a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedSlots {
    pub(crate) stride: usize,
    pub(crate) slots_at: usize,
    pub(crate) capacity: usize,
    pub(crate) groups: usize,
    pub(crate) value_at: usize,
    /// Whether each slot's value lies in one line.
    pub(crate) has_one_line_values: bool,
}

impl Geometry {
    /// # Panics
    /// If the alignment is no power of two up to 16: rkyv archives have no larger one.
    pub(crate) const fn new(
        key_bytes: Option<usize>,
        value_bytes: Option<usize>,
        value_align: usize,
    ) -> Self {
        assert!(
            value_align.is_power_of_two() && value_align <= 16,
            "the alignment of values is a power of two up to 16"
        );
        // A length that a descriptor's two bytes cannot say counts as any length.
        let value_bytes = match value_bytes {
            Some(bytes) if bytes < LENGTH_IN_RUN => Some(bytes),
            _ => None,
        };
        let fixed = match (key_bytes, value_bytes) {
            (Some(key), Some(value)) => FixedSlots::new(key, value, value_align),
            _ => None,
        };
        Self {
            key_bytes,
            value_bytes,
            value_align,
            fixed,
        }
    }

    /// Bytes that a slotted record takes in the heap.
    pub(crate) fn record_bytes(&self, key_bytes: usize, value_bytes: usize) -> usize {
        align_up(
            self.slotted_value_at(key_bytes) + value_bytes,
            self.record_align(),
        )
    }

    /// How a record with this key keeps a value of this length.
    #[inline]
    pub(crate) fn form(&self, key_bytes: usize, value_bytes: usize) -> ValueForm {
        if self.fixed.is_some() || self.record_bytes(key_bytes, value_bytes) <= RECORD_BYTES_MAX {
            ValueForm::InPage(value_bytes)
        } else {
            ValueForm::InRun
        }
    }

    /// Offset of the value, or of the reference to it, in a slotted record.
    #[inline]
    pub(crate) fn slotted_value_at(&self, key_bytes: usize) -> usize {
        align_up(RECORD_HEADER_BYTES + key_bytes, self.value_align)
    }

    /// Line to load first for a hash: its home tag group where the number of groups is known, else
    /// the header.
    #[inline]
    pub(crate) fn likely_tags_at(&self, hash: KeyHash) -> usize {
        match &self.fixed {
            Some(fixed) => BUCKET_HEADER_BYTES + tags::home_group(hash, fixed.groups) * GROUP_SLOTS,
            None => 0,
        }
    }

    /// Lines of a value of `length` bytes, at least 1, at `at` in the page.
    #[inline]
    pub(crate) fn value_mask(&self, at: usize, length: usize) -> u64 {
        match &self.fixed {
            Some(fixed) if fixed.has_one_line_values => 1 << (at / LINE_BYTES),
            _ => line_mask(at, length),
        }
    }

    /// Slotted records begin at multiples of this, so that an aligned offset inside stays aligned.
    pub(crate) fn record_align(&self) -> usize {
        self.value_align.max(2)
    }
}

impl FixedSlots {
    const fn new(key_bytes: usize, value_bytes: usize, value_align: usize) -> Option<Self> {
        let value_at = align_up(key_bytes, value_align);
        let mut stride = align_up(value_at + value_bytes, value_align);
        if stride == 0 {
            stride = value_align;
        }
        // Records of whole lines start at lines, so that an update dirties as few as it can.
        let align = if stride.is_multiple_of(LINE_BYTES) {
            LINE_BYTES
        } else {
            value_align
        };
        let mut capacity = (PAGE_BYTES - BUCKET_HEADER_BYTES) / (stride + 1);
        while capacity >= 2 && slots_at(capacity, align) + capacity * stride > PAGE_BYTES {
            capacity -= 1;
        }
        if capacity < 2 {
            return None;
        }
        let slots_at = slots_at(capacity, align);
        let mut has_one_line_values = true;
        let mut slot = 0;
        while slot < capacity {
            let at = slots_at + slot * stride + value_at;
            has_one_line_values &= at % LINE_BYTES + value_bytes <= LINE_BYTES;
            slot += 1;
        }
        Some(Self {
            stride,
            slots_at,
            capacity,
            groups: capacity.div_ceil(GROUP_SLOTS),
            value_at,
            has_one_line_values,
        })
    }
}

/// Where the slots of a bucket with this capacity begin.
const fn slots_at(capacity: usize, align: usize) -> usize {
    let tags = capacity.div_ceil(GROUP_SLOTS) * GROUP_SLOTS;
    align_up(BUCKET_HEADER_BYTES + tags, align)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_slots_stay_inside_the_page_and_aligned() {
        for key in 0..200 {
            for value in 0..300 {
                for align in [1, 2, 4, 8, 16] {
                    let geometry = Geometry::new(Some(key), Some(value), align);
                    let Some(fixed) = geometry.fixed else {
                        continue;
                    };
                    assert!(fixed.slots_at >= BUCKET_HEADER_BYTES + fixed.groups * GROUP_SLOTS);
                    assert!(fixed.slots_at + fixed.capacity * fixed.stride <= PAGE_BYTES);
                    assert_eq!((fixed.slots_at + fixed.value_at) % align, 0);
                    assert_eq!(fixed.stride % align, 0);
                    if value > 0 {
                        let at = fixed.slots_at + fixed.value_at;
                        for at in (0..fixed.capacity).map(|slot| at + slot * fixed.stride) {
                            assert_eq!(geometry.value_mask(at, value), line_mask(at, value));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_64_byte_record_lies_in_one_line() {
        let fixed = Geometry::new(Some(8), Some(56), 8).fixed.expect("fits");
        assert_eq!((fixed.stride, fixed.slots_at % LINE_BYTES), (64, 0));
    }
}
