//! How sure a change is: an interval by drawing pairs anew, many times.

use crate::result::Spread;

/// Drawings; the interval moves by less than a hundredth of its width from seed to seed.
const DRAW_COUNT: usize = 4_000;
/// Part of all drawings that lies outside of the interval, half on each side.
const OUTSIDE: f64 = 0.05;
/// The same files give the same interval.
const SEED: u64 = 0x5eed_f4a2_11ce_0001;

/// The change from the median of `a` to the median of `b` as a factor, between the bounds within
/// which 95 % of all drawings lie. Each drawing takes as many pairs of each file as there are, any
/// of them more than once.
///
/// # Panics
///
/// If one of them is empty.
pub(super) fn factor_interval(a: &[f64], b: &[f64]) -> (f64, f64) {
    let mut random = Random(SEED);
    let mut factors: Vec<f64> = (0..DRAW_COUNT)
        .map(|_| drawn_median(b, &mut random) / drawn_median(a, &mut random))
        .collect();
    factors.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a part of the number of drawings"
        )]
        let index = (part * (DRAW_COUNT - 1) as f64).round() as usize;
        factors[index]
    };
    (at(OUTSIDE / 2.0), at(1.0 - OUTSIDE / 2.0))
}

fn drawn_median(values: &[f64], random: &mut Random) -> f64 {
    let drawn = (0..values.len()).map(|_| values[random.below(values.len())]);
    let spread = Spread::of(drawn.collect());
    spread.expect("a median needs a value").median
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let scaled = (u128::from(mixed) * bound as u128) >> 64;
        usize::try_from(scaled).expect("below the bound")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pairs_leave_no_doubt() {
        assert_eq!(factor_interval(&[2.0; 5], &[3.0; 5]), (1.5, 1.5));
    }

    #[test]
    fn interval_holds_one_where_both_scatter_alike_and_not_where_they_lie_apart() {
        let a = [0.98, 1.0, 1.01, 0.99, 1.03];
        let (low, high) = factor_interval(&a, &[1.02, 0.97, 1.0, 1.01, 0.99]);
        assert!(low < 1.0 && 1.0 < high, "{low} {high}");
        let (low, high) = factor_interval(&a, &[1.12, 1.07, 1.1, 1.11, 1.09]);
        assert!(low > 1.0 && high < 1.2, "{low} {high}");
    }

    #[test]
    fn draws_cover_all_values_evenly() {
        let mut random = Random(1);
        let mut counts = [0_u32; 5];
        for _ in 0..5_000 {
            counts[random.below(5)] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
