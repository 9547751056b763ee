//! Tag bytes: one per slot, matched sixteen at a time.
//!
//! Bit 7 set = a record, with seven hash bits; clear = one of the marks below. A zeroed page is an
//! empty bucket.

use wide::u8x16;

use super::geometry::GROUP_SLOTS;
use crate::hash::KeyHash;

/// Never used since the bucket was built: a probe ends here.
pub(crate) const EMPTY: u8 = 0;
/// Removed: a probe goes on.
pub(crate) const DELETED: u8 = 1;
/// No slot behind this tag: the last group of a fixed geometry may be short.
pub(crate) const ABSENT: u8 = 2;
const RECORD: u8 = 0x80;

/// Tag of a record: the seven low hash bits.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low seven bits are meant"
)]
pub(crate) fn tag_of(hash: KeyHash) -> u8 {
    RECORD | (hash.0 as u8)
}

/// Group where a probe starts, from 16 hash bits above the tag.
#[inline]
pub(crate) fn home_group(hash: KeyHash, groups: usize) -> usize {
    ((((hash.0 >> 7) & 0xffff) as usize) * groups) >> 16
}

/// True for the tag of a record.
#[inline]
pub(crate) fn is_record(tag: u8) -> bool {
    tag & RECORD != 0
}

/// One bit for each of the sixteen tags that equals `tag`.
///
/// A plain loop was tried first: the compiler turns it into a chain of shuffles, four times the
/// work.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "sixteen lanes give sixteen bits"
)]
pub(crate) fn matches(tags: &[u8; GROUP_SLOTS], tag: u8) -> u16 {
    u8x16::new(*tags).simd_eq(u8x16::splat(tag)).to_bitmask() as u16
}

/// The positions of the set bits, rising.
#[inline]
pub(crate) fn positions(mut mask: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let first = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            first
        })
    })
}
