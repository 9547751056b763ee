//! How many pieces a source is cut into, and the bytes of positions.

/// Splits that an input is cut into at least.
const SPLIT_COUNT_MIN: usize = 8;

/// The smallest multiple of the number of shards that is at least 8: every shard gets equally many.
///
/// A checkpoint fixes the splits. Eight of them can later be read by up to eight shards, evenly by
/// 1, 2, 4 or 8, so a job that began on a small machine need not stay small.
pub(super) fn split_count(shard_count: usize) -> usize {
    SPLIT_COUNT_MIN.next_multiple_of(shard_count)
}

/// Appends numbers as fixed little-endian bytes.
pub(super) fn encode(numbers: &[u64], bytes: &mut Vec<u8>) {
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

/// The numbers that [`encode`] wrote, if there are exactly `COUNT`.
pub(super) fn decode<const COUNT: usize>(bytes: &[u8]) -> Option<[u64; COUNT]> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    let numbers: [[u8; 8]; COUNT] = numbers.try_into().ok()?;
    Some(numbers.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_gets_equally_many_of_at_least_eight_splits() {
        let counts = [1, 2, 3, 4, 5, 8, 9, 16].map(split_count);
        assert_eq!(counts, [8, 8, 9, 8, 10, 8, 9, 16]);
    }

    #[test]
    fn only_whole_positions_are_decoded() {
        let mut bytes = Vec::new();
        encode(&[1, u64::MAX], &mut bytes);
        assert_eq!(decode(&bytes), Some([1, u64::MAX]));
        assert_eq!(decode::<1>(&bytes), None);
        assert_eq!(decode::<2>(&bytes[1..]), None);
    }
}
