//! Whether two measurements of one ratio agree.

use super::bootstrap::factor_interval;
use super::entry::Entry;
use serde::Serialize;

/// A median of fewer pairs has no interval of its own: spreads are compared.
const PAIR_COUNT_MIN: usize = 3;

/// How the second measurement of a ratio lies to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// The difference may be chance.
    Same,
    /// It is not, and the second is better.
    Better,
    /// It is not, and the second is worse.
    Worse,
    /// One of them has no value.
    Unknown,
}

/// What became of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Change {
    pub(super) verdict: Verdict,
    /// The second value by the first; none where there is no such factor.
    pub(super) factor: Option<f64>,
    /// Where the factor lies with 95 % confidence; none where there are too few pairs.
    pub(super) interval: Option<(f64, f64)>,
}

impl Change {
    pub(super) fn between(first: &Entry, second: &Entry) -> Self {
        let (Some(a), Some(b)) = (first.value, second.value) else {
            return Self {
                verdict: Verdict::Unknown,
                factor: None,
                interval: None,
            };
        };
        let has_pairs = |entry: &Entry| entry.pairs.len() >= PAIR_COUNT_MIN;
        let interval = (has_pairs(first) && has_pairs(second) && a > 0.0)
            .then(|| factor_interval(&first.pairs, &second.pairs));
        let (is_above, is_below) = match interval {
            Some((low, high)) => (low > 1.0, high < 1.0),
            None => {
                let (one, other) = (range(first, a), range(second, b));
                (other.0 > one.1, other.1 < one.0)
            }
        };
        Self {
            verdict: Verdict::of(is_above, is_below, first.is_higher_better),
            factor: (a != 0.0).then_some(b / a),
            interval,
        }
    }
}

impl Verdict {
    fn of(is_above: bool, is_below: bool, is_higher_better: bool) -> Self {
        match (is_above, is_below) {
            (false, false) => Self::Same,
            (true, _) if is_higher_better => Self::Better,
            (_, true) if !is_higher_better => Self::Better,
            _ => Self::Worse,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Better => "BETTER",
            Self::Worse => "WORSE",
            Self::Unknown => "-",
        }
    }
}

/// Least and largest; a value without a spread is both.
fn range(entry: &Entry, value: f64) -> (f64, f64) {
    let (min, max) = entry.spread.unwrap_or((value, value));
    (min.min(value), max.max(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(is_higher_better: bool, pairs: &[f64]) -> Entry {
        let mut sorted = pairs.to_vec();
        sorted.sort_by(f64::total_cmp);
        Entry {
            name: "G1".to_owned(),
            value: sorted.get(sorted.len() / 2).copied(),
            spread: sorted.first().copied().zip(sorted.last().copied()),
            pairs: pairs.to_vec(),
            is_higher_better,
        }
    }

    #[test]
    fn changes_beyond_chance_follow_the_direction() {
        let of = |is_higher_better, b: &[f64]| {
            let a = entry(is_higher_better, &[0.78, 0.8, 0.82, 0.79, 0.81]);
            Change::between(&a, &entry(is_higher_better, b)).verdict
        };
        assert_eq!(of(true, &[0.81, 0.8, 0.79, 0.8, 0.82]), Verdict::Same);
        assert_eq!(of(true, &[0.91, 0.9, 0.89, 0.9, 0.92]), Verdict::Better);
        assert_eq!(of(true, &[0.71, 0.7, 0.69, 0.7, 0.72]), Verdict::Worse);
        assert_eq!(of(false, &[0.71, 0.7, 0.69, 0.7, 0.72]), Verdict::Better);
    }

    #[test]
    fn few_pairs_are_compared_by_their_spreads() {
        let (a, b) = (entry(true, &[0.8, 0.9]), entry(true, &[0.85, 1.0]));
        let change = Change::between(&a, &b);
        assert_eq!((change.verdict, change.interval), (Verdict::Same, None));
        let apart = Change::between(&a, &entry(true, &[0.95]));
        assert_eq!(apart.verdict, Verdict::Better);
    }

    #[test]
    fn a_missing_value_is_unknown_and_zero_has_no_factor() {
        let none = entry(true, &[]);
        let zero = entry(false, &[0.0]);
        assert_eq!(Change::between(&none, &zero).verdict, Verdict::Unknown);
        let change = Change::between(&zero, &entry(false, &[0.5]));
        assert_eq!((change.verdict, change.factor), (Verdict::Worse, None));
    }
}
