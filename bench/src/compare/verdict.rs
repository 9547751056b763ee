//! Whether two measurements of one ratio agree.

use crate::ratios::Ratio;

/// How the second measurement of a ratio lies to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The spreads overlap.
    Same,
    /// They do not, and the second is better.
    Better,
    /// They do not, and the second is worse.
    Worse,
    /// One of them has no value.
    Unknown,
}

impl Verdict {
    pub(super) fn of(first: &Ratio, second: &Ratio) -> Self {
        let (Some(one), Some(other)) = (interval(first), interval(second)) else {
            return Self::Unknown;
        };
        let is_above = other.0 > one.1;
        let is_below = other.1 < one.0;
        // The goal lies on the better side of the floor.
        let higher_is_better = first.goal > first.floor;
        match (is_above, is_below) {
            (false, false) => Self::Same,
            (true, _) if higher_is_better => Self::Better,
            (_, true) if !higher_is_better => Self::Better,
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

/// Least and largest value; a value without a spread is both.
fn interval(ratio: &Ratio) -> Option<(f64, f64)> {
    let value = ratio.value?;
    let (min, max) = (ratio.min.unwrap_or(value), ratio.max.unwrap_or(value));
    Some((min.min(value), max.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(id: &str, value: f64, min: f64, max: f64) -> Ratio {
        Ratio {
            min: Some(min),
            max: Some(max),
            ..Ratio::of_value(id, value, "", String::new())
        }
    }

    #[test]
    fn spreads_that_overlap_are_the_same_and_others_follow_the_direction() {
        let throughput = ratio("G1", 0.8, 0.7, 0.9);
        let of = |value, min, max| Verdict::of(&throughput, &ratio("G1", value, min, max));
        assert_eq!(of(0.95, 0.88, 1.0), Verdict::Same);
        assert_eq!(of(0.95, 0.91, 1.0), Verdict::Better);
        assert_eq!(of(0.6, 0.5, 0.69), Verdict::Worse);
        let latency = ratio("G7", 1.1, 1.0, 1.2);
        let of = |value, min, max| Verdict::of(&latency, &ratio("G7", value, min, max));
        assert_eq!(of(1.3, 1.21, 1.4), Verdict::Worse);
        assert_eq!(of(0.9, 0.8, 0.95), Verdict::Better);
    }

    #[test]
    fn a_missing_value_is_unknown_and_a_missing_spread_a_point() {
        let none = Ratio::none("G1", "too few cores");
        let point = Ratio::of_value("G1", 0.8, "", String::new());
        assert_eq!(Verdict::of(&none, &point), Verdict::Unknown);
        assert_eq!(Verdict::of(&point, &none), Verdict::Unknown);
        assert_eq!(Verdict::of(&point, &point), Verdict::Same);
        assert_eq!(
            Verdict::of(&point, &ratio("G1", 0.85, 0.81, 0.9)),
            Verdict::Better
        );
    }
}
