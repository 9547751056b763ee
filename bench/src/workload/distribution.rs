//! Keys drawn uniformly or by Zipf's law, by position.

use super::keys::mixed;
use std::fmt;
use std::str::FromStr;

/// Terms of the zeta sum that are added one by one; the rest is an integral.
const TERMS: u64 = 100_000;

/// How often each key comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All equally often.
    Uniform,
    /// The key of rank r as often as `1 / r^exponent`, with an exponent from 0 to below 1.
    Zipf(f64),
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let exponent = match text.split_once(':') {
            None if text == "uniform" => return Ok(Self::Uniform),
            Some(("zipf", exponent)) => exponent.parse::<f64>().ok(),
            _ => None,
        };
        exponent
            .filter(|exponent| (0.0..1.0).contains(exponent))
            .map(Self::Zipf)
            .ok_or_else(|| "expected uniform, or zipf: and an exponent below 1".to_owned())
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => out.write_str("uniform"),
            Self::Zipf(exponent) => write!(out, "zipf:{exponent}"),
        }
    }
}

/// Draws keys below a bound.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    key_count: u64,
    zipf: Option<Zipf>,
}

/// The constants of the rejection-free method of Gray et al. (1994).
#[derive(Clone, Copy, Debug)]
struct Zipf {
    exponent: f64,
    zeta: f64,
    eta: f64,
}

impl Draw {
    /// Keys below `key_count`, at least one.
    #[must_use]
    pub fn new(key_count: u64, distribution: Distribution) -> Self {
        let zipf = match distribution {
            Distribution::Uniform => None,
            Distribution::Zipf(exponent) => Some(Zipf::new(key_count, exponent)),
        };
        Self { key_count, zipf }
    }

    /// The key at `position`, the same each time.
    #[must_use]
    pub fn at(&self, position: u64) -> u64 {
        let bits = mixed(position.wrapping_add(1));
        let Some(zipf) = &self.zipf else {
            return below(bits, self.key_count);
        };
        // 53 bits make a fraction without rounding.
        let fraction = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = zipf.rank(fraction, self.key_count);
        // Frequent keys lie anywhere, not side by side.
        below(mixed(rank.wrapping_add(1)), self.key_count)
    }
}

impl Zipf {
    fn new(key_count: u64, exponent: f64) -> Self {
        let zeta = zeta(key_count, exponent);
        let share = 1.0 - (2.0 / key_count as f64).powf(1.0 - exponent);
        Self {
            exponent,
            zeta,
            eta: share / (1.0 - zeta_two(exponent) / zeta),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from f64 ends at the largest u64, and the rank is limited"
    )]
    fn rank(&self, fraction: f64, key_count: u64) -> u64 {
        let scaled = fraction * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < zeta_two(self.exponent) {
            return 1.min(key_count - 1);
        }
        let base = self.eta.mul_add(fraction, 1.0 - self.eta);
        let rank = key_count as f64 * base.powf(1.0 / (1.0 - self.exponent));
        (rank as u64).min(key_count - 1)
    }
}

fn zeta_two(exponent: f64) -> f64 {
    1.0 + 0.5_f64.powf(exponent)
}

fn zeta(key_count: u64, exponent: f64) -> f64 {
    let terms = key_count.min(TERMS);
    let sum: f64 = (1..=terms).map(|rank| (rank as f64).powf(-exponent)).sum();
    let power = 1.0 - exponent;
    sum + ((key_count as f64).powf(power) - (terms as f64).powf(power)) / power
}

fn below(bits: u64, bound: u64) -> u64 {
    let product = u128::from(bits) * u128::from(bound);
    u64::try_from(product >> 64).expect("the upper half of 128 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn reads_what_the_command_line_offers() {
        assert_eq!("uniform".parse(), Ok(Distribution::Uniform));
        assert_eq!("zipf:0.99".parse(), Ok(Distribution::Zipf(0.99)));
        assert_eq!(Distribution::Zipf(0.99).to_string(), "zipf:0.99");
        assert_eq!(Distribution::Uniform.to_string(), "uniform");
        for bad in ["zipf", "zipf:1.5", "zipf:x", "normal"] {
            assert!(bad.parse::<Distribution>().is_err(), "{bad}");
        }
    }

    #[test]
    fn first_ranks_of_a_zipf_distribution_have_their_share() {
        let draw = Draw::new(1_000, Distribution::Zipf(0.99));
        let mut counts = HashMap::new();
        for position in 0..100_000 {
            *counts.entry(draw.at(position)).or_insert(0_u64) += 1;
        }
        let mut sorted: Vec<u64> = counts.into_values().collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let expected = 100_000.0 / zeta(1_000, 0.99);
        let share = sorted[0] as f64 / expected;
        assert!((0.9..1.3).contains(&share), "{} of {expected}", sorted[0]);
    }

    #[test]
    fn keys_stay_below_the_bound() {
        for distribution in [Distribution::Uniform, Distribution::Zipf(0.5)] {
            for key_count in [1, 2, 1_000_003] {
                let draw = Draw::new(key_count, distribution);
                assert!((0..10_000).all(|position| draw.at(position) < key_count));
            }
        }
    }
}
