//! Where records lie in a table's buckets.
//!
//! A table whose keys and values all have one length gets a *fixed* geometry: slot i at a computed
//! place. Otherwise records are *slotted*: a `u16` offset per slot, records in a heap that grows
//! down from the page's end.

use super::tags;
use crate::hash::KeyHash;
use crate::key::KEY_BYTES_MAX;
use crate::page::{LINE_BYTES, PAGE_BYTES, align_up};
use crate::runs::RUN_REFERENCE_BYTES;

/// Bytes of a bucket's header; tags follow.
pub(crate) const BUCKET_HEADER_BYTES: usize = 16;
/// Slots that share one tag group.
pub(crate) const GROUP_SLOTS: usize = 16;
/// Bytes in front of a slotted record: key length and value length, `u16` each.
pub(crate) const RECORD_HEADER_BYTES: usize = 4;
/// Largest slotted record; a larger value goes into a run. Two fit into a bucket beside the smallest
/// tag and offset arrays.
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
}

impl Geometry {
    /// # Panics
    /// If the alignment is no power of two up to 16: rkyv archives have no larger one.
    pub(crate) fn new(
        key_bytes: Option<usize>,
        value_bytes: Option<usize>,
        value_align: usize,
    ) -> Self {
        assert!(
            value_align.is_power_of_two() && value_align <= 16,
            "value_align={value_align}, expected a power of two up to 16"
        );
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

    /// Slotted records begin at multiples of this, so that an aligned offset inside stays aligned.
    pub(crate) fn record_align(&self) -> usize {
        self.value_align.max(2)
    }
}

impl FixedSlots {
    fn new(key_bytes: usize, value_bytes: usize, value_align: usize) -> Option<Self> {
        let value_at = align_up(key_bytes, value_align);
        let stride = align_up(value_at + value_bytes, value_align).max(value_align);
        // Records of whole lines start at lines, so that an update dirties as few as it can.
        let align = if stride.is_multiple_of(LINE_BYTES) {
            LINE_BYTES
        } else {
            value_align
        };
        let slots_at = |capacity: usize| {
            let tags = capacity.div_ceil(GROUP_SLOTS) * GROUP_SLOTS;
            align_up(BUCKET_HEADER_BYTES + tags, align)
        };
        let mut capacity = (PAGE_BYTES - BUCKET_HEADER_BYTES) / (stride + 1);
        while capacity >= 2 && slots_at(capacity) + capacity * stride > PAGE_BYTES {
            capacity -= 1;
        }
        (capacity >= 2).then(|| Self {
            stride,
            slots_at: slots_at(capacity),
            capacity,
            groups: capacity.div_ceil(GROUP_SLOTS),
            value_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_slots_stay_inside_the_page_and_aligned() {
        for key in 0..200 {
            for value in 0..300 {
                for align in [1, 2, 4, 8, 16] {
                    let Some(fixed) = Geometry::new(Some(key), Some(value), align).fixed else {
                        continue;
                    };
                    assert!(fixed.slots_at >= BUCKET_HEADER_BYTES + fixed.groups * GROUP_SLOTS);
                    assert!(fixed.slots_at + fixed.capacity * fixed.stride <= PAGE_BYTES);
                    assert_eq!((fixed.slots_at + fixed.value_at) % align, 0);
                    assert_eq!(fixed.stride % align, 0);
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
