//! Uniform keys by position, the same in every process.

/// The keys of an endless sequence: each key below the bound once, in order, then uniform ones.
///
/// The first part populates a state, whatever it is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    key_count: u64,
}

impl Keys {
    /// Keys from 0 to below `key_count`.
    ///
    /// # Panics
    ///
    /// If `key_count` is zero.
    #[must_use]
    pub fn new(key_count: u64) -> Self {
        assert!(key_count > 0, "work needs at least one key");
        Self { key_count }
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(self) -> u64 {
        self.key_count
    }

    /// The key at `position`.
    #[inline]
    #[must_use]
    pub fn at(self, position: u64) -> u64 {
        if position < self.key_count {
            return position;
        }
        let product = u128::from(mixed(position)) * u128::from(self.key_count);
        u64::try_from(product >> 64).expect("the upper half of 128 bits")
    }
}

/// Splitmix64: every bit of the result depends on every bit of `position`.
#[inline]
pub(super) fn mixed(position: u64) -> u64 {
    let mut bits = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_comes_once_and_then_all_equally_often() {
        let keys = Keys::new(10);
        assert!((0..10).all(|position| keys.at(position) == position));
        let mut counts = [0; 10];
        for position in 10..100_010 {
            counts[usize::try_from(keys.at(position)).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
    }
}
