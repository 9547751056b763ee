//! A histogram in a few buckets whose bounds grow by a fixed factor.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// How many samples lie in a range of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The smallest value in the bucket.
    pub from: u64,
    /// The largest value in the bucket.
    pub to: u64,
    /// Samples in it.
    pub count: u64,
}

/// Splits the samples into at most `bucket_count_max` adjoining buckets from the least to the
/// largest value; fewer where the values lie close together, none where there is no sample.
///
/// # Panics
///
/// If `bucket_count_max` is zero.
#[must_use]
pub fn log_buckets(histogram: &Histogram<u64>, bucket_count_max: u32) -> Vec<Bucket> {
    assert!(bucket_count_max > 0, "samples need at least one bucket");
    if histogram.is_empty() {
        return Vec::new();
    }
    let mut buckets = empty_buckets(histogram.min(), histogram.max(), bucket_count_max);
    for sample in histogram.iter_recorded() {
        let value = sample.value_iterated_to();
        let index = buckets
            .partition_point(|bucket| bucket.to < value)
            .min(buckets.len() - 1);
        buckets[index].count += sample.count_since_last_iteration();
    }
    buckets
}

fn empty_buckets(least: u64, largest: u64, bucket_count_max: u32) -> Vec<Bucket> {
    let first = least.max(1) as f64;
    let growth = (largest.max(1) as f64 / first).powf(1.0 / f64::from(bucket_count_max));
    let mut buckets = Vec::new();
    let mut from = least;
    for step in 1..=bucket_count_max {
        let bound = whole(first * growth.powf(f64::from(step)));
        let is_last = step == bucket_count_max || bound >= largest;
        let to = if is_last { largest } else { bound };
        if to >= from {
            buckets.push(Bucket { from, to, count: 0 });
        }
        if is_last {
            break;
        }
        from = from.max(to + 1);
    }
    buckets
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 ends at the largest u64"
)]
fn whole(bound: f64) -> u64 {
    bound as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        histogram
    }

    #[test]
    fn no_samples_give_no_buckets() {
        assert_eq!(log_buckets(&of(&[]), 10), []);
    }

    #[test]
    fn equal_samples_share_one_bucket() {
        let bucket = Bucket {
            from: 7,
            to: 7,
            count: 3,
        };
        assert_eq!(log_buckets(&of(&[7, 7, 7]), 10), [bucket]);
        let zero = Bucket {
            from: 0,
            to: 0,
            count: 1,
        };
        assert_eq!(log_buckets(&of(&[0]), 10), [zero]);
    }

    #[test]
    fn bounds_grow_by_a_factor() {
        let buckets = log_buckets(&of(&[10, 100, 1_000]), 2);
        let counts: Vec<_> = buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!((buckets[0].from, buckets[0].to), (10, 100));
    }

    proptest! {
        #[test]
        fn buckets_adjoin_and_hold_every_sample(
            values in prop::collection::vec(0_u64..u64::MAX / 2, 1..200),
            bucket_count_max in 1_u32..13,
        ) {
            let buckets = log_buckets(&of(&values), bucket_count_max);
            let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
            prop_assert_eq!(total, values.len() as u64);
            prop_assert!(buckets.len() <= bucket_count_max as usize);
            prop_assert!(buckets.windows(2).all(|pair| pair[0].to + 1 == pair[1].from));
            prop_assert!(buckets.iter().all(|bucket| bucket.from <= bucket.to));
        }
    }
}
