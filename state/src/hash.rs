//! From key bytes to hash, key group and shard; all of it is part of the format.
//!
//! Bits of a hash, from the top: key group (as many bits as the job's group count needs), directory
//! path, and at the low end home slot group (16 bits) and tag (7 bits). Paths stop at
//! [`PATH_BITS_END`], before the low fields.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_inline};

use crate::key::Key;

/// Identifies the hash function in manifests: rapidhash V3 over canonical key bytes.
pub const HASH_ID: u32 = 1;
/// Seed of the hash function, recorded in manifests.
pub const HASH_SEED: u64 = 0x4652_415a_494c_0001;

/// Group and path bits together never reach below this many bits from the top. Unit tests stop
/// early, so that they reach overflow chains.
pub(crate) const PATH_BITS_END: u32 = if cfg!(test) { 17 } else { 40 };

/// Most key groups that a job can have.
pub const KEY_GROUPS_MAX: u32 = 1 << 15;

static SECRETS: RapidSecrets = RapidSecrets::seed_cpp(HASH_SEED);

/// Hash of a key's canonical bytes, computed once and carried with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub u64);

/// Hashes a key.
///
/// ```
/// use frazil_state::hash_key;
/// assert_eq!(hash_key("ice"), hash_key(&String::from("ice")));
/// ```
///
/// # Cost
/// A few ns for short keys; does not allocate.
#[inline]
pub fn hash_key<K: Key + ?Sized>(key: &K) -> KeyHash {
    key.with_bytes(hash_bytes)
}

/// Hashes canonical key bytes.
#[inline]
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> KeyHash {
    KeyHash(rapidhash_v3_inline::<true, false, false>(bytes, &SECRETS))
}

/// The job's key groups: the smallest units of state that move between shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroups {
    bits: u32,
}

impl KeyGroups {
    /// Key groups of a job; `count` is fixed when the job first runs.
    ///
    /// # Panics
    /// If `count` is not a power of two from 1 to 32768.
    #[must_use]
    pub fn new(count: u32) -> Self {
        assert!(
            count.is_power_of_two() && count <= KEY_GROUPS_MAX,
            "key group count must be a power of two from 1 to {KEY_GROUPS_MAX}, found {count}"
        );
        Self {
            bits: count.trailing_zeros(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u32 {
        1 << self.bits
    }

    /// The group of a key.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 15 bits are left")]
    pub fn group_of(self, hash: KeyHash) -> u32 {
        // Shifting by 64 is undefined for zero bits, so the shift is split.
        ((hash.0 >> 1) >> (63 - self.bits)) as u32
    }

    /// Directory path of a key: the hash bits after the group, moved to the top.
    #[inline]
    pub(crate) fn path_of(self, hash: KeyHash) -> u64 {
        hash.0 << self.bits
    }

    /// Directory bits that may be consumed before equal paths chain.
    pub(crate) fn path_bits_max(self) -> u32 {
        PATH_BITS_END - self.bits
    }

    /// The shard that owns a key's group when `shard_count` shards run: contiguous ranges.
    #[inline]
    #[must_use]
    pub fn shard_of(self, hash: KeyHash, shard_count: usize) -> usize {
        (self.group_of(hash) as usize * shard_count) >> self.bits
    }

    /// The groups that `shard` of `shard_count` owns, as (first, length).
    #[must_use]
    pub fn range_of(self, shard: usize, shard_count: usize) -> (u32, u32) {
        assert!(
            shard < shard_count && shard_count <= self.count() as usize,
            "shard={shard} of shard_count={shard_count} with {} key groups",
            self.count()
        );
        let begin = |shard: usize| {
            let begin = (shard << self.bits).div_ceil(shard_count);
            u32::try_from(begin).expect("at most the group count")
        };
        (begin(shard), begin(shard + 1) - begin(shard))
    }
}

impl Default for KeyGroups {
    /// 128 groups.
    fn default() -> Self {
        Self::new(128)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_belongs_to_the_shard_whose_range_holds_it() {
        for bits in [0, 3, 7, 15] {
            let groups = KeyGroups::new(1 << bits);
            for shard_count in 1..=(groups.count() as usize).min(65) {
                let mut next = 0;
                for shard in 0..shard_count {
                    let (first, length) = groups.range_of(shard, shard_count);
                    assert_eq!(first, next);
                    next = first + length;
                    for group in first..next {
                        let hash = KeyHash((u64::from(group) << 1) << (63 - bits));
                        assert_eq!(groups.group_of(hash), group);
                        assert_eq!(groups.shard_of(hash, shard_count), shard);
                    }
                }
                assert_eq!(next, groups.count());
            }
        }
    }

    #[test]
    fn hash_of_known_keys_never_changes() {
        // Part of format version 1: a change here makes every existing checkpoint unreadable.
        let found: Vec<u64> = ["", "a", "frazil", "a key that is longer than sixteen bytes"]
            .iter()
            .map(|key| hash_key(*key).0)
            .collect();
        assert_eq!(found, KNOWN_HASHES);
    }

    const KNOWN_HASHES: [u64; 4] = [
        10_851_300_145_144_367_130,
        14_121_796_045_269_799_247,
        15_312_171_595_816_763_845,
        3_242_277_869_830_463_609,
    ];
}
