//! The order of keys that come one at a time.

/// The position behind `position`, once `value` is known: counts are far below 2^63, so this adds
/// one, but the processor cannot begin the next access before this one's value has come.
#[inline]
pub(super) fn next_position(position: u64, value: u64) -> u64 {
    position + 1 + (value >> 63)
}
